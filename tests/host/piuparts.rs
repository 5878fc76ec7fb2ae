//! piuparts on the example: installed, removed, installed again, upgraded and purged in a bare root without systemd
//! running, it leaves nothing behind and changes no file of others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::process;
use crate::support::root::{self, Suite};

on_each_suite![
    rotated:
    the_example_leaves_nothing_behind,
];

fn build(version: &str, out: &Path) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    let report = relpack(&[
        "build",
        "--json",
        "-C",
        &example.display().to_string(),
        "--version",
        version,
        "--out",
        &out.display().to_string(),
    ]);
    artifact(&report.expect_ok()).0
}

/// A mirror that has the earlier version and nothing else: what the example needs is in the root. So no network is
/// asked, and Debian's own `hello` is not met.
fn mirror(directory: &Path, suite: Suite) {
    build("1.0.0", &directory.join("pool"));
    let index = format!("dists/{suite}/main/binary-amd64");
    fs::create_dir_all(directory.join(&index)).expect("the directory can be made");
    let script = format!(
        "apt-ftparchive packages pool >{index}/Packages && apt-ftparchive -o APT::FTPArchive::Release::Suite={suite} \
         -o APT::FTPArchive::Release::Codename={suite} release dists/{suite} >Release && mv Release dists/{suite}/"
    );
    let mut command = Command::new("sh");
    command.args(["-ec", &script]).current_dir(directory);
    process::run(command, "apt-ftparchive", None, Duration::from_secs(60)).expect_ok();
}

fn the_example_leaves_nothing_behind(suite: Suite) {
    let root = root::cached(suite, &[]);
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| temp.path().join(name);
    // The chroot's apt reads it as another user.
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    mirror(&path("mirror"), suite);
    let newer = build("1.1.0", &path("new"));
    // The mirror is not signed; and dpkg takes an empty /opt away with the package, whoever made it.
    let hook = path("hooks/post_chroot_unpack_keep_opt");
    fs::create_dir_all(path("hooks")).expect("the directory can be made");
    let script = "#!/bin/sh\nset -e\ntouch /opt/.keep\necho 'Acquire::AllowInsecureRepositories true;' >/etc/apt/apt.conf.d/99local\n";
    fs::write(&hook, script).expect("the hook can be written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    fs::create_dir_all(path("work")).expect("the directory can be made");

    // It copies the root and works in the copy.
    let mut piuparts = Command::new("piuparts");
    piuparts
        .arg("--existing-chroot")
        .arg(&root)
        .arg("--distribution")
        .arg(suite.name())
        .arg("--mirror")
        .arg(format!("file:{} main", path("mirror").display()))
        .arg("--bindmount")
        .arg(path("mirror"))
        .arg("--scriptsdir")
        .arg(path("hooks"))
        .arg("--tmpdir")
        .arg(path("work"))
        .args([
            "--no-eatmydata",
            "--do-not-verify-signatures",
            "--install-remove-install",
            // Debian 13's debconf makes it at the first installation of any package.
            "--ignore-regex=/var/cache/debconf/tmp[.]ci.*",
        ])
        .arg(&newer);
    let said = process::run(piuparts, "piuparts", None, Duration::from_secs(600)).expect_ok();
    eprintln!("{suite}: piuparts took {:.0} s", said.took.as_secs_f64());
    // That it met the earlier version, and did not only skip that part.
    said.expect_says("PASS: Installation and purging test.")
        .expect_says("PASS: Installation, upgrade and purging tests.");
}
