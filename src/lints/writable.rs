//! `writable-elsewhere`: what a service writes there belongs to nobody: no rollback, backup or purge knows of it.

use crate::systemd::{Origin, UnitError, UnitFile, quoted_words};

use super::{Input, assignments};

const KEYS: &[&str] = &["ReadWritePaths", "ReadWriteDirectories", "BindPaths"];

/// Where the directories of `StateDirectory=` and its like lie (systemd.exec(5)).
const STATE: &[(&str, &str)] = &[
    ("StateDirectory", "/var/lib"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
    ("RuntimeDirectory", "/run"),
];

/// What systemd's specifiers stand for in a system unit (systemd.unit(5)).
const SPECIFIERS: &[(&str, &str)] = &[
    ("%S", "/var/lib"),
    ("%C", "/var/cache"),
    ("%L", "/var/log"),
    ("%t", "/run"),
    ("%T", "/tmp"),
    ("%V", "/var/tmp"),
];

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        let own = own_places(&origin, file, input);
        for (index, entry) in assignments(file, "Service", KEYS) {
            for word in quoted_words(&entry.value) {
                let path = word.trim_start_matches(['-', '+']);
                let path = path.split(':').next().unwrap_or_default();
                let Some(path) = written_out(path) else { continue };
                if own.iter().any(|place| is_below(&path, place)) {
                    continue;
                }
                found.push(
                    UnitError::of(
                        &origin,
                        format!(
                            "{}= lets the service write to {path}, which is neither in {} nor its state",
                            entry.key,
                            shared(input)
                        ),
                        "keep it below {shared} by [directories], or use StateDirectory=, CacheDirectory= or LogsDirectory=",
                    )
                    .at_entry("Service", entry, index),
                );
            }
        }
    }
    found
}

fn shared(input: &Input<'_>) -> String {
    format!("{}/shared", input.config.release.prefix)
}

/// The path with its specifier filled in; `None` where only the host knows it.
fn written_out(path: &str) -> Option<String> {
    let full = SPECIFIERS
        .iter()
        .find_map(|(word, place)| Some(format!("{place}{}", path.strip_prefix(word)?)))
        .unwrap_or_else(|| path.to_owned());
    (full.starts_with('/') && !full.contains('%')).then_some(full)
}

fn own_places(origin: &Origin, file: &UnitFile, input: &Input<'_>) -> Vec<String> {
    let mut places = vec![shared(input)];
    places.extend(["/tmp", "/var/tmp", "/dev/shm"].map(str::to_owned));
    places.extend(input.config.directories.iter().map(|d| d.path.to_string()));
    let unit = input.unit_of(origin);
    for (key, top) in STATE {
        for list in unit.map_or(file, |unit| &unit.file).get_list("Service", key) {
            let names = list
                .split_whitespace()
                .map(|word| word.split(':').next().unwrap_or(word));
            places.extend(names.map(|name| format!("{top}/{name}")));
        }
    }
    places
}

fn is_below(path: &str, place: &str) -> bool {
    path.trim_end_matches('/')
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && !path.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_whole_names() {
        assert!(is_below("/var/lib/acme", "/var/lib/acme"));
        assert!(is_below("/var/lib/acme/x/", "/var/lib/acme"));
        assert!(!is_below("/var/lib/acme2", "/var/lib/acme"));
        assert!(!is_below("/var/lib/acme/../x", "/var/lib/acme"));
    }

    #[test]
    fn specifiers_are_written_out() {
        assert_eq!(written_out("%S/acme").as_deref(), Some("/var/lib/acme"));
        assert_eq!(written_out("%h/x"), None);
        assert_eq!(written_out("/srv/%i"), None);
        assert_eq!(written_out("/srv/x").as_deref(), Some("/srv/x"));
    }
}
