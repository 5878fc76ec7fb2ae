//! The suites' own lintian: what the build machine's says of our packages, those of Debian 12 and 13 say as well.

use std::fs;
use std::time::Duration;

use crate::common::lintian;
use crate::on_each_suite;
use crate::support::{Machine, Suite, sample};

on_each_suite![its_lintian_has_nothing_to_say];

fn its_lintian_has_nothing_to_say(suite: Suite) {
    if !sample::full() {
        eprintln!("{suite}: its lintian is asked with RELPACK_FULL=1");
        return;
    }
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let host = Machine::boot_with(suite, &["lintian"]);
    for (number, package) in lintian::packages(temp.path()).iter().enumerate() {
        let bytes = fs::read(package).expect("the package can be read");
        host.put(&format!("/root/{number}.deb"), bytes);
    }
    let said = host.sh_within(
        "lintian --version >&2; lintian --allow-root --display-info /root/*.deb",
        Duration::from_secs(120),
    );
    eprintln!("{suite}: {}", said.stderr.trim());
    // 2: something of level "error" was found; what that is stands in the list.
    assert!(said.stderr.contains("Lintian v"), "{said}");
    lintian::expect_nothing(&said.stdout);
}
