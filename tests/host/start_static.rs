//! docs/start/static.md: Swagger UI from the npm registry, by a small server and by nginx.

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::root::{self, Suite};
use crate::support::start::Start;

on_each_suite![rotated: swagger_ui];

fn swagger_ui(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/static.md"),
        builder: None,
        host: root::WEB,
        unit: "acme-reference.service",
        url: "http://127.0.0.1:8080/swagger-ui-bundle.js",
        promise: Promise::NoGap,
    };
    start.follow(suite);
}
