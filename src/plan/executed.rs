//! Finds the files of the release that units execute, and checks that they are there.

use crate::config::{Check, Config};
use crate::model::{AbsPath, Lint, TreePath};
use crate::systemd::{DropIn, Entry, Health, Origin, Section, Unit, UnitError, UnitFile, exec, quoted_words};
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

/// The programs of the release by which a deploy judges a unit: `Health = "exec:…"` and `[deploy] check`.
pub fn judging(config: &Config) -> Vec<Executed> {
    let prefix = &config.release.prefix;
    let mut found = Vec::new();
    for unit in &config.units {
        if let Some(Health::Exec { command }) = &unit.relpack.health
            && let Some(path) = quoted_words(command)
                .first()
                .and_then(|word| exec::in_release(word, prefix))
        {
            found.push(Executed {
                found: UnitError::of(&Origin::Unit(unit.name.clone()), "", "").at("X-Relpack", "Health"),
                path: path.to_owned(),
            });
        }
    }
    if let Some(Check::Command(command)) = &config.deploy.check
        && let Some(word) = quoted_words(command).first()
        && !word.starts_with('/')
    {
        found.push(Executed {
            found: UnitError::of(&Origin::Deploy, "", "").at_key("check"),
            path: word.trim_start_matches("./").to_owned(),
        });
    }
    found
}

/// What interpreters are given to run, and the directories in which units run, where the release doesn't have them.
pub fn missing(config: &Config, tree: &Tree) -> Vec<PlanError> {
    let prefix = &config.release.prefix;
    let mut found: Vec<UnitError> = Vec::new();
    for unit in &config.units {
        let (origin, file) = origin(unit);
        let Some(service) = file.section("Service") else {
            continue;
        };
        let work = match file.get("Service", "WorkingDirectory") {
            // Where it is not the release's, the host has what stands there.
            Some(directory) => match below(directory, prefix) {
                Some(below) => below,
                None => continue,
            },
            None => continue,
        };
        if !work.is_empty() && !is_there(tree, &work, &[""]) {
            found.push(not_there(
                UnitError::of(
                    &origin,
                    format!("WorkingDirectory= is {work}, which is not in the release"),
                    "",
                )
                .at("Service", "WorkingDirectory"),
            ));
            continue;
        }
        for (at, entry, program) in programs(service) {
            let Some(script) = script(entry, program) else { continue };
            let path = match below(&script, prefix) {
                Some(path) => path,
                None if script.starts_with('/') => continue,
                None => [work.as_str(), script.trim_start_matches("./")]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join("/"),
            };
            // Node.js takes a module by its name alone.
            let suffixes: &[&str] = if program.ends_with("node") || program.ends_with("nodejs") {
                &["", ".js", ".cjs", ".mjs", ".json"]
            } else {
                &[""]
            };
            if path.split('/').any(|part| part == "..") || path == "." || is_there(tree, &path, suffixes) {
                continue;
            }
            let index = service.entries[..at]
                .iter()
                .filter(|other| other.key == entry.key)
                .count();
            let key = if matches!(origin, Origin::Migrate) {
                "exec"
            } else {
                entry.key.as_str()
            };
            let place = UnitError::of(&origin, format!("{key}= runs {path}, which is not in the release"), "");
            let error = not_there(match origin {
                Origin::Migrate => place.at_key("exec"),
                _ => place.at_entry("Service", entry, index),
            });
            if !found.contains(&error) {
                found.push(error);
            }
        }
    }
    found
        .into_iter()
        .map(|error| PlanError::Unit(Box::new(error)))
        .collect()
}

fn not_there(error: UnitError) -> UnitError {
    UnitError {
        hint: NOT_THERE.to_owned(),
        ..error.named(Lint::ExecMissing)
    }
}

const NOT_THERE: &str = "build it first, or check release.source and release.exclude";

/// The path in the release, where this is one of the places where units see it; empty for the release itself.
fn below(path: &str, prefix: &AbsPath) -> Option<String> {
    let path = format!("{}/", path.trim_end_matches('/'));
    exec::in_release(&path, prefix).map(|below| below.trim_end_matches('/').to_owned())
}

/// The file that an interpreter is given as its first word; `None` where options or the host decide.
fn script(entry: &Entry, program: &str) -> Option<String> {
    const INTERPRETERS: &[&str] = &["node", "nodejs", "python", "ruby", "perl", "php", "sh", "bash", "dash"];
    let name = program.rsplit('/').next()?;
    let words = quoted_words(&entry.value);
    let first = if name == "java" {
        (words.get(1)? == "-jar").then(|| words.get(2)).flatten()?
    } else if INTERPRETERS.contains(&name) || name.starts_with("python3") {
        words.get(1)?
    } else {
        return None;
    };
    (!first.starts_with(['-', '$', '%']) && !first.contains(['$', '%'])).then(|| first.clone())
}

fn is_there(tree: &Tree, path: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        let path = format!("{path}{suffix}");
        // What lies behind a link only the host knows.
        let behind_a_link = path
            .match_indices('/')
            .filter_map(|(at, _)| path[..at].parse::<TreePath>().ok())
            .any(|above| matches!(tree.get(&above), Some(Node::Symlink(_))));
        behind_a_link || path.parse::<TreePath>().is_ok_and(|path| tree.get(&path).is_some())
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
            if path.contains('/') {
                NOT_THERE.to_owned()
            } else {
                format!(
                    "a program of the host needs its whole path, such as \"/usr/bin/{path}\"; one of the release: {NOT_THERE}"
                )
            },
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
