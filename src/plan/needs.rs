//! Finds what the files of a release need of a host: shared libraries, interpreters, a Python, a Node.js.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::config::{Config, Locked, NeedKind};
use crate::model::{Arch, TreePath};
use crate::systemd::exec;
use crate::tree::{FileNode, Led, Node, Tree};

use super::PlanError;
use super::elf_needs::{self, ElfNeeds};
use super::shebang;

/// One thing that a host has to have.
#[derive(Debug, Clone, Default)]
pub struct Need {
    /// The first file that needs it.
    pub by: String,
    /// The symbol versions of a library that are used.
    pub versions: BTreeSet<String>,
    /// The symbols that the programs use which need the library: name and version; they may be another library's.
    pub symbols: BTreeSet<(String, Option<String>)>,
}

/// All that a release needs, by kind and name.
#[derive(Debug, Default)]
pub struct Needs {
    /// Libraries by soname, programs by path, Python by its minor version, Node.js by the range in `package.json`.
    pub needed: BTreeMap<(NeedKind, String), Need>,
    /// What could not be looked into.
    pub warnings: Vec<String>,
}

/// A `package.json` or `pyvenv.cfg` is written by hand or by a small tool.
const TEXT_MAX: u64 = 1024 * 1024;

impl Needs {
    /// Looks at every file that a host would load or run.
    pub(super) fn find(config: &Config, run: &BTreeSet<String>, tree: &Tree, arch: Arch) -> Result<Self, PlanError> {
        let mut needs = Self::default();
        needs.libraries(config, run, tree, arch)?;
        needs.programs(config, run, tree)?;
        needs.python(tree)?;
        needs.node(tree)?;
        Ok(needs)
    }

    fn add(&mut self, kind: NeedKind, name: &str, by: &str) -> &mut Need {
        let need = self.needed.entry((kind, name.to_owned())).or_default();
        if need.by.is_empty() || by < need.by.as_str() {
            need.by = by.to_owned();
        }
        need
    }

    /// What the ELF files of the package's architecture need beyond what the release itself brings. A package for all
    /// architectures loads none for sure: which one fits is decided on the host, by the application.
    fn libraries(&mut self, config: &Config, run: &BTreeSet<String>, tree: &Tree, arch: Arch) -> Result<(), PlanError> {
        let elf: Vec<(&TreePath, &FileNode)> = tree
            .files()
            .filter(|(_, file)| file.is_elf && arch != Arch::All)
            .collect();
        let read: Result<Vec<_>, PlanError> = elf
            .into_par_iter()
            .map(|(path, file)| Ok((path, elf_needs::read(path, file)?)))
            .collect();
        let mut files = Vec::new();
        for (path, outcome) in read? {
            match outcome {
                Ok(found) if found.arch == Some(arch) => files.push((path, found)),
                Ok(_) => {}
                Err(problem) => self.warnings.push(format!(
                    "{:?} begins as an ELF file and can't be read as one: {problem} (hint: if a program loads it, name the packages of its libraries in package.depends)",
                    path.as_str()
                )),
            }
        }
        let shipped = shipped(tree, &files);
        let mut unused: BTreeSet<&str> = config.optional.keys().map(String::as_str).collect();
        for (path, found) in &files {
            // Prebuilt modules come for several C libraries, and a program takes that of its host.
            if found.is_musl() && !run.contains(path.as_str()) {
                continue;
            }
            for soname in found.needed.iter().filter(|soname| !shipped.contains(soname.as_str())) {
                if config.optional.contains_key(soname) {
                    unused.remove(soname.as_str());
                    continue;
                }
                let need = self.add(NeedKind::Library, soname, path.as_str());
                for (symbol, version, of) in &found.symbols {
                    // A later library may have what another one had: the C library has taken over its threads'.
                    if of.as_ref() == Some(soname) {
                        need.versions.extend(version.clone());
                    }
                    need.symbols.insert((symbol.clone(), version.clone()));
                }
            }
        }
        self.warnings.extend(unused.into_iter().map(|soname| {
            format!("lock.optional: nothing needs {soname} (hint: remove it, so that it is seen when it is needed)")
        }));
        Ok(())
    }

