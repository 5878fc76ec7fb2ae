//! Reads what lies where: `[release]`, `[user]`, `[directories]`, `[env]` and `[shared]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use globset::GlobBuilder;

use super::diagnostics::Problem;
use super::reader::{At, Doc, Table};
use super::travel;
use super::{Directory, Env, Release, Secrets, Shared, User};
use crate::model::{AbsPath, EnvName, PackageName, Suite, TreePath, UserName};

/// Where the package's things lie on a host, for checks and placeholders.
pub(super) struct Layout {
    /// `None` when the name itself is wrong: checks that need it are left out.
    pub(super) name: Option<PackageName>,
    pub(super) prefix: AbsPath,
    pub(super) shared: AbsPath,
}

impl Layout {
    pub(super) fn new(name: Option<PackageName>, prefix: AbsPath) -> Option<Self> {
        let shared = prefix.join("shared").ok()?;
        Some(Self { name, prefix, shared })
    }

    /// Puts `{prefix}` and `{shared}` at the start of a path into words.
    pub(super) fn path(&self, doc: &Doc, what: &str, text: &At<String>) -> Option<At<AbsPath>> {
        let known = [("{shared}", &self.shared), ("{prefix}", &self.prefix)];
        let mut full = text.value.clone();
        for (word, place) in known {
            if let Some(rest) = text.value.strip_prefix(word) {
                full = format!("{place}{rest}");
            }
        }
        if full.contains(['{', '}']) {
            doc.push(
                Problem::new(
                    text.span.clone(),
                    format!("{what}: {:?} holds an unknown placeholder", text.value),
                )
                .help("a path may start with {shared} or {prefix}, and holds no other braces"),
            );
            return None;
        }
        if !full.starts_with('/') {
            doc.push(
                Problem::new(text.span.clone(), format!("{what}: {:?} is not absolute", text.value))
                    .help(format!("write \"/…\", or \"{{shared}}/{}\"", text.value)),
            );
            return None;
        }
        doc.parse(what, &At::new(full, text.span.clone()))
    }

    /// Whether a name below a directory that packages share is this package's: `acme`, `acme-data`, `acme.d`.
    pub(super) fn owns(&self, component: &str) -> bool {
        let Some(name) = &self.name else {
            return true;
        };
        component
            .strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']))
    }

    pub(super) fn own_name(&self) -> &str {
        self.name.as_ref().map_or("NAME", |name| name.as_str())
    }
}

/// What unit files, tmpfiles.d and shells all read as it stands, in lists and before colons too.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+')
}

pub(super) const PLAIN: &str = "letters, digits and . _ - +";

/// What is a link into `/usr` on every host: dpkg loses track of a file that a package brings by this name.
pub(super) const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Directories of the system, of other packages or of people: no prefix and no directory of ours belongs there.
const SYSTEM: &[&str] = &[
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
];

/// The prefix: `[release] prefix`, else `/opt/<name>`.
pub(super) fn prefix(table: Option<&Table<'_>>, name: Option<&PackageName>) -> Option<AbsPath> {
    let fallback = || format!("/opt/{}", name.map_or("package", |n| n.as_str())).parse().ok();
    let Some(path) = table.and_then(|t| t.parsed::<AbsPath>("prefix").map(|path| (t, path))) else {
        return fallback();
    };
    let (table, path) = path;
    let parts: Vec<_> = path.value.components().collect();
    let problem = if parts.len() < 2 || SYSTEM.contains(&parts[0]) {
        Some("is a place of the system")
    } else if !parts
        .iter()
        .all(|part| part.chars().all(is_plain) && part.starts_with(|c: char| c.is_ascii_alphanumeric()))
    {
        Some("holds a character that unit files or shells would misread")
    } else if path.value.as_str().len() > 100 {
        Some("is longer than 100 bytes")
    } else {
        None
    };
    if let Some(problem) = problem {
        let example = name.map_or("acme", |n| n.as_str());
        table.doc.push(
            Problem::new(
                path.span,
                format!("release.prefix: {:?} {problem}", path.value.as_str()),
            )
            .help(format!(
                "choose a directory of its own such as \"/opt/{example}\" or \"/srv/{example}\", of {PLAIN}"
            )),
        );
        return fallback();
    }
    Some(path.value)
}

