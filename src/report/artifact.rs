//! Prints what was built.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::model::{ReleaseId, Sha256};
use crate::plan::Plan;

use super::human;

/// One artifact on disk.
#[derive(Debug)]
pub struct Built {
    /// `deb`, `tar.zst`, `tar.gz`.
    pub format: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Of the whole file.
    pub sha256: Sha256,
}

/// For a person: path, size, hash of each, and the release.
pub fn built_text(id: &ReleaseId, artifacts: &[Built]) -> String {
    let mut text = String::new();
    for artifact in artifacts {
        text.push_str(&format!(
            "{}\n  size     {}\n  sha256   {}\n",
            artifact.path.display(),
            human(artifact.size),
            artifact.sha256
        ));
    }
    text.push_str(&format!("  release  {id}\n"));
    text
}

/// For a program.
pub fn built_json(plan: &Plan, id: &ReleaseId, artifacts: &[Built]) -> Value {
    json!({
        "name": plan.name.as_str(),
        "version": plan.version.as_str(),
        "architecture": plan.arch.as_str(),
        "release_id": id.as_str(),
        "artifacts": artifacts.iter().map(|artifact| json!({
            "format": artifact.format,
            "path": artifact.path.to_string_lossy(),
            "size": artifact.size,
            "sha256": artifact.sha256.to_string(),
        })).collect::<Vec<_>>(),
    })
}
