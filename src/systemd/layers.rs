//! Owns how a preset, `[defaults]` and a unit's own directives are laid over each other.

use super::directives::{self, ValueKind};
use super::unit_file::{Entry, UnitFile};

/// What the layers come to, in two parts that are read one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Merged {
    /// The own directives, with what they add to in front.
    pub front: UnitFile,
    /// What only lower layers say.
    pub back: UnitFile,
}

impl Merged {
    /// Both parts as one file.
    pub fn joined(&self) -> UnitFile {
        let mut file = self.front.clone();
        for section in self.back.sections() {
            let entries = &mut file.section_mut(&section.name).entries;
            entries.extend(section.entries.iter().cloned());
        }
        file
    }
}

/// Lays `layers` over each other, lowest first: lists append, an empty assignment resets, other values replace.
pub(crate) fn merge(layers: &[UnitFile]) -> Merged {
    let mut merged = Merged::default();
    for layer in layers.iter().rev() {
        for section in layer.sections() {
            if merged.front.section(&section.name).is_none() {
                let (front, back) = merge_section(layers, &section.name);
                merged.front.section_mut(&section.name).entries = front;
                merged.back.section_mut(&section.name).entries = back;
            }
        }
    }
    merged
}

fn merge_section(layers: &[UnitFile], name: &str) -> (Vec<Entry>, Vec<Entry>) {
    let Some((own, lower)) = layers.split_last() else {
        return Default::default();
    };
    let own = own.section(name).map_or(&[][..], |s| &s.entries);
    let (mut below, rest) = merge_section(lower, name);
    below.extend(rest);
    // Directives of a family are read in their order, so what the own ones add to has to stand before them.
    let related = |entry: &Entry| own.iter().any(|o| family(&o.key) == family(&entry.key));
    let (mut front, back): (Vec<Entry>, Vec<Entry>) = below.into_iter().partition(related);
    front.extend(own.iter().cloned());
    (reduce(name, front), back)
}

/// Directives whose assignments act on one common value; their order counts across names.
fn family(key: &str) -> &str {
    match key {
        "TimeoutSec" | "TimeoutStartSec" | "TimeoutStopSec" | "TimeoutAbortSec" => "TimeoutSec",
        "StandardInputText" | "StandardInputData" => "StandardInputText",
        _ if key.starts_with("Condition") || key.starts_with("Assert") => "Condition",
        _ => key,
    }
}

/// Drops the assignments that later ones make void.
fn reduce(section: &str, entries: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let mut later = entries[at + 1..].iter().filter(|e| e.key == entry.key);
        let void = match directives::find(section, &entry.key).map(|d| d.kind) {
            // An empty list of units is not a reset to systemd, so it is resolved here and leaves nothing.
            Some(ValueKind::Units) => entry.value.is_empty() || later.any(|e| e.value.is_empty()),
            Some(kind) if kind.is_list() && entry.value.is_empty() => {
                // What follows starts the list anew anyway, except that `~` means "all but" only in an untouched set.
                later.next().is_some_and(|next| !next.value.starts_with('~'))
            }
            Some(kind) if kind.is_list() => later.any(|e| e.value.is_empty()),
            _ if section.starts_with("X-") && section != "X-Relpack" => false,
            _ => later.next().is_some() || is_covered(&entry.key, &entries[at + 1..]),
        };
        if !void {
            kept.push(entry.clone());
        }
    }
    kept
}

/// `TimeoutSec=` sets the timeouts for start and stop.
fn is_covered(key: &str, later: &[Entry]) -> bool {
    matches!(key, "TimeoutStartSec" | "TimeoutStopSec") && later.iter().any(|entry| entry.key == "TimeoutSec")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(layers: &[&str]) -> String {
        let files: Vec<UnitFile> = layers.iter().map(|text| UnitFile::parse(text).unwrap()).collect();
        merge(&files).joined().render()
    }

    #[test]
    fn scalars_replace_and_lists_append() {
        assert_eq!(
            merged(&[
                "[Service]\nEnvironment=A=1\nPrivateTmp=yes\nRestart=no\n",
                "[Service]\nEnvironment=B=2\nRestart=always\n",
                "[Unit]\nAfter=x.target\n[Service]\nExecStart=/bin/a\nEnvironment=C=3\nRestart=on-failure\n",
            ]),
            "[Unit]\nAfter=x.target\n\n[Service]\nEnvironment=A=1\nEnvironment=B=2\nExecStart=/bin/a\nEnvironment=C=3\n\
             Restart=on-failure\nPrivateTmp=yes\n"
        );
    }

    #[test]
    fn an_empty_assignment_resets() {
        assert_eq!(
            merged(&[
                "[Service]\nEnvironment=A=1\n",
                "[Service]\nEnvironment=\nEnvironment=B=2\n"
            ]),
            "[Service]\nEnvironment=B=2\n"
        );
        assert_eq!(
            merged(&["[Service]\nEnvironment=A=1\n", "[Service]\nEnvironment=\n"]),
            "[Service]\nEnvironment=\n"
        );
        assert_eq!(
            merged(&["[Unit]\nAfter=a.target\n", "[Unit]\nAfter=\nAfter=b.target\n"]),
            "[Unit]\nAfter=b.target\n"
        );
    }

    #[test]
    fn an_empty_set_that_means_something_stays() {
        let preset = "[Service]\nCapabilityBoundingSet=\n";
        assert_eq!(
            merged(&[preset, "[Service]\nType=simple\n"]),
            "[Service]\nType=simple\nCapabilityBoundingSet=\n"
        );
        assert_eq!(
            merged(&[preset, "[Service]\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"]),
            "[Service]\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
        );
        assert_eq!(
            merged(&[
                "[Service]\nSystemCallFilter=@a\n",
                "[Service]\nSystemCallFilter=\nSystemCallFilter=~@b\n"
            ]),
            "[Service]\nSystemCallFilter=\nSystemCallFilter=~@b\n"
        );
    }

    #[test]
    fn timeouts_keep_their_order() {
        assert_eq!(
            merged(&["[Service]\nTimeoutStopSec=5\n", "[Service]\nTimeoutSec=9\n"]),
            "[Service]\nTimeoutSec=9\n"
        );
        assert_eq!(
            merged(&["[Service]\nTimeoutSec=9\n", "[Service]\nTimeoutStopSec=5\n"]),
            "[Service]\nTimeoutSec=9\nTimeoutStopSec=5\n"
        );
    }
}
