//! Kills inside of a rolling and a blue-green deploy: of dpkg with its children, and of the whole host. Nobody has to come
//! for each instance to serve one whole release under that release's unit; `dpkg --configure -a` then ends the deploy, or
//! takes an unhealthy release back from all instances.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::Suite;
use crate::support::app::Built;
use crate::support::sample;
use crate::support::site::{PORT, Site, Upstream};
use crate::support::sweep::{self, Break, Tally};
use crate::{hold, on_each_suite};

on_each_suite![inside_a_deploy];

/// What is killed while what kind of release comes; how often for each strategy in full, and for the one of the sample.
const KINDS: [(Break, &str, usize, usize); 4] = [
    (Break::Kill, "serve", 10, 1),
    (Break::Hold, "serve", 10, 1),
    (Break::Kill, "never-healthy", 10, 1),
    (Break::Hold, "never-healthy", 10, 1),
];

const STRATEGIES: [&str; 2] = [
    "strategy = \"rolling\"\nhealth_timeout = \"4s\"\nsettle = \"0s\"",
    "strategy = \"blue-green\"\nsuccesses = 2\nhealth_timeout = \"4s\"\nsettle = \"0s\"",
];
const SERVICE: &str = "Service.Environment.START_UP = \"0.3\"";
const LIMIT: Duration = Duration::from_secs(300);

fn inside_a_deploy(suite: Suite) {
    let seed = usize::try_from(sample::seed()).unwrap_or(0);
    for (number, deploy) in STRATEGIES.into_iter().enumerate() {
        if sample::full() || (seed + suite as usize) % STRATEGIES.len() == number {
            Sweep::run(suite, deploy);
        }
    }
}

/// Deploys one release after the other; no two rounds have the same.
struct Sweep {
    site: Site,
    deploy: &'static str,
    built: BTreeMap<u32, Built>,
    /// What serves.
    live: u32,
    newest: u32,
}

/// What one instance looked like.
#[derive(Debug)]
struct Instance {
    name: String,
    active: bool,
    /// By the mounts of its process.
    runs: String,
    /// By the unit that systemd has loaded.
    loaded: String,
    code: String,
    /// Under whose unit the process was started.
    unit: String,
}

impl Sweep {
    fn run(suite: Suite, deploy: &'static str) {
        let mut sweep = Sweep {
            site: Site::boot_with(suite, deploy, SERVICE, Upstream::Once),
            deploy,
            built: BTreeMap::new(),
            live: 0,
            newest: 0,
        };
        sweep::prepare(&sweep.site.m);
        let first = sweep.next("serve");
        sweep.site.m.ok(&first);
        sweep.live = 1;
        // Only what comes after the first change of an instance is inside.
        let healthy = sweep.next("serve");
        let inside = inside(&sweep.site, &healthy);
        sweep.live = 2;
        sweep.settled().unwrap_or_else(|why| panic!("without a kill: {why}"));

        eprintln!("{suite}: points by RELPACK_SEED={}", sample::seed());
        let named = std::env::var("RELPACK_POINTS").ok().and_then(|text| text.parse().ok());
        let mut tally = Tally::default();
        let mut least = 0;
        for (how, behaviour, in_full, sampled) in KINDS {
            let count = named.unwrap_or(if sample::full() { in_full } else { sampled });
            least += count;
            let all: Vec<usize> = inside.clone().collect();
            for at in sample::spread(all.len(), count) {
                // What was not repaired would spoil all that follows.
                if tally.has_held() {
                    sweep.round(how, behaviour, all[at], &mut tally);
                }
            }
        }
        let name = deploy.lines().next().unwrap_or_default();
        tally.expect(&format!("{suite}: kills inside of {name}"), least);
    }

    /// The command that installs one more release.
    fn next(&mut self, behaviour: &str) -> String {
        self.newest += 1;
        let version = self.newest;
        let built = self.site.build(&format!("{version}.0"), behaviour);
        let deb = std::fs::read(built.path()).expect("the package that was just built");
        self.site.m.put(&format!("/srv/{version}.deb"), deb);
        self.built.insert(version, built);
        format!("dpkg -i /srv/{version}.deb")
    }