/// `[release]`, whose prefix was read before.
pub(super) fn release(table: &Table<'_>, dir: &Path, prefix: AbsPath, target: Suite) -> Option<Release> {
    // It was read before the others, since they hold what it says.
    table.has("cargo");
    table.need("source", "\"build\"");
    let local = |key| {
        let text = table.string(key)?;
        if text.value.is_empty() {
            table.doc.push(
                Problem::new(text.span, format!("release.{key}: the path is empty"))
                    .help("write a path relative to this file (\".\" is the directory of this file)"),
            );
            return None;
        }
        Some(dir.join(&text.value))
    };
    Some(Release {
        cargo: None,
        units_dir: local("units"),
        exclude: exclude(table),
        keep: table
            .integer("keep", 2..1001)
            .and_then(|n| u32::try_from(n.value).ok())
            .unwrap_or(5),
        payload: travel::payload(table),
        packing: travel::packing(table, target),
        prefix,
        source: local("source")?,
    })
}

fn exclude(table: &Table<'_>) -> Vec<String> {
    let globs = table.strings("exclude").into_iter();
    globs
        .filter(|glob| {
            let (message, help) = match glob_problem(&glob.value) {
                None => return true,
                Some(problem) => problem,
            };
            table.doc.push(
                Problem::new(
                    glob.span.clone(),
                    format!("release.exclude: {:?} {message}", glob.value),
                )
                .help(help),
            );
            false
        })
        .map(|glob| glob.value)
        .collect()
}

fn glob_problem(glob: &str) -> Option<(String, &'static str)> {
    const RELATIVE: &str = "write it relative to the source directory, for example \"**/*.map\"";
    if glob.is_empty() {
        return Some(("is empty".into(), "remove it"));
    }
    if glob.starts_with('/') {
        return Some(("is absolute".into(), RELATIVE));
    }
    if glob.split('/').any(|part| matches!(part, "." | "..")) {
        return Some(("holds \".\" or \"..\"".into(), RELATIVE));
    }
    let error = GlobBuilder::new(glob).literal_separator(true).build().err()?;
    Some((
        format!("is not a valid glob: {}", error.kind()),
        "see that [ ], { } and \\ are closed; \"[[]\" is a bracket itself",
    ))
}

/// `[user]`; without it, a user named like the package.
///
/// `package_name` is where the package's name stands.
pub(super) fn user(doc: &Doc, table: Option<&Table<'_>>, layout: &Layout, package_name: Range<usize>) -> Option<User> {
    let given = table.and_then(|t| t.parsed::<UserName>("name"));
    let group = table.and_then(|t| t.parsed::<UserName>("group"));
    let create = table.and_then(|t| t.bool("create"));
    let home = table
        .and_then(|t| t.string("home"))
        .and_then(|text| layout.path(doc, "user.home", &text));
    let name = match (&given, &layout.name) {
        (Some(name), _) => name.value.clone(),
        (None, Some(package)) if table.is_none_or(|t| !t.has("name")) => match package.as_str().parse::<UserName>() {
            Ok(name) => name,
            Err(error) => {
                let (message, text) = (error.message(), package.as_str());
                let reason = message
                    .strip_prefix(&format!("user name {text:?} "))
                    .unwrap_or(&message);
                doc.push(
                    Problem::new(
                        package_name,
                        format!("the package's name {text:?} can't be a user's name: it {reason}"),
                    )
                    .help("choose the service's user: [user] name = \"…\" (letters, digits, _ and -)")
                    .contextual(),
                );
                return None;
            }
        },
        _ => return None,
    };
    let create_value = create.as_ref().is_none_or(|c| c.value);
    if create_value && UserName::ON_EVERY_HOST.contains(&name.as_str()) {
        doc.push(
            Problem::new(
                given.map_or(package_name, |g| g.span),
                format!("user.name: {:?} exists on every host", name.as_str()),
            )
            .help("add create = false, or better choose a user of the package's own"),
        );
    }
    Some(User {
        group: group.map_or_else(|| name.clone(), |g| g.value),
        home: home.map_or_else(|| layout.shared.clone(), |h| h.value),
        create: create_value,
        name,
    })
}

