//! Whether a `.jar` can be started, which its manifest says. Of the ZIP format only what leads to that one file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;

/// What `java -jar` finds in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jar {
    /// A main class.
    Starts,
    /// None: a library.
    Library,
    /// It can't be read as a `.jar`.
    Unreadable,
}

const MANIFEST: &[u8] = b"META-INF/MANIFEST.MF";
/// An end record has 22 bytes, and a comment of at most 65,535 behind them.
const END_MAX: u64 = 22 + 65_535;
/// More than the list of a million files.
const LIST_MAX: u64 = 128 * 1024 * 1024;
const MANIFEST_MAX: u64 = 256 * 1024;

pub(super) fn look(path: &Path) -> Jar {
    match manifest(path) {
        Ok(Some(text)) if has_main_class(&text) => Jar::Starts,
        Ok(_) => Jar::Library,
        Err(_) => Jar::Unreadable,
    }
}

fn has_main_class(manifest: &str) -> bool {
    let mut names = manifest.lines().filter_map(|line| line.split_once(':'));
    names.any(|(name, _)| name.eq_ignore_ascii_case("Main-Class"))
}

/// The text of the manifest, where there is one.
fn manifest(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let tail_at = length.saturating_sub(END_MAX);
    let tail = read(&mut file, tail_at, length - tail_at)?;
    let end = tail
        .windows(4)
        .rposition(|four| four == b"PK\x05\x06")
        .ok_or_else(damaged)?;
    let list_size = u64::from(u32_at(&tail, end + 12)?);
    let list_at = u64::from(u32_at(&tail, end + 16)?);
    // A script may stand before the archive, and the offsets begin behind it or not.
    let list_really = (tail_at + end as u64).checked_sub(list_size).ok_or_else(damaged)?;
    let before = list_really.checked_sub(list_at).ok_or_else(damaged)?;
    if list_size > LIST_MAX {
        return Err(damaged());
    }
    let list = read(&mut file, list_really, list_size)?;
    let mut at = 0;
    while list.get(at..at + 4).is_some_and(|four| four == b"PK\x01\x02") {
        let length = |offset: usize| u16_at(&list, at + offset).map(usize::from);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        if list.get(at + 46..at + 46 + name) == Some(MANIFEST) {
            let deflated = u16_at(&list, at + 10)? == 8;
            let size = u64::from(u32_at(&list, at + 20)?).min(MANIFEST_MAX);
            let head_at = before + u64::from(u32_at(&list, at + 42)?);
            let head = read(&mut file, head_at, 30)?;
            let behind = 30 + u64::from(u16_at(&head, 26)?) + u64::from(u16_at(&head, 28)?);
            let bytes = read(&mut file, head_at + behind, size)?;
            return text(&bytes, deflated).map(Some);
        }
        at += 46 + name + extra + comment;
    }
    Ok(None)
}

fn text(bytes: &[u8], deflated: bool) -> io::Result<String> {
    let mut text = Vec::new();
    match deflated {
        true => DeflateDecoder::new(bytes).take(MANIFEST_MAX).read_to_end(&mut text)?,
        false => bytes.take(MANIFEST_MAX).read_to_end(&mut text)?,
    };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn read(file: &mut File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
    two.map(u16::from_le_bytes).ok_or_else(damaged)
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or_else(damaged)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no .jar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_says() {
        assert!(has_main_class("Manifest-Version: 1.0\r\nmain-class: a.B\r\n"));
        assert!(!has_main_class(
            "Manifest-Version: 1.0\nPremain-Class: a.B\n X: Main-Class: y\n"
        ));
    }

    #[test]
    fn what_is_no_archive_is_unreadable() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.jar");
        let mut short = b"PK\x05\x06".to_vec();
        short.resize(22, 0xff);
        for bytes in [&b""[..], b"PK", b"PK\x05\x06", &short] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(look(&path), Jar::Unreadable, "{bytes:?}");
        }
        assert_eq!(look(&temp.path().join("b.jar")), Jar::Unreadable);
    }
}
