//! Reads the ready-made unit files of `[release] units`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::diagnostics::{Problem, Source, printable_path};
use super::reader::{At, Doc};
use crate::model::{UnitKind, UnitName};
use crate::systemd::{DropIn, UnitFile};

/// A unit file is written by hand: more than this is something else.
const SIZE_MAX: u64 = 256 * 1024;

/// A unit file that was read.
pub(super) struct ReadyMade {
    pub(super) name: UnitName,
    pub(super) file: UnitFile,
    pub(super) source: Arc<Source>,
}

type Refuse<'a> = &'a dyn Fn(String, &str);

/// What the directory holds.
#[derive(Default)]
pub(super) struct ReadyMadeFiles {
    pub(super) units: Vec<ReadyMade>,
    pub(super) drop_ins: Vec<(DropIn, Arc<Source>)>,
    /// Every unit that has a file, also where its text could not be read.
    pub(super) names: Vec<UnitName>,
}

/// Reads every file with a unit's suffix, in the order of the names. `shown` is the directory as messages name it.
pub(super) fn read(doc: &Doc, at: &At<String>, dir: &Path, shown: &Path) -> ReadyMadeFiles {
    let refuse = |message: String, help: &str| {
        doc.push(Problem::new(at.span.clone(), format!("release.units: {message}")).help(help));
    };
    let listed = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| entry.map(|e| e.file_name()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut names = match listed {
        Ok(names) => names,
        Err(error) => {
            refuse(
                format!("cannot read the directory {}: {error}", printable_path(shown)),
                "name a directory of unit files, relative to this file",
            );
            return ReadyMadeFiles::default();
        }
    };
    names.sort();
    let mut files = ReadyMadeFiles::default();
    let mut found = false;
    for name in names {
        let text = name.to_string_lossy();
        let suffix = text.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        if suffix == "d" && dir.join(&name).is_dir() {
            let read = read_drop_ins(doc, &dir.join(&name), &shown.join(&name), &refuse);
            files.drop_ins.extend(read);
            found = true;
            continue;
        }
        if text.starts_with('.') || !UnitKind::ALL.iter().any(|kind| kind.suffix() == suffix) {
            continue;
        }
        found = true;
        match text.parse::<UnitName>() {
            Err(error) => refuse(error.message(), error.hint()),
            Ok(unit) => {
                files.names.push(unit.clone());
                let (path, shown) = (dir.join(&name), shown.join(&name));
                files.units.extend(read_one(doc, unit, &path, &shown, &refuse));
            }
        }
    }
    if !found {
        refuse(
            format!("{} holds no unit files", printable_path(shown)),
            "a unit file ends with .service, .timer, .socket, …",
        );
    }
    files
}

/// The `.conf` files of a directory `acme.service.d`.
fn read_drop_ins(doc: &Doc, dir: &Path, shown: &Path, refuse: Refuse<'_>) -> Vec<(DropIn, Arc<Source>)> {
    let at = printable_path(shown);
    let stem = shown.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let unit = match stem.parse::<UnitName>() {
        Ok(unit) => unit,
        Err(error) => {
            refuse(format!("{at}: {}", error.message()), error.hint());
            return Vec::new();
        }
    };
    let listed = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut names = listed.unwrap_or_else(|error| {
        refuse(
            format!("cannot read the directory {at}: {error}"),
            "see that it is readable",
        );
        Vec::new()
    });
    names.sort();
    let mut drop_ins = Vec::new();
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        let path = shown.join(&name);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        if !name.ends_with(".conf") || !name.chars().all(plain) {
            refuse(
                format!("{} is no drop-in", printable_path(&path)),
                "systemd reads files that end with .conf; name it of letters, digits and . _ - +",
            );
            continue;
        }
        let read = read_one(doc, unit.clone(), &dir.join(&name), &path, refuse);
        drop_ins.extend(read.map(|read| {
            let ReadyMade {
                name: unit,
                file,
                source,
            } = read;
            (DropIn { unit, name, file }, source)
        }));
    }
    drop_ins
}

fn read_one(doc: &Doc, name: UnitName, path: &Path, shown: &Path, refuse: Refuse<'_>) -> Option<ReadyMade> {
    let at = printable_path(shown);
    let read = || -> std::io::Result<Option<Vec<u8>>> {
        if !fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    let bytes = match read() {
        Ok(Some(bytes)) if bytes.len() as u64 <= SIZE_MAX => bytes,
        Ok(Some(_)) => {
            refuse(format!("{at} is larger than 256 KiB"), "is it really a unit file?");
            return None;
        }
        Ok(None) => {
            refuse(format!("{at} is not a regular file"), "remove it from the directory");
            return None;
        }
        Err(error) => {
            refuse(
                format!("cannot read {at}: {error}"),
                "see that the file is there and readable",
            );
            return None;
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|&&b| b == b'\n')
                .count()
                + 1;
            refuse(format!("{at} is not UTF-8 in line {line}"), "save the file as UTF-8");
            return None;
        }
    };
    let source = Source::new(shown, &text);
    match UnitFile::parse(&text) {
        Ok(file) => Some(ReadyMade { name, file, source }),
        Err(errors) => {
            let problems = errors
                .into_iter()
                .map(|error| Problem::new(source.line_span(error.line), error.message).help(error.hint));
            doc.push_all_in(&source, problems);
            None
        }
    }
}
