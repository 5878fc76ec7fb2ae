//! Owns looking at a directory: which runtime it is, and the reading of its files within limits.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Runtime, Seen, go, java, node, python, rust, site, venv};

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
    /// A file of the project can't be read.
    #[error("can't read {path:?} (hint: it has to be text in UTF-8 that you may read)")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the project is not what its name says.
    #[error(
        "{path:?}, line {line}, column {column}: {reason} (hint: correct it and run init again, or say another --runtime)"
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's reason.
        reason: String,
    },
    /// A project doesn't say what to start.
    #[error("{path:?} does not tell what to start: {problem} (hint: {hint})")]
    Silent {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: String,
        /// What to write or to do.
        hint: String,
    },
    /// Only the sources of a project are there.
    #[error("{path:?} tells of a build that is not there yet: {problem} (hint: {hint})")]
    Unbuilt {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        problem: String,
        /// How to build it.
        hint: String,
    },
    /// A virtual environment is another Python's than the hosts'.
    #[error("{path:?}: the Python in {home}, which no host has, made this virtual environment (hint: {hint})")]
    Foreign {
        /// The environment's file.
        path: PathBuf,
        /// Where that Python lies.
        home: String,
        /// How to make another.
        hint: String,
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
    if let Some(runtime) = chosen {
        return dir.look(runtime);
    }
    let mut is = Vec::new();
    for runtime in Runtime::ALL {
        if dir.is(*runtime)? {
            is.push(*runtime);
        }
    }
    let unsaid = || dir.has_file("package.json").then_some(Runtime::Node);
    let runtime = is
        .first()
        .copied()
        .or_else(|| dir.program())
        .or_else(unsaid)
        .ok_or_else(|| LookError::Unknown { path: dir.path.clone() })?;
    let mut seen = dir.look(runtime)?;
    seen.also = is.into_iter().filter(|other| *other != runtime).collect();
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

    fn look(&self, runtime: Runtime) -> Result<Seen, LookError> {
        match runtime {
            Runtime::Node => node::look(self),
            Runtime::Python => python::look(self),
            Runtime::Go => go::look(self),
            Runtime::Rust => rust::look(self),
            Runtime::Java => java::look(self),
            Runtime::Static => site::look(self),
        }
    }

    pub(super) fn nothing(&self, runtime: Runtime, hint: &'static str) -> LookError {
        LookError::Nothing {
            path: self.path.clone(),
            runtime: runtime.word(),
            hint,
        }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn silent(&self, name: &str, problem: impl Into<String>, hint: impl Into<String>) -> LookError {
        LookError::Silent {
            path: self.at(name),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    fn is(&self, runtime: Runtime) -> Result<bool, LookError> {
        let any = |names: &[&str]| names.iter().any(|name| self.has_file(name));
        Ok(match runtime {
            // Other projects have one for their tools.
            Runtime::Node if self.has_file("package.json") => match node::look(self) {
                Ok(_) => true,
                Err(LookError::Silent { .. } | LookError::Unbuilt { .. }) => false,
                Err(error) => return Err(error),
            },
            Runtime::Node => false,
            Runtime::Python => {
                any(&[
                    "pyproject.toml",
                    "requirements.txt",
                    "setup.py",
                    "setup.cfg",
                    "manage.py",
                    "Pipfile",
                ]) || venv::Environment::of(self).is_some()
            }
            Runtime::Go => any(&["go.mod"]),
            Runtime::Rust => any(&["Cargo.toml"]),
            Runtime::Java => {
                any(&["pom.xml", "build.gradle", "build.gradle.kts"])
                    || self.names(".").iter().any(|n| n.ends_with(".jar"))
            }
            Runtime::Static => site::look(self).is_ok(),
        })
    }

    /// Without anything of a project, a program by itself tells.
    fn program(&self) -> Option<Runtime> {
        if python::look(self).is_ok() {
            Some(Runtime::Python)
        } else if node::look(self).is_ok() {
            Some(Runtime::Node)
        } else {
            go::look(self).ok().map(|_| Runtime::Go)
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
        self.read(name).ok()?
    }

    /// The same; one that is no text is an error.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, LookError> {
        if !self.has_file(name) {
            return Ok(None);
        }
        let path = self.path.join(name);
        let mut text = String::new();
        let read = fs::File::open(&path).and_then(|file| file.take(SIZE_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(Some(text)),
            Err(source) => Err(LookError::File { path, source }),
        }
    }

    pub(super) fn syntax(&self, name: &str, line: usize, column: usize, reason: &str) -> LookError {
        LookError::Syntax {
            path: self.at(name),
            line,
            column,
            reason: reason.replace('\n', ", "),
        }
    }

    pub(super) fn toml(&self, name: &str) -> Result<Option<toml::Table>, LookError> {
        let Some(text) = self.read(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            let column = line.chars().count() + 1;
            self.syntax(name, before.matches('\n').count() + 1, column, error.message())
        })
    }

    pub(super) fn json(&self, name: &str) -> Result<Option<serde_json::Value>, LookError> {
        let Some(text) = self.read(name)? else {
            return Ok(None);
        };
        // npm takes a byte order mark too.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        serde_json::from_str(text).map(Some).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let reason = error.to_string();
            let place = format!(" at line {line} column {column}");
            self.syntax(name, line, column, reason.strip_suffix(&place).unwrap_or(&reason))
        })
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

    /// The names on the way from the root directory to this one, without links.
    pub(super) fn way_here(&self) -> Vec<String> {
        let real = fs::canonicalize(&self.path).unwrap_or_default();
        let names = real.components().skip(1);
        names
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect()
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
