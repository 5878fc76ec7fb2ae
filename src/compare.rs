//! Owns what differs between two artifacts, and what an upgrade from one to the other does on a host.

mod on_host;

use std::collections::BTreeMap;

use crate::archive::read::{Artifact, Release};
use crate::tree::EntryKind;

pub use on_host::{Deed, OnHost};

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

impl Difference {
    /// Compares.
    pub fn of(old: Side<'_>, new: Side<'_>) -> Self {
        let both = [old, new];
        let versions = both.map(|side| field(side, "Version"));
        let ids = both.map(|side| side.release.manifest.id().to_string());
        let texts = both.map(|side| units(side.release));
        let host = OnHost::of(old.release, new.release, &texts, &versions);
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
