//! First installs that can't start at once: a setting is missing, or no systemd runs; and one that fails.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{PORT, artifact, relpack};
use crate::support::{App, Behaviour, Host, Machine, Migration, Repo, Suite, Transport};

on_each_suite![
    a_variable_is_missing,
    the_example_hello;
    rotated:
    without_systemd,
    a_variable_is_set_beforehand,
    a_variable_is_missing_at_a_reboot,
    a_variable_is_missing_for_two_versions,
    nothing_to_go_back_to,
];

fn app(version: &str) -> App {
    App::new(version).migration(Migration::Ok).timer()
}

fn a_variable_is_missing(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[app("1.0").required("DATABASE_URL")]).remove(0);
    let said = host.install("1.0").expect_ok();
    eprintln!("{suite}: {}", said.stderr.trim_end());
    said.expect_says("DATABASE_URL")
        .expect_says("/opt/acme/shared/env")
        .expect_says("systemctl start acme-report.timer acme.service");
    host.expect_dpkg("1.0");
    assert_eq!(host.current(), built.release_id);
    assert_eq!(host.enabled("acme.service acme-report.timer"), "enabled enabled");
    assert_eq!(host.pid("acme.service"), 0);
    assert!(host.migrations().is_empty(), "the migration ran without its settings");
    host.no_unit_failed();
    // A second run changes nothing of that.
    m.ok("apt-get install --reinstall -y -q acme");
    assert_eq!(host.pid("acme.service"), 0);

    m.ok("echo DATABASE_URL=postgres://db/acme >>/opt/acme/shared/env");
    m.ok("systemctl start acme.service");
    host.comes_to_serve("1.0");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    host.all_well(&built, "1.0");
    // Not again at the next start.
    m.ok("systemctl restart acme.service");
    host.comes_to_serve("1.0");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let next = host.deploy(&app("2.0").required("DATABASE_URL"));
    host.all_well(&next, "2.0");
}

fn a_variable_is_set_beforehand(suite: Suite) {
    let host = Host::boot(suite);
    // As configuration management does, before the package is there.
    host.m
        .put("/opt/acme/shared/env", "DATABASE_URL='postgres://db/acme'\n");
    let built = host.deploy(&app("1.0").required("DATABASE_URL"));
    host.all_well(&built, "1.0");
    let pid = host.pid("acme.service");
    host.m.ok(&format!(
        "tr '\\0' '\\n' </proc/{pid}/environ | grep -qx DATABASE_URL=postgres://db/acme"
    ));
}

fn a_variable_is_missing_at_a_reboot(suite: Suite) {
    let mut host = Host::boot(suite);
    host.deploy(&app("1.0").required("DATABASE_URL"));
    host.m.reboot();
    assert_eq!(host.pid("acme.service"), 0, "it was started without its settings");
    assert!(host.migrations().is_empty(), "the migration ran without its settings");
    host.no_unit_failed();
    host.m.ok("echo DATABASE_URL=postgres://db/acme >>/opt/acme/shared/env");
    host.m.reboot();
    host.comes_to_serve("1.0");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
}

fn a_variable_is_missing_for_two_versions(suite: Suite) {
    let host = Host::boot(suite);
    let app = |version| app(version).required("DATABASE_URL");
    host.deploy(&app("1.0"));
    let next = host.deploy(&app("2.0"));
    assert_eq!(host.pid("acme.service"), 0);
    host.expect_dpkg("2.0");
    assert_eq!(host.current(), next.release_id);
    host.m.ok("echo DATABASE_URL=postgres://db/acme >>/opt/acme/shared/env");
    host.m.ok("systemctl start acme.service");
    host.comes_to_serve("2.0");
    assert_eq!(host.migrations(), ["start 2.0 acme", "end 2.0"]);
    host.all_well(&next, "2.0");
}

