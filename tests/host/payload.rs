//! How a release travels: as files that dpkg lists and checks, or as an archive of any compression. It is the same release.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::odd_files::{listing, odd_files};
use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::{App, Host, Suite, sample};
use crate::tarball::{script, unpacked};

const LARGE: u64 = 9 << 30;

on_each_suite![
    rotated:
    as_files,
    every_archive,
    odd_files_are_installed_right,
    a_file_of_9_gib_is_installed,
];

fn app(version: &str) -> App {
    App::new(version)
        .settle("0s")
        .file("static/page.html", "<p>the same in all</p>")
}

fn travels(app: App, payload: &str) -> App {
    app.release_line(&format!("payload = {payload:?}"))
}

/// dpkg has nothing to complain about.
#[track_caller]
fn dpkg_is_content(host: &Host) {
    let said = host.m.ok("dpkg -V acme");
    assert_eq!(said.text(), "", "{said}");
}

/// The number of the file, which hardlinks share.
#[track_caller]
fn inode(host: &Host, path: &str) -> String {
    host.m.ok(&format!("stat -c %i /opt/acme/{path}")).text().to_owned()
}

fn as_files(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    // The same content in the other form restarts nothing.
    let archive = host.deploy(&travels(app("1.0"), "archive"));
    let pid = host.all_well(&archive, "1.0").pid;
    let files = host.deploy(&travels(app("1.1").body("1.0"), "files"));
    assert_eq!(files.release_id, archive.release_id);
    assert_eq!(host.all_well(&files, "1.0").pid, pid, "the form restarted the service");
    m.ok(&format!(
        "dpkg -L acme | grep -x /opt/acme/payload/{}/server.py",
        files.release_id
    ));
    dpkg_is_content(&host);

    // What is new is dpkg's own file under a second name; what is not new is the release's before.
    let next = host.deploy(&app("2.0"));
    host.all_well(&next, "2.0");
    let (old, new) = (&files.release_id, &next.release_id);
    let at = |place: &str, id: &str, file: &str| inode(&host, &format!("{place}/{id}/{file}"));
    assert_eq!(at("payload", new, "body"), at("releases", new, "body"));
    assert_eq!(at("releases", old, "server.py"), at("releases", new, "server.py"));
    m.ok(&format!(
        "[ ! -e /opt/acme/payload/{old} ] && [ ! -e /opt/acme/payload/{old}.manifest ]"
    ));
    m.ok("acme-release verify");
    dpkg_is_content(&host);

    // dpkg puts other files in the place of those that the release shares with it.
    let pid = host.pid("acme.service");
    let said = m.ok("apt-get install -y -q --reinstall acme=2.0");
    assert!(!said.stderr.contains("was changed on this host"), "{said}");
    assert_eq!(host.all_well(&next, "2.0").pid, pid);
    m.ok("acme-release verify");
    dpkg_is_content(&host);

    // Back and forth, by apt and by command.
    m.ok("apt-get install -y -q --allow-downgrades acme=1.1");
    host.all_well(&files, "1.0");
    dpkg_is_content(&host);
    host.install("2.0").expect_ok();
    m.ok("acme-release rollback");
    host.expect_healed("1.1");
    host.all_well(&files, "1.0");
    dpkg_is_content(&host);

    edited(&host);
    m.ok("apt-get purge -y -q acme");
    m.ok("[ ! -e /opt/acme/payload ] && [ ! -e /opt/acme/releases ]");
    // Where the two are not on one file system, nothing can be linked.
    m.ok("mkdir -p /opt/acme/releases && mount -t tmpfs none /opt/acme/releases");
    m.ok("apt-get install -y -q acme=2.0");
    host.all_well(&next, "2.0");
    m.ok("acme-release verify");
}

/// Somebody edits what dpkg delivered: before it is staged, and afterwards.
fn edited(host: &Host) {
    let m = &host.m;
    let next = host.publish(&[app("3.0")]).remove(0);
    let payload = format!("/opt/acme/payload/{}", next.release_id);
    let pid = host.pid("acme.service");
    m.ok("cd /root && apt-get download acme=3.0 && dpkg --unpack acme_3.0_all.deb");
    m.ok(&format!("sed -i 's/3/4/' {payload}/body"));
    m.sh("dpkg --configure acme")
        .expect_failure()
        .expect_says("./body: FAILED")
        .expect_says("the delivered release does not have the hashes of its manifest")
        .expect_says("acme 1.1 serves");
    assert_eq!(host.serves("1.0").pid, pid);
    host.expect_healed("1.1");
    m.ok(&format!("[ ! -e /opt/acme/releases/.{}.partial ]", next.release_id));

    m.ok("apt-get install -y -q acme=3.0");
    host.all_well(&next, "3.0");
    // In place, and so in the release too: dpkg and we both see it, and a reinstallation puts both right.
    m.ok(&format!(
        "echo edited >>{payload}/static/page.html; echo edited >>{payload}/body"
    ));
    m.sh("dpkg -V acme").expect_says(&format!("{payload}/body"));
    m.sh("acme-release verify").expect_failure();
    m.ok("apt-get install -y -q --reinstall acme=3.0")
        .expect_says("it is put right");
    host.all_well(&next, "3.0");
    m.ok("acme-release verify");
    dpkg_is_content(host);
}

