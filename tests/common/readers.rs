//! What the readers of foreign bytes owe for any input at all: no panic, an answer that can be shown, and the same one as
//! the tools give that read it on a host. The random tests and the fuzz targets feed it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::{Compression, write::GzEncoder};
use miette::{GraphicalReportHandler, GraphicalTheme};
use relpack::archive::read::{Artifact, ArtifactError, Limits};
use relpack::config::{self, Config, Diagnostics, Overrides};
use relpack::model::DebVersion;
use relpack::systemd::UnitFile;
use relpack::tree::{EntryKind, Manifest};

/// `relpack.toml` in an empty directory.
pub fn configuration(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join("relpack.toml"), bytes).unwrap();
    if let Some(config) = loaded(dir) {
        assert!(!config.package.name.as_str().is_empty());
    }
}

/// `relpack.lock` beside a configuration.
pub fn lock_file(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join("relpack.lock"), bytes).unwrap();
    if let Some(config) = loaded(dir) {
        let lock = config.lock.expect("there is one");
        let shown: Vec<String> = lock.depends().iter().map(ToString::to_string).collect();
        assert!(!shown.join(", ").contains(['\n', '\r']), "{shown:?}");
    }
}

/// What is wrong can be shown to a person and to a machine.
fn loaded(dir: &Path) -> Option<Config> {
    match config::load(&dir.join("relpack.toml"), Overrides::default()) {
        Ok(config) => Some(config),
        Err(problems) => {
            can_be_shown(&problems);
            None
        }
    }
}

fn can_be_shown(problems: &Diagnostics) {
    assert!(!problems.problems().is_empty());
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
    // Many are shown as slowly as they are many, and all alike.
    let some = &problems.problems()[..problems.problems().len().min(3)];
    let shown = config::render(some, &handler);
    let control = shown.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "reaches the terminal: {shown:?}");
    assert!(!problems.to_json().to_string().is_empty());
}

/// Two versions: dpkg takes what is taken here, and orders them in the same way.
pub fn versions(a: &str, b: &str) {
    let (Ok(first), Ok(second)) = (a.parse::<DebVersion>(), b.parse::<DebVersion>()) else {
        return;
    };
    let order = match first.cmp(&second) {
        std::cmp::Ordering::Less => "lt",
        std::cmp::Ordering::Equal => "eq",
        std::cmp::Ordering::Greater => "gt",
    };
    let said = Command::new("dpkg")
        .args(["--compare-versions", a, order, b])
        .output()
        .unwrap();
    // It warns of a version that it would not take, and goes on.
    assert!(
        said.status.success() && said.stderr.is_empty(),
        "{a:?} {order} {b:?}: {said:?}"
    );
}

/// A ready-made unit file: what is rendered is read as the same.
pub fn unit_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let unit = match UnitFile::parse(text) {
        Ok(unit) => unit,
        Err(errors) => {
            assert!(!errors.is_empty());
            return assert!(errors.iter().all(|error| error.to_string().contains("(hint: ")));
        }
    };
    let rendered = unit.render();
    let again = UnitFile::parse(&rendered).unwrap_or_else(|errors| panic!("{errors:?}\n{rendered}"));
    let filled = |file: &UnitFile| -> Vec<_> {
        let sections = file.sections().iter().cloned();
        sections.filter(|section| !section.entries.is_empty()).collect()
    };
    assert_eq!(filled(&again), filled(&unit), "{rendered}");
    assert_eq!(again.render(), rendered, "rendering is stable");
}

/// A manifest: `sha256sum -c --strict` in an empty directory takes it as a list, and looks for exactly its files.
pub fn manifest(empty: &Path, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => return assert!(error.to_string().contains("(hint: "), "{error}"),
    };
    assert_eq!(manifest.as_str(), text, "one content has one form");
    let is_file = |entry: &relpack::tree::Entry<'_>| matches!(entry.kind, EntryKind::File { .. });
    let files: Vec<&str> = manifest.entries().filter(is_file).map(|entry| entry.path).collect();
    if files.is_empty() {
        return; // it wants something to check
    }
    let mut check = Command::new("sha256sum")
        .args(["-c", "--strict"])
        .current_dir(empty)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    // It answers while it reads.
    let said = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        check.wait_with_output().unwrap()
    });
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(!errors.contains("improperly formatted"), "{errors}\n{text}");
    let said = String::from_utf8_lossy(&said.stdout);
    let missing = |line: &str| {
        line.strip_prefix("./")?
            .strip_suffix(": FAILED open or read")
            .map(str::to_owned)
    };
    let looked_for: Vec<String> = said.lines().filter_map(missing).collect();
    assert_eq!(looked_for, files, "{said}\n{text}");
}

/// Anything as an artifact: the readers of all its parts end with an answer or with a hint.
pub fn artifact(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    let read = || -> Result<(), ArtifactError> {
        let artifact = Artifact::open_with(path, Limits::default())?;
        artifact.entries()?;
        artifact.check_md5sums()?;
        artifact.release().map(drop)
    };
    if let Err(error) = read() {
        assert!(error.to_string().contains("(hint: "), "{error}");
    }
}

/// An artifact made of the bytes: its first says which part of it the others are. Changed at random, a whole one would end
/// at its container or its compression nearly always, and nothing would reach the readers inside.
pub fn artifact_around(bytes: &[u8]) -> Vec<u8> {
    let Some((shape, inside)) = bytes.split_first() else {
        return Vec::new();
    };
    let with_sums = || {
        let mut tar = inside.to_vec();
        mend_sums(&mut tar);
        tar
    };
    match shape {
        1 => stored(&with_sums()),
        2 => deb(&tar_of("./control", CONTROL), &with_sums()),
        3 => deb(&with_sums(), &tar_of("./x", b"")),
        4 => {
            let name = format!("./opt/acme/payload/{}.tar.gz", "0".repeat(40));
            deb(&tar_of("./control", CONTROL), &tar_of(&name, &stored(&with_sums())))
        }
        _ => inside.to_vec(),
    }
}

const CONTROL: &[u8] = b"Package: acme\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: x\n";

fn deb(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar", control),
        ("data.tar", data),
    ] {
        out.extend(format!("{name:<16}0           0     0     100644  {:<10}`\n", bytes.len()).into_bytes());
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).unwrap();
    tar.into_inner().unwrap()
}

/// gzip around bytes that stay as they are.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Makes every header's sum right, as far as headers can be told.
fn mend_sums(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + 512) {
        let mut header = tar::Header::from_byte_slice(block).clone();
        if block.iter().any(|&byte| byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let size = header.entry_size().unwrap_or(0).div_ceil(512).saturating_mul(512);
        let next = usize::try_from(size).unwrap_or(usize::MAX);
        at = at.saturating_add(512).saturating_add(next);
        if at > tar.len() {
            return;
        }
    }
}
