//! `target = "bullseye"` on a real Debian 11: systemd 247, and a dpkg that reads no zstd. With `RELPACK_FULL=1`.

use std::fs;
use std::path::Path;

use crate::support::app::relpack;
use crate::support::{App, Behaviour, Host, Machine, Migration, Suite, Transport, sample};

/// What packages for it depend on, since its machine has no network.
const XZ: &str = "xz-utils";

fn app(version: &str, payload: &str) -> App {
    let app = App::new(version).migration(Migration::Ok).timer().settle("0s");
    app.package_line("target = \"bullseye\"")
        .release_line(&format!("payload = {payload:?}"))
}

#[test]
fn applications_are_installed_upgraded_reverted_and_rolled_back() {
    if !sample::full() {
        eprintln!("left out: RELPACK_FULL=1 runs it");
        return;
    }
    let mut host = Host::on(Machine::boot_with(Suite::Bullseye, &[XZ]), Transport::File);
    let sick = app("3.0", "archive")
        .behaviour(Behaviour::NeverHealthy)
        .health_timeout("2s");
    let mut built = host.publish(&[app("1.0", "files"), app("2.0", "archive"), sick]);
    host.install("1.0").expect_ok();
    host.all_well(&built[0], "1.0");
    host.install("2.0").expect_ok();
    host.all_well(&built[1], "2.0");
    host.install("3.0")
        .expect_failure()
        .expect_says("acme 2.0 serves, as before.");
    host.expect_healed("2.0");
    host.all_well(&built[1], "2.0");
    host.m.ok("acme-release rollback");
    host.dpkg_follows("1.0");
    host.all_well(&built[0], "1.0");
    host.m.ok("acme-release verify");
    built.extend(host.publish(&[app("4.0", "files")]));
    host.install("4.0").expect_ok();
    host.all_well(&built[3], "4.0");
    host.m.ok("apt-get install -y -q --allow-downgrades acme=2.0");
    host.all_well(&built[1], "2.0");
    // What is unpacked starts no release before its time, here too.
    host.m.ok("dpkg --unpack /srv/apt/acme_4.0_all.deb");
    host.m.reboot();
    assert_eq!(host.comes_to_serve("2.0").release_id, built[1].release_id);
    host.m.ok("dpkg --configure -a");
    host.all_well(&built[3], "4.0");
    host.m.ok("apt-get purge -y -q acme");
    host.m.ok("[ ! -e /opt/acme/releases ] && [ ! -e /var/lib/relpack ]");
    hello(&host.m);
}

/// The example, with the hardening of its preset as this systemd knows it.
fn hello(m: &Machine) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("hello");
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-R").arg(example).arg(&dir).status().unwrap().success());
    let config = dir.join("relpack.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replacen("[package]\n", "[package]\ntarget = \"bullseye\"\n", 1),
    )
    .unwrap();
    for version in ["1.0.0", "1.1.0"] {
        fs::write(dir.join("build/VERSION"), version).unwrap();
        relpack(&["build", "-C", &dir.display().to_string(), "--version", version]).expect_ok();
        let name = format!("hello_{version}_all.deb");
        m.put(&format!("/root/{name}"), fs::read(dir.join("dist").join(name)).unwrap());
    }
    m.ok(
        "mkdir -p /opt/hello/shared && echo GREETING=hello >/opt/hello/shared/env && dpkg -i /root/hello_1.0.0_all.deb",
    );
    m.ok("curl -sS http://127.0.0.1:3000/").expect_says("1.0.0");
    m.ok("dpkg -i /root/hello_1.1.0_all.deb");
    m.ok("curl -sS http://127.0.0.1:3000/").expect_says("1.1.0");
    m.ok("dpkg -i /root/hello_1.0.0_all.deb");
    m.ok("curl -sS http://127.0.0.1:3000/").expect_says("1.0.0");
    m.ok("hello-release status && hello-release verify");
    let said = m.sh("journalctl -q --no-pager -b | grep -i 'unknown.*\\(lvalue\\|key\\)'");
    assert_eq!(said.text(), "", "directives that this systemd does not know\n{said}");
}
