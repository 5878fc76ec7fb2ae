//! How much of a long sweep runs: all of it with `RELPACK_FULL=1`, else a random sample that its printed seed repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whether the sweeps run in full.
pub fn full() -> bool {
    std::env::var_os("RELPACK_FULL").is_some_and(|value| value == "1")
}

/// `RELPACK_SEED`, else another one each time.
pub fn seed() -> u64 {
    match std::env::var("RELPACK_SEED") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|e| panic!("RELPACK_SEED={text} is no number: {e}")),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| u64::from(time.subsec_nanos())),
    }
}

/// The points to try, in order, of `total`: all, or as many as the `floor` says. Prints the seed.
pub fn pick(total: usize, floor: usize) -> Vec<usize> {
    let mut points: Vec<usize> = (0..total).collect();
    if full() || floor >= total {
        return points;
    }
    let mut state = seed();
    eprintln!("{floor} of {total} points (RELPACK_SEED={state} repeats them, RELPACK_FULL=1 runs all)");
    for index in 0..floor {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        let left = total - index;
        let other = index + usize::try_from(word % left as u64).unwrap_or(0);
        points.swap(index, other);
    }
    points.truncate(floor);
    points.sort_unstable();
    points
}