    fn round(&mut self, how: Break, behaviour: &str, number: usize, tally: &mut Tally) {
        let mut number = number;
        loop {
            let command = self.next(behaviour);
            let breaking = sweep::breaking(how, number, &command);
            if matches!(how, Break::Hold) {
                // What the last one has left would look like the point of this one.
                self.site.m.ok("rm -f /tmp/points");
                let mut running = self.site.m.spawn(&breaking);
                while running.is_running() && !self.site.m.sh("[ -s /tmp/points ]").succeeded() {}
                if running.is_running() {
                    let point = sweep::reached(&self.site.m).expect("it was just there");
                    // On every other host nothing goes on by itself.
                    let verb = if number.is_multiple_of(2) { "mask" } else { "unmask" };
                    self.site.m.ok(&format!("systemctl {verb} relpack-resume-acme.service"));
                    self.site.m.kill9();
                    running.wait(LIMIT);
                    self.site.m.start();
                    self.site
                        .m
                        .wait_for("! systemctl -q is-active relpack-resume-acme.service", LIMIT);
                    // dpkg's lock is no longer its either.
                    self.site.m.healing_has_ended();
                    let result = self.after(behaviour);
                    tally.add(&point, result.map_err(|why| format!("the host was killed: {why}")));
                    return;
                }
                running.wait(LIMIT);
            } else {
                self.site.m.sh_within(&breaking, LIMIT);
                if let Some(point) = sweep::reached(&self.site.m) {
                    let result = self.after(behaviour);
                    tally.add(&point, result.map_err(|why| format!("dpkg was killed: {why}")));
                    return;
                }
            }
            // This run had fewer points, and ended.
            self.ended(behaviour);
            number -= number / 20 + 1;
        }
    }

    /// Where nothing was killed, the deploy did what it should.
    fn ended(&mut self, behaviour: &str) {
        if behaviour == "serve" {
            self.live = self.newest;
        } else {
            self.site.healed(&format!("{}.0", self.live));
        }
    }

    /// What was killed is looked at, and then repaired.
    fn after(&mut self, behaviour: &str) -> Result<(), String> {
        let before = self.looks()?;
        self.pairs(&before)?;
        // A foreign daemon-reload, and a crash: what systemd starts then is a pair, too.
        let victim = before.iter().rfind(|i| i.active).map(|i| i.name.clone());
        let victim = victim.ok_or_else(|| format!("no instance runs: {before:?}"))?;
        self.site.m.ok(&format!(
            "systemctl daemon-reload; pid=$(systemctl show -p MainPID --value acme@{victim}); if [ $pid != 0 ]; then kill -KILL $pid; \
             while [ \"$(systemctl show -p MainPID --value acme@{victim})\" = $pid ]; do sleep 0.05; done; fi"
        ));
        let crashed = self.looks()?;
        self.pairs(&crashed)?;
        // A colour that was drained meanwhile has ended.
        for instance in crashed.iter().filter(|i| i.name == victim && i.active) {
            hold!(instance.runs == instance.loaded, "after a crash: {instance:?}");
        }

        let repair = self.site.m.sh_within("dpkg --configure -a", LIMIT);
        if behaviour == "serve" {
            hold!(repair.succeeded(), "{before:?}\n{repair}");
            self.live = self.newest;
        } else {
            // It may have been brought in line before, where only dpkg's record was left to write.
            let recorded = self.site.m.sh("dpkg-query -W -f '${db:Status-Abbrev}${Version}' acme");
            hold!(
                !repair.succeeded() || recorded.text() == format!("ii {}.0", self.live),
                "an unhealthy release was configured: {recorded}\n{repair}"
            );
        }
        self.site.healed(&format!("{}.0", self.live));
        self.settled().map_err(|why| format!("{why}\n{before:?}\n{repair}"))
    }

