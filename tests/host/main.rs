//! Tests on real Debian hosts: systemd as process 1 in a container, apt from a local repository. They need root.
//!
//! `cargo test --test host -- rollback::bookworm` runs one file on one suite.

mod failure;
mod firstinstall;
mod harness;
mod install;
mod kill;
mod node_red;
mod older_formats;
mod piuparts;
mod readme;
mod remove;
mod rollback;
mod stage;
mod support;
mod upgrade;
