"""Breaks a command and all its children at the Nth mutating system call, counted over all of them in their order.

    tracer.py count                  LOG COMMAND...   log every point, one a line
    tracer.py kill N                 LOG COMMAND...   SIGKILL to all of them before the Nth call happens
    tracer.py hold N                 LOG COMMAND...   they stay there for ever, one after the other, for somebody else to kill
    tracer.py count-scripts ERRNO    LOG COMMAND...   log every point for `fault`
    tracer.py fault N once|on ERRNO  LOG COMMAND...   the Nth call fails (`on`: and all after it) with that error

`count`, `kill` and `hold` take every process; the other two only those below a maintainer script: with EIO also the reads of the
application's own files, with ENOSPC only what needs room. strace(1) counts for each process alone, so most points of a shell script, whose
tools make a call or two each, are out of its reach. A seccomp filter stops the traced calls only: all others run at full speed.
Exits with the command's status, 137 after a kill.
"""

import ctypes
import errno
import os
import platform
import signal
import stat
import struct
import sys

if platform.machine() != "x86_64":
    sys.exit("tracer.py knows the system calls of x86_64 only")

CALLS = {
    1: "write", 18: "pwrite64", 20: "writev", 40: "sendfile", 326: "copy_file_range", 74: "fsync", 75: "fdatasync",
    76: "truncate", 77: "ftruncate", 82: "rename", 264: "renameat", 316: "renameat2", 83: "mkdir", 258: "mkdirat",
    84: "rmdir", 86: "link", 265: "linkat", 87: "unlink", 263: "unlinkat", 88: "symlink", 266: "symlinkat", 90: "chmod",
    91: "fchmod", 268: "fchmodat", 452: "fchmodat2", 92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat",
    280: "utimensat", 285: "fallocate", 306: "syncfs", 162: "sync", 277: "sync_file_range", 2: "open", 257: "openat",
    85: "creat", 133: "mknod", 259: "mknodat", 46: "sendmsg",
}
NEED_ROOM = {"write", "pwrite64", "writev", "sendfile", "copy_file_range", "fsync", "fdatasync", "ftruncate", "rename",
             "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "fallocate", "syncfs",
             "open", "openat", "creat", "mknod", "mknodat"}
READS = {0: "read", 17: "pread64"}
BY_DESCRIPTOR = {"write", "pwrite64", "writev", "ftruncate", "fsync", "fdatasync", "syncfs", "fchmod", "fchown",
                 "sendfile", "copy_file_range", "fallocate", "sync_file_range", "read", "pread64", "sendmsg"}
AT = {"openat", "unlinkat", "mkdirat", "mknodat", "fchmodat", "fchmodat2", "fchownat", "utimensat", "renameat", "renameat2"}
OPEN_CHANGES = os.O_CREAT | os.O_TRUNC
OURS = ("/opt/acme", "/var/lib/relpack", "/usr/lib/relpack", "/usr/lib/systemd/system/acme")

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
TRACEME, POKEUSER, CONT, SETOPTIONS, GET_SYSCALL_INFO = 0, 6, 7, 0x4200, 0x420E
FORK, VFORK, CLONE, EXEC, SECCOMP = 1, 2, 3, 4, 7
OPTIONS = 1 << FORK | 1 << VFORK | 1 << CLONE | 1 << EXEC | 1 << SECCOMP | 0x100000  # EXITKILL
ORIG_RAX, RAX = 15 * 8, 10 * 8
WALL = 0x40000000


def ptrace(request, pid, address=0, data=0):
    return libc.ptrace(request, pid, address, data)


def install_filter(numbers):
    """Stops at the calls of `numbers`, and at an open only when it can change something."""
    allow, trace = 0x7FFF0000, 0x7FF00000
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, 0xC000003E), (0x06, 0, 0, allow), (0x20, 0, 0, 0)]
    for number in numbers:
        if CALLS.get(number) in ("open", "openat"):
            flags = 16 + 8 * (1 if number == 2 else 2)
            code += [(0x15, 0, 4, number), (0x20, 0, 0, flags), (0x45, 0, 1, OPEN_CHANGES), (0x06, 0, 0, trace),
                     (0x06, 0, 0, allow)]
        else:
            code += [(0x15, 0, 1, number), (0x06, 0, 0, trace)]
    code.append((0x06, 0, 0, allow))
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program)
    fprog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer))
    if libc.prctl(22, 2, ctypes.create_string_buffer(fprog), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "install the seccomp filter")


