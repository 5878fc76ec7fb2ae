"""What the preset has to leave to a Python application: processes, shared memory, callbacks into C, a database, name lookups."""

import ctypes
import multiprocessing
import socket
import sqlite3
import subprocess

# Read once: by the workers that a reload starts.
with open("/opt/acme/shared/data/greeting") as file:
    GREETING = file.read()


def application(environ, start_response):
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda a, b: 0)
    numbers = (ctypes.c_int * 2)(1, 2)
    ctypes.CDLL(None).qsort(numbers, 2, ctypes.sizeof(ctypes.c_int), compare)
    subprocess.run(["/bin/true"], check=True)
    multiprocessing.Value("i", 0).get_lock()
    socket.getaddrinfo("localhost", 80)
    with sqlite3.connect("/opt/acme/shared/data/db", timeout=30) as database:
        database.execute("insert into t values (1)")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"all is {GREETING}".encode()]
