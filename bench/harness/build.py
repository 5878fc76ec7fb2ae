"""Building one package: wall time, size, peak memory."""

from . import packagers, trees
from .common import BenchError, interleaved, log, run_measured, summary

VERSION = "1.0.0"
# A tool slower than this runs once: more rounds of it say nothing new.
SLOW_SECONDS = 20
COMPARED = ("relpack", "dpkg-deb")


def run(work, tree):
    present, absent = packagers.usable(work)
    result = {"tools": {}, "absent": absent, "tree": measure(work, tree, "npm", present, absent)}
    for packager in present:
        result["tools"][packager.name] = packager.note
    if work.args.synthetic:
        source = work.dir / "synthetic" / "tree"
        log(f"synthetic tree: {work.args.synthetic} files")
        trees.synthetic(source, work.args.synthetic)
        pair = [each for each in present if each.name in COMPARED]
        result["synthetic"] = {**trees.describe(source), **measure(work, source, "synthetic-run", pair, absent, rounds=1)}
        trees.remove(source)
    return result


def measure(work, tree, label, present, absent, rounds=None):
    trees.warm(tree)
    jobs = {}
    for packager in present:
        jobs[packager.name] = packager.prepare(tree, VERSION, work.dir / label / packager.name)

    def once(name):
        command, directory, environment, out = jobs[name]
        for old in out.glob("*.deb") if out.is_dir() else []:
            old.unlink()
        sample = run_measured(command, directory, environment)
        return sample, packagers.only_package(out).stat().st_size

    # The first run of each isn't counted (program and libraries come from disk), but for a slow one. It also tells
    # which tools can do it at all.
    samples, sizes = {}, {}
    for name in list(jobs):
        try:
            sample, sizes[name] = once(name)
            samples[name] = [sample] if sample.seconds > SLOW_SECONDS and name not in COMPARED else []
        except BenchError as error:
            if name in COMPARED:
                raise
            absent[name] = str(error).strip().splitlines()[-1]
            del jobs[name]

    fast = [name for name in jobs if not samples[name]]
    for number, name in interleaved(fast, rounds or work.args.rounds):
        sample, sizes[name] = once(name)
        samples[name].append(sample)
        log(f"{label} {number + 1}: {name} {sample.seconds:.2f} s, {sizes[name] / 1e6:.1f} MB, peak {sample.peak_bytes / 2**20:.0f} MiB")
    return {
        "runs": {
            name: {
                "seconds": summary([each.seconds for each in samples[name]]),
                "cpu_seconds": summary([each.cpu_seconds for each in samples[name]]),
                "peak_bytes": max(each.peak_bytes for each in samples[name]),
                "size_bytes": sizes[name],
            }
            for name in jobs
        }
    }
