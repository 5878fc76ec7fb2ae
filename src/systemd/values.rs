//! Owns the values of directives that have a fixed set of them: what systemd would ignore, and what came later than its directive.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::directives::{closest, groups, is_bool};

const TABLE: &str = include_str!("values.tsv");

/// signal(7); systemd knows each of them by this name only.
const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// SIGRTMAX - SIGRTMIN in the C library.
const REAL_TIME: u8 = 30;
/// The highest facility of syslog(3) that fits a priority.
const NUMBER_MAX: u8 = 127;

/// One of the values of a directive, or a kind of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    word: &'static str,
    /// The systemd version that brought it, 0 where all that are looked at know it.
    since: u32,
}

/// Of a section (or a group of them) the directives.
type Rows = HashMap<&'static str, HashMap<&'static str, Vec<Value>>>;

static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let mut rows = Rows::new();
    for (section, name, values) in TABLE.lines().filter_map(row) {
        rows.entry(section).or_default().insert(name, values);
    }
    rows
});

fn row(line: &'static str) -> Option<(&'static str, &'static str, Vec<Value>)> {
    let mut columns = line.split('\t').filter(|_| !line.starts_with('#'));
    let (section, name, values) = (columns.next()?, columns.next()?, columns.next()?);
    let value = |text: &'static str| match text.split_once('@') {
        Some((word, since)) => since.parse().ok().map(|since| Value { word, since }),
        None => Some(Value { word: text, since: 0 }),
    };
    let values = values.split(' ').map(value).collect::<Option<_>>()?;
    Some((section, name, values))
}

impl Value {
    fn fits(self, text: &str) -> bool {
        match self.word {
            "(empty)" => text.is_empty(),
            "(bool)" => is_bool(text),
            "(bool):" => text
                .split_once(':')
                .is_some_and(|(first, rest)| is_bool(first) && !rest.is_empty()),
            "(signal)" => is_signal(text),
            "(number)" => text.parse::<u8>().is_ok_and(|number| number <= NUMBER_MAX),
            word if word.ends_with([':', '/', '%']) => text.strip_prefix(word).is_some_and(|rest| !rest.is_empty()),
            word => text == word,
        }
    }

    /// What it looks like, where that is worth telling.
    fn examples(self) -> Vec<&'static str> {
        match self.word {
            "(bool)" => vec!["true", "false"],
            "(signal)" => vec![
                "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL",
            ],
            word if word.starts_with('(') || word.ends_with('%') => Vec::new(),
            word => vec![word],
        }
    }
}

fn is_signal(text: &str) -> bool {
    if text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number)) {
        return true;
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let real_time = [("RTMIN", '+'), ("RTMAX", '-')].into_iter().any(|(base, sign)| {
        name.strip_prefix(base).is_some_and(|rest| {
            let number = rest.strip_prefix(sign).and_then(|digits| digits.parse::<u8>().ok());
            rest.is_empty() || number.is_some_and(|number| number <= REAL_TIME)
        })
    });
    real_time || SIGNALS.contains(&name)
}

fn values(section: &str, name: &str) -> Option<&'static [Value]> {
    groups(section)
        .iter()
        .find_map(|group| ROWS.get(group)?.get(name))
        .map(Vec::as_slice)
}

/// What is wrong with a value of a directive that has a fixed set of them, and what to do.
pub(super) fn check(section: &str, name: &str, text: &str) -> Result<(), (String, String)> {
    let Some(values) = values(section, name) else {
        return Ok(());
    };
    if values.iter().any(|value| value.fits(text)) {
        return Ok(());
    }
    let known: Vec<&str> = values.iter().flat_map(|value| value.examples()).collect();
    let list = known.join(", ");
    let hint = match closest(text, known.iter().copied()).filter(|_| !text.is_empty()) {
        Some(similar) => format!("did you mean {similar:?}? It is one of {list}"),
        None => format!("one of {list}"),
    };
    let message = format!("{name}={text} is not known, and systemd would ignore the line");
    Err((message, hint))
}

