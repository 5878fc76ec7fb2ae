//! docs/start/rust.md: doh-proxy from its crate, whose metadata for cargo-deb says how it is packed.

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![doh_proxy];

fn doh_proxy(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/rust.md"),
        // Debian's own Rust is older than the crate wants, and this machine's makes programs for all suites.
        builder: None,
        host: &[],
        unit: "doh-proxy.service",
        url: "http://127.0.0.1:3000/.well-known/odohconfigs",
        promise: Promise::Cuts,
    };
    start.follow_in_full(suite);
}
