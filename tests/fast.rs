//! All tests but those on real hosts (tests/host), as one program: linking one for each file would take a minute.
//!
//! `cargo test --test fast -- scripts::` runs one file.

mod common;
#[path = "common/readers.rs"]
mod readers;

mod archive_oracle;
mod bad_input;
mod cargo_project;
mod cli;
mod config_errors;
mod diff;
mod documents;
mod git_version;
mod golden_artifacts;
mod hostile_artifacts;
mod init;
mod init_projects;
mod lintian;
mod lints;
mod lock;
mod messages;
mod outside;
mod random_input;
mod reproducible;
mod schema;
mod scripts;
mod tree_scan;
mod unit_goldens;
