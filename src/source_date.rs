//! Finds the source date: the one time that every entry of an artifact carries, so that the same input gives the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the date came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `SOURCE_DATE_EPOCH` (reproducible-builds.org's specification).
    Environment,
    /// The time of the commit that is checked out.
    Commit,
    /// The newest modification time of configuration and files: not the same on another machine.
    Newest,
}

/// Why there is no date.
#[derive(Debug, thiserror::Error)]
pub enum SourceDateError {
    /// The variable is not a number of seconds that archives can hold.
    #[error(
        "SOURCE_DATE_EPOCH is {0:?}, not a number of seconds since 1970 below 2^33 (hint: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct))"
    )]
    Environment(String),
    /// A file's time cannot be read.
    #[error("cannot read the modification time of {path}: {source} (hint: set SOURCE_DATE_EPOCH)")]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Eleven octal digits of a tar header hold this much (the year 2242).
const LIMIT: u64 = 1 << 33;

/// `SOURCE_DATE_EPOCH`, else the commit's time, else the newest modification time of `files`.
pub fn find(dir: &Path, files: impl Iterator<Item = PathBuf>) -> Result<(u64, Origin), SourceDateError> {
    if let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let text = value.to_string_lossy().into_owned();
        return match text.parse::<u64>() {
            Ok(seconds) if seconds < LIMIT => Ok((seconds, Origin::Environment)),
            _ => Err(SourceDateError::Environment(text)),
        };
    }
    if let Some(seconds) = commit_time(dir) {
        return Ok((seconds, Origin::Commit));
    }
    let mut newest = 0;
    for path in files {
        let modified = std::fs::symlink_metadata(&path)
            .and_then(|metadata| metadata.modified())
            .map_err(|source| SourceDateError::Metadata {
                path: path.clone(),
                source,
            })?;
        let seconds = modified
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        newest = newest.max(seconds.min(LIMIT - 1));
    }
    Ok((newest, Origin::Newest))
}

/// Without git, outside a checkout, or before the first commit there is none.
fn commit_time(dir: &Path) -> Option<u64> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["log", "-1", "--format=%ct"])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().parse().ok()).flatten()
}
