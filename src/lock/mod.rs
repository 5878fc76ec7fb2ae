//! Resolves what a release needs to packages of one Debian release, from the records of dpkg in a root of it.

mod node_range;
mod root;
mod symbols;

use std::path::PathBuf;

use crate::config::{Lock, Locked, NeedKind, Relation};
use crate::model::{Arch, DebVersion};
use crate::plan::{Need, Needs};

pub use root::{Root, RootError, suite_of};

/// Why a need can't be resolved.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// No package brings a library.
    #[error(
        "\"{by}\" needs {soname}, which no package of {root:?} brings (hint: install the package that has it there and run this again, or put the library into the release; where the program does without it, name it in [lock] optional)"
    )]
    NoLibrary {
        /// Path in the release.
        by: String,
        /// The library.
        soname: String,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The library there is too old.
    #[error(
        "\"{by}\" needs {version} of {soname}, which {suite} doesn't have: it was built on a newer system (hint: build it on {suite}, or lock it with --root for the Debian release that its hosts have)"
    )]
    TooNew {
        /// Path in the release.
        by: String,
        /// The library.
        soname: String,
        /// The symbol version.
        version: String,
        /// Codename.
        suite: String,
    },
    /// The Python there is another one.
    #[error(
        "\"{by}\" is a virtual environment for Python {minor}, and {suite} has Python {has} (hint: make it with the python3 of {suite}, or lock it with --root for the Debian release that its hosts have)"
    )]
    OtherPython {
        /// Path in the release.
        by: String,
        /// `3.12`
        minor: String,
        /// Codename.
        suite: String,
        /// What it has.
        has: String,
    },
    /// The records of dpkg can't be read.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// A lock, and what is worth a word.
#[derive(Debug)]
pub struct Resolved {
    /// What is written.
    pub lock: Lock,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// Programs whose package has another name, for roots where they aren't installed.
const PROGRAMS: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("busybox", "busybox"),
    ("java", "default-jre-headless"),
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("nodejs", "nodejs"),
    ("perl", "perl"),
    ("php", "php-cli"),
    ("python3", "python3"),
    ("ruby", "ruby"),
];
/// Minor versions of Python, for roots without it.
const PYTHONS: &[(&str, &str)] = &[
    ("bullseye", "3.9"),
    ("bookworm", "3.11"),
    ("trixie", "3.13"),
    ("jammy", "3.10"),
    ("noble", "3.12"),
];

