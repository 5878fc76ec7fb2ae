//! Owns the tarball: the same release, units and settings as in the `.deb`, below one directory.

use std::io::{self, Write};
use std::sync::Arc;

use super::compress::Compressor;
use super::digest::{ArtifactDigest, ArtifactState};
use super::payload::{tree_len, write_tree};
use super::tar::{END, TarWriter};
use super::{ArchiveError, DigestWriter, Progress, check_mtime, zst};
use crate::model::{DebVersion, PackageName, Packing, TreePath};
use crate::tree::{Manifest, Tree};

/// A file beside the release, known once the release's manifest is.
#[derive(Debug, Clone)]
pub struct TrailingFile {
    /// Below the tarball's top directory.
    pub path: TreePath,
    /// Mode 0755 instead of 0644.
    pub executable: bool,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

/// What goes into a tarball.
#[derive(Debug, Clone, Copy)]
pub struct TarballParts<'a> {
    /// The top directory, such as `acme-1.4.0-all`.
    pub top: &'a TreePath,
    /// The release; it stands below `release/`, its manifest in `release.manifest`.
    pub tree: &'a Tree,
    /// The time of every entry, in seconds since 1970.
    pub mtime: u64,
    /// How it is compressed.
    pub packing: Packing,
}

/// What was written as a tarball.
#[derive(Debug)]
pub struct TarballSummary {
    /// The release's manifest.
    pub manifest: Manifest,
    /// Of the tarball.
    pub digest: ArtifactDigest,
}

/// Writes a tarball in one pass. `trailing` gives the other files, for example units with the release's id filled in.
pub fn write_tarball(
    parts: &TarballParts<'_>,
    trailing: &mut dyn FnMut(&Manifest) -> Vec<TrailingFile>,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<TarballSummary, ArchiveError> {
    let failed = ArchiveError::write("tarball");
    check_mtime(parts.mtime)?;
    // What trails isn't known yet, so this is no exact length.
    let length = zst::Length::AtLeast(tree_len(parts.tree, parts.top.as_str()) + END);
    let out = DigestWriter::<_, ArtifactState>::new(out);
    let out = Compressor::new(out, parts.packing, length, zst::workers()).map_err(&failed)?;
    let (manifest, out) = write_entries(parts, trailing, progress, out)?;
    let out = out.finish().map_err(&failed)?;
    let (_, digest) = out.finish().map_err(&failed)?;
    Ok(TarballSummary { manifest, digest })
}

fn write_entries<W: Write>(
    parts: &TarballParts<'_>,
    trailing: &mut dyn FnMut(&Manifest) -> Vec<TrailingFile>,
    progress: &dyn Progress,
    out: W,
) -> Result<(Manifest, W), ArchiveError> {
    const WHAT: &str = "tarball";
    let failed = ArchiveError::write(WHAT);
    let top = parts.top;
    let mut tar = TarWriter::new(out, parts.mtime);
    tar.dir(top.as_str()).map_err(&failed)?;
    let hashes = write_tree(&mut tar, &format!("{top}/release"), parts.tree, WHAT, progress)?;
    let manifest = Manifest::of_tree(parts.tree, hashes);
    let mut beside = Tree::new();
    let invalid = |error: crate::tree::TreeError| ArchiveError::Invalid {
        what: "the tarball".into(),
        problem: error.to_string(),
        hint: "no file of it may be called release or release.manifest",
    };
    let mut add =
        |path: TreePath, executable, bytes: Arc<[u8]>| beside.insert_bytes(path, executable, bytes).map_err(invalid);
    for file in trailing(&manifest) {
        add(file.path, file.executable, file.bytes)?;
    }
    let manifest_path: TreePath = "release.manifest"
        .parse()
        .map_err(|error: crate::model::ValueError| invalid(error.into()))?;
    add(manifest_path, false, manifest.as_str().as_bytes().into())?;
    write_beside(&mut tar, top, &beside).map_err(&failed)?;
    Ok((manifest, tar.finish().map_err(&failed)?))
}

/// What a tarball says it is of. It has no control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The package.
    pub name: PackageName,
    /// With its epoch, which the top directory's name leaves out.
    pub version: DebVersion,
    /// Of the top directory's name.
    pub architecture: String,
}

/// Reads it from the top directory's name and the script `install`, which have to agree.
pub(super) fn identity(top: &str, install: &str) -> Option<Identity> {
    let value = |key: &str| {
        let text = install.lines().find_map(|line| line.strip_prefix(key))?;
        text.strip_prefix('\'')?.strip_suffix('\'')
    };
    let name: PackageName = value("name=")?.parse().ok()?;
    let version: DebVersion = value("version=")?.parse().ok()?;
    let rest = top.strip_prefix(name.as_str())?.strip_prefix('-')?;
    let architecture = rest.strip_prefix(version.without_epoch())?.strip_prefix('-')?;
    (!architecture.is_empty()).then(|| Identity {
        architecture: architecture.to_owned(),
        name,
        version,
    })
}

fn write_beside<W: Write>(tar: &mut TarWriter<W>, top: &TreePath, beside: &Tree) -> io::Result<()> {
    use crate::tree::{Node, Source};
    for (path, node) in beside.iter() {
        let path = format!("{top}/{path}");
        match node {
            Node::Dir => tar.dir(&path)?,
            Node::Symlink(target) => tar.symlink(&path, target)?,
            Node::File(file) => {
                if let Source::Bytes(bytes) = &file.source {
                    tar.file(&path, if file.executable { 0o755 } else { 0o644 }, bytes)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_says_what_it_is_of() {
        let install = "#!/bin/sh\nname='acme-2'\nprefix='/opt/acme-2'\nversion='1:2.0-1'\nname=x\n";
        let found = identity("acme-2-2.0-1-amd64", install).unwrap();
        let said = (found.name.as_str(), found.version.as_str(), found.architecture.as_str());
        assert_eq!(said, ("acme-2", "1:2.0-1", "amd64"));
        for (top, install) in [
            ("acme-2-2.0-2-amd64", install),
            ("acme-2-2.0-1-", install),
            ("other-2.0-1-amd64", install),
            ("acme-2-2.0-1-amd64", "name='acme-2'\n"),
            ("acme-2-2.0-1-amd64", "name='Acme'\nversion='1:2.0-1'\n"),
        ] {
            assert_eq!(identity(top, install), None, "{top}");
        }
    }
}
