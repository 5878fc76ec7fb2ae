//! Kills: apt, dpkg, the scripts or the whole host end in the middle of an upgrade; code and units belong together all the time.

use std::time::{Duration, Instant};

use crate::on_each_suite;
use crate::support::sample;
use crate::support::sweep::{Point, Tally, caught};
use crate::support::{App, Host, Machine, Migration, Suite};

on_each_suite![between_unpack_and_configure; rotated: sweep_over_an_upgrade];

/// Points in time, spread evenly over an upgrade: in full, and in a sample.
const POINTS: (u32, u32) = (30, 12);

fn app(version: &str) -> App {
    App::new(version).migration(Migration::Ok).timer().settle("0s")
}

fn sweep_over_an_upgrade(suite: Suite) {
    let points = if sample::full() { POINTS.0 } else { POINTS.1 };
    let mut host = Host::boot(suite);
    // Every point gets a release of its own: a kept one would not be staged again.
    let body = |n: u32| format!("{n}.0");
    let apps: Vec<App> = (1..=points + 2).map(|n| app(&body(n))).collect();
    let built = host.publish(&apps);
    host.install("1.0").expect_ok();
    let whole = host.install("2.0").expect_ok().took;
    host.all_well(&built[1], "2.0");
    eprintln!("{suite}: an upgrade takes {:.2} s", whole.as_secs_f64());

    // An upgrade takes longer while others test; few points have to lie on both sides of its switch all the same.
    let over = if sample::full() { 1.1 } else { 1.6 };
    let mut seen_old = 0;
    let mut finished_by = [0; WAYS.len()];
    let mut tally = Tally::default();
    for point in 0..points {
        let (old, new) = (point + 2, point + 3);
        let at = whole.mul_f64(over * (f64::from(point) + 0.5) / f64::from(points));
        let result = caught(|| {
            let crash = point % 5 == 4;
            // Where upgrades have become so slow that all points came before the switch, the last one waits for it.
            let serves = (point + 1 == points && seen_old == point)
                .then(|| format!("curl -s http://127.0.0.1:3000/ | grep -q '\"code\": \"{}\"'", body(new)));
            kill_at(&mut host.m, &body(new), point, at, serves.as_deref(), crash);
            // Else what is killed below would be a release on trial.
            host.resumed();
            let dpkg = host.dpkg();
            let answer = host.answers();
            let context = format!(
                "killed {:.2} s into the upgrade {old} → {new}, dpkg says {dpkg:?}",
                at.as_secs_f64()
            );
            belong_together(&host, &built, old, new, &context);
            seen_old += u32::from(answer.code == body(old));

            // A restart by systemd at this point, too.
            let victim = host.answers().pid;
            host.m.ok(&format!("kill -KILL {victim}"));
            host.m
                .wait_for(&format!("! [ -d /proc/{victim} ]"), Duration::from_secs(5));
            belong_together(
                &host,
                &built,
                old,
                new,
                &format!("{context}, then its main process killed"),
            );

            finished_by[finish(&host, &body(new), &context)] += 1;
            host.all_well(&built[new as usize - 1], &body(new));
            let lines = host.migrations();
            let ends = lines
                .iter()
                .filter(|line| **line == format!("end {}", body(new)))
                .count();
            assert_eq!(
                ends, 1,
                "{context}: the migration of {new} ended {ends} times: {lines:?}"
            );
            let partial = host.m.ok("find /opt/acme/releases /opt/acme -maxdepth 1 -name '.*'");
            assert_eq!(partial.text(), "", "{context}: left behind\n{partial}");
        });
        if result.is_err() {
            host.begin_anew(&body(new));
        }
        let named = Point {
            number: point as usize + 1,
            call: format!("{:.2} s into the upgrade {old} → {new}", at.as_secs_f64()),
        };
        tally.add(&named, result);
    }
    eprintln!("{suite}: of {points} points the old release served at {seen_old}");
    for (way, count) in WAYS.iter().zip(finished_by) {
        eprintln!("{suite}: {count} were finished by {way}");
    }
    tally.expect(&format!("{suite}: kills spread over an upgrade"), points as usize);
    assert!(
        seen_old > 0 && seen_old < points,
        "the points do not lie on both sides of the switch"
    );
    let kept = host.m.ok("ls /opt/acme/releases | wc -l");
    assert_eq!(kept.text(), "5", "kept releases after all the kills");
}

/// What finishes an interrupted upgrade. The last is needed where dpkg says "reinstallation required" of a version
/// that is unpacked already (`iUR`): there apt itself only repeats `dpkg --configure`, which refuses.
const WAYS: [&str; 3] = [
    "dpkg --configure -a",
    "the same apt command",
    "apt-get install --reinstall",
];

