//! Prints a lock: what needs which packages.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::Lock;

/// For a person.
pub fn lock_text(path: &Path, lock: &Lock) -> String {
    let mut text = format!("{} ({}, {})\n", path.display(), lock.suite, lock.architecture);
    for ((kind, name), locked) in &lock.needs {
        let depends: Vec<String> = locked.depends.iter().map(ToString::to_string).collect();
        let brings = if depends.is_empty() {
            "every host has it".to_owned()
        } else {
            depends.join(", ")
        };
        text.push_str(&format!("  {:<8} {name:<28} {brings:<32} {}\n", kind.word(), locked.by));
    }
    text
}

/// For a program.
pub fn lock_json(path: &Path, lock: &Lock) -> Value {
    let needs: Vec<Value> = lock
        .needs
        .iter()
        .map(|((kind, name), locked)| {
            json!({
                "kind": kind.word(),
                "name": name,
                "depends": locked.depends.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "versions": locked.versions,
                "by": locked.by,
            })
        })
        .collect();
    json!({
        "path": path.display().to_string(),
        "suite": lock.suite,
        "architecture": lock.architecture.as_str(),
        "depends": lock.depends().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needs": needs,
    })
}
