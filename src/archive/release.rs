//! Owns recomputing a release from the entries of an archive: its manifest from the bytes that are really there.

use std::collections::BTreeMap;
use std::io::Read;

use sha2::{Digest, Sha256 as Hasher};

use super::Digests;
use super::read::{Artifact, ArtifactError};
use super::tarball::Identity;
use super::untar::{EntryInfo, InfoKind};
use crate::model::{ReleaseId, Sha256, TreePath};
use crate::tree::{EntryKind, Manifest, ManifestBuilder};

/// The release inside an artifact, recomputed from its bytes.
#[derive(Debug)]
pub struct Release {
    /// The id in the payload's name; a tarball has none.
    pub named: Option<ReleaseId>,
    /// What a tarball is of, where it says so; a `.deb` has its control file.
    pub identity: Option<Identity>,
    /// The manifest delivered beside it.
    pub delivered: Option<Vec<u8>>,
    /// The manifest of what is really there.
    pub manifest: Manifest,
    /// The sizes in bytes of its files, in the manifest's order.
    pub sizes: Vec<u64>,
    /// Units and settings: what is below `.relpack/`, by its path in the release.
    pub metadata: BTreeMap<TreePath, Vec<u8>>,
    /// The links that a `.deb` brings below `/usr`, with their targets.
    pub links: BTreeMap<String, String>,
    /// Of the compressed payload, in a `.deb`.
    pub compressed: Option<Digests>,
    /// What doesn't agree with how releases are written: modes, owners.
    pub oddities: Vec<String>,
}

impl Release {
    /// A text below `.relpack/`; empty where there is none.
    pub fn metadata_text(&self, name: &str) -> String {
        let path = format!(".relpack/{name}");
        let found = self.metadata.iter().find(|(at, _)| at.as_str() == path);
        found.map_or_else(String::new, |(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The links that it has outside of itself on a host: path and target.
    pub fn host_links(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let rows = self.settings("link").into_iter().filter(|row| row.len() >= 3);
        rows.map(|mut row| (std::mem::take(&mut row[1]), std::mem::take(&mut row[2])))
    }

    /// The lines of the settings with this key, as their fields.
    pub fn settings(&self, key: &str) -> Vec<Vec<String>> {
        let text = self.metadata_text("settings");
        let rows = text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row[0] == key).collect()
    }
}

enum OwnedKind {
    Dir,
    Symlink(String),
    File {
        executable: bool,
        sha256: Sha256,
        size: u64,
    },
}

#[derive(Default)]
pub(super) struct ReleaseBuilder {
    entries: Vec<(TreePath, OwnedKind)>,
    metadata: BTreeMap<TreePath, Vec<u8>>,
    oddities: Vec<String>,
    metadata_bytes: u64,
}

impl ReleaseBuilder {
    /// Hashes one entry; `path` is its place in the release.
    pub(super) fn add(
        &mut self,
        artifact: &Artifact,
        part: &str,
        entry: &EntryInfo,
        path: &str,
        body: &mut dyn Read,
    ) -> Result<(), ArtifactError> {
        let path: TreePath = path
            .parse()
            .map_err(|_| artifact.bad(part, format!("has an entry {path:?} whose name can't be")))?;
        let (kind, modes): (_, &[u32]) = match &entry.kind {
            InfoKind::Dir => (OwnedKind::Dir, &[0o755]),
            InfoKind::Symlink(target) => (OwnedKind::Symlink(target.clone()), &[0o777]),
            InfoKind::File => {
                let mut hasher = Hasher::new();
                let keep = path.as_str().starts_with(".relpack/") && !path.as_str().starts_with(".relpack/files/");
                let mut kept = Vec::new();
                if keep {
                    self.metadata_bytes = self.metadata_bytes.saturating_add(entry.size);
                    if self.metadata_bytes > artifact.limits.metadata_bytes {
                        return Err(artifact.bad(
                            path.as_str(),
                            format!(
                                "has more than {} bytes of units and settings",
                                artifact.limits.metadata_bytes
                            ),
                        ));
                    }
                }
                let mut buffer = [0; 64 * 1024];
                loop {
                    let got = body
                        .read(&mut buffer)
                        .map_err(|error| artifact.tar_error(part, error.into()))?;
                    if got == 0 {
                        break;
                    }
                    hasher.update(&buffer[..got]);
                    if keep {
                        kept.extend_from_slice(&buffer[..got]);
                    }
                }
                if keep {
                    self.metadata.insert(path.clone(), kept);
                }
                let sha256 = Sha256(hasher.finalize().into());
                (
                    OwnedKind::File {
                        executable: entry.mode & 0o111 != 0,
                        sha256,
                        size: entry.size,
                    },
                    &[0o755, 0o644],
                )
            }
        };
        if (!modes.contains(&entry.mode) || entry.owner != (0, 0)) && self.oddities.len() < 50 {
            let (uid, gid) = entry.owner;
            self.oddities
                .push(format!("{path} has mode {:o} and owner {uid}:{gid}", entry.mode));
        }
        self.entries.push((path, kind));
        Ok(())
    }

    pub(super) fn finish(mut self, artifact: &Artifact, part: &str) -> Result<Release, ArtifactError> {
        // Archives have their own order; the sort also brings together what is there twice.
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
        let mut manifest = ManifestBuilder::default();
        let mut sizes = Vec::new();
        for (path, kind) in &self.entries {
            let kind = match kind {
                OwnedKind::Dir => EntryKind::Dir,
                OwnedKind::Symlink(target) => EntryKind::Symlink(target),
                OwnedKind::File {
                    executable,
                    sha256,
                    size,
                } => {
                    sizes.push(*size);
                    EntryKind::File {
                        executable: *executable,
                        sha256: *sha256,
                    }
                }
            };
            manifest
                .push(path.as_str(), kind)
                .map_err(|error| artifact.bad(part, error.problem()))?;
        }
        let Self { metadata, oddities, .. } = self;
        Ok(Release {
            named: None,
            identity: None,
            delivered: None,
            manifest: manifest.finish(),
            sizes,
            metadata,
            links: BTreeMap::new(),
            compressed: None,
            oddities,
        })
    }
}
