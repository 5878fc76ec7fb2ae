//! Reads how a release travels: `[release] payload`, `compression` and `compression_level`.

use super::Payload;
use super::diagnostics::Problem;
use super::reader::Table;
use crate::model::{Compression, Packing, Suite};

impl Payload {
    /// The word of each.
    pub const WORDS: &'static [(&'static str, Payload)] = &[
        ("auto", Payload::Auto),
        ("files", Payload::Files),
        ("archive", Payload::Archive),
    ];
}

pub(super) fn payload(table: &Table<'_>) -> Payload {
    table.choice("payload", Payload::WORDS).unwrap_or(Payload::Auto)
}

/// What the suite's dpkg reads, unless the file says otherwise.
pub(super) fn packing(table: &Table<'_>, target: Suite) -> Packing {
    let fallback = if target.dpkg_reads_zstd() {
        Compression::Zstd
    } else {
        Compression::Xz
    };
    let compression = table.choice("compression", Compression::WORDS).unwrap_or(fallback);
    if compression == Compression::Zstd && !target.dpkg_reads_zstd() {
        table.doc.push(
            Problem::new(
                table.span_of("compression"),
                format!("release.compression: the dpkg of {target} does not read zstd"),
            )
            .help("write \"xz\" or \"gzip\", or remove the key; package.target names the oldest suite that hosts run"),
        );
    }
    let levels = compression.levels();
    let allowed = i64::from(*levels.start())..i64::from(*levels.end()) + 1;
    let level = table.integer("compression_level", allowed);
    level
        .and_then(|level| i32::try_from(level.value).ok())
        .and_then(|level| Packing::new(compression, level).ok())
        .unwrap_or_else(|| Packing::of(compression))
}
