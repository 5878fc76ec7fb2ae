//! docs/start/go.md: Prometheus' blackbox exporter, as Debian's sources build it.

use crate::on_each_suite;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![blackbox_exporter];

fn blackbox_exporter(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/go.md"),
        builder: Some(&["build-essential", "ca-certificates", "golang-go"]),
        host: &[],
        unit: "acme-probe.service",
        url: "http://127.0.0.1:9115/probe?module=http_2xx&target=http://127.0.0.1:9115/",
        gapless: false,
    };
    start.follow_in_full(suite);
}
