//! Why an artifact can't be read back.

use std::io;
use std::path::{Path, PathBuf};

/// Why an artifact can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The system says no.
    #[error("can't {action} {path:?} (hint: check that it is there and readable)")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The artifact.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is a directory, a named pipe or a device.
    #[error("can't read {path:?}: it is no regular file (hint: name the .deb or the tarball itself)")]
    Irregular {
        /// The artifact.
        path: PathBuf,
    },
    /// It holds no release.
    #[error(
        "{path:?} holds no release: relpack didn't make it, or lost parts of it (hint: give what `relpack build` wrote; dpkg-deb --info tells of any package)"
    )]
    Foreign {
        /// The artifact.
        path: PathBuf,
    },
    /// Its bytes aren't those of an artifact.
    #[error(
        "{path:?}: {part} {problem} (hint: it is damaged, or relpack didn't make it; build it again or take another copy)"
    )]
    Bad {
        /// The artifact.
        path: PathBuf,
        /// Which part of it.
        part: String,
        /// What is wrong.
        problem: String,
    },
}

impl ArtifactError {
    /// The artifact.
    pub fn path(&self) -> &Path {
        let (ArtifactError::Io { path, .. }
        | ArtifactError::Irregular { path }
        | ArtifactError::Foreign { path }
        | ArtifactError::Bad { path, .. }) = self;
        path
    }
}
