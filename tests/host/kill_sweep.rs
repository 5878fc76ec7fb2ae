//! The kill sweep: SIGKILL to dpkg and all its children at every mutating system call of an install, an upgrade, a
//! rollback and a removal. Afterwards one whole release serves (of an install or a removal: one or none) under its own
//! units, and the same command brings the wanted state, with exactly the files of an undisturbed run.

use std::collections::BTreeMap;

use crate::support::app::{Answer, Built};
use crate::support::sweep::{self, Break, Look, Tally};
use crate::support::{App, Host, Migration, Suite, Transport, sample};
use crate::{hold, on_each_suite};

on_each_suite![sampled: install, upgrade, rollback, remove];

/// Points of a sample, all of which have to hold.
const FLOOR: usize = 10;
const FLOOR_FULL: usize = 130;

/// Each has a unit that the other hasn't, and one travels as files, the other as an archive.
fn versions(suite: Suite) -> [App; 2] {
    let app = |version: &str| {
        let files = (suite == Suite::Bookworm) == (version == "2.0");
        let payload = if files { "files" } else { "archive" };
        let app = App::new(version).migration(Migration::Ok).settle("0s");
        app.release_line(&format!("payload = {payload:?}"))
    };
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    [app("1.0").timer(), app("2.0").extra(worker)]
}

struct Operation<'a> {
    command: &'a str,
    /// What finishes it with apt, in the order in which a person would try them.
    again: &'a [&'a str],
    from: Option<&'a Built>,
    to: Option<&'a Built>,
    /// What dpkg says in the end.
    dpkg: &'a str,
}

/// What apt itself says to type where dpkg was interrupted.
const CONFIGURE: &str = "dpkg --configure -a";

fn install(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let built = host.publish(&versions(suite));
    let same = "apt-get install -y -q acme=1.0";
    let operation = Operation {
        command: "dpkg -i /srv/apt/acme_1.0_all.deb",
        again: &[same, CONFIGURE, same, "apt-get install -y -q --reinstall acme=1.0"],
        from: None,
        to: Some(&built[0]),
        dpkg: "ii  1.0",
    };
    sweep_over(&host, suite, "install", &operation);
}

fn upgrade(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let built = host.publish(&versions(suite));
    host.install("1.0").expect_ok();
    let same = "apt-get install -y -q acme=2.0";
    let operation = Operation {
        command: "dpkg -i /srv/apt/acme_2.0_all.deb",
        again: &[same, CONFIGURE, same, "apt-get install -y -q --reinstall acme=2.0"],
        from: Some(&built[0]),
        to: Some(&built[1]),
        dpkg: "ii  2.0",
    };
    sweep_over(&host, suite, "upgrade", &operation);
}

fn rollback(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let built = host.publish(&versions(suite));
    host.install("1.0").expect_ok();
    host.install("2.0").expect_ok();
    let same = "apt-get install -y -q --allow-downgrades acme=1.0";
    let operation = Operation {
        command: "dpkg -i /srv/apt/acme_1.0_all.deb",
        again: &[
            same,
            CONFIGURE,
            same,
            "apt-get install -y -q --allow-downgrades --reinstall acme=1.0",
        ],
        from: Some(&built[1]),
        to: Some(&built[0]),
        dpkg: "ii  1.0",
    };
    sweep_over(&host, suite, "rollback", &operation);
}

fn remove(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let built = host.publish(&versions(suite));
    host.install("1.0").expect_ok();
    let same = "apt-get remove -y -q acme";
    let operation = Operation {
        command: "dpkg -r acme",
        again: &[same, CONFIGURE, same],
        from: Some(&built[0]),
        to: None,
        dpkg: "rc  1.0",
    };
    sweep_over(&host, suite, "removal", &operation);
}

fn sweep_over(host: &Host, suite: Suite, name: &str, operation: &Operation) {
    let m = &host.m;
    sweep::prepare(m);
    sweep::take(m, "before");
    let points = sweep::points(m, Break::Kill, operation.command);
    let undisturbed = sweep::look(m, "end");
    as_wanted(&undisturbed, operation, &undisturbed).unwrap_or_else(|why| panic!("without a kill: {why}"));

    let mut tally = Tally::default();
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    let mut sides = [0, 0];
    for index in sweep::pick(points.len(), FLOOR) {
        let (_, point) = sweep::broken(m, "before", Break::Kill, index + 1, operation.command);
        let result = at_point(
            host,
            operation,
            index.is_multiple_of(2),
            &undisturbed,
            &mut ways,
            &mut sides,
        );
        tally.add(&point, result);
    }
    eprintln!(
        "{suite}: killed at points of {} of the {name}; what was there before served at {} of them, else what was to come",
        points.len(),
        sides[0]
    );
    for (way, count) in ways {
        eprintln!("{suite}: {count} finished by {way}");
    }
    tally.expect(
        &format!("{suite}: kills in the {name}"),
        if sample::full() { FLOOR_FULL } else { FLOOR },
    );
}

