//! Deploys of several instances behind a real nginx, under load: nothing that was sent stays without its answer.

use std::time::{Duration, Instant};

use crate::elsewhere::spawn_unhurried;
use crate::on_each_suite;
use crate::support::site::{PORT, Site, Upstream, install};
use crate::support::{Suite, sample};

// Each of the first four has load through nginx, so whatever the seed, a run has one of them on each suite.
on_each_suite![
    rotated:
    rolling_drops_nothing,
    rolling_goes_back,
    blue_green_drops_nothing,
    blue_green_goes_back,
    admins_instances_take_part,
    a_canary_is_watched,
    a_crash_at_the_wrong_moment,
    both_colours_serve,
    strategies_change,
    a_shutdown_inside_a_deploy,
];

const ROLLING: &str = "strategy = \"rolling\"";
const BLUE_GREEN: &str = "strategy = \"blue-green\"\nsuccesses = 3";
/// So much longer than the last request that who waits for its end has not waited for nginx's workers.
const BLUE_GREEN_SLOW_DRAIN: &str = "strategy = \"blue-green\"\nsuccesses = 3\ndrain = \"50s\"";

/// Longer than what dies after five seconds; for the runs in full.
const ROLLING_PATIENT: &str = "strategy = \"rolling\"\nsettle = \"7s\"";
const BLUE_GREEN_PATIENT: &str = "strategy = \"blue-green\"\nsuccesses = 3\nsettle = \"7s\"";

/// With something that is started after the colours have changed over.
const SLOW_WORKER: &str = "strategy = \"blue-green\"\n[units.\"acme-worker.service\"]\nService.Type = \"exec\"\n\
    Service.ExecStartPre = \"/usr/bin/sleep 6\"\nService.ExecStart = \"/usr/bin/sleep infinity\"";

/// How a version fails, and what is said then.
type Failure = (&'static str, &'static str);

const MIGRATION: Failure = ("migration", "the migration failed");
/// A check that tells on its last line who it was.
const SMOKE: Failure = ("smoke", "the check of acme@green.service failed: bin/smoke: acme 3001");
const SMOKE_CHECK: &str = "\ncheck = \"bin/smoke\"";

/// Deploys what fails in each of these ways, in the sample in one of them, and `looks` at what is left: the behaviour, and how
/// often the failed code has answered.
fn each_fails<const N: usize>(
    r: &Site,
    suite: Suite,
    deploy: &str,
    failures: [Failure; N],
    mut looks: impl FnMut(&str, u64),
) {
    let mut failures = sample::one_of(suite, failures);
    if sample::full() {
        failures.push(("die-after-5s", "within 7 s of being healthy"));
    }
    for (number, (behaviour, says)) in failures.into_iter().enumerate() {
        let version = format!("2.{number}");
        publish_failing(r, &version, behaviour, deploy);
        let (said, load) = r.under_load_on(PORT, "", &install(&version), true);
        said.expect_says(says).expect_says("acme 1.0 serves, as before.");
        r.not_slower(&load);
        r.healed("1.0");
        looks(behaviour, load["codes"][&version].as_u64().unwrap_or(0));
    }
}

/// Puts it into the repository.
fn publish_failing(r: &Site, version: &str, behaviour: &str, deploy: &str) {
    match behaviour {
        "migration" => r.publish_migrating(version),
        "smoke" => publish_smoking(r, version, deploy, "echo \"$(id -un) $PORT\"; exit 1"),
        _ => r.publish(version, behaviour),
    }
}

fn publish_smoking(r: &Site, version: &str, deploy: &str, smoke: &str) {
    let config = r.config_with(version, &format!("{deploy}{SMOKE_CHECK}"));
    let smoke = format!("#!/bin/sh\n{smoke}\n");
    r.add(&r.build_of(version, &config, &[("behaviour", "serve"), ("bin/smoke", &smoke)]));
}

fn both_served(load: &serde_json::Value) {
    assert!(
        load["codes"]["1.0"].as_u64() > Some(100) && load["codes"]["2.0"].as_u64() > Some(10),
        "{load}"
    );
}

