//! Tests on real Debian hosts: systemd as process 1 in a container, apt from a local repository. They need root.
//!
//! `cargo test --test host -- rollback::bookworm` runs one file on one suite.

mod elsewhere;
mod failure;
mod firstinstall;
mod harness;
mod install;
mod kill;
mod long_run;
mod node_red;
mod readme;
mod remove;
mod review;
mod rollback;
mod support;
mod together;
mod upgrade;
