//! The host itself dies: its init is killed, or its power is cut, at random points of an upgrade and right after it.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::kill;
use crate::support::app::Built;
use crate::support::process::Running;
use crate::support::sweep::{Point, Tally, caught};
use crate::support::{App, Host, Machine, Migration, Suite, Transport, faults, sample};
use crate::{hold, on_each_suite};

on_each_suite![rotated: init_is_killed, power_is_cut];

const ROUNDS_FULL: usize = 50;
/// On each suite.
const ROUNDS_SAMPLED: usize = 10;

const UPGRADE_LIMIT: Duration = Duration::from_secs(120);

fn rounds() -> usize {
    if sample::full() { ROUNDS_FULL } else { ROUNDS_SAMPLED }
}

/// When the host dies in this round: seven of ten times within [0, 1.1) of an upgrade, else right after it, also because
/// what an upgrade takes changes with what else the machine does, and after a boot.
fn point(round: usize) -> When {
    if round % 10 >= 7 {
        return When::Success;
    }
    let drawn = Sha256::digest(sample::seed().to_string());
    let first = f64::from(u16::from_be_bytes([drawn[0], drawn[1]])) / 65536.0;
    // By the golden ratio: few points, too, lie all over, and in no order.
    When::Part(1.1 * (first + round as f64 * 0.618_034).fract())
}

/// Large enough to be more than one block of one file when it reaches the disk late, or never.
fn app(round: usize) -> App {
    let version = format!("{round}.0");
    let text: String = (0..20_000).map(|line| format!("{version} {line}\n")).collect();
    App::new(&version)
        .migration(Migration::Ok)
        .timer()
        .settle("0s")
        .file("assets/large", &text)
        .file("assets/unchanged", &"unchanged\n".repeat(10_000))
}

/// When the host dies.
#[derive(Clone, Copy)]
enum When {
    /// At this part of an upgrade's usual time.
    Part(f64),
    /// When dpkg has unpacked the new version, and its script begins.
    Unpacked,
    /// When apt has reported success.
    Success,
}

/// The first point in a postinst.
const FIRST_POINT: &str = "before-prepare";

/// Runs `rounds` upgrades, each to a new release, from 1.0 on.
struct Sweep {
    host: Host,
    built: Vec<Built>,
    /// Of an upgrade that nobody disturbs.
    took: Duration,
    inside: usize,
    after: usize,
    old: usize,
    tally: Tally,
}

impl Sweep {
    fn begin(machine: Machine, rounds: usize) -> Sweep {
        let suite = machine.suite();
        let host = Host::on(machine, Transport::Http);
        let apps: Vec<App> = (1..=rounds + 2).map(app).collect();
        let mut built: Vec<Built> = apps.iter().map(App::build).collect();
        if let Some(last) = built.pop() {
            built.push(last.with_points());
        }
        let paths: Vec<_> = built.iter().map(Built::path).collect();
        host.repo.add(&host.m, &paths);
        host.m.ok("sync");
        host.install("1.0").expect_ok();
        let took = host.install("2.0").expect_ok().took;
        host.all_well(&built[1], "2.0");
        eprintln!(
            "{suite}: an upgrade takes {:.2} s; points by RELPACK_SEED={}",
            took.as_secs_f64(),
            sample::seed()
        );
        Sweep {
            host,
            built,
            took,
            inside: 0,
            after: 0,
            old: 0,
            tally: Tally::default(),
        }
    }

    /// The upgrade of this round, and the end of the host by `die`. Afterwards nobody does anything but switch it on; when
    /// that has been looked at, the upgrade is finished.
    fn round(&mut self, round: usize, at: When, how: &str, die: impl FnOnce(&mut Machine)) {
        let result = caught(|| self.upgrade(round, at, how, die)).and_then(|result| result);
        if result.is_err() {
            self.host.begin_anew(&format!("{}.0", round + 2));
        }
        let call = how.to_owned();
        self.tally.add(&Point { number: round, call }, result);
    }