fn rolling_drops_nothing(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let r = Site::boot_with(suite, ROLLING, "", upstream);
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        r.fronted_as_shipped();
        r.settled("1.0");
        r.publish("2.0", "serve");
        let load = r.under_load("apt-get install -y -q acme=2.0", false);
        both_served(&load);
        r.not_slower(&load);
        // `current` moves last.
        let one = |name: &str| {
            [
                "nginx".to_owned(),
                format!("link {name}"),
                format!("process acme@{name}.service"),
                "nginx".to_owned(),
            ]
        };
        let order = [one("blue"), one("green")].concat();
        let order: Vec<&str> = order.iter().map(String::as_str).chain(["current"]).collect();
        r.busy_at(&load, &order);
        r.settled("2.0");
        r.not_slower(&r.under_load("apt-get install -y -q --allow-downgrades acme=1.0", false));
        r.settled("1.0");
        r.m.ok("apt-get install -y -q acme=2.0");
        r.not_slower(&r.under_load("acme-release rollback", false));
        r.settled("1.0");
    }
}

fn rolling_goes_back(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let strategy = if sample::full() { ROLLING_PATIENT } else { ROLLING };
        let r = Site::boot_with(suite, strategy, "", upstream);
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        let pids = || {
            let said =
                r.m.ok("for i in blue green; do systemctl show -p MainPID --value acme@$i.service; done");
            let pids: Vec<String> = said.text().lines().map(str::to_owned).collect();
            assert_eq!(pids.len(), 2, "{said}");
            pids
        };
        let failures = [
            ("never-healthy", "acme@blue.service did not become healthy"),
            ("never-healthy-3001", "acme@green.service did not become healthy"),
            MIGRATION,
        ];
        let mut before = pids();
        each_fails(&r, suite, strategy, failures, |behaviour, answers| {
            r.settled("1.0");
            // The roll ended at the first that failed, and took back what was done.
            let after = pids();
            let changed = [before[0] != after[0], before[1] != after[1]];
            let expected = match behaviour {
                "migration" => [false, false],
                "never-healthy-3001" => [true, true],
                _ => [true, false],
            };
            assert_eq!(changed, expected, "{behaviour}: {before:?}, {after:?}");
            assert_eq!(answers > 0, expected == [true, true], "{behaviour}: {answers} answers");
            before = after;
        });
        r.publish("3.0", "serve");
        r.nginx_refuses(&install("3.0"), "1.0");
        r.settled("1.0");
        r.run(&install("3.0"), false);
        r.settled("3.0");
    }
}

fn admins_instances_take_part(suite: Suite) {
    let r = Site::boot(suite, ROLLING);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.m.ok("echo PORT=3002 >/opt/acme/shared/env.third && systemctl enable --now acme@third.service");
    r.m.wait_for("curl -sS http://127.0.0.1:3002/", Duration::from_secs(10));
    r.publish("2.0", "serve");
    r.m.ok("apt-get install -y -q acme=2.0");
    assert_eq!(
        r.m.ok("curl -sS http://127.0.0.1:3002/ | cut -d ' ' -f 1").text(),
        "2.0"
    );
    r.m.ok(
        "grep -q 'server 127.0.0.1:3002;' /etc/nginx/conf.d/relpack-acme.conf && readlink /opt/acme/instances/third",
    );
    r.m.ok("acme-release status");
    // The last one to change is sick: they all go back.
    r.publish("3.0", "never-healthy-3002");
    r.m.sh(&install("3.0"))
        .expect_failure()
        .expect_says("acme@third.service did not become healthy");
    r.healed("2.0");
    assert_eq!(r.instances(), "2.0 2.0");
    let third = "curl -sS http://127.0.0.1:3002/ | cut -d ' ' -f 1";
    assert_eq!(r.m.ok(third).text(), "2.0");
    r.m.ok("grep -q 'server 127.0.0.1:3002;' /etc/nginx/conf.d/relpack-acme.conf && acme-release status");
    r.m.ok("apt-get purge -y -q acme && systemctl is-active nginx");
    assert_eq!(r.m.sh("systemctl list-units --no-legend --plain 'acme*'").text(), "");
}

