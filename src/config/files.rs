//! Reads `[files]`: configuration files that a release brings and a host's admin may edit, and links.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::diagnostics::{Problem, printable_path};
use super::places::{Layout, PLAIN, is_plain};
use super::reader::{At, Table, shown_key};
use super::{ConfigFile, HostLink, host_links};
use crate::model::AbsPath;

/// A configuration file is edited by hand: more than this is something else.
const SIZE_MAX: u64 = 1024 * 1024;

/// Directories of `/etc` where relpack, systemd or apt read what a package says in other ways.
const NOT_HERE: &[(&str, &str)] = &[
    ("relpack", "the facts of a host are its admin's"),
    (
        "systemd",
        "write units and their drop-ins into the directory of release.units",
    ),
    ("apt", "a package can't configure the tool that installs it"),
    ("sysusers.d", "write [user]"),
    ("tmpfiles.d", "write [directories]"),
];

/// What `[files]` says, each by path.
#[derive(Default)]
pub(super) struct Files {
    pub(super) sources: Vec<ConfigFile>,
    pub(super) links: Vec<HostLink>,
}

/// `[files]`
pub(super) fn files(table: &Table<'_>, layout: &Layout, env_file: Option<&AbsPath>, place: Place<'_>) -> Files {
    let mut files = Files::default();
    for (key, value) in table.entries() {
        let what = format!("files.{}", shown_key(&key.value));
        let Some(entry) = table.entry_table(&key, value) else {
            continue;
        };
        if entry.has("link") {
            without_content(&entry, &what);
            if let Some(link) = host_links::link(&entry, &what, &key, layout)
                && apart(table, &what, &key, &link, &files.links)
            {
                files.links.push(link);
            }
            entry.finish();
            continue;
        }
        let path = target(table, &what, &key, layout, env_file);
        entry.need("source", "\"deploy/acme.ini\"");
        let mode = mode(&entry, &what);
        let conffile = entry.bool("conffile").is_none_or(|given| given.value);
        let bytes = entry
            .string("source")
            .and_then(|source| read_source(&entry, &format!("{what}.source"), &source, place, SIZE_MAX));
        entry.finish();
        if let (Some(path), Some(mode), Some(bytes)) = (path, mode, bytes) {
            files.sources.push(ConfigFile {
                path,
                mode,
                conffile,
                bytes,
            });
        }
    }
    files.sources.sort_by(|a, b| a.path.cmp(&b.path));
    files.links.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn without_content(entry: &Table<'_>, what: &str) {
    for key in ["source", "mode", "conffile"] {
        if entry.has(key) {
            entry.doc.push(
                Problem::new(entry.span_of(key), format!("{what}.{key}: a link has no {key}"))
                    .help("keep one of the two: a file with a source, or a link"),
            );
        }
    }
}

/// A link is no directory of another one.
fn apart(table: &Table<'_>, what: &str, key: &At<String>, link: &HostLink, others: &[HostLink]) -> bool {
    let inside = |other: &&HostLink| link.path.starts_with(&other.path) || other.path.starts_with(&link.path);
    let Some(other) = others.iter().find(inside) else {
        return true;
    };
    table.doc.push(
        Problem::new(
            key.span.clone(),
            format!("{what}: lies in the link {} or holds it", other.path),
        )
        .help("keep the outer one, or choose another place"),
    );
    false
}

fn target(
    table: &Table<'_>,
    what: &str,
    key: &At<String>,
    layout: &Layout,
    env_file: Option<&AbsPath>,
) -> Option<AbsPath> {
    let path: At<AbsPath> = table.doc.parse(what, key)?;
    let refuse = |problem: &str, help: String| {
        table
            .doc
            .push(Problem::new(key.span.clone(), format!("{what}: {problem}")).help(help));
        None
    };
    let name = layout.own_name();
    let parts: Vec<_> = path.value.components().collect();
    let own = format!("for example \"/etc/{name}/{name}.ini\" or \"/etc/logrotate.d/{name}\"");
    let (Some((&"etc", below)), false) = (parts.split_first(), parts.len() < 2) else {
        return refuse(
            "only files below /etc are a host's to edit",
            format!(
                "put it into the release, and where it has to be seen here write link = \"current/…\"; or choose {own}"
            ),
        );
    };
    if !path.value.as_str().chars().all(is_plain) {
        return refuse(
            "the path holds a character that shells would misread",
            format!("use {PLAIN}"),
        );
    }
    if let Some((_, help)) = NOT_HERE.iter().find(|(dir, _)| below.first() == Some(dir)) {
        return refuse("this directory is not for a package's files", (*help).to_owned());
    }
    if env_file == Some(&path.value) {
        return refuse(
            "this is the environment file, which a host makes and fills",
            "choose another name".to_owned(),
        );
    }
    if !below.iter().any(|part| layout.owns(part)) {
        return refuse("it is not this package's own file", format!("choose {own}"));
    }
    Some(path.value)
}

fn mode(table: &Table<'_>, what: &str) -> Option<u32> {
    if !table.has("mode") {
        return Some(0o644);
    }
    let text = table.string("mode")?;
    let allowed = [0o600, 0o640, 0o644];
    let octal = text.value.bytes().all(|b| (b'0'..=b'7').contains(&b)) && (3..=4).contains(&text.value.len());
    let mode = u32::from_str_radix(&text.value, 8)
        .ok()
        .filter(|mode| octal && allowed.contains(mode));
    if mode.is_none() {
        table.doc.push(
            Problem::new(
                text.span,
                format!("{what}.mode: {:?} is not the mode of a configuration file", text.value),
            )
            .help("write \"0644\", \"0640\" (root and the service's group) or \"0600\""),
        );
    }
    mode
}

/// Where the sources of files start from, and the same as messages name it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) dir: &'a Path,
    pub(super) shown: &'a Path,
}

/// A file that the configuration names in the field `what`, of at most `max` bytes.
pub(super) fn read_source(
    table: &Table<'_>,
    what: &str,
    source: &At<String>,
    place: Place<'_>,
    max: u64,
) -> Option<Vec<u8>> {
    let at = printable_path(&place.shown.join(&source.value));
    let refuse = |problem: String, help: &str| {
        let problem = Problem::new(source.span.clone(), format!("{what}: {problem}"));
        table.doc.push(problem.help(help));
        None
    };
    let path = place.dir.join(&source.value);
    let attempt = || -> std::io::Result<Option<Vec<u8>>> {
        // Opening a FIFO would wait for a writer for ever.
        if !std::fs::metadata(&path)?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        File::open(&path)?.take(max + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    match attempt() {
        Ok(Some(bytes)) if bytes.len() as u64 <= max => Some(bytes),
        Ok(Some(_)) => refuse(
            format!("{at} is larger than {} MiB", max >> 20),
            "is it really the file that is meant?",
        ),
        Ok(None) => refuse(
            format!("{at} is not a regular file"),
            "name a file, relative to this one",
        ),
        Err(error) => refuse(
            format!("cannot read {at}: {error}"),
            "name a file, relative to this one",
        ),
    }
}
