//! What is no artifact, or a damaged or hostile one: `inspect` and `verify` say so soon, and write nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{application, both, names, ok, relpack, write};
use relpack::archive::read::{Artifact, Limits};
use rustix::fs::{CWD, FileType, mknodat};

/// Address space that a reader may have, in bytes: some threads with their stacks, and the largest window of a decompressor.
const MEMORY: u64 = 768 << 20;

/// Runs `inspect` and `verify` on a file: they end soon and with little memory, say what is wrong, and write nothing, neither
/// beside it nor where temporary files and a user's own would go.
#[track_caller]
fn read_both(path: &Path, case: &str) -> [i32; 2] {
    let dir = path.parent().unwrap();
    let before = names(dir);
    let codes = ["inspect", "verify"].map(|name| {
        // A reader that waits for ever is ended.
        let mut limited = Command::new("timeout");
        limited
            .args(["20", "prlimit", &format!("--as={MEMORY}")])
            .arg(env!("CARGO_BIN_EXE_relpack"))
            .arg(name)
            .arg(path)
            .current_dir(dir)
            .env("TMPDIR", dir)
            .env("HOME", dir);
        let output = limited.env("NO_COLOR", "1").output().unwrap();
        let said = both(&output);
        let code = output.status.code().unwrap_or(-1);
        assert!(
            matches!(code, 0 | 1 | 3 | 4),
            "{case}: {name} ended with {code}: {said}"
        );
        if matches!(code, 1 | 4) {
            assert!(said.contains("(hint: "), "{case}: {said}");
        }
        let control = said.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{case}: {name} lets it reach the terminal: {said:?}");
        code
    });
    assert_eq!(names(dir), before, "{case}: something was written");
    codes
}

#[test]
fn what_is_no_artifact_is_told_soon() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x.deb");
    for (case, bytes) in [
        ("empty", &b""[..]),
        ("one byte", b"!"),
        ("text", b"hello, world\n"),
        ("magic alone", b"!<arch>\n"),
        ("zstd alone", b"\x28\xb5\x2f\xfd"),
        ("gzip alone", b"\x1f\x8b"),
        ("ELF", b"\x7fELF\x02\x01\x01"),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(read_both(&path, case), [1, 3], "{case}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(read_both(&path, "missing"), [1, 1]);
    fs::create_dir(&path).unwrap();
    assert_eq!(read_both(&path, "a directory"), [1, 1]);
    fs::remove_dir(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, 0o644.into(), 0).unwrap();
    assert_eq!(read_both(&path, "a named pipe"), [1, 1]);
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(read_both(&path, "a device"), [1, 1]);
}

/// What `verify` says of an artifact that it finds right.
fn release_of(path: &Path) -> String {
    let said = ok(relpack().arg("verify").arg("--json").arg(path));
    let object: serde_json::Value = serde_json::from_str(&said).unwrap();
    object["release_id"].as_str().unwrap().to_owned()
}

#[test]
fn damaged_artifacts_are_told_and_end_soon() {
    let built = tempfile::tempdir().unwrap();
    let dir = application(built.path());
    let formats = ["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"];
    ok(relpack().arg("build").arg("-C").arg(&dir).args(formats));
    let temp = tempfile::tempdir().unwrap();
    let mut random = crate::common::Random::new();
    let rounds = if crate::common::full() { 2000 } else { 25 };
    for name in ["acme_1.4.0_all.deb", "acme-1.4.0-all.tar.zst", "acme-1.4.0-all.tar.gz"] {
        let whole = dir.join("dist").join(name);
        let (bytes, id) = (fs::read(&whole).unwrap(), release_of(&whole));
        let path = temp.path().join(name);
        for round in 0..rounds {
            let mut damaged = bytes.clone();
            let case = if round % 3 == 0 {
                let length = random.below(bytes.len());
                damaged.truncate(length);
                format!("{name} cut to {length}")
            } else {
                let at = random.below(bytes.len());
                damaged[at] ^= 1 << random.below(8);
                format!("{name} with a flipped bit at {at}")
            };
            fs::write(&path, &damaged).unwrap();
            let codes = read_both(&path, &case);
            assert!(round % 3 != 0 || codes == [1, 3], "{case}: {codes:?}");
            // It was a bit that says nothing, such as one of a time: what hosts get is the same.
            assert!(
                codes[1] != 0 || release_of(&path) == id,
                "{case}: passed for another release"
            );
        }
    }
}

#[test]
fn a_hostile_control_file_does_not_reach_the_terminal() {
    let built = tempfile::tempdir().unwrap();
    let dir = application(built.path());
    ok(relpack().arg("build").arg("-C").arg(&dir));
    let open = dir.join("open");
    ok(Command::new("dpkg-deb")
        .arg("-R")
        .arg(dir.join("dist/acme_1.4.0_all.deb"))
        .arg(&open));
    let control = open.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x.deb");
    for (from, to) in [
        ("Acme web app", "Acme \u{1b}[2J\u{1b}]0;owned\u{7}web app"),
        ("Acme Ops", "Acme \u{9b}31m Ops"),
        ("Section: misc", "Section: misc\nX-Evil: \u{1b}c"),
    ] {
        fs::write(&control, text.replace(from, to)).unwrap();
        ok(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .arg(&open)
            .arg(&path));
        read_both(&path, from);
    }
    let unit = open.join("usr/lib/systemd/system/acme.service");
    fs::write(&control, &text).unwrap();
    let original = fs::read_to_string(&unit).unwrap();
    fs::write(
        &unit,
        original.replace("[Service]", "[Service]\nExecStartPre=/bin/echo \u{1b}[2J"),
    )
    .unwrap();
    ok(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-b"])
        .arg(&open)
        .arg(&path));
    let codes = read_both(&path, "unit");
    assert!(
        matches!(codes[1], 1 | 3),
        "the delivered unit is not that of the release: {codes:?}"
    );
}

/// A sparse file is as large as its package says, and its archive small; what says less than it has is a bomb.
#[test]
fn what_a_package_says_of_its_size_bounds_what_is_read() {
    const LARGE: u64 = 48 << 20;
    let temp = tempfile::tempdir().unwrap();
    let limits = |sparse_bytes: u64| Limits {
        free_bytes: 1 << 20,
        sparse_bytes,
        ratio: 1,
        ..Limits::default()
    };
    let read = |path: &Path, limits: Limits| {
        let artifact = Artifact::open_with(path, limits).map_err(|error| error.to_string())?;
        artifact.check_md5sums().map_err(|error| error.to_string())?;
        artifact.release().map(drop).map_err(|error| error.to_string())
    };
    for payload in ["files", "archive"] {
        let dir = application(&temp.path().join(payload));
        let large = fs::File::create(dir.join("build/large")).unwrap();
        large.set_len(LARGE).unwrap();
        let config = crate::common::CONFIG.replace("[defaults]", &format!("payload = {payload:?}\n\n[defaults]"));
        write(&dir.join("relpack.toml"), &config, 0o644);
        ok(relpack()
            .args(["build", "--format", "deb", "--format", "tar.gz", "-C"])
            .arg(&dir));
        let deb = dir.join("dist/acme_1.4.0_all.deb");
        assert!(fs::metadata(&deb).unwrap().len() < LARGE / 100, "{payload}");
        let tarball = dir.join("dist/acme-1.4.0-all.tar.gz");
        for artifact in [&deb, &tarball] {
            assert_eq!(read(artifact, limits(LARGE * 2)), Ok(()), "{payload}");
            // Above what any archive may have, whatever it says.
            let error = read(artifact, limits(LARGE / 2)).unwrap_err();
            assert!(
                error.contains("unpacks to more than 25165824 bytes"),
                "{payload}: {error}"
            );
            ok(relpack().arg("verify").arg(artifact));
        }
        let open = dir.join("open");
        ok(Command::new("dpkg-deb").arg("-R").arg(&deb).arg(&open));
        let control = fs::read_to_string(open.join("DEBIAN/control")).unwrap();
        let said = control
            .lines()
            .find(|line| line.starts_with("Installed-Size: "))
            .unwrap();
        let liar = dir.join("liar.deb");
        fs::write(
            open.join("DEBIAN/control"),
            control.replace(said, "Installed-Size: 1024"),
        )
        .unwrap();
        ok(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .arg(&open)
            .arg(&liar));
        let error = read(&liar, limits(LARGE * 2)).unwrap_err();
        // A MiB that is said, and one that is free.
        assert!(
            error.contains("unpacks to more than 2097152 bytes"),
            "{payload}: {error}"
        );
    }
}

/// A package of these members.
fn package(path: &Path, members: &[(&str, &[u8])]) {
    let mut package = ar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        package.append(&header, *bytes).unwrap();
    }
}

