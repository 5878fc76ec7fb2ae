//! Owns the names that are plain words: packages, environment variables, users and groups.

use std::str::FromStr;

use super::{ValueError, string_like};

/// A binary package's name: `[a-z0-9][a-z0-9+.-]+` (Debian Policy 5.6.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);
string_like!(PackageName);

/// Longest package name: `<name>_<version>_<arch>.deb` and the file names made from it have to fit into 255 bytes.
const PACKAGE_NAME_MAX: usize = 128;

impl FromStr for PackageName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |problem: String, hint: String| Err(ValueError::new("package name", text, problem, hint));
        let suggestion = || {
            let fixed: String = text
                .to_lowercase()
                .chars()
                .map(|c| if is_package_char(c) { c } else { '-' })
                .collect();
            let fixed = fixed.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let fixed = fixed.trim_end_matches('-');
            if fixed.len() >= 2 && fixed != text {
                format!("did you mean {fixed:?}?")
            } else {
                "use lower-case letters, digits, '+', '-' and '.', for example \"acme-web\"".to_owned()
            }
        };
        if let Some(bad) = text.chars().find(|&c| !is_package_char(c)) {
            return error(format!("contains {bad:?}"), suggestion());
        }
        if text.len() < 2 {
            return error("is shorter than two characters".into(), suggestion());
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return error("does not start with a letter or a digit".into(), suggestion());
        }
        if text.len() > PACKAGE_NAME_MAX {
            return error(
                format!("is longer than {PACKAGE_NAME_MAX} bytes"),
                "choose a shorter name".into(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_package_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.')
}

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`, as systemd's `EnvironmentFile=` accepts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(String);
string_like!(EnvName);

impl FromStr for EnvName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if starts && rest {
            return Ok(Self(text.to_owned()));
        }
        let problem = if text.is_empty() {
            "is empty"
        } else if rest {
            "starts with a digit"
        } else {
            "contains a character other than letters, digits and '_'"
        };
        Err(ValueError::new(
            "environment variable name",
            text,
            problem,
            "use letters, digits and '_', for example \"DATABASE_URL\"",
        ))
    }
}

/// A user's or group's name as systemd-sysusers takes it: `[A-Za-z_][A-Za-z0-9_-]{0,30}` (sysusers.d(5)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);
string_like!(UserName);

impl UserName {
    /// The longest, in bytes, that utmp and systemd's strict rules take.
    pub const MAX: usize = 31;

    /// Users that every host has, so that no package may take them for its own.
    pub const ON_EVERY_HOST: [&str; 2] = ["root", "nobody"];
}

impl FromStr for UserName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        match plain_problem(text, starts, "a letter or '_'", Self::MAX) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(ValueError::new(
                "user name",
                text,
                problem,
                "use letters, digits, '_' and '-', for example \"acme\"",
            )),
        }
    }
}

/// What keeps a text from being made of letters, digits, '_' and '-', at most `max` bytes, beginning as `starts` says.
fn plain_problem(text: &str, starts: fn(char) -> bool, first: &str, max: usize) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.is_empty() {
        Some("is empty".to_owned())
    } else if !text.chars().all(plain) {
        Some("contains a character other than letters, digits, '_' and '-'".to_owned())
    } else if !text.starts_with(starts) {
        Some(format!("does not start with {first}"))
    } else if text.len() > max {
        Some(format!("is longer than {max} bytes"))
    } else {
        None
    }
}

/// The name of an instance of a template unit: the part between `@` and the suffix (systemd.unit(5)), of plain characters,
/// since it becomes a file name, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName(String);
string_like!(InstanceName);

/// Long enough for people, short enough for every file name that it becomes a part of.
const INSTANCE_NAME_MAX: usize = 64;

impl FromStr for InstanceName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match plain_problem(
            text,
            |c| c.is_ascii_alphanumeric(),
            "a letter or digit",
            INSTANCE_NAME_MAX,
        ) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(ValueError::new(
                "instance name",
                text,
                problem,
                "use letters, digits, '_' and '-', for example \"blue\"",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names() {
        for good in ["acme", "g++", "0ad", "libfoo1.2-dev", "a1"] {
            assert_eq!(good.parse::<PackageName>().unwrap().as_str(), good);
        }
        for bad in ["", "a", "Acme", "-a", "+a", "a_b", "a b", "a\nb", "ä1", "a/b"] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad:?}");
        }
        let hint = |text: &str| text.parse::<PackageName>().unwrap_err().hint().to_owned();
        assert_eq!(hint("My_App"), "did you mean \"my-app\"?");
        assert_eq!(hint("@scope/app"), "did you mean \"scope-app\"?");
        assert!("a".repeat(129).parse::<PackageName>().is_err());
    }

    #[test]
    fn env_names() {
        for good in ["PORT", "_x", "a1"] {
            assert!(good.parse::<EnvName>().is_ok(), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "Ä"] {
            assert!(bad.parse::<EnvName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_names() {
        for good in ["blue", "1", "eu-west_2"] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-x", "a.b", "a@b", "a/b", "a b", "%i", long.as_str()] {
            assert!(bad.parse::<InstanceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn user_names() {
        for good in ["acme", "_acme", "Debian-exim", "www-data"] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        let long = "a".repeat(32);
        for bad in ["", "0day", "-x", "a.b", "a b", "a:b", long.as_str()] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
    }
}
