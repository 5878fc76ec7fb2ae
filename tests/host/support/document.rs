//! Documents whose commands are run: `sh build` on a machine that builds, `sh host` on a host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::machine::Machine;

/// The sections of a page, each with its heading; what stands before the first is none.
pub fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let bodies = text.split("\n## ").skip(1);
    bodies.map(|section| section.split_once('\n').unwrap_or((section, "")))
}

/// The fenced blocks of `text`, each with the words after its fence, such as `sh host`.
pub fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => open = Some((words.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The packages that a document's commands have built, and who has which of them.
pub struct Packages {
    /// Below it lie the `dist` directories.
    work: PathBuf,
    copied: BTreeSet<PathBuf>,
}

impl Packages {
    pub fn below(work: &Path) -> Packages {
        Packages {
            work: work.to_owned(),
            copied: BTreeSet::new(),
        }
    }

    /// Copies those that are new into the host's `/root`, where a person would have put them.
    #[track_caller]
    pub fn copy_to(&mut self, host: &Machine) {
        for deb in built(&self.work) {
            if self.copied.insert(deb.clone()) {
                let name = deb.file_name().unwrap_or_default().to_string_lossy();
                host.put(&format!("/root/{name}"), fs::read(&deb).expect("it was built"));
            }
        }
    }

    /// Those that a host has.
    pub fn copied(&self) -> Vec<PathBuf> {
        self.copied.iter().cloned().collect()
    }
}

/// The packages in all `dist` directories below `dir`, at most four levels deep; a release's own tree is deeper.
fn built(dir: &Path) -> Vec<PathBuf> {
    fn look(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|suffix| suffix == "deb") && dir.ends_with("dist") {
                found.push(path);
            } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                look(&path, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    look(dir, 4, &mut found);
    found.sort();
    found
}
