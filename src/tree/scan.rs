//! Owns reading the source directory: what goes into the release, and what is refused with its path and a hint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rustix::fs::FileType;

use super::directory::{Opened, check_xattrs, modes_are_right, special};
use super::exclude::{Excludes, is_artifact};
use super::found::{Found, capped};
use super::links::{self, Checker};
use super::secrets::{self, Allowed, Kind};
use super::source::open_file;
use super::{FileNode, FileReader, Fingerprint, Node, ReadError, Source, Tree};
use crate::model::{AbsPath, PackageName, TreePath};

/// What to scan for.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions<'a> {
    /// The package that is built: its own artifacts are no part of a release.
    pub package: &'a PackageName,
    /// Globs relative to the source, see the `exclude` key.
    pub exclude: &'a [String],
    /// Paths of the release that become links to what is below `<prefix>/shared/`.
    pub shared_links: &'a BTreeMap<TreePath, String>,
    /// Where the package lives on the host.
    pub prefix: &'a AbsPath,
    /// Paths that may hold a secret, and why.
    pub allowed_secrets: &'a BTreeMap<TreePath, String>,
}

/// Why the source can't be packed. Paths are relative to the source directory.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The source itself can't be read.
    #[error(
        "release.source: can't read the source directory {path:?} (hint: run the build first, or correct the path)"
    )]
    Root {
        /// The configured directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An exclude pattern is wrong; the problem carries its hint.
    #[error("release.exclude: {pattern:?} {problem}")]
    Exclude {
        /// As written.
        pattern: String,
        /// What is wrong, with a hint.
        problem: String,
    },
    /// The system says no.
    #[error("can't {action} \"{path}\" (hint: check the permissions, or exclude it)")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The entry.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An entry is refused.
    #[error("\"{path}\" {problem} (hint: {hint})")]
    Refused {
        /// The entry; bytes that can't be shown are escaped.
        path: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A path can't be the link into `shared/` that it is to be.
    #[error("shared.links: {path} {problem} (hint: {hint})")]
    Link {
        /// As the configuration names it.
        path: TreePath,
        /// What is in the way.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file changed or vanished.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More errors than are worth showing.
    #[error("{count} more entries are refused (hint: correct or exclude those above first)")]
    More {
        /// How many are left out.
        count: usize,
    },
}

/// What is packed but deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Two names that are one on a file system that ignores case.
    CaseCollision(String, String),
    /// An exclude pattern that matched nothing.
    UnusedExclude(String),
    /// A path that is allowed to be a secret and is none.
    UnusedAllow(String),
    /// What an earlier build has written.
    OwnArtifact(String),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::CaseCollision(a, b) => write!(f, "{a:?} and {b:?} differ only in case"),
            Warning::UnusedExclude(pattern) => write!(
                f,
                "release.exclude: {pattern:?} matches nothing (hint: correct or remove it)"
            ),
            Warning::OwnArtifact(path) => write!(
                f,
                "{path:?} is left out: an earlier build has written it (hint: exclude it, or let --out be elsewhere)"
            ),
            Warning::UnusedAllow(path) => write!(f, "secrets.allow: no secret is at {path:?} (hint: remove the entry)"),
        }
    }
}

