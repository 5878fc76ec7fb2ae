//! docs/start/java.md: WireMock, as it is published.

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![wiremock];

fn wiremock(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/java.md"),
        builder: None,
        host: &["default-jre-headless"],
        unit: "acme-mock.service",
        url: "http://127.0.0.1:8080/price",
        promise: Promise::Errs,
    };
    start.follow_in_full(suite);
}
