//! Owns how much of a foreign file is believed: the limits that keep a hostile artifact from filling memory or time.

use std::fmt;
use std::io::{self, Read};

/// What an artifact may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the unpacked control archive.
    pub control_bytes: u64,
    /// Bytes of one delivered manifest.
    pub manifest_bytes: u64,
    /// Bytes of all units and settings of a release.
    pub metadata_bytes: u64,
    /// Entries of an archive.
    pub entries: u64,
    /// Bytes that an archive may have unpacked beyond the installed size that its package says: headers and padding.
    pub free_bytes: u64,
    /// Bytes that any archive may have unpacked, however few it has packed: what a file of nothing but zeros may have.
    pub sparse_bytes: u64,
    /// How many times its packed size an archive may have that is larger.
    pub ratio: u64,
}

impl Default for Limits {
    /// Room for 2,000,000 files, and for a sparse file in a small package. Who reads 64 GiB that somebody else made up waits for
    /// two minutes.
    fn default() -> Self {
        Self {
            control_bytes: 64 << 20,
            manifest_bytes: 256 << 20,
            metadata_bytes: 16 << 20,
            entries: 2_000_000,
            free_bytes: 4 << 30,
            sparse_bytes: 64 << 30,
            ratio: 2000,
        }
    }
}

impl Limits {
    /// Bytes that an archive of so many packed bytes may have unpacked, in a package of which so many are said.
    pub(super) fn unpacked(&self, packed: u64, said: Option<u64>) -> u64 {
        let most = self.sparse_bytes.max(packed.saturating_mul(self.ratio));
        said.map_or(most, |said| most.min(said.saturating_add(self.free_bytes)))
    }
}

/// Ends with an error behind a number of bytes.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    max: u64,
}

#[derive(Debug)]
struct TooMuch(u64);

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unpacks to more than {} bytes", self.0)
    }
}

impl std::error::Error for TooMuch {}

/// Whether an error comes from a [`Bounded`].
pub(super) fn is_limit(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, max: u64) -> Self {
        Self { inner, left: max, max }
    }

    /// An error where so many bytes that are still to come would be too much: nobody has to read them first.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<()> {
        match bytes <= self.left {
            true => Ok(()),
            false => Err(io::Error::other(TooMuch(self.max))),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(got as u64)
            .ok_or_else(|| io::Error::other(TooMuch(self.max)))?;
        Ok(got)
    }
}
