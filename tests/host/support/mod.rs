//! What every host test stands on: roots, machines, a package repository and test applications.

pub mod app;
pub mod cgroup;
pub mod disk;
pub mod faults;
pub mod host;
pub mod machine;
pub mod process;
pub mod repo;
pub mod root;
pub mod sample;

pub use app::{App, Behaviour, Migration};
pub use host::Host;
pub use machine::Machine;
pub use repo::{Repo, Transport};
pub use root::Suite;

/// One `#[test]` a suite for each function named: `bookworm::name` and `trixie::name`, so that
/// `cargo test --test host -- rollback::bookworm` picks one file on one suite.
///
/// Each function takes a [`Suite`].
#[macro_export]
macro_rules! on_each_suite {
    ($($name:ident),+ $(,)?) => {
        mod bookworm {
            $(#[test] fn $name() { super::$name($crate::support::Suite::Bookworm) })+
        }
        mod trixie {
            $(#[test] fn $name() { super::$name($crate::support::Suite::Trixie) })+
        }
    };
}
