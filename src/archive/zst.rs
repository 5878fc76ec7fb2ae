//! Owns the zstd settings: one set for every stream, chosen by measurement, so that the same input gives the same bytes.

use std::io::{self, Write};
use std::num::NonZero;

use crate::model::Compression;
use zstd::stream::{raw, write::Encoder, zio};
use zstd::zstd_safe::CParameter;

/// 32 MiB: what the host needs to unpack. 26 and 27 gain 6 and 9 % more, for two and four times the memory on both sides.
const WINDOW_LOG: u32 = 25;
/// Input of one job. Fixed, since it decides where jobs end and so the bytes; libzstd's own choice follows the level.
const JOB_SIZE: u32 = 8 << 20;
/// How much of the job before is seen by ordinary matching: an eighth of the most there is. Jobs of 8 MiB with this much are as
/// small in the end as jobs of 6 MiB with the most, for a tenth less CPU (measured): what is seen again is indexed again.
const OVERLAP_LOG: u32 = 6;
/// One position of 2^8 is looked up in the long-distance table: the levels' own choices (2^6, 2^7) gain 0.8 % for a tenth more CPU.
const LDM_HASH_RATE_LOG: u32 = 8;
/// Match searches at the default level, 2^3 instead of the level's own 2^4: 1.3 % larger for a tenth less CPU (measured), since the
/// long-distance table finds the far copies anyway.
const DEFAULT_SEARCH_LOG: u32 = 3;
/// Every worker costs a job's buffers and tables; past this many, memory would grow out of bounds.
const MAX_WORKERS: u32 = 8;

/// As many workers as there are cores, at least one: without workers libzstd writes other bytes.
pub(super) fn workers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cores).unwrap_or(MAX_WORKERS).clamp(1, MAX_WORKERS)
}

/// How many bytes will come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    /// Exactly so many; zstd notes it in the frame, and refuses more or less.
    Exact(u64),
    /// So many, and a bit more.
    AtLeast(u64),
}

/// A stream into `out`.
pub(super) fn encoder<W: Write>(out: W, level: i32, length: Length, workers: u32) -> io::Result<Encoder<'static, W>> {
    let mut encoder = raw::Encoder::new(level)?;
    let (Length::Exact(size) | Length::AtLeast(size)) = length;
    let long = size > u64::from(JOB_SIZE);
    encoder.set_parameter(CParameter::NbWorkers(workers.max(1)))?;
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    if long {
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        encoder.set_parameter(CParameter::LdmHashRateLog(LDM_HASH_RATE_LOG))?;
        encoder.set_parameter(CParameter::JobSize(JOB_SIZE))?;
        encoder.set_parameter(CParameter::OverlapSizeLog(OVERLAP_LOG))?;
        if level == Compression::Zstd.default_level() {
            encoder.set_parameter(CParameter::SearchLog(DEFAULT_SEARCH_LOG))?;
        }
    }
    if let Length::Exact(size) = length {
        encoder.set_pledged_src_size(Some(size))?;
    }
    Ok(Encoder::with_writer(zio::Writer::new_with_capacity(
        out,
        encoder,
        128 * 1024,
    )))
}

/// A stream into `out` for bytes that are mostly compressed already: fast, with little memory.
pub(super) fn fast<W: Write>(out: W, size: u64) -> io::Result<Encoder<'static, W>> {
    let mut encoder = raw::Encoder::new(1)?;
    encoder.set_parameter(CParameter::NbWorkers(workers()))?;
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    encoder.set_pledged_src_size(Some(size))?;
    Ok(Encoder::with_writer(zio::Writer::new_with_capacity(
        out,
        encoder,
        128 * 1024,
    )))
}

/// Some bytes compressed at once, as a test needs it.
#[cfg(test)]
pub(super) fn compress(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = encoder(Vec::new(), level, Length::Exact(bytes.len() as u64), 1)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that is neither random nor repetitive, with copies far apart.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.extend_from_slice(format!("{:x} ", state >> 52).as_bytes());
            if state.is_multiple_of(1021) && bytes.len() > 5000 {
                let start = (state >> 20) as usize % (bytes.len() - 4000);
                bytes.extend_from_within(start..start + 4000);
            }
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn any_number_of_workers_gives_the_same_bytes() {
        let bytes = sample(20 << 20);
        let pack = |workers, chunk| {
            let mut encoder = encoder(Vec::new(), 3, Length::Exact(bytes.len() as u64), workers).unwrap();
            for part in bytes.chunks(chunk) {
                encoder.write_all(part).unwrap();
            }
            encoder.finish().unwrap()
        };
        let one = pack(1, 1 << 20);
        assert_eq!(zstd::decode_all(one.as_slice()).unwrap(), bytes);
        for (workers, chunk) in [(2, 1 << 20), (4, 100_003), (7, 20 << 20)] {
            assert!(pack(workers, chunk) == one, "{workers} workers");
        }
    }

    #[test]
    fn small_streams_work_too() {
        for len in [0, 1, 600_000] {
            let bytes = sample(len);
            let packed = compress(&bytes, Compression::Zstd.default_level()).unwrap();
            assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), bytes);
        }
    }
}
