//! A machine with a repository and the test application's package: what most tests start from, and what they all ask.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::app::{self, Answer, App, Built};
use super::machine::Machine;
use super::process::Output;
use super::repo::{Repo, Transport};
use super::root::Suite;

/// Within this time after a failed deploy, apt must work for everything else.
const HEAL_LIMIT: Duration = Duration::from_secs(60);

/// A booted machine whose apt knows one repository.
#[derive(Debug)]
pub struct Host {
    pub m: Machine,
    pub repo: Repo,
}

impl Host {
    /// With a repository over HTTP, as real hosts have.
    pub fn boot(suite: Suite) -> Host {
        Host::boot_with(suite, Transport::Http)
    }

    pub fn boot_with(suite: Suite, transport: Transport) -> Host {
        Host::on(Machine::boot(suite), transport)
    }

    /// On a machine that was booted in another way.
    pub fn on(m: Machine, transport: Transport) -> Host {
        let repo = Repo::new(&m, transport);
        Host { m, repo }
    }

    /// Builds versions and puts them into the repository.
    #[track_caller]
    pub fn publish(&self, apps: &[App]) -> Vec<Built> {
        let built: Vec<Built> = apps.iter().map(App::build).collect();
        let paths: Vec<_> = built.iter().map(Built::path).collect();
        self.repo.add(&self.m, &paths);
        built
    }

    /// Builds one version, publishes it and installs it with apt.
    #[track_caller]
    pub fn deploy(&self, app: &App) -> Built {
        let built = self.publish(std::slice::from_ref(app)).remove(0);
        self.install(&built.version).expect_ok();
        built
    }

    /// `apt-get install -y acme=VERSION`.
    #[track_caller]
    pub fn install(&self, version: &str) -> Output {
        self.m.sh(&format!("apt-get install -y -q acme={version}"))
    }

    /// What dpkg says: `ii  1.0`, `iF  2.0`, or nothing.
    #[track_caller]
    pub fn dpkg(&self) -> String {
        let said = self.m.sh("dpkg-query -W -f '${db:Status-Abbrev} ${Version}' acme");
        said.text().to_owned()
    }

    /// Fails the test unless dpkg says that exactly this version is installed and configured.
    #[track_caller]
    pub fn expect_dpkg(&self, version: &str) {
        assert_eq!(self.dpkg(), format!("ii  {version}"), "dpkg's record");
        let audit = self.m.ok("dpkg --audit");
        assert_eq!(audit.text(), "", "{audit}");
    }

    /// Fails the test unless the application answers with the code and the unit file of `body`.
    #[track_caller]
    pub fn serves(&self, body: &str) -> Answer {
        app::expect_serves(&self.m, body)
    }

    /// The same, within ten seconds: after a kill or a boot the start is systemd's own affair.
    #[track_caller]
    pub fn comes_to_serve(&self, body: &str) -> Answer {
        self.answers();
        self.serves(body)
    }

