//! Debian Policy's chapter 6 on a real host: each call that dpkg makes of our scripts fails, alone and with the calls
//! that are to undo it. What dpkg then records, what serves, and the one command that gets out.

use crate::on_each_suite;
use crate::support::root::say;
use crate::support::stage::Asked::{
    self, Back, Breaker, Downgrade, Install, InstallAfterRemove, OtherHelper, Purge, PurgeAfterRemove, Reinstall,
    Remove, Rival, Upgrade,
};
use crate::support::stage::Stage;
use crate::support::tamper::{CALLS, FAIL, tampered};
use crate::support::{App, Host, Suite, app, sample};

on_each_suite![rotated: every_call_fails, rare_calls];

/// Of each suite's points, at least so many run; and in full, so many there are.
const FLOOR: usize = 16;
const FLOOR_FULL: usize = 140;

/// One way to fail. A call that fails has a `!`; with a `:name` only that shell function of the script fails.
struct Cell {
    asked: &'static [Asked],
    calls: &'static str,
    /// What dpkg records in the end.
    state: &'static str,
    /// Whose code and units serve; `same` where the process was never touched.
    serves: &'static str,
    /// Each of them alone gets out: the command, and what is there then.
    ways: &'static [&'static str],
}

const fn cell(
    asked: &'static [Asked],
    calls: &'static str,
    state: &'static str,
    serves: &'static str,
    ways: &'static [&'static str],
) -> Cell {
    Cell {
        asked,
        calls,
        state,
        serves,
        ways,
    }
}

const BOTH: &[&str] = &["install O", "install N"];
/// Where dpkg wants the package unpacked again, a plain "install" of the version that it records does nothing.
const AGAIN: &[&str] = &["reinstall O", "install N"];

