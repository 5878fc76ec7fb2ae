//! What the scan of a source directory takes, normalises and refuses.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use relpack::model::{AbsPath, TreePath};
use relpack::tree::{Node, ScanError, ScanOptions, Tree, Warning, digest, scan};

type Scanned = Result<(Tree, Vec<Warning>), Vec<ScanError>>;

fn source() -> tempfile::TempDir {
    // Not the system's temporary directory: it may be a file system without attributes.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn run(root: &Path, exclude: &[&str], links: &[(&str, &str)]) -> Scanned {
    let exclude: Vec<String> = exclude.iter().map(|text| text.to_string()).collect();
    let shared_links: BTreeMap<TreePath, String> = links
        .iter()
        .map(|(path, below)| (path.parse().unwrap(), below.to_string()))
        .collect();
    let prefix: AbsPath = "/opt/acme".parse().unwrap();
    scan(
        root,
        &ScanOptions {
            package: &"acme".parse().unwrap(),
            exclude: &exclude,
            shared_links: &shared_links,
            prefix: &prefix,
            allowed_secrets: &BTreeMap::new(),
        },
    )
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path.as_str()).collect()
}

/// The messages, one a mistake.
fn errors(result: Scanned) -> Vec<String> {
    result
        .map(|(tree, _)| panic!("accepted: {:?}", paths(&tree)))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn modes_are_normalised_and_hardlinks_are_files() {
    let dir = source();
    put(dir.path(), "bin/app", "#!/bin/sh\n");
    put(dir.path(), "open", "x");
    chmod(&dir.path().join("bin/app"), 0o700);
    chmod(&dir.path().join("bin"), 0o2775);
    chmod(&dir.path().join("open"), 0o666);
    fs::hard_link(dir.path().join("open"), dir.path().join("hard")).unwrap();
    let (tree, warnings) = run(dir.path(), &[], &[]).unwrap();
    assert_eq!(paths(&tree), ["bin", "bin/app", "hard", "open"]);
    let executable: Vec<bool> = tree.files().map(|(_, file)| file.executable).collect();
    assert_eq!(executable, [true, false, false]);
    assert!(warnings.is_empty());
}

#[test]
fn excluded_directories_are_not_even_read() {
    let dir = source();
    for path in ["a.map", "d/b.map", "d/keep", "docs/x", "node_modules/p/docs/y", "tmp/z"] {
        put(dir.path(), path, path);
    }
    std::os::unix::net::UnixListener::bind(dir.path().join("tmp/socket")).unwrap();
    let (tree, warnings) = run(dir.path(), &["**/*.map", "docs", "tmp/", "nothing/*"], &[]).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "d",
            "d/keep",
            "node_modules",
            "node_modules/p",
            "node_modules/p/docs",
            "node_modules/p/docs/y"
        ]
    );
    assert_eq!(warnings, [Warning::UnusedExclude("nothing/*".into())]);
    assert!(errors(run(dir.path(), &["a["], &[]))[0].contains("\"a[\""));
}

