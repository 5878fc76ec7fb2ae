//! Finds the files of the release that units execute, and checks that they are there.

use crate::model::{AbsPath, TreePath};
use crate::systemd::{DropIn, Section, Unit};
use crate::tree::{Node, Tree};

use super::PlanError;

/// One command of a unit.
pub struct Executed {
    unit: String,
    directive: String,
    /// The program, as a path in the release.
    pub path: String,
}

/// Every program below `{app}` that a unit names as the first word of an `Exec…=` line.
pub fn executed(units: &[Unit], drop_ins: &[DropIn], prefix: &AbsPath) -> Vec<Executed> {
    let places = [format!("{prefix}/app/"), format!("{prefix}/current/")];
    let mut found = Vec::new();
    let files = units.iter().map(|unit| (unit.name.to_string(), &unit.file));
    let added = drop_ins.iter().map(|drop_in| (drop_in.path(), &drop_in.file));
    for (unit, file) in files.chain(added) {
        let Some(service) = file.section("Service") else {
            continue;
        };
        for (directive, word) in programs(service) {
            if let Some(path) = places.iter().find_map(|place| word.strip_prefix(place.as_str())) {
                if path.contains('%') {
                    continue; // only the host knows what a specifier becomes
                }
                found.push(Executed {
                    unit: unit.clone(),
                    directive: directive.to_owned(),
                    path: path.to_owned(),
                });
            }
        }
    }
    found
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
            .map(|(_, word)| word)
        {
            if ["/usr/", "/bin/", "/sbin/"].iter().any(|top| word.starts_with(top)) && !word.contains('%') {
                found.push((unit.clone(), word.to_owned()));
            }
        }
    }
    found
}

/// The programs of a section's `Exec…=` lines, each with its directive.
fn programs(service: &Section) -> impl Iterator<Item = (&str, &str)> {
    let commands = service
        .entries
        .iter()
        .filter(|entry| entry.key.starts_with("Exec") && entry.key != "ExecPaths" && entry.key != "ExecSearchPath");
    commands.map(|entry| {
        // systemd.service(5): "@", "-", ":", "+", "!" and "|" may stand before the program.
        let word = entry
            .value
            .trim_start_matches(['@', '-', ':', '+', '!', '|', '"', '\'']);
        let word = word.split([' ', '\t', '"', '\'']).next().unwrap_or_default();
        (entry.key.as_str(), word)
    })
}

/// What is missing or not executable.
pub fn check(executed: &[Executed], tree: &Tree) -> Vec<PlanError> {
    executed
        .iter()
        .filter_map(|command| {
            let node = command.path.parse::<TreePath>().ok().and_then(|path| tree.get(&path));
            let (unit, directive, path) = (command.unit.clone(), command.directive.clone(), command.path.clone());
            match node {
                None | Some(Node::Dir) => Some(PlanError::NotInRelease { unit, directive, path }),
                Some(Node::File(file)) if !file.executable => Some(PlanError::NotExecutable { unit, directive, path }),
                Some(_) => None,
            }
        })
        .collect()
}