/// The build machine's own xz stands for the package that apt would install.
fn every_archive(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    m.put("/usr/bin/xz", fs::read("/usr/bin/xz").expect("xz is in tests/setup"));
    m.ok("chmod 755 /usr/bin/xz");
    for (version, compression, member) in [
        ("1.0", "gzip", "data.tar.gz"),
        ("1.1", "xz", "data.tar.gz"),
        ("1.2", "zstd", "data.tar.zst"),
    ] {
        let app = travels(app(version), "archive").release_line(&format!("compression = {compression:?}"));
        let built = app.build();
        let name = format!("/root/{version}.deb");
        m.put(&name, fs::read(built.path()).expect("the package can be read"));
        m.ok(&format!("dpkg -i --force-depends {name}"));
        host.all_well(&built, version);
        m.ok("acme-release verify");
        let members = m.ok(&format!("head -c 100000 {name} | grep -ao 'data.tar[.a-z]*'"));
        assert_eq!(members.text(), member);
    }
}

/// More than a field of an old tar header holds. It takes that much of the disk, so it runs in full only.
fn a_file_of_9_gib_is_installed(suite: Suite) {
    if !sample::full() {
        return;
    }
    let sparse = |build: &Path| {
        let large = fs::File::create(build.join("large")).expect("the file can be made");
        large.set_len(LARGE).expect("the file system has sparse files");
    };
    let host = Host::boot(suite);
    let limit = Duration::from_secs(900);
    host.publish(&[travels(App::new("1.0").settle("0s").with(sparse), "files")]);
    let installed = host.m.sh_within("apt-get install -y -q acme=1.0", limit).expect_ok();
    host.serves("1.0");
    host.m.sh_within("acme-release verify", limit).expect_ok();
    let size = host.m.ok("stat -c %s /opt/acme/current/large");
    assert_eq!(size.text(), LARGE.to_string());
    host.m.sh_within("apt-get purge -y -q acme", limit).expect_ok();
    host.m.ok("[ ! -e /opt/acme/releases ]");
    eprintln!("{suite}: 9 GiB installed in {:.0} s", installed.took.as_secs_f64());
}

/// What a shell, `sha256sum`, tar or dpkg could misread, through staging in every form, verifying and a rollback.
fn odd_files_are_installed_right(suite: Suite) {
    let odd = tempfile::tempdir().unwrap();
    odd_files(odd.path());
    let app = |version: &str, payload: &str| {
        let app = App::new(version).settle("0s").with(odd_files);
        app.release_line(&format!("payload = {payload:?}"))
    };
    // dpkg takes this name for one of its own.
    let as_files = |version: &str| app(version, "files").release_line("exclude = [\"odd/a.dpkg-new\"]");
    let host = Host::boot(suite);
    let built = host.publish(&[app("1.0", "archive"), as_files("1.1")]);
    let expect = |built: &Built, without: usize| {
        host.m.ok("acme-release verify");
        let release = format!("opt/acme/releases/{}", built.release_id);
        let found = listing(&host.m.root().join(release));
        let all = listing(odd.path());
        let wrong: Vec<_> = all
            .iter()
            .filter(|(path, what)| found.get(*path) != Some(what))
            .collect();
        assert_eq!(wrong.len(), without, "{wrong:?}");
        all.len() - without
    };
    host.install("1.0").expect_ok();
    host.all_well(&built[0], "1.0");
    let count = expect(&built[0], 0);
    host.install("1.1").expect_ok();
    host.all_well(&built[1], "1.1");
    expect(&built[1], 1);
    eprintln!("{suite}: {count} odd files are as they were packed, by dpkg -V too");
    let said = host.m.ok("dpkg -V acme");
    assert_eq!(said.text(), "", "{said}");
    host.m.ok("acme-release rollback");
    host.dpkg_follows("1.0");
    host.all_well(&built[0], "1.0");
    expect(&built[0], 0);
    host.m.ok("apt-get purge -y -q acme");
    host.m.ok("[ ! -e /opt/acme/releases ]");

    let tarball = unpacked(&host.m, &app("1.2", "archive"));
    host.m.ok(&script(&tarball, "install"));
    expect(&tarball, 0);
}
