//! Owns what differs between two artifacts, and what an upgrade from one to the other does on a host.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::read::{Artifact, Release};
use crate::model::{DebVersion, UnitName};
use crate::tree::EntryKind;

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The artifact.
    pub artifact: &'a Artifact,
    /// What it holds.
    pub release: &'a Release,
}

impl Side<'_> {
    /// The package's name; a tarball is none.
    pub fn package(self) -> Option<String> {
        field(self, "Package")
    }
}

/// All that differs.
#[derive(Debug)]
pub struct Difference {
    /// The releases' ids.
    pub ids: [String; 2],
    /// `Version`, where the artifacts are packages.
    pub versions: [Option<String>; 2],
    /// Bytes of the artifacts.
    pub sizes: [u64; 2],
    /// Bytes of the releases' files.
    pub unpacked: [u64; 2],
    /// Files, links and directories of the application; configuration files and links on a host by their path there.
    pub files: Vec<Change<Entry>>,
    /// Unit files and drop-ins, with their texts.
    pub units: Vec<Change<String>>,
    /// The settings that the host's scripts read.
    pub settings: [String; 2],
    /// Control fields but the version and the size.
    pub fields: Vec<Change<String>>,
    /// Maintainer scripts, but for the lines that name version, release and size.
    pub scripts: Vec<Change<String>>,
    /// What a host that has the old one does.
    pub host: OnHost,
}

/// Something by its name, before and after; never both `None`, never the same.
#[derive(Debug)]
pub struct Change<T> {
    /// A path, a unit, a field.
    pub name: String,
    /// In the old artifact.
    pub old: Option<T>,
    /// In the new one.
    pub new: Option<T>,
}

/// An entry of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Dir,
    /// A symlink with its target.
    Symlink(String),
    /// A file.
    File {
        /// Of its content.
        sha256: String,
        /// Bytes.
        size: u64,
        /// Whether it may be executed.
        executable: bool,
    },
}

/// What an upgrade does with units that run, and with those that are new.
#[derive(Debug)]
pub struct OnHost {
    /// Unit and what becomes of it, in the settings' order; those that are left alone are not listed.
    pub units: Vec<(String, Deed)>,
    /// Whether the migration runs before them.
    pub migration: bool,
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
    /// In turn with the other instances, as the strategy says.
    InTurn,
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
            Deed::Stop => "stop",
        }
    }
}

impl Difference {
    /// Compares.
    pub fn of(old: Side<'_>, new: Side<'_>) -> Self {
        let both = [old, new];
        let versions = both.map(|side| field(side, "Version"));
        let ids = both.map(|side| side.release.manifest.id().to_string());
        let texts = both.map(|side| units(side.release));
        let host = on_host(old.release, new.release, &texts, &versions);
        let [old_texts, new_texts] = texts;
        Self {
            sizes: both.map(|side| side.artifact.size()),
            unpacked: both.map(|side| side.release.sizes.iter().sum()),
            files: changes(entries(old.release), entries(new.release)),
            units: changes(old_texts, new_texts),
            settings: both.map(|side| side.release.metadata_text("settings")),
            fields: changes(fields(old), fields(new)),
            scripts: changes(scripts(old), scripts(new)),
            host,
            ids,
            versions,
        }
    }

    /// Whether the two hold the same release: then nothing restarts.
    pub fn same_release(&self) -> bool {
        self.ids[0] == self.ids[1]
    }
}