/// An archive of one file, of which the header says `said` bytes and `has` zeros follow.
fn archive(name: &str, said: u64, has: u64) -> impl std::io::Read {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(said);
    header.set_mode(0o644);
    header.set_cksum();
    Cursor::new(header.as_bytes().to_vec()).chain(std::io::repeat(0).take(has))
}

/// What is small and unpacks to much, under the limits that users have.
#[test]
fn bombs_end_soon_and_with_little_memory() {
    const GIB: u64 = 1 << 30;
    let built = tempfile::tempdir().unwrap();
    let dir = application(built.path());
    ok(relpack().arg("build").arg("-C").arg(&dir));
    let honest = dir.join("dist/acme_1.4.0_all.deb");
    let mut members = BTreeMap::new();
    let mut package_of = ar::Archive::new(fs::File::open(&honest).unwrap());
    while let Some(entry) = package_of.next_entry() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.header().identifier().to_vec()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        members.insert(name, bytes);
    }
    let control = members["control.tar.gz"].clone();
    let packed = |from: &mut dyn std::io::Read| zstd::stream::encode_all(from, 1).unwrap();
    let squeezed = |from: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(from, flate2::Compression::fast());
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let large = squeezed(&mut archive("./control", 100 << 20, 100 << 20));
    // Installed-Size says some KiB; that much and 4 GiB more may come.
    let said = packed(&mut archive("./opt/acme/x", 5 * GIB, 1 << 20));
    let mut cases = vec![
        ("the control part", large, members["data.tar.zst"].clone()),
        ("what a header says", control.clone(), said),
        (
            "no entry at all",
            control.clone(),
            packed(&mut std::io::repeat(0).take(100 << 20)),
        ),
    ];
    if crate::common::full() {
        // Each of them may be there, and all of them not.
        let mut many = Vec::new();
        let mut encoder = zstd::stream::Encoder::new(&mut many, 1).unwrap();
        for number in 0..9 {
            let name = format!("./opt/acme/{number}");
            std::io::copy(&mut archive(&name, GIB / 2, GIB / 2), &mut encoder).unwrap();
        }
        encoder.finish().unwrap();
        cases.push(("what really comes", control.clone(), many));
    }
    for (case, control, data) in cases {
        let path = built.path().join("bomb.deb");
        let parts = [
            ("debian-binary", &b"2.0\n"[..]),
            ("control.tar.gz", &control),
            ("data.tar.zst", &data),
        ];
        package(&path, &parts);
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20, "{case}");
        assert_eq!(read_both(&path, case), [1, 3], "{case}");
    }
}
