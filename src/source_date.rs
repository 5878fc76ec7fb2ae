//! Finds the source date: the one time that every entry of an artifact carries, so that the same input gives the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;

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

/// The day in UTC: `2023-11-14`.
pub fn day(seconds: u64) -> String {
    formatted(seconds, "%Y-%m-%d")
}

/// As a changelog writes it: `Tue, 14 Nov 2023 22:13:20 +0000`.
pub fn rfc5322(seconds: u64) -> String {
    formatted(seconds, "%a, %d %b %Y %H:%M:%S +0000")
}

fn formatted(seconds: u64, format: &str) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.expect("a source date is below 2^33").strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 +0000"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(rfc5322(seconds), date);
        }
        assert_eq!(day(951_868_799), "2000-02-29");
    }
}
