//! A Cargo project with metadata for cargo-deb on a host: from the package that `cargo deb` made to relpack's, and on from there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cargo_deb::compress::{CompressConfig, Format};
use cargo_deb::config::{BuildOptions, DebugSymbolOptions};
use cargo_deb::listener::NoOpListener;
use cargo_deb::{CargoDeb, OutputPath};

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::Suite;
use crate::support::{expect_same, process, sample};

on_each_suite![rotated: takes_over_from_cargo_deb, a_real_crate];

const MANIFEST: &str = r#"
[package]
name = "acme-api"
version = "VERSION"
edition = "2021"
authors = ["Acme Ops <ops@acme.example>"]
description = "Acme's API"
license = "MIT"

[package.metadata.deb]
assets = [
    ["target/release/acme-api", "usr/bin/", "755"],
    ["deploy/api.conf", "etc/acme-api/api.conf", "640"],
    ["deploy/hello.txt", "usr/share/acme-api/hello.txt", "644"],
]
maintainer-scripts = "deploy"
systemd-units = { unit-name = "acme-api", unit-scripts = "deploy" }
"#;

const UNIT: &str = "[Unit]
Description=Acme's API

[Service]
ExecStart=/usr/bin/acme-api --config /etc/acme-api/api.conf
User=acme

[Install]
WantedBy=multi-user.target
";

/// What a project has to say beside its units; cargo-deb puts what enables and starts them where the token is.
const POSTINST: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ] && ! getent passwd acme >/dev/null; then
    useradd -r acme
    chgrp acme /etc/acme-api/api.conf
fi
#DEBHELPER#
";

/// Answers with its version, its configuration, and what lies below `/usr/share`.
const SERVER: &str = r#"#!/usr/bin/python3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

if sys.argv[1:] == ["--version"]:
    print("VERSION")
    sys.exit()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for path in [sys.argv[2], "/usr/share/acme-api/hello.txt"]:
            self.wfile.write(open(path, "rb").read())
        self.wfile.write(b"VERSION\n")


HTTPServer(("127.0.0.1", 3000), Handler).serve_forever()
"#;

const CONFIG: &str = r#"
[release]
cargo = "acme-api"
[units."acme-api.service"]
X-Relpack.Health = "http://127.0.0.1:3000/"
"#;

/// A version of the project, built; its program is a script, so that no compiler is needed.
fn project(dir: &Path, version: &str) {
    let put = |path: &str, text: &str, mode: u32| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("it has a directory")).expect("the directory can be made");
        fs::write(&path, text.replace("VERSION", version)).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    };
    put("Cargo.toml", MANIFEST, 0o644);
    put("src/main.rs", "fn main() {}\n", 0o644);
    put("target/release/acme-api", SERVER, 0o755);
    put("deploy/acme-api.service", UNIT, 0o644);
    put("deploy/postinst", POSTINST, 0o755);
    put("deploy/api.conf", "conf=default\n", 0o644);
    put("deploy/hello.txt", "hello from VERSION\n", 0o644);
    put("relpack.toml", CONFIG, 0o644);
}

/// The package as relpack makes it.
fn built(dir: &Path, version: &str) -> PathBuf {
    project(dir, version);
    let report = relpack(&["build", "--json", "-C", &dir.display().to_string()]);
    artifact(&report.expect_ok()).0
}

/// The package as `cargo deb --no-build --no-strip` makes it.
fn packed_by_cargo_deb(project: &Path) -> PathBuf {
    let out = project.join("cargo-deb");
    let packer = CargoDeb {
        options: BuildOptions {
            manifest_path: Some(&project.join("Cargo.toml")),
            debug: DebugSymbolOptions {
                generate_dbgsym_package: Some(false),
                separate_debug_symbols: Some(false),
                compress_debug_symbols: None,
                strip_override: Some(false),
            },
            ..BuildOptions::default()
        },
        no_build: true,
        deb_output: Some(OutputPath {
            path: &out,
            is_dir: true,
        }),
        compress_config: CompressConfig {
            fast: true,
            compress_type: Format::Gzip,
            compress_system: true,
            rsyncable: false,
        },
        ..CargoDeb::default()
    };
    packer.process(&NoOpListener).expect("cargo-deb packs it");
    let mut made = fs::read_dir(&out).expect("it made a directory");
    made.next()
        .expect("with the package in it")
        .expect("it can be read")
        .path()
}