    fn looks(&self) -> Result<Vec<Instance>, String> {
        // systemd ends what dpkg had asked for; then whoever runs answers.
        let said = self.site.m.ok(
            "while [ -n \"$(systemctl list-jobs --no-legend)\" ]; do sleep 0.05; done
            for i in blue:3000 green:3001; do
                u=acme@${i%:*}.service; who=
                for n in $(seq 100); do
                    state=$(systemctl show -p ActiveState --value $u)
                    case $state in
                    active) who=$(curl -s --max-time 5 http://127.0.0.1:${i#*:}/who) && break ;;
                    activating | deactivating) ;;
                    *) break ;;
                    esac
                    sleep 0.1
                done
                pid=$(systemctl show -p MainPID --value $u)
                runs=$(awk '$5 == \"/opt/acme/app\" { print $4 }' /proc/$pid/mountinfo 2>/dev/null | grep -o '[0-9a-f]\\{40\\}$')
                loaded=$(systemctl show -p BindReadOnlyPaths --value $u | grep -o '[0-9a-f]\\{40\\}' | tail -n 1)
                echo \"${i%:*} $state ${runs:--} ${loaded:--} ${who:-- - -}\"
            done",
        );
        let of = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, state, runs, loaded, code, _, unit] = words[..] else {
                return Err(format!("unreadable: {said}"));
            };
            Ok(Instance {
                name: name.to_owned(),
                active: state == "active",
                runs: runs.to_owned(),
                loaded: loaded.to_owned(),
                code: code.to_owned(),
                unit: unit.to_owned(),
            })
        };
        said.text().lines().map(of).collect()
    }

    /// Every instance that should serve does, and none has the code of one release under the unit of another.
    fn pairs(&self, instances: &[Instance]) -> Result<(), String> {
        for instance in instances {
            hold!(
                instance.active || self.deploy.contains("blue-green"),
                "it does not serve: {instance:?}"
            );
            if !instance.active {
                continue;
            }
            hold!(instance.code == instance.unit, "code and unit are parted: {instance:?}");
            let known = [self.live, self.newest].iter().any(|version| {
                instance.code == format!("{version}.0") && self.built[version].release_id == instance.runs
            });
            hold!(known, "an unknown release: {instance:?}");
            let loads = [self.live, self.newest]
                .iter()
                .any(|version| self.built[version].release_id == instance.loaded);
            hold!(loads, "an unknown unit is loaded: {instance:?}");
        }
        let front = self
            .site
            .m
            .sh(&format!("curl -sSf --max-time 5 http://127.0.0.1:{PORT}/who"));
        hold!(front.succeeded(), "nobody answers behind nginx\n{instances:?}\n{front}");
        Ok(())
    }

    /// What is live serves everywhere, under its own units, and nothing is left of the deploy.
    fn settled(&self) -> Result<(), String> {
        let version = format!("{}.0", self.live);
        let site = std::panic::AssertUnwindSafe(&self.site);
        std::panic::catch_unwind(|| {
            if self.deploy.contains("blue-green") {
                site.one_serves(&version);
            } else {
                site.settled(&version);
            }
        })
        .map_err(|why| match why.downcast_ref::<String>() {
            Some(text) => format!("in the end: {text}"),
            None => "in the end it is not in order".to_owned(),
        })?;
        for instance in self.looks()?.iter().filter(|i| i.active) {
            hold!(
                instance.runs == self.built[&self.live].release_id && instance.loaded == instance.runs,
                "in the end: {instance:?}"
            );
        }
        Ok(())
    }
}

/// The numbers of the points from the first change of an instance to the last of the postinst.
fn inside(site: &Site, command: &str) -> std::ops::RangeInclusive<usize> {
    let points = sweep::points(&site.m, Break::Kill, command);
    let begins = points.iter().find(|point| point.call.contains("/opt/acme/instances"));
    let ends = points.iter().rfind(|point| point.call.starts_with("postinst "));
    let (Some(begins), Some(ends)) = (begins, ends) else {
        panic!("none of {} points changes an instance", points.len());
    };
    eprintln!(
        "{}: points {} to {} of {}",
        site.m.suite(),
        begins.number,
        ends.number,
        points.len()
    );
    begins.number..=ends.number
}