/// `[directories]`: what systemd-tmpfiles makes on the host.
pub(super) fn directories(table: &Table<'_>, layout: &Layout, user: Option<&User>) -> Vec<Directory> {
    let mut list: Vec<Directory> = Vec::new();
    for (key, value) in table.entries() {
        let what = format!("directories.{}", super::reader::shown_key(&key.value));
        let entry = table.entry_table(&key, value);
        let path = directory_path(table.doc, &what, &key, layout);
        let Some(entry) = entry else { continue };
        let mode = mode(&entry, &what).unwrap_or(0o750);
        let owner = entry.parsed::<UserName>("user").map(|u| u.value);
        let group = entry.parsed::<UserName>("group").map(|g| g.value);
        entry.finish();
        let (Some(path), Some(default)) = (path, user) else {
            continue;
        };
        if list.iter().any(|d| d.path == path) {
            table.doc.push(
                Problem::new(key.span, format!("{what}: {path} is given twice"))
                    .help("remove one of the two spellings"),
            );
            continue;
        }
        list.push(Directory {
            path,
            mode,
            user: owner.unwrap_or_else(|| default.name.clone()),
            group: group.unwrap_or_else(|| default.group.clone()),
        });
    }
    list
}

fn directory_path(doc: &Doc, what: &str, key: &At<String>, layout: &Layout) -> Option<AbsPath> {
    let text = if key.value.starts_with(['/', '{']) {
        key.clone()
    } else {
        let below: At<TreePath> = doc.parse(what, key)?;
        At::new(format!("{{shared}}/{}", below.value), key.span.clone())
    };
    let path = layout.path(doc, what, &text)?.value;
    if let Some((problem, help)) = directory_problem(&path, layout) {
        let message = format!("{what}: {:?} {problem}", path.as_str());
        doc.push(Problem::new(key.span.clone(), message).help(help));
        return None;
    }
    Some(path)
}

/// A directory gets another owner and mode, so it must be the package's own: `/var/lib/dpkg` is somebody else's.
fn directory_problem(path: &AbsPath, layout: &Layout) -> Option<(&'static str, String)> {
    let name = layout.own_name();
    let place = format!("use a path below shared/ such as \"uploads\", or \"/var/lib/{name}\"");
    if !path.as_str().chars().all(is_plain) {
        return Some((
            "holds a character that unit files or tmpfiles.d would misread",
            format!("use {PLAIN}"),
        ));
    }
    if *path == layout.shared {
        return Some((
            "stays root's, so that the application can't replace its own env file",
            "name the directories below it".to_owned(),
        ));
    }
    if path.starts_with(&layout.shared) {
        return None;
    }
    if path.starts_with(&layout.prefix) || layout.prefix.starts_with(path) {
        return Some(("belongs to the releases", place));
    }
    let parts: Vec<_> = path.components().collect();
    let fine = match parts.as_slice() {
        ["var", "lib" | "cache" | "log" | "spool" | "opt" | "www", own, ..] => layout.owns(own),
        ["opt", own, ..] => layout.owns(own),
        [top, _, ..] => !SYSTEM.contains(top),
        _ => false,
    };
    if fine {
        return None;
    }
    if parts.first() == Some(&"run") {
        let hint = "write Service.RuntimeDirectory = \"…\" in the unit: systemd makes it at each start";
        return Some(("would be gone after a reboot", hint.to_owned()));
    }
    Some(("is not this package's own", place))
}

fn mode(table: &Table<'_>, what: &str) -> Option<u32> {
    let text = match table.has("mode") {
        true => table.string("mode")?,
        false => return None,
    };
    let refuse = |problem: &str, help: &str| {
        table
            .doc
            .push(Problem::new(text.span.clone(), format!("{what}.mode: {:?} {problem}", text.value)).help(help));
        None
    };
    let octal = text.value.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = match (text.value.len(), u32::from_str_radix(&text.value, 8)) {
        (3 | 4, Ok(mode)) if octal => mode,
        _ => return refuse("is not a mode", "write it in octal, for example \"0750\""),
    };
    if mode & 0o7000 != 0 {
        return refuse(
            "sets setuid, setgid or the sticky bit",
            "write three digits after the 0, for example \"0750\"",
        );
    }
    if mode & 0o002 != 0 {
        return refuse(
            "lets everybody write",
            "write for example \"0750\", or \"0770\" with a group",
        );
    }
    if mode & 0o700 != 0o700 {
        return refuse("keeps the owner out", "start it with 7: \"0750\"");
    }
    Some(mode)
}