    /// What the application answers as soon as it does, within ten seconds.
    #[track_caller]
    pub fn answers(&self) -> Answer {
        let started = Instant::now();
        loop {
            if let Some(answer) = app::ask(&self.m) {
                return answer;
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "the application does not answer\n{}",
                self.m.sh("systemctl status --no-pager -l 'acme*'; acme-release status")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The main process of a unit; 0 when it has none.
    #[track_caller]
    pub fn pid(&self, unit: &str) -> u64 {
        let said = self.m.ok(&format!("systemctl show -p MainPID --value {unit}"));
        said.text()
            .parse()
            .unwrap_or_else(|e| panic!("MainPID is no number: {e}\n{said}"))
    }

    /// What `systemctl is-enabled` says of units, in their order.
    #[track_caller]
    pub fn enabled(&self, units: &str) -> String {
        let said = self.m.sh(&format!("systemctl is-enabled {units}"));
        said.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Fails the test when a unit of the host has failed.
    #[track_caller]
    pub fn no_unit_failed(&self) {
        let failed = self.m.ok("systemctl list-units --failed --no-legend --plain");
        assert_eq!(failed.text(), "", "failed units\n{failed}");
    }

    /// What a boot goes on with after an activation that ended with the host has ended. Whatever answers meanwhile has the
    /// code and the unit file of one release.
    #[track_caller]
    pub fn resumed(&self) {
        let job = "systemctl -q is-active relpack-resume-acme.service";
        let started = Instant::now();
        while self.m.sh(job).succeeded() {
            if let Some(answer) = app::ask(&self.m) {
                assert_eq!(answer.code, answer.unit, "code and unit file are parted after a boot");
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{}",
                self.m
                    .sh("journalctl -u relpack-resume-acme.service; systemctl list-jobs")
            );
        }
    }

    /// One whole release of these serves, under its own unit file, and `current` points to a whole one of them.
    #[track_caller]
    pub fn whole(&self, releases: &[&Built], context: &str) -> Answer {
        let answer = self.answers();
        assert_eq!(answer.code, answer.unit, "{context}: code and unit file are parted");
        let serving = releases.iter().find(|built| built.version == answer.code);
        assert_eq!(
            serving.map(|built| built.release_id.as_str()),
            Some(answer.release_id.as_str()),
            "{context}: what serves {} is not its release",
            answer.code
        );
        let current = self.current();
        assert!(
            releases.iter().any(|built| built.release_id == current),
            "{context}: current is {current}"
        );
        answer
    }

    /// After a point that did not hold: nothing is left of it, and the next one begins with this version.
    #[track_caller]
    pub fn begin_anew(&mut self, version: &str) {
        if !self.m.is_running() {
            self.m.start();
        }
        self.m
            .sh("rm -rf /run/relpack-faults; systemctl kill -s KILL 'interrupted.scope' 'up*.scope'; \
             systemctl stop relpack-heal-acme.service relpack-resume-acme.service; systemctl unmask relpack-resume-acme.service; \
             dpkg --purge --force-all acme; apt-get install -y -q -f; rm -rf /opt/acme /var/lib/relpack /usr/lib/relpack");
        self.install(version).expect_ok();
    }

    /// The whole picture after an activation has ended well: code and unit of `body` serve, dpkg and
    /// `acme-release status` say the same, nothing has failed, nothing stands in for a delivered unit.
    #[track_caller]
    pub fn all_well(&self, built: &Built, body: &str) -> Answer {
        let answer = self.serves(body);
        assert_eq!(answer.release_id, built.release_id, "the running release");
        self.expect_dpkg(&built.version);
        let status = self.status();
        assert_eq!(status["version"], built.version.as_str(), "{status}");
        assert_eq!(status["release"], built.release_id.as_str(), "{status}");
        self.m.ok("acme-release status");
        assert_eq!(self.current(), built.release_id, "the link `current`");
        self.no_unit_failed();
        let generated = self.m.ok("find /run/systemd/generator* -name '*acme*'");
        assert_eq!(generated.text(), "", "generated units\n{generated}");
        assert_eq!(self.enabled("acme.service"), "enabled");
        answer
    }

    /// `acme-release status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        let said = self.m.sh("acme-release status --json");
        serde_json::from_str(said.text()).unwrap_or_else(|e| panic!("status is no JSON: {e}\n{said}"))
    }

    /// The release to which `current` points; fails the test unless it is there and whole.
    #[track_caller]
    pub fn current(&self) -> String {
        let said = self.m.ok(
            "cd -P /opt/acme/current && sha256sum -c --strict --quiet .relpack/manifest >&2 && \
             sha256sum .relpack/manifest | cut -c 1-40",
        );
        let link = self.m.ok("basename \"$(readlink /opt/acme/current)\"");
        assert_eq!(said.text(), link.text(), "`current` does not name what it points to");
        said.text().to_owned()
    }

    /// The lines that migrations have written.
    #[track_caller]
    pub fn migrations(&self) -> Vec<String> {
        let said = self.m.sh("cat /opt/acme/shared/data/migrations");
        said.stdout.lines().map(str::to_owned).collect()
    }

    /// Waits until dpkg has been brought in line, and the job that does it has ended. Newer versions may be published.
    #[track_caller]
    pub fn dpkg_follows(&self, version: &str) {
        self.m.wait_for(
            &format!("[ \"$(dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' acme)\" = 'ii {version}' ]"),
            HEAL_LIMIT,
        );
        self.m.healing_has_ended();
    }

    /// Waits until dpkg has been brought in line with the release that serves, then shows that apt works for everything
    /// else and does not touch this package. Returns the seconds that it took.
    #[track_caller]
    pub fn expect_healed(&self, version: &str) -> f64 {
        let started = Instant::now();
        let wanted = format!("ii  {version}");
        while self.dpkg() != wanted || !self.m.ok("dpkg --audit").text().is_empty() {
            assert!(
                started.elapsed() < HEAL_LIMIT,
                "dpkg still says {:?} after {HEAL_LIMIT:?}, expected {wanted:?}\n{}",
                self.dpkg(),
                self.m.sh("systemctl status --no-pager -l 'relpack-heal-*'; journalctl --no-pager -u 'relpack-heal-*'; acme-release status")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        let took = started.elapsed().as_secs_f64();
        // The job that healed may hold dpkg's lock for a moment longer.
        self.repo.add_unrelated(&self.m, "unrelated", version);
        self.m.ok("apt-get install -y -q -o DPkg::Lock::Timeout=30 unrelated");
        self.m.ok("apt-get upgrade -y -q -o DPkg::Lock::Timeout=30");
        // Where apt was faster, the job tries once more, and would meet the caller's next apt.
        self.m.healing_has_ended();
        self.expect_dpkg(version);
        took
    }
}
