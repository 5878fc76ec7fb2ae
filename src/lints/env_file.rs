//! `env-file-dollar`: systemd expands nothing in an environment file, while a shell that sources the same file does.

use crate::model::TreePath;
use crate::systemd::{Origin, RELEASE_PLACEHOLDER, UnitError};
use crate::tree::Node;

use super::{Input, assignments};

/// Nobody writes a longer one by hand.
const SIZE_MAX: u64 = 256 * 1024;

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        for (index, entry) in assignments(file, "Service", &["EnvironmentFile"]) {
            let path = entry.value.trim_start_matches('-');
            let Some((name, text)) = delivered(path, input) else {
                continue;
            };
            found.extend(dollars(&text).into_iter().map(|(line, variable)| {
                UnitError::of(
                    &origin,
                    format!(
                        "{name}, line {line}: the value of {variable} holds a \"$\", and systemd expands nothing there"
                    ),
                    "write the value out; a \"$\" that belongs to it goes into single quotes",
                )
                .at_entry("Service", entry, index)
            }));
        }
    }
    for (instance, environment) in &input.config.instances {
        for (variable, value) in environment.iter().filter(|(_, value)| expands(value.as_str())) {
            found.push(
                UnitError::of(
                    &Origin::Instance(instance.clone()),
                    format!("the value of {variable} holds a \"$\", and systemd expands nothing there: {value:?}"),
                    "write the value out, or allow the lint where the \"$\" belongs to it",
                )
                .at_key(variable.as_str()),
            );
        }
    }
    found
}

/// The name and the text of an environment file that the package itself brings.
fn delivered(path: &str, input: &Input<'_>) -> Option<(String, String)> {
    let prefix = &input.config.release.prefix;
    if let Some(file) = input.config.files.iter().find(|file| file.path.as_str() == path) {
        return Some((path.to_owned(), String::from_utf8_lossy(&file.bytes).into_owned()));
    }
    let below = path.strip_prefix(&format!("{prefix}/releases/{RELEASE_PLACEHOLDER}/"))?;
    let place: TreePath = below.parse().ok()?;
    let Node::File(file) = input.tree?.get(&place)? else {
        return None;
    };
    let bytes = file.head(&place, SIZE_MAX).ok()?;
    Some((below.to_owned(), String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether a shell would expand something in the value.
fn expands(value: &str) -> bool {
    value.match_indices('$').any(|(at, _)| {
        let next = value[at + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '{' | '('))
    })
}

/// Line and variable of each value in which a shell would expand something (systemd.exec(5), `EnvironmentFile=`).
fn dollars(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        // A quote that stays open takes the next line too.
        let mut quote = None;
        let mut bare = visible(value, &mut quote);
        while quote.is_some() {
            let Some((_, more)) = lines.next() else { break };
            bare.push_str(&visible(more, &mut quote));
        }
        if expands(&bare) {
            found.push((number + 1, name.trim().to_owned()));
        }
    }
    found
}

/// What of a line a shell would look at: neither escaped nor in single quotes.
fn visible(line: &str, quote: &mut Option<char>) -> String {
    let mut bare = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (*quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => *quote = None,
            (Some('\''), _) => {}
            (None, '\'' | '"') => *quote = Some(c),
            (_, '\\') => {
                chars.next();
                bare.push(' ');
            }
            (_, c) => bare.push(c),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_expand() {
        let text = "# A=$HOME\nA=$HOME/x\nB='$HOME'\nC=\"a ${D}\"\nD=\\$x\nE=5$\nF=\"one\ntwo $x\"\nG=pa$$word\nnothing\n; H=$x\n";
        let found: Vec<_> = dollars(text);
        let names: Vec<(usize, &str)> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
        assert_eq!(names, [(2, "A"), (4, "C"), (7, "F"), (9, "G")]);
        assert!(dollars("A='open $x").is_empty());
    }
}
