//! The archives as other programs see them: dpkg-deb, GNU tar, sha256sum; and as our own reader does.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use crate::archives::{CONTROL, MTIME, as_files, assert_is_tree, build, hard_paths, scanned, source, spool};
use crate::common::ok;
use relpack::archive::read::{Artifact, Format, InfoKind};
use relpack::archive::{ControlFile, DataEntry, DataKind, DebParts, Digests, StoredFile, write_deb};
use relpack::model::{Compression, Packing};
use relpack::tree::{Node, Tree, digest};

#[test]
fn the_same_tree_gives_the_same_bytes_wherever_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("elsewhere/two"));
    source(&one, false, 0o022, 1_000_000_000);
    source(&two, true, 0o077, 1_600_000_000);
    let (one, two) = (build(&scanned(&one)), build(&scanned(&two)));
    assert!(one.payload == two.payload, "payload");
    assert!(one.deb == two.deb, "deb");
    assert!(one.zst == two.zst, "tar.zst");
    assert!(one.xz == two.xz, "tar.xz");
    assert!(one.gz == two.gz, "tar.gz");
}

#[test]
fn tar_and_sha256sum_take_the_payload_and_the_tarballs() {
    let temp = tempfile::tempdir().unwrap();
    source(&temp.path().join("src"), false, 0o022, 1);
    let tree = scanned(&temp.path().join("src"));
    let built = build(&tree);
    assert_eq!(built.manifest, digest(&tree).unwrap());
    let manifest = temp.path().join("manifest");
    fs::write(&manifest, built.manifest.as_str()).unwrap();
    for (name, bytes, strip) in [
        ("p.tar.zst", &built.payload, 0),
        ("t.tar.zst", &built.zst, 2),
        ("t.tar.xz", &built.xz, 2),
        ("t.tar.gz", &built.gz, 2),
    ] {
        let archive = temp.path().join(name);
        fs::write(&archive, bytes).unwrap();
        let out = temp.path().join(format!("{name}.d"));
        fs::create_dir(&out).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--delay-directory-restore", "-p", "-xf"])
            .arg(&archive)
            .arg("-C")
            .arg(&out);
        if strip > 0 {
            tar.arg("--strip-components=2").arg("acme-1.0-all/release");
        }
        ok(&mut tar);
        assert_is_tree(&out, &tree);
        ok(Command::new("sha256sum")
            .args(["-c", "--strict", "--quiet"])
            .arg(&manifest)
            .current_dir(&out));
        let names = ok(Command::new("tar").arg("-tf").arg(&archive).env("LC_ALL", "C"));
        assert!(
            names.starts_with(if strip > 0 {
                "acme-1.0-all/\nacme-1.0-all/release/\n"
            } else {
                "./\n./.relpack/\n"
            }),
            "{}",
            &names[..60]
        );
    }
    let listed = ok(Command::new("tar")
        .arg("-tf")
        .arg(temp.path().join("t.tar.gz"))
        .env("LC_ALL", "C"));
    assert!(listed.ends_with("acme-1.0-all/release.manifest\nacme-1.0-all/units/\nacme-1.0-all/units/acme.service\n"));
    ok(Command::new("gzip").arg("-t").arg(temp.path().join("t.tar.gz")));
    ok(Command::new("zstd")
        .args(["-q", "-t"])
        .arg(temp.path().join("t.tar.zst")));
}

