//! What `inspect` and `verify` read: a whole artifact, or one that is made around the bytes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../tests/common/readers.rs"]
mod readers;

static DIR: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory can be made"));

fuzz_target!(|bytes: &[u8]| readers::artifact(&DIR.path().join("artifact"), &readers::artifact_around(bytes)));
