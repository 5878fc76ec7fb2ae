//! Code and units belong together in every state that an activation can be left in, also where `/opt` is a file system
//! of its own, which generators do not see at boot.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::sweep::{Point, Tally, caught};
use crate::support::{App, Behaviour, Host, Machine, Migration, Suite, Transport, faults, sample};

on_each_suite![rotated: opt_on_its_own, opt_over_an_older_one, a_boot_in_every_state, a_crash_in_every_window, a_sick_release_does_not_outlive_the_host, a_boot_before_it_is_enabled];

fn app(version: &str) -> App {
    App::new(version).migration(Migration::Ok).timer().settle("0s")
}

/// Runs, and never gets healthy: what an upgrade to it leaves behind can still be asked what it is.
fn bad(version: &str) -> App {
    app(version).behaviour(Behaviour::NeverHealthy).health_timeout("1s")
}

fn host_with_own_opt(suite: Suite) -> Host {
    let mut machine = Machine::powered_off(suite, &[]);
    machine.own_file_system("/opt");
    machine.start();
    machine.ok("mountpoint -q /opt && [ \"$(stat -f -c %T /opt)\" = ext2/ext3 ]");
    Host::on(machine, Transport::Http)
}

fn opt_on_its_own(suite: Suite) {
    let mut host = host_with_own_opt(suite);
    let one = host.deploy(&app("1.0"));
    host.all_well(&one, "1.0");
    let two = host.deploy(&app("2.0"));
    host.all_well(&two, "2.0");
    host.m.reboot();
    host.comes_to_serve("2.0");
    host.all_well(&two, "2.0");

    host.publish(&[bad("3.0")]);
    host.install("3.0").expect_failure().expect_says("acme 2.0 serves");
    host.serves("2.0");
    host.expect_healed("2.0");
    host.all_well(&two, "2.0");

    // The delivered files are those of 4.0 now, and no generator can read which release is live in /opt.
    let four = host.publish(&[app("4.0")]).remove(0);
    host.m.ok("dpkg --unpack /srv/apt/acme_4.0_*.deb");
    host.m.kill9();
    host.m.start();
    host.m.ok("mountpoint -q /opt");
    assert_eq!(host.comes_to_serve("2.0").release_id, two.release_id);
    host.no_unit_failed();
    host.m.ok("dpkg --configure -a");
    host.all_well(&four, "4.0");

    host.m.ok("acme-release rollback");
    host.all_well(&two, "2.0");
    host.m.reboot();
    host.comes_to_serve("2.0");
    host.all_well(&two, "2.0");
}

/// The admin gives `/opt` a disk of its own, and what was there before stays below it, where nobody sees it but a boot.
fn opt_over_an_older_one(suite: Suite) {
    let mut host = host_with_own_opt(suite);
    let disk = "/etc/systemd/system/opt.mount";
    host.m.ok(&format!(
        "systemctl stop opt.mount && mv {disk} /root && systemctl daemon-reload && ! mountpoint -q /opt"
    ));
    let one = host.deploy(&app("1.0"));
    host.m.ok(&format!(
        "systemctl stop acme.service && mv /root/opt.mount {disk} && systemctl daemon-reload && mkdir /mnt/root && \
         mount --bind --make-private / /mnt/root && systemctl start opt.mount && cp -a /mnt/root/opt/. /opt && systemctl start acme.service"
    ));
    host.comes_to_serve("1.0");
    let two = host.deploy(&app("2.0"));
    let hidden = format!("releases/{}", one.release_id);
    assert_eq!(host.m.ok("readlink /mnt/root/opt/acme/current").text(), hidden);
    host.m.ok("umount /mnt/root");
    host.m.reboot();
    host.comes_to_serve("2.0");
    host.all_well(&two, "2.0");
}

/// What is interrupted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Upgrade,
    /// An upgrade to a release that does not get healthy.
    Revert,
    /// By the release command, which dpkg knows nothing of.
    Rollback,
    /// Afterwards the person goes on with it.
    Remove,
    /// Afterwards the person wants to keep it.
    KeepAfterAll,
    /// The first one: what was there before is purged.
    Install,
}