/// A package whose data archive holds all the hard paths themselves.
fn hard_deb(compression: Compression, stored: bool) -> (Tree, Vec<u8>) {
    let mut tree = Tree::new();
    let mut paths = hard_paths();
    paths.push(vec!["p".repeat(199); 19].join("/") + "/" + &"q".repeat(189));
    for path in paths {
        tree.insert_bytes(path.parse().unwrap(), path.len() % 2 == 0, path.into_bytes())
            .unwrap();
    }
    tree.insert_dir("void/inner".parse().unwrap()).unwrap();
    tree.insert_symlink("to-dir".parse().unwrap(), "void").unwrap();
    for len in [98, 99, 100, 101, 150, 3000] {
        tree.insert_symlink(format!("long{len}").parse().unwrap(), "t".repeat(len))
            .unwrap();
    }
    let mut data: Vec<DataEntry> = tree
        .iter()
        .map(|(path, node)| {
            let kind = match node {
                Node::Dir => DataKind::Dir,
                Node::Symlink(target) => DataKind::Symlink(target.clone()),
                Node::File(file) => DataKind::Bytes {
                    mode: if file.executable { 0o755 } else { 0o644 },
                    bytes: file.head(path, u64::MAX).unwrap().into(),
                },
            };
            DataEntry {
                path: format!("/{path}").parse().unwrap(),
                kind,
            }
        })
        .collect();
    if stored {
        let stored = StoredFile {
            file: Arc::new(tempfile::tempfile().unwrap()),
            digests: Digests::of(b""),
        };
        data.push(DataEntry {
            path: "/stored".parse().unwrap(),
            kind: DataKind::Stored {
                mode: 0o644,
                file: stored,
            },
        });
        tree.insert_bytes("stored".parse().unwrap(), false, *b"").unwrap();
    }
    let control = ControlFile {
        name: "control".into(),
        mode: 0o644,
        bytes: CONTROL.to_vec(),
    };
    let mut out = Vec::new();
    write_deb(
        &DebParts {
            control_files: vec![control],
            data,
            mtime: MTIME,
            packing: Packing::of(compression),
        },
        spool(),
        &(),
        &mut out,
    )
    .unwrap();
    (tree, out)
}

#[test]
fn dpkg_deb_takes_every_path() {
    for (compression, stored, suffix) in [
        (Compression::Zstd, false, "zst"),
        (Compression::Zstd, true, "zst"),
        (Compression::Xz, false, "xz"),
        (Compression::Xz, true, "gz"),
        (Compression::Gzip, false, "gz"),
    ] {
        let (tree, bytes) = hard_deb(compression, stored);
        let temp = tempfile::tempdir().unwrap();
        let deb = temp.path().join("x.deb");
        fs::write(&deb, &bytes).unwrap();
        let info = ok(Command::new("dpkg-deb").arg("--info").arg(&deb));
        assert!(
            info.contains("new Debian package, version 2.0") && info.contains("Package: acme"),
            "{info}"
        );
        let contents = ok(Command::new("dpkg-deb")
            .arg("--contents")
            .arg(&deb)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8"));
        assert_eq!(contents.lines().count(), tree.len() + 1);
        assert!(
            contents
                .lines()
                .all(|line| line.contains(" root/root ") && line.contains(" 2023-11-14 22:13 ")),
            "{contents}"
        );
        let out = temp.path().join("out");
        ok(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&out));
        assert_is_tree(&out, &tree);
        let control = temp.path().join("control");
        ok(Command::new("dpkg-deb").arg("-e").arg(&deb).arg(&control));
        ok(Command::new("md5sum")
            .args(["-c", "--strict", "--quiet"])
            .arg(control.join("md5sums"))
            .current_dir(&out));
        let members = ok(Command::new("ar").arg("t").arg(&deb));
        assert_eq!(members, format!("debian-binary\ncontrol.tar.gz\ndata.tar.{suffix}\n"));

        let artifact = Artifact::open(&deb).unwrap();
        let entries = artifact.entries().unwrap();
        let read: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        let made: Vec<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(read, made);
        assert_eq!(artifact.check_md5sums().unwrap(), [""; 0]);
        assert!(artifact.release().unwrap_err().to_string().contains("holds no release"));
    }
}

#[test]
fn dpkg_deb_takes_a_package_with_a_payload() {
    let temp = tempfile::tempdir().unwrap();
    source(&temp.path().join("src"), false, 0o022, 1);
    let tree = scanned(&temp.path().join("src"));
    let built = build(&tree);
    let deb = temp.path().join("x.deb");
    fs::write(&deb, &built.deb).unwrap();
    let id = built.manifest.id();
    let contents = ok(Command::new("dpkg-deb").arg("--contents").arg(&deb));
    let names: Vec<&str> = contents.lines().filter_map(|line| line.split(" ./").nth(1)).collect();
    let (manifest, payload) = (
        format!("opt/acme/payload/{id}.manifest"),
        format!("opt/acme/payload/{id}.tar.zst"),
    );
    assert_eq!(
        names,
        [
            "",
            "opt/",
            "opt/acme/",
            "opt/acme/app/",
            "opt/acme/payload/",
            &manifest,
            &payload,
            "usr/",
            "usr/bin/",
            "usr/bin/acme-release"
        ]
    );
    let out = temp.path().join("out");
    ok(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&out));
    assert!(fs::read(out.join(payload)).unwrap() == built.payload);
    ok(Command::new("dpkg-deb")
        .args(["--ctrl-tarfile"])
        .arg(&deb)
        .stdout(std::process::Stdio::null()));
}