/// A crash while something else than a roll is activated: systemd starts the instance again, and nginx has to know it then.
fn a_crash_at_the_wrong_moment(suite: Suite) {
    for (deploy, victim) in sample::one_of(suite, [(ROLLING, "green"), (BLUE_GREEN, "blue")]) {
        // Longer than a run of apt on a busy machine.
        let r = Site::boot_with(suite, deploy, "Service.RestartSec = \"20s\"", Upstream::Once);
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        let before = r.m.read("/etc/nginx/conf.d/relpack-acme.conf");
        r.m.ok(&format!(
            "systemctl kill -s KILL acme@{victim}.service && until systemctl show -p SubState acme@{victim}.service | grep auto-restart; do :; done; \
             apt-get install -y -q --reinstall acme=1.0 && systemctl show -p SubState acme@{victim}.service | grep auto-restart"
        ));
        r.m.wait_for(
            &format!("systemctl -q is-active acme@{victim}.service"),
            Duration::from_secs(60),
        );
        assert_eq!(r.m.read("/etc/nginx/conf.d/relpack-acme.conf"), before);
    }
}

/// As after a power cut: the marks of idle colours are not synced.
fn both_colours_serve(suite: Suite) {
    let r = Site::boot(suite, BLUE_GREEN);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    // The idle one is started only by who takes its mark away, as docs/strategies.md says.
    r.m.ok("systemctl start acme@green.service");
    let green =
        r.m.ok("systemctl show -p ActiveState -p ConditionResult acme@green.service");
    assert_eq!(green.text(), "ActiveState=inactive\nConditionResult=no");
    r.m.ok("rm /var/lib/relpack/acme/idle/green && systemctl start acme@green.service");
    r.publish("2.0", "never-healthy");
    r.under_load("apt-get install -y -q acme=2.0", true);
    r.healed("1.0");
    assert_eq!(r.one_serves("1.0"), "blue");
    if !sample::full() {
        return;
    }
    r.m.ok("rm /var/lib/relpack/acme/idle/green && systemctl start acme@green.service");
    r.publish("3.0", "serve");
    r.under_load(&install("3.0"), false);
    assert_eq!(r.one_serves("3.0"), "green");
}

/// From one strategy to another, in full under load, and back where the new release is sick.
fn strategies_change(suite: Suite) {
    let r = Site::boot(suite, ROLLING);
    let run = |command: &str, fails: bool| drop(r.run(command, fails));
    let version = |version: &str, deploy: &str, more: &str, behaviour: &str| {
        let config = r.config_with(version, deploy) + more;
        r.add(&r.build_of(version, &config, &[("behaviour", behaviour)]));
        format!("apt-get install -y -q --allow-downgrades -o DPkg::Lock::Timeout=30 acme={version}")
    };
    r.m.ok(&version("1.0", ROLLING, "", "serve"));
    r.settled("1.0");

    let changes_over = version("2.0", BLUE_GREEN, "", "serve");
    run(&changes_over, false);
    r.one_serves("2.0");
    // Its idle colour is an instance like the other one.
    let rolls = version("3.0", ROLLING, "", "serve");
    run(&rolls, false);
    r.settled("3.0");
    r.m.ok("[ ! -e /var/lib/relpack/acme/idle ]");

    let sick = version("4.0", BLUE_GREEN, "", "never-healthy");
    run(&sick, true);
    assert_eq!(r.instances(), "3.0 3.0");
    r.healed("3.0");
    r.settled("3.0");

    // One instance more, and the way back, where its address is known no longer.
    let third = "[instances.third]\nEnvironment.PORT = \"3002\"\n";
    let one_more = |version: &str, rest: &str| {
        let config = r.config_with(version, ROLLING);
        let config = config.replace("[deploy]", &format!("{rest}{third}[deploy]"));
        r.add(&r.build_of(version, &config, &[("behaviour", "serve")]));
    };
    // By a worker that does not get healthy, after all instances have.
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n\
                  X-Relpack.Health = \"exec:/usr/bin/test -e never\"\n";
    one_more("4.1", worker);
    r.under_load(&install("4.1"), true);
    r.healed("3.0");
    r.settled("3.0");
    r.m.ok("! systemctl -q is-active acme@third");
    one_more("5.0", "");
    run(&install("5.0"), false);
    r.m.ok("grep -q 'server 127.0.0.1:3002;' /etc/nginx/conf.d/relpack-acme.conf && systemctl -q is-active acme@third");
    run("acme-release rollback", false);
    r.healed("3.0");
    r.settled("3.0");
    r.m.ok("! systemctl -q is-active acme@third && ! grep -q 3002 /etc/nginx/conf.d/relpack-acme.conf");

    // Stopped during a roll, and started when that is over.
    r.m.ok("systemctl stop acme@green.service");
    r.m.ok(&version("6.0", ROLLING, "", "serve"));
    r.m.ok("systemctl start acme@green.service");
    r.m.wait_for("curl -sS http://127.0.0.1:3001/", Duration::from_secs(20));
    assert_eq!(r.instances(), "6.0 6.0");
}

