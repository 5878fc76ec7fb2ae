//! Debian Policy's chapter 6 on a real host: each call that dpkg makes of our scripts fails, alone and with the calls
//! that are to undo it. What dpkg then records, what serves, and the one command that gets out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{self, Built};
use crate::support::process::Output;
use crate::support::tamper::{CALLS, FAIL, Tampered, plain, tampered};
use crate::support::{App, Host, Migration, Suite, sample};

on_each_suite![every_call_fails];

/// Of each suite's points, at least so many run.
const FLOOR: usize = 24;

/// What is asked of dpkg. `O` is the version that is there, `N` the one that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Upgrade,
    Downgrade,
    Reinstall,
    /// 2.0 has failed and is half-configured, 1.0 serves, and now comes 1.0.
    Back,
    Install,
    InstallAfterRemove,
    Remove,
    Purge,
    PurgeAfterRemove,
    /// `rival` conflicts with ours.
    Rival,
    /// `breaker` breaks ours.
    Breaker,
    /// `other-helper` conflicts with what ours depends on.
    OtherHelper,
}

use Asked::{
    Back, Breaker, Downgrade, Install, InstallAfterRemove, OtherHelper, Purge, PurgeAfterRemove, Reinstall, Remove,
    Rival, Upgrade,
};

impl Asked {
    /// (what is there first, O, N)
    fn versions(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Upgrade => ("ii 1.0", "1.0", "2.0"),
            Downgrade => ("ii 2.0", "2.0", "1.0"),
            Back => ("iF 2.0", "2.0", "1.0"),
            Install => ("none", "", "1.0"),
            InstallAfterRemove => ("rc 1.0", "1.0", "2.0"),
            PurgeAfterRemove => ("rc 1.0", "1.0", ""),
            Reinstall => ("ii 1.0", "1.0", "1.0"),
            Remove | Purge | Rival | Breaker | OtherHelper => ("ii 1.0", "1.0", ""),
        }
    }

    fn command(self) -> &'static str {
        match self {
            Upgrade | InstallAfterRemove => "apt-get install -y -q acme=2.0",
            Install => "apt-get install -y -q acme=1.0",
            Downgrade | Back => "apt-get install -y -q --allow-downgrades acme=1.0",
            Reinstall => "apt-get install -y -q --reinstall acme=1.0",
            Remove => "apt-get remove -y -q acme",
            Purge | PurgeAfterRemove => "apt-get purge -y -q acme",
            // apt removes or upgrades ours beforehand; dpkg alone does it in favour of the other one.
            Rival => "dpkg --auto-deconfigure -i /srv/apt/rival_1.0_all.deb",
            Breaker => "dpkg --auto-deconfigure -i /srv/apt/breaker_1.0_all.deb",
            OtherHelper => "dpkg --auto-deconfigure -i /srv/apt/other-helper_1.0_all.deb",
        }
    }
}

/// One way to fail. A call that fails has a `!`; with a `:name` only that shell function of the script fails.
struct Cell {
    asked: &'static [Asked],
    calls: &'static str,
    /// What dpkg records in the end.
    state: &'static str,
    /// Whose code and units serve; `same` where the process was never touched.
    serves: &'static str,
    /// Each of them gets out, alone: the command, and what is there then.
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
        "O prerm remove, O postrm remove!", "rH O", "-", &["reinstall O", "remove", "purge"]),
    cell(&[Purge],
        "O prerm remove, O postrm remove!", "iH O", "-", &["reinstall O", "remove", "purge"]),
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

/// The host, and the packages that it is shown.
struct Stage {
    host: Host,
    built: Vec<Built>,
    _packages: Vec<Tampered>,
}

