//! Decides how a release travels in a package: as files that dpkg lists and checks, or as one archive.

use std::fmt;

use super::PlanError;
use crate::config::Payload;
use crate::model::{Compression, TreePath};
use crate::tree::{Node, Tree};

/// dpkg makes each file durable by itself: so many cost it about as long as a restart, many more cost it minutes.
const FILES_MAX: usize = 1000;

/// What dpkg appends to a name while it unpacks the file, or keeps the one before.
const DPKG_SUFFIXES: [&str; 2] = [".dpkg-new", ".dpkg-tmp"];

/// How a release travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As `payload/<id>/…`.
    Files,
    /// As `payload/<id>.tar.…`.
    Archive(Compression),
}

impl Form {
    /// The form that was asked for, or that the tree's size asks for.
    pub(super) fn of(wanted: Payload, compression: Compression, tree: &Tree) -> Result<Self, PlanError> {
        let archive = Form::Archive(compression);
        let clash = || tree.iter().map(|(path, _)| path).find(|path| is_dpkgs(path));
        match wanted {
            Payload::Archive => Ok(archive),
            Payload::Files => match clash() {
                Some(path) => Err(PlanError::NotAsFiles { path: path.clone() }),
                None => Ok(Form::Files),
            },
            Payload::Auto => {
                let files = tree.iter().filter(|(_, node)| !matches!(node, Node::Dir)).count();
                let few = files <= FILES_MAX && clash().is_none();
                Ok(if few { Form::Files } else { archive })
            }
        }
    }
}

/// Whether dpkg would take the name for one of its own.
fn is_dpkgs(path: &TreePath) -> bool {
    DPKG_SUFFIXES.iter().any(|suffix| path.as_str().ends_with(suffix))
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Form::Files => "files",
            Form::Archive(_) => "archive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: usize, name: &str) -> Tree {
        let mut tree = Tree::new();
        for i in 0..files - 1 {
            tree.insert_bytes(format!("d/f{i}").parse().unwrap(), false, *b"")
                .unwrap();
        }
        tree.insert_symlink(name.parse().unwrap(), "d").unwrap();
        tree
    }

    #[test]
    fn few_files_travel_as_files_unless_dpkg_needs_a_name() {
        let archive = Form::Archive(Compression::Xz);
        for (files, name, auto) in [
            (1, "x", Form::Files),
            (1000, "x", Form::Files),
            (1001, "x", archive),
            (2, "d/f.dpkg-new", archive),
            (2, "f.dpkg-tmp", archive),
            (2, "f.dpkg-new-", Form::Files),
        ] {
            let tree = tree(files, name);
            let of = |wanted| Form::of(wanted, Compression::Xz, &tree);
            assert_eq!(of(Payload::Auto).unwrap(), auto, "{files} {name}");
            assert_eq!(of(Payload::Archive).unwrap(), archive);
            match of(Payload::Files) {
                Ok(form) => assert_eq!(
                    (form, name.contains(".dpkg-") && !name.ends_with('-')),
                    (Form::Files, false)
                ),
                Err(error) => assert!(
                    error.to_string().contains(&format!("the name of {name} for itself")),
                    "{error}"
                ),
            }
        }
    }
}
