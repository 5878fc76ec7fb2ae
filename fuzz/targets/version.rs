//! Two versions, each on a line, against dpkg.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../tests/common/readers.rs"]
mod readers;

fuzz_target!(|text: &str| {
    if let Some((a, b)) = text.split_once('\n') {
        readers::versions(a, b);
    }
});
