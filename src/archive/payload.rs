//! Owns the payload: a release's tree as one compressed tar, hashed while it is written.
//!
//! Directories and symlinks come first, in the manifest's order, then the files. Files with the same name in a directory of
//! the same name stand together, where the first of them would be: in `node_modules` those are copies of one module, or its
//! versions, and side by side they save 3 % (measured) because copies are mostly further apart than the window is wide.

use std::collections::HashMap;
use std::io::{self, Write};

use super::compress::Compressor;
use super::digest::State;
use super::feed::{Sink, feed};
use super::tar::{END, TarWriter, entry_len};
use super::zst::Length;
use super::{ArchiveError, DigestWriter, Digests, Progress, check_mtime, zst};
use crate::model::{Packing, Sha256, TreePath};
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

/// Writes a tree as a compressed tar in one pass: every file is read once.
///
/// `mtime` is in seconds since 1970.
pub fn write_payload(
    tree: &Tree,
    mtime: u64,
    packing: Packing,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<Payload, ArchiveError> {
    write_with(tree, mtime, packing, zst::workers(), progress, out)
}

fn write_with(
    tree: &Tree,
    mtime: u64,
    packing: Packing,
    workers: u32,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<Payload, ArchiveError> {
    const WHAT: &str = "payload";
    check_mtime(mtime)?;
    let unpacked_bytes = tree_len(tree, ".") + END;
    let failed = ArchiveError::write(WHAT);
    let length = Length::Exact(unpacked_bytes);
    let encoder = Compressor::new(DigestWriter::<_, State>::new(out), packing, length, workers).map_err(&failed)?;
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

type File<'a> = (&'a TreePath, &'a FileNode);

/// Writes a tree below the directory `top`, `top` included; gives the files' hashes in the tree's order.
pub(super) fn write_tree<W: Write>(
    tar: &mut TarWriter<W>,
    top: &str,
    tree: &Tree,
    what: &'static str,
    progress: &dyn Progress,
) -> Result<Vec<Sha256>, ArchiveError> {
    let failed = ArchiveError::write(what);
    tar.dir(top).map_err(&failed)?;
    for (path, node) in tree.iter() {
        match node {
            Node::Dir => tar.dir(&format!("{top}/{path}")),
            Node::Symlink(target) => tar.symlink(&format!("{top}/{path}"), target),
            Node::File(_) => Ok(()),
        }
        .map_err(&failed)?;
    }
    let (order, files) = clustered(tree);
    let hashes = feed(
        &files,
        &mut TreeSink {
            tar,
            top,
            files: &files,
            failed: &failed,
            progress,
        },
    )?;
    let mut in_tree_order = vec![Sha256([0; 32]); hashes.len()];
    for (place, hash) in order.into_iter().zip(hashes) {
        in_tree_order[place] = hash;
    }
    Ok(in_tree_order)
}

/// The files in the order of the archive, and the place of each in the tree's order.
fn clustered(tree: &Tree) -> (Vec<usize>, Vec<File<'_>>) {
    let files: Vec<File<'_>> = tree.files().collect();
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(files.len());
    let mut order: Vec<(usize, usize)> = files
        .iter()
        .enumerate()
        .map(|(place, (path, _))| (*first.entry(kin(path.as_str())).or_insert(place), place))
        .collect();
    order.sort_unstable();
    let in_order = order.iter().map(|&(_, place)| files[place]).collect();
    (order.into_iter().map(|(_, place)| place).collect(), in_order)
}

/// The last two components of a path.
fn kin(path: &str) -> &str {
    path.rmatch_indices('/')
        .nth(1)
        .map_or(path, |(slash, _)| &path[slash + 1..])
}

struct TreeSink<'a, W, F> {
    tar: &'a mut TarWriter<W>,
    top: &'a str,
    files: &'a [File<'a>],
    failed: &'a F,
    progress: &'a dyn Progress,
}

impl<W: Write, F: Fn(io::Error) -> ArchiveError> Sink for TreeSink<'_, W, F> {
    type Error = ArchiveError;

    fn begin(&mut self, index: usize) -> Result<(), ArchiveError> {
        let (path, file) = self.files[index];
        let mode = if file.executable { 0o755 } else { 0o644 };
        self.tar
            .begin_file(&format!("{}/{path}", self.top), mode, file.size)
            .map_err(self.failed)
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
    use crate::model::Compression;
    use crate::tree::digest;

    struct Count(AtomicU64);
    impl Progress for Count {
        fn advance(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn zstd(level: i32) -> Packing {
        Packing::new(Compression::Zstd, level).unwrap()
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
        let payload = write_payload(&tree, 1_700_000_000, zstd(3), &progress, &mut out).unwrap();
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
        assert_eq!(paths.len(), tree.len() + 1);
        assert_eq!(paths[..3], ["./", "./d0/", "./d1/"]);
        assert_eq!(paths[3..6], ["./d1/l", "./d2/", "./d3/"]);
        assert_eq!(paths[paths.len() - 1], "./d6/f97");
    }

    #[test]
    fn files_of_the_same_name_stand_together() {
        let mut tree = Tree::new();
        for path in [
            "a/ms/index.js",
            "a/ms/x",
            "b/ms/index.js",
            "b/zz/index.js",
            "c/d/ms/index.js",
            "x",
        ] {
            tree.insert_bytes(path.parse().unwrap(), false, *b"").unwrap();
        }
        let (order, files) = clustered(&tree);
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "a/ms/index.js",
                "b/ms/index.js",
                "c/d/ms/index.js",
                "a/ms/x",
                "b/zz/index.js",
                "x"
            ]
        );
        assert_eq!(order, [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_workers() {
        let tree = sample();
        let pack = |packing, workers| {
            let mut out = Vec::new();
            write_with(&tree, 1, packing, workers, &(), &mut out).unwrap();
            out
        };
        for (_, compression) in Compression::WORDS {
            let packing = Packing::new(*compression, 2).unwrap();
            let one = pack(packing, 1);
            assert!(one == pack(packing, 2) && one == pack(packing, 4), "{packing:?}");
        }
    }

    #[test]
    fn times_are_checked() {
        assert!(write_payload(&Tree::new(), u64::MAX, zstd(3), &(), std::io::sink()).is_err());
        assert!(write_payload(&Tree::new(), 0, zstd(3), &(), std::io::sink()).is_ok());
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
                write_payload(&sample(), 1, zstd(3), &(), Full(room)),
                Err(ArchiveError::Write { .. })
            ));
        }
    }
}
