//! Owns the manifest: the text that lists a whole release, and whose hash is the release's id.

use std::fmt::{self, Write as _};

use rayon::prelude::*;
use sha2::{Digest, Sha256 as Hasher};

use super::{FileNode, Node, ReadError, Tree, links};
use crate::model::{ReleaseId, Sha256, TreePath};

const HEADER: &str = "#relpack-tree 1";

/// A complete manifest, in the one form that this content has.
///
/// The format: the header line, then one entry a line in the byte order of the paths, each ended by LF.
/// `#d<TAB>./dir`, `#l<TAB>./link<TAB>target`, and for a file the line of sha256sum, with `#x<TAB>./file` before it when it is executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    text: String,
}

/// One entry of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path inside the release, without `./`.
    pub path: &'a str,
    /// What is there.
    pub kind: EntryKind<'a>,
}

/// What an entry of a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A directory.
    Dir,
    /// A symlink with its target.
    Symlink(&'a str),
    /// A regular file.
    File {
        /// Mode 0755 instead of 0644.
        executable: bool,
        /// Hash of its content.
        sha256: Sha256,
    },
}

/// Why a text is no manifest, or entries can't become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A line of the text is wrong.
    #[error(
        "line {line} of the manifest {problem} (hint: it is damaged or was edited; take it from the artifact again)"
    )]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// An entry doesn't fit after the one before it.
    #[error("entry {path:?} {problem} (hint: the archive is damaged or wasn't made by relpack)")]
    Entry {
        /// The entry's path.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

impl ManifestError {
    /// The message without its hint.
    pub(crate) fn problem(&self) -> String {
        match self {
            Self::Line { line, problem } => format!("line {line} {problem}"),
            Self::Entry { path, problem } => format!("has an entry {path:?} that {problem}"),
        }
    }
}

impl Manifest {
    /// Reads a manifest strictly: a text that differs in any byte from what would be written is refused.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let error = |line: usize, problem: &str| ManifestError::Line {
            line,
            problem: problem.to_owned(),
        };
        let Some(body) = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')) else {
            let version = text.lines().next().and_then(|line| line.strip_prefix("#relpack-tree "));
            return Err(match version {
                Some(version) if version != "1" => error(
                    1,
                    &format!("says version {version:?}, and this relpack reads version 1"),
                ),
                _ => error(1, &format!("is not {HEADER:?}")),
            });
        };
        if !body.is_empty() && !body.ends_with('\n') {
            return Err(error(text.lines().count(), "has no newline at its end"));
        }
        let mut builder = ManifestBuilder::with_capacity(text.len());
        let mut executable: Option<&str> = None;
        for (index, line) in body.split_terminator('\n').enumerate() {
            let number = index + 2;
            let added = match parse_line(line) {
                Some(Line::Executable(path)) if executable.is_none() => {
                    executable = Some(path);
                    continue;
                }
                Some(Line::File(path, sha256)) => match executable.take() {
                    Some(marked) if marked != path => {
                        return Err(error(
                            number,
                            &format!("is not the file {marked:?} that is marked executable above it"),
                        ));
                    }
                    mark => builder.push(
                        path,
                        EntryKind::File {
                            executable: mark.is_some(),
                            sha256,
                        },
                    ),
                },
                Some(Line::Dir(path)) if executable.is_none() => builder.push(path, EntryKind::Dir),
                Some(Line::Symlink(path, target)) if executable.is_none() => {
                    builder.push(path, EntryKind::Symlink(target))
                }
                Some(_) => return Err(error(number, "stands between a file and its #x mark")),
                None => return Err(error(number, "is no entry")),
            };
            added.map_err(|problem| match problem {
                ManifestError::Entry { path, problem } => error(number, &format!("({path:?}) {problem}")),
                line => line,
            })?;
        }
        match executable {
            Some(path) => Err(error(
                text.lines().count(),
                &format!("marks {path:?}, which doesn't follow"),
            )),
            None => Ok(builder.finish()),
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The release's id: the first 40 hex digits of the text's SHA-256.
    pub fn id(&self) -> ReleaseId {
        ReleaseId::of(&Sha256(Hasher::digest(self.text.as_bytes()).into()))
    }

    /// All entries in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut executable = false;
        self.text.split_terminator('\n').skip(1).filter_map(move |line| {
            let (path, kind) = match parse_line(line)? {
                Line::Executable(_) => {
                    executable = true;
                    return None;
                }
                Line::Dir(path) => (path, EntryKind::Dir),
                Line::Symlink(path, target) => (path, EntryKind::Symlink(target)),
                Line::File(path, sha256) => (
                    path,
                    EntryKind::File {
                        executable: std::mem::take(&mut executable),
                        sha256,
                    },
                ),
            };
            Some(Entry { path, kind })
        })
    }

    /// The manifest of a tree whose files have these hashes, in the tree's order.
    pub(crate) fn of_tree(tree: &Tree, hashes: impl IntoIterator<Item = Sha256>) -> Self {
        let mut hashes = hashes.into_iter();
        let mut builder = ManifestBuilder::with_capacity(HEADER.len() + 1 + text_len(tree));
        for (path, node) in tree.iter() {
            builder.write(
                path.as_str(),
                match node {
                    Node::Dir => EntryKind::Dir,
                    Node::Symlink(target) => EntryKind::Symlink(target),
                    Node::File(file) => EntryKind::File {
                        executable: file.executable,
                        sha256: hashes.next().unwrap_or(Sha256([0; 32])),
                    },
                },
            );
        }
        builder.finish()
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes entries in order and checks that they make a manifest.
#[derive(Debug)]
pub struct ManifestBuilder {
    text: String,
    last: Option<String>,
    /// The directories that the last entry is in, outermost first, as lengths into `last`.
    open: Vec<String>,
}

impl Default for ManifestBuilder {
    fn default() -> Self {
        Self::with_capacity(HEADER.len() + 1)
    }
}

impl ManifestBuilder {
    fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push_str(HEADER);
        text.push('\n');
        Self {
            text,
            last: None,
            open: Vec::new(),
        }
    }

    /// Adds the next entry; its path must be greater than the one before, and its parent must have been added.
    pub fn push(&mut self, path: &str, kind: EntryKind<'_>) -> Result<(), ManifestError> {
        let error = |problem: String| ManifestError::Entry {
            path: path.to_owned(),
            problem,
        };
        path.parse::<TreePath>()
            .map_err(|e| error(format!("has a refused name: {}", e.message())))?;
        if self.last.as_deref().is_some_and(|last| last >= path) {
            return Err(error("is not in order, or there twice".into()));
        }
        let is_below = |dir: &String| {
            path.strip_prefix(dir.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        // `a/b` may come after `a` and `a-b`: directories stay open until a path sorts after all they can hold.
        self.open
            .retain(|dir| is_below(dir) || path.as_bytes() < [dir.as_bytes(), b"/"].concat().as_slice());
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.open.iter().any(|dir| dir == parent)
        {
            return Err(error(format!(
                "is in {parent:?}, which is no directory listed before it"
            )));
        }
        if let EntryKind::Symlink(target) = kind
            && let Some(problem) = links::bad_target(target)
        {
            return Err(error(format!("is a symlink whose target {problem}")));
        }
        if kind == EntryKind::Dir {
            self.open.push(path.to_owned());
        }
        self.last = Some(path.to_owned());
        self.write(path, kind);
        Ok(())
    }

    /// All entries are in.
    pub fn finish(self) -> Manifest {
        Manifest { text: self.text }
    }

    fn write(&mut self, path: &str, kind: EntryKind<'_>) {
        // Writing into a String can't fail.
        let _ = match kind {
            EntryKind::Dir => writeln!(self.text, "#d\t./{path}"),
            EntryKind::Symlink(target) => writeln!(self.text, "#l\t./{path}\t{target}"),
            EntryKind::File {
                executable: true,
                sha256,
            } => writeln!(self.text, "#x\t./{path}\n{sha256}  ./{path}"),
            EntryKind::File {
                executable: false,
                sha256,
            } => writeln!(self.text, "{sha256}  ./{path}"),
        };
    }
}

/// The manifest of a tree, by reading all of its files once, in parallel.
pub fn digest(tree: &Tree) -> Result<Manifest, ReadError> {
    let files: Vec<(&TreePath, &FileNode)> = tree.files().collect();
    let hashes: Vec<Sha256> = files
        .par_iter()
        .map_init(|| vec![0; 128 * 1024], |buffer, (path, file)| hash(file, path, buffer))
        .collect::<Result<_, _>>()?;
    Ok(Manifest::of_tree(tree, hashes))
}

fn hash(file: &FileNode, path: &TreePath, buffer: &mut [u8]) -> Result<Sha256, ReadError> {
    let mut reader = file.open(path)?;
    let mut hasher = Hasher::new();
    loop {
        match reader.read(buffer)? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

enum Line<'a> {
    Dir(&'a str),
    Symlink(&'a str, &'a str),
    Executable(&'a str),
    File(&'a str, Sha256),
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    if let Some(path) = line.strip_prefix("#d\t./") {
        return Some(Line::Dir(path));
    }
    if let Some(path) = line.strip_prefix("#x\t./") {
        return Some(Line::Executable(path));
    }
    if let Some(rest) = line.strip_prefix("#l\t./") {
        let (path, target) = rest.split_once('\t')?;
        return Some(Line::Symlink(path, target));
    }
    let (hash, path) = line.split_once("  ./")?;
    Some(Line::File(path, hash.parse().ok()?))
}

fn text_len(tree: &Tree) -> usize {
    tree.iter()
        .map(|(path, node)| {
            let path = path.as_str().len() + 3;
            match node {
                Node::Dir => path + 3,
                Node::Symlink(target) => path + 4 + target.len(),
                Node::File(file) if file.executable => 2 * path + 3 + 66,
                Node::File(_) => path + 66,
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::new();
        let mut file = |path: &str, executable, bytes: &[u8]| {
            tree.insert_bytes(path.parse().unwrap(), executable, bytes.to_vec())
                .unwrap()
        };
        file("bin/app", true, b"hi\n");
        file("bin-x", false, b"");
        file("bin.d/y", false, b"y");
        file("a b/é ", false, b"z");
        tree.insert_dir("empty".parse().unwrap()).unwrap();
        tree.insert_symlink("link".parse().unwrap(), "bin/app").unwrap();
        tree
    }

    #[test]
    fn the_text_is_exact() {
        let manifest = digest(&sample()).unwrap();
        let e3 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = format!(
            "#relpack-tree 1\n#d\t./a b\n{}  ./a b/é \n#d\t./bin\n{e3}  ./bin-x\n#d\t./bin.d\n{}  ./bin.d/y\n#x\t./bin/app\n{}  ./bin/app\n#d\t./empty\n#l\t./link\tbin/app\n",
            "594e519ae499312b29433b7dd8a97ff068defcba9755b6d5d00e84c524d67b06",
            "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa",
            "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4",
        );
        assert_eq!(manifest.as_str(), expected);
        assert_eq!(
            manifest.text.capacity(),
            manifest.text.len(),
            "the length is known before"
        );
        assert_eq!(
            manifest.id().as_str(),
            &Sha256(Hasher::digest(&expected).into()).to_string()[..40]
        );
        assert_eq!(Manifest::parse(&expected).unwrap(), manifest);
        let executables: Vec<&str> = manifest
            .entries()
            .filter(|e| matches!(e.kind, EntryKind::File { executable: true, .. }))
            .map(|e| e.path)
            .collect();
        assert_eq!(executables, ["bin/app"]);
        assert_eq!(manifest.entries().count(), 9);
    }

    #[test]
    fn parse_is_strict_and_counts_lines() {
        let h = "a".repeat(64);
        for (text, line) in [
            ("", 1),
            ("#relpack-tree 2\n", 1),
            ("#relpack-tree 1", 1),
            ("#relpack-tree 1\r\n", 1),
            ("#relpack-tree 1\n\n", 2),
            ("#relpack-tree 1\n#d\t./a", 2),
            ("#relpack-tree 1\n#d\ta\n", 2),
            ("#relpack-tree 1\n#d\t./a/\n", 2),
            ("#relpack-tree 1\n#d\t./b\n#d\t./a\n", 3),
            ("#relpack-tree 1\n#d\t./a\n#d\t./a\n", 3),
            ("#relpack-tree 1\n#d\t./a/b\n", 2),
            ("#relpack-tree 1\n#l\t./a\tb\n#d\t./a/b\n", 3),
            ("#relpack-tree 1\n#d\t./a\r\n", 2),
            ("#relpack-tree 1\n#l\t./a\n", 2),
            ("#relpack-tree 1\n#l\t./a\t\n", 2),
            ("#relpack-tree 1\n#l\t./a\tb\tc\n", 2),
            ("#relpack-tree 1\n#x\t./a\n", 2),
            ("#relpack-tree 1\n#x\t./a\n#x\t./a\n", 3),
            ("#relpack-tree 1\n#x\t./a\n#d\t./b\n", 3),
            (&format!("#relpack-tree 1\n#x\t./a\n{h}  ./b\n"), 3),
            (&format!("#relpack-tree 1\n{h} *./a\n"), 2),
            (&format!("#relpack-tree 1\n{}  ./a\n", h.to_uppercase()), 2),
            (&format!("#relpack-tree 1\n{h}  ./../a\n"), 2),
            (&format!("#relpack-tree 1\n\\{h}  ./a\n"), 2),
        ] {
            match Manifest::parse(text) {
                Err(ManifestError::Line { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert!(Manifest::parse("#relpack-tree 1\n").unwrap().entries().next().is_none());
    }

    #[test]
    fn a_parent_is_found_behind_names_that_sort_between() {
        let text = "#relpack-tree 1\n#d\t./a\n#d\t./a-b\n#d\t./a-b/c\n#d\t./a/b\n#d\t./a/b/c\n";
        assert!(Manifest::parse(text).is_ok());
        assert!(Manifest::parse("#relpack-tree 1\n#d\t./a\n#d\t./b\n#d\t./b/c/d\n").is_err());
    }
}
