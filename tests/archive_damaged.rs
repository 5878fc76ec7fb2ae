//! Archives that are cut off, damaged, lying or bombs: our reader refuses them, and neither panics nor hangs.

use std::fs::{self, File};
use std::path::Path;

use crate::archives::{as_files, build, build_as};
use crate::common::Random;
use relpack::archive::read::{Artifact, ArtifactError, Limits};
use relpack::model::Compression;
use relpack::tree::Tree;

/// Everything that `inspect` and `verify` would do.
fn read_all(path: &Path) -> Result<(), ArtifactError> {
    let artifact = Artifact::open(path)?;
    artifact.entries()?;
    artifact.check_md5sums()?;
    artifact.release()?;
    Ok(())
}

fn small() -> Vec<(&'static str, Vec<u8>)> {
    let mut tree = Tree::new();
    tree.insert_bytes("bin/app".parse().unwrap(), true, *b"#!/bin/sh\n")
        .unwrap();
    tree.insert_bytes("n".repeat(150).parse().unwrap(), false, *b"x")
        .unwrap();
    tree.insert_symlink("l".parse().unwrap(), "bin/app").unwrap();
    let built = build(&tree);
    let as_xz = build_as(&tree, Compression::Xz).deb;
    vec![
        ("deb", built.deb),
        ("tar.zst", built.zst),
        ("tar.xz", built.xz),
        ("tar.gz", built.gz),
        ("xz.deb", as_xz),
        ("files.deb", as_files(&tree)),
    ]
}

#[test]
fn a_truncated_artifact_is_an_error_at_every_length() {
    let temp = tempfile::tempdir().unwrap();
    for (name, bytes) in small() {
        let path = temp.path().join(name);
        fs::write(&path, &bytes).unwrap();
        read_all(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        // The container's own alignment makes the last byte of an odd member padding, which is required too.
        for len in (0..bytes.len()).rev() {
            file.set_len(len as u64).unwrap();
            let error = read_all(&path)
                .err()
                .unwrap_or_else(|| panic!("{name} cut to {len} of {} bytes", bytes.len()));
            assert!(error.to_string().contains("(hint: "), "{error}");
        }
    }
}

#[test]
fn damaged_artifacts_never_panic_or_hang() {
    let mut random = Random::new();
    let temp = tempfile::tempdir().unwrap();
    for (name, bytes) in small() {
        let path = temp.path().join(name);
        for _ in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(damaged.len());
                match random.below(4) {
                    0 => damaged[at] = 0xff,
                    1 => drop(damaged.drain(at..(at + random.below(600)).min(bytes.len()).min(damaged.len()))),
                    _ => damaged[at] ^= 1 << random.below(8),
                }
                if damaged.is_empty() {
                    break;
                }
            }
            fs::write(&path, &damaged).unwrap();
            // Damage in padding may go unnoticed; all else is an error.
            let _ = read_all(&path);
        }
    }
}

#[test]
fn lying_archives_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x.tar.gz");
    let header = |name: &str, kind: u8, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let end = vec![0; 1024];
    let refused = |tar: Vec<u8>| -> String {
        let mut gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &tar).unwrap();
        gzip.finish().unwrap();
        let outcome: Result<_, ArtifactError> = Artifact::open(&path).and_then(|artifact| artifact.release());
        outcome.expect_err("accepted").to_string()
    };
    for (what, tar, expected) in [
        (
            "device",
            [header("t/release/x", b'3', 0), end.clone()].concat(),
            "no file, directory or symlink",
        ),
        (
            "hardlink",
            [header("t/release/x", b'1', 0), end.clone()].concat(),
            "no file, directory or symlink",
        ),
        (
            "pax",
            [header("t/release/x", b'x', 0), end.clone()].concat(),
            "no file, directory or symlink",
        ),
        (
            "absolute",
            [header("/etc/passwd", b'0', 0), end.clone()].concat(),
            "whose name can't be",
        ),
        (
            "climbing",
            [header("t/../../x", b'0', 0), end.clone()].concat(),
            "whose name can't be",
        ),
        (
            "huge size",
            [header("t/release/x", b'0', u64::MAX >> 1), end.clone()].concat(),
            "unpacks to more than",
        ),
        (
            "more padding than any tar writes",
            [header("t/release/x", b'0', 0), vec![0; 17 << 20]].concat(),
            "bytes of nothing behind its end",
        ),
        (
            "giant name",
            [header("././@LongLink", b'L', 1 << 40), end.clone()].concat(),
            "no proper long name",
        ),
        (
            "name without end",
            [header("././@LongLink", b'L', 0), end.clone()].concat(),
            "no proper long name",
        ),
        (
            "twice",
            [
                header("t/release/x", b'0', 0),
                header("t/release/x", b'0', 0),
                end.clone(),
            ]
            .concat(),
            "twice",
        ),
        (
            "no parent",
            [header("t/release/d/x", b'0', 0), end.clone()].concat(),
            "no directory listed before",
        ),
        (
            "two tops",
            [header("t", b'5', 0), header("u", b'5', 0), end.clone()].concat(),
            "beside its top directory",
        ),
        (
            "trailing",
            [header("t", b'5', 0), end.clone(), vec![1; 512]].concat(),
            "behind its end",
        ),
        ("no end", header("t", b'5', 0), "cut off"),
        ("nothing", end.clone(), "no release"),
        (
            "dir with content",
            [header("t", b'5', 512), vec![0; 512], end.clone()].concat(),
            "content where none can be",
        ),
    ] {
        let error = refused(tar);
        assert!(error.contains(expected), "{what}: {error}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let mut tree = Tree::new();
    tree.insert_bytes("zeros".parse().unwrap(), false, vec![0; 30 << 20])
        .unwrap();
    let built = build(&tree);
    let temp = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("x.deb", built.deb),
        ("x.tar.zst", built.zst),
        ("x.tar.xz", built.xz),
        ("x.tar.gz", built.gz),
    ] {
        let path = temp.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert!(Artifact::open(&path).unwrap().release().is_ok());
        let strict = Limits {
            sparse_bytes: 1 << 20,
            ratio: 100,
            ..Limits::default()
        };
        let error = Artifact::open_with(&path, strict)
            .unwrap()
            .release()
            .unwrap_err()
            .to_string();
        assert!(error.contains("unpacks to more than"), "{error}");
    }
}
