//! What a preset promises of a service that runs under it.

use super::machine::Machine;

/// What `systemd-analyze security` may say of the unit that runs, of 10.
const EXPOSURE_MAX: f64 = 2.5;

/// What of the host each service of the package can reach is as little as promised: servers, workers, jobs and migrations.
#[track_caller]
pub fn expect_exposure(host: &Machine, package: &str) {
    let listed = host.ok(&format!(
        "cd /usr/lib/systemd/system && grep -lx 'Package={package}' ./*.service"
    ));
    for unit in listed.text().lines().map(|path| path.trim_start_matches("./")) {
        let said = host.ok(&format!("SYSTEMD_EMOJI=0 systemd-analyze security --no-pager {unit}"));
        let line = said
            .stdout
            .lines()
            .rev()
            .find(|line| line.contains("Overall exposure level"));
        let exposure: f64 = line
            .and_then(|line| line.rsplit_once(": ")?.1.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no exposure\n{said}"));
        eprintln!("{}: {unit} has an exposure of {exposure}", host.suite());
        assert!(exposure <= EXPOSURE_MAX, "{unit}: {exposure} of {EXPOSURE_MAX}");
    }
}

/// It ends when it is told to, and says that all is well.
#[track_caller]
pub fn expect_orderly_stop(host: &Machine, unit: &str) {
    host.ok(&format!("systemctl stop {unit}"));
    let ended = host.ok(&format!("systemctl show -p Result -p ActiveState --value {unit}"));
    assert_eq!(
        ended.text(),
        "success\ninactive",
        "it stops in order\n{}",
        host.journal(50)
    );
}

/// Nothing that units of this pattern did was refused to them.
#[track_caller]
pub fn expect_nothing_denied(host: &Machine, units: &str) {
    let refusals = "not permitted|[^a-z]EPERM|SIGSYS|denied|read-only file system";
    let denied = host.sh(&format!(
        "journalctl --no-pager -q -u '{units}' | grep -iE '{refusals}'"
    ));
    assert_eq!(denied.text(), "", "the sandbox is in its way");
}
