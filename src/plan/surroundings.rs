//! Checks what systemd needs before it starts a program: the directory of a unit, and its environment files.

use crate::config::Config;
use crate::model::AbsPath;
use crate::systemd::{Entry, Origin, RELEASE_PLACEHOLDER, Section, UnitError};
use crate::tree::Tree;

use super::PlanError;
use super::below_prefix::{BelowPrefix, meant};
use super::executed::{in_app, is_there, no_host_has, not_there, plan_errors};

/// What no host has, or the release lacks.
pub fn check(config: &Config, tree: &Tree) -> Vec<PlanError> {
    let places = BelowPrefix::of(config);
    // A migration has the surroundings of the unit that it is like.
    let units = config.units.iter().filter(|unit| !unit.generated);
    let units = units.map(|unit| (Origin::Unit(unit.name.clone()), &unit.file));
    let drop_ins = config.drop_ins.iter();
    let drop_ins = drop_ins.map(|drop_in| (Origin::DropIn(drop_in.path()), &drop_in.file));
    let mut found = Vec::new();
    for (origin, file) in units.chain(drop_ins) {
        let Some(service) = file.section("Service") else {
            continue;
        };
        let place = |index: usize, entry: &Entry| UnitError::of(&origin, "", "").at_entry("Service", entry, index);
        if let Some((index, entry)) = assigned(service, "WorkingDirectory").last() {
            found.extend(directory(place(*index, entry), &entry.value, tree, &places));
        }
        for (index, entry) in assigned(service, "EnvironmentFile") {
            found.extend(environment_file(place(index, entry), &entry.value, tree, &places));
        }
    }
    plan_errors(found)
}

/// The assignments that count, those after the last empty one, each with its number.
fn assigned<'a>(service: &'a Section, key: &str) -> Vec<(usize, &'a Entry)> {
    let all = service.entries.iter().filter(|entry| entry.key == key).enumerate();
    let mut found = Vec::new();
    for (index, entry) in all {
        match entry.value.is_empty() {
            true => found.clear(),
            false => found.push((index, entry)),
        }
    }
    found
}

fn directory(place: UnitError, path: &str, tree: &Tree, places: &BelowPrefix<'_>) -> Option<UnitError> {
    let below = places.nowhere(path)?;
    Some(no_host_has(place, "is", path, in_app(tree, &below)))
}

/// One that begins with "-" may be missing, and what a pattern stands for only the host knows.
fn environment_file(place: UnitError, path: &str, tree: &Tree, places: &BelowPrefix<'_>) -> Option<UnitError> {
    if path.starts_with('-') || path.contains(['%', '*', '?', '[']) {
        return None;
    }
    let prefix = places.prefix;
    if let Some(own) = path.strip_prefix(&format!("{prefix}/releases/{RELEASE_PLACEHOLDER}/")) {
        let message = format!("EnvironmentFile= is {own}, which is not in the release");
        return (!is_there(tree, own, &[""])).then(|| not_there(UnitError { message, ..place }));
    }
    if let Some(own) = path.strip_prefix(&format!("{prefix}/app/")) {
        let hint = format!("write \"{{app}}/{own}\", which is the release's place on the host");
        let message = format!("EnvironmentFile= is {path}, which systemd reads before the release is mounted there");
        return Some(UnitError {
            message,
            hint,
            ..not_there(place)
        });
    }
    let below = places.nowhere(path)?;
    Some(no_host_has(place, "is", path, environment_hint(tree, &below, prefix)))
}

fn environment_hint(tree: &Tree, below: &str, prefix: &AbsPath) -> String {
    let name = below.rsplit('/').next().unwrap_or(below);
    let of_host = format!("\"{{shared}}/{name}\" for one that the host's owner writes");
    match meant(tree, below) {
        Some(own) => format!("write \"{{app}}/{own}\" for the release's own file, {of_host}"),
        None => format!("write {of_host}, or \"-{prefix}/{below}\" where it may be missing"),
    }
}