#[derive(Debug, Clone, Copy)]
struct State {
    operation: Operation,
    point: &'static str,
    /// In order, not by a kill.
    reboot: bool,
    /// A person has masked the job that goes on with it.
    masked: bool,
}

impl State {
    /// Nothing was switched to yet, nothing is left to do, or a person has to say what is wanted.
    fn is_left_alone(self) -> bool {
        let early = [
            "before-prepare",
            "after-prepare",
            "before-stage",
            "after-stage",
            "stage-renamed",
            "before-store",
            "after-store",
            "before-migrate",
            "after-migrate",
            "before-switch",
            "after-idle",
        ];
        let by_a_person = matches!(self.operation, Operation::Remove | Operation::KeepAfterAll);
        self.masked || by_a_person || early.contains(&self.point)
    }
}

#[rustfmt::skip]
const POINTS: &[(Operation, &[&str])] = &[
    (Operation::Upgrade, &[
        "before-prepare", "after-prepare", "before-stage", "after-stage", "stage-renamed", "before-store", "after-store",
        "before-migrate", "after-migrate", "before-switch", "after-switch", "switched", "reloaded", "before-start",
        "after-start", "started", "before-finish", "after-finish", "before-idle", "after-idle",
    ]),
    (Operation::Revert, &[
        "before-revert", "after-revert", "reverted", "revert-reloaded", "before-idle", "after-idle",
    ]),
    (Operation::Rollback, &[
        "before-prepare", "after-prepare", "before-store", "after-store", "before-switch", "after-switch", "switched",
        "reloaded", "before-start", "after-start", "started", "before-finish", "after-finish", "before-idle", "after-idle",
    ]),
    (Operation::Remove, &["before-remove", "after-remove"]),
    (Operation::KeepAfterAll, &["before-remove", "after-remove"]),
    (Operation::Install, &[
        "before-prepare", "after-prepare", "before-stage", "after-stage", "stage-renamed", "before-store", "after-store",
        "before-migrate", "after-migrate", "before-switch", "after-switch", "switched", "reloaded", "before-start",
        "after-start", "started", "before-finish", "after-finish", "before-idle", "after-idle",
    ]),
];

/// On each suite.
const STATES_SAMPLED: usize = 10;

fn a_boot_in_every_state(suite: Suite) {
    let all: Vec<State> = POINTS
        .iter()
        .flat_map(|(operation, points)| points.iter().map(|point| (*operation, *point)))
        .flat_map(|(operation, point)| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(reboot, masked)| State {
                operation,
                point,
                reboot,
                masked,
            })
        })
        .collect();
    let states: Vec<State> = sample::pick(all.len(), STATES_SAMPLED)
        .iter()
        .map(|n| all[*n])
        .collect();

    let mut host = host_with_own_opt(suite);
    let mut built = vec![app("1.0").build().with_points()];
    for (n, state) in states.iter().enumerate() {
        let version = format!("{}.0", n + 2);
        let next = if state.operation == Operation::Revert {
            bad(&version)
        } else {
            app(&version)
        };
        built.push(next.build().with_points());
    }
    let paths: Vec<_> = built.iter().map(Built::path).collect();
    host.repo.add(&host.m, &paths);
    host.install("1.0").expect_ok();
    let mut serving = &built[0];
    let mut tally = Tally::default();
    for (number, (state, next)) in (1..).zip(states.iter().zip(&built[1..])) {
        eprintln!("{suite}: {state:?} at {} → {}", serving.version, next.version);
        let result = caught(|| boot_in(&mut host, *state, serving, next));
        if let Ok(serves) = result {
            serving = serves;
        } else {
            host.begin_anew(&serving.version);
        }
        let call = format!("{state:?}");
        tally.add(&Point { number, call }, result.map(drop));
    }
    let floor = if sample::full() { all.len() } else { STATES_SAMPLED };
    tally.expect(
        &format!("{suite}: a boot in every state (of {} that there are)", all.len()),
        floor,
    );
}