fn without_systemd(suite: Suite) {
    let mut m = Machine::powered_off(suite, &[]);
    // Images are made from the smallest of roots.
    m.ok("rmdir /opt");
    let repo = Repo::new(&m, Transport::File);
    let built = app("1.0").build();
    repo.add(&m, &[built.path()]);
    let said = m.ok("apt-get install -y -q acme");
    eprintln!("{suite}: {}", said.stderr.trim_end());
    m.ok("getent passwd acme && [ -d /opt/acme/shared/data ]");
    m.ok("[ -e /opt/acme/current/server.py ] && [ ! -e /opt/acme/shared/data/migrations ]");
    let processes = m.sh("pgrep -a python3");
    assert_eq!(processes.text(), "", "{processes}");
    let audit = m.ok("dpkg --audit");
    assert_eq!(audit.text(), "", "{audit}");

    m.start();
    let host = Host { m, repo };
    host.comes_to_serve("1.0");
    host.all_well(&built, "1.0");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let times = host.m.ok(
        "systemctl show -p ExecMainExitTimestampMonotonic --value acme-first-start.service; \
         systemctl show -p ExecMainStartTimestampMonotonic --value acme.service",
    );
    let times: Vec<u64> = times.stdout.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(
        times.len() == 2 && 0 < times[0] && times[0] < times[1],
        "migration's end and app's start: {times:?}"
    );
    host.m.ok("systemctl is-active acme-report.timer");
    // The next boot does not migrate again, and the next version deploys as usual.
    host.m.ok("[ ! -e /var/lib/relpack/acme/pending-migration ]");
    let next = host.deploy(&app("2.0"));
    host.all_well(&next, "2.0");
    assert_eq!(host.migrations().len(), 4);
}

fn nothing_to_go_back_to(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.publish(&[app("1.0").behaviour(Behaviour::ExitAtOnce)]);
    let failed = host.install("1.0").expect_failure();
    eprintln!("{suite}: {}", failed.stderr.trim_end());
    failed
        .expect_says("status 4")
        .expect_says("no earlier release")
        .expect_says("journalctl -u acme.service")
        .expect_says("hint:");
    assert_eq!(host.pid("acme.service"), 0);
    let state = m.sh("systemctl is-active acme.service acme-report.timer");
    assert!(
        !state
            .stdout
            .lines()
            .any(|line| line == "active" || line == "activating"),
        "{state}"
    );
    let kept = m.ok("ls -A /opt/acme/releases | wc -l");
    assert_eq!(kept.text(), "1", "the release is kept for inspection");
    // The next run tries again, and does not migrate again.
    m.sh("dpkg --configure -a").expect_failure();
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let fixed = host.deploy(&app("1.1"));
    host.all_well(&fixed, "1.1");
}

/// The README's tour, on a real host.
fn the_example_hello(suite: Suite) {
    let m = Machine::boot(suite);
    let repo = Repo::new(&m, Transport::Http);
    let out = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
    let out = out.path().display().to_string();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");
    let build = |version: &str| {
        let report = relpack(&["build", "--json", "-C", example, "--out", &out, "--version", version]);
        artifact(&report.expect_ok()).0
    };
    repo.add(&m, &[&build("1.0.0")]);
    let start = "systemctl start hello-report.timer hello.service";
    m.ok("apt-get install -y -q hello")
        .expect_says("GREETING")
        .expect_says(start);
    m.ok(&format!("echo GREETING=Moin >>/opt/hello/shared/env && {start}"));
    let url = format!("http://127.0.0.1:{PORT}");
    m.wait_for(&format!("curl -sf {url}/healthz"), Duration::from_secs(10));
    m.ok(&format!("curl -sf {url}/"))
        .expect_says("Moin")
        .expect_says("\"visits\": 1");
    m.ok("hello-release status").expect_says("1.0.0");
    m.ok("systemctl list-timers").expect_says("hello-report.timer");
    // What a service has printed reaches the journal a moment later.
    m.ok("systemctl start hello-report && journalctl --sync && journalctl --no-pager -o cat -u hello-report")
        .expect_says("1 visits");
    m.wait_for(
        "journalctl --no-pager -o cat -u 'hello-*' | grep 'schema 2, it was 0'",
        Duration::from_secs(10),
    );

    // A request in flight is answered although the service stops meanwhile.
    let slow = m.spawn(&format!("curl -sf '{url}/?delay=3'"));
    // Established, accepted (it has an inode), and read: what only waits to be accepted is nobody's yet.
    m.wait_for(
        "awk '$2 ~ /:0BB8$/ && $4 == \"01\" && $5 ~ /:00000000$/ && $10 != 0 { found = 1 } END { exit !found }' /proc/net/tcp",
        Duration::from_secs(5),
    );
    let pid = m.ok("systemctl show -p MainPID --value hello").stdout;
    m.ok("systemctl restart hello");
    assert_ne!(pid, m.ok("systemctl show -p MainPID --value hello").stdout);
    slow.wait(Duration::from_secs(20)).expect_ok().expect_says("Moin");

    // Same content under another version: nothing restarts.
    let pid = m.ok("systemctl show -p MainPID --value hello").stdout;
    repo.add(&m, &[&build("1.0.1")]);
    m.ok("apt-get upgrade -y -q");
    assert_eq!(pid, m.ok("systemctl show -p MainPID --value hello").stdout);
    m.ok("dpkg-query -W hello").expect_says("1.0.1");
    m.ok("apt-get purge -y -q hello");
}
