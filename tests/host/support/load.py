"""Open-loop load: requests go out at their time, whether or not earlier ones were answered. Ends when the stop file is there.

load.py PORT RATE KEEP_ALIVE SHORT STOP_FILE LEAST [static]: prints one JSON object. It goes on until LEAST requests are out. Of every
KEEP_ALIVE + SHORT requests KEEP_ALIVE go over kept connections, at first as many; where all of them are busy, one more is opened
and kept, but no more than four times as many wait for work. Times count from when a request was due. From a `static` server, which computes nothing, a slow answer is /slow, and
nothing is uploaded.
"""

import asyncio
import collections
import json
import math
import os
import sys
import time

PORT, RATE, KEEP, SHORT = (int(word) for word in sys.argv[1:5])
STOP, LEAST = sys.argv[5], int(sys.argv[6])
# A file with a time and what happened then on each line.
SWITCHES = os.environ.get("SWITCHES")
STATIC = sys.argv[7:] == ["static"]
UPLOAD = b"x" * 65536

sent = answered = in_flight = reopened = retried = 0
failures = {}
codes = {}
times = []
ends = []
flight = []
# Kept connections that nobody uses.
idle = collections.deque()
# Seconds: sooner than any slow request is answered.
AT_ONCE = 0.1


class Unanswered(ConnectionError):
    """The connection ended without a byte of an answer."""


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
    """Says whether the answer was a quick one, and whether the connection can be used again."""
    method, target, pieces = request(number)
    head = f"{method} {target} HTTP/1.1\r\nHost: load\r\nConnection: {'keep-alive' if keep else 'close'}\r\n"
    if pieces:
        head += f"Content-Length: {pieces * len(UPLOAD)}\r\n"
    writer.write(head.encode() + b"\r\n")
    for _ in range(pieces):
        writer.write(UPLOAD)
        await writer.drain()
        await asyncio.sleep(0.02)
    try:
        status = await reader.readline()
    except ConnectionError as error:
        raise Unanswered(str(error)) from error
    if not status:
        raise Unanswered("closed without an answer")
    status = status.decode().split(" ")
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().lower().partition(":")
        if name == "content-length":
            length = int(value)
        if name == "connection" and "close" in value:
            keep = False
    body = await reader.readexactly(length)
    if status[1] != "200":
        raise ValueError(f"status {status[1]}")
    code, _, got = body.decode().split(" ")[:3]
    if int(got) != pieces * len(UPLOAD):
        raise ValueError("an upload arrived in part")
    codes[code] = codes.get(code, 0) + 1
    if not keep:
        writer.close()
    return not pieces and "ms=" not in target, keep


async def on_kept(number):
    """As clients do (RFC 9112 9.3.1): a connection that the server has closed meanwhile is not used again, and a GET that met
    the closing is sent once more. It has met it where the connection had been idle, and ended at once, without a byte. An
    upload, which nobody may send twice, begins on a new connection."""
    global reopened, retried
    used = None
    while request(number)[0] == "GET" and idle and not used:
        used = idle.popleft()
        # What has come meanwhile is read in the next round of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if used[0].at_eof() or used[0].exception() or used[1].is_closing():
            reopened += 1
            used[1].close()
            used = None
    if used:
        began = time.monotonic()
        try:
            return await kept(used, number)
        except Unanswered:
            used[1].close()
            if time.monotonic() - began > AT_ONCE:
                raise
            retried += 1
    return await kept(await asyncio.open_connection("127.0.0.1", PORT), number)


async def kept(connection, number):
    quick, again = await exchange(*connection, number, True)
    if again and len(idle) < 4 * KEEP:
        idle.append(connection)
    else:
        connection[1].close()
    return quick


async def one(number, keep, due):
    global answered, in_flight
    in_flight += 1
    try:
        if keep:
            quick = await on_kept(number)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            quick, _ = await exchange(reader, writer, number, False)
        answered += 1
        ends.append((time.monotonic(), True))
        if quick:
            times.append((due, time.monotonic() - due))
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        failures[why] = failures.get(why, 0) + 1
        ends.append((time.monotonic(), False))
    finally:
        in_flight -= 1


async def lane(first, step, keep):
    """One client: each of its requests at its time."""
    global sent
    if keep:
        idle.append(await asyncio.open_connection("127.0.0.1", PORT))
    number = first
    due = time.monotonic()
    running = set()
    while sent < LEAST or not os.path.exists(STOP):
        sent += 1
        task = asyncio.create_task(one(number, keep, due))
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
    # Where somebody wrote down what was switched: how many requests were under way then.
    switches = []
    for line in open(SWITCHES) if SWITCHES else ():
        at, what = line.rstrip("\n").split(" ", 1)
        if began <= float(at) <= ended:
            _, busy = min(flight, key=lambda sample: abs(sample[0] - float(at)))
            switches.append([round(float(at) - began, 2), what, busy])
    good = sorted(at for at, fine in ends if fine) + [max(ends)[0]]
    print(json.dumps({
        "switches": switches,
        "timeline": list(timeline.values()),
        "gap_s": max((later - earlier for earlier, later in zip(good, good[1:])), default=None),
        "sent": sent, "answered": answered, "reopened": reopened, "retried": retried, "failures": failures, "codes": codes,
        "p99_before_ms": 1000 * (p99([t for at, t in times if at < began]) or 0),
        "p99_during_ms": 1000 * (p99([t for at, t in times if began <= at <= ended]) or 0),
        "in_flight_mean": sum(n for at, n in flight if began <= at <= ended) / max(1, sum(began <= at <= ended for at, _ in flight)),
    }))


asyncio.run(main())
