//! What a run finds that comes after another one: a rerun, a reinstallation, a healing, a boot. What it can't do takes nothing
//! back that serves, and it starts nothing that nobody wants.

use std::time::Duration;

use crate::elsewhere::{does_at_boot, does_at_shutdown, spawn_unhurried};
use crate::on_each_suite;
use crate::support::{App, Behaviour, Host, Migration, Suite, Transport, faults};

on_each_suite![
    a_rerun_that_fails_takes_nothing_back,
    a_switch_at_shutdown_is_taken_back,
    a_postponed_switch_is_taken_back,
    a_shutdown_excuses_no_missing_setting,
    what_is_new_runs_under_the_next_release,
    healing_runs_no_job_again,
    what_a_release_brings_ends_alone,
    a_first_install_that_was_killed_is_enabled_by_the_next,
    what_was_stopped_in_between_stays_so,
];

const WORKER: &str = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
/// Ends the script at its point, and so dpkg's run.
const DIE: &str = "kill -KILL $$";

fn app(version: &str) -> App {
    App::new(version).settle("0s")
}

/// Killed while it tidied up, and what it requires is gone since.
fn a_rerun_that_fails_takes_nothing_back(suite: Suite) {
    let host = Host::boot(suite);
    let built = [
        app("1.0").build(),
        app("2.0").required("TOKEN").extra(WORKER).build().with_points(),
    ];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    host.install("1.0").expect_ok();
    host.m.ok("echo TOKEN=x >>/opt/acme/shared/env");
    faults::arm(&host.m, "after-finish", DIE);
    host.install("2.0").expect_failure();
    let pid = host.serves("2.0").pid;

    host.m.ok("sed -i /TOKEN/d /opt/acme/shared/env");
    host.m
        .sh("dpkg --configure acme")
        .expect_failure()
        .expect_says("acme 2.0 is live, but: /opt/acme/shared/env lacks what this version requires: TOKEN");
    assert_eq!(host.serves("2.0").pid, pid);
    host.dpkg_follows("2.0");
    assert_eq!(host.serves("2.0").pid, pid);
    host.m
        .sh("acme-release status")
        .expect_failure()
        .expect_says("an activation of 2.0 stopped at step finish (hint: apt-get install --reinstall acme=2.0)");

    // What it had not enabled yet is still known to be new.
    host.m.ok("echo TOKEN=x >>/opt/acme/shared/env");
    host.m.ok("apt-get install -y -q --reinstall acme=2.0");
    assert_eq!(host.all_well(&built[1], "2.0").pid, pid);
    assert_eq!(host.enabled("acme-worker.service"), "enabled");
}

/// The host goes down, and takes the upgrade with it that had just switched for its next boot, in which it turns out sick.
fn a_switch_at_shutdown_is_taken_back(suite: Suite) {
    let mut host = Host::boot_with(suite, Transport::File);
    let on_demand = format!("{WORKER}Install.WantedBy = \"\"\n");
    let built = [
        app("1.0").migration(Migration::Ok).extra(&on_demand).build(),
        app("2.0")
            .migration(Migration::Fail)
            .extra(&WORKER.replace("worker", "new"))
            .extra(WORKER)
            .build()
            .with_points(),
    ];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    host.install("1.0").expect_ok();
    assert_eq!(host.enabled("acme-worker.service"), "static");
    faults::arm(&host.m, "before-finish", faults::DIE_RECORDING);
    does_at_shutdown(
        &host.m,
        "apt-get install -y -q acme=2.0; cat /var/lib/relpack/acme/journal; systemctl is-enabled acme-worker.service",
    );
    host.m.reboot();
    let late = host.m.read("/var/log/late");
    assert!(late.contains("step=switch\n") && late.contains("touched=\n"), "{late}");
    assert!(late.ends_with("\nenabled\n"), "{late}");

    host.resumed();
    host.comes_to_serve("1.0");
    host.expect_healed("1.0");
    host.all_well(&built[0], "1.0");
    host.m
        .ok("acme-release history | tail -n 2")
        .expect_says("the migration failed");
    expect_enabled_as_before(&host);
    // Else the next start would run the migration of 1.0 once more.
    host.m.ok("[ ! -e /var/lib/relpack/acme/pending-migration ]");
}