/// The systemd version that brought this value, where its directive is older.
pub(super) fn since(section: &str, name: &str, text: &str) -> Option<u32> {
    let all = values(section, name)?;
    all.iter()
        .filter(|value| value.fits(text))
        .map(|value| value.since)
        .min()
        .filter(|since| *since > 0)
}

#[cfg(test)]
mod tests {
    use super::super::directives::{self, ValueKind};
    use super::*;

    /// Of each group one section.
    const SECTIONS: &[&str] = &["Service", "Socket", "Unit"];

    #[test]
    fn every_row_is_read_and_is_of_a_directive_with_one_value() {
        let lines: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.is_sorted());
        for line in lines {
            let (section, name, values) = row(line).unwrap_or_else(|| panic!("bad row {line:?}"));
            let of = SECTIONS.iter().find(|of| groups(of).contains(&section)).unwrap();
            let directive = directives::find(of, name).unwrap_or_else(|| panic!("{section} {name}"));
            assert_eq!(directive.kind, ValueKind::One, "{name}");
            assert!(
                values.iter().all(|value| value.since == 0 || value.since > 246),
                "{name}"
            );
        }
    }

    #[test]
    fn known_values() {
        for (name, text) in [
            ("Type", "notify-reload"),
            ("ProtectSystem", "strict"),
            ("ProtectSystem", "Yes"),
            ("ProtectHostname", "private:a"),
            ("ProtectHostname", "on:a"),
            ("StandardOutput", "append:/var/log/x"),
            ("StandardOutput", "file:%t/x"),
            ("StandardInput", "fd"),
            ("KillMode", ""),
            ("KillSignal", "INT"),
            ("KillSignal", "SIGRTMIN+3"),
            ("ReloadSignal", "64"),
            ("SyslogFacility", "23"),
            // No fixed set.
            ("User", "nobody"),
        ] {
            assert_eq!(check("Service", name, text), Ok(()), "{name}={text}");
        }
    }

    #[test]
    fn what_systemd_would_ignore() {
        for (name, text, hint) in [
            (
                "ProtectSystem",
                "strct",
                "did you mean \"strict\"? It is one of true, false, full, strict",
            ),
            ("ProtectHome", "readonly", "read-only"),
            ("Type", "Simple", "simple"),
            ("Restart", "true", "one of no, on-success"),
            ("KillMode", "proces", "process"),
            ("StandardOutput", "append:log", "append:/"),
            ("StandardInput", "append:/x", "file:/"),
            ("ProtectHostname", "maybe:a", "private"),
            ("PrivateUsers", "", "one of true, false, self"),
            ("KillSignal", "SIGTREM", "SIGTERM"),
            ("KillSignal", "sigterm", "SIGTERM"),
            ("KillSignal", "RTMIN+31", "SIGTERM"),
            ("KillSignal", "0", "SIGTERM"),
            ("SyslogFacility", "200", "daemon"),
        ] {
            let (message, said) = check("Service", name, text).unwrap_err();
            assert!(message.starts_with(&format!("{name}={text} ")), "{message}");
            assert!(said.contains(hint), "{name}={text}: {said}");
        }
        assert!(check("Socket", "BindIPv6Only", "no").is_err());
        assert!(check("Unit", "FailureAction", "restart").is_err());
    }

    #[test]
    fn newer_values() {
        assert_eq!(since("Service", "Type", "notify-reload"), Some(253));
        assert_eq!(since("Service", "Type", "notify"), None);
        assert_eq!(since("Service", "PrivateTmp", "disconnected"), Some(257));
        assert_eq!(since("Service", "PrivateTmp", "yes"), None);
        assert_eq!(since("Socket", "StandardOutput", "truncate:/x"), Some(248));
    }
}
