//! lintian over finished packages, with one rule for all of them; and packages that between them have everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ok, relpack, write};

/// An info of Debian 12's lintian alone; in Debian 13 an override of it would be an error, since it has no such tag.
/// It asks for a script of another init than systemd, which is what these packages are made for.
const ONLY_OLD: &str = "package-supports-alternative-init-but-no-init.d-script";

/// What the packages of third-party programs are not asked: what their own `Cargo.toml` says, and manuals that they lack.
const OF_ITS_METADATA: [&str; 2] = [": no-manual-page [usr/bin/", ": unknown-section "];

/// Fails the test where lintian says anything that the packages don't override themselves.
pub fn expect_silent(packages: &[PathBuf]) {
    expect_nothing(&said_of(packages));
}

/// The same of packages of real programs, but for what it says of the programs: of their files in the release, an override
/// would be the next thing to be told where lintian's version doesn't mean the file, and of their metadata.
pub fn expect_silent_of_us(packages: &[PathBuf]) {
    let said = said_of(packages);
    let ours = |line: &&str| {
        let of_the_release = line.contains("/payload/") && !line.contains("/.relpack/");
        !of_the_release && !OF_ITS_METADATA.iter().any(|tag| line.contains(tag))
    };
    expect_nothing(&said.lines().filter(ours).collect::<Vec<_>>().join("\n"));
}

fn said_of(packages: &[PathBuf]) -> String {
    let output = Command::new("lintian")
        .args(["--allow-root", "--display-info"])
        .args(packages)
        .output()
        .expect("lintian is installed (hint: tests/setup)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // 2: something of level "error" was found; what that is stands in the list.
    assert!(
        matches!(output.status.code(), Some(0 | 2)),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Fails the test where lintian `said` anything that matters.
pub fn expect_nothing(said: &str) {
    let left: Vec<&str> = said.lines().filter(|line| !line.contains(ONLY_OLD)).collect();
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// The example, one package with all that a package can have, and one with as little as it can have, made below `dir`.
pub fn packages(dir: &Path) -> Vec<PathBuf> {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    vec![
        pack(&hello, &dir.join("hello")),
        build(dir, EVERYTHING, "full"),
        build(dir, MINIMAL, "minimal"),
    ]
}

/// As much as a configuration can hold.
const EVERYTHING: &str = r#"
[package]
name = "full-service"
version = "1:2.0~rc1-1"
maintainer = "Acme Ops <ops@acme.example>"
description = """
Service with all that a package can have
It answers, it counts, and it cleans up after itself every night, as the
operators of Acme wish."""
homepage = "https://acme.example/full"
license = "MIT"
copyright = "2019-2024 Acme Ltd"
depends = ["python3"]
recommends = ["nginx"]
purge_shared = true
changelog = "CHANGELOG.md"
license_file = "LICENSE"
man = ["full-work.1", "full-python.1"]

[completions.full-work]
bash = "work.bash"
zsh = "_work"
fish = "work.fish"

[release]
source = "build"
prefix = "/srv/full"

[user]
name = "full"

[directories]
"data" = { mode = "0750" }

[shared]
links = { "public/uploads" = "uploads" }

[files]
"/usr/bin/full-work" = { link = "current/bin/work" }
"/usr/bin/full-python" = { link = "/usr/bin/python3" }
"/usr/share/full-service/inbox" = { link = "{shared}/inbox" }

[defaults]
preset = "python"
Service.StateDirectory = "full-service"

[env]
required = ["TOKEN"]

[units."full-service.service"]
Service.ExecStart = "/usr/bin/python3 server.py"
Service.EnvironmentFile = "{shared}/env"
X-Relpack.Health = "http://127.0.0.1:3000/healthz"
[units."full-service.socket"]
Socket.ListenStream = "3000"
[units."full-service-worker@.service"]
Service.ExecStart = "bin/work %i"
[units."full-service-clean.service"]
Service.Type = "oneshot"
Service.ExecStart = "bin/work clean"
[units."full-service-clean.timer"]
Timer.OnCalendar = "daily"
[units."full-service-inbox.service"]
Service.Type = "oneshot"
Service.ExecStart = "bin/work inbox"
[units."full-service-inbox.path"]
Path.PathChanged = "{shared}/data"

[migrate]
exec = "bin/work migrate"
like = "full-service.service"
"#;

/// As little as it can hold, at a place of its own.
const MINIMAL: &str = r#"
[package]
name = "minimal"
version = "1.0"
maintainer = "Acme Ops <ops@acme.example>"
description = "Files that nothing runs"
license = "GPL-3+"
[release]
source = "build"
prefix = "/data/minimal"
"#;

fn build(dir: &Path, config: &str, name: &str) -> PathBuf {
    let at = dir.join(name);
    write(&at.join("relpack.toml"), config, 0o644);
    write(&at.join("build/server.py"), "print(1)\n", 0o644);
    write(&at.join("build/bin/work"), "#!/bin/sh\necho work\n", 0o755);
    for name in ["full-work", "full-python"] {
        let page = format!(
            ".TH {} 1 2024\\-01\\-01\n.SH NAME\n{name} \\- a command of the service\n.SH DESCRIPTION\nIt works.\n",
            name.to_uppercase().replace('-', "\\-")
        );
        write(&at.join(format!("{name}.1")), &page, 0o644);
    }
    write(&at.join("CHANGELOG.md"), "# 2.0\n\nIt works.\n", 0o644);
    write(
        &at.join("LICENSE"),
        "Permission is hereby granted to everybody.\n",
        0o644,
    );
    write(&at.join("work.bash"), "complete -W 'clean inbox' full-work\n", 0o644);
    write(
        &at.join("_work"),
        "#compdef full-work\n_arguments '1: :(clean inbox)'\n",
        0o644,
    );
    write(&at.join("work.fish"), "complete -c full-work -a 'clean inbox'\n", 0o644);
    pack(&at, &at.join("dist"))
}

fn pack(project: &Path, out: &Path) -> PathBuf {
    ok(relpack().arg("build").arg("-C").arg(project).arg("--out").arg(out));
    let mut built = fs::read_dir(out).expect("the directory can be read");
    let built = built.next().expect("there is an artifact");
    built.expect("the directory can be read").path()
}