/// The same of one that the shutdown interrupts while its new release is watched, and that can switch no more than that.
fn a_postponed_switch_is_taken_back(suite: Suite) {
    let mut host = Host::boot_with(suite, Transport::File);
    let sick = app("2.0").behaviour(Behaviour::NeverHealthy).health_timeout("9s");
    let built = [
        app("1.0").extra(&format!("{WORKER}Install.WantedBy = \"\"\n")).build(),
        sick.extra(&WORKER.replace("worker", "new"))
            .extra(WORKER)
            .build()
            .with_points(),
    ];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    host.install("1.0").expect_ok();
    faults::arm(&host.m, "before-finish", faults::DIE_RECORDING);
    let upgrade = spawn_unhurried(&host.m, "apt-get install -y -q acme=2.0");
    host.m.wait_for(
        "grep -qx step=start /var/lib/relpack/acme/journal && systemctl -q is-active acme-new.service",
        Duration::from_secs(30),
    );
    host.m.reboot();
    drop(upgrade);
    let midway = host.m.read("/var/log/midway");
    assert!(midway.contains("acme 2.0 serves from the next boot on"), "{midway}");
    host.resumed();
    host.comes_to_serve("1.0");
    host.expect_healed("1.0");
    host.all_well(&built[0], "1.0");
    expect_enabled_as_before(&host);
}

/// What it lacks is no fault of the shutdown in which that is noticed.
fn a_shutdown_excuses_no_missing_setting(suite: Suite) {
    let mut host = Host::boot_with(suite, Transport::File);
    let built = [app("1.0").build(), app("2.0").required("TOKEN").build().with_points()];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    host.install("1.0").expect_ok();
    faults::arm(
        &host.m,
        "after-store",
        "while [ \"$(systemctl is-system-running)\" != stopping ]; do sleep 0.1; done",
    );
    let upgrade = spawn_unhurried(&host.m, "apt-get install -y -q acme=2.0");
    faults::hit(&host.m, "after-store");
    host.m.reboot();
    drop(upgrade);
    let midway = host.m.read("/var/log/midway");
    assert!(midway.contains("lacks what this version requires: TOKEN"), "{midway}");
    host.resumed();
    host.comes_to_serve("1.0");
    host.expect_healed("1.0");
    host.all_well(&built[0], "1.0");
}

/// 2.0, which was taken back, enabled the worker and a unit of its own.
#[track_caller]
fn expect_enabled_as_before(host: &Host) {
    assert_eq!(host.enabled("acme-worker.service"), "static");
    host.m
        .ok("! find /etc/systemd/system /var/lib/systemd/deb-systemd-helper-enabled -name 'acme-new*' | grep .");
}

/// The host went down before a new unit was enabled, and what comes next is another release, of a person or of a boot.
fn what_is_new_runs_under_the_next_release(suite: Suite) {
    let mut host = Host::boot_with(suite, Transport::File);
    let built = [
        app("1.0").build(),
        app("2.0").extra(WORKER).build().with_points(),
        app("3.0").extra(WORKER).build(),
    ];
    let paths: Vec<_> = built.iter().map(|built| built.path()).collect();
    host.repo.add(&host.m, &paths);
    for at_boot in [false, true] {
        host.install("1.0").expect_ok();
        host.m.ok("systemctl mask relpack-resume-acme.service");
        if at_boot {
            does_at_boot(
                &host.m,
                "among",
                "dpkg -i /srv/apt/acme_3.0_all.deb",
                "After=acme.service",
                "multi-user.target",
            );
        }
        faults::arm(&host.m, "after-finish", faults::HOLD);
        let running = host
            .m
            .spawn("systemd-run -q --scope --unit=interrupted apt-get install -y -q acme=2.0");
        faults::hit(&host.m, "after-finish");
        host.m.kill9();
        host.m.start();
        running.wait(Duration::from_secs(30));
        if at_boot {
            let among = host.m.read("/var/log/among");
            assert!(among.starts_with("starting\n") && among.ends_with("rc 0\n"), "{among}");
        } else {
            host.m.ok("dpkg -i /srv/apt/acme_3.0_all.deb");
        }
        host.comes_to_serve("3.0");
        host.m.wait_for(
            "systemctl -q is-active acme-worker.service && systemctl -q is-enabled acme-worker.service",
            Duration::from_secs(10),
        );
        host.m.ok("systemctl unmask relpack-resume-acme.service");
        host.all_well(&built[2], "3.0");
        host.m.ok("apt-get purge -y -q acme && rm -rf /opt/acme");
    }
}

