//! Owns choosing a compressor, or the reader for it: all of them give the same bytes on any number of cores.

use std::io::{self, BufRead, Read, Write};

use liblzma::bufread::XzDecoder;
use liblzma::stream::{Check, MtStreamBuilder, Stream};
use liblzma::write::XzEncoder;
use zstd::stream::write::Encoder;

use super::gzip::GzipWriter;
use super::zst::{self, Length};
use crate::model::{Compression, Packing};

/// What xz may take in memory: its threads get their own dictionaries, at level 9 more than half a GiB each.
const XZ_MEMORY: u64 = 1 << 30;

/// Compresses into `W`.
pub(super) enum Compressor<W: Write> {
    Zstd(Encoder<'static, W>),
    Xz(XzEncoder<W>),
    Gzip(GzipWriter<W>),
}

impl<W: Write> Compressor<W> {
    /// With so many workers, where the compression has some.
    pub(super) fn new(out: W, packing: Packing, length: Length, workers: u32) -> io::Result<Self> {
        let level = packing.level();
        Ok(match packing.compression() {
            Compression::Zstd => Self::Zstd(zst::encoder(out, level, length, workers)?),
            Compression::Xz => Self::Xz(xz(out, level.unsigned_abs(), workers)?),
            Compression::Gzip => Self::Gzip(GzipWriter::new(out, level)?),
        })
    }

    /// For bytes that are mostly compressed already: fast, with little memory. xz has no fast level, gzip is its stand-in.
    pub(super) fn fast(out: W, of: Compression, size: u64) -> io::Result<(Self, Compression)> {
        Ok(match of {
            Compression::Zstd => (Self::Zstd(zst::fast(out, size)?), of),
            Compression::Xz | Compression::Gzip => (Self::Gzip(GzipWriter::new(out, 1)?), Compression::Gzip),
        })
    }

    /// Writes the end and gives the inner writer back.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// Always the encoder for threads, also with one: it alone writes blocks whose ends don't depend on how many there are.
fn xz<W: Write>(out: W, preset: u32, workers: u32) -> io::Result<XzEncoder<W>> {
    let builder = |threads| {
        let mut builder = MtStreamBuilder::new();
        // The length of a block follows the preset; a timeout would end blocks by the clock.
        builder
            .threads(threads)
            .preset(preset)
            .check(Check::Crc64)
            .block_size(0)
            .timeout_ms(0);
        builder
    };
    let fits = |threads: &u32| builder(*threads).memusage() <= XZ_MEMORY;
    let threads = (1..=workers.max(1)).rev().find(fits).unwrap_or(1);
    Ok(XzEncoder::new_stream(out, builder(threads).encoder()?))
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Xz(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    /// Does nothing: a flush in the middle would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What xz's largest level needs, and as much again.
const XZ_READS: u64 = 128 << 20;

/// Reads what a compressor wrote.
pub(super) fn decoder<'a>(from: impl BufRead + 'a, compression: Compression) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(from)?),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_READS, 0)?;
            Box::new(XzDecoder::new_stream(from, stream))
        }
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xz_gives_the_same_bytes_with_any_number_of_threads() {
        // Longer than two blocks at the level's own length, 3 times a dictionary of 256 KiB.
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8 ^ (i >> 11) as u8).collect();
        let pack = |workers, chunk| {
            let packing = Packing::new(Compression::Xz, 0).unwrap();
            let mut writer = Compressor::new(Vec::new(), packing, Length::AtLeast(0), workers).unwrap();
            for part in bytes.chunks(chunk) {
                writer.write_all(part).unwrap();
                writer.flush().unwrap();
            }
            writer.finish().unwrap()
        };
        let one = pack(1, 1 << 20);
        let mut plain = Vec::new();
        liblzma::read::XzDecoder::new(one.as_slice())
            .read_to_end(&mut plain)
            .unwrap();
        assert!(plain == bytes);
        assert!(pack(2, 70_001) == one && pack(8, bytes.len()) == one);
    }

    #[test]
    fn threads_are_as_many_as_memory_allows() {
        for level in Compression::Xz.levels() {
            assert!(xz(Vec::new(), level.unsigned_abs(), 64).is_ok(), "level {level}");
        }
    }
}
