//! Failed deploys: the old release serves on, apt says why, and soon works again for everything else.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::{App, Behaviour, Host, Migration, Suite};

on_each_suite![
    the_migration_fails,
    the_app_exits_at_once,
    the_app_never_gets_healthy,
    the_unit_file_is_wrong,
    a_variable_is_missing;
    sampled:
    the_migration_hangs,
    the_migration_outlives_its_postinst,
    the_migration_is_killed_with_its_postinst,
    the_app_dies_after_3s,
    the_app_without_a_check_dies_after_3s,
    without_any_package_to_heal_from,
    tried_again_on_purpose,
    one_at_a_time,
];

const UNITS: &str = "acme.service acme-report.timer";

fn app(version: &str) -> App {
    App::new(version).timer()
}

/// What must hold before the failing version comes.
struct Before {
    host: Host,
    pid: u64,
}

fn old_serves(suite: Suite) -> Before {
    let host = Host::boot(suite);
    let built = host.deploy(&app("1.0"));
    let pid = host.all_well(&built, "1.0").pid;
    Before { host, pid }
}

/// Publishes `bad` as 2.0, lets apt upgrade, and goes through all that has to follow. `says` is what the message must
/// name; `stopped` is whether the old release may have been stopped for it.
fn fails_and_heals(suite: Suite, bad: &App, says: &[&str], stopped: bool) {
    let Before { host, pid } = old_serves(suite);
    let m = &host.m;
    host.publish(std::slice::from_ref(bad));
    let failed = m.sh("apt-get upgrade -y -q").expect_failure();
    eprintln!(
        "{suite}: apt ended after {:.2} s with\n{}",
        failed.took.as_secs_f64(),
        failed.stderr.trim_end()
    );
    let mut failed = failed.expect_says("acme 1.0 serves").expect_says("hint:");
    for words in says {
        failed = failed.expect_says(words);
    }
    let answer = host.serves("1.0");
    if !stopped {
        assert_eq!(
            answer.pid, pid,
            "the old release was restarted although nothing had changed yet"
        );
    }
    assert_eq!(host.enabled(UNITS), "enabled enabled");
    m.ok("systemctl is-active acme-report.timer");
    host.no_unit_failed();

    let took = host.expect_healed("1.0");
    eprintln!("{suite}: dpkg was in line {took:.2} s after apt had ended");
    assert_eq!(host.serves("1.0").pid, answer.pid, "healing restarted the service");
    assert_eq!(host.enabled(UNITS), "enabled enabled");
    m.ok("acme-release status");
    m.ok("acme-release history").expect_says("failed");

    let fixed = host.publish(&[app("3.0")]).remove(0);
    m.ok("apt-get upgrade -y -q");
    host.all_well(&fixed, "3.0");
    m.ok("[ ! -e /etc/apt/preferences.d/relpack-acme.pref ]");
    // 2.0 may not have left anything that a boot would start.
    m.ok("systemctl daemon-reload");
    host.no_unit_failed();
}

fn the_migration_fails(suite: Suite) {
    let bad = app("2.0").migration(Migration::Fail);
    let says = [
        "migration failed",
        "column does not exist",
        "journalctl -u acme-migrate.service",
    ];
    fails_and_heals(suite, &bad, &says, false);
}

fn the_migration_hangs(suite: Suite) {
    let bad = app("2.0").migration(Migration::Hang).migration_timeout("2s");
    let says = ["did not end within 2 s", "journalctl -u acme-migrate.service"];
    fails_and_heals(suite, &bad, &says, false);
}

fn the_app_exits_at_once(suite: Suite) {
    let bad = app("2.0").behaviour(Behaviour::ExitAtOnce);
    fails_and_heals(
        suite,
        &bad,
        &["status 4", "cannot read the settings", "journalctl -u acme.service"],
        true,
    );
}