/// Goes through one state; returns the release that serves in the end.
fn boot_in<'a>(host: &mut Host, state: State, old: &'a Built, new: &'a Built) -> &'a Built {
    let context = format!("{state:?}");
    let by_apt = format!("apt-get install -y -q acme={}", new.version);
    let command = match state.operation {
        Operation::Upgrade | Operation::Revert => by_apt,
        Operation::Rollback => {
            host.m.ok(&by_apt);
            host.all_well(new, &new.version);
            "acme-release rollback".to_owned()
        }
        Operation::Remove | Operation::KeepAfterAll => "apt-get remove -y -q acme".to_owned(),
        Operation::Install => {
            host.m.ok("apt-get purge -y -q acme && [ ! -e /opt/acme/releases ]");
            by_apt
        }
    };
    faults::arm(&host.m, state.point, faults::HOLD);
    let running = host
        .m
        .spawn(&format!("systemd-run -q --scope --unit=interrupted {command}"));
    faults::hit(&host.m, state.point);
    let verb = if state.masked { "mask" } else { "unmask" };
    host.m.ok(&format!("systemctl {verb} relpack-resume-acme.service"));
    if state.reboot {
        host.m.reboot();
    } else {
        host.m.kill9();
        host.m.start();
    }
    running.wait(Duration::from_secs(30));

    host.resumed();
    if state.operation == Operation::Install && state.is_left_alone() {
        return begun_anew(host, state, new, &context);
    }
    let answer = host.whole(&[old, new], &context);
    if !state.is_left_alone() {
        return went_on(host, state, old, new, &context);
    }
    assert!(
        state.operation != Operation::Remove || answer.code == old.version,
        "{context}: {} serves",
        answer.code
    );
    host.no_unit_failed();

    let m = &host.m;
    match state.operation {
        Operation::Upgrade => {
            m.ok("dpkg --configure -a");
            host.all_well(new, &new.version);
            new
        }
        Operation::Revert => {
            m.sh("dpkg --configure -a")
                .expect_failure()
                .expect_says(&format!("acme {} serves", old.version));
            m.wait_for(
                "dpkg-query -W -f '${db:Status-Abbrev}' acme | grep -q ii",
                Duration::from_secs(60),
            );
            m.healing_has_ended();
            host.all_well(old, &old.version);
            old
        }
        Operation::Rollback => {
            m.ok(&format!(
                "apt-get install -y -q --allow-downgrades acme={}",
                old.version
            ));
            host.all_well(old, &old.version);
            old
        }
        Operation::Remove => {
            m.ok("dpkg --remove acme");
            m.ok("[ ! -e /opt/acme/current ] && [ ! -e /opt/acme/releases ]");
            m.sh("curl -s http://127.0.0.1:3000/").expect_failure();
            m.ok(&format!("apt-get install -y -q acme={}", new.version));
            host.all_well(new, &new.version);
            new
        }
        Operation::Install => unreachable!("begun_anew looks after it"),
        Operation::KeepAfterAll => {
            m.ok(&format!("dpkg -i /srv/apt/acme_{}_*.deb", old.version));
            host.all_well(old, &old.version);
            old
        }
    }
}

/// A first install that nobody has gone on with: what it brought serves whole, or nothing does, until a person goes on.
fn begun_anew<'a>(host: &Host, state: State, new: &'a Built, context: &str) -> &'a Built {
    // What had been enabled comes up with the boot, which need not have got so far.
    if state.point == "after-idle" || host.m.sh("curl -s http://127.0.0.1:3000/").succeeded() {
        host.whole(&[new], context);
    }
    host.no_unit_failed();
    host.m.ok("dpkg --configure -a");
    host.all_well(new, &new.version);
    new
}

/// Nobody has typed anything.
fn went_on<'a>(host: &Host, state: State, old: &'a Built, new: &'a Built, context: &str) -> &'a Built {
    let ends_with = match state.operation {
        Operation::Upgrade | Operation::Install => new,
        _ => old,
    };
    host.dpkg_follows(&ends_with.version);
    let answer = host.all_well(ends_with, &ends_with.version);
    host.m.ok("dpkg --configure -a");
    assert_eq!(
        host.serves(&ends_with.version).pid,
        answer.pid,
        "{context}: it was restarted"
    );
    ends_with
}

