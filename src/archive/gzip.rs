//! Owns gzip: fixed blocks compressed in parallel and joined to one member, so that the bytes don't depend on the cores.

use std::io::{self, Write};
use std::num::NonZero;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use rayon::prelude::*;

/// Input of one block. Blocks don't see each other, which costs less than 1 % at this size.
const BLOCK: usize = 1 << 20;
/// Member header: deflate, no name, no time, system unknown (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Writes one gzip member.
#[derive(Debug)]
pub(super) struct GzipWriter<W> {
    out: W,
    level: Compression,
    buffer: Vec<u8>,
    at_once: usize,
    crc: Crc,
}

impl<W: Write> GzipWriter<W> {
    /// `level` as zstd counts; gzip ends at 9.
    pub(super) fn new(mut out: W, level: i32) -> io::Result<Self> {
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get).min(16);
        out.write_all(&HEADER)?;
        let level = Compression::new(level.clamp(1, 9).unsigned_abs());
        Ok(Self {
            out,
            level,
            buffer: Vec::with_capacity(at_once * BLOCK),
            at_once,
            crc: Crc::new(),
        })
    }

    /// Writes the end and gives the inner writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.drain()?;
        // An empty last block: which block is the last one isn't known before.
        let end = DeflateEncoder::new(Vec::new(), self.level).finish()?;
        self.out.write_all(&end)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn drain(&mut self) -> io::Result<()> {
        let level = self.level;
        let packed: Vec<Vec<u8>> = self
            .buffer
            .par_chunks(BLOCK)
            .map(|block| {
                let mut encoder = DeflateEncoder::new(Vec::with_capacity(BLOCK / 3), level);
                encoder.write_all(block)?;
                // A flush ends on a byte and doesn't mark the end of the stream: blocks can be joined.
                encoder.flush()?;
                Ok(encoder.get_ref().clone())
            })
            .collect::<io::Result<_>>()?;
        self.crc.update(&self.buffer);
        self.buffer.clear();
        packed.iter().try_for_each(|block| self.out.write_all(block))
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.at_once * BLOCK - self.buffer.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.buffer.extend_from_slice(taken);
        if taken.len() == room {
            self.drain()?;
        }
        Ok(taken.len())
    }

    /// Does nothing: a flush in the middle would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Some bytes compressed at once.
pub(super) fn compress(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut writer = GzipWriter::new(Vec::new(), level)?;
    writer.write_all(bytes)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn one_member_that_every_reader_takes() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3] {
            let bytes: Vec<u8> = (0..len).map(|i| ((i % 255) ^ (i >> 12)) as u8).collect();
            let packed = compress(&bytes, 6).unwrap();
            let mut plain = Vec::new();
            // Not MultiGzDecoder: it has to be one member.
            flate2::read::GzDecoder::new(packed.as_slice())
                .read_to_end(&mut plain)
                .unwrap();
            assert!(plain == bytes, "{len}");
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_many_blocks_go_at_once() {
        let bytes: Vec<u8> = (0..4 * BLOCK + 77).map(|i| ((i % 251) ^ (i >> 10)) as u8).collect();
        let pack = |at_once: usize, chunk: usize| {
            let mut writer = GzipWriter::new(Vec::new(), 6).unwrap();
            writer.at_once = at_once;
            bytes.chunks(chunk).for_each(|part| writer.write_all(part).unwrap());
            writer.finish().unwrap()
        };
        let one = pack(1, 1000);
        assert!(one == pack(3, BLOCK) && one == pack(16, bytes.len()));
    }
}
