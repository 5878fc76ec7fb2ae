"""The application trees that are packed."""

import hashlib
import os
import random
import shutil
from pathlib import Path

from .common import REPO, BenchError, log, run_quiet

EXAMPLE = REPO / "examples" / "node-red"
# What the service runs: a package whose program is missing isn't built.
PROGRAM = "node_modules/node-red/red.js"


def npm_tree(given):
    """The real npm application: the one given, else the example's, built when it isn't there yet."""
    if given is not None:
        if not given.is_dir():
            raise BenchError(f"{given}: no such directory")
        return given.resolve()
    tree = EXAMPLE / "build"
    if not tree.is_dir():
        log("examples/node-red/build.sh")
        run_quiet(["./build.sh"], cwd=EXAMPLE)
    return tree


def files_of(tree):
    """Regular files, in byte order of their paths."""
    found = []
    for directory, _, names in os.walk(tree):
        for name in names:
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                found.append(path)
    return sorted(found, key=lambda path: os.fsencode(path))


def describe(tree):
    files = files_of(tree)
    links = sum(path.is_symlink() for path in Path(tree).rglob("*"))
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files), "symlinks": links}


def warm(tree):
    """Reads the whole tree once, so that no tool pays for the first read."""
    for path in files_of(tree):
        path.read_bytes()


def hardlinked(tree, target):
    """A copy that shares its files with `tree`, as far as they are on one file system."""
    same = os.stat(tree).st_dev == os.stat(Path(target).parent).st_dev
    run_quiet(["cp", "-al" if same else "-a", str(tree), str(target)])


def with_changes(tree, target, count=10):
    """A copy of `tree` (hardlinks) in which `count` scripts, spread evenly, got one more line."""
    hardlinked(tree, target)
    scripts = [path for path in files_of(target) if path.suffix == ".js"]
    if len(scripts) < count:
        raise BenchError(f"{tree} has only {len(scripts)} scripts to change")
    step = len(scripts) // count
    for path in scripts[step // 2 :: step][:count]:
        changed = path.read_bytes() + b"\n// changed\n"
        mode = path.stat().st_mode
        path.unlink()
        path.write_bytes(changed)
        path.chmod(mode & 0o777)


def synthetic(target, count):
    """`count` small files in nested directories, and the program; the same names and bytes in every run."""
    words = [hashlib.sha256(str(n).encode()).hexdigest()[: 3 + n % 9] for n in range(4096)]
    chance = random.Random(20240229)
    for number in range(count):
        package = number // 40
        directory = target / "node_modules" / f"package-{package:05}" / ("lib" if number % 3 else "dist/esm")
        if number % 40 < 3:
            directory.mkdir(parents=True, exist_ok=True)
        size = min(int(chance.lognormvariate(6.5, 1.2)), 60_000)
        text = " ".join(chance.choices(words, k=size // 7 + 1))
        (directory / f"module-{number % 40:02}.js").write_text(text)
    program = target / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text("// What the service would run.\n")
    return target


def remove(tree):
    shutil.rmtree(tree, ignore_errors=True)
