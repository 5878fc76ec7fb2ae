//! Finds the files of the release that units execute, and checks that they are there.

use crate::model::{AbsPath, Lint, TreePath};
use crate::systemd::{DropIn, Entry, Origin, Section, Unit, UnitError, UnitFile, exec};
use crate::tree::{Node, Tree};

use super::{PlanError, shebang};

/// One command of a unit.
#[derive(PartialEq)]
pub struct Executed {
    /// Where it is said.
    found: UnitError,
    /// The program, as a path in the release.
    pub path: String,
}

/// Every program below `{app}` that a unit names as the first word of an `Exec…=` line.
pub fn executed(units: &[Unit], drop_ins: &[DropIn], prefix: &AbsPath) -> Vec<Executed> {
    let mut found = Vec::new();
    let added = drop_ins
        .iter()
        .map(|drop_in| (Origin::DropIn(drop_in.path()), &drop_in.file));
    for (origin, file) in units.iter().map(origin).chain(added) {
        let Some(service) = file.section("Service") else {
            continue;
        };
        for (at, entry, word) in programs(service) {
            if let Some(path) = exec::in_release(word, prefix) {
                if path.contains('%') {
                    continue; // only the host knows what a specifier becomes
                }
                let index = service.entries[..at]
                    .iter()
                    .filter(|other| other.key == entry.key)
                    .count();
                let place = UnitError::of(&origin, "", "");
                let command = Executed {
                    found: match origin {
                        Origin::Migrate => place.at_key("exec"),
                        _ => place.at_entry("Service", entry, index),
                    },
                    path: path.to_owned(),
                };
                // A migration has two units.
                if !found.contains(&command) {
                    found.push(command);
                }
            }
        }
    }
    found
}

fn origin(unit: &Unit) -> (Origin, &UnitFile) {
    let origin = if unit.generated {
        Origin::Migrate
    } else {
        Origin::Unit(unit.name.clone())
    };
    (origin, &unit.file)
}

/// Every program outside of the release that a unit names as the first word of an `Exec…=` line, with the unit.
pub fn outside(units: &[Unit], drop_ins: &[DropIn]) -> Vec<(String, String)> {
    let files = units
        .iter()
        .filter(|unit| !unit.generated)
        .map(|unit| (unit.name.to_string(), &unit.file));
    let added = drop_ins.iter().map(|drop_in| (drop_in.path(), &drop_in.file));
    let mut found = Vec::new();
    for (unit, file) in files.chain(added) {
        for word in file
            .section("Service")
            .into_iter()
            .flat_map(programs)
            .map(|(_, _, word)| word)
        {
            if ["/usr/", "/bin/", "/sbin/"].iter().any(|top| word.starts_with(top)) && !word.contains('%') {
                found.push((unit.clone(), word.to_owned()));
            }
        }
    }
    found
}

/// The programs of a section's `Exec…=` lines, each with its entry and the place of that.
fn programs(service: &Section) -> impl Iterator<Item = (usize, &Entry, &str)> {
    let commands = service.entries.iter().enumerate().filter(|(_, entry)| {
        entry.key.starts_with("Exec") && entry.key != "ExecPaths" && entry.key != "ExecSearchPath"
    });
    commands.map(|(at, entry)| {
        // systemd.service(5): "@", "-", ":", "+", "!" and "|" may stand before the program.
        let word = entry
            .value
            .trim_start_matches(['@', '-', ':', '+', '!', '|', '"', '\'']);
        let word = word.split([' ', '\t', '"', '\'']).next().unwrap_or_default();
        (at, entry, word)
    })
}

/// What is missing or not executable.
pub fn check(executed: &[Executed], tree: &Tree, prefix: &AbsPath) -> Vec<PlanError> {
    let found = executed.iter().map(|command| problem(command, tree, prefix));
    found.filter_map(|found| found.unwrap_or_else(Some)).collect()
}

fn problem(command: &Executed, tree: &Tree, prefix: &AbsPath) -> Result<Option<PlanError>, PlanError> {
    let path = &command.path;
    let in_tree = path.parse::<TreePath>().ok();
    let node = in_tree.as_ref().and_then(|path| Some((path, tree.get(path)?)));
    let (lint, problem, hint) = match node {
        None | Some((_, Node::Dir)) => (
            Lint::ExecMissing,
            "is not in the release".to_owned(),
            "build it first, or check release.source and release.exclude".to_owned(),
        ),
        Some((_, Node::File(file))) if !file.executable => (
            Lint::ExecNotExecutable,
            "is not executable".to_owned(),
            format!("chmod +x {path}"),
        ),
        Some((at, Node::File(file))) => {
            let Some(program) = shebang::interpreter(at, file)? else {
                return Ok(None);
            };
            let moved = shebang::moved(tree, at, &program);
            let Some(own) = moved.filter(|_| exec::in_release(&program, prefix).is_none()) else {
                return Ok(None);
            };
            (
                Lint::ExecInterpreterMoved,
                format!("begins with #!{program}: no host has that, the release has {own}"),
                format!(
                    "name that one (\"{own} -m …\", \"{own} {path} …\"), or let the script begin with #!{prefix}/app/{own}"
                ),
            )
        }
        Some(_) => return Ok(None),
    };
    let key = command.found.key.as_deref().unwrap_or_default();
    let found = UnitError {
        message: format!("{key}= runs {path}, which {problem}"),
        hint,
        ..command.found.clone()
    };
    Ok(Some(PlanError::Unit(Box::new(found.named(lint)))))
}
