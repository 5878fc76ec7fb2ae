//! What a package brings to read: golden, valid for the tools that read it, and true of the command it describes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{application, expect_recorded, ok, relpack};

/// The package's files, unpacked into the directory.
fn unpacked(dir: &Path, arguments: &[&str]) -> PathBuf {
    let out = dir.join("dist");
    ok(relpack()
        .arg("build")
        .arg("-C")
        .arg(application(dir))
        .arg("--out")
        .arg(&out)
        .args(arguments));
    let deb = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let data = dir.join("data");
    ok(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&data));
    data
}

fn gunzip(path: &Path) -> String {
    ok(Command::new("gzip").arg("-dc").arg(path))
}

#[test]
fn documents_are_as_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let data = unpacked(temp.path(), &[]);
    let read = |path: &str| fs::read_to_string(data.join(path)).unwrap();
    let texts = [
        (
            "acme-release.1",
            gunzip(&data.join("usr/share/man/man1/acme-release.1.gz")),
        ),
        ("changelog", gunzip(&data.join("usr/share/doc/acme/changelog.gz"))),
        ("copyright", read("usr/share/doc/acme/copyright")),
        ("lintian-overrides", read("usr/share/lintian/overrides/acme")),
    ];
    expect_recorded("documents", &texts);
}

#[test]
fn the_changelog_is_one_that_dpkg_reads() {
    for (version, name) in [("1.4.0", "changelog.gz"), ("1:1.4.0-2", "changelog.Debian.gz")] {
        let temp = tempfile::tempdir().unwrap();
        let data = unpacked(temp.path(), &["--version", version]);
        let packed = data.join("usr/share/doc/acme").join(name);
        let bytes = fs::read(&packed).unwrap();
        // No name and no time in it (RFC 1952), and the best compression.
        assert_eq!(bytes[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2], "{name}");
        let plain = temp.path().join("changelog");
        fs::write(&plain, gunzip(&packed)).unwrap();
        let field = |field: &str| {
            let said = ok(Command::new("dpkg-parsechangelog").args(["-l", &plain.display().to_string(), "-S", field]));
            said.trim().to_owned()
        };
        assert_eq!(field("Source"), "acme");
        assert_eq!(field("Version"), version);
        assert_eq!(field("Timestamp"), crate::common::DATE);
        assert_eq!(field("Maintainer"), "Acme Ops <ops@acme.example>");
    }
}

#[test]
fn the_manual_has_every_command() {
    let temp = tempfile::tempdir().unwrap();
    let data = unpacked(temp.path(), &[]);
    let manual = gunzip(&data.join("usr/share/man/man1/acme-release.1.gz"));
    let script = fs::read_to_string(data.join("usr/bin/acme-release")).unwrap();
    let main = script.split("case $_verb in").nth(1).expect("main chooses by the verb");
    let verbs: Vec<&str> = main
        .lines()
        .take_while(|line| line.trim() != "esac")
        .filter_map(|line| line.trim().split_once(") ").map(|(verb, _)| verb))
        // Not for people, or described with the options.
        .filter(|verb| verb.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    assert!(verbs.len() >= 8, "{verbs:?}");
    for verb in verbs {
        let heading = |line: &str| line.starts_with(&format!(".B {verb}")) || line.starts_with(&format!(".BR {verb} "));
        let described = manual.split(".SH COMMANDS").nth(1).expect("there are commands");
        assert!(described.lines().any(heading), "{verb} is not in the manual");
        let usage = ok(Command::new("sh").arg(data.join("usr/bin/acme-release")).arg("--help"));
        assert!(usage.contains(&format!("\n  {verb}")), "{verb} is not in --help");
    }
}