/// `[env]`; whether it counts as present is decided when the units are known.
pub(super) fn env(doc: &Doc, table: Option<&Table<'_>>, layout: &Layout) -> Option<Env> {
    let required = table.map_or(Vec::new(), |t| t.parsed_list::<EnvName>("required"));
    let file = match table.and_then(|t| t.string("file")) {
        Some(text) => {
            let path = layout.path(doc, "env.file", &text)?;
            env_file_problem(doc, &path, layout);
            path.value
        }
        None => layout.shared.join("env").ok()?,
    };
    Some(Env {
        required: required.into_iter().map(|name| name.value).collect(),
        file,
        present: table.is_some(),
    })
}

/// The file gets another owner and mode 0600, so it must be the package's own.
fn env_file_problem(doc: &Doc, path: &At<AbsPath>, layout: &Layout) {
    let parts: Vec<_> = path.value.components().collect();
    let own = match parts.as_slice() {
        _ if path.value == layout.shared => false,
        _ if path.value.starts_with(&layout.shared) => true,
        ["etc", "default", file] => layout.owns(file),
        ["etc", dir, _, ..] => layout.owns(dir),
        _ => false,
    };
    if own && path.value.as_str().chars().all(is_plain) {
        return;
    }
    let name = layout.own_name();
    doc.push(
        Problem::new(
            path.span.clone(),
            format!("env.file: {:?} is not this package's own file", path.value.as_str()),
        )
        .help(format!(
            "use \"{{shared}}/env\" (the default), \"/etc/{name}/env\" or \"/etc/default/{name}\""
        )),
    );
}

/// `[secrets]`: what may be packed, each with its reason.
pub(super) fn secrets(table: &Table<'_>) -> Secrets {
    let mut secrets = Secrets::default();
    let why = "say why everybody who gets the package may have it: \"a key for the tests\"";
    for (key, reason) in table.reasons("allow", why) {
        let what = format!("secrets.allow.{}", super::reader::shown_key(&key.value));
        if let Some(path) = table.doc.parse::<TreePath>(&what, &key) {
            secrets.allow.insert(path.value, reason);
        }
    }
    secrets
}

/// `[lock] optional`: libraries that the programs do without, each with its reason.
pub(super) fn optional(table: Table<'_>) -> BTreeMap<String, String> {
    let mut optional = BTreeMap::new();
    for (key, reason) in table.reasons("optional", "say what the programs do without it: \"printing only\"") {
        if key.value.is_empty() || key.value.contains(['/', ' ']) || key.value.chars().any(char::is_control) {
            let problem = format!("lock.optional: {:?} is not the name of a library", key.value);
            let help = "write it as the error does: \"libfoo.so.1\"";
            table.doc.push(Problem::new(key.span, problem).help(help));
            continue;
        }
        optional.insert(key.value, reason);
    }
    table.finish();
    optional
}

/// `[shared] links`: a path in the release → a path below `shared/`.
pub(super) fn shared(table: &Table<'_>) -> Shared {
    let mut links: BTreeMap<TreePath, String> = BTreeMap::new();
    let Some(given) = table.table("links") else {
        return Shared { links };
    };
    for (key, value) in given.entries() {
        let what = format!("shared.links.{}", super::reader::shown_key(&key.value));
        let from = table.doc.parse::<TreePath>(&what, &key);
        let target = given
            .entry_string(&key, value)
            .and_then(|text| table.doc.parse::<TreePath>(&what, &text));
        let (Some(from), Some(target)) = (from, target) else {
            continue;
        };
        if !target.value.as_str().chars().all(is_plain) {
            table.doc.push(
                Problem::new(
                    value.span(),
                    format!(
                        "{what}: {:?} holds a character that unit files would misread",
                        target.value.as_str()
                    ),
                )
                .help(format!("use {PLAIN}")),
            );
            continue;
        }
        let first = from.value.components().next();
        if first == Some(".relpack") {
            table.doc.push(
                Problem::new(key.span, format!("{what}: .relpack/ is relpack's own")).help("choose another path"),
            );
            continue;
        }
        let inside = links
            .keys()
            .find(|other| from.value.starts_with(other) || other.starts_with(&from.value));
        if let Some(other) = inside {
            table.doc.push(
                Problem::new(
                    key.span,
                    format!("{what}: lies in the link {:?} or holds it", other.as_str()),
                )
                .help("keep the outer one: what lies below it is shared already"),
            );
            continue;
        }
        links.insert(from.value, target.value.as_str().to_owned());
    }
    Shared { links }
}
