//! How much of a sweep runs: all its points with `RELPACK_FULL=1`, else a sample that `RELPACK_SEED` repeats.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use super::root::{Suite, say};

/// True where every point of a sweep has to run.
pub fn full() -> bool {
    std::env::var("RELPACK_FULL").is_ok_and(|value| value == "1")
}

/// The seed of all samples of this run.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("RELPACK_SEED") {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|e| panic!("RELPACK_SEED={text} is no number: {e}")),
            Err(_) => RandomState::new().build_hasher().finish() % 1_000_000,
        };
        say(&format!("RELPACK_SEED={seed} repeats the samples of this run"));
        seed
    })
}

/// Runs a long test, unless the sample has it on the other suite.
pub fn run(name: &str, suite: Suite, test: fn(Suite)) {
    if !elsewhere(suite, name) {
        test(suite);
    }
}

/// Long tests run on one of the suites: name and seed say on which, so that runs with other seeds come to the other. All
/// run on both in full.
fn elsewhere(suite: Suite, name: &str) -> bool {
    let number: u64 = name.bytes().map(u64::from).sum();
    let other = !full() && (seed() + number) % 2 != suite as u64;
    if other {
        not_here(suite);
    }
    other
}

fn not_here(suite: Suite) {
    eprintln!(
        "{suite}: not in the sample of RELPACK_SEED={}, RELPACK_FULL=1 runs it",
        seed()
    );
}

/// Runs one of the longest tests, unless it is not its turn: of four that follow each other in `turns`, a run has one on
/// each suite, so that four runs with seeds in a row have them all on both. In full, all run on both.
pub fn in_turn(turns: &[&str], name: &str, suite: Suite, test: fn(Suite)) {
    let Some(position) = turns.iter().position(|turn| *turn == name) else {
        panic!("{name} is not among {turns:?}");
    };
    // The first name, so that not all files begin with the same seed.
    let first: u64 = turns[0].bytes().map(u64::from).sum();
    if full() || (seed() + first + position as u64) % 4 == 2 * suite as u64 {
        test(suite);
    } else {
        not_here(suite);
    }
}

/// All of them in full, else one by the seed.
pub fn one_of<T, const N: usize>(suite: Suite, all: [T; N]) -> Vec<T> {
    // Whose turn it is has used up the seed's lowest two bits.
    let chosen = usize::try_from(seed() / 4).unwrap_or(0) + suite as usize;
    let of_all = all.into_iter().enumerate();
    of_all
        .filter(|(number, _)| full() || number % N == chosen % N)
        .map(|(_, one)| one)
        .collect()
}

/// The points to run of `total`: all of them, or `floor` of them, one at a random place in each of as many equal parts.
pub fn pick(total: usize, floor: usize) -> Vec<usize> {
    if full() || total <= floor {
        return (0..total).collect();
    }
    eprintln!(
        "a sample of {floor} of {total} points (RELPACK_SEED={} repeats it, RELPACK_FULL=1 runs all)",
        seed()
    );
    spread(total, floor)
}

/// So many points of `total`, or all where there are fewer, also in full: one at a random place in each of as many equal parts.
pub fn spread(total: usize, parts: usize) -> Vec<usize> {
    let mut state = seed();
    let parts = parts.min(total);
    (0..parts)
        .map(|part| {
            let (from, to) = (part * total / parts, (part + 1) * total / parts);
            let wide = u64::try_from(to - from).unwrap_or(1);
            from + usize::try_from(random(&mut state) % wide).unwrap_or(0)
        })
        .collect()
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