fn the_app_never_gets_healthy(suite: Suite) {
    let bad = app("2.0").behaviour(Behaviour::NeverHealthy).health_timeout("8s");
    fails_and_heals(
        suite,
        &bad,
        &["did not become healthy within 8 s", "503", "journalctl -u acme.service"],
        true,
    );
}

fn the_app_dies_after_3s(suite: Suite) {
    let bad = app("2.0").behaviour(Behaviour::DieAfter3s).settle("5s");
    fails_and_heals(
        suite,
        &bad,
        &["within 5 s of being healthy", "journalctl -u acme.service"],
        true,
    );
}

fn the_app_without_a_check_dies_after_3s(suite: Suite) {
    let bad = app("2.0")
        .behaviour(Behaviour::DieAfter3s)
        .without_health()
        .settle("8s");
    fails_and_heals(suite, &bad, &["status 5", "journalctl -u acme.service"], true);
}

fn the_unit_file_is_wrong(suite: Suite) {
    let bad = app("2.0").service_line("Service.ExecStartPre = \"/usr/bin/there-is-no-such-program\"");
    fails_and_heals(
        suite,
        &bad,
        &["acme.service", "there-is-no-such-program", "journalctl -u acme.service"],
        true,
    );
}

fn a_variable_is_missing(suite: Suite) {
    let Before { host, pid } = old_serves(suite);
    let m = &host.m;
    let built = host.publish(&[app("2.0").required("DATABASE_URL")]).remove(0);
    let failed = m.sh("apt-get upgrade -y -q").expect_failure();
    eprintln!("{suite}: {}", failed.stderr.trim_end());
    failed
        .expect_says("/opt/acme/shared/env")
        .expect_says("DATABASE_URL")
        .expect_says("acme 1.0 serves");
    assert_eq!(host.serves("1.0").pid, pid, "the old release was touched");
    host.expect_healed("1.0");
    // The person sets it, and tries again on purpose.
    m.ok("echo DATABASE_URL=postgres://db/acme >>/opt/acme/shared/env");
    m.ok("apt-get install -y -q acme=2.0");
    host.all_well(&built, "2.0");
}

/// Starts the upgrade to a version whose migration takes some seconds, waits until that runs, and kills apt, dpkg and
/// the scripts.
fn killed_while_migrating(suite: Suite) -> Before {
    let before = old_serves(suite);
    let host = &before.host;
    host.publish(&[app("2.0").migration(Migration::Slow(10))]);
    let mut apt = host
        .m
        .spawn("systemd-run -q --scope --unit=killed apt-get upgrade -y -q");
    host.m.wait_for(
        "grep -q 'start 2.0' /opt/acme/shared/data/migrations",
        Duration::from_secs(30),
    );
    assert!(apt.is_running(), "apt ended before its migration did");
    host.m.ok("systemctl kill -s KILL killed.scope");
    let killed = apt.wait(Duration::from_secs(10));
    assert_eq!(killed.code, 137, "{killed}");
    assert_eq!(host.serves("1.0").pid, before.pid, "the old release was touched");
    before
}

fn the_migration_outlives_its_postinst(suite: Suite) {
    let Before { host, .. } = killed_while_migrating(suite);
    let m = &host.m;
    m.ok("systemctl show -p ActiveState --value acme-migrate.service")
        .expect_says("activating");
    m.ok("dpkg --configure -a");
    assert_eq!(
        host.migrations(),
        ["start 2.0 acme", "end 2.0"],
        "it ran twice, or was cut off"
    );
    host.serves("2.0");
    host.expect_dpkg("2.0");
    host.no_unit_failed();
    host.expect_healed("2.0");
}

