"""Runs one command and prints its wall time, CPU time and peak memory as JSON.

A program of its own because Linux counts the memory of the process that forked towards the
child's maximum: it must start from something small. Only the standard library's cheapest parts.
"""

import os
import sys
import time

report, directory, *command = sys.argv[1:]
report = int(report)
os.chdir(directory)
started = time.monotonic()
child = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, report)])
# The largest resident set among the process and the children it waited for.
_, status, usage = os.wait4(child, 0)
seconds = time.monotonic() - started
fields = (seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
os.write(report, ("[%f, %f, %d, %d]" % fields).encode())
