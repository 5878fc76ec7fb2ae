//! The archives as other programs see them: dpkg-deb, GNU tar, sha256sum; and as our own reader does.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use relpack::archive::read::{Artifact, Format, InfoKind};
use relpack::archive::{
    ControlFile, DataEntry, DataKind, DebParts, Digests, StoredFile, TarballParts, TrailingFile, write_deb,
    write_payload, write_tarball,
};
use relpack::model::{Compression, Packing};
use relpack::tree::{EntryKind, Manifest, Node, ScanOptions, Tree, digest, scan};

fn spool() -> File {
    tempfile::tempfile().unwrap()
}

const MTIME: u64 = 1_700_000_000;
const CONTROL: &[u8] =
    b"Package: acme\nVersion: 1.0\nArchitecture: all\nMaintainer: Ops <ops@acme.example>\nDescription: test\n";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Paths that break careless writers.
fn hard_paths() -> Vec<String> {
    let mut paths: Vec<String> = [90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 155, 156, 246]
        .map(|len| "n".repeat(len))
        .into();
    paths.push(vec!["d".repeat(246); 2].join("/") + "/deep");
    paths.push("a name with spaces".into());
    paths.push(" leading and trailing ".into());
    paths.push("ünï/cödé ✓".into());
    paths.push("-dash".into());
    paths.push("[x]{y}*?$'\"".into());
    paths.push("é".repeat(123));
    paths
}

fn source(top: &Path, backwards: bool, mask: u32, seconds: u64) {
    let mut files: Vec<(String, Vec<u8>)> = hard_paths()
        .into_iter()
        .map(|path| (path.clone(), path.into_bytes()))
        .collect();
    files.push(("bin/app".into(), b"#!/bin/sh\nexec true\n".to_vec()));
    files.push(("empty".into(), Vec::new()));
    files.push((
        "big".into(),
        (0..700_000_u32)
            .flat_map(|i| (i.wrapping_mul(i) >> 7).to_le_bytes())
            .collect(),
    ));
    files.extend((0..200).map(|i| {
        (
            format!("lib/m{i}/index.js"),
            format!("module.exports = {i};\n").repeat(i).into_bytes(),
        )
    }));
    let mut links = vec![
        ("lib/link".to_owned(), "../bin".to_owned()),
        ("py".into(), "/usr/bin/python3".into()),
    ];
    links.push(("long-link".into(), vec!["lib/m1/.."; 30].join("/../") + "/m1"));
    if backwards {
        files.reverse();
        links.reverse();
    }
    fs::create_dir_all(top.join("void/inner")).unwrap();
    for (path, content) in files {
        let path = top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let executable = path.ends_with("bin/app");
        fs::set_permissions(
            &path,
            Permissions::from_mode(if executable { 0o777 } else { 0o666 } & !mask),
        )
        .unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    }
    let long = links.iter_mut().find(|(name, _)| name == "long-link").unwrap();
    long.1 = "lib/m1/../../".repeat(20) + "lib/m1";
    for (name, target) in links {
        symlink(target, top.join(name)).unwrap();
    }
}

fn scanned(top: &Path) -> Tree {
    let prefix = "/opt/acme".parse().unwrap();
    let package = "acme".parse().unwrap();
    let options = ScanOptions {
        package: &package,
        exclude: &[],
        shared_links: &BTreeMap::new(),
        prefix: &prefix,
        allowed_secrets: &BTreeMap::new(),
    };
    let (mut tree, _) = scan(top, &options).unwrap_or_else(|errors| panic!("{errors:#?}"));
    tree.insert_bytes(".relpack/settings".parse().unwrap(), false, *b"#relpack-settings 1\n")
        .unwrap();
    tree.insert_bytes(".relpack/units/acme.service".parse().unwrap(), false, *b"[Service]\n")
        .unwrap();
    tree
}

struct Built {
    deb: Vec<u8>,
    zst: Vec<u8>,
    xz: Vec<u8>,
    gz: Vec<u8>,
    payload: Vec<u8>,
    manifest: Manifest,
}

fn packing(compression: Compression) -> Packing {
    Packing::new(compression, 3).unwrap()
}

fn build(tree: &Tree) -> Built {
    build_as(tree, Compression::Zstd)
}

