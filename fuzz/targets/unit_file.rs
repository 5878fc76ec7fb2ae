//! A ready-made unit file.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../tests/common/readers.rs"]
mod readers;

fuzz_target!(|bytes: &[u8]| readers::unit_file(bytes));
