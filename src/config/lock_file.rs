//! Owns `relpack.lock`: what the files of a release need of a host, and which Debian packages bring it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::diagnostics::{Diagnostics, Problem, Source};
use super::reader::{Doc, Table};
use super::relation::Relation;
use super::{file, syntax_problems};
use crate::model::{Arch, Suite};

/// The only format so far.
const FORMAT: i64 = 1;
const HEAD: &str = "\
# Made by `relpack lock`: what the files of this release need of a host, and which Debian packages bring it.
# Commit it: `relpack build` reads it and looks nothing up, so that every machine builds the same bytes.
# After a change of libraries or interpreters, run `relpack lock` again instead of editing it.
";

/// What kind of thing is needed; in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeedKind {
    /// A shared library, by its soname.
    Library,
    /// A program, by its path.
    Program,
    /// A minor version of Python, such as `3.11`.
    Python,
    /// Versions of Node.js, as `package.json` says it.
    Node,
}

impl NeedKind {
    const ALL: [NeedKind; 4] = [Self::Library, Self::Program, Self::Python, Self::Node];

    /// The name of its tables.
    pub fn word(self) -> &'static str {
        match self {
            NeedKind::Library => "library",
            NeedKind::Program => "program",
            NeedKind::Python => "python",
            NeedKind::Node => "node",
        }
    }
}

/// What brings one need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Relations of `Depends`; empty where every Debian host has it.
    pub depends: Vec<Relation>,
    /// The symbol versions of a library that are used.
    pub versions: BTreeSet<String>,
    /// The first file that needs it.
    pub by: String,
}

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Codename of the Debian release that it was resolved on.
    pub suite: String,
    /// Architecture of the package.
    pub architecture: Arch,
    /// By kind and name.
    pub needs: BTreeMap<(NeedKind, String), Locked>,
}

impl Lock {
    /// Where the lock of a configuration lies: `relpack.toml` has `relpack.lock`.
    pub fn path_of(config: &Path) -> PathBuf {
        config.with_extension("lock")
    }

    /// Whether the package is only for hosts of its suite: libraries and Python have other versions in others.
    pub fn binds(&self) -> bool {
        let binds = |(kind, _): &(NeedKind, String)| matches!(kind, NeedKind::Library | NeedKind::Python);
        self.needs.keys().any(binds)
    }

    /// That suite, where relpack knows it.
    pub fn binds_to(&self) -> Option<Suite> {
        self.binds().then(|| self.suite.parse().ok()).flatten()
    }

    /// Every relation once, in the order of the file.
    pub fn depends(&self) -> Vec<&Relation> {
        let mut found: Vec<&Relation> = Vec::new();
        for relation in self.needs.values().flat_map(|locked| &locked.depends) {
            if !found.contains(&relation) {
                found.push(relation);
            }
        }
        found
    }

