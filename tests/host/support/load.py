"""Open-loop load: requests go out at their time, whether or not earlier ones were answered. Ends when the stop file is there.

load.py PORT RATE KEEP_ALIVE SHORT STOP_FILE LEAST [static]: prints one JSON object. It goes on until LEAST requests are out. From
a `static` server, which computes nothing, a slow answer is /slow, and nothing is uploaded.
"""

import asyncio
import json
import math
import os
import sys
import time

PORT, RATE, KEEP, SHORT = (int(word) for word in sys.argv[1:5])
STOP, LEAST = sys.argv[5], int(sys.argv[6])
STATIC = sys.argv[7:] == ["static"]
UPLOAD = b"x" * 65536

sent = answered = in_flight = reopened = retried = 0
failures = {}
codes = {}
times = []
ends = []
flight = []


def request(number):
    """Every request is one of: quick, slow (up to a second), an upload in pieces."""
    if STATIC:
        return "GET", "/slow?ms=500" if number % 10 == 3 else "/", 0
    if number % 50 == 7:
        return "POST", "/", 20
    if number % 10 == 3:
        return "GET", f"/?ms={100 + number * 37 % 900}", 0
    return "GET", "/", 0


async def exchange(reader, writer, number, keep):
    method, target, pieces = request(number)
    head = f"{method} {target} HTTP/1.1\r\nHost: load\r\nConnection: {'keep-alive' if keep else 'close'}\r\n"
    if pieces:
        head += f"Content-Length: {pieces * len(UPLOAD)}\r\n"
    writer.write(head.encode() + b"\r\n")
    for _ in range(pieces):
        writer.write(UPLOAD)
        await writer.drain()
        await asyncio.sleep(0.02)
    status = (await reader.readline()).decode().split(" ")
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = await reader.readexactly(length)
    if len(status) < 2:
        raise ConnectionError("closed without an answer")
    if status[1] != "200":
        raise ValueError(f"status {status[1]}")
    code, _, got = body.decode().split(" ")[:3]
    if int(got) != pieces * len(UPLOAD):
        raise ValueError("an upload arrived in part")
    codes[code] = codes.get(code, 0) + 1
    return not pieces and "ms=" not in target


async def on_kept(connection, number):
    """As clients do (RFC 9112 9.3.1): one that the server has closed meanwhile is not used again, and a GET that met the closing is sent once more."""
    global reopened, retried
    if connection[0][0].at_eof():
        reopened += 1
        connection[0] = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        return await exchange(*connection[0], number, True)
    except ConnectionError:
        if request(number)[0] != "GET":
            raise
        retried += 1
        connection[0] = await asyncio.open_connection("127.0.0.1", PORT)
        return await exchange(*connection[0], number, True)


async def one(number, connection):
    global sent, answered, in_flight
    sent += 1
    in_flight += 1
    began = time.monotonic()
    try:
        if connection:
            quick = await on_kept(connection, number)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            quick = await exchange(reader, writer, number, False)
            writer.close()
        answered += 1
        ends.append((time.monotonic(), True))
        if quick:
            times.append((began, time.monotonic() - began))
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        failures[why] = failures.get(why, 0) + 1
        ends.append((time.monotonic(), False))
        if connection:
            connection[0] = await asyncio.open_connection("127.0.0.1", PORT)
    finally:
        in_flight -= 1


async def lane(first, step, keep):
    """One client: with a connection that it keeps, one request after the other; without, each on its own, at its time."""
    connection = [await asyncio.open_connection("127.0.0.1", PORT)] if keep else None
    number = first
    due = time.monotonic()
    running = set()
    while sent < LEAST or not os.path.exists(STOP):
        if keep:
            await one(number, connection)
        else:
            task = asyncio.create_task(one(number, None))
            running.add(task)
            task.add_done_callback(running.discard)
        number += step
        due += (KEEP + SHORT) / RATE
        await asyncio.sleep(max(0, due - time.monotonic()))
    if running:
        await asyncio.wait(running)


async def watch():
    while True:
        flight.append((time.monotonic(), in_flight))
        await asyncio.sleep(0.02)


async def main():
    watching = asyncio.create_task(watch())
    lanes = KEEP + SHORT
    await asyncio.gather(*(lane(n, lanes, n < KEEP) for n in range(lanes)))
    watching.cancel()
    marks = [float(line) for line in open(STOP)]
    began, ended = marks[0], marks[1]

    def p99(values):
        values = sorted(values)
        return values[int(len(values) * 0.99)] if values else None

    # By seconds from the mark: how many were answered, how many failed.
    timeline = {}
    for at, fine in sorted(ends):
        second = math.floor(at - began)
        timeline.setdefault(second, [second, 0, 0])[1 if fine else 2] += 1
    good = sorted(at for at, fine in ends if fine) + [max(ends)[0]]
    print(json.dumps({
        "timeline": list(timeline.values()),
        "gap_s": max((later - earlier for earlier, later in zip(good, good[1:])), default=None),
        "sent": sent, "answered": answered, "reopened": reopened, "retried": retried, "failures": failures, "codes": codes,
        "p99_before_ms": 1000 * (p99([t for at, t in times if at < began]) or 0),
        "p99_during_ms": 1000 * (p99([t for at, t in times if began <= at <= ended]) or 0),
        "in_flight_mean": sum(n for at, n in flight if began <= at <= ended) / max(1, sum(began <= at <= ended for at, _ in flight)),
    }))


asyncio.run(main())