def string_at(pid, address):
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(256).split(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        return "?"


def call_of(pid):
    """Name and file of the call at which `pid` has stopped; None when it changes no file."""
    info = ctypes.create_string_buffer(88)
    ptrace(GET_SYSCALL_INFO, pid, 88, ctypes.addressof(info))
    number, *args = struct.unpack_from("7Q", info, 24)
    name = CALLS.get(number) or READS[number]
    if name == "sync":
        return name, ""
    if name in BY_DESCRIPTOR:
        descriptor = args[2] if name == "copy_file_range" else args[0]
        link = f"/proc/{pid}/fd/{descriptor & 0xFFFFFFFF}"
        try:
            path, mode = os.readlink(link), os.stat(link).st_mode
        except OSError:
            return None
        if name == "sendmsg":
            # A request to systemd (and whatever else answers on a socket) changes the host too.
            return (name, path) if stat.S_ISSOCK(mode) else None
        # The command's own output goes to unnamed files.
        named = not path.endswith(" (deleted)")
        return (name, path) if named and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) else None
    path = string_at(pid, args[1] if name in AT else args[0])
    if name in ("symlink", "link", "rename"):
        path += " " + string_at(pid, args[1])
    elif name in ("linkat", "renameat", "renameat2"):
        path = string_at(pid, args[1]) + " " + string_at(pid, args[3])
    elif name == "symlinkat":
        path += " " + string_at(pid, args[2])
    return None if path.startswith(("/dev/", "/proc/")) else (name, path)


def script_of(pid):
    """Which maintainer script the new program of `pid` is, if any."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().decode("utf-8", "replace").split("\0")
    for word in words[:2]:
        if word.startswith("/var/lib/dpkg/"):
            return word.rsplit("/", 1)[1].rsplit(".", 1)[-1]
    return None


def kill_all(pids):
    """The stopped call does not happen any more. `pids` are all that have stopped once: who was left out would be waited for, for ever."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        while True:
            pid, status = os.waitpid(-1, WALL)
            # A child that was just being made is known only now.
            if os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGKILL)
    except ChildProcessError:
        return 137


def main(arguments):
    verb = arguments.pop(0)
    target, on, error, wide = 0, False, 0, verb in ("count", "kill", "hold")
    if verb in ("kill", "hold", "fault"):
        target = int(arguments.pop(0))
    if verb == "fault":
        on = arguments.pop(0) == "on"
    if verb in ("fault", "count-scripts"):
        error = getattr(errno, arguments.pop(0))
    numbers = [number for number in CALLS if wide or CALLS[number] != "sendmsg"]
    if error == errno.ENOSPC:
        numbers = [number for number in numbers if CALLS[number] in NEED_ROOM]
    if error == errno.EIO:
        numbers += READS
    log = open(arguments.pop(0), "w", encoding="utf-8", buffering=1)

    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        install_filter(numbers)
        os.execvp(arguments[0], arguments)
    os.waitpid(child, WALL)
    ptrace(SETOPTIONS, child, 0, OPTIONS)
    ptrace(CONT, child)

    # A child may stop for the first time before its parent's event says whose it is; it waits for that.
    script, early, reads, count = {child: None}, set(), {}, 0
    while True:
        pid, status = os.waitpid(-1, WALL)
        if not os.WIFSTOPPED(status):
            script.pop(pid, None)
            if pid == child:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            continue
        event, deliver = status >> 16, 0
        if pid not in script:
            early.add(pid)
            continue
        if event in (FORK, VFORK, CLONE):
            message = ctypes.c_ulong()
            ptrace(0x4201, pid, 0, ctypes.addressof(message))
            script[message.value] = script[pid]
            if message.value in early:
                early.remove(message.value)
                ptrace(CONT, message.value)
        elif event == EXEC:
            script[pid] = script_of(pid) or script[pid]
        elif event == SECCOMP:
            call = call_of(pid) if wide or script[pid] else None
            if call and call[0] in READS.values():
                # The shell reads byte by byte; a point at the beginning and one in the middle will do.
                reads[pid, call[1]] = reads.get((pid, call[1]), 0) + 1
                if not call[1].startswith(OURS) or reads[pid, call[1]] not in (1, 100):
                    call = None
            if call:
                count += 1
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    where = f"{script[pid] or '-'} {comm.read().strip()} {call[0]} {call[1]}"
                if verb.startswith("count") or count == target or (on and count > target):
                    log.write(f"{count} {where}\n")
                if verb == "kill" and count == target:
                    return kill_all([*script, *early])
                if verb == "hold" and count == target:
                    signal.pause()
                if verb == "fault" and (count == target or (on and count > target)):
                    ptrace(POKEUSER, pid, ORIG_RAX, -1)
                    ptrace(POKEUSER, pid, RAX, -error)
        elif os.WSTOPSIG(status) not in (signal.SIGSTOP, signal.SIGTRAP):
            deliver = os.WSTOPSIG(status)
        ptrace(CONT, pid, 0, deliver)


sys.exit(main(sys.argv[1:]))
