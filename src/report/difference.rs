//! Prints what differs between two artifacts, and what an upgrade does.

use std::fmt::Write;

use serde_json::{Value, json};
use similar::TextDiff;

use crate::compare::{Change, Deed, Difference, Entry};

use super::human;

/// How many files are listed for a person.
const LISTED: usize = 40;

/// For a person.
pub fn difference_text(difference: &Difference) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, difference);
    text
}

fn write(text: &mut String, difference: &Difference) -> std::fmt::Result {
    let Difference {
        versions,
        ids,
        sizes,
        unpacked,
        ..
    } = difference;
    for (sign, at) in [("-", 0), ("+", 1)] {
        let version = versions[at].as_deref().unwrap_or("(no package)");
        writeln!(
            text,
            "{sign} {version}, release {}, {} (its files: {})",
            ids[at],
            human(sizes[at]),
            human(unpacked[at])
        )?;
    }
    write_host(text, difference)?;
    section(text, "files", &difference.files, |text, change| {
        let (sign, sizes) = (
            sign(change),
            [&change.old, &change.new].map(|entry| entry.as_ref().map(shown)),
        );
        match sizes {
            [Some(old), Some(new)] => writeln!(text, "  {sign} {}  {old} -> {new}", change.name),
            [old, new] => writeln!(text, "  {sign} {}  {}", change.name, old.or(new).unwrap_or_default()),
        }
    })?;
    section(text, "control fields", &difference.fields, |text, change| {
        for (sign, value) in [("-", &change.old), ("+", &change.new)] {
            if let Some(value) = value {
                writeln!(text, "  {sign} {}: {}", change.name, value.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    })?;
    section(text, "units", &difference.units, |text, change| {
        text_change(text, &change.name, change.old.as_deref(), change.new.as_deref())
    })?;
    if difference.settings[0] != difference.settings[1] {
        writeln!(text, "settings:")?;
        let [old, new] = &difference.settings;
        text_change(text, ".relpack/settings", Some(old), Some(new))?;
    }
    let scripts: Vec<String> = difference
        .scripts
        .iter()
        .map(|change| format!("{} {}", sign(change), change.name))
        .collect();
    if !scripts.is_empty() {
        writeln!(text, "maintainer scripts: {}", scripts.join(", "))?;
    }
    Ok(())
}

fn write_host(text: &mut String, difference: &Difference) -> std::fmt::Result {
    if difference.versions.iter().filter(|version| version.is_some()).count() == 1 {
        return writeln!(
            text,
            "no host goes from a package to a tarball, or back: either refuses where the other is"
        );
    }
    writeln!(text, "on a host that has the first:")?;
    if difference.same_release() {
        return writeln!(text, "  nothing restarts: it is the same release");
    }
    if difference.host.migration {
        writeln!(text, "  the migration runs first, once for this release")?;
    }
    for service in &difference.host.trials {
        writeln!(
            text,
            "  {service} is tried beside the old one before anything is switched"
        )?;
    }
    for (unit, deed) in &difference.host.units {
        let what = match deed {
            Deed::Start => "starts",
            Deed::Restart => "restarts",
            Deed::RestartLater => "restarts, and nothing waits for it",
            Deed::Reload => "is reloaded",
            Deed::InTurn => "restarts in its turn",
            Deed::Swap => "starts where it is idle, else it stops when the other one serves",
            Deed::Yield => "stops when the other one serves",
            Deed::Stop => "stops, and is no longer there",
        };
        writeln!(text, "  {unit} {what}")?;
    }
    if difference.host.units.is_empty() {
        writeln!(text, "  no unit is touched")?;
    }
    Ok(())
}

fn section<T>(
    text: &mut String,
    title: &str,
    changes: &[Change<T>],
    mut one: impl FnMut(&mut String, &Change<T>) -> std::fmt::Result,
) -> std::fmt::Result {
    if changes.is_empty() {
        return Ok(());
    }
    let count = |of: fn(&Change<T>) -> bool| changes.iter().filter(|change| of(change)).count();
    let added = count(|change| change.old.is_none());
    let removed = count(|change| change.new.is_none());
    let changed = changes.len() - added - removed;
    writeln!(text, "{title}: {added} added, {removed} removed, {changed} changed")?;
    changes.iter().take(LISTED).try_for_each(|change| one(text, change))?;
    match changes.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(text, "  … and {more} more (--json lists all)"),
    }
}

fn sign<T>(change: &Change<T>) -> char {
    match (&change.old, &change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Dir => "directory".to_owned(),
        Entry::Symlink(target) => format!("link to {target}"),
        Entry::File { size, executable, .. } => format!("{}{}", human(*size), if *executable { "*" } else { "" }),
    }
}

fn text_change(text: &mut String, name: &str, old: Option<&str>, new: Option<&str>) -> std::fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => {
            writeln!(text, "  ~ {name}")?;
            for line in unified(old, new).lines() {
                writeln!(text, "    {line}")?;
            }
            Ok(())
        }
        (None, _) => writeln!(text, "  + {name}"),
        _ => writeln!(text, "  - {name}"),
    }
}

/// Without the lines that name the two files.
fn unified(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(1)
        .to_string()
}

/// For a program.
pub fn difference_json(difference: &Difference) -> Value {
    let pair = |values: &[Value; 2]| json!({"old": values[0], "new": values[1]});
    let numbers = |values: &[u64; 2]| pair(&values.map(|value| json!(value)));
    let texts = |changes: &[Change<String>]| -> Vec<Value> {
        changes
            .iter()
            .map(|change| {
                let diff = change
                    .old
                    .as_ref()
                    .zip(change.new.as_ref())
                    .map(|(old, new)| unified(old, new));
                json!({"name": change.name, "old": change.old, "new": change.new, "diff": diff})
            })
            .collect()
    };
    let files: Vec<Value> = difference
        .files
        .iter()
        .map(|change| {
            json!({
                "path": change.name,
                "old": change.old.as_ref().map(entry_json),
                "new": change.new.as_ref().map(entry_json),
            })
        })
        .collect();
    let units: Vec<Value> = difference
        .host
        .units
        .iter()
        .map(|(unit, deed)| json!({"unit": unit, "does": deed.as_str()}))
        .collect();
    let [old, new] = &difference.settings;
    json!({
        "release_id": pair(&difference.ids.each_ref().map(|id| json!(id))),
        "version": pair(&difference.versions.each_ref().map(|version| json!(version))),
        "size": numbers(&difference.sizes),
        "unpacked": numbers(&difference.unpacked),
        "files": files,
        "units": texts(&difference.units),
        "control": texts(&difference.fields),
        "scripts": difference.scripts.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(),
        "settings": if old == new { Value::Null } else { json!(unified(old, new)) },
        "on_host": {
            "same_release": difference.same_release(),
            "migration": difference.host.migration,
            "trials": difference.host.trials,
            "units": units,
        },
    })
}

fn entry_json(entry: &Entry) -> Value {
    match entry {
        Entry::Dir => json!({"type": "directory"}),
        Entry::Symlink(target) => json!({"type": "link", "target": target}),
        Entry::File {
            sha256,
            size,
            executable,
        } => json!({"type": "file", "sha256": sha256, "size": size, "executable": executable}),
    }
}