/// What the new release brings passed its gate, and the host went down before it was enabled: no boot would start it.
fn a_boot_before_it_is_enabled(suite: Suite) {
    let mut host = Host::boot(suite);
    let with_worker = |version: &str| {
        app(version)
            .extra("[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n")
            .build()
            .with_points()
    };
    let built = [app("1.0").build().with_points(), with_worker("2.0"), with_worker("3.0")];
    let paths: Vec<_> = built.iter().map(Built::path).collect();
    host.repo.add(&host.m, &paths);
    host.install("1.0").expect_ok();

    dies_at(&mut host, "after-finish", "apt-get install -y -q acme=2.0");
    host.resumed();
    host.comes_to_serve("2.0");
    host.m.wait_for(
        "systemctl -q is-active acme-worker.service && systemctl -q is-enabled acme-worker.service",
        Duration::from_secs(10),
    );
    // What follows calls apt, which must not meet the healing's dpkg.
    host.dpkg_follows("2.0");
    for (masked, old, new) in [(true, &built[1], &built[2]), (false, &built[2], &built[1])] {
        let state = State {
            operation: Operation::Install,
            point: "after-finish",
            reboot: true,
            masked,
        };
        boot_in(&mut host, state, old, new);
        host.m.ok("systemctl is-active acme-worker.service");
    }
}

/// A host that dies in the middle of an upgrade to a release that never gets healthy: without anybody, the release before
/// serves again. Where it dies in that, too, it is not tried a third time.
fn a_sick_release_does_not_outlive_the_host(suite: Suite) {
    let mut host = Host::boot(suite);
    let one = host.deploy(&app("1.0"));
    let built: Vec<Built> = [bad("2.0"), app("3.0"), app("4.0")]
        .iter()
        .map(|a| a.build().with_points())
        .collect();
    host.repo.add(&host.m, &[built[0].path()]);
    dies_at(&mut host, "started", "apt-get install -y -q acme=2.0");
    host.resumed();
    host.expect_healed("1.0");
    host.all_well(&one, "1.0");
    host.m
        .ok("acme-release history | tail -n 2")
        .expect_says("2.0")
        .expect_says("failed");
    host.m.ok("apt-get upgrade -y -q");
    host.all_well(&one, "1.0");

    host.repo.add(&host.m, &[built[1].path()]);
    // In the gate of an upgrade, and at the next boot in that of what goes on with it.
    host.m.put(
        "/etc/tmpfiles.d/relpack-faults.conf",
        "d /run/relpack-faults\nf /run/relpack-faults/started - - - - exec sleep 1000\n",
    );
    dies_at(&mut host, "started", "apt-get install -y -q acme=3.0");
    faults::hit(&host.m, "started");
    host.m.ok("rm /etc/tmpfiles.d/relpack-faults.conf");
    host.m.kill9();
    host.m.start();
    host.resumed();
    host.expect_healed("1.0");
    host.all_well(&one, "1.0");
    host.m
        .ok("journalctl -u relpack-resume-acme.service")
        .expect_says("the host went down twice in the middle of its activation");

    // A person who comes meanwhile waits, and finds it done.
    host.repo.add(&host.m, &[built[2].path()]);
    host.m.put(
        "/etc/tmpfiles.d/relpack-faults.conf",
        format!(
            "d /run/relpack-faults\nf /run/relpack-faults/started - - - - {}\n",
            faults::HOLD
        ),
    );
    dies_at(&mut host, "started", "apt-get install -y -q acme=4.0");
    faults::hit(&host.m, "started");
    host.m
        .sh("acme-release status")
        .expect_failure()
        .expect_says("(hint: wait for relpack-resume-acme.service, which goes on with it)");
    let person = host
        .m
        .spawn("dpkg --configure -a >/run/person 2>&1; rc=$?; cat /run/person; exit $rc");
    host.m.wait_for(
        "grep -q 'waiting for relpack-resume-acme.service' /run/person",
        Duration::from_secs(30),
    );
    faults::release(&host.m, "started");
    person
        .wait(Duration::from_secs(60))
        .expect_ok()
        .expect_says("waiting for relpack-resume-acme.service");
    host.resumed();
    host.m.healing_has_ended();
    host.all_well(&built[2], "4.0");
}