fn the_migration_is_killed_with_its_postinst(suite: Suite) {
    let Before { host, .. } = killed_while_migrating(suite);
    let m = &host.m;
    m.ok("systemctl kill -s KILL acme-migrate.service");
    m.wait_for(
        "! systemctl is-active acme-migrate.service | grep -q activating",
        Duration::from_secs(10),
    );
    host.serves("1.0");
    // Between unpack and configure systemctl may say `generated`; the links are what counts at a boot.
    m.ok("cd /etc/systemd/system && [ -L multi-user.target.wants/acme.service ] && [ -L timers.target.wants/acme-report.timer ]");
    // What a person, or the next run of apt, does.
    host.repo.add_unrelated(m, "bystander", "1.0");
    m.ok("dpkg --configure -a");
    m.ok("apt-get install -y -q bystander");
    assert_eq!(host.enabled(UNITS), "enabled enabled");
    assert_eq!(host.migrations(), ["start 2.0 acme", "start 2.0 acme", "end 2.0"]);
    host.serves("2.0");
    host.expect_dpkg("2.0");
    host.no_unit_failed();
}

fn without_any_package_to_heal_from(suite: Suite) {
    let Before { host, .. } = old_serves(suite);
    let m = &host.m;
    m.ok("rm -rf /var/lib/relpack/acme/debs && apt-get clean");
    host.repo.withdraw(m, "acme");
    host.publish(&[app("2.0").behaviour(Behaviour::ExitAtOnce)]);
    let failed = m.sh("apt-get upgrade -y -q").expect_failure();
    failed.expect_says("acme-release accept").expect_says("acme 1.0 serves");
    let pid = host.serves("1.0").pid;
    // apt's next runs retry what is half-configured: they say why, and touch nothing.
    host.repo.add_unrelated(m, "bystander", "1.0");
    m.sh("apt-get install -y -q bystander")
        .expect_failure()
        .expect_says("Nothing was tried again");
    assert_eq!(host.serves("1.0").pid, pid);

    m.ok("acme-release accept");
    host.expect_dpkg("2.0");
    assert_eq!(host.serves("1.0").pid, pid);
    m.ok("acme-release status").expect_says("parked");
    m.ok("apt-get install -y -q bystander");
    m.ok("apt-get upgrade -y -q");
    m.ok("dpkg --configure -a");
    assert_eq!(host.serves("1.0").pid, pid);
    let fixed = host.publish(&[app("3.0")]).remove(0);
    m.ok("apt-get upgrade -y -q");
    host.all_well(&fixed, "3.0");
}

fn tried_again_on_purpose(suite: Suite) {
    let Before { host, .. } = old_serves(suite);
    let m = &host.m;
    let needs = "Service.ExecStartPre = \"/usr/bin/test -e /etc/acme-is-allowed\"";
    let built = host.publish(&[app("2.0").service_line(needs)]).remove(0);
    m.sh("apt-get upgrade -y -q").expect_failure();
    host.expect_healed("1.0");
    m.sh("acme-release retry").expect_failure();
    host.serves("1.0");
    host.expect_healed("1.0");
    m.ok("touch /etc/acme-is-allowed && acme-release retry");
    host.all_well(&built, "2.0");
    m.ok("[ ! -e /etc/apt/preferences.d/relpack-acme.pref ]");
}

fn one_at_a_time(suite: Suite) {
    let Before { host, .. } = old_serves(suite);
    let m = &host.m;
    let two = host.deploy(&app("2.0"));
    let three = host.publish(&[app("3.0").migration(Migration::Slow(12))]).remove(0);
    let apt = m.spawn("apt-get upgrade -y -q");
    m.wait_for(
        "grep -q 'start 3.0' /opt/acme/shared/data/migrations",
        Duration::from_secs(30),
    );
    // A person who is in a hurry is told who is at work, and nothing is touched.
    for verb in ["rollback", "prune"] {
        m.sh(&format!("acme-release {verb}"))
            .expect_failure()
            .expect_says("another activation of acme is running")
            .expect_says("postinst of acme 3.0");
    }
    m.sh("acme-release status").expect_says("migrate");
    assert_eq!(host.serves("2.0").release_id, two.release_id);
    apt.wait(Duration::from_secs(60)).expect_ok();
    host.all_well(&three, "3.0");
    // The lock did not leak into a daemon: the next one gets it.
    m.ok("acme-release rollback");
    host.serves("2.0");
}