/// Reads the source directory into a tree. All errors are found at once (up to 50 are given), in the order of their paths.
pub fn scan(root: &Path, options: &ScanOptions<'_>) -> Result<(Tree, Vec<Warning>), Vec<ScanError>> {
    let root_error = |source| {
        vec![ScanError::Root {
            path: root.to_owned(),
            source,
        }]
    };
    let real_root = fs::canonicalize(root).map_err(root_error)?;
    fs::read_dir(&real_root).map_err(root_error)?;
    let excludes = Excludes::new(options.exclude).map_err(|wrong| {
        wrong
            .into_iter()
            .map(|(pattern, problem)| ScanError::Exclude { pattern, problem })
            .collect::<Vec<_>>()
    })?;

    let context = Context {
        root: real_root.as_path().into(),
        package: options.package,
        excludes: &excludes,
        allowed: Allowed::new(options.allowed_secrets),
    };
    let mut found = Found::default();
    let mut level: Vec<Option<TreePath>> = vec![None];
    while !level.is_empty() {
        let listed: Vec<Found> = level.par_iter().map(|dir| context.list(dir.as_ref())).collect();
        level.clear();
        for mut part in listed {
            level.extend(part.subdirs.drain(..).map(Some));
            found.nodes.append(&mut part.nodes);
            found.errors.append(&mut part.errors);
            found.warnings.append(&mut part.warnings);
            found.made.append(&mut part.made);
        }
    }
    // Else the second build would pack another tree than the first.
    found.nodes.retain(|(path, _)| !found.made.contains(path));
    found.nodes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut tree = Tree::from_sorted(found.nodes);
    add_shared_links(&mut tree, options, &mut found.errors);
    check_links(&tree, &real_root, options, &mut found.errors);

    if found.errors.is_empty() {
        let mut warnings: Vec<(String, Warning)> = found.warnings;
        warnings.sort_by(|a, b| a.0.cmp(&b.0));
        let unused = excludes
            .unused()
            .map(|pattern| Warning::UnusedExclude(pattern.to_owned()));
        // What relpack itself puts there is looked at when it is known.
        let allowed = context
            .allowed
            .unused()
            .filter(|path| !path.as_str().starts_with(".relpack/"));
        let allowed = allowed.map(|path| Warning::UnusedAllow(path.to_string()));
        Ok((
            tree,
            warnings
                .into_iter()
                .map(|(_, warning)| warning)
                .chain(unused)
                .chain(allowed)
                .collect(),
        ))
    } else {
        Err(capped(found.errors))
    }
}

struct Context<'a> {
    root: Arc<Path>,
    package: &'a PackageName,
    excludes: &'a Excludes,
    allowed: Allowed<'a>,
}