    /// An `Err` where apt had reported success, and the new release does not serve or is not `current`.
    fn upgrade(&mut self, round: usize, at: When, how: &str, die: impl FnOnce(&mut Machine)) -> Result<(), String> {
        let (old, new) = (round + 1, round + 2);
        let (from, to) = (format!("{old}.0"), format!("{new}.0"));
        let (old, new) = (&self.built[old - 1], &self.built[new - 1]);
        let m = &mut self.host.m;
        if let When::Unpacked = at {
            faults::arm(m, FIRST_POINT, faults::HOLD);
        }
        let started = Instant::now();
        let mut running = Some(m.spawn(&format!(
            "systemd-run -q --scope --unit=up{round} apt-get install -y -q acme={to}"
        )));
        let mut ended = None;
        match at {
            When::Part(part) => std::thread::sleep(self.took.mul_f64(part)),
            When::Unpacked => faults::hit(m, FIRST_POINT),
            When::Success => {
                ended = running.take().map(|upgrade| upgrade.wait(UPGRADE_LIMIT).expect_ok());
                self.took = ended.as_ref().map_or(self.took, |ended| ended.took);
            }
        }
        let inside = running.as_mut().is_some_and(Running::is_running);
        let when = started.elapsed().as_secs_f64();
        die(m);
        if let Some(upgrade) = running {
            ended = Some(upgrade.wait(UPGRADE_LIMIT));
        }
        let succeeded = !inside && ended.is_some_and(|ended| ended.succeeded());
        m.start();
        let context = format!("{how} {when:.2} s into the upgrade {from} → {to}, apt had ended: {succeeded}");
        self.inside += usize::from(inside);
        // The first one may have been slower than those that follow, and all points would come too late.
        if let (When::Part(part), false) = (at, inside) {
            self.took = self.took.mul_f64(part.min(1.0));
        }
        self.after += usize::from(succeeded);

        self.host.resumed();
        let answer = self.host.whole(&[old, new], &context);
        self.old += usize::from(answer.code == from);
        let lost = succeeded && (answer.code != to || self.host.current() != new.release_id);
        hold!(!lost, "{context}: the new release was lost");
        self.host.no_unit_failed();
        if !succeeded {
            kill::finish(&self.host, &to, &context);
        }
        self.host.all_well(new, &to);
        let partial = self
            .host
            .m
            .ok("find /opt/acme/releases /opt/acme -maxdepth 1 -name '.*'");
        assert_eq!(partial.text(), "", "{context}: left behind\n{partial}");
        Ok(())
    }

    fn report(self, what: &str, rounds: usize) {
        let what = format!(
            "{}: {what} (RELPACK_SEED={}), {} inside the run, {} after apt had reported success, the old release served at {}",
            self.host.m.suite(),
            sample::seed(),
            self.inside,
            self.after,
            self.old
        );
        self.tally.expect(&what, rounds);
        // Of few, chance has more outside.
        let share = if sample::full() { 2 } else { 3 };
        assert!(
            self.inside * share >= rounds,
            "only {} of {rounds} lay inside the run",
            self.inside
        );
        assert!(
            self.after * 5 >= rounds,
            "only {} of {rounds} came after apt had ended",
            self.after
        );
    }
}

fn init_is_killed(suite: Suite) {
    let rounds = rounds();
    let mut sweep = Sweep::begin(Machine::boot(suite), rounds);
    for round in 1..=rounds {
        sweep.round(round, point(round), "init was killed", Machine::kill9);
    }
    sweep.report("init is killed", rounds);
}

fn power_is_cut(suite: Suite) {
    // The last is one more, at a point that chance would seldom find.
    let rounds = rounds() + 1;
    let mut machine = Machine::on_a_disk(suite, &[]);
    // There nobody else's sync makes our switch durable: dpkg's own reach only the root.
    machine.own_file_system("/opt");
    machine.start();
    let mut sweep = Sweep::begin(machine, rounds);
    for round in 1..=rounds {
        // Every second is mounted in the way that old kernels and other settings have.
        let kind = round + usize::from(suite == Suite::Trixie);
        let options = if kind.is_multiple_of(2) { "" } else { "noauto_da_alloc" };
        let at = if round == rounds { When::Unpacked } else { point(round) };
        let how = format!("the power was cut (mounted with {options:?})");
        sweep.round(round, at, &how, |m| m.cut_power(options));
    }
    sweep.report("power is cut", rounds);
}
