//! Owns the tree of a release: what is read from the disk, the nodes in memory, and the manifest that names them.

mod directory;
mod exclude;
mod found;
mod links;
mod manifest;
mod scan;
pub mod secrets;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{TreePath, ValueError};

pub use links::link_problem;
pub use manifest::{Entry, EntryKind, Manifest, ManifestBuilder, ManifestError, digest};
pub use scan::{ScanError, ScanOptions, Warning, scan};
pub use source::{FileReader, Fingerprint, ReadError, Seekable, Source};

/// What stands at one path of a release.
#[derive(Debug, Clone)]
pub enum Node {
    /// A directory, delivered with mode 0755.
    Dir,
    /// A symlink and its target, as it is written into the link.
    Symlink(String),
    /// A regular file.
    File(FileNode),
}

/// A regular file: its content and whether it may be executed.
#[derive(Debug, Clone)]
pub struct FileNode {
    /// Delivered with mode 0755 instead of 0644.
    pub executable: bool,
    /// Bytes of content.
    pub size: u64,
    /// Whether it begins as an ELF file does.
    pub is_elf: bool,
    /// Where the content comes from.
    pub source: Source,
}

impl FileNode {
    pub(crate) fn begins_as_elf(start: &[u8]) -> bool {
        start.starts_with(b"\x7fELF")
    }

    /// Opens the content; `path` names the file in errors.
    pub fn open<'a>(&'a self, path: &TreePath) -> Result<FileReader<'a>, ReadError> {
        FileReader::open(self, path)
    }

    /// Opens the content for reading here and there; `path` names the file in errors.
    pub fn seekable(&self, path: &TreePath) -> Result<Seekable, ReadError> {
        Seekable::open(self, path)
    }

    /// At most `max` bytes from the start of the content.
    pub fn head(&self, path: &TreePath, max: u64) -> Result<Vec<u8>, ReadError> {
        self.open(path)?.head(max)
    }
}

/// Why an entry can't be put into a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Something else is already there.
    #[error("can't add {path:?} to the release: there is already a {what} (hint: rename one of the two)")]
    Exists {
        /// The path that is taken.
        path: String,
        /// What is there.
        what: &'static str,
    },
    /// A parent of the path is no directory.
    #[error("can't add {path:?} to the release: {parent:?} is a {what}, not a directory (hint: rename one of the two)")]
    ParentNotDir {
        /// The path to be added.
        path: String,
        /// The parent in the way.
        parent: String,
        /// What the parent is.
        what: &'static str,
    },
    /// The target can't be written into a link, a manifest or an archive.
    #[error(
        "can't add the symlink {path:?} to the release: its target {problem} (hint: make the link again with a plain target)"
    )]
    Target {
        /// The link.
        path: String,
        /// What is wrong with its target.
        problem: String,
    },
    /// The path itself is refused.
    #[error(transparent)]
    Path(#[from] ValueError),
}

/// Where a path of a release leads on a host.
#[derive(Debug)]
pub enum Led<'a> {
    /// To this file or directory.
    Here(TreePath, &'a Node),
    /// Out of the release, or to the release itself: only the host knows more.
    Outside,
    /// To nothing.
    Nowhere,
}

