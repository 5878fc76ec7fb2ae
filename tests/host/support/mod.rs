//! What every host test stands on: roots, machines, a package repository and test applications.

pub mod app;
pub mod cgroup;
pub mod disk;
pub mod document;
pub mod faults;
pub mod host;
pub mod load;
pub mod machine;
pub mod process;
pub mod repo;
pub mod root;
pub mod sample;
pub mod sandbox;
pub mod site;
pub mod stage;
pub mod start;
pub mod sweep;
pub mod tamper;

pub use app::{App, Behaviour, Migration};
pub use host::Host;
pub use machine::Machine;
pub use repo::{Repo, Transport};
pub use root::Suite;

/// Fails the test, with the lines that differ, unless both texts are the same.
#[track_caller]
pub fn expect_same(before: &str, after: &str, context: &str) {
    let only = |a: &str, b: &str, mark: &str| -> Vec<String> {
        let known: std::collections::BTreeSet<&str> = b.lines().collect();
        a.lines()
            .filter(|line| !known.contains(line))
            .map(|line| format!("{mark} {line}"))
            .collect()
    };
    let changed = [only(before, after, "-"), only(after, before, "+")].concat();
    assert!(
        changed.is_empty() && before.len() == after.len(),
        "{context}\n{}",
        changed.join("\n")
    );
}

/// One `#[test]` a suite for each function named: `bookworm::name` and `trixie::name`, so that
/// `cargo test --test host -- rollback::bookworm` picks one file on one suite. Those after `sampled:` take long: the seed
/// says on which suite each of them runs, see [`sample::run`]. Those after `rotated:` take longest: of them only half run
/// at all, see [`sample::in_turn`].
///
/// Each function takes a [`Suite`].
#[macro_export]
macro_rules! on_each_suite {
    (sampled: $($more:tt)+) => { $crate::on_each_suite![; sampled: $($more)+]; };
    (rotated: $($more:tt)+) => { $crate::on_each_suite![; rotated: $($more)+]; };
    ($($name:ident),* $(,)? $(; sampled: $($long:ident),+ $(,)?)? $(; rotated: $($turn:ident),+ $(,)?)?) => {
        $(const TURNS: &[&str] = &[$(stringify!($turn)),+];)?
        mod bookworm {
            const HERE: $crate::support::Suite = $crate::support::Suite::Bookworm;
            $(#[test] fn $name() { super::$name(HERE) })*
            $($(#[test] fn $long() { $crate::support::sample::run(stringify!($long), HERE, super::$long) })+)?
            $($(#[test] fn $turn() { $crate::support::sample::in_turn(super::TURNS, stringify!($turn), HERE, super::$turn) })+)?
        }
        mod trixie {
            const HERE: $crate::support::Suite = $crate::support::Suite::Trixie;
            $(#[test] fn $name() { super::$name(HERE) })*
            $($(#[test] fn $long() { $crate::support::sample::run(stringify!($long), HERE, super::$long) })+)?
            $($(#[test] fn $turn() { $crate::support::sample::in_turn(super::TURNS, stringify!($turn), HERE, super::$turn) })+)?
        }
    };
}