/// A host that goes down in order, and takes the instances with it that a roll or a change waits for; or what is started after
/// the change.
fn a_shutdown_inside_a_deploy(suite: Suite) {
    for (deploy, step) in sample::one_of(suite, [(ROLLING, "roll"), (BLUE_GREEN, "swap"), (SLOW_WORKER, "start")]) {
        let mut r = Site::boot_with(suite, deploy, "Service.Environment.START_UP = \"3\"", Upstream::Once);
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        r.publish("2.0", "serve");
        let upgrade = spawn_unhurried(&r.m, "apt-get install -y -q acme=2.0");
        r.m.wait_for(
            &format!("grep -qx step={step} /var/lib/relpack/acme/journal"),
            Duration::from_secs(30),
        );
        r.m.reboot();
        drop(upgrade);
        let midway = r.m.read("/var/log/midway");
        let postponed = if step == "start" {
            "acme 2.0 serves from the next boot on"
        } else {
            "its next boot goes on with acme 2.0"
        };
        assert!(midway.contains(postponed), "{midway}");
        r.resumed();
        r.healed("2.0");
        if deploy == ROLLING {
            r.settled("2.0");
        } else {
            r.one_serves("2.0");
        }
    }
}

fn blue_green_drops_nothing(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let mut r = Site::boot_with(suite, BLUE_GREEN_SLOW_DRAIN, "", upstream);
        // It ends at once when it is told to: an application that nobody has taught to drain.
        r.publish("1.0", "rude");
        r.m.ok("apt-get install -y -q acme=1.0");
        r.fronted_as_shipped();
        assert_eq!(r.one_serves("1.0"), "blue");
        r.publish("2.0", "rude");
        let load = r.under_load("apt-get install -y -q acme=2.0", false);
        both_served(&load);
        r.not_slower(&load);
        // `current` moves last.
        r.busy_at(&load, &["link green", "process acme@green.service", "nginx", "current"]);
        // The other colour has ended with nginx's workers that knew it.
        let deployed = Instant::now();
        assert_eq!(r.one_serves("2.0"), "green");
        assert!(deployed.elapsed() < Duration::from_secs(25), "{:?}", deployed.elapsed());
        r.not_slower(&r.under_load("apt-get install -y -q --allow-downgrades acme=1.0", false));
        assert_eq!(r.one_serves("1.0"), "blue");
        r.m.ok("apt-get install -y -q acme=2.0");
        r.not_slower(&r.under_load("acme-release rollback", false));
        let colour = r.one_serves("1.0");
        r.m.reboot();
        r.m.wait_for(&format!("curl -sSf http://127.0.0.1:{PORT}/"), Duration::from_secs(20));
        assert_eq!(r.one_serves("1.0"), colour);
    }
}

fn blue_green_goes_back(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let strategy = if sample::full() { BLUE_GREEN_PATIENT } else { BLUE_GREEN };
        let r = Site::boot_with(suite, strategy, "", upstream);
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        let before = r.m.ok("systemctl show -p MainPID --value acme@blue.service");
        let failures = [
            ("never-healthy", "acme@green.service did not become healthy"),
            ("exit-at-once", "acme@green.service exited"),
            ("every-third", "acme@green.service was healthy 1 times, then: "),
            SMOKE,
            MIGRATION,
        ];
        each_fails(&r, suite, strategy, failures, |behaviour, answers| {
            assert_eq!(answers, 0, "{behaviour}");
            assert_eq!(r.one_serves("1.0"), "blue");
            assert_eq!(
                r.m.ok("systemctl show -p MainPID --value acme@blue.service").text(),
                before.text()
            );
        });
        publish_smoking(&r, "3.0", strategy, "[ \"$(id -un) $PORT\" = 'acme 3001' ]");
        r.nginx_refuses(&install("3.0"), "1.0");
        assert_eq!(r.one_serves("1.0"), "blue");
        r.run(&install("3.0"), false);
        assert_eq!(r.one_serves("3.0"), "green");
    }
}