/// Finishes the upgrade to `version`; returns the index in [`WAYS`] of what did it.
pub fn finish(host: &Host, version: &str, context: &str) -> usize {
    host.m.healing_has_ended();
    let done = || host.dpkg() == format!("ii  {version}");
    let before = host.dpkg();
    let configured = host.m.sh("dpkg --configure -a");
    let incomplete = before.as_bytes().get(2) == Some(&b'R');
    assert!(configured.succeeded() || incomplete, "{context}\n{configured}");
    if done() {
        return 0;
    }
    let again = host.install(version);
    assert!(again.succeeded() || before.starts_with("iUR"), "{context}\n{again}");
    if done() {
        return 1;
    }
    host.m.ok(&format!("apt-get install -y -q --reinstall acme={version}"));
    assert!(done(), "{context}, dpkg says {:?} in the end", host.dpkg());
    2
}

/// Starts the upgrade and kills it with all its children after `at`, and not before `condition` holds; with `crash`, the
/// whole host is killed and booted.
fn kill_at(m: &mut Machine, version: &str, point: u32, at: Duration, condition: Option<&str>, crash: bool) {
    let started = Instant::now();
    let upgrade = m.spawn(&format!(
        "systemd-run -q --scope --unit=up{point} apt-get install -y -q acme={version}"
    ));
    std::thread::sleep(at.saturating_sub(started.elapsed()));
    if let Some(condition) = condition {
        m.wait_for(condition, Duration::from_secs(120));
    }
    if crash {
        m.kill9();
        upgrade.wait(Duration::from_secs(30));
        m.start();
        return;
    }
    // It may have ended already.
    m.sh(&format!("systemctl kill -s KILL up{point}.scope"));
    upgrade.wait(Duration::from_secs(30));
}

/// One whole release serves, old or new, under its own unit file, and `current` points to a whole release.
fn belong_together(host: &Host, built: &[crate::support::app::Built], old: u32, new: u32, context: &str) {
    let answer = host.answers();
    assert_eq!(answer.code, answer.unit, "{context}: code and unit file are parted");
    let serving = built
        .iter()
        .find(|b| b.version == answer.code)
        .map(|b| b.release_id.as_str());
    assert_eq!(
        Some(answer.release_id.as_str()),
        serving,
        "{context}: the release is not the one of its code"
    );
    let allowed = [format!("{old}.0"), format!("{new}.0")];
    assert!(allowed.contains(&answer.code), "{context}: {} serves", answer.code);
    let current = host.current();
    assert!(
        [old, new].iter().any(|n| built[*n as usize - 1].release_id == current),
        "{context}: current is {current}"
    );
}

fn between_unpack_and_configure(suite: Suite) {
    let mut host = Host::boot(suite);
    let old = host.deploy(&App::new("1.0").timer());
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    let new = App::new("2.0").extra(worker).build();
    host.repo.add(&host.m, &[new.path()]);
    let pid = host.pid("acme.service");
    host.m.ok(&format!("dpkg --unpack /srv/apt/{}", file_name(&new)));
    assert!(host.dpkg().starts_with("iU"), "dpkg says {:?}", host.dpkg());
    assert_eq!(host.serves("1.0").pid, pid);

    host.m.ok("systemctl daemon-reload");
    assert_eq!(host.serves("1.0").pid, pid);
    still_old(&host, &old.release_id, "a daemon-reload");

    host.m.ok(&format!("kill -KILL {pid}"));
    host.m
        .wait_for(&format!("! [ -d /proc/{pid} ]"), Duration::from_secs(5));
    still_old(&host, &old.release_id, "a crash of the service");

    host.m.ok("systemctl restart acme.service");
    still_old(&host, &old.release_id, "a restart by a person");

    host.m.reboot();
    still_old(&host, &old.release_id, "a reboot");

    host.m.kill9();
    host.m.start();
    still_old(&host, &old.release_id, "a crash of the host");

    host.m.ok("dpkg --configure -a");
    host.all_well(&new, "2.0");
    assert_eq!(host.enabled("acme.service acme-worker.service"), "enabled enabled");
    host.m.ok("systemctl is-active acme-worker.service");
    host.m.sh("systemctl is-active acme-report.timer").expect_failure();
    host.m.reboot();
    host.comes_to_serve("2.0");
    host.m.ok("systemctl is-active acme-worker.service");
}

fn file_name(built: &crate::support::app::Built) -> String {
    built
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The old release serves under its own units, with its timer, and nothing of the unpacked one has started.
fn still_old(host: &Host, id: &str, after: &str) {
    let answer = host.comes_to_serve("1.0");
    assert_eq!(answer.release_id, id, "after {after}");
    let timer = host.m.sh("systemctl is-active acme-report.timer");
    assert_eq!(timer.text(), "active", "the old release's timer after {after}");
    let worker = host.m.sh("systemctl is-active acme-worker.service");
    assert_ne!(worker.text(), "active", "the new release's service after {after}");
    host.no_unit_failed();
}
