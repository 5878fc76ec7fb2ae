//! Owns `UnitName`: the file name of a systemd unit.

use std::fmt;
use std::str::FromStr;

use super::{ValueError, string_like};

/// The kinds of unit that a package can deliver (systemd.unit(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKind {
    /// `.service`
    Service,
    /// `.socket`
    Socket,
    /// `.timer`
    Timer,
    /// `.path`
    Path,
    /// `.target`
    Target,
    /// `.slice`
    Slice,
    /// `.mount`
    Mount,
    /// `.automount`
    Automount,
    /// `.swap`
    Swap,
}

impl UnitKind {
    /// Every kind.
    pub const ALL: &'static [UnitKind] = &[
        UnitKind::Service,
        UnitKind::Socket,
        UnitKind::Timer,
        UnitKind::Path,
        UnitKind::Target,
        UnitKind::Slice,
        UnitKind::Mount,
        UnitKind::Automount,
        UnitKind::Swap,
    ];

    /// The word after the last dot, without the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            UnitKind::Service => "service",
            UnitKind::Socket => "socket",
            UnitKind::Timer => "timer",
            UnitKind::Path => "path",
            UnitKind::Target => "target",
            UnitKind::Slice => "slice",
            UnitKind::Mount => "mount",
            UnitKind::Automount => "automount",
            UnitKind::Swap => "swap",
        }
    }
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.suffix())
    }
}

/// A unit's file name, for example `acme.service`, `acme@.service` (a template) or `acme@blue.service` (an instance).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(String);
string_like!(UnitName);

/// dpkg can't install a file whose name is longer (it appends `.dpkg-new`).
const UNIT_NAME_MAX: usize = 246;

impl UnitName {
    /// What the unit is, by its suffix.
    pub fn kind(&self) -> UnitKind {
        split(&self.0).map_or(UnitKind::Service, |(_, kind)| kind)
    }

    /// The name without its suffix: `acme@blue`.
    pub fn stem(&self) -> &str {
        split(&self.0).map_or(self.0.as_str(), |(stem, _)| stem)
    }

    /// The name up to the first `@`, or the stem: `acme`.
    pub fn prefix(&self) -> &str {
        let stem = self.stem();
        stem.split_once('@').map_or(stem, |(prefix, _)| prefix)
    }

    /// What stands between `@` and the suffix; empty for a template, `None` for a plain unit.
    pub fn instance(&self) -> Option<&str> {
        self.stem().split_once('@').map(|(_, instance)| instance)
    }

    /// `acme@.service`
    pub fn is_template(&self) -> bool {
        self.instance() == Some("")
    }

    /// `acme@blue.service`
    pub fn is_instance(&self) -> bool {
        self.instance().is_some_and(|instance| !instance.is_empty())
    }

    /// The template of an instance: `acme@.service` of `acme@blue.service`.
    pub fn template(&self) -> Option<UnitName> {
        self.is_instance()
            .then(|| UnitName(format!("{}@.{}", self.prefix(), self.kind())))
    }

    /// A plain unit of the same kind whose stem ends with `suffix` as well, for what is made beside it. The name may be longer
    /// than dpkg can install.
    pub(crate) fn suffixed(&self, suffix: &str) -> UnitName {
        UnitName(format!("{}{suffix}.{}", self.stem(), self.kind()))
    }

    /// The unit of another kind with the same stem: the service that a timer starts.
    pub fn with_kind(&self, kind: UnitKind) -> UnitName {
        UnitName(format!("{}.{}", self.stem(), kind))
    }
}

fn split(text: &str) -> Option<(&str, UnitKind)> {
    let (stem, suffix) = text.rsplit_once('.')?;
    let kind = UnitKind::ALL.iter().find(|kind| kind.suffix() == suffix)?;
    Some((stem, *kind))
}

impl FromStr for UnitName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |problem: String, hint: &str| Err(ValueError::new("unit name", text, problem, hint));
        if let Some(bad) = text
            .chars()
            .find(|&c| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '@')))
        {
            let hint = if bad == '\\' {
                "dpkg can't carry a backslash in a file name: choose a name or mount point that needs no escape"
            } else {
                "use letters, digits and ':', '-', '_', '.', for example \"acme-worker.service\""
            };
            return error(format!("contains {bad:?}"), hint);
        }
        let Some((stem, _)) = split(text) else {
            return match text.rsplit_once('.') {
                Some((_, suffix @ ("device" | "scope" | "snapshot"))) => error(
                    format!("is a {suffix} unit, which has no unit file"),
                    "deliver a service, socket, timer, path, target, slice, mount, automount or swap",
                ),
                _ => error(
                    "has no unit suffix".into(),
                    "end it with .service, .socket, .timer, .path, .target, .slice, .mount, .automount or .swap",
                ),
            };
        };
        if stem.is_empty() || stem.starts_with('@') {
            return error("has nothing before its suffix".into(), "for example \"acme.service\"");
        }
        if stem.starts_with('.') {
            return error("starts with a dot".into(), "systemd ignores hidden files");
        }
        if text.len() > UNIT_NAME_MAX {
            return error(format!("is longer than {UNIT_NAME_MAX} bytes"), "choose a shorter name");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> UnitName {
        text.parse().unwrap()
    }

    #[test]
    fn parts_of_a_name() {
        let plain = unit("acme-backup.timer");
        assert_eq!(
            (plain.kind(), plain.stem(), plain.prefix(), plain.instance()),
            (UnitKind::Timer, "acme-backup", "acme-backup", None)
        );
        assert_eq!(plain.with_kind(UnitKind::Service).as_str(), "acme-backup.service");
        let template = unit("acme@.service");
        assert!(template.is_template() && !template.is_instance());
        let instance = unit("acme@blue@x.service");
        assert!(instance.is_instance());
        assert_eq!(instance.instance(), Some("blue@x"));
        assert_eq!(instance.template(), Some(template));
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            "acme",
            ".service",
            "@.service",
            "@x.service",
            "acme.device",
            "acme.conf",
            "a/b.service",
            "a b.service",
            "a\\x2d.mount",
            "..service",
            "ä.service",
            "a\n.service",
        ] {
            assert!(bad.parse::<UnitName>().is_err(), "{bad:?}");
        }
        assert!(format!("{}.service", "a".repeat(239)).parse::<UnitName>().is_err());
    }
}
