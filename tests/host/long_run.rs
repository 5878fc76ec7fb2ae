//! The long run: what an upgrade leaves behind stays bounded, however many there are.

use std::time::{Duration, Instant};

use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::{App, Behaviour, Host, Migration, Suite, Transport, sample};

on_each_suite![a_hundred_upgrades];

/// Every so many upgrades one fails, and one is rolled back from.
const FAILS: usize = 40;
const ROLLS_BACK: usize = 25;

fn app(number: usize) -> App {
    let app = App::new(&format!("1.{number}"))
        .settle("0s")
        .migration(Migration::Ok)
        .release_line("keep = 3")
        .file("assets/shared", &"the same in all\n".repeat(5_000));
    if number.is_multiple_of(FAILS) {
        app.behaviour(Behaviour::ExitAtOnce)
    } else {
        app
    }
}

/// What may grow, in the order of [`LIMITS`].
fn census(host: &Host) -> Vec<u64> {
    let said = host.m.ok(
        "du -sk --exclude=/opt/acme/shared /opt/acme /var/lib/relpack /usr/lib/relpack | cut -f 1; \
         wc -c </var/lib/relpack/acme/journal; \
         for f in history activations; do wc -l </var/lib/relpack/acme/$f; done; \
         for d in seals debs migrated; do ls -A /var/lib/relpack/acme/$d | wc -l; done; \
         ls -A /var/lib/relpack/acme | wc -l; \
         ls -A /opt/acme/releases | wc -l; ls -A /opt/acme/payload | wc -l; ls -A /usr/lib/relpack/acme/units | wc -l; \
         grep -c '^Package:' /etc/apt/preferences.d/relpack-acme.pref 2>/dev/null || echo 0; \
         find /etc/systemd /usr/lib/systemd /run/systemd/generator* /run/systemd/transient /var/lib/systemd -name '*acme*' 2>/dev/null | wc -l; \
         systemctl list-units --all --no-legend --plain | wc -l; \
         ls /tmp /var/tmp | wc -l; \
         find /etc/apt -type f | wc -l",
    );
    said.stdout
        .lines()
        .map(|line| {
            line.trim()
                .parse()
                .unwrap_or_else(|e| panic!("{line:?} is no number: {e}\n{said}"))
        })
        .collect()
}

/// The name of each number of the census, and what it may not exceed; `None` where it may not exceed what it was after
/// the first upgrades.
const LIMITS: [(&str, Option<u64>); 18] = [
    ("KiB in /opt/acme", None),
    ("KiB in /var/lib/relpack", Some(2_000)),
    ("KiB in /usr/lib/relpack", None),
    ("bytes of the journal", Some(1_500)),
    ("lines of history", Some(500)),
    ("activations", Some(6)),
    ("seals", Some(6)),
    ("kept packages", Some(6)),
    ("marks of migrations", Some(1_000)),
    ("entries of the state", Some(14)),
    ("releases", Some(6)),
    ("payload entries", Some(2)),
    ("unit stores", Some(6)),
    ("pins", Some(4)),
    ("files of units", None),
    ("units that systemd knows", None),
    ("temporary files", None),
    ("files of apt's configuration", Some(14)),
];

fn a_hundred_upgrades(suite: Suite) {
    // What stays behind does not depend on the suite; a full run takes both.
    if suite == Suite::Trixie && !sample::full() {
        return;
    }
    let rounds = if sample::full() { 2_000 } else { 100 };
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    let mut at_first = Vec::new();
    let mut upgrades = 0;
    let mut spent = Duration::ZERO;
    let mut held = 0;
    let started = Instant::now();
    let mut latest: Option<Built> = None;
    for number in 1..=rounds {
        let built = app(number).build();
        let path = m.root().join("srv/next.deb");
        std::fs::copy(built.path(), &path).unwrap_or_else(|e| panic!("copy to {}: {e}", path.display()));
        let said = m.sh("dpkg -i /srv/next.deb");
        if number.is_multiple_of(FAILS) {
            said.expect_failure();
            host.dpkg_follows(&format!("1.{}", number - 1));
        } else {
            upgrades += 1;
            spent += said.expect_ok().took;
            latest = Some(built);
        }
        if number.is_multiple_of(ROLLS_BACK) && !number.is_multiple_of(FAILS) {
            m.ok("acme-release rollback");
            host.dpkg_follows(&format!("1.{}", number - 1));
            latest = None;
        }
        if number == 10 {
            // As full as after thousands, so that what keeps them bounded has work.
            m.ok("cd /var/lib/relpack/acme && head -n 1 history >/run/line && for i in $(seq 490); do cat /run/line; done >>history; \
                  rm /run/line; for i in $(seq 1100); do : >migrated/$(printf %040x $i); done");
            at_first = census(&host);
        }
        if number.is_multiple_of(50) && number > 10 {
            let now = census(&host);
            assert_eq!(now.len(), LIMITS.len(), "{now:?}");
            eprintln!("{suite}: after {number} in {:.0} s:", started.elapsed().as_secs_f64());
            let mut too_much = Vec::new();
            for ((what, limit), (now, first)) in LIMITS.iter().zip(now.iter().zip(&at_first)) {
                // Directories and logs are allotted in blocks.
                let limit = limit.unwrap_or(first + first / 10 + 20);
                let line = format!("{now} {what} (after ten: {first}, limit {limit})");
                eprintln!("{suite}:   {line}");
                if *now > limit {
                    too_much.push(line);
                }
            }
            assert!(too_much.is_empty(), "after {number}: {too_much:#?}");
            held += 1;
        }
    }
    eprintln!(
        "{suite}: held {held} of {}; {upgrades} upgrades, {:.2} s each",
        rounds / 50,
        spent.as_secs_f64() / f64::from(upgrades)
    );
    assert_eq!(held, rounds / 50);
    let log = m.ok("journalctl --disk-usage; journalctl -q --no-pager -b -o cat | wc -c");
    eprintln!("{suite}: {}", log.text());
    match latest {
        Some(built) => host.all_well(&built, &built.version),
        None => host.serves(&format!("1.{}", rounds - 1)),
    };
    let kept = m.ok("ls /var/lib/relpack/acme/migrated | wc -l; wc -l </var/lib/relpack/acme/history");
    eprintln!("{suite}: {}", kept.text());
    host.no_unit_failed();
}
