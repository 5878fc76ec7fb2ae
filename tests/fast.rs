//! All tests but those on real hosts (tests/host), as one program: linking one for each file would take a minute.
//!
//! `cargo test --test fast -- scripts::` runs one file.

#[path = "common/archives.rs"]
mod archives;
mod common;
#[path = "common/projects.rs"]
mod projects;
#[path = "common/readers.rs"]
mod readers;

mod archive_damaged;
mod archive_oracle;
mod bad_input;
mod cargo_project;
mod cli;
mod cli_exit_status;
mod cli_output;
mod config_errors;
mod config_errors_deploy;
mod config_errors_units;
mod diff;
mod documents;
mod git_version;
mod golden_artifacts;
mod hostile_artifacts;
mod init;
mod init_go;
mod init_java;
mod init_node;
mod init_python;
mod init_rust;
mod init_static;
mod lintian;
mod lints;
mod lints_exec;
mod lock;
mod lock_root;
mod messages;
mod outside;
mod random_input;
mod reproducible;
mod schema;
mod scripts;
mod tree_scan;
mod unit_goldens;