fn at_point(
    host: &Host,
    operation: &Operation,
    by_apt: bool,
    undisturbed: &Look,
    ways: &mut BTreeMap<String, usize>,
    sides: &mut [usize; 2],
) -> Result<(), String> {
    let none_may_run = operation.from.is_none() || operation.to.is_none();
    let look = sweep::look(&host.m, if none_may_run { "start" } else { "crash" });
    one_whole(&look, operation, none_may_run).map_err(|why| format!("{why}\n{look:#?}"))?;
    sides[usize::from(look.current != operation.from.map_or("", |built| &built.release_id))] += 1;

    // The same command is always enough. With apt it may take two, the first being what apt itself asks for.
    let commands = if by_apt {
        operation.again
    } else {
        std::slice::from_ref(&operation.command)
    };
    let commands: Vec<String> = commands.iter().map(|command| format!("'{command}'")).collect();
    let finished = host.m.sh(&format!(
        "sh /srv/sweep.sh finish '{}' {}",
        operation.dpkg,
        commands.join(" ")
    ));
    let Some((_, way)) = finished.stdout.split_once("finished by ") else {
        return Err(format!("dpkg said {:?}; nothing finished it\n{finished}", look.dpkg));
    };
    // All that was tried until then.
    let tried = finished.stdout.lines().filter(|line| line.starts_with("$ ")).count();
    let refused = finished.stdout.contains("you must manually run 'dpkg --configure -a'");
    let way = match (way.trim(), tried, refused) {
        (way, 1, _) => way.to_owned(),
        (way, 2, true) => format!("{way}, as apt says"),
        (way, _, true) => format!("{CONFIGURE}, as apt says, then {way}"),
        (way, _, false) => format!("{way}, after apt said something else than {CONFIGURE}"),
    };
    *ways.entry(way).or_default() += 1;

    let end = sweep::look(&host.m, "end");
    as_wanted(&end, operation, undisturbed)
        .map_err(|why| format!("dpkg said {:?}; in the end: {why}\n{finished}", look.dpkg))
}

/// One whole release serves; where `none_may_run`, that or nothing at all.
fn one_whole(look: &Look, operation: &Operation, none_may_run: bool) -> Result<(), String> {
    // A timer that the live release hasn't, whose service is gone with it, has "failed" until the upgrade is finished.
    let newer_is_live = look.second.as_ref().is_some_and(|answer| answer.code == "2.0");
    let wrong: Vec<&String> = look
        .wrong
        .iter()
        .filter(|line| !(newer_is_live && line.starts_with("failed acme-report.timer not-found")))
        .collect();
    hold!(wrong.is_empty(), "{wrong:?}");
    let known: Vec<&Built> = [operation.from, operation.to].into_iter().flatten().collect();
    for answer in [&look.first, &look.second] {
        match answer {
            None => hold!(none_may_run, "nothing answers"),
            Some(answer) => belongs_together(answer, &known)?,
        }
    }
    if look.current.is_empty() {
        hold!(none_may_run, "`current` is gone");
    } else {
        let known = known.iter().any(|built| built.release_id == look.current);
        hold!(known, "`current` names {}", look.current);
        if let Some(second) = &look.second {
            hold!(
                second.release_id == look.current,
                "after a crash something else than `current` runs"
            );
        }
    }
    if look.second.as_ref().is_some_and(|answer| answer.code == "1.0") {
        // Of a rollback that is not finished, the units that only the newer one has may still run, and others not yet.
        let left = operation.from.is_some_and(|built| built.version == "2.0");
        hold!(
            left || !look.worker.starts_with("active"),
            "a unit runs that the live release doesn't have"
        );
        hold!(
            !look.worker.ends_with("loaded"),
            "a unit would start that the live release doesn't have"
        );
        hold!(
            none_may_run || left || look.timer.starts_with("active"),
            "a unit of the live release does not run"
        );
    }
    Ok(())
}

fn belongs_together(answer: &Answer, known: &[&Built]) -> Result<(), String> {
    hold!(answer.code == answer.unit, "code and unit file are parted: {answer:?}");
    let same = known
        .iter()
        .any(|built| built.version == answer.code && built.release_id == answer.release_id);
    hold!(same, "an unknown release runs: {answer:?}");
    Ok(())
}

/// Everything is as an undisturbed run leaves it.
fn as_wanted(end: &Look, operation: &Operation, undisturbed: &Look) -> Result<(), String> {
    hold!(end.wrong.is_empty(), "{:?}", end.wrong);
    hold!(end.dpkg == operation.dpkg, "dpkg says {:?}", end.dpkg);
    match operation.to {
        None => {
            hold!(end.first.is_none(), "it still answers");
            hold!(end.current.is_empty(), "`current` is still there");
        }
        Some(built) => {
            hold!(end.current == built.release_id, "`current` is {}", end.current);
            let serves = end.first.as_ref().map(|answer| answer.code.as_str());
            hold!(serves == Some(built.version.as_str()), "{serves:?} serves");
            let newer = built.version == "2.0";
            hold!(
                end.worker.starts_with("active") == newer,
                "acme-worker.service is {}",
                end.worker
            );
            hold!(
                end.timer.starts_with("active") != newer,
                "acme-report.timer is {}",
                end.timer
            );
        }
    }
    let left: Vec<_> = end.files.difference(&undisturbed.files).collect();
    let lost: Vec<_> = undisturbed.files.difference(&end.files).collect();
    hold!(left.is_empty(), "left behind: {left:?}");
    hold!(lost.is_empty(), "lost: {lost:?}");
    hold!(
        end.migrated == undisturbed.migrated,
        "migrations ended: {:?}",
        end.migrated
    );
    Ok(())
}