    /// The file's text: the same needs give the same bytes.
    pub fn render(&self) -> String {
        let list =
            |items: &mut dyn Iterator<Item = String>| items.map(|item| quoted(&item)).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "{HEAD}\nformat = {FORMAT}\nsuite = {}\narchitecture = {}\n",
            quoted(&self.suite),
            quoted(self.architecture.as_str())
        );
        for ((kind, name), locked) in &self.needs {
            text.push_str(&format!("\n[{}.{}]\n", kind.word(), quoted(name)));
            let depends = list(&mut locked.depends.iter().map(ToString::to_string));
            text.push_str(&format!("depends = [{depends}]\n"));
            if !locked.versions.is_empty() {
                text.push_str(&format!(
                    "versions = [{}]\n",
                    list(&mut locked.versions.iter().cloned())
                ));
            }
            text.push_str(&format!("by = {}\n", quoted(&locked.by)));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The lock beside a configuration; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Lock>, Diagnostics> {
    if matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let text = file::read_text(path)?;
    parse(path, &text).map(Some)
}

fn parse(path: &Path, text: &str) -> Result<Lock, Diagnostics> {
    let source = Source::new(path, text);
    let doc = Doc::new(Arc::clone(&source));
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = syntax_problems(&source, &errors);
    if !broken.is_empty() {
        let placed = broken.into_iter().map(|problem| problem.placed(&source, 0));
        return Err(Diagnostics::new(placed.collect()));
    }
    let lock = lock(&doc, Table::new(&doc, root.get_ref(), String::new(), 0..0));
    let problems = doc.into_problems();
    match lock {
        Some(lock) if problems.is_empty() => Ok(lock),
        _ => Err(Diagnostics::new(problems)),
    }
}

fn lock(doc: &Doc, root: Table<'_>) -> Option<Lock> {
    root.need("format", "1");
    root.need("suite", "\"bookworm\"");
    root.need("architecture", "\"amd64\"");
    let format = root.integer("format", 1..i64::MAX);
    if let Some(format) = format.filter(|format| format.value != FORMAT) {
        let message = format!("format {} is not known to this relpack", format.value);
        doc.push(Problem::new(format.span, message).help("use the relpack that made it, or run relpack lock"));
        return None;
    }
    let suite = root.string("suite");
    let architecture = root.parsed::<Arch>("architecture");
    let mut needs = BTreeMap::new();
    for kind in NeedKind::ALL {
        let Some(table) = root.table(kind.word()) else {
            continue;
        };
        for (key, value) in table.entries() {
            let Some(entry) = table.entry_table(&key, value) else {
                continue;
            };
            let depends = entry.parsed_list::<Relation>("depends");
            let versions = entry.strings("versions");
            let by = entry.string("by").map(|by| by.value).unwrap_or_default();
            entry.finish();
            let locked = Locked {
                depends: depends.into_iter().map(|relation| relation.value).collect(),
                versions: versions.into_iter().map(|version| version.value).collect(),
                by,
            };
            needs.insert((kind, key.value), locked);
        }
    }
    root.finish();
    Some(Lock {
        suite: suite?.value,
        architecture: architecture?.value,
        needs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Lock {
        let locked = |depends: &[&str], versions: &[&str]| Locked {
            depends: depends.iter().map(|text| text.parse().unwrap()).collect(),
            versions: versions.iter().map(ToString::to_string).collect(),
            by: "bin/with \"quotes\" é".into(),
        };
        let needs = [
            ((NeedKind::Node, ">=18 <21"), locked(&["nodejs (>= 18)"], &[])),
            (
                (NeedKind::Library, "libc.so.6"),
                locked(&["libc6 (>= 2.34)"], &["GLIBC_2.34", "GLIBC_2.17"]),
            ),
            (
                (NeedKind::Python, "3.11"),
                locked(&["python3 (>= 3.11~)", "python3 (<< 3.12)"], &[]),
            ),
            ((NeedKind::Library, "libm.so.6"), locked(&["libc6 (>= 2.34)"], &[])),
            ((NeedKind::Program, "/bin/sh"), locked(&[], &[])),
        ];
        Lock {
            suite: "bookworm".into(),
            architecture: Arch::Amd64,
            needs: needs
                .into_iter()
                .map(|((kind, name), locked)| ((kind, name.to_owned()), locked))
                .collect(),
        }
    }

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let lock = sample();
        let text = lock.render();
        assert_eq!(parse(Path::new("relpack.lock"), &text).unwrap(), lock, "{text}");
        assert_eq!(parse(Path::new("x"), &text).unwrap().render(), text);
        assert!(text.starts_with("# Made by `relpack lock`"));
        let (first, last) = (text.find("libc.so.6").unwrap(), text.find("[node").unwrap());
        assert!(first < last, "libraries come first:\n{text}");
        let depends: Vec<String> = lock.depends().into_iter().map(ToString::to_string).collect();
        assert_eq!(
            depends,
            [
                "libc6 (>= 2.34)",
                "python3 (>= 3.11~)",
                "python3 (<< 3.12)",
                "nodejs (>= 18)"
            ]
        );
    }

    #[test]
    fn a_lock_that_lies_is_refused() {
        let text = sample().render();
        for (from, to, message) in [
            ("format = 1", "format = 2", "not known to this relpack"),
            ("format = 1\n", "", "needs the key \"format\""),
            ("\"amd64\"", "\"x86_64\"", "Debian calls it"),
            ("libc6 (>= 2.34)", "libc6\\nEssential: yes", "line break"),
            ("libc6 (>= 2.34)", "libc6, evil", "several relations"),
            ("[library.\"libm.so.6\"]", "[libary.\"libm.so.6\"]", "unknown table"),
            ("depends", "depends", ""),
            ("suite = \"bookworm\"", "suite = \"bookworm", "TOML"),
        ] {
            let changed = text.replacen(from, to, 1);
            match parse(Path::new("relpack.lock"), &changed) {
                Ok(_) => assert!(message.is_empty(), "{from} -> {to}: accepted"),
                Err(problems) => {
                    let shown: String = problems
                        .problems()
                        .iter()
                        .map(|p| format!("{p} {:?}", p.hint()))
                        .collect();
                    assert!(
                        !message.is_empty() && shown.contains(message),
                        "{from} -> {to}: {shown}"
                    );
                }
            }
        }
    }
}
