//! Owns the payload: a release's tree as one compressed tar, hashed while it is written.

use std::io::Write;

use super::feed::{Sink, feed};
use super::tar::{END, TarWriter, entry_len};
use super::zst::Length;
use super::{ArchiveError, DigestWriter, Digests, LEVELS, Progress, check_mtime, zst};
use crate::model::{Sha256, TreePath};
use crate::tree::{FileNode, Manifest, Node, Tree};

/// What was written as a payload.
#[derive(Debug)]
pub struct Payload {
    /// The tree's manifest, from the hashes of the bytes that were packed.
    pub manifest: Manifest,
    /// Of the compressed bytes.
    pub compressed: Digests,
    /// Bytes of the tar inside.
    pub unpacked_bytes: u64,
}

/// Writes a tree as `tar.zst` in one pass: every file is read once, in the manifest's order.
///
/// `mtime` is in seconds since 1970, `level` a zstd level of [`LEVELS`].
pub fn write_payload(
    tree: &Tree,
    mtime: u64,
    level: i32,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<Payload, ArchiveError> {
    write_with(tree, mtime, level, zst::workers(), progress, out)
}

fn write_with(
    tree: &Tree,
    mtime: u64,
    level: i32,
    workers: u32,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<Payload, ArchiveError> {
    const WHAT: &str = "payload";
    check_mtime(mtime)?;
    check_level(level)?;
    let unpacked_bytes = tree_len(tree, ".") + END;
    let failed = ArchiveError::write(WHAT);
    let encoder =
        zst::encoder(DigestWriter::new(out), level, Length::Exact(unpacked_bytes), workers).map_err(&failed)?;
    let mut tar = TarWriter::new(encoder, mtime);
    let hashes = write_tree(&mut tar, ".", tree, WHAT, progress)?;
    let encoder = tar.finish().map_err(&failed)?;
    let (_, compressed) = encoder.finish().and_then(DigestWriter::finish).map_err(&failed)?;
    Ok(Payload {
        manifest: Manifest::of_tree(tree, hashes),
        compressed,
        unpacked_bytes,
    })
}

pub(super) fn check_level(level: i32) -> Result<(), ArchiveError> {
    if LEVELS.contains(&level) {
        return Ok(());
    }
    Err(ArchiveError::Invalid {
        what: format!("at compression level {level}"),
        problem: "there is no such level".into(),
        hint: "choose one from 1 to 19",
    })
}

/// Bytes that [`write_tree`] writes.
pub(super) fn tree_len(tree: &Tree, top: &str) -> u64 {
    let path_of = |path: &TreePath| format!("{top}/{path}");
    let below: u64 = tree
        .iter()
        .map(|(path, node)| match node {
            Node::Dir => entry_len(&path_of(path), true, "", 0),
            Node::Symlink(target) => entry_len(&path_of(path), false, target, 0),
            Node::File(file) => entry_len(&path_of(path), false, "", file.size),
        })
        .sum();
    below + entry_len(top, true, "", 0)
}

/// Writes a tree below the directory `top`, `top` included; gives the files' hashes in order.
pub(super) fn write_tree<W: Write>(
    tar: &mut TarWriter<W>,
    top: &str,
    tree: &Tree,
    what: &'static str,
    progress: &dyn Progress,
) -> Result<Vec<Sha256>, ArchiveError> {
    let failed = ArchiveError::write(what);
    tar.dir(top).map_err(&failed)?;
    let files: Vec<(&TreePath, &FileNode)> = tree.files().collect();
    let mut nodes = tree.iter().peekable();
    let mut sink = TreeSink {
        tar,
        top,
        nodes: &mut nodes,
        failed: &failed,
        progress,
    };
    let hashes = feed(&files, &mut sink)?;
    sink.up_to_file().map_err(&failed)?;
    Ok(hashes)
}

struct TreeSink<'a, 't, W, I: Iterator<Item = (&'t TreePath, &'t Node)>, F> {
    tar: &'a mut TarWriter<W>,
    top: &'a str,
    nodes: &'a mut std::iter::Peekable<I>,
    failed: &'a F,
    progress: &'a dyn Progress,
}

impl<'t, W: Write, I: Iterator<Item = (&'t TreePath, &'t Node)>, F> TreeSink<'_, 't, W, I, F> {
    /// Writes the directories and links before the next file.
    fn up_to_file(&mut self) -> std::io::Result<()> {
        while let Some((path, node)) = self.nodes.next_if(|(_, node)| !matches!(node, Node::File(_))) {
            let path = format!("{}/{path}", self.top);
            match node {
                Node::Symlink(target) => self.tar.symlink(&path, target)?,
                _ => self.tar.dir(&path)?,
            }
        }
        Ok(())
    }

    fn next_file(&mut self) -> std::io::Result<()> {
        self.up_to_file()?;
        if let Some((path, Node::File(file))) = self.nodes.next() {
            let mode = if file.executable { 0o755 } else { 0o644 };
            self.tar.begin_file(&format!("{}/{path}", self.top), mode, file.size)?;
        }
        Ok(())
    }
}

impl<'t, W: Write, I: Iterator<Item = (&'t TreePath, &'t Node)>, F: Fn(std::io::Error) -> ArchiveError> Sink
    for TreeSink<'_, 't, W, I, F>
{
    type Error = ArchiveError;

    fn begin(&mut self, _index: usize) -> Result<(), ArchiveError> {
        self.next_file().map_err(self.failed)
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.tar.content(bytes).map_err(self.failed)?;
        self.progress.advance(bytes.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::tree::digest;

    struct Count(AtomicU64);
    impl Progress for Count {
        fn advance(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn sample() -> Tree {
        let mut tree = Tree::new();
        for i in 0..400_u32 {
            let size = if i % 100 == 7 { 5_000_000 } else { i * 40 };
            let bytes: Vec<u8> = (0..size).map(|j| ((i ^ j) % 253 * (j >> 9)) as u8).collect();
            tree.insert_bytes(format!("d{}/f{i}", i % 7).parse().unwrap(), i % 3 == 0, bytes)
                .unwrap();
        }
        tree.insert_dir("z/empty".parse().unwrap()).unwrap();
        tree.insert_symlink("d1/l".parse().unwrap(), "f1").unwrap();
        tree
    }

    #[test]
    fn one_pass_gives_archive_manifest_and_digests() {
        let tree = sample();
        let mut out = Vec::new();
        let progress = Count(AtomicU64::new(0));
        let payload = write_payload(&tree, 1_700_000_000, 3, &progress, &mut out).unwrap();
        assert_eq!(payload.manifest, digest(&tree).unwrap());
        assert_eq!(payload.compressed, Digests::of(&out));
        assert_eq!(progress.0.into_inner(), tree.file_bytes());
        let plain = zstd::decode_all(out.as_slice()).unwrap();
        assert_eq!(plain.len() as u64, payload.unpacked_bytes);
        let mut archive = tar::Archive::new(plain.as_slice());
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        let mut expected = vec!["./".to_owned()];
        expected.extend(
            tree.iter()
                .map(|(path, node)| format!("./{path}{}", if matches!(node, Node::Dir) { "/" } else { "" })),
        );
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_workers() {
        let tree = sample();
        let pack = |workers| {
            let mut out = Vec::new();
            write_with(&tree, 1, 3, workers, &(), &mut out).unwrap();
            out
        };
        let one = pack(1);
        assert!(one == pack(2) && one == pack(4));
    }

    #[test]
    fn levels_and_times_are_checked() {
        assert!(write_payload(&Tree::new(), 1, 0, &(), std::io::sink()).is_err());
        assert!(write_payload(&Tree::new(), u64::MAX, 3, &(), std::io::sink()).is_err());
        assert!(write_payload(&Tree::new(), 0, 3, &(), std::io::sink()).is_ok());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full(u64);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(bytes.len() as u64)
                    .ok_or(std::io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        for room in [0, 1000, 100_000] {
            assert!(matches!(
                write_payload(&sample(), 1, 3, &(), Full(room)),
                Err(ArchiveError::Write { .. })
            ));
        }
    }
}
