//! Owns hashing an artifact's bytes: in a thread beside the one that writes them, and as they are read.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::Digest as _;

use crate::model::Sha256;

const BUFFER: usize = 64 * 1024;

/// An MD5 digest, as `md5sums` lists them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Md5(pub [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Md5({self})")
    }
}

/// Size and hashes of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Number of bytes.
    pub size: u64,
    /// Their MD5.
    pub md5: Md5,
    /// Their SHA-256.
    pub sha256: Sha256,
}

/// Size and SHA-256 of an artifact: nothing that takes a whole package asks for its MD5, and that would take as long again
/// as everything else that happens once the payload is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactDigest {
    /// Number of bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Sha256,
}

impl From<Digests> for ArtifactDigest {
    fn from(digests: Digests) -> Self {
        let Digests { size, sha256, .. } = digests;
        Self { size, sha256 }
    }
}

impl Digests {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut state = State::default();
        state.update(bytes);
        state.finish()
    }

    /// Of all that is left to read.
    pub(super) fn of_all(from: &mut dyn Read) -> io::Result<Self> {
        let mut reader = DigestReader::new(from);
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.finish())
    }
}

/// Hashes what is read through it.
pub(super) struct DigestReader<'a> {
    inner: &'a mut dyn Read,
    state: State,
}

impl<'a> DigestReader<'a> {
    pub(super) fn new(inner: &'a mut dyn Read) -> Self {
        Self {
            inner,
            state: State::default(),
        }
    }

    /// Of what was read so far.
    pub(super) fn finish(self) -> Digests {
        self.state.finish()
    }
}

impl Read for DigestReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.state.update(&buffer[..got]);
        Ok(got)
    }
}

/// What a [`DigestWriter`] takes of the bytes.
pub trait Hashing: Default + Send + 'static {
    /// What is known at the end.
    type Digest: Send;
    /// The next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// After the last.
    fn finish(self) -> Self::Digest;
}

/// Takes [`Digests`].
#[derive(Default)]
pub struct State {
    artifact: ArtifactState,
    md5: md5::Md5,
}

impl Hashing for State {
    type Digest = Digests;

    fn update(&mut self, bytes: &[u8]) {
        self.artifact.update(bytes);
        self.md5.update(bytes);
    }

    fn finish(self) -> Digests {
        let ArtifactDigest { size, sha256 } = self.artifact.finish();
        let md5 = Md5(self.md5.finalize().into());
        Digests { size, md5, sha256 }
    }
}

/// Takes an [`ArtifactDigest`].
#[derive(Default)]
pub struct ArtifactState {
    size: u64,
    sha256: sha2::Sha256,
}

impl Hashing for ArtifactState {
    type Digest = ArtifactDigest;

    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
    }

    fn finish(self) -> ArtifactDigest {
        ArtifactDigest {
            size: self.size,
            sha256: Sha256(self.sha256.finalize().into()),
        }
    }
}

/// Passes bytes on and hashes them in a thread of its own; done inline, MD5 alone would cost 40 % of the build's time.
#[derive(Debug)]
pub struct DigestWriter<W, H: Hashing = State> {
    out: W,
    buffer: Vec<u8>,
    hasher: Option<Hasher<H::Digest>>,
}

#[derive(Debug)]
struct Hasher<D> {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<D>,
}

impl<W: Write, H: Hashing> DigestWriter<W, H> {
    /// Writes through to `out`.
    pub fn new(out: W) -> Self {
        let (full, incoming) = sync_channel::<Vec<u8>>(4);
        let (give_back, empty) = sync_channel::<Vec<u8>>(8);
        let thread = std::thread::spawn(move || {
            let mut state = H::default();
            for bytes in incoming {
                state.update(&bytes);
                // The writer may be gone already, then the buffer is simply dropped.
                let _ = give_back.try_send(bytes);
            }
            state.finish()
        });
        Self {
            out,
            buffer: Vec::with_capacity(BUFFER),
            hasher: Some(Hasher { full, empty, thread }),
        }
    }

    /// The inner writer and the digests of all that was written.
    pub fn finish(mut self) -> io::Result<(W, H::Digest)> {
        self.out.flush()?;
        self.pass_on()?;
        let Hasher { full, thread, .. } = self.hasher.take().ok_or_else(hasher_gone)?;
        drop(full);
        let digests = thread.join().map_err(|_| hasher_gone())?;
        Ok((self.out, digests))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let hasher = self.hasher.as_ref().ok_or_else(hasher_gone)?;
        let mut next = hasher.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        next.clear();
        let full = std::mem::replace(&mut self.buffer, next);
        hasher.full.send(full).map_err(|_| hasher_gone())
    }
}

fn hasher_gone() -> io::Error {
    io::Error::other("the hashing thread ended early")
}

impl<W: Write, H: Hashing> Write for DigestWriter<W, H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        let mut rest = &bytes[..written];
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(head);
            rest = tail;
            if self.buffer.len() == BUFFER {
                self.pass_on()?;
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_of_the_bytes() {
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8).collect();
        let mut writer: DigestWriter<_> = DigestWriter::new(Vec::new());
        for chunk in bytes.chunks(77_777) {
            writer.write_all(chunk).unwrap();
        }
        let (out, digests) = writer.finish().unwrap();
        assert_eq!(out, bytes);
        assert_eq!(digests, Digests::of(&bytes));
        let mut artifact = DigestWriter::<_, ArtifactState>::new(Vec::new());
        artifact.write_all(&bytes).unwrap();
        assert_eq!(artifact.finish().unwrap().1, digests.into());
        let empty = Digests::of(b"");
        assert_eq!(empty.md5.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        assert!(empty.sha256.to_string().starts_with("e3b0c44298fc1c14"));
    }
}
