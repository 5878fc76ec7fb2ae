//! docs/start/python.md: Wagtail from PyPI, with its web server, worker, timer, socket and migrations.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::load::Promise;
use crate::support::machine::Machine;
use crate::support::root::Suite;
use crate::support::start::Start;

on_each_suite![wagtail];

fn wagtail(suite: Suite) {
    let start = Start {
        page: include_str!("../../docs/start/python.md"),
        builder: Some(&["ca-certificates", "python3-venv"]),
        host: &[],
        unit: "acme-site.service",
        url: "http://127.0.0.1:8000/",
        promise: Promise::NoGap,
    };
    if let Some(host) = start.follow_in_full(suite) {
        the_worker_works(&host);
    }
}

/// A page that changes is indexed by a task, which the worker takes from the database.
fn the_worker_works(host: &Machine) {
    let shell = "acme-site-release exec -- venv/bin/python manage.py shell -c";
    let publish = "from wagtail.models import Page; Page.objects.last().specific.save_revision().publish()";
    let done = "from django_tasks.backends.database.models import DBTaskResult as Task; \
                assert Task.objects.exists() and not Task.objects.filter(finished_at=None).exists()";
    host.ok(&format!("{shell} '{publish}'"));
    host.wait_for(&format!("{shell} '{done}'"), Duration::from_secs(60));
    host.ok("systemctl start acme-site-publish.service");
}
