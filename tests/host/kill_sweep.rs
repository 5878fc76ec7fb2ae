//! The kill sweep: SIGKILL to dpkg and all its children at every mutating system call of an install, an upgrade, a
//! rollback and a removal. Afterwards one whole release serves (of an install or a removal: one or none) under its own
//! units, and the same command brings the wanted state, with exactly the files of an undisturbed run.

use std::collections::BTreeMap;

use crate::support::app::{Answer, Built};
use crate::support::sweep::{self, Break, Look, Tally};
use crate::support::{App, Host, Machine, Migration, Suite, Transport, sample};
use crate::{hold, on_each_suite};

on_each_suite![rotated: install, upgrade, rollback, remove];

/// Points of a sample, and of all, all of which have to hold.
const FLOORS: [usize; 2] = [10, 130];

/// Each has a unit and a link that the other hasn't, and one travels as files, the other as an archive.
pub fn versions(suite: Suite) -> [App; 2] {
    let link =
        |name: &str, version: &str| format!("[files.\"/usr/bin/acme-{name}\"]\nlink = \"current/bin/tell-{version}\"");
    let app = |version: &str| {
        let files = (suite == Suite::Bookworm) == (version == "2.0");
        let payload = if files { "files" } else { "archive" };
        let app = App::new(version).migration(Migration::Ok).settle("0s");
        app.release_line(&format!("payload = {payload:?}"))
            .file(&format!("bin/tell-{version}"), "#!/bin/sh\necho told\n")
            .extra(&link("ask", version))
            .extra(&link(&format!("only-{version}"), version))
    };
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    [app("1.0").timer(), app("2.0").extra(worker)]
}

pub struct Operation<'a> {
    pub command: &'a str,
    /// What finishes it with apt, in the order in which a person would try them.
    pub again: &'a [&'a str],
    pub from: Option<&'a Built>,
    pub to: Option<&'a Built>,
    /// What is recorded in the end: see `recorded` in sweep.sh.
    pub record: &'a str,
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
        record: "ii  1.0",
    };
    sweep_over(&host.m, "install", &operation, FLOORS);
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
        record: "ii  2.0",
    };
    sweep_over(&host.m, "upgrade", &operation, FLOORS);
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
        record: "ii  1.0",
    };
    sweep_over(&host.m, "rollback", &operation, FLOORS);
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
        record: "rc  1.0",
    };
    sweep_over(&host.m, "removal", &operation, FLOORS);
}

/// Kills the operation at its points: at least so many of a sample, and of all.
pub fn sweep_over(m: &Machine, name: &str, operation: &Operation, floors: [usize; 2]) {
    let suite = m.suite();
    sweep::prepare(m);
    sweep::take(m, "before");
    let points = sweep::points(m, Break::Kill, operation.command);
    let undisturbed = sweep::look(m, "end");
    as_wanted(&undisturbed, operation, &undisturbed).unwrap_or_else(|why| panic!("without a kill: {why}"));

    let mut tally = Tally::default();
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    let mut sides = [0, 0];
    for index in sweep::pick(points.len(), floors[0]) {
        let (_, point) = sweep::broken(m, "before", Break::Kill, index + 1, operation.command);
        let result = at_point(
            m,
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
        floors[usize::from(sample::full())],
    );
}

fn at_point(
    m: &Machine,
    operation: &Operation,
    by_apt: bool,
    undisturbed: &Look,
    ways: &mut BTreeMap<String, usize>,
    sides: &mut [usize; 2],
) -> Result<(), String> {
    let none_may_run = operation.from.is_none() || operation.to.is_none();
    let look = sweep::look(m, if none_may_run { "start" } else { "crash" });
    one_whole(&look, operation, none_may_run).map_err(|why| format!("{why}\n{look:#?}"))?;
    sides[usize::from(look.current != operation.from.map_or("", |built| &built.release_id))] += 1;

    // The same command is always enough. With apt it may take two, the first being what apt itself asks for.
    let commands = if by_apt {
        operation.again
    } else {
        std::slice::from_ref(&operation.command)
    };
    let commands: Vec<String> = commands.iter().map(|command| format!("'{command}'")).collect();
    let finished = m.sh(&format!(
        "sh /srv/sweep.sh finish '{}' {}",
        operation.record,
        commands.join(" ")
    ));
    let Some((_, way)) = finished.stdout.split_once("finished by ") else {
        return Err(format!(
            "the record said {:?}; nothing finished it\n{finished}",
            look.record
        ));
    };
    // All that was tried until then.
    let tried = finished.stdout.lines().filter(|line| line.starts_with("$ ")).count();
    let refused = finished.stdout.contains("you must manually run 'dpkg --configure -a'");
    let way = match (way.trim(), tried, refused) {
        (way, 1, _) => way.to_owned(),
        (way, 2, true) => format!("{way}, as apt says"),
        (way, _, true) => format!("{CONFIGURE}, as apt says, then {way}"),
        (way, _, false) => {
            return Err(format!(
                "{way}, after apt said something else than {CONFIGURE}\n{finished}"
            ));
        }
    };
    let by_reinstalling = way.contains("--reinstall");
    hold!(
        !by_reinstalling || look.record.starts_with("iUR"),
        "{way}, although the record said {:?}\n{finished}",
        look.record
    );
    *ways.entry(way).or_default() += 1;

    let end = sweep::look(m, "end");
    as_wanted(&end, operation, undisturbed)
        .map_err(|why| format!("the record said {:?}; in the end: {why}\n{finished}", look.record))
}

/// One whole release serves; where `none_may_run`, that or nothing at all.
fn one_whole(look: &Look, operation: &Operation, none_may_run: bool) -> Result<(), String> {
    // A timer that the live release hasn't, whose service is gone with it, has "failed" until the upgrade is finished; its
    // file may still be there, hidden by the generator.
    let newer_is_live = look.second.as_ref().is_some_and(|answer| answer.code == "2.0");
    let is_left = |line: &String| {
        ["not-found", "masked"]
            .iter()
            .any(|state| line.starts_with(&format!("failed acme-report.timer {state}")))
    };
    let wrong: Vec<&String> = look
        .wrong
        .iter()
        .filter(|line| !(newer_is_live && is_left(line)))
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
    hold!(end.record == operation.record, "the record says {:?}", end.record);
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
