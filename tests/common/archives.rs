//! A tree that breaks careless writers, the archives of a tree in every format, and what has to be there again when one
//! is unpacked.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use relpack::archive::{
    ControlFile, DataEntry, DataKind, DebParts, Digests, StoredFile, TarballParts, TrailingFile, write_deb,
    write_payload, write_tarball,
};
use relpack::model::{Compression, Packing};
use relpack::tree::{EntryKind, Manifest, Node, ScanOptions, Tree, digest, scan};

pub const MTIME: u64 = 1_700_000_000;

pub const CONTROL: &[u8] =
    b"Package: acme\nVersion: 1.0\nArchitecture: all\nMaintainer: Ops <ops@acme.example>\nDescription: test\n";

pub fn spool() -> File {
    tempfile::tempfile().unwrap()
}

/// Paths that break careless writers.
pub fn hard_paths() -> Vec<String> {
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

pub fn source(top: &Path, backwards: bool, mask: u32, seconds: u64) {
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

pub fn scanned(top: &Path) -> Tree {
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

pub struct Built {
    pub deb: Vec<u8>,
    pub zst: Vec<u8>,
    pub xz: Vec<u8>,
    pub gz: Vec<u8>,
    pub payload: Vec<u8>,
    pub manifest: Manifest,
}

fn packing(compression: Compression) -> Packing {
    Packing::new(compression, 3).unwrap()
}

pub fn build(tree: &Tree) -> Built {
    build_as(tree, Compression::Zstd)
}

pub fn build_as(tree: &Tree, compression: Compression) -> Built {
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
pub fn as_files(tree: &Tree) -> Vec<u8> {
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

pub fn assert_is_tree(top: &Path, tree: &Tree) {
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