fn build_as(tree: &Tree, compression: Compression) -> Built {
    let mut file = tempfile::tempfile().unwrap();
    let payload = write_payload(tree, MTIME, packing(compression), &(), &file).unwrap();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(payload.compressed, Digests::of(&bytes));
    let id = payload.manifest.id();
    let stored = StoredFile {
        file: Arc::new(file),
        digests: payload.compressed,
    };
    let entry = |path: String, kind| DataEntry {
        path: path.parse().unwrap(),
        kind,
    };
    let text = |text: &str| DataKind::Bytes {
        mode: 0o644,
        bytes: text.as_bytes().into(),
    };
    let parts = DebParts {
        control_files: vec![
            ControlFile {
                name: "control".into(),
                mode: 0o644,
                bytes: CONTROL.to_vec(),
            },
            ControlFile {
                name: "postinst".into(),
                mode: 0o755,
                bytes: b"#!/bin/sh\nset -eu\n".to_vec(),
            },
        ],
        data: vec![
            entry(
                format!("/opt/acme/payload/{id}.tar.{}", compression.suffix()),
                DataKind::Stored {
                    mode: 0o644,
                    file: stored,
                },
            ),
            entry(
                format!("/opt/acme/payload/{id}.manifest"),
                text(payload.manifest.as_str()),
            ),
            entry("/opt/acme/app".into(), DataKind::Dir),
            entry(
                "/usr/bin/acme-release".into(),
                DataKind::Bytes {
                    mode: 0o755,
                    bytes: b"#!/bin/sh\n".as_slice().into(),
                },
            ),
        ],
        mtime: MTIME,
        packing: packing(compression),
    };
    let mut deb = Vec::new();
    assert_eq!(
        write_deb(&parts, spool(), &(), &mut deb).unwrap(),
        Digests::of(&deb).into()
    );
    let top = "acme-1.0-all".parse().unwrap();
    let tarball = |compression| {
        let mut out = Vec::new();
        let parts = TarballParts {
            top: &top,
            tree,
            mtime: MTIME,
            packing: packing(compression),
        };
        let unit = |manifest: &Manifest| TrailingFile {
            path: "units/acme.service".parse().unwrap(),
            executable: false,
            bytes: manifest.id().as_str().as_bytes().into(),
        };
        let summary = write_tarball(&parts, &mut |manifest| vec![unit(manifest)], &(), &mut out).unwrap();
        assert_eq!(summary.digest, Digests::of(&out).into());
        assert_eq!(summary.manifest, payload.manifest);
        out
    };
    Built {
        deb,
        zst: tarball(Compression::Zstd),
        xz: tarball(Compression::Xz),
        gz: tarball(Compression::Gzip),
        payload: bytes,
        manifest: payload.manifest,
    }
}

/// The package whose payload travels as files.
fn as_files(tree: &Tree) -> Vec<u8> {
    let manifest = digest(tree).unwrap();
    let id = manifest.id();
    let mut data = vec![DataEntry {
        path: format!("/opt/acme/payload/{id}.manifest").parse().unwrap(),
        kind: DataKind::Bytes {
            mode: 0o644,
            bytes: manifest.as_str().as_bytes().into(),
        },
    }];
    for ((path, node), entry) in tree.iter().zip(manifest.entries()) {
        let kind = match (node, entry.kind) {
            (Node::Dir, _) => DataKind::Dir,
            (Node::Symlink(target), _) => DataKind::Symlink(target.clone()),
            (Node::File(file), EntryKind::File { sha256, .. }) => DataKind::Release {
                path: path.clone(),
                file: file.clone(),
                sha256,
            },
            _ => unreachable!("the manifest is the tree's"),
        };
        data.push(DataEntry {
            path: format!("/opt/acme/payload/{id}/{path}").parse().unwrap(),
            kind,
        });
    }
    let parts = DebParts {
        control_files: vec![ControlFile {
            name: "control".into(),
            mode: 0o644,
            bytes: CONTROL.to_vec(),
        }],
        data,
        mtime: MTIME,
        packing: packing(Compression::Zstd),
    };
    let mut deb = Vec::new();
    write_deb(&parts, spool(), &(), &mut deb).unwrap();
    deb
}