impl Stage {
    fn new(suite: Suite) -> Stage {
        let host = Host::boot(suite);
        let depends = |text: &str| text.replace("Depends: ", "Depends: acme-helper | other-helper, ");
        let apps = ["1.0", "2.0"].map(|version| App::new(version).migration(Migration::Ok).timer().settle("0s"));
        let built: Vec<Built> = apps.iter().map(App::build).collect();
        let mut packages: Vec<Tampered> = built
            .iter()
            .map(|b| tampered(b.path(), &b.version, depends, ""))
            .collect();
        packages.push(plain("acme-helper", "1.0", ""));
        packages.push(plain("rival", "1.0", "Conflicts: acme\nReplaces: acme\n"));
        packages.push(plain("breaker", "1.0", "Breaks: acme\n"));
        packages.push(plain(
            "other-helper",
            "1.0",
            "Conflicts: acme-helper\nReplaces: acme-helper\n",
        ));
        let paths: Vec<_> = packages.iter().map(Tampered::path).collect();
        host.repo.add(&host.m, &paths);
        host.m.ok("apt-get install -y -q acme-helper");
        Stage {
            host,
            built,
            _packages: packages,
        }
    }

    /// `ii 1.0`, or `none`.
    fn state(&self) -> String {
        let said = self.host.dpkg();
        let words: Vec<&str> = said.split_whitespace().collect();
        match words.as_slice() {
            [] | [_] => "none".to_owned(),
            words => words.join(" "),
        }
    }

    fn install(&self, version: &str) -> Output {
        self.host
            .m
            .sh(&format!("apt-get install -y -q --allow-downgrades acme={version}"))
    }

    /// From wherever the host is to where the next point begins.
    fn begin(&self, wanted: &str) {
        let m = &self.host.m;
        m.ok(&format!("rm -rf {FAIL} && mkdir {FAIL}"));
        self.healed();
        m.ok("for p in rival breaker other-helper; do dpkg-query -W $p >/dev/null 2>&1 && dpkg -P --force-depends $p; done; \
              systemctl unmask --runtime -q relpack-heal-acme.service; \
              [ \"$(dpkg-query -W -f '${db:Status-Abbrev}' acme-helper)\" = 'ii ' ] || dpkg -i /srv/apt/acme-helper_1.0_all.deb");
        if self.state() != wanted {
            match wanted.split_once(' ') {
                Some(("ii", version)) => {
                    self.install(version).expect_ok();
                }
                Some(("rc", version)) => {
                    self.install(version).expect_ok();
                    m.ok("apt-get remove -y -q acme");
                }
                Some(("iF", _)) => {
                    self.install("1.0").expect_ok();
                    m.ok("systemctl mask --runtime -q relpack-heal-acme.service");
                    m.ok(&format!("touch {FAIL}/postinst-2.0:start_recreate"));
                    self.install("2.0").expect_failure();
                    m.ok(&format!("rm {FAIL}/*"));
                }
                _ => {
                    m.ok("apt-get purge -y -q acme");
                }
            }
        }
        assert_eq!(self.state(), wanted, "where the point begins");
    }

    fn healed(&self) {
        self.host.m.wait_for(
            "! systemctl -q is-active relpack-heal-acme.service",
            Duration::from_secs(60),
        );
    }