impl Context<'_> {
    /// Everything in one directory; `None` is the source itself.
    fn list(&self, dir: Option<&TreePath>) -> Found {
        let mut found = Found::default();
        let shown = dir.map_or(".", TreePath::as_str);
        let (opened, mut entries) = match Opened::new(&self.root, dir) {
            Ok(both) => both,
            Err(error) => {
                found.fail("list the directory", shown, error);
                return found;
            }
        };
        if let Some(dir) = dir {
            check_xattrs(dir.as_str(), &opened.fd, &mut found);
        }
        let mut names: Vec<(OsString, FileType)> = Vec::new();
        for entry in &mut entries {
            match entry {
                Ok(entry) => match entry.file_name().to_bytes() {
                    b"." | b".." => {}
                    name => names.push((OsStr::from_bytes(name).to_owned(), entry.file_type())),
                },
                Err(error) => found.fail("list the directory", shown, error.into()),
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let has_artifacts = names
            .iter()
            .any(|(name, _)| name.to_str().is_some_and(|name| is_artifact(name, self.package)));
        let mut by_case: HashMap<String, TreePath> = HashMap::new();
        for (name, kind) in names {
            if let Some(path) = self.entry(dir, &opened, &name, kind, &mut found) {
                let lower = path.file_name().to_lowercase();
                if let Some(other) = by_case.get(&lower) {
                    let warning = Warning::CaseCollision(other.to_string(), path.to_string());
                    found.warnings.push((path.to_string(), warning));
                } else {
                    by_case.insert(lower, path);
                }
            }
        }
        if has_artifacts && found.nodes.is_empty() {
            found.made.extend(dir.cloned());
        }
        found
    }

    /// Looks at one entry; gives its path if it is packed.
    fn entry(
        &self,
        dir: Option<&TreePath>,
        parent: &Opened,
        name: &OsStr,
        listed: FileType,
        found: &mut Found,
    ) -> Option<TreePath> {
        let mut raw = dir.map_or_else(Vec::new, |dir| format!("{dir}/").into_bytes());
        raw.extend_from_slice(name.as_bytes());
        // Some file systems list names alone.
        let kind = match listed {
            FileType::Unknown => FileType::from_raw_mode(parent.mode(name, &escape(&raw), found)?),
            known => known,
        };
        let is_dir = kind == FileType::Directory;
        if self.excludes.matches(OsStr::from_bytes(&raw), is_dir) {
            return None;
        }
        let Ok(text) = std::str::from_utf8(&raw) else {
            found.refuse(&escape(&raw), "has a name that isn't UTF-8", "rename it, or exclude it");
            return None;
        };
        let path = match text.parse::<TreePath>() {
            Ok(path) => path,
            Err(error) => {
                let message = error.message();
                let problem = message.strip_prefix(&format!("path {text:?} ")).unwrap_or(&message);
                found.refuse(&escape(&raw), problem, error.hint());
                return None;
            }
        };
        if text == ".relpack" {
            found.refuse(
                text,
                "is reserved at the top of a release",
                "rename it, or exclude it: relpack keeps the release's units and settings there",
            );
            return None;
        }
        if kind == FileType::RegularFile && is_artifact(path.file_name(), self.package) {
            let warning = Warning::OwnArtifact(path.to_string());
            found.warnings.push((path.to_string(), warning));
            return None;
        }
        let node = match kind {
            FileType::Directory => self.dir(&path, parent, name, found),
            FileType::Symlink => symlink(&path, parent, name, found),
            FileType::RegularFile => self.file(&path, parent, name, found),
            other => {
                found.refuse(
                    text,
                    format!("is a {}", special(other)),
                    "remove it, or exclude it: only files, directories and symlinks can be packed",
                );
                None
            }
        }?;
        if is_dir {
            found.subdirs.push(path.clone());
        }
        found.nodes.push((path.clone(), node));
        Some(path)
    }

    fn dir(&self, path: &TreePath, parent: &Opened, name: &OsStr, found: &mut Found) -> Option<Node> {
        let mode = parent.mode(name, path.as_str(), found)? & 0o7777;
        if mode & 0o500 != 0o500 {
            let problem = format!("is a directory that its owner can't read (mode {mode:04o})");
            found.refuse(path.as_str(), problem, "chmod u+rx, or exclude it");
            return None;
        }
        if let Some(kind) = secrets::of_dir(path) {
            self.secret(path, kind, found)?;
        }
        Some(Node::Dir)
    }

    /// Opens a file once: what it is, and how it begins.
    fn file(&self, path: &TreePath, parent: &Opened, name: &OsStr, found: &mut Found) -> Option<Node> {
        let asked = open_file(&parent.fd, name).and_then(|file| Ok((file.metadata()?, file)));
        let (meta, opened) = match asked {
            Ok(both) => both,
            Err(error) => {
                let mode = parent.mode(name, path.as_str(), found)?;
                if modes_are_right(path, mode, found) {
                    found.fail("read", path.as_str(), error);
                }
                return None;
            }
        };
        let before = found.errors.len();
        modes_are_right(path, meta.mode(), found);
        check_xattrs(path.as_str(), &opened, found);
        if !meta.is_file() {
            let path = path.to_string();
            found.errors.push((path.clone(), ReadError::Changed { path }.into()));
        }
        if found.errors.len() > before {
            return None;
        }
        let fingerprint = Fingerprint::of(&meta);
        let mut file = FileNode {
            executable: meta.mode() & 0o111 != 0,
            size: meta.len(),
            is_elf: false,
            source: Source::Disk {
                root: Arc::clone(&self.root),
                fingerprint,
            },
        };
        let reader = FileReader::of_file(path, opened, parent.path.join(name), file.size, fingerprint);
        match reader.head(secrets::wanted(path)) {
            Ok(start) => {
                file.is_elf = FileNode::begins_as_elf(&start);
                if let Some(kind) = secrets::of_file(path, &start) {
                    self.secret(path, kind, found)?;
                }
            }
            Err(error) => {
                found.errors.push((path.to_string(), error.into()));
                return None;
            }
        }
        Some(Node::File(file))
    }

    /// Refuses a secret, unless the configuration says why it may be packed.
    fn secret(&self, path: &TreePath, kind: &Kind, found: &mut Found) -> Option<()> {
        if self.allowed.covers(path) {
            return Some(());
        }
        let (problem, hint) = secrets::refusal(path, kind);
        found.refuse(path.as_str(), problem, hint);
        None
    }
}

fn symlink(path: &TreePath, parent: &Opened, name: &OsStr, found: &mut Found) -> Option<Node> {
    let target = match fs::read_link(parent.path.join(name)) {
        Ok(target) => target,
        Err(error) => {
            found.fail("read the symlink", path.as_str(), error);
            return None;
        }
    };
    let problem = match target.to_str() {
        None => Some("isn't UTF-8".to_owned()),
        Some(text) => links::bad_target(text),
    };
    if let Some(problem) = problem {
        found.refuse(
            path.as_str(),
            format!("is a symlink whose target {problem}"),
            "make the link again with a plain target, or exclude it",
        );
        return None;
    }
    target.into_os_string().into_string().ok().map(Node::Symlink)
}

fn add_shared_links(tree: &mut Tree, options: &ScanOptions<'_>, errors: &mut Vec<(String, ScanError)>) {
    let mut refuse = |path: &TreePath, problem: String, hint: &'static str| {
        let at = path.clone();
        errors.push((
            path.to_string(),
            ScanError::Link {
                path: at,
                problem,
                hint,
            },
        ));
    };
    for (path, below) in options.shared_links {
        let target = format!("{}/shared/{below}", options.prefix);
        match tree.get(path) {
            Some(Node::Dir) => {
                let held = tree
                    .nodes
                    .keys()
                    .find(|other| *other != path && other.starts_with(path));
                if let Some(held) = held {
                    let problem = format!(
                        "is to be a link into shared/, but the source has {:?} in it",
                        held.as_str()
                    );
                    refuse(
                        path,
                        problem,
                        "a release must not hide it: move the content to the host's shared directory, or exclude it",
                    );
                    continue;
                }
                tree.nodes.remove(path);
            }
            Some(other) => {
                let problem = format!(
                    "is to be a link into shared/, but the source has a {} there",
                    other.what()
                );
                refuse(path, problem, "exclude it, or take it out of the links");
                continue;
            }
            None => {}
        }
        if let Err(error) = tree.insert_symlink(path.clone(), target) {
            let text = error.to_string();
            let problem = text.split(" (hint:").next().unwrap_or(&text);
            refuse(
                path,
                format!("can't become a link into shared/: {problem}"),
                "correct the links",
            );
        }
    }
}

