//! The kill sweep over a tarball's own scripts: SIGKILL to them and all their children at every mutating system call.
//! Afterwards one whole release serves under its own units, and the same script brings the wanted state.

use crate::kill_sweep::{Operation, sweep_over, versions};
use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::{Machine, Suite, sample};
use crate::tarball::{script, unpacked};

on_each_suite![rotated: install, upgrade, rollback, uninstall];

/// Of a sample only the upgrade, whose points are those of all the others too; and of all.
const FLOORS: [usize; 2] = [10, 100];

/// A host, and both versions unpacked on it; the first so many are installed.
fn host(suite: Suite, installed: usize) -> (Machine, [Built; 2]) {
    let m = Machine::boot(suite);
    let built = versions(suite).map(|app| unpacked(&m, &app));
    for one in &built[..installed] {
        m.ok(&script(one, "install"));
    }
    (m, built)
}

fn install(suite: Suite) {
    if sample::full() {
        let (m, built) = host(suite, 0);
        sweep(&m, "install", &built[0], None, Some(&built[0]));
    }
}

fn upgrade(suite: Suite) {
    let (m, built) = host(suite, 1);
    sweep(&m, "install", &built[1], Some(&built[0]), Some(&built[1]));
}

fn rollback(suite: Suite) {
    if sample::full() {
        let (m, built) = host(suite, 2);
        sweep(&m, "rollback", &built[1], Some(&built[1]), Some(&built[0]));
    }
}

fn uninstall(suite: Suite) {
    if sample::full() {
        let (m, built) = host(suite, 1);
        sweep(&m, "uninstall", &built[0], Some(&built[0]), None);
    }
}

fn sweep(m: &Machine, verb: &str, of: &Built, from: Option<&Built>, to: Option<&Built>) {
    let command = script(of, verb);
    let operation = Operation {
        command: &command,
        again: &[&command],
        from,
        to,
        record: &to.map_or(String::new(), |built| format!("tarball {}", built.version)),
    };
    let name = match (from, to) {
        (Some(_), Some(_)) if verb == "install" => "upgrade by a tarball".to_owned(),
        _ => format!("{verb} of a tarball"),
    };
    sweep_over(m, &name, &operation, FLOORS);
}
