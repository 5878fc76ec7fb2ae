//! What an upgrade does with the units of a host, as the scripts of the new release would do it.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::read::Release;
use crate::model::{DebVersion, UnitName};

/// What an upgrade does with units that run, and with those that are new.
#[derive(Debug)]
pub struct OnHost {
    /// Unit and what becomes of it, in the settings' order; those that are left alone are not listed.
    pub units: Vec<(String, Deed)>,
    /// Whether the migration runs before them.
    pub migration: bool,
    /// The services that are tried first, where they run.
    pub trials: Vec<String>,
}

/// What an activation does with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is new and enabled.
    Start,
    /// Stopped and started.
    Restart,
    /// Restarted without waiting for it.
    RestartLater,
    /// Asked to take the new release up itself.
    Reload,
    /// Restarted when the instances before it are healthy.
    InTurn,
    /// One of two colours, and only the host knows which of them serves: the other one starts, and then this one stops.
    Swap,
    /// The colour that the other one takes over from.
    Yield,
    /// The new release doesn't have it.
    Stop,
}

impl Deed {
    /// As reports say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Deed::Start => "start",
            Deed::Restart => "restart",
            Deed::RestartLater => "restart-without-waiting",
            Deed::Reload => "reload",
            Deed::InTurn => "in-turn",
            Deed::Swap => "start-or-stop",
            Deed::Yield => "yield",
            Deed::Stop => "stop",
        }
    }
}

/// A unit as the settings have it.
struct Row {
    name: String,
    service: bool,
    policy: String,
    enabled: bool,
}

/// The units that run; a template runs as its instances, which have rows of their own.
fn rows(release: &Release) -> Vec<Row> {
    let rows = release.settings("unit").into_iter();
    rows.filter(|row| row.len() >= 6 && !row[1].contains("@."))
        .map(|row| Row {
            name: row[1].clone(),
            service: row[2] == "service",
            policy: row[3].clone(),
            enabled: row[4] == "enable",
        })
        .collect()
}

fn value(release: &Release, key: &str) -> Option<String> {
    release.settings(key).first().and_then(|row| row.get(1).cloned())
}

impl OnHost {
    /// The texts are those of the units, the versions those of the packages; old first.
    pub(super) fn of(
        old: &Release,
        new: &Release,
        texts: &[BTreeMap<String, String>; 2],
        versions: &[Option<String>; 2],
    ) -> Self {
        if old.manifest.id() == new.manifest.id() {
            return Self {
                units: Vec::new(),
                migration: false,
                trials: Vec::new(),
            };
        }
        let version = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<DebVersion>().ok());
        let back = matches!((version(&versions[0]), version(&versions[1])), (Some(old), Some(new)) if new < old);
        let (before, after) = (rows(old), rows(new));
        let was = |name: &str| before.iter().find(|old| old.name == name);
        let strategy = value(new, "strategy").unwrap_or_default();
        let template = format!("{}@", value(new, "name").unwrap_or_default());
        // What the strategy looks after, and not the restart of everything.
        let (by_strategy, others): (Vec<&Row>, Vec<&Row>) = after.iter().partition(|row| {
            matches!(strategy.as_str(), "rolling" | "canary" | "blue-green")
                && row.name.starts_with(&template)
                && row.policy != "none"
        });
        let mut deeds = BTreeMap::new();
        if strategy == "blue-green" {
            deeds.extend(swapped(&by_strategy, |row| was(&row.name).is_some()));
        } else {
            let rolled = by_strategy.iter().filter_map(|row| match was(&row.name) {
                Some(_) => Some((row.name.as_str(), Deed::InTurn)),
                None => row.enabled.then_some((row.name.as_str(), Deed::Start)),
            });
            deeds.extend(rolled);
        }
        for row in others {
            let changed = text_of(&texts[0], &row.name) != text_of(&texts[1], &row.name);
            deeds.extend(at_once(row, was(&row.name), changed).map(|deed| (row.name.as_str(), deed)));
        }
        let kept: BTreeSet<&str> = after.iter().map(|row| row.name.as_str()).collect();
        let in_order = after
            .iter()
            .filter_map(|row| Some((row.name.clone(), *deeds.get(row.name.as_str())?)));
        let tried = new.settings("trial").into_iter();
        let gone = before.iter().filter(|row| !kept.contains(row.name.as_str()));
        Self {
            units: in_order.chain(gone.map(|row| (row.name.clone(), Deed::Stop))).collect(),
            migration: value(new, "migrate").is_some() && !back,
            trials: tried
                .filter_map(|row| row.into_iter().nth(1))
                .filter(|name| !back && was(name).is_some())
                .collect(),
        }
    }
}

/// Of two colours one serves. Where the old release has neither, the first one starts.
fn swapped<'a>(colours: &[&'a Row], was: impl Fn(&Row) -> bool) -> Vec<(&'a str, Deed)> {
    let (known, new): (Vec<&Row>, Vec<&Row>) = colours.iter().partition(|row| was(row));
    let deed = |rows: Vec<&'a Row>, deed: Deed| rows.into_iter().map(move |row| (row.name.as_str(), deed));
    match (known.len(), new.len()) {
        (0, _) => deed(new, Deed::Start).take(1).collect(),
        (_, 0) => deed(known, Deed::Swap).collect(),
        _ => deed(known, Deed::Yield).chain(deed(new, Deed::Start)).collect(),
    }
}

/// What happens to a unit that no strategy looks after.
fn at_once(row: &Row, was: Option<&Row>, changed: bool) -> Option<Deed> {
    let Some(was) = was else {
        return row.enabled.then_some(Deed::Start);
    };
    if !row.service && !changed {
        return None;
    }
    match row.policy.as_str() {
        "restart" | "try-restart" => Some(Deed::Restart),
        // What was started from a release of its own finds no other by a reload.
        "reload" if was.policy == "reload" => Some(Deed::Reload),
        "reload" => Some(Deed::Restart),
        "no-block" => Some(Deed::RestartLater),
        _ => None,
    }
}

/// The text of a unit, or of its template, with the drop-ins.
fn text_of(texts: &BTreeMap<String, String>, unit: &str) -> String {
    let template = unit.parse::<UnitName>().ok().and_then(|name| name.template());
    let template = template.as_ref().map(UnitName::as_str);
    let of: Vec<&str> = [Some(unit), template].into_iter().flatten().collect();
    let mine = texts.iter().filter(|(path, _)| {
        of.iter()
            .any(|unit| path == unit || path.strip_prefix(unit).is_some_and(|rest| rest.starts_with(".d/")))
    });
    mine.map(|(_, text)| text.as_str()).collect()
}
