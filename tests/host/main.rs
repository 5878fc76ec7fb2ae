//! Tests on real Debian hosts: systemd as process 1 in a container, apt from a local repository. They need root.
//!
//! `cargo test --test host -- rollback::bookworm` runs one file on one suite.

mod admin;
mod bullseye;
mod cargo_project;
#[path = "../common/mod.rs"]
mod common;
mod directives;
mod elsewhere;
mod failure;
mod faults_sweep;
mod firstinstall;
mod harness;
mod install;
mod instances;
mod kill;
mod kill_sweep;
mod linted;
mod locked;
mod long_run;
mod node_red;
mod older_formats;
mod operations;
mod outside;
mod pairing;
mod payload;
mod piuparts;
mod policy;
mod power;
mod predicted;
mod presets;
mod readme;
mod remove;
mod review;
mod rollback;
mod rolling;
mod socket_changes;
mod stage;
mod start_go;
mod start_java;
mod start_node;
mod start_python;
mod start_rust;
mod start_static;
mod steps;
mod strategies;
mod strategy_kills;
mod support;
mod tarball;
mod tarball_kills;
mod together;
mod traffic;
mod unattended;
mod unit_changes;
mod upgrade;
mod way_back;