fn takes_over_from_cargo_deb(suite: Suite) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let at = |name: &str| temp.path().join(name);
    project(&at("old"), "1.0.0");
    let old = packed_by_cargo_deb(&at("old"));
    let packages = [built(&at("one"), "1.1.0"), built(&at("two"), "1.2.0")];
    let m = Machine::boot(suite);
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[&old, &packages[0]]);
    let answer = || {
        m.ok("curl -sS --retry 9 --retry-connrefused http://127.0.0.1:3000/")
            .text()
            .to_owned()
    };
    m.ok("apt-get install -y -q acme-api=1.0.0-1");
    assert_eq!(answer(), "conf=default\nhello from 1.0.0\n1.0.0");
    m.ok("sed -i s/default/edited/ /etc/acme-api/api.conf && systemctl restart acme-api");

    m.ok("apt-get install -y -q acme-api=1.1.0-1");
    assert_eq!(answer(), "conf=edited\nhello from 1.1.0\n1.1.0");
    assert_eq!(m.ok("acme-api --version").text(), "1.1.0");
    assert_eq!(
        m.ok("readlink /usr/bin/acme-api").text(),
        "/opt/acme-api/current/bin/acme-api"
    );
    m.ok("systemctl show -p User --value acme-api").expect_says("acme");
    m.ok("readlink -f /proc/$(systemctl show -p MainPID --value acme-api)/cwd")
        .expect_says("/opt/acme-api/");
    m.ok("acme-api-release status && acme-api-release verify");

    repo.add(&m, &[&packages[1]]);
    m.ok("apt-get upgrade -y -q");
    assert_eq!(answer(), "conf=edited\nhello from 1.2.0\n1.2.0");
    m.ok("acme-api-release rollback");
    assert_eq!(answer(), "conf=edited\nhello from 1.1.0\n1.1.0");
    assert_eq!(m.ok("acme-api --version").text(), "1.1.0");
    m.ok("apt-get purge -y -q acme-api");
    m.ok("! ls -d /usr/bin/acme-api* /opt/acme-api /usr/lib/systemd/system/acme-api* /usr/share/acme-api 2>/dev/null");
}

/// doh-proxy as cargo-deb's users have their services: with a unit, a user, a file of settings, and data.
const REAL: &[(&str, &str, u32)] = &[
    (
        "deploy/service",
        "[Unit]
Description=DNS over HTTPS

[Service]
EnvironmentFile=/etc/doh-proxy/env
ExecStartPre=/usr/bin/touch /var/lib/doh-proxy/started
ExecStart=/usr/bin/doh-proxy --listen-address 127.0.0.1:${PORT}
User=doh
StateDirectory=doh-proxy

[Install]
WantedBy=multi-user.target
",
        0o644,
    ),
    ("deploy/env", "PORT=3000\n", 0o644),
    (
        "deploy/postinst",
        "#!/bin/sh\nset -e\ngetent passwd doh >/dev/null || useradd -r doh\n#DEBHELPER#\n",
        0o755,
    ),
];

/// All that `relpack.toml` has to say.
const REAL_CONFIG: &str = "[release]\ncargo = \"doh-proxy\"\n";

fn a_real_crate(suite: Suite) {
    if !sample::full() {
        eprintln!("{suite}: a real crate is built with RELPACK_FULL=1");
        return;
    }
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/doh-proxy/build.sh");
    fs::copy(recipe, temp.path().join("build.sh")).expect("the recipe can be copied");
    let build = Command::new(temp.path().join("build.sh"));
    process::run(build, "build.sh", None, Duration::from_secs(900)).expect_ok();
    let crate_dir = temp.path().join("build/doh-proxy");
    fs::create_dir(crate_dir.join("deploy")).expect("a new directory");
    for (path, text, mode) in REAL {
        fs::write(crate_dir.join(path), text).expect("the file can be written");
        fs::set_permissions(crate_dir.join(path), fs::Permissions::from_mode(*mode)).expect("the mode can be set");
    }
    let manifest = crate_dir.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("the crate has it");
    let revision = |number: u32| {
        let asset = "[\"deploy/env\", \"etc/doh-proxy/env\", \"644\"],";
        let more = format!(
            "[package.metadata.deb]\nrevision = \"{number}\"\nmaintainer-scripts = \"deploy\"\n\
             systemd-units = {{ unit-scripts = \"deploy\" }}\n"
        );
        let changed = text.replacen("[package.metadata.deb]\n", &more, 1).replacen(
            "assets = [",
            &format!("assets = [\n{asset}"),
            1,
        );
        assert!(changed.contains(&more) && changed.contains(asset), "{text}");
        fs::write(&manifest, changed).expect("the manifest can be written");
    };
    revision(1);
    let old = packed_by_cargo_deb(&crate_dir);
    revision(2);
    fs::write(crate_dir.join("relpack.toml"), REAL_CONFIG).expect("the configuration can be written");
    let at = crate_dir.display().to_string();
    relpack(&["lock", "-C", &at]).expect_ok();
    let new = artifact(&relpack(&["build", "--json", "-C", &at]).expect_ok()).0;

    let m = Machine::boot(suite);
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[&old]);
    m.ok("apt-get install -y -q doh-proxy");
    let serves = "curl -sSf -o /dev/null --retry 9 --retry-connrefused http://127.0.0.1:3001/.well-known/odohconfigs";
    m.ok(&format!(
        "sed -i s/3000/3001/ /etc/doh-proxy/env; echo kept >/var/lib/doh-proxy/data; systemctl restart doh-proxy; {serves}"
    ));
    let facts = "systemctl is-enabled doh-proxy; systemctl show -p User doh-proxy; cat /etc/doh-proxy/env
        cat /var/lib/doh-proxy/data; stat -c '%n %U' /var/lib/doh-proxy /var/lib/doh-proxy/*; doh-proxy --version";
    let before = m.ok(facts);
    let program = "readlink /proc/$(systemctl show -p MainPID --value doh-proxy)/exe";
    m.ok(program).expect_says("/usr/bin/doh-proxy");

    repo.add(&m, &[&new]);
    m.ok("apt-get upgrade -y -q");
    m.ok(serves);
    expect_same(&before.stdout, &m.ok(facts).stdout, "what goes on");
    m.ok(program).expect_says("/opt/doh-proxy/");
    m.ok("doh-proxy-release status && doh-proxy-release verify");
}
