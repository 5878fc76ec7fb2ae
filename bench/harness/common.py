"""What every measurement shares: running a command, statistics, the machine, the work directory."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


class BenchError(Exception):
    """Something that stops the whole run, said in one line."""


def log(message):
    print(message, file=sys.stderr, flush=True)


@dataclass
class Sample:
    """One run of one command."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int  # the largest single process of the command's tree


def run_measured(command, cwd=None, env=None):
    """Runs `command` and returns its Sample; its output is shown when it fails."""
    reader, writer = os.pipe()
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py")), str(writer), str(cwd or ".")]
    with tempfile.TemporaryFile() as output, os.fdopen(reader) as report:
        process = subprocess.Popen([*launcher, *command], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[writer])
        os.close(writer)
        answer = report.read()
        process.wait()
        seconds, cpu_seconds, peak_bytes, code = json.loads(answer or "[0, 0, 0, -1]")
        if code != 0:
            output.seek(0)
            tail = output.read().decode(errors="replace")[-3000:]
            raise BenchError(f"{' '.join(map(str, command))} failed ({code}):\n{tail}")
    return Sample(seconds, cpu_seconds, peak_bytes)


def run_quiet(command, **options):
    """Runs a command that isn't measured; returns its standard output."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def summary(values):
    """Median with its spread."""
    values = sorted(values)
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {
        "median": statistics.median(values),
        "min": values[0],
        "max": values[-1],
        "q1": quartiles[0],
        "q3": quartiles[2],
        "samples": values,
    }


def interleaved(names, rounds):
    """Every name once a round, starting with another one each time: a drift of the machine hits all alike."""
    for number in range(rounds):
        shift = number % max(1, len(names))
        for name in names[shift:] + names[:shift]:
            yield number, name


def environment(directory):
    """The machine and the file system that the numbers were measured on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    mount = run_quiet(["findmnt", "-T", str(directory), "-no", "FSTYPE,SOURCE,OPTIONS"]).split()
    if mount[0] in ("tmpfs", "ramfs", "overlay"):
        raise BenchError(f"{directory} is on {mount[0]}: use --work with a directory on a real disk")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "file_system": mount[0],
        "device": mount[1],
        "mount_options": mount[2],
        "kernel": platform.release(),
        "cpu": cpu,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "fsync_seconds": fsync_seconds(directory),
        "load_before": os.getloadavg(),
    }


def fsync_seconds(directory, count=100):
    """Median time to write and fsync one small new file: what dpkg does for every file."""
    times = []
    with tempfile.TemporaryDirectory(dir=directory) as place:
        for number in range(count):
            started = time.monotonic()
            with open(Path(place, str(number)), "wb", buffering=0) as file:
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
            times.append(time.monotonic() - started)
    return statistics.median(times)


class Workspace:
    """The run's own directory (removed at the end), the cache, and the program under test."""

    def __init__(self, args):
        self.args = args
        self.cache = args.cache
        self._relpack = args.relpack

    def __enter__(self):
        self.cache.mkdir(parents=True, exist_ok=True)
        self.args.work.mkdir(parents=True, exist_ok=True)
        self.dir = Path(tempfile.mkdtemp(prefix="relpack-bench-", dir=self.args.work))
        self.dir.chmod(0o755)
        return self

    def __exit__(self, *_):
        if self.args.keep:
            log(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def relpack(self):
        """Path of the program to measure, built from this checkout unless one was named."""
        if self._relpack is None:
            log("cargo build --release")
            run_quiet(["cargo", "build", "--release", "--locked"], cwd=REPO)
            target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
            self._relpack = REPO / target / "release" / "relpack"
        if not self._relpack.is_file():
            raise BenchError(f"{self._relpack}: no such program")
        return self._relpack.resolve()