fn changes<T: PartialEq>(mut old: BTreeMap<String, T>, new: BTreeMap<String, T>) -> Vec<Change<T>> {
    let mut found: Vec<Change<T>> = new
        .into_iter()
        .map(|(name, new)| Change {
            old: old.remove(&name),
            new: Some(new),
            name,
        })
        .filter(|change| change.old != change.new)
        .collect();
    found.extend(old.into_iter().map(|(name, old)| Change {
        name,
        old: Some(old),
        new: None,
    }));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn entries(release: &Release) -> BTreeMap<String, Entry> {
    let mut sizes = release.sizes.iter().copied();
    let mut found = BTreeMap::new();
    for entry in release.manifest.entries() {
        let kind = match entry.kind {
            EntryKind::Dir => Entry::Dir,
            EntryKind::Symlink(target) => Entry::Symlink(target.to_owned()),
            EntryKind::File { executable, sha256 } => Entry::File {
                sha256: sha256.to_string(),
                size: sizes.next().unwrap_or_default(),
                executable,
            },
        };
        match entry.path.strip_prefix(".relpack") {
            None => drop(found.insert(entry.path.to_owned(), kind)),
            // Configuration files travel by their place on the host.
            Some(inside) => {
                if let (Some(path), Entry::File { .. }) = (inside.strip_prefix("/files/"), &kind) {
                    found.insert(format!("/{path}"), kind);
                }
            }
        }
    }
    // Links on the host are told by the settings.
    found.extend(
        release
            .host_links()
            .map(|(path, target)| (path, Entry::Symlink(target))),
    );
    found
}

fn units(release: &Release) -> BTreeMap<String, String> {
    let texts = release.metadata.iter();
    texts
        .filter_map(|(path, bytes)| {
            let name = path.as_str().strip_prefix(".relpack/units/")?;
            Some((name.to_owned(), String::from_utf8_lossy(bytes).into_owned()))
        })
        .collect()
}

fn field(side: Side<'_>, name: &str) -> Option<String> {
    Some(side.artifact.control()?.fields.get(name)?.to_owned())
}

fn fields(side: Side<'_>) -> BTreeMap<String, String> {
    let of = |name: &str| name != "Version" && name != "Installed-Size";
    let control = side.artifact.control();
    let all = control.into_iter().flat_map(|control| control.fields.iter());
    all.filter(|(name, _)| of(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn scripts(side: Side<'_>) -> BTreeMap<String, String> {
    const ALWAYS_NEW: [&str; 4] = ["version=", "id=", "need_kib=", "# '"];
    let control = side.artifact.control();
    let all = control.into_iter().flat_map(|control| control.files.values());
    all.filter(|file| file.mode & 0o100 != 0)
        .map(|file| {
            let text = String::from_utf8_lossy(&file.bytes);
            let kept = text
                .lines()
                .filter(|line| !ALWAYS_NEW.iter().any(|start| line.starts_with(start)));
            let kept: Vec<&str> = kept.collect();
            (file.name.clone(), kept.join("\n") + "\n")
        })
        .collect()
}

/// A unit as the settings have it.
struct Row {
    name: String,
    service: bool,
    policy: String,
    enabled: bool,
}

fn rows(release: &Release) -> Vec<Row> {
    let rows = release.settings("unit").into_iter();
    rows.filter(|row| row.len() >= 6)
        .map(|row| Row {
            name: row[1].clone(),
            service: row[2] == "service",
            policy: row[3].clone(),
            enabled: row[4] == "enable",
        })
        .collect()
}

fn on_host(
    old: &Release,
    new: &Release,
    texts: &[BTreeMap<String, String>; 2],
    versions: &[Option<String>; 2],
) -> OnHost {
    let value = |release: &Release, key| release.settings(key).first().and_then(|row| row.get(1).cloned());
    let same = old.manifest.id() == new.manifest.id();
    let version = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<DebVersion>().ok());
    let back = matches!((version(&versions[0]), version(&versions[1])), (Some(old), Some(new)) if new < old);
    let migration = value(new, "migrate").is_some() && !same && !back;
    if same {
        return OnHost {
            units: Vec::new(),
            migration,
        };
    }
    let (before, after) = (rows(old), rows(new));
    let strategy = value(new, "strategy").unwrap_or_default();
    let in_turn = |name: &str| strategy != "recreate" && name.contains('@');
    // A template runs as its instances, which have rows of their own.
    let runs = |row: &&Row| !row.name.contains("@.");
    let mut deeds = Vec::new();
    for row in after.iter().filter(runs) {
        let was = before.iter().find(|old| old.name == row.name);
        let changed = text_of(&texts[0], &row.name) != text_of(&texts[1], &row.name);
        let deed = match (was, row.policy.as_str()) {
            (None, _) => row.enabled.then_some(Deed::Start),
            (Some(_), _) if !row.service && !changed => None,
            (Some(_), "restart" | "try-restart") if in_turn(&row.name) => Some(Deed::InTurn),
            (Some(_), "restart" | "try-restart") => Some(Deed::Restart),
            (Some(was), "reload") if was.policy == "reload" => Some(Deed::Reload),
            (Some(_), "reload") => Some(Deed::Restart),
            (Some(_), "no-block") => Some(Deed::RestartLater),
            _ => None,
        };
        deeds.extend(deed.map(|deed| (row.name.clone(), deed)));
    }
    let kept: BTreeSet<&str> = after.iter().map(|row| row.name.as_str()).collect();
    let gone = before
        .iter()
        .filter(runs)
        .filter(|row| !kept.contains(row.name.as_str()));
    deeds.extend(gone.map(|row| (row.name.clone(), Deed::Stop)));
    OnHost {
        units: deeds,
        migration,
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
