//! Finds the files of the release that units execute, and checks that they are there.

use crate::model::{AbsPath, TreePath};
use crate::systemd::{DropIn, Unit};
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
        for entry in &service.entries {
            if !entry.key.starts_with("Exec") || entry.key == "ExecPaths" || entry.key == "ExecSearchPath" {
                continue;
            }
            // systemd.service(5): "@", "-", ":", "+", "!" and "|" may stand before the program.
            let word = entry
                .value
                .trim_start_matches(['@', '-', ':', '+', '!', '|', '"', '\'']);
            let word = word.split([' ', '\t', '"', '\'']).next().unwrap_or_default();
            if let Some(path) = places.iter().find_map(|place| word.strip_prefix(place.as_str())) {
                if path.contains('%') {
                    continue; // only the host knows what a specifier becomes
                }
                found.push(Executed {
                    unit: unit.clone(),
                    directive: entry.key.clone(),
                    path: path.to_owned(),
                });
            }
        }
    }
    found
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
