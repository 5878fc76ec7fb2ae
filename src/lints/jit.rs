//! `write-execute-jit`: a runtime that compiles while it runs needs memory that it writes and executes.

use crate::model::TreePath;
use crate::systemd::directives::is_yes;
use crate::systemd::{UnitError, UnitFile, exec};
use crate::tree::{Node, Tree};

use super::{Input, assignments};

/// Programs that compile while they run; a version may follow (`java-21`, `php8.2`, `node18`).
const COMPILERS: &[&str] = &[
    "node", "nodejs", "deno", "bun", "java", "dotnet", "pypy", "luajit", "php", "php-fpm", "julia", "mono", "erl",
    "beam.smp", "chromium",
];

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        let Some((index, entry)) = assignments(file, "Service", &["MemoryDenyWriteExecute"]).last() else {
            continue;
        };
        let executed = input.unit_of(&origin).map_or(file, |unit| &unit.file);
        if let Some(runtime) = compiler(executed, input).filter(|_| is_yes(&entry.value)) {
            found.push(
                UnitError::of(
                    &origin,
                    format!("MemoryDenyWriteExecute= keeps {runtime} from compiling while it runs: it ends at its start, or later"),
                    "remove it, or set it to false where the defaults bring it",
                )
                .at_entry("Service", entry, index),
            );
        }
    }
    found
}

/// The runtime that a service starts, if it is one that compiles.
fn compiler(file: &UnitFile, input: &Input<'_>) -> Option<String> {
    let prefix = &input.config.release.prefix;
    let commands = exec::commands(file.section("Service")?);
    commands.into_iter().find_map(|(_, _, command)| {
        let (program, _) = command.started()?;
        match (exec::in_release(program, prefix), input.tree) {
            (Some(path), Some(tree)) => of_release(path, tree),
            _ => known(program),
        }
    })
}

/// A link to a runtime, a script with it in its first line, or the runtime itself.
fn of_release(path: &str, tree: &Tree) -> Option<String> {
    let place: TreePath = path.parse().ok()?;
    match tree.get(&place)? {
        Node::Symlink(target) => known(target),
        Node::File(file) => {
            let head = file.head(&place, 256).ok()?;
            let line = head
                .strip_prefix(b"#!")
                .and_then(|rest| rest.split(|b| *b == b'\n').next());
            match line {
                Some(line) => String::from_utf8_lossy(line).split_whitespace().find_map(known),
                None => known(path),
            }
        }
        Node::Dir => None,
    }
}

fn known(program: &str) -> Option<String> {
    let name = program.rsplit('/').next()?;
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    COMPILERS.contains(&stem).then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_by_the_name_of_their_program() {
        for (program, expected) in [
            ("/usr/bin/node", Some("node")),
            ("/usr/lib/jvm/java-17/bin/java", Some("java")),
            ("/usr/sbin/php-fpm8.2", Some("php-fpm")),
            ("pypy3", Some("pypy")),
            ("/usr/bin/python3", None),
            ("/usr/bin/nodemon-x", None),
        ] {
            assert_eq!(known(program).as_deref(), expected, "{program}");
        }
    }

    #[test]
    fn runtimes_behind_files_of_the_release() {
        let mut tree = Tree::new();
        let path = |text: &str| text.parse::<TreePath>().unwrap();
        tree.insert_bytes(path("bin/a"), true, b"#!/usr/bin/env node\nx".to_vec())
            .unwrap();
        tree.insert_bytes(path("bin/b"), true, b"#!/bin/sh\nnode x".to_vec())
            .unwrap();
        tree.insert_symlink(path("bin/c"), "/usr/bin/java").unwrap();
        assert_eq!(of_release("bin/a", &tree).as_deref(), Some("node"));
        assert_eq!(of_release("bin/b", &tree), None);
        assert_eq!(of_release("bin/c", &tree).as_deref(), Some("java"));
        assert_eq!(of_release("bin/none", &tree), None);
    }
}