/// What is not to be restarted by a deploy is not started by one that changes nothing.
fn healing_runs_no_job_again(suite: Suite) {
    let host = Host::boot(suite);
    let job = "[units.\"acme-batch.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"bin/batch\"\n";
    let batch = "#!/bin/sh\necho run >>/opt/acme/shared/data/runs\n[ ! -e /etc/batch-fails ]\n";
    let app = |version: &str| app(version).extra(job).file("bin/batch", batch);
    let one = host.deploy(&app("1.0"));
    host.m.ok("touch /etc/batch-fails");
    host.m.sh("systemctl start acme-batch.service").expect_failure();
    let runs = || host.m.read("/opt/acme/shared/data/runs");
    let before = runs();
    host.m.ok("apt-get install -y -q --reinstall acme=1.0");
    host.serves("1.0");
    assert_eq!(runs(), before);
    host.publish(&[app("2.0").migration(Migration::Fail)]);
    host.install("2.0").expect_failure();
    host.dpkg_follows("1.0");
    assert_eq!(runs(), before);
    host.m.ok("systemctl reset-failed acme-batch.service");
    host.all_well(&one, "1.0");
}

/// By a person, after dpkg was killed and before it was run again.
fn what_was_stopped_in_between_stays_so(suite: Suite) {
    let host = Host::boot(suite);
    let built = [app("1.0").build(), app("2.0").extra(WORKER).build().with_points()];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    host.install("1.0").expect_ok();
    faults::arm(&host.m, "before-idle", DIE);
    host.install("2.0").expect_failure();
    assert_eq!(host.enabled("acme-worker.service"), "enabled");
    host.m.ok("systemctl stop acme-worker.service");
    host.m.ok("dpkg --configure -a");
    host.m
        .sh("systemctl is-active acme-worker.service")
        .expect_failure()
        .expect_says("inactive");
    host.all_well(&built[1], "2.0");
}

/// Every service requires the unit of the first migration; that one goes with a revert, and nothing else by it.
fn what_a_release_brings_ends_alone(suite: Suite) {
    let host = Host::boot(suite);
    let cache = "[units.\"acme-cache.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n\
                 X-Relpack.OnUpgrade = \"none\"\n";
    let one = host.deploy(&app("1.0").extra(cache));
    let pid = host.pid("acme-cache.service");
    let sick = app("2.0").extra(cache).migration(Migration::Ok);
    host.publish(&[sick.behaviour(Behaviour::NeverHealthy).health_timeout("2s")]);
    host.install("2.0").expect_failure().expect_says("acme 1.0 serves");
    host.expect_healed("1.0");
    assert_eq!(host.pid("acme-cache.service"), pid);
    host.all_well(&one, "1.0");
    // And with a release that has no migrations any more.
    let three = host.deploy(&app("3.0").extra(cache).migration(Migration::Ok));
    host.all_well(&three, "3.0");
    let four = host.deploy(&app("4.0").extra(cache));
    assert_eq!(host.pid("acme-cache.service"), pid);
    host.all_well(&four, "4.0");
}

fn a_first_install_that_was_killed_is_enabled_by_the_next(suite: Suite) {
    let host = Host::boot(suite);
    let built = [app("1.0").build().with_points(), app("2.0").build()];
    host.repo.add(&host.m, &[built[0].path(), built[1].path()]);
    faults::arm(&host.m, "after-finish", DIE);
    host.install("1.0").expect_failure();
    host.serves("1.0");
    host.install("2.0").expect_ok();
    host.all_well(&built[1], "2.0");
    assert_eq!(host.enabled("acme.service"), "enabled");
    host.m.ok("acme-release rollback");
    host.serves("1.0");
}
