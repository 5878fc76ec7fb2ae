//! A Cargo project with metadata for cargo-deb on a host: from the package that `cargo deb` made to relpack's, and on from there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::process;
use crate::support::repo::{Repo, Transport};
use crate::support::root::Suite;

on_each_suite![rotated: takes_over_from_cargo_deb];

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

/// The package as `cargo deb` lays it out: real files below `/usr`, and a conffile.
fn plain(dir: &Path, version: &str) -> PathBuf {
    project(dir, version);
    let script = format!(
        r#"install -D target/release/acme-api root/usr/bin/acme-api
        install -D -m 640 deploy/api.conf root/etc/acme-api/api.conf
        install -D -m 644 deploy/hello.txt root/usr/share/acme-api/hello.txt
        install -D -m 644 deploy/acme-api.service root/usr/lib/systemd/system/acme-api.service
        mkdir root/DEBIAN
        printf 'Package: acme-api\nVersion: {version}-1\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: x\n' >root/DEBIAN/control
        echo /etc/acme-api/api.conf >root/DEBIAN/conffiles
        printf '#!/bin/sh\nset -e\nuseradd -r acme\nchgrp acme /etc/acme-api/api.conf\nsystemctl enable --now acme-api\n' >root/DEBIAN/postinst
        chmod 755 root/DEBIAN/postinst
        dpkg-deb --root-owner-group -b root plain.deb"#
    );
    let mut command = Command::new("sh");
    command.args(["-ec", &script]).current_dir(dir);
    process::run(command, "pack it plainly", None, Duration::from_secs(60)).expect_ok();
    dir.join("plain.deb")
}

fn takes_over_from_cargo_deb(suite: Suite) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let at = |name: &str| temp.path().join(name);
    let old = plain(&at("old"), "1.0.0");
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
