//! Staging: what is taken from a kept release, what is refused, and that a release is all that its manifest says.

use crate::on_each_suite;
use crate::support::{App, Host, Suite};

on_each_suite![
    rotated:
    only_files_go,
    a_payload_with_other_content,
];

/// Nothing has to be extracted but links and directories.
fn only_files_go(suite: Suite) {
    let host = Host::boot(suite);
    let with = App::new("1.0")
        .settle("0s")
        .file("gone/extra.txt", "extra")
        .file("odd name, 'quoted' ü.txt", "odd");
    let without = App::new("1.1")
        .body("1.0")
        .settle("0s")
        .file("odd name, 'quoted' ü.txt", "odd");
    host.deploy(&with);
    host.serves("1.0");
    let built = host.deploy(&without);
    host.all_well(&built, "1.0");
    host.m.ok("acme-release verify && [ ! -e /opt/acme/current/gone ]");
}

/// The payload is a proper archive with the right names, but a file in it has other bytes than the manifest says.
fn a_payload_with_other_content(suite: Suite) {
    let host = Host::boot(suite);
    let built = host.deploy(&App::new("1.0").settle("0s"));
    let pid = host.all_well(&built, "1.0").pid;
    let app = App::new("2.0").settle("0s").release_line("payload = \"archive\"");
    let next = host.publish(&[app]).remove(0);
    let id = &next.release_id;
    host.m.ok(&format!(
        "cd /root && apt-get download acme=2.0 && dpkg --unpack acme_2.0_all.deb && mkdir t && cd t && \
         zstd -dq </opt/acme/payload/{id}.tar.zst | tar -x && echo '2.0 ' >body && \
         tar -c . | zstd -q >/opt/acme/payload/{id}.tar.zst"
    ));
    host.m
        .sh("dpkg --configure acme")
        .expect_failure()
        .expect_says("./body: FAILED")
        .expect_says("does not have the hashes of its manifest")
        .expect_says("acme 1.0 serves");
    assert_eq!(host.serves("1.0").pid, pid);
    host.expect_healed("1.0");
    host.m.ok(&format!(
        "[ ! -e /opt/acme/releases/{id} ] && [ ! -e /opt/acme/releases/.{id}.partial ]"
    ));
    // The same version from an undamaged package installs.
    host.m.ok("apt-get install -y -q acme=2.0");
    host.all_well(&next, "2.0");
}