fn check_links(tree: &Tree, root: &Path, options: &ScanOptions<'_>, errors: &mut Vec<(String, ScanError)>) {
    // A refused entry would make links to it dangle as well: one mistake, one message.
    let refused: BTreeSet<String> = errors.iter().map(|(path, _)| path.clone()).collect();
    let is_refused =
        |at: &str| at.match_indices('/').any(|(end, _)| refused.contains(&at[..end])) || refused.contains(at);
    let root = root.to_string_lossy();
    let checker = Checker {
        tree,
        shared: options.shared_links,
        prefix: options.prefix,
        root: &root,
    };
    for (path, node) in tree.iter() {
        let Node::Symlink(target) = node else { continue };
        if options.shared_links.contains_key(path) {
            continue;
        }
        if let Err(refusal) = checker.check(path, target) {
            if refusal.dangling.as_deref().is_some_and(is_refused) {
                continue;
            }
            let problem = format!("is a symlink to {target:?}, which {}", refusal.problem);
            errors.push((
                path.to_string(),
                ScanError::Refused {
                    path: path.to_string(),
                    problem,
                    hint: refusal.hint,
                },
            ));
        }
    }
}

fn escape(raw: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '"' => shown.extend(['\\', c]),
                c if c.is_control() => shown.extend(c.escape_default()),
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}
