//! The harness itself: a host boots, obeys, survives a crash, and leaves nothing behind.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::on_each_suite;
use crate::support::{Machine, Repo, Suite, Transport, cgroup};

on_each_suite![lives_and_dies, installs_from_the_repository, leaves_nothing_behind];

fn lives_and_dies(suite: Suite) {
    let started = Instant::now();
    let mut m = Machine::boot(suite);
    eprintln!("{suite}: booted in {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(m.suite(), suite);
    m.ok(&format!("grep -q VERSION_CODENAME={suite} /etc/os-release"));
    // What a package script asks to know whether systemd runs here.
    m.ok("[ -d /run/systemd/system ] && [ / -ef /proc/1/root/. ]");
    let failed = m.ok("systemctl list-units --failed --no-legend --plain");
    assert_eq!(failed.text(), "", "units failed at boot\n{failed}");

    let bad = m.sh("echo to-out; echo to-err >&2; exit 7");
    assert_eq!((bad.code, bad.text(), bad.stderr.trim()), (7, "to-out", "to-err"));
    m.put("/var/tmp/deep/er/file", b"one\0two");
    assert_eq!(m.read("/var/tmp/deep/er/file"), "one\0two");

    m.ok("systemd-run -q --collect --unit=relpack-heal-any.service sleep 3");
    m.healing_has_ended();
    m.sh("pgrep -fx 'sleep 3'").expect_failure();

    let boot = m.ok("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1").stdout;
    let first = m.ok("journalctl --list-boots | wc -l").text().to_owned();
    m.reboot();
    m.kill9();
    assert!(!m.is_running());
    m.ok("[ -f /var/tmp/deep/er/file ] && [ ! -d /run/systemd/system ] && [ -d /proc/1 ]");
    m.start();
    let last = m.ok("journalctl --list-boots | wc -l").text().to_owned();
    assert_ne!(first, last, "no new boot in the journal; at first:\n{boot}");
    m.poweroff();
    m.start();
    m.ok("[ -f /var/tmp/deep/er/file ]");
}

fn installs_from_the_repository(suite: Suite) {
    let mut m = Machine::boot(suite);
    for transport in [Transport::File, Transport::Http] {
        let name = match transport {
            Transport::File => "by-file",
            Transport::Http => "by-http",
        };
        let repo = Repo::new(&m, transport);
        repo.add_unrelated(&m, name, "1.0");
        m.ok(&format!("apt-get install -y {name}"));
        repo.add_unrelated(&m, name, "2.0");
        let took = m.ok("apt-get upgrade -y").took;
        eprintln!("{suite}: upgrade by {transport:?} took {:.2} s", took.as_secs_f64());
        m.ok(&format!("grep -qx '{name} 2.0' /usr/share/doc/{name}/README"));
        let cached = m.ok("find /var/cache/apt/archives -name '*.deb' | wc -l");
        let expected = if transport == Transport::Http { "2" } else { "0" };
        assert_eq!(cached.text(), expected, "packages in apt's cache\n{cached}");

        repo.offline(&m);
        repo.online(&m);
        repo.withdraw(&m, name);
        m.ok(&format!("apt-get purge -y {name}"));
        m.sh(&format!("apt-get install -y {name}")).expect_failure();
    }
    m.reboot();
    m.wait_for("apt-get update", Duration::from_secs(20));
}

fn leaves_nothing_behind(suite: Suite) {
    let m = Machine::boot(suite);
    let root = m.root();
    let name = m.name().to_owned();
    assert!(cgroup::exists(&name), "it runs in the control group of the tests");
    let mut background = m.spawn("sleep 1000");
    assert!(background.is_running());
    drop(m);
    assert!(!root.exists(), "{} is still there", root.display());
    assert!(!cgroup::exists(&name), "its control group is still there");
    let propagated = Path::new("/run/systemd/nspawn/propagate").join(&name);
    assert!(!propagated.exists(), "{} is still there", propagated.display());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    assert!(
        !mounts.contains(&root.display().to_string()),
        "still mounted:\n{mounts}"
    );
    let ended = background.wait(Duration::from_secs(5));
    assert_ne!(ended.code, 0, "{ended}");

    // After a panic in the test too.
    let mut seen = None;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let m = Machine::boot(suite);
        seen = Some(m.root());
        m.ok("false");
    }));
    assert!(result.is_err());
    let root = seen.unwrap_or_default();
    assert!(
        root != Path::new("") && !root.exists(),
        "{} is still there",
        root.display()
    );
}