    /// One point: it fails as the cell says, and the way gets out.
    fn point(&self, asked: Asked, cell: &Cell, way: &str) {
        let m = &self.host.m;
        let (first, old, new) = asked.versions();
        let named = |text: &str| -> String {
            let words = text.split(' ').map(|word| match word {
                "O" => old,
                "N" => new,
                word => word,
            });
            words.collect::<Vec<_>>().join(" ")
        };
        // Of a reinstallation both are one version: then the other one.
        let way = if (asked, way) == (Reinstall, "install N") {
            "install 2.0"
        } else {
            way
        };
        self.begin(first);
        let before = app::ask(m);
        for call in cell.calls.split(", ").filter_map(|call| call.strip_suffix('!')) {
            m.ok(&format!("touch {FAIL}/{}", trigger(&named(call))));
        }
        m.ok(&format!("rm -f {CALLS}; touch {CALLS}"));
        let said = m.sh(asked.command());
        self.healed();
        let succeeds = cell
            .calls
            .rsplit(", ")
            .next()
            .is_some_and(|last| !last.ends_with('!') && !last.contains("abort-"));
        let state = self.state();
        let after = app::ask(m);
        let calls = m.read(CALLS);
        let context = format!("dpkg says {state:?}, {after:?} answers; {said}\n{calls}");
        assert_eq!(said.succeeded(), succeeds, "{context}");
        assert_eq!(state, named(cell.state), "{context}");
        let expected: Vec<String> = cell
            .calls
            .split(", ")
            .map(|call| named(call.trim_end_matches('!')))
            .collect();
        assert_eq!(called(&calls), expected.join(", "), "{context}");
        // Code and units of one version, or nothing.
        let (serves, touched) = match cell.serves.strip_suffix(" same") {
            Some(whose) => (named(whose), false),
            None => (named(cell.serves), true),
        };
        match &after {
            None => assert_eq!(serves, "-", "nothing answers; {context}"),
            Some(answer) => {
                assert_eq!((&answer.code, &answer.unit), (&serves, &serves), "{context}");
                assert_eq!(self.host.current(), answer.release_id, "{context}");
                if !touched {
                    assert_eq!(before.map(|b| b.pid), Some(answer.pid), "it was restarted; {context}");
                }
            }
        }
        if let Some(version) = state.strip_prefix("ii ") {
            assert_eq!(version, serves, "installed without a successful activation; {context}");
        }

        m.ok(&format!("rm -f {FAIL}/*"));
        let out = self.way_out(&named(way)).expect_ok();
        self.healed();
        let context = format!("{context}\nthe way out was {out}");
        let state = self.state();
        match way {
            "remove" => assert!(
                ["none", "rc"].contains(&state.split(' ').next().unwrap_or_default()),
                "{context}"
            ),
            "purge" => assert_eq!(state, "none", "{context}"),
            _ => {
                let version = named(
                    way.split_once(' ')
                        .map_or("O", |(verb, version)| if verb == "drop" { "O" } else { version }),
                );
                assert_eq!(state, format!("ii {version}"), "{context}");
                let built = self.built.iter().find(|b| b.version == version);
                self.host
                    .all_well(built.unwrap_or_else(|| panic!("no version {version}")), &version);
            }
        }
        if ["remove", "purge"].contains(&way) {
            let left = m.ok("ls -d /opt/acme/releases /opt/acme/current /usr/lib/relpack /usr/lib/systemd/system/acme* 2>/dev/null || :");
            assert_eq!(left.text(), "", "left behind; {context}");
            assert_eq!(app::ask(m), None, "{context}");
            self.host.no_unit_failed();
        }
        let audit = m.ok("dpkg --audit");
        assert_eq!(audit.text(), "", "{context}");
    }

    fn way_out(&self, way: &str) -> Output {
        let m = &self.host.m;
        match way.split_once(' ') {
            Some(("install", version)) => self.install(version),
            Some(("reinstall", version)) => m.sh(&format!(
                "apt-get install -y -q --reinstall --allow-downgrades acme={version}"
            )),
            Some(("retry", _)) => m.sh("acme-release retry"),
            Some(("fix", _)) => m.sh("apt-get install -y -q -f"),
            Some(("drop", package)) => m.sh(&format!("apt-get remove -y -q {package}")),
            _ => m.sh(&format!("apt-get {way} -y -q acme")),
        }
    }
}

/// `1.0 prerm upgrade` → the file that makes it fail.
fn trigger(call: &str) -> String {
    let mut words = call.split(' ');
    let (Some(who), Some(script), Some(argument)) = (words.next(), words.next(), words.next()) else {
        panic!("no call: {call}");
    };
    let separator = if argument.starts_with(':') { "" } else { "-" };
    if who.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{script}-{who}{separator}{argument}")
    } else {
        format!("{who}.{script}-1.0{separator}{argument}")
    }
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
        let tried = catch_unwind(AssertUnwindSafe(|| stage.point(asked, cell, way)));
        if tried.is_err() {
            failed.push(format!("{index}: {asked:?}: {}; out by {way}", cell.calls));
            // The next point starts from nothing.
            stage.host.m.sh(&format!("rm -f {FAIL}/*"));
            stage.healed();
            stage.host.m.sh("dpkg --purge --force-all acme rival breaker other-helper; apt-get install -y -q -f; rm -rf /opt/acme /var/lib/relpack /usr/lib/relpack");
        }
    }
    let held = picked.len() - failed.len();
    eprintln!("{suite}: held {held} of {} ways to fail and to get out", picked.len());
    assert!(picked.len() >= FLOOR.min(points.len()));
    assert!(failed.is_empty(), "{failed:#?}");
}
