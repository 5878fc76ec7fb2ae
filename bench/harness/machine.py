"""A booted Debian host: systemd as process 1 in a container, its root a directory on a real disk."""

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .common import BenchError, log, run_quiet

INCLUDE = "systemd,systemd-sysv,dbus,apt,curl,zstd,nodejs,strace"
_numbers = itertools.count(1)


def base_system(cache, suite, include=INCLUDE):
    """The host's base system as a tar file, made once for each list of packages."""
    name = f"{suite}-{hashlib.sha256(include.encode()).hexdigest()[:12]}"
    archive = cache / f"{name}.tar"
    if not archive.exists():
        log(f"mmdebstrap {suite}")
        part = cache / f"{name}.part.tar"
        run_quiet(["mmdebstrap", "--variant=minbase", f"--include={include}", suite, str(part)])
        part.rename(archive)
    return archive


class Disk:
    """A fresh file system in an image file on the real disk, mounted; or, with "none", a plain directory there.

    A file system of its own makes the rounds alike: ext4 looks long for a place for a new file where many were
    deleted in the last minutes (`recently_deleted` in its allocator), so what other runs removed would be measured.
    """

    BYTES = 6 * 2**30

    def __init__(self, directory, kind):
        self.directory = Path(directory)
        self.kind = kind

    def __enter__(self):
        self.directory.mkdir(parents=True)
        if self.kind != "none":
            image = self.directory.with_suffix(".img")
            with open(image, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.BYTES)
            quiet = {"ext4": ["-q", "-F"], "xfs": ["-q", "-f"], "btrfs": ["-q", "-f"]}[self.kind]
            # Nothing left for later: ext4 would go on initialising its tables in the background.
            extra = ["-E", "lazy_itable_init=0,lazy_journal_init=0"] if self.kind == "ext4" else []
            run_quiet([f"mkfs.{self.kind}", *quiet, *extra, str(image)])
            run_quiet(["mount", "-o", "loop", str(image), str(self.directory)])
        return self.directory

    def __exit__(self, *_):
        if self.kind == "none":
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            # Lazily: a process of the host that is just ending must not leave the image mounted.
            run_quiet(["umount", "--lazy", str(self.directory)])
            self.directory.with_suffix(".img").unlink()


class Machine:
    """One fresh host. `with Machine(...) as host: host.shell("…")`."""

    def __init__(self, archive, directory):
        self.root = Path(directory)
        self.archive = archive
        self.name = f"relpack-bench-{os.getpid()}-{next(_numbers)}"

    def __enter__(self):
        self.root.mkdir(parents=True)
        run_quiet(["tar", "-C", str(self.root), "-xf", str(self.archive)])
        (self.root / "etc/machine-id").write_text("")
        for file in (self.root / "etc/dpkg").rglob("*"):
            if file.is_file() and "force-unsafe-io" in file.read_text():
                raise BenchError(f"{file}: this root's dpkg doesn't sync (force-unsafe-io): nothing to measure")
        return self

    def boot(self):
        command = ["systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}"]
        command += ["--register=no", "--keep-unit", "--boot", "--private-network", "--console=pipe"]
        self.console = open(self.root.parent / "console.log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.init = self._init()
            if self.init and self._try("systemctl is-system-running") in ("running", "degraded"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise BenchError(f"{self.root}: the host didn't boot, see {self.console.name}")

    def _init(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            try:
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
            except OSError:
                continue
        return None

    def _command(self, script):
        return ["nsenter", "-t", self.init, "-a", "--", "/bin/sh", "-c", script]

    def _try(self, script):
        return subprocess.run(self._command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.strip()

    def shell(self, script):
        """Runs a script inside; returns its standard output."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        done = subprocess.run(self._command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise BenchError(f"on the host ({done.returncode}):\n{script}\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def __exit__(self, *_):
        process = getattr(self, "process", None)
        if process is not None:
            if process.poll() is None and self.init:
                os.kill(int(self.init), signal.SIGRTMIN + 4)  # systemd: power off
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    pass
            if process.poll() is None:
                process.kill()
                process.wait()
            self.console.close()
