//! docs/start/go.md: the container registry, as Debian's sources build it.

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![container_registry];

/// The push of a layer whose bytes come slowly.
const PUSH: &str = r#"
at=$(curl -sSf -X POST -o /dev/null -w '%header{location}' http://127.0.0.1:5000/v2/acme/web/blobs/uploads/) || exit
(echo one; sleep 1.5; echo two) | curl -sSf -X PATCH -T - -H 'Content-Type: application/octet-stream' "$at"
"#;

fn container_registry(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/go.md"),
        builder: Some(&[
            "gcc",
            "golang-github-bshuster-repo-logrus-logstash-hook-dev",
            "golang-github-docker-distribution-dev",
            "golang-github-shopify-logrus-bugsnag-dev",
            "golang-go",
            "libc6-dev",
        ]),
        host: &[],
        unit: "acme-registry.service",
        url: "http://127.0.0.1:5000/v2/",
        promise: Promise::Finishes { slow: PUSH },
    };
    start.follow_in_full(suite);
}
