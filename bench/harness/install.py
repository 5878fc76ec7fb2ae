"""Installing, upgrading and going back on a booted host, against the plain package of the same files.

The plain package has no service and no scripts: its time is dpkg's alone. Of relpack's, the time until
`current` points to the new release is compared; starting the application and waiting for its health come after.
"""

import json

from . import packagers, trees
from .common import BenchError, interleaved, log, run_measured, summary
from .machine import Disk, Machine, base_system

OLD, NEW = "1.0.0", "1.1.0"
CURRENT = f"/opt/{packagers.NAME}/current"
# Each step on the state that the one before left. "rollback" is the release's own command; for the
# plain package that is again the installation of the previous version.
STEPS = [
    ("install", f"dpkg -i /srv/{OLD}.deb", OLD),
    ("upgrade", f"dpkg -i /srv/{NEW}.deb", NEW),
    ("kept", f"dpkg -i /srv/{OLD}.deb", OLD),
    (None, f"dpkg -i /srv/{NEW}.deb", NEW),
    ("rollback", {"plain": f"dpkg -i /srv/{OLD}.deb", "relpack": f"{packagers.NAME}-release rollback"}, None),
]

# Everything older is on disk and the package is in memory before the clock starts, for both alike.
TIMED = """
cat /srv/*.deb > /dev/null
sync
before=$(readlink {current} || true)
started=$(date +%s%N)
{delayed}{command} > /tmp/log 2>&1 || {{ rc=$?; cat /tmp/log; exit $rc; }}
ended=$(date +%s%N)
switched=null
if [ -L {current} ]; then
	[ "$(readlink {current})" != "$before" ] || {{ cat /tmp/log; echo "current did not move"; exit 99; }}
	# The time of the rename(2) that moved it.
	switched=$(stat -c %.9Z {current} | tr -d .)
fi
echo "{{\\"started\\": $started, \\"switched\\": $switched, \\"ended\\": $ended}}"
"""


def run(work, tree):
    changed = work.dir / "changed"
    trees.with_changes(tree, changed)
    present, _ = packagers.usable(work)
    kinds = {"dpkg-deb": "plain", "relpack": "relpack"}
    packages = {}
    for packager in present:
        if packager.name in kinds:
            packages[kinds[packager.name]] = {
                version: built(work, packager, source, version) for version, source in ((OLD, tree), (NEW, changed))
            }

    archive = base_system(work.cache, work.args.suite)
    samples = {kind: {} for kind in packages}
    versions = ""
    for number, kind in interleaved(list(packages), work.args.rounds):
        with Disk(work.dir / f"host-{number}-{kind}", work.args.host_fs) as disk, Machine(archive, disk / "root") as host:
            times, versions = one_host(host, kind, packages[kind], work.args.fsync_delay)
        for step, measured in times.items():
            samples[kind].setdefault(step, []).append(measured)
        told = ", ".join(f"{step} {'/'.join(f'{value:.2f}' for value in measured.values())}" for step, measured in times.items())
        log(f"host {number + 1}: {kind} {told} s")
    return {"suite": work.args.suite, "host_fs": work.args.host_fs, "fsync_delay_ms": work.args.fsync_delay, "versions": versions, "steps": compared(samples)}


def built(work, packager, tree, version):
    log(f"{packager.name} {version}")
    directory = work.dir / "packages" / packager.name / version
    command, cwd, environment, out = packager.prepare(tree, version, directory)
    run_measured(command, cwd, environment)
    return packagers.only_package(out)


def delayed(milliseconds):
    """What is put before a command so that each of its flushes takes longer. Only those calls stop for the tracer."""
    if not milliseconds:
        return ""
    calls = "fsync,fdatasync,syncfs"
    return f"strace -f --seccomp-bpf -qq -o /dev/null -e trace={calls} -e inject={calls}:delay_exit={round(milliseconds * 1000)} "


def one_host(host, kind, packages, fsync_delay):
    """All steps on one fresh host: {step: {"total": s, "switch": s}}."""
    for version, package in packages.items():
        (host.root / "srv" / f"{version}.deb").write_bytes(package.read_bytes())
    host.boot()
    versions = host.shell("dpkg-query -W -f '${Package} ${Version}, ' dpkg systemd").rstrip(", ")
    times = {}
    for step, command, expected in STEPS:
        if isinstance(command, dict):
            command = command[kind]
        point = json.loads(host.shell(TIMED.format(current=CURRENT, command=command, delayed=delayed(fsync_delay))).splitlines()[-1])
        if expected:
            installed = host.shell(f"dpkg-query -W -f '${{Status}} ${{Version}}' {packagers.NAME}")
            if installed != f"install ok installed {expected}":
                raise BenchError(f"{kind}, {command}: dpkg says {installed!r}")
        if step is None:
            continue
        times[step] = {"total": (point["ended"] - point["started"]) / 1e9}
        if point["switched"] is not None:
            times[step]["switch"] = (point["switched"] - point["started"]) / 1e9
    return times, versions


def compared(samples):
    steps = {}
    for step in [name for name, *_ in STEPS if name]:
        result = {}
        for kind, measured in samples.items():
            values = measured.get(step, [])
            if values:
                result[kind] = {key: summary([value[key] for value in values]) for key in values[0]}
        if "plain" in result and "relpack" in result:
            result["speedup"] = result["plain"]["total"]["median"] / result["relpack"]["switch"]["median"]
        steps[step] = result
    return steps
