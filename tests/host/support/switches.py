"""What changes hands while a command runs: a line with the time for each new set of nginx's workers, each link of an instance or
of the live release that moves, and each main process that begins.

switches.py STOP_FILE: until that is there.
"""

import os
import sys
import time

# The unit of each process that was seen in one of ours.
units = {}


def text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def names(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def look():
    master = text("/run/nginx.pid").strip()
    seen = {"nginx": max(map(int, text(f"/proc/{master}/task/{master}/children").split()), default=None)}
    seen["current"] = link("/opt/acme/current")
    for name in names("/opt/acme/instances"):
        # What begins with a dot is about to be renamed.
        if not name.startswith("."):
            seen[f"link {name}"] = link(f"/opt/acme/instances/{name}")
    running = [name for name in names("/proc") if name.isdigit()]
    for pid in running:
        unit = units.get(pid) or text(f"/proc/{pid}/cgroup").strip().rpartition("/")[2]
        if unit.startswith("acme"):
            units[pid] = unit
    for pid in set(units) - set(running):
        del units[pid]
    for pid, unit in units.items():
        # The one that was there first.
        seen[f"process {unit}"] = min(int(pid), seen.get(f"process {unit}", int(pid)))
    return seen


before = look()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.04)
    now = look()
    for what, value in now.items():
        # What ends is no switch, and of what begins where nothing was, something else has ended before.
        if value is not None and value != before.get(what):
            print(f"{time.monotonic():.2f} {what}", flush=True)
    before.update((what, value) for what, value in now.items() if value is not None)
