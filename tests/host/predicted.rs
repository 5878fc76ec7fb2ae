//! `relpack diff` says before an upgrade what it will do with each unit; here the host is asked afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::on_each_suite;
use crate::support::app::{Built, relpack};
use crate::support::site::Site;
use crate::support::{Suite, sample};

on_each_suite![rotated: each_unit_does_what_was_said];

/// Whether it runs, and since which start.
type State = (bool, String);

fn states(site: &Site, units: &BTreeSet<String>) -> BTreeMap<String, State> {
    let names = units.iter().cloned().collect::<Vec<_>>().join(" ");
    let said = site.m.ok(&format!(
        "for u in {names}; do echo \"$u $(systemctl show -p ActiveState --value $u) $(systemctl show -p InvocationID --value $u)\"; done"
    ));
    let of_line = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let (unit, state) = (words.next()?, words.next()?);
        // What never ran has none.
        Some((unit, (state == "active", words.next().unwrap_or_default())))
    };
    said.text().lines().filter_map(of_line).collect()
}

/// Two instances, and a unit of each policy besides.
fn build(site: &Site, version: &str, strategy: &str) -> Built {
    let service = |name: &str, lines: &str| {
        format!(
            "[units.\"acme-{name}.service\"]\n\
             Service.ExecStart = \"/bin/sh -c 'trap : HUP; while :; do sleep 1; done'\"\n{lines}\n"
        )
    };
    let config = [
        site.config_with(version, &format!("strategy = \"{strategy}\"")),
        service("plain", ""),
        service("none", "X-Relpack.OnUpgrade = \"none\""),
        service(
            "reloads",
            "Service.ExecReload = \"/bin/kill -HUP $MAINPID\"\nX-Relpack.OnUpgrade = \"reload\"",
        ),
        service(&format!("only{}", version.replace('.', "-")), ""),
        "[units.\"acme-tick.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"/bin/true\"\n\
         [units.\"acme-tick.timer\"]\nTimer.OnCalendar = \"*-*-* 03:30:00\"\n"
            .to_owned(),
    ];
    site.build_of(version, &config.join("\n"), &[("behaviour", "serve")])
}

fn each_unit_does_what_was_said(suite: Suite) {
    let site = Site::boot_with(
        suite,
        "",
        "Service.Environment.START_UP = \"0.3\"",
        crate::support::site::Upstream::Once,
    );
    // The release says 3000.
    site.m
        .ok("mkdir -p /opt/acme/shared && echo PORT=3005 >/opt/acme/shared/env.blue");
    let all = [
        ["recreate", "rolling"],
        ["rolling", "blue-green"],
        ["blue-green", "blue-green"],
        ["blue-green", "reload"],
        ["reload", "canary\"\nsoak = \"2s"],
        ["blue-green", "recreate"],
    ];
    let chosen = sample::one_of(suite, all);
    let mut number = 0;
    let mut next = |strategy: &str| {
        number += 1;
        let built = build(&site, &format!("{number}.0"), strategy);
        site.add(&built);
        (built, format!("apt-get install -y -q acme={number}.0"))
    };
    let mut last: Option<(Built, &str)> = None;
    for [old, new] in chosen {
        let before = match last.take() {
            Some((built, strategy)) if strategy == old => built,
            _ => {
                let (built, install) = next(old);
                site.m.ok(&install);
                drained(&site);
                built
            }
        };
        let (after, install) = next(new);
        let shown = [&before, &after].map(|built| built.path().display().to_string());
        let said = relpack(&["diff", "--json", &shown[0], &shown[1]]).expect_ok();
        let said: Value = serde_json::from_str(&said.stdout).expect("diff prints JSON");
        let said: BTreeMap<&str, &str> = said["on_host"]["units"]
            .as_array()
            .expect("units")
            .iter()
            .filter_map(|unit| Some((unit["unit"].as_str()?, unit["does"].as_str()?)))
            .collect();
        let mut units: BTreeSet<String> = said.keys().map(|unit| (*unit).to_owned()).collect();
        units.extend(["acme-none.service", "acme-tick.timer"].map(str::to_owned));
        let was = states(&site, &units);
        site.m.ok(&install);
        drained(&site);
        let is = states(&site, &units);
        eprintln!("{suite}: {old} -> {new}: {said:?}");
        for unit in &units {
            let ((ran, since), (runs, started)) = (&was[unit], &is[unit]);
            let same = since == started;
            let done = match said.get(unit.as_str()).copied() {
                None => *ran && *runs && same,
                Some("start") => !ran && *runs,
                Some("restart" | "in-turn") => *runs && !same,
                Some("reload") => *ran && *runs && same,
                Some("start-or-stop") => *ran != *runs || (*ran && *runs && !same && old != "blue-green"),
                Some("yield" | "stop") => !runs,
                Some(_) => false,
            };
            assert!(done, "{unit}: {:?}\n{was:?}\n{is:?}", said.get(unit.as_str()));
        }
        let swapped = said.iter().filter(|(_, does)| **does == "start-or-stop");
        let serving: Vec<&str> = swapped.map(|(unit, _)| *unit).filter(|unit| is[*unit].0).collect();
        assert!(new != "blue-green" || serving.len() == 1, "{serving:?}");
        the_host_s_port_counts(&site, is["acme@blue.service"].0);
        last = Some((after, new));
    }
}

/// What the host gives an instance goes before what the release gives it: for its process, its health and nginx.
fn the_host_s_port_counts(site: &Site, runs: bool) {
    let m = &site.m;
    m.sh("curl -s --max-time 2 http://127.0.0.1:3000/").expect_failure();
    let upstream = m.read("/etc/nginx/conf.d/relpack-acme.conf");
    assert!(!upstream.contains(":3000"), "{upstream}");
    let serves = upstream.lines().any(|line| line.contains("server 127.0.0.1:3005;"));
    assert_eq!(serves, runs, "{upstream}");
    if runs {
        m.ok("curl -sf --max-time 5 http://127.0.0.1:3005/healthz");
        m.ok(
            "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value acme@blue.service)/environ | grep -qx PORT=3005",
        );
    }
}

/// The colour that had served ends behind apt's back.
fn drained(site: &Site) {
    site.m.wait_for(
        "! systemctl -q is-active relpack-drain-acme.service",
        std::time::Duration::from_secs(60),
    );
}