/// Every entry below `top` with kind, mode, content and time, as `find` would list them.
fn listing(top: &Path, below: &Path, out: &mut BTreeMap<String, (char, u32, i64, Vec<u8>)>) {
    for entry in fs::read_dir(top.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        let full = top.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let (kind, content) = if meta.is_dir() {
            ('d', Vec::new())
        } else if meta.is_symlink() {
            ('l', fs::read_link(&full).unwrap().into_os_string().into_encoded_bytes())
        } else {
            ('f', fs::read(&full).unwrap())
        };
        out.insert(
            path.to_str().unwrap().to_owned(),
            (kind, meta.mode() & 0o7777, meta.mtime(), content),
        );
        if meta.is_dir() {
            listing(top, &path, out);
        }
    }
}

fn assert_is_tree(top: &Path, tree: &Tree) {
    let mut found = BTreeMap::new();
    listing(top, Path::new(""), &mut found);
    let expected: BTreeMap<_, _> = tree
        .iter()
        .map(|(path, node)| {
            let (kind, mode, content) = match node {
                Node::Dir => ('d', 0o755, Vec::new()),
                Node::Symlink(target) => ('l', 0o777, target.clone().into_bytes()),
                Node::File(file) => (
                    'f',
                    if file.executable { 0o755 } else { 0o644 },
                    file.head(path, u64::MAX).unwrap(),
                ),
            };
            (path.to_string(), (kind, mode, MTIME as i64, content))
        })
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, entry) in &found {
        assert!(entry == &expected[path], "{path}");
    }
}

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
        run(&mut tar);
        assert_is_tree(&out, &tree);
        run(Command::new("sha256sum")
            .args(["-c", "--strict", "--quiet"])
            .arg(&manifest)
            .current_dir(&out));
        let names = run(Command::new("tar").arg("-tf").arg(&archive).env("LC_ALL", "C"));
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
    let listed = run(Command::new("tar")
        .arg("-tf")
        .arg(temp.path().join("t.tar.gz"))
        .env("LC_ALL", "C"));
    assert!(listed.ends_with("acme-1.0-all/release.manifest\nacme-1.0-all/units/\nacme-1.0-all/units/acme.service\n"));
    run(Command::new("gzip").arg("-t").arg(temp.path().join("t.tar.gz")));
    run(Command::new("zstd")
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
        let info = run(Command::new("dpkg-deb").arg("--info").arg(&deb));
        assert!(
            info.contains("new Debian package, version 2.0") && info.contains("Package: acme"),
            "{info}"
        );
        let contents = run(Command::new("dpkg-deb")
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
        run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&out));
        assert_is_tree(&out, &tree);
        let control = temp.path().join("control");
        run(Command::new("dpkg-deb").arg("-e").arg(&deb).arg(&control));
        run(Command::new("md5sum")
            .args(["-c", "--strict", "--quiet"])
            .arg(control.join("md5sums"))
            .current_dir(&out));
        let members = run(Command::new("ar").arg("t").arg(&deb));
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
    let contents = run(Command::new("dpkg-deb").arg("--contents").arg(&deb));
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
    run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&out));
    assert!(fs::read(out.join(payload)).unwrap() == built.payload);
    run(Command::new("dpkg-deb")
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
    run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&out));
    assert_is_tree(&out.join(format!("opt/acme/payload/{}", archive.id())), &tree);

    // A file that isn't any more what gave the release its name.
    fs::write(temp.path().join("src/empty"), "not").unwrap();
    let manifest = digest(&tree);
    assert!(manifest.is_err(), "it changed");
}

/// Everything that `inspect` and `verify` would do.
fn read_all(path: &Path) -> Result<(), relpack::archive::read::ArtifactError> {
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
    let seed = std::env::var("RELPACK_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        });
    println!("RELPACK_SEED={seed}");
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let temp = tempfile::tempdir().unwrap();
    for (name, bytes) in small() {
        let path = temp.path().join(name);
        for _ in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(4) {
                let at = random(damaged.len());
                match random(4) {
                    0 => damaged[at] = 0xff,
                    1 => drop(damaged.drain(at..(at + random(600)).min(bytes.len()).min(damaged.len()))),
                    _ => damaged[at] ^= 1 << random(8),
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
    use relpack::archive::read::{Artifact, ArtifactError};
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
    use relpack::archive::read::{Artifact, Limits};
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