#[test]
fn everything_wrong_is_said_at_once_with_path_and_hint() {
    let dir = source();
    let root = dir.path();
    for name in [
        "setuid",
        "setgid",
        "secret",
        "back\\slash",
        "new\nline",
        ".relpack/x",
        "locked/x",
        "attr",
        "acl",
    ] {
        put(root, name, "x");
    }
    chmod(&root.join("setuid"), 0o4755);
    chmod(&root.join("setgid"), 0o2755);
    chmod(&root.join("secret"), 0o000);
    chmod(&root.join("locked"), 0o000);
    put(root, &"n".repeat(247), "x");
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"latin\xe9")), "x").unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    rustix::fs::setxattr(root.join("attr"), "user.note", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    let acl: Vec<u8> = [2, 0, 0, 0]
        .into_iter()
        .chain(
            [(1, 6, !0), (2, 6, 1234), (4, 4, !0), (16, 6, !0), (32, 4, !0_u32)]
                .into_iter()
                .flat_map(|(tag, bits, id): (u16, u16, u32)| {
                    [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
                }),
        )
        .collect();
    rustix::fs::setxattr(
        root.join("acl"),
        "system.posix_acl_access",
        &acl,
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    for (name, target) in [
        ("away", "../x"),
        ("etc", "/etc/passwd"),
        ("gone", "missing"),
        ("loop", "loop"),
        ("fine", "setuid"),
        ("python", "/usr/bin/python3"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    let found = errors(run(root, &[], &[]));
    chmod(&root.join("locked"), 0o755);
    let starts: Vec<&str> = found
        .iter()
        .map(|text| text.split_inclusive('"').nth(1).unwrap().trim_end_matches('"'))
        .collect();
    let long = "n".repeat(247);
    let mut expected = [
        ".relpack",
        "acl",
        "attr",
        "away",
        "back\\\\slash",
        "etc",
        "fifo",
        "gone",
        "latin\\xe9",
        "locked",
        "loop",
        "new\\nline",
        &long,
        "secret",
        "setgid",
        "setuid",
        "socket",
    ];
    let escaped = |text: &str| text.trim_end_matches('\\').to_owned();
    let mut starts: Vec<String> = starts.iter().map(|text| escaped(text)).collect();
    starts.sort();
    expected.sort_unstable();
    assert_eq!(starts, expected, "{found:#?}");
    for text in &found {
        assert!(text.ends_with(')') && text.contains(" (hint: "), "{text}");
        assert!(!text.contains('\n'), "{text:?}");
    }
}

#[test]
fn many_errors_are_counted() {
    let dir = source();
    for i in 0..70 {
        symlink("missing", dir.path().join(format!("l{i:02}"))).unwrap();
    }
    let found = errors(run(dir.path(), &[], &[]));
    assert_eq!(found.len(), 51);
    assert!(found[0].starts_with("\"l00\""));
    assert!(found[50].starts_with("20 more"));
}

#[test]
fn a_missing_source_has_a_hint() {
    let dir = source();
    put(dir.path(), "file", "x");
    for name in ["missing", "file"] {
        assert!(errors(run(&dir.path().join(name), &[], &[]))[0].contains("run the build first"));
    }
}

#[test]
fn shared_links() {
    let dir = source();
    let root = dir.path();
    put(root, "public/index.html", "x");
    fs::create_dir_all(root.join("public/uploads")).unwrap();
    symlink("public/uploads/a.png", root.join("logo")).unwrap();
    let (tree, _) = run(root, &[], &[("public/uploads", "uploads"), ("var/log", "log")]).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "logo",
            "public",
            "public/index.html",
            "public/uploads",
            "var",
            "var/log"
        ]
    );
    let target = |path: &str| match tree.get(&path.parse().unwrap()) {
        Some(Node::Symlink(target)) => target.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("public/uploads"), "/opt/acme/shared/uploads");
    assert_eq!(target("var/log"), "/opt/acme/shared/log");

    put(root, "public/uploads/.keep", "");
    let found = errors(run(
        root,
        &[],
        &[
            ("public/uploads", "uploads"),
            ("public/index.html", "x"),
            ("public/index.html2/y", "y"),
        ],
    ));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found.iter().all(|text| text.contains("link into shared/")),
        "{found:#?}"
    );
    assert!(run(root, &["public/uploads/*"], &[("public/uploads", "uploads")]).is_ok());
}

#[test]
fn warnings_name_what_deserves_a_look() {
    let dir = source();
    for (path, text) in [("Readme", ""), ("README", ""), ("a/.npmrc", "engine-strict=true")] {
        put(dir.path(), path, text);
    }
    let (_, warnings) = run(dir.path(), &[], &[]).unwrap();
    assert_eq!(warnings, [Warning::CaseCollision("README".into(), "Readme".into())]);
}

#[test]
fn a_secret_is_refused_unless_it_is_allowed_with_a_reason() {
    let dir = source();
    for (path, text) in [
        (".env", "A=1"),
        (".npmrc", "//r/:_authToken=x"),
        (".git/config", ""),
        (".git/objects/key.pem", "never looked at"),
        ("fine", ""),
    ] {
        put(dir.path(), path, text);
    }
    let found = errors(run(dir.path(), &[], &[]));
    let expected = [
        "\".env\" holds an environment file (hint: ",
        "\".git\" holds the history of a version control system (hint: ",
        "\".npmrc\" holds a token or password of npm, Yarn or pnpm (hint: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected) && found.contains("[secrets] allow = { \"."),
            "{found}"
        );
    }
    let allow = [".git", ".env", "fine", "missing"].map(|path| (path.parse().unwrap(), "known".to_owned()));
    let allow = BTreeMap::from(allow);
    let prefix: AbsPath = "/opt/acme".parse().unwrap();
    let (tree, warnings) = scan(
        dir.path(),
        &ScanOptions {
            package: &"acme".parse().unwrap(),
            exclude: &[".npmrc".to_owned()],
            shared_links: &BTreeMap::new(),
            prefix: &prefix,
            allowed_secrets: &allow,
        },
    )
    .unwrap();
    assert!(paths(&tree).contains(&".git/objects/key.pem"));
    let unused = ["fine", "missing"].map(|path| Warning::UnusedAllow(path.into()));
    assert_eq!(warnings, unused);
}

#[test]
fn the_order_on_disk_does_not_matter() {
    let make = |names: &mut dyn Iterator<Item = u32>| {
        let dir = source();
        for i in names {
            put(dir.path(), &format!("d{}/f{i}", i % 17), &i.to_string());
        }
        let (tree, _) = run(dir.path(), &[], &[]).unwrap();
        digest(&tree).unwrap()
    };
    assert_eq!(make(&mut (0..300)), make(&mut (0..300).rev()));
}