#[test]
fn our_reader_gives_back_what_was_written() {
    let temp = tempfile::tempdir().unwrap();
    source(&temp.path().join("src"), false, 0o022, 1);
    let tree = scanned(&temp.path().join("src"));
    let built = build(&tree);
    for (name, bytes, format) in [
        ("x.deb", &built.deb, Format::Deb),
        ("x.tar.zst", &built.zst, Format::TarZst),
        ("x.tar.xz", &built.xz, Format::TarXz),
        ("x.tar.gz", &built.gz, Format::TarGz),
    ] {
        let path = temp.path().join(name);
        fs::write(&path, bytes).unwrap();
        let artifact = Artifact::open(&path).unwrap();
        assert_eq!((artifact.format(), artifact.size()), (format, bytes.len() as u64));
        assert_eq!(artifact.digests().unwrap(), Digests::of(bytes));
        let release = artifact.release().unwrap();
        assert_eq!(release.manifest, built.manifest);
        assert_eq!(release.delivered.as_deref(), Some(built.manifest.as_str().as_bytes()));
        assert!(release.oddities.is_empty(), "{:?}", release.oddities);
        assert_eq!(
            release.sizes,
            tree.files().map(|(_, file)| file.size).collect::<Vec<_>>()
        );
        let metadata: Vec<&str> = release.metadata.keys().map(|path| path.as_str()).collect();
        assert_eq!(metadata, [".relpack/settings", ".relpack/units/acme.service"]);
        if format == Format::Deb {
            assert_eq!(release.named, Some(built.manifest.id()));
            assert_eq!(release.compressed, Some(Digests::of(&built.payload)));
            let control = artifact.control().unwrap();
            assert_eq!(control.fields.get("Package"), Some("acme"));
            assert_eq!(control.files["postinst"].mode, 0o755);
            let files = artifact
                .read_files(&|path| path.as_str().starts_with("usr/bin/"), 100)
                .unwrap();
            assert_eq!(files[&"usr/bin/acme-release".parse().unwrap()], b"#!/bin/sh\n");
            assert!(artifact.read_files(&|_| true, 100).is_err());
            assert_eq!(artifact.check_md5sums().unwrap(), [""; 0]);
            let kinds = artifact.entries().unwrap();
            assert!(kinds.iter().any(|entry| entry.path.as_str() == "opt/acme/app"
                && entry.kind == InfoKind::Dir
                && entry.mode == 0o755));
        }
    }
}

#[test]
fn a_release_as_files_is_the_same_release() {
    let temp = tempfile::tempdir().unwrap();
    source(&temp.path().join("src"), false, 0o022, 1);
    let tree = scanned(&temp.path().join("src"));
    let path = temp.path().join("x.deb");
    fs::write(&path, as_files(&tree)).unwrap();
    let artifact = Artifact::open(&path).unwrap();
    let release = artifact.release().unwrap();
    let archive = build(&tree).manifest;
    assert_eq!(
        (&release.manifest, release.named.clone()),
        (&archive, Some(archive.id()))
    );
    assert_eq!(release.delivered.as_deref(), Some(archive.as_str().as_bytes()));
    assert!(release.oddities.is_empty() && release.compressed.is_none());
    assert_eq!(artifact.check_md5sums().unwrap(), [""; 0]);
    let out = temp.path().join("out");
    ok(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&out));
    assert_is_tree(&out.join(format!("opt/acme/payload/{}", archive.id())), &tree);

    // A file that isn't any more what gave the release its name.
    fs::write(temp.path().join("src/empty"), "not").unwrap();
    let manifest = digest(&tree);
    assert!(manifest.is_err(), "it changed");
}