#[rustfmt::skip]
const CELLS: &[Cell] = &[
    // An exchange of versions.
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade!, N prerm failed-upgrade, N preinst upgrade, O postrm upgrade, N postinst configure",
        "ii N", "N", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade!, N prerm failed-upgrade!, O postinst abort-upgrade",
        "ii O", "O same", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade!, N prerm failed-upgrade!, O postinst abort-upgrade!",
        "iFR O", "O same", AGAIN),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade!, N postrm abort-upgrade, O postinst abort-upgrade",
        "ii O", "O same", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade!, N postrm abort-upgrade!",
        "iHR O", "O same", AGAIN),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade!, N postrm abort-upgrade, O postinst abort-upgrade!",
        "iU O", "O same", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade, N postinst configure",
        "ii N", "N", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade!, O preinst abort-upgrade, N postrm abort-upgrade, O postinst abort-upgrade",
        "ii O", "O same", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade!, O preinst abort-upgrade!",
        "iHR O", "O same", AGAIN),
    cell(&[Upgrade, Downgrade],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade!, O preinst abort-upgrade, N postrm abort-upgrade!",
        "iHR O", "O same", AGAIN),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade!, O preinst abort-upgrade, N postrm abort-upgrade, O postinst abort-upgrade!",
        "iU O", "O same", BOTH),
    cell(&[Upgrade, Downgrade, Reinstall],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade, N postinst configure!",
        "iF N", "O same", &["install O", "install N", "fix N", "remove"]),

    // From a version that has failed: going back to it must never make it "installed".
    cell(&[Back],
        "O prerm upgrade!, N prerm failed-upgrade!, O postinst abort-upgrade",
        "iFR O", "N same", &["reinstall O", "install N", "retry O"]),
    cell(&[Back],
        "O prerm upgrade, N preinst upgrade!, N postrm abort-upgrade, O postinst abort-upgrade",
        "iU O", "N same", &["retry O", "install N"]),
    cell(&[Back],
        "O prerm upgrade, N preinst upgrade!, N postrm abort-upgrade!",
        "iHR O", "N same", &["reinstall O", "install N", "retry O"]),
    cell(&[Back],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade!, N postrm failed-upgrade!, O preinst abort-upgrade, N postrm abort-upgrade, O postinst abort-upgrade",
        "iU O", "N same", &["retry O", "install N"]),
    cell(&[Back],
        "O prerm upgrade, N preinst upgrade, O postrm upgrade, N postinst configure!",
        "iF N", "N same", &["install O", "install N", "fix N"]),

    // An installation.
    cell(&[Install],
        "N preinst install!, N postrm abort-install", "none", "-", &["install N"]),
    cell(&[Install],
        "N preinst install!, N postrm abort-install!", "iHR N", "-", &["reinstall N"]),
    cell(&[Install],
        "N preinst install, N postinst configure!", "iF N", "-", &["install N", "fix N", "remove", "purge"]),
    cell(&[InstallAfterRemove],
        "N preinst install!, N postrm abort-install", "ic O", "-", BOTH),
    cell(&[InstallAfterRemove],
        "N preinst install!, N postrm abort-install!", "iHR O", "-", AGAIN),
    cell(&[InstallAfterRemove],
        "N preinst install, N postinst configure!", "iF N", "-", &["install O", "install N", "fix N", "purge"]),

    // A removal.
    cell(&[Remove, Purge],
        "O prerm remove!, O postinst abort-remove", "ii O", "O same", &["install O", "remove", "purge"]),
    cell(&[Remove, Purge],
        "O prerm remove!, O postinst abort-remove!", "iF O", "O same", &["install O", "remove", "purge"]),
    cell(&[Remove],
        "O prerm remove, O postrm remove!", "rH O", "-", &["reinstall O", "remove"]),
    cell(&[Purge],
        "O prerm remove, O postrm remove!", "iH O", "-", &["reinstall O", "remove"]),
    cell(&[Purge],
        "O prerm remove, O postrm remove, O postrm purge!", "ic O", "-", &["install O", "purge"]),
    cell(&[PurgeAfterRemove],
        "O postrm purge!", "ic O", "-", &["install O", "purge"]),

    // In favour of another package.
    cell(&[Rival],
        "O prerm remove!, O postinst abort-remove", "ii O", "O same", &["install O", "remove"]),
    cell(&[Rival],
        "O prerm remove!, O postinst abort-remove!", "iF O", "O same", &["install O", "fix O", "remove"]),
    cell(&[Rival],
        "O prerm remove, rival preinst install!, rival postrm abort-install, O postinst abort-remove",
        "ii O", "O", &["install O"]),
    cell(&[Rival],
        "O prerm remove, rival preinst install!, rival postrm abort-install, O postinst abort-remove!",
        "iH O", "-", &["reinstall O", "remove"]),
    cell(&[Rival],
        "O prerm remove, rival preinst install, O postrm remove!", "iH O", "-", &["reinstall O", "remove"]),
    cell(&[Breaker],
        "O prerm deconfigure!, O postinst abort-deconfigure", "ii O", "O same", &["install O"]),
    cell(&[Breaker],
        "O prerm deconfigure!, O postinst abort-deconfigure!", "iF O", "O same", &["install O", "fix O"]),
    cell(&[Breaker],
        "O prerm deconfigure, breaker preinst install!, breaker postrm abort-install, O postinst abort-deconfigure",
        "ii O", "O same", &["install O"]),
    cell(&[Breaker],
        "O prerm deconfigure, breaker preinst install!, breaker postrm abort-install, O postinst abort-deconfigure!",
        "iF O", "O same", &["install O", "fix O", "remove"]),
    cell(&[Breaker],
        "O prerm deconfigure, breaker preinst install, breaker postinst configure!",
        "iF O", "O same", &["drop breaker"]),
    cell(&[OtherHelper],
        "O prerm deconfigure, acme-helper prerm remove!, acme-helper postinst abort-remove, O postinst abort-deconfigure",
        "ii O", "O same", &["install O"]),
    cell(&[OtherHelper],
        "O prerm deconfigure, acme-helper prerm remove, other-helper preinst install!, other-helper postrm abort-install, acme-helper postinst abort-remove, O postinst abort-deconfigure!",
        "iF O", "O same", &["install O", "fix O", "remove"]),
];

/// One point: it fails as the cell says, and the way gets out.
fn point(stage: &Stage, asked: Asked, cell: &Cell, way: &str) {
    let fails: Vec<&str> = cell
        .calls
        .split(", ")
        .filter_map(|call| call.strip_suffix('!'))
        .collect();
    let done = stage.ask(asked, &fails);
    let context = done.context();
    let calls: Vec<String> = cell
        .calls
        .split(", ")
        .map(|call| asked.named(call.trim_end_matches('!')))
        .collect();
    assert_eq!(called(&done.calls), calls.join(", "), "{context}");
    let undone = calls.last().is_some_and(|last| last.contains("abort-")) || cell.calls.ends_with('!');
    assert_eq!(done.said.succeeded(), !undone, "{context}");
    stage.expect(asked, &done, cell.state, cell.serves);
    if done.after.is_some() {
        assert_eq!(
            Some(stage.host.current()),
            done.after.as_ref().map(|a| a.release_id.clone()),
            "{context}"
        );
    }
    stage.leave(asked, &done, way);
}

/// The log of calls in the cells' words.
fn called(log: &str) -> String {
    let calls = log.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (script, version, argument) = (words.next()?, words.next()?, words.next()?);
        Some(match script.split_once('.') {
            Some((package, script)) => format!("{package} {script} {argument}"),
            None => format!("{version} {script} {argument}"),
        })
    });
    calls.collect::<Vec<_>>().join(", ")
}

