//! Owns the directive tables: which directive stands in which section, and which systemd version brought it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::model::UnitKind;

const TABLE: &str = include_str!("directives.tsv");

/// How a directive's assignments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// The last assignment counts.
    One,
    /// A boolean; the last assignment counts.
    Bool,
    /// A time span; the last assignment counts.
    Time,
    /// Assignments add up, an empty one resets.
    List,
    /// A list of unit names.
    Units,
    /// A list of command lines.
    Exec,
}

impl ValueKind {
    /// Whether several assignments add up.
    pub fn is_list(self) -> bool {
        matches!(self, ValueKind::List | ValueKind::Units | ValueKind::Exec)
    }
}

/// Which family of directives one belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The section's own.
    Own,
    /// How processes run: systemd.exec(5).
    Exec,
    /// How processes are stopped: systemd.kill(5).
    Kill,
    /// Limits and accounting: systemd.resource-control(5).
    Resource,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directive {
    /// Without `=`.
    pub name: &'static str,
    /// The systemd version that brought it; 0 when older than recorded.
    pub since: u32,
    /// The first version looked at that no longer knows it.
    pub gone: Option<u32>,
    /// How its assignments are read.
    pub kind: ValueKind,
    /// Its family.
    pub group: Group,
}

type Rows = HashMap<&'static str, Vec<Directive>>;

static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let mut rows = Rows::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some((section, directive)) = row(line) {
            rows.entry(section).or_default().push(directive);
        }
    }
    rows
});

fn row(line: &'static str) -> Option<(&'static str, Directive)> {
    let mut columns = line.split('\t');
    let section = columns.next()?;
    let name = columns.next()?;
    let since = columns.next()?.parse().ok()?;
    let kind = match columns.next()? {
        "one" => ValueKind::One,
        "bool" => ValueKind::Bool,
        "time" => ValueKind::Time,
        "list" => ValueKind::List,
        "units" => ValueKind::Units,
        "exec" => ValueKind::Exec,
        _ => return None,
    };
    let gone = columns.next().and_then(|text| text.parse().ok());
    let group = match section {
        "(exec)" => Group::Exec,
        "(kill)" => Group::Kill,
        "(resource)" => Group::Resource,
        _ => Group::Own,
    };
    Some((
        section,
        Directive {
            name,
            since,
            gone,
            kind,
            group,
        },
    ))
}

/// The section that only this kind of unit has; `None` for a target.
pub fn own_section(kind: UnitKind) -> Option<&'static str> {
    Some(match kind {
        UnitKind::Service => "Service",
        UnitKind::Socket => "Socket",
        UnitKind::Timer => "Timer",
        UnitKind::Path => "Path",
        UnitKind::Slice => "Slice",
        UnitKind::Mount => "Mount",
        UnitKind::Automount => "Automount",
        UnitKind::Swap => "Swap",
        UnitKind::Target => return None,
    })
}

/// The sections that a unit of this kind has, in the order of rendering.
pub fn sections(kind: UnitKind) -> Vec<&'static str> {
    let mut sections = vec!["Unit"];
    sections.extend(own_section(kind));
    sections.push("Install");
    sections
}

/// The table's groups of rows that make up a section.
pub(super) fn groups(section: &str) -> &'static [&'static str] {
    match section {
        "Service" => &["Service", "(exec)", "(kill)", "(resource)"],
        "Socket" => &["Socket", "(exec)", "(kill)", "(resource)"],
        "Mount" => &["Mount", "(exec)", "(kill)", "(resource)"],
        "Swap" => &["Swap", "(exec)", "(kill)", "(resource)"],
        "Slice" => &["Slice", "(resource)"],
        "Unit" => &["Unit"],
        "Install" => &["Install"],
        "Timer" => &["Timer"],
        "Path" => &["Path"],
        "Automount" => &["Automount"],
        _ => &[],
    }
}

/// Every directive of a section.
pub fn of_section(section: &str) -> impl Iterator<Item = &'static Directive> {
    groups(section).iter().filter_map(|group| ROWS.get(group)).flatten()
}

/// The directive of this name in this section.
pub fn find(section: &str, name: &str) -> Option<&'static Directive> {
    of_section(section).find(|directive| directive.name == name)
}

