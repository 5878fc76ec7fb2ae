//! relpack turns an application build into a versioned `.deb` that deploys itself.
//!
//! Data flows one way: ARCHITECTURE.md has the modules in the order in which each knows only those before it.
#![forbid(unsafe_code)]

pub mod archive;
pub mod cargo;
pub mod cli;
pub mod compare;
pub mod config;
pub mod init;
pub mod lints;
pub mod lock;
pub mod model;
pub mod output;
pub mod plan;
pub mod report;
pub mod schema;
pub mod scripts;
pub mod source_date;
pub mod systemd;
pub mod tree;