const CANARY: &str =
    "strategy = \"canary\"\nsoak = \"8s\"\nweight = 20\ncheck = \"http://127.0.0.1:{env.PORT}/health/late within 1s\"";

fn a_canary_is_watched(suite: Suite) {
    let r = Site::boot(suite, CANARY);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let green = r.m.ok("systemctl show -p MainPID --value acme@green.service");
    let failures = sample::one_of(
        suite,
        [
            ("die-after-5s", "the canary acme@blue.service failed after"),
            (
                "late",
                "the check of acme@blue.service failed: http://127.0.0.1:3000/health/late answered 200 in 1",
            ),
            (
                "refuses",
                "the check of acme@blue.service failed: http://127.0.0.1:3000/health/late answered 503 in ",
            ),
            (
                "no-time",
                "no time for the soak of the canary acme@blue.service: 59 s, and ",
            ),
        ],
    );
    for (number, (behaviour, says)) in failures.into_iter().enumerate() {
        let version = format!("2.{number}");
        if behaviour == "no-time" {
            // It would fit, did the start take no two seconds.
            let deploy = CANARY.replace("soak = \"8s\"", "soak = \"59s\"\nsettle = \"0s\"\ntimeout = \"1m\"");
            let config = r.config_with(&version, &deploy);
            r.add(&r.build_of(&version, &config, &[("behaviour", "serve")]));
        } else {
            r.publish(&version, behaviour);
        }
        let said = r.m.sh(&install(&version)).expect_failure();
        // It may die in the very moment in which it is asked.
        let asked = "the check of acme@blue.service failed: http://127.0.0.1:3000/health/late: curl: (";
        assert!(
            said.both().contains(says) || (behaviour == "die-after-5s" && said.both().contains(asked)),
            "{says}\n{said}"
        );
        if behaviour == "late" || behaviour == "refuses" {
            said.expect_says("and not with 200 to 299 within 1000 ms");
        }
        r.healed("1.0");
        r.settled("1.0");
    }
    assert_eq!(
        r.m.ok("systemctl show -p MainPID --value acme@green.service").text(),
        green.text()
    );
    // All that is looked at lies within its soak.
    let config = r.config_with("3.0", &CANARY.replace("8s", "20s"));
    r.add(&r.build_of("3.0", &config, &[("behaviour", "serve")]));
    let (upgrade, load) = r.under_load_on(
        PORT,
        "",
        "apt-get install -y -q -o DPkg::Lock::Timeout=30 acme=3.0 & upgrade=$!; \
         until grep -q weight= /etc/nginx/conf.d/relpack-acme.conf; do sleep 0.2; done; \
         cp /etc/nginx/conf.d/relpack-acme.conf /root/soaking; \
         until curl -sS http://127.0.0.1:8080/ | grep -q '^3.0 '; do :; done; \
         curl -sS \"http://127.0.0.1:8080/?[1-200]\" | grep -c '^3.0 ' >/root/share; \
         cd /opt/acme && cat current/body instances/blue/body instances/green/body >/root/releases; wait $upgrade",
        false,
    );
    // `current` moves with the last instance.
    assert_eq!(r.m.read("/root/releases"), "1.03.01.0");
    // Of 200 requests a fifth; each of nginx's workers counts for itself.
    let share: u32 = r.m.read("/root/share").trim().parse().expect("a number");
    assert!((20..=60).contains(&share), "the canary got {share} of 200 requests");
    upgrade
        .expect_says("the canary acme@blue.service passed")
        .expect_says("(the last request was answered with 200, the slowest in");
    assert_eq!(
        r.m.ok("grep -o 'server .*;' /root/soaking | paste -s -d ' '").text(),
        "server 127.0.0.1:3000 weight=20; server 127.0.0.1:3001 weight=80;"
    );
    assert!(load["codes"]["3.0"].as_u64() > Some(10), "{load}");
    r.settled("3.0");
}
