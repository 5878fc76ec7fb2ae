//! docs/start/node.md: Node-RED from the npm registry.

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![node_red];

fn node_red(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/node.md"),
        builder: None,
        host: &["nodejs"],
        unit: "acme-flows.service",
        url: "http://127.0.0.1:1880/healthz",
        promise: Promise::Cuts,
    };
    start.follow_in_full(suite);
}