fn every_call_fails(suite: Suite) {
    let points: Vec<(Asked, &Cell, &str)> = CELLS
        .iter()
        .flat_map(|cell| {
            let ways = move |asked: &'static Asked| cell.ways.iter().map(move |way| (*asked, cell, *way));
            cell.asked.iter().flat_map(ways)
        })
        .collect();
    let stage = Stage::new(suite);
    let picked = sample::pick(points.len(), FLOOR);
    let mut failed = Vec::new();
    for index in &picked {
        let (asked, cell, way) = points[*index];
        if !stage.holds(|| point(&stage, asked, cell, way)) {
            failed.push(format!("{index}: {asked:?}: {}; out by {way}", cell.calls));
        }
    }
    let held = picked.len() - failed.len();
    say(&format!(
        "{suite}: held {held} of {} ways to fail and to get out",
        picked.len()
    ));
    assert!(picked.len() >= if sample::full() { FLOOR_FULL } else { FLOOR });
    assert!(failed.is_empty(), "{failed:#?}");
}

/// What apt never asks for, on one host: a trigger, a forced removal that skips prerm, a package that takes over all files.
fn rare_calls(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = App::new("1.0").settle("0s").build();
    let package = tampered(built.path(), "1.0", str::to_owned, "interest /usr/share/acme-trigger\n");
    host.repo.add(m, &[package.path()]);

    // A unit of the same name that somebody made by hand, and that runs: the package's release takes its place.
    m.put(
        "/usr/lib/systemd/system/acme.service",
        "[Service]\nExecStart=/usr/bin/sleep infinity\n",
    );
    m.ok(&format!(
        "systemctl daemon-reload && systemctl start acme.service && mkdir {FAIL}"
    ));
    host.install("1.0").expect_ok();
    let pid = host.all_well(&built, "1.0").pid;

    let activate = "dpkg-trigger --no-await --by-package=base-files /usr/share/acme-trigger; dpkg --triggers-only -a";
    m.ok(&format!("rm {CALLS}; {activate}"));
    assert_eq!(called(&m.read(CALLS)), "1.0 postinst triggered");
    assert_eq!(host.all_well(&built, "1.0").pid, pid);
    m.ok(&format!("touch {FAIL}/postinst-1.0-triggered"));
    m.sh(activate).expect_failure();
    assert_eq!(host.dpkg(), "iF  1.0");
    m.ok(&format!("rm {FAIL}/* && apt-get install -y -q -f"));
    assert_eq!(host.all_well(&built, "1.0").pid, pid);

    // Half-installed, and then removed by force: dpkg calls no prerm.
    m.ok(&format!(
        "touch {FAIL}/preinst-1.0-upgrade {FAIL}/postrm-1.0-abort-upgrade"
    ));
    m.sh("apt-get install -y -q --reinstall acme").expect_failure();
    assert_eq!(host.dpkg(), "iHR 1.0");
    assert_eq!(host.serves("1.0").pid, pid);
    m.ok(&format!(
        "rm {FAIL}/* {CALLS} && dpkg --remove --force-remove-reinstreq acme"
    ));
    assert_eq!(called(&m.read(CALLS)), "1.0 postrm remove");
    nothing_is_left(&host);
    host.install("1.0").expect_ok();
    host.all_well(&built, "1.0");

    // Another package has all of its files. No package of relpack's can: the name is in their paths.
    m.ok(&format!(
        "dpkg-deb -R /srv/apt/acme_1.0_all.deb /tmp/zeta && cd /tmp/zeta/DEBIAN && rm p* triggers && \
         sed -i 's/^Package: .*/Package: zeta\\nReplaces: acme/' control && dpkg-deb -b /tmp/zeta /tmp/zeta.deb && \
         rm {CALLS} && touch {FAIL}/postrm-1.0-disappear"
    ));
    let pid = host.serves("1.0").pid;
    m.sh("dpkg -i /tmp/zeta.deb").expect_failure();
    // It fails before anything is taken away, and the same command again is the way out.
    assert_eq!(host.dpkg(), "ii  1.0");
    assert_eq!(m.ok("dpkg-query -W -f '${db:Status-Abbrev}' zeta").stdout, "iHR");
    assert_eq!(host.serves("1.0").pid, pid);
    m.ok(&format!("rm {FAIL}/* {CALLS} && dpkg -i /tmp/zeta.deb"));
    assert_eq!(called(&m.read(CALLS)), "1.0 postrm disappear");
    nothing_is_left(&host);
    m.ok("dpkg -P zeta");
    host.install("1.0").expect_ok();
    host.all_well(&built, "1.0");
}

fn nothing_is_left(host: &Host) {
    assert_eq!(app::ask(&host.m), None);
    let left = host
        .m
        .ok("ls -d /opt/acme/releases /opt/acme/current /usr/lib/relpack /etc/systemd/system/*/acme* 2>/dev/null || :");
    assert_eq!(left.text(), "", "left behind");
    host.no_unit_failed();
}
