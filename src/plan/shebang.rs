//! Owns the first lines of scripts: which interpreter they name, and whether it is one that moves with the release.

use crate::model::TreePath;
use crate::tree::{FileNode, ReadError, Tree};

/// Longest first line of a script that is looked at.
const LENGTH_MAX: u64 = 512;

/// Where interpreters of the system lie: what is called the same in the release's own `bin/` is another one.
const SYSTEM: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// The program that interprets a script; `None` where the file is none.
pub(super) fn interpreter(path: &TreePath, file: &FileNode) -> Result<Option<String>, ReadError> {
    Ok(program_of(&file.head(path, LENGTH_MAX)?))
}

/// The file of the release that `program` was where the script was made: a virtual environment's scripts name the Python beside
/// them by the place where both of them were built, and no host has that.
pub(super) fn moved(tree: &Tree, script: &TreePath, program: &str) -> Option<TreePath> {
    let (place, name) = program.rsplit_once('/')?;
    let beside = script.parent()?.join(name).ok()?;
    let was_there = program.ends_with(&format!("/{beside}")) && !SYSTEM.contains(&place);
    (was_there && tree.get(&beside).is_some()).then_some(beside)
}

/// The program that a script's first line names; of `/usr/bin/env` the word behind it.
fn program_of(start: &[u8]) -> Option<String> {
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let mut words = line.split_ascii_whitespace();
    let program = words.next()?;
    if matches!(program, "/usr/bin/env" | "/bin/env") {
        let word = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        return Some(if word.contains('/') {
            word.to_owned()
        } else {
            format!("/usr/bin/{word}")
        });
    }
    program.starts_with('/').then(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_scripts() {
        for (line, program) in [
            ("#!/bin/sh\n", Some("/bin/sh")),
            ("#! /usr/bin/python3 -E\nx", Some("/usr/bin/python3")),
            ("#!/usr/bin/env node\n", Some("/usr/bin/node")),
            ("#!/usr/bin/env -S LC_ALL=C ruby -w\n", Some("/usr/bin/ruby")),
            ("#!/usr/bin/env\n", None),
            ("#!bin/tool\n", None),
            ("#!\n", None),
            ("text", None),
            ("#!/opt/é\n", Some("/opt/é")),
        ] {
            assert_eq!(program_of(line.as_bytes()).as_deref(), program, "{line:?}");
        }
        assert_eq!(program_of(b"#!/\xff\n"), None);
    }
}