/// Resolves every need. All that can't be is told at once.
pub fn resolve(needs: &Needs, arch: Arch, root: &Root) -> Result<Resolved, Vec<LockError>> {
    let mut errors = Vec::new();
    let mut resolved = Resolved {
        lock: Lock {
            suite: root.suite().to_owned(),
            // A package for all architectures is told so; what its programs are is the same everywhere.
            architecture: arch,
            needs: Default::default(),
        },
        warnings: needs.warnings.clone(),
    };
    for ((kind, name), need) in &needs.needed {
        let found = match kind {
            NeedKind::Library => library(name, need, root),
            NeedKind::Program => program(name, need, root, &mut resolved.warnings),
            NeedKind::Python => python(name, need, root),
            NeedKind::Node => Ok(node(name, need, root, &mut resolved.warnings)),
        };
        match found {
            Ok(depends) => {
                let locked = Locked {
                    // What no package brings was said, and is known from now on.
                    depends: depends.unwrap_or_default(),
                    versions: need.versions.clone(),
                    by: need.by.clone(),
                };
                resolved.lock.needs.insert((*kind, name.clone()), locked);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(resolved) } else { Err(errors) }
}

type Found = Result<Option<Vec<Relation>>, LockError>;

fn library(soname: &str, need: &Need, root: &Root) -> Found {
    if let Some(library) = root.symbols(soname)? {
        if let Some(version) = need.versions.iter().find(|version| !library.has_version(version)) {
            return Err(LockError::TooNew {
                by: need.by.clone(),
                soname: soname.to_owned(),
                version: version.clone(),
                suite: root.suite().to_owned(),
            });
        }
        return Ok(Some(library.relations(&need.symbols)));
    }
    if let Some(relations) = root.shlibs(soname) {
        return Ok(Some(relations));
    }
    match root.owner_of_library(soname)? {
        Some(package) => Ok(Some(vec![relation(&package)])),
        None => Err(LockError::NoLibrary {
            by: need.by.clone(),
            soname: soname.to_owned(),
            root: root.path().to_owned(),
        }),
    }
}

fn program(path: &str, need: &Need, root: &Root, warnings: &mut Vec<String>) -> Found {
    let name = path.rsplit('/').next().unwrap_or(path);
    let of_system = ["/usr/bin/", "/bin/"]
        .iter()
        .any(|dir| path.strip_prefix(dir) == Some(name));
    let known = || {
        PROGRAMS
            .iter()
            .find(|(program, _)| of_system && *program == name)
            .map(|(_, package)| (*package).to_owned())
    };
    let package = match root.owner(path)? {
        Some(package) => whole(&package).unwrap_or(package),
        None => match known() {
            Some(package) => package,
            None => {
                warnings.push(format!(
                    "{:?} runs {path:?}, which no package of {:?} brings (hint: name its package in package.depends)",
                    need.by,
                    root.path()
                ));
                return Ok(None);
            }
        },
    };
    Ok(Some(if root.is_essential(&package) {
        Vec::new()
    } else {
        vec![relation(&package)]
    }))
}

/// The package with what a program is used for, where its own has only a part of that: of Python's and Perl's libraries, and of
/// PostgreSQL's clients the wrapper alone.
fn whole(package: &str) -> Option<String> {
    match package {
        "perl-base" => Some("perl".to_owned()),
        "postgresql-client-common" => Some("postgresql-client".to_owned()),
        _ => {
            let python = package.strip_suffix("-minimal")?;
            python.starts_with("python3").then(|| python.to_owned())
        }
    }
}

fn python(minor: &str, need: &Need, root: &Root) -> Found {
    let installed = root.version("python3").and_then(|version| {
        let mut parts = version.without_epoch().split(['.', '-', '+', '~']);
        Some(format!("{}.{}", parts.next()?, parts.next()?))
    });
    let known = || {
        PYTHONS
            .iter()
            .find(|(suite, _)| *suite == root.suite())
            .map(|(_, minor)| (*minor).to_owned())
    };
    match installed.or_else(known) {
        Some(has) if has != minor => {
            let own = format!("python{minor}");
            if root.version(&own).is_some() {
                return Ok(Some(vec![relation(&own)]));
            }
            Err(LockError::OtherPython {
                by: need.by.clone(),
                minor: minor.to_owned(),
                suite: root.suite().to_owned(),
                has,
            })
        }
        _ => {
            let next = minor.rsplit_once('.').and_then(|(major, minor)| {
                let next = minor.parse::<u32>().ok()?.checked_add(1)?;
                Some(format!("python3 (<< {major}.{next})"))
            });
            let least = format!("python3 (>= {minor}~)");
            Ok(Some(
                [Some(least), next]
                    .into_iter()
                    .flatten()
                    .map(|text| relation(&text))
                    .collect(),
            ))
        }
    }
}

fn node(range: &str, need: &Need, root: &Root, warnings: &mut Vec<String>) -> Option<Vec<Relation>> {
    let Some(least) = node_range::lowest(range) else {
        warnings.push(format!(
            "{:?} asks for Node.js {range:?}, which is no range that relpack understands (hint: write package.depends = [\"nodejs (>= …)\"])",
            need.by
        ));
        return None;
    };
    let has = root.version("nodejs");
    if let (Some(has), Ok(wanted)) = (has, least.parse::<DebVersion>())
        && *has < wanted
    {
        warnings.push(format!(
            "{:?} asks for Node.js {least}, and {} has {has} (hint: its hosts need another repository with a newer nodejs)",
            need.by,
            root.suite()
        ));
    }
    Some(vec![relation(&if least == "0" {
        "nodejs".to_owned()
    } else {
        format!("nodejs (>= {least})")
    })])
}

fn relation(text: &str) -> Relation {
    text.parse()
        .expect("names and versions come from dpkg's records or are numbers")
}
