//! Owns the artifacts' bytes: tar, zstd and gzip streams, the `.deb` and the tarball, and reading them back.

mod ar;
mod artifact_error;
mod compress;
mod control;
mod deb;
mod digest;
mod feed;
mod gzip;
mod limit;
mod payload;
pub mod read;
mod release;
mod tar;
mod tarball;
mod untar;
mod zst;

use std::io;

use crate::tree::ReadError;

pub use deb::{ControlFile, DataEntry, DataKind, DebParts, StoredFile, installed_kib, write_deb};
pub use digest::{ArtifactDigest, DigestWriter, Digests, Md5};
pub use payload::{Payload, write_payload};
pub use tarball::{TarballParts, TarballSummary, TrailingFile, write_tarball};

/// Told how many bytes of the release's files are done.
pub trait Progress: Sync {
    /// So many bytes more.
    fn advance(&self, bytes: u64);
}

/// Progress that nobody looks at.
impl Progress for () {
    fn advance(&self, _bytes: u64) {}
}

/// Why an artifact can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file of the release can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The artifact's own bytes can't be written.
    #[error("can't write the {what} (hint: check the space and the permissions of the output directory)")]
    Write {
        /// Which part.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// What is to be packed can't stand in this format.
    #[error("can't pack {what}: {problem} (hint: {hint})")]
    Invalid {
        /// The entry or setting.
        what: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
}

impl ArchiveError {
    fn write(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write { what, source }
    }
}

/// The largest time an archive may carry, in seconds: the end of the year 9999. Every tar reader takes it,
/// and it fits an ar header's 12 digits.
const MAX_MTIME: u64 = 253_402_300_799;

fn check_mtime(mtime: u64) -> Result<(), ArchiveError> {
    if mtime <= MAX_MTIME {
        return Ok(());
    }
    Err(ArchiveError::Invalid {
        what: format!("the source date {mtime}"),
        problem: "it is after the year 9999".into(),
        hint: "SOURCE_DATE_EPOCH is in seconds",
    })
}
