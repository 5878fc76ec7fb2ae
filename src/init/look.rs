//! Owns looking at a directory: which runtime it is, and the reading of its files within limits.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Runtime, Seen, node, others, python};

/// Why a directory tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It isn't there.
    #[error("can't read the directory {path:?} (hint: check its name)")]
    Dir {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Nothing in it says what it is.
    #[error(
        "nothing in {path:?} tells what the application is written in (hint: say --runtime, or start where package.json, pyproject.toml, go.mod, Cargo.toml, pom.xml or index.html lies)"
    )]
    Unknown {
        /// The directory.
        path: PathBuf,
    },
    /// It isn't an application of this runtime.
    #[error("{path:?} holds nothing that {runtime} could start (hint: {hint})")]
    Nothing {
        /// The directory.
        path: PathBuf,
        /// The runtime's word.
        runtime: &'static str,
        /// What is missing.
        hint: &'static str,
    },
}

/// Looks at a directory; `chosen` is what somebody said that it is.
pub fn look(dir: &Path, chosen: Option<Runtime>) -> Result<Seen, LookError> {
    let dir = Dir::open(dir)?;
    let is: Vec<Runtime> = Runtime::ALL
        .iter()
        .copied()
        .filter(|runtime| dir.is(*runtime))
        .collect();
    let runtime = chosen
        .or_else(|| is.first().copied())
        .or_else(|| dir.program())
        .ok_or_else(|| LookError::Unknown { path: dir.path.clone() })?;
    let mut seen = match runtime {
        Runtime::Node => node::look(&dir),
        Runtime::Python => python::look(&dir),
        Runtime::Go => others::go(&dir),
        Runtime::Rust => others::rust(&dir),
        Runtime::Java => others::java(&dir),
        Runtime::Static => others::site(&dir),
    }
    .map_err(|hint| LookError::Nothing {
        path: dir.path.clone(),
        runtime: runtime.word(),
        hint,
    })?;
    if chosen.is_none() {
        seen.also = is.into_iter().filter(|other| *other != runtime).collect();
    }
    Ok(seen)
}

/// More than this is not written by hand.
const SIZE_MAX: u64 = 1024 * 1024;

/// The directory of an application.
pub(super) struct Dir {
    path: PathBuf,
}

impl Dir {
    pub(super) fn open(path: &Path) -> Result<Self, LookError> {
        match fs::read_dir(path) {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(source) => Err(LookError::Dir {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn is(&self, runtime: Runtime) -> bool {
        let any = |names: &[&str]| names.iter().any(|name| self.has_file(name));
        match runtime {
            Runtime::Node => self.has_file("package.json") && node::look(self).is_ok(),
            Runtime::Python => {
                any(&[
                    "pyproject.toml",
                    "requirements.txt",
                    "setup.py",
                    "setup.cfg",
                    "manage.py",
                    "Pipfile",
                ]) || python::environment(self).is_some()
            }
            Runtime::Go => any(&["go.mod"]),
            Runtime::Rust => any(&["Cargo.toml"]),
            Runtime::Java => {
                any(&["pom.xml", "build.gradle", "build.gradle.kts"])
                    || self.names(".").iter().any(|n| n.ends_with(".jar"))
            }
            Runtime::Static => others::site(self).is_ok(),
        }
    }

    /// Without anything of a project, a program by itself tells.
    fn program(&self) -> Option<Runtime> {
        if python::look(self).is_ok() {
            Some(Runtime::Python)
        } else if node::look(self).is_ok() {
            Some(Runtime::Node)
        } else {
            others::go(self).ok().map(|_| Runtime::Go)
        }
    }

    pub(super) fn has_file(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    pub(super) fn has_dir(&self, name: &str) -> bool {
        self.path.join(name).is_dir()
    }

    /// The text of a file, where there is one of a reasonable size.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        if !self.has_file(name) {
            return None;
        }
        let mut text = String::new();
        let file = fs::File::open(self.path.join(name)).ok()?;
        file.take(SIZE_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }

    pub(super) fn toml(&self, name: &str) -> Option<toml::Table> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn json(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_str(&self.text(name)?).ok()
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, below: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path.join(below)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether a file is a program for Linux that may be executed.
    pub(super) fn is_program(&self, name: &str) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path.join(name);
        let executable = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
        let mut head = [0; 4];
        executable
            && fs::File::open(&path)
                .and_then(|mut file| file.read_exact(&mut head))
                .is_ok()
            && head == *b"\x7fELF"
    }
}