/// What the writer of an unknown directive may have meant: the right section, or a similar name.
pub fn suggestion(kind: UnitKind, section: &str, name: &str) -> Option<String> {
    let elsewhere = sections(kind)
        .into_iter()
        .find(|other| *other != section && find(other, name).is_some());
    if let Some(other) = elsewhere {
        return Some(format!("it belongs to [{other}]"));
    }
    let names = of_section(section).map(|directive| directive.name);
    if let Some(similar) = closest(name, names) {
        return Some(format!("did you mean {similar}=?"));
    }
    sections(kind)
        .into_iter()
        .filter(|other| *other != section)
        .find_map(|other| {
            let similar = closest(name, of_section(other).map(|directive| directive.name))?;
            Some(format!("did you mean {similar}= in [{other}]?"))
        })
}

/// The most similar of `names`, when one is similar enough to be meant.
pub fn closest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    names
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (candidate, similarity, distance)
        })
        .filter(|(candidate, similarity, distance)| *distance <= 1 + candidate.len() / 6 || *similarity > 0.93)
        .min_by(|a, b| a.2.cmp(&b.2).then(b.1.total_cmp(&a.1)))
        .map(|(candidate, _, _)| candidate)
}

/// Whether systemd reads a boolean's value as yes.
pub fn is_yes(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    matches!(lower.as_str(), "1" | "yes" | "y" | "true" | "t" | "on")
}

/// Whether systemd reads it as a boolean at all.
pub fn is_bool(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    is_yes(value) || matches!(lower.as_str(), "0" | "no" | "n" | "false" | "f" | "off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_they_are_sorted() {
        let lines: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 500);
        let mut previous = ("", "");
        for line in lines {
            let (section, directive) = row(line).unwrap_or_else(|| panic!("bad row {line:?}"));
            assert!(directive.since == 0 || (180..=300).contains(&directive.since), "{line}");
            assert!(previous < (section, directive.name), "{line}");
            previous = (section, directive.name);
        }
    }

    #[test]
    fn well_known_directives() {
        assert_eq!(find("Service", "ExecStart").unwrap().kind, ValueKind::Exec);
        assert_eq!(find("Service", "MemoryMax").unwrap().group, Group::Resource);
        assert_eq!(find("Slice", "MemoryMax").unwrap().group, Group::Resource);
        assert_eq!(find("Socket", "User").unwrap().group, Group::Exec);
        assert_eq!(find("Service", "KillSignal").unwrap().group, Group::Kill);
        assert_eq!(find("Service", "RestartSteps").unwrap().since, 254);
        assert_eq!(find("Service", "ImportCredential").unwrap().since, 254);
        assert_eq!(find("Service", "CPUShares").unwrap().gone, Some(262));
        assert_eq!(find("Unit", "After").unwrap().kind, ValueKind::Units);
        assert_eq!(find("Timer", "Persistent").unwrap().kind, ValueKind::Bool);
        assert_eq!(find("Timer", "RandomizedDelaySec").unwrap().kind, ValueKind::Time);
        assert!(find("Timer", "User").is_none());
        assert!(find("Slice", "User").is_none());
        assert!(find("Nonsense", "User").is_none());
        for kind in UnitKind::ALL {
            for section in sections(*kind) {
                assert!(of_section(section).next().is_some(), "{section}");
            }
        }
    }

    #[test]
    fn did_you_mean() {
        let service = |section, name| suggestion(UnitKind::Service, section, name);
        assert_eq!(service("Service", "ExecStrat").unwrap(), "did you mean ExecStart=?");
        assert_eq!(service("Service", "execstart").unwrap(), "did you mean ExecStart=?");
        assert_eq!(service("Unit", "ExecStart").unwrap(), "it belongs to [Service]");
        assert_eq!(service("Service", "After").unwrap(), "it belongs to [Unit]");
        assert_eq!(
            service("Service", "WantBy").unwrap(),
            "did you mean WantedBy= in [Install]?"
        );
        assert_eq!(service("Service", "Frobnicate"), None);
        assert_eq!(
            suggestion(UnitKind::Timer, "Timer", "OnCalender").unwrap(),
            "did you mean OnCalendar=?"
        );
    }
}