/// All entries of a release by path. The parents of every entry are present.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory and its parents; a directory that is already there is fine.
    pub fn insert_dir(&mut self, path: TreePath) -> Result<(), TreeError> {
        match self.nodes.get(&path) {
            Some(Node::Dir) => Ok(()),
            _ => self.insert(path, Node::Dir),
        }
    }

    /// Adds a file with this content, and its parents.
    pub fn insert_bytes(
        &mut self,
        path: TreePath,
        executable: bool,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<(), TreeError> {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let is_elf = FileNode::begins_as_elf(&bytes);
        let source = Source::Bytes(bytes);
        self.insert(
            path,
            Node::File(FileNode {
                executable,
                size,
                is_elf,
                source,
            }),
        )
    }

    /// Adds a symlink, and its parents. Where the target may lead is the caller's business.
    pub fn insert_symlink(&mut self, path: TreePath, target: impl Into<String>) -> Result<(), TreeError> {
        let target = target.into();
        if let Some(problem) = links::bad_target(&target) {
            return Err(TreeError::Target {
                path: path.to_string(),
                problem,
            });
        }
        self.insert(path, Node::Symlink(target))
    }

    /// Adds an entry, and its parents.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        if let Some(old) = self.nodes.get(&path) {
            return Err(TreeError::Exists {
                path: path.to_string(),
                what: old.what(),
            });
        }
        let mut missing = Vec::new();
        let mut parent = path.parent();
        while let Some(dir) = parent {
            match self.nodes.get(&dir) {
                Some(Node::Dir) => break,
                Some(other) => {
                    let what = other.what();
                    return Err(TreeError::ParentNotDir {
                        path: path.to_string(),
                        parent: dir.to_string(),
                        what,
                    });
                }
                None => {
                    parent = dir.parent();
                    missing.push(dir);
                }
            }
        }
        self.nodes.extend(missing.into_iter().map(|dir| (dir, Node::Dir)));
        self.nodes.insert(path, node);
        Ok(())
    }

    /// What stands at a path.
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// What stands at the end of a path, through the release's own links, as the kernel finds it (path_resolution(7)).
    pub fn follow(&self, path: &TreePath) -> Led<'_> {
        let mut at: Vec<&str> = Vec::new();
        let mut todo: Vec<&str> = path.as_str().rsplit('/').collect();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part {
                "" | "." => continue,
                ".." => match at.pop() {
                    Some(_) => continue,
                    None => return Led::Outside,
                },
                _ => at.push(part),
            }
            let here = at.join("/").parse::<TreePath>().ok();
            match here.and_then(|here| self.nodes.get(&here)) {
                None => return Led::Nowhere,
                Some(Node::Dir) => {}
                Some(Node::File(_)) if todo.is_empty() => {}
                Some(Node::File(_)) => return Led::Nowhere,
                Some(Node::Symlink(target)) => {
                    hops += 1;
                    if target.starts_with('/') {
                        return Led::Outside;
                    }
                    if hops > links::MAX_HOPS {
                        return Led::Nowhere;
                    }
                    at.pop();
                    todo.extend(target.rsplit('/'));
                }
            }
        }
        let end = at.join("/").parse::<TreePath>().ok();
        match end.and_then(|end| self.nodes.get_key_value(&end)) {
            Some((path, node)) => Led::Here(path.clone(), node),
            None => Led::Outside,
        }
    }

    /// All entries in the byte order of their paths: parents come before what they hold.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// All regular files in the byte order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&TreePath, &FileNode)> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path, file)),
            _ => None,
        })
    }

    /// Number of entries, directories included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Bytes of all files together.
    pub fn file_bytes(&self) -> u64 {
        self.files().map(|(_, file)| file.size).sum()
    }

    /// Disk space of the unpacked tree in KiB, counted as `dpkg-gencontrol` does for
    /// `Installed-Size` (Policy 5.6.20, deb-substvars(5)): content rounded up to whole KiB, 1 KiB for everything else.
    pub fn installed_kib(&self) -> u64 {
        self.nodes.values().map(Node::installed_kib).sum()
    }

    pub(crate) fn from_sorted(nodes: Vec<(TreePath, Node)>) -> Self {
        Self {
            nodes: nodes.into_iter().collect(),
        }
    }
}

impl Node {
    fn what(&self) -> &'static str {
        match self {
            Node::Dir => "directory",
            Node::Symlink(_) => "symlink",
            Node::File(_) => "file",
        }
    }

    fn installed_kib(&self) -> u64 {
        match self {
            Node::File(file) => file.size.div_ceil(1024),
            Node::Dir | Node::Symlink(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn parents_appear_and_conflicts_are_refused() {
        let mut tree = Tree::new();
        tree.insert_bytes(path("a/b/c"), true, *b"x").unwrap();
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
        tree.insert_dir(path("a/b")).unwrap();
        assert!(tree.insert_dir(path("a/b/c")).is_err());
        assert!(tree.insert_symlink(path("a"), "b").is_err());
        assert!(tree.insert_bytes(path("a/b/c/d"), false, *b"").is_err());
        assert!(tree.insert_symlink(path("l"), "a\tb").is_err());
        assert_eq!(tree.len(), 3, "a refused entry leaves no parents behind");
        assert_eq!((tree.file_bytes(), tree.installed_kib()), (1, 3));
    }

    #[test]
    fn head_reads_the_start() {
        let mut tree = Tree::new();
        tree.insert_bytes(path("f"), false, *b"0123456789").unwrap();
        let Some(Node::File(file)) = tree.get(&path("f")) else {
            panic!()
        };
        assert_eq!(file.head(&path("f"), 4).unwrap(), b"0123");
        assert_eq!(file.head(&path("f"), 40).unwrap(), b"0123456789");
    }
}