/// The whole host, with a command that has come to this point.
fn dies_at(host: &mut Host, point: &str, command: &str) {
    faults::arm(&host.m, point, faults::HOLD);
    let running = host
        .m
        .spawn(&format!("systemd-run -q --scope --unit=interrupted {command}"));
    faults::hit(&host.m, point);
    host.m.kill9();
    host.m.start();
    running.wait(Duration::from_secs(30));
}

fn a_crash_in_every_window(suite: Suite) {
    // What goes back with a service that found its release again by a crash: its restarts must not be held against it.
    let with_worker =
        |app: App| app.extra("[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n");
    let host = Host::boot(suite);
    let one = with_worker(app("1.0")).build().with_points();
    let two = with_worker(app("2.0")).build().with_points();
    let three = with_worker(bad("3.0")).build().with_points();
    host.repo.add(&host.m, &[one.path(), two.path(), three.path()]);
    host.install("1.0").expect_ok();
    host.all_well(&one, "1.0");
    let mut tally = Tally::default();

    // At each point: what a restart by systemd brings up, without and with somebody's daemon-reload before it.
    let upgrade = [
        ("before-prepare", "1.0", "1.0"),
        ("after-switch", "1.0", "1.0"),
        ("switched", "1.0", "2.0"),
        ("reloaded", "2.0", "2.0"),
    ];
    let apt = host.m.spawn("apt-get install -y -q acme=2.0");
    crash_at(&host, &upgrade, &[&one, &two], &mut tally);
    apt.wait(Duration::from_secs(60)).expect_ok();
    host.all_well(&two, "2.0");

    let revert = [
        ("after-revert", "3.0", "3.0"),
        ("reverted", "3.0", "2.0"),
        ("revert-reloaded", "2.0", "2.0"),
    ];
    let apt = host.m.spawn("apt-get install -y -q acme=3.0");
    crash_at(&host, &revert, &[&two, &three], &mut tally);
    apt.wait(Duration::from_secs(60))
        .expect_failure()
        .expect_says("acme 2.0 serves");
    host.serves("2.0");
    host.expect_healed("2.0");
    host.all_well(&two, "2.0");

    // By command, and by apt, which has unpacked the earlier version's files before.
    let back = [
        ("before-prepare", "2.0", "2.0"),
        ("after-switch", "2.0", "2.0"),
        ("switched", "2.0", "1.0"),
        ("reloaded", "1.0", "1.0"),
    ];
    for command in [
        "acme-release rollback",
        "apt-get install -y -q --allow-downgrades acme=1.0",
    ] {
        host.install("2.0").expect_ok();
        host.all_well(&two, "2.0");
        let going_back = host.m.spawn(command);
        crash_at(&host, &back, &[&one, &two], &mut tally);
        going_back.wait(Duration::from_secs(60)).expect_ok();
        host.expect_healed("1.0");
        host.all_well(&one, "1.0");
    }
    let windows = upgrade.len() + revert.len() + 2 * back.len();
    tally.expect(&format!("{suite}: a crash in every window"), windows);
}

fn crash_at(host: &Host, windows: &[(&str, &str, &str)], known: &[&Built], tally: &mut Tally) {
    host.m.ok("rm -rf /run/relpack-faults");
    for (point, _, _) in windows {
        faults::arm(&host.m, point, faults::HOLD);
    }
    for (number, window) in (1..).zip(windows) {
        let call = format!("{window:?}");
        tally.add(&Point { number, call }, caught(|| crash_in(host, *window, known)));
        faults::release(&host.m, window.0);
    }
}

fn crash_in(host: &Host, (point, as_it_is, reloaded): (&str, &str, &str), known: &[&Built]) {
    faults::hit(&host.m, point);
    for (before, expected) in [("true", as_it_is), ("systemctl daemon-reload", reloaded)] {
        let context = format!("at {point}, after `{before}` and a crash");
        host.m.ok(before);
        let pid = host.answers().pid;
        // Else the many crashes use up the start limit.
        host.m
            .ok(&format!("systemctl reset-failed acme.service && kill -KILL {pid}"));
        host.m
            .wait_for(&format!("! [ -d /proc/{pid} ]"), Duration::from_secs(5));
        let answer = host.whole(known, &context);
        assert_eq!(answer.code, expected, "{context}");
    }
}