    /// The programs outside of the release that units run, and the interpreters of scripts that units run or that lie in `bin/`.
    fn programs(&mut self, config: &Config, run: &BTreeSet<String>, tree: &Tree) -> Result<(), PlanError> {
        for (unit, path) in super::executed::outside(&config.units, &config.drop_ins) {
            self.add(NeedKind::Program, &path, &unit);
        }
        let in_bin = |path: &TreePath| path.parent().is_some_and(|dir| dir.file_name() == "bin");
        let third_party = |path: &TreePath| {
            path.components()
                .any(|part| part == "node_modules" || part == "site-packages")
        };
        for (path, file) in tree.files() {
            let counts = run.contains(path.as_str()) || (file.executable && in_bin(path) && !third_party(path));
            if !counts || file.is_elf {
                continue;
            }
            if let Some(program) = shebang::interpreter(path, file)?
                && exec::in_release(&program, &config.release.prefix).is_none()
                && shebang::moved(tree, path, &program).is_none()
            {
                self.add(NeedKind::Program, &program, path.as_str());
            }
        }
        Ok(())
    }

    /// A virtual environment whose interpreter is the system's works with one minor version only.
    fn python(&mut self, tree: &Tree) -> Result<(), PlanError> {
        for (path, file) in tree.files().filter(|(path, _)| path.file_name() == "pyvenv.cfg") {
            let below = |rest: &str| match path.parent() {
                Some(dir) => dir.join(rest).ok(),
                None => rest.parse().ok(),
            };
            let text = String::from_utf8_lossy(&file.head(path, TEXT_MAX)?).into_owned();
            let home = text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == "home").then(|| value.trim().to_owned())
            });
            let nodes = ["bin/python3", "bin/python"]
                .iter()
                .filter_map(|name| tree.get(&below(name)?));
            let mut system = false;
            for node in nodes {
                match node {
                    Node::Symlink(target) if target.starts_with("/usr/local/") => self.warnings.push(format!(
                        "{:?}: its virtual environment is of {target}, which only hosts have where somebody has put it (hint: make it anew with Debian's: `/usr/bin/python3 -m venv --clear`)",
                        path.as_str()
                    )),
                    Node::Symlink(target) => system |= target.starts_with('/') || target.starts_with("python"),
                    // By `venv --copies`: the program alone, without its libraries.
                    Node::File(_) => system |= home.as_deref() == Some("/usr/bin"),
                    Node::Dir => {}
                }
            }
            let minor = text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                let known = matches!(key.trim(), "version" | "version_info");
                known.then(|| minor_of(value.trim())).flatten()
            });
            let minor = minor.or_else(|| {
                let lib = below("lib")?;
                let dirs = tree.iter().filter(|(path, _)| path.parent().as_ref() == Some(&lib));
                let mut versions =
                    dirs.filter_map(|(path, _)| path.file_name().strip_prefix("python").and_then(minor_of));
                versions.next()
            });
            match (system, minor) {
                (true, Some(minor)) => drop(self.add(NeedKind::Python, &minor, path.as_str())),
                (true, None) => self.warnings.push(format!(
                    "{:?} does not say which Python its virtual environment is for (hint: make it anew with python3 -m venv)",
                    path.as_str()
                )),
                (false, _) => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, tree: &Tree) -> Result<(), PlanError> {
        let path: TreePath = "package.json".parse().expect("a plain name is a path");
        let Some(Node::File(file)) = tree.get(&path) else {
            return Ok(());
        };
        let Ok(package) = serde_json::from_slice::<serde_json::Value>(&file.head(&path, TEXT_MAX)?) else {
            return Ok(()); // whether it is JSON is the application's business
        };
        if let Some(range) = package["engines"]["node"]
            .as_str()
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            self.add(NeedKind::Node, range, path.as_str());
        }
        Ok(())
    }

    /// What the lock does not say about libraries and Python: their lack shows only when the program starts.
    pub(super) fn check(&self, lock: Option<&crate::config::Lock>, arch: Arch) -> Vec<PlanError> {
        let Some(lock) = lock else {
            let libraries = || self.needed.iter().filter(|((kind, _), _)| *kind == NeedKind::Library);
            return libraries()
                .next()
                .map(|((_, name), need)| PlanError::NoLock {
                    path: need.by.clone(),
                    library: name.clone(),
                    others: libraries().count() - 1,
                })
                .into_iter()
                .collect();
        };
        if lock.architecture != arch && self.needed.keys().any(|(kind, _)| *kind == NeedKind::Library) {
            return vec![PlanError::LockOfOther {
                locked: lock.architecture,
                arch,
            }];
        }
        let covered = |(key, need): &(&(NeedKind, String), &Need)| {
            lock.needs
                .get(key)
                .is_some_and(|locked: &Locked| need.versions.is_subset(&locked.versions))
        };
        self.needed
            .iter()
            .filter(|((kind, _), _)| matches!(kind, NeedKind::Library | NeedKind::Python))
            .filter(|entry| !covered(entry))
            .map(|((kind, name), need)| {
                let known = lock.needs.get(&(*kind, name.clone()));
                let newer = known.and_then(|locked| need.versions.difference(&locked.versions).last());
                PlanError::NotLocked {
                    path: need.by.clone(),
                    what: match (kind, newer) {
                        (NeedKind::Python, _) => format!("Python {name}"),
                        (_, Some(version)) => format!("{version} of {name}"),
                        (_, None) => name.clone(),
                    },
                }
            })
            .collect()
    }

    /// What a lock is behind in, and what doesn't keep a program from being started: programs and Node.js that it doesn't cover,
    /// and what nothing needs any more.
    pub(super) fn stale(&self, lock: Option<&crate::config::Lock>) -> Vec<String> {
        const HINT: &str = "(hint: run `relpack lock`, and commit relpack.lock)";
        let Some(lock) = lock else { return Vec::new() };
        let uncovered = self.needed.iter().filter(|((kind, name), _)| {
            matches!(kind, NeedKind::Program | NeedKind::Node) && !lock.needs.contains_key(&(*kind, name.clone()))
        });
        let uncovered = uncovered.map(|((kind, name), need)| {
            let what = if *kind == NeedKind::Node { "Node.js " } else { "" };
            format!(
                "{:?} needs {what}{name}, which the lock file does not cover {HINT}",
                need.by
            )
        });
        let unneeded = lock
            .needs
            .iter()
            .filter(|(key, locked)| !locked.depends.is_empty() && !self.needed.contains_key(*key));
        let unneeded =
            unneeded.map(|((_, name), _)| format!("the lock file has {name:?}, which nothing needs any more {HINT}"));
        uncovered.chain(unneeded).collect()
    }
}

/// The libraries that the release brings: by soname, and by the name of their file or link.
fn shipped(tree: &Tree, files: &[(&TreePath, ElfNeeds)]) -> BTreeSet<String> {
    let of_arch: BTreeSet<&TreePath> = files.iter().map(|(path, _)| *path).collect();
    // What only has such a name, or is for another architecture, is none.
    let is_library = |path: &TreePath| match tree.follow(path) {
        Led::Here(end, _) => of_arch.contains(&end),
        Led::Outside => true,
        Led::Nowhere => false,
    };
    let named = tree
        .iter()
        .filter(|(_, node)| !matches!(node, Node::Dir))
        .filter(|(path, _)| path.file_name().ends_with(".so") || path.file_name().contains(".so."))
        .filter(|(path, _)| is_library(path))
        .map(|(path, _)| path.file_name().to_owned());
    let own = files.iter().filter_map(|(_, found)| found.soname.clone());
    named.chain(own).collect()
}

/// `3.11` of `3.11.2`.
fn minor_of(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    Some(format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions() {
        assert_eq!(minor_of("3.11.2").as_deref(), Some("3.11"));
        assert_eq!((minor_of("3"), minor_of("x.y")), (None, None));
    }
}
