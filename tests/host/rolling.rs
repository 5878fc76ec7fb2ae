//! Deploys of several instances behind a real nginx, under load: nothing that was sent stays without its answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::Suite;

on_each_suite![
    sampled:
    rolling_drops_nothing,
    rolling_goes_back,
    admins_instances_take_part,
    blue_green_drops_nothing,
    blue_green_goes_back,
    a_canary_is_watched,
];

const SERVER: &str = include_str!("support/slow_server.py");
const LOAD: &str = include_str!("support/load.py");

/// Where nginx listens in the host.
const PORT: u16 = 8080;

/// `next_upstream off`: nginx repeats nothing for us.
const SITE: &str = "
server {
    listen 127.0.0.1:8080;
    client_max_body_size 0;
    location / {
        proxy_pass http://acme;
        proxy_http_version 1.1;
        proxy_set_header Connection \"\";
        proxy_request_buffering off;
        proxy_next_upstream off;
    }
}
";

struct Site {
    deploy: &'static str,
    m: Machine,
    repo: Repo,
    work: tempfile::TempDir,
}

impl Site {
    fn boot(suite: Suite, deploy: &'static str) -> Site {
        let m = Machine::boot_with(suite, &["nginx-light"]);
        let repo = Repo::new(&m, Transport::Http);
        m.put("/etc/nginx/sites-available/acme", SITE);
        m.put("/root/load.py", LOAD);
        m.ok(
            "rm -f /etc/nginx/sites-enabled/default && mkdir -p /etc/nginx/conf.d && \
              echo 'upstream acme { server 127.0.0.1:9 down; }' >/etc/nginx/conf.d/relpack-acme.conf && \
              ln -sf /etc/nginx/sites-available/acme /etc/nginx/sites-enabled/acme && \
              sed -i 's/worker_connections.*/worker_connections 4096;/' /etc/nginx/nginx.conf && \
              systemctl restart nginx.service",
        );
        let work = tempfile::tempdir().expect("a temporary directory");
        Site { deploy, m, repo, work }
    }

    fn build(&self, version: &str, behaviour: &str) -> PathBuf {
        let directory = self.work.path().join(version);
        let config = format!(
            "[package]\nname = \"acme\"\nversion = \"{version}\"\nmaintainer = \"Test <test@example.com>\"\n\
             description = \"test application\"\ndepends = [\"python3\"]\n\n\
             [release]\nsource = \"build\"\n\n\
             [units.\"acme@.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
             Service.TimeoutStopSec = \"30s\"\n\
             X-Relpack.Health = \"http://127.0.0.1:{{env.PORT}}/healthz\"\n\n\
             [instances.blue]\nEnvironment.PORT = \"3000\"\n[instances.green]\nEnvironment.PORT = \"3001\"\n\n\
             [deploy]\nproxy = \"nginx\"\nsettle = \"1s\"\nhealth_timeout = \"8s\"\n{}\n",
            self.deploy
        );
        write(&directory.join("relpack.toml"), &config);
        write(&directory.join("build/server.py"), SERVER);
        write(&directory.join("build/body"), version);
        write(&directory.join("build/behaviour"), behaviour);
        let shown = directory.display().to_string();
        let report = relpack(&["build", "--json", "-C", &shown]).expect_ok();
        artifact(&report).0
    }

    fn publish(&self, version: &str, behaviour: &str) {
        let deb = self.build(version, behaviour);
        self.repo.add(&self.m, &[deb.as_path()]);
    }

    /// Runs `command` under load; gives what the load says.
    #[track_caller]
    fn under_load(&self, command: &str, fails: bool) -> Value {
        let run = self.m.sh_within(
            &format!(
                "rm -f /run/load.stop; ulimit -n 8192; python3 /root/load.py {PORT} 250 16 16 /run/load.stop >/run/load.json & load=$!; \
                 sleep 3; cut -d ' ' -f 1 /proc/uptime >/run/load.marks; rc=0; {command} || rc=$?; \
                 cut -d ' ' -f 1 /proc/uptime >>/run/load.marks; sleep 1; mv /run/load.marks /run/load.stop; wait $load; exit $rc"
            ),
            Duration::from_secs(300),
        );
        assert_eq!(run.succeeded(), !fails, "{run}");
        let load: Value = serde_json::from_str(&self.m.read("/run/load.json")).expect("the load prints JSON");
        eprintln!("{command}: {:.1} s, {load}", run.took.as_secs_f64());
        assert_eq!(load["sent"], load["answered"], "{load}\n{run}");
        assert_eq!(
            load["failures"].as_object().map(serde_json::Map::len),
            Some(0),
            "{load}\n{run}"
        );
        assert!(load["sent"].as_u64() > Some(1000), "too little load: {load}");
        load
    }

    /// Which code each instance serves, and that each runs the release that its own unit names.
    #[track_caller]
    fn instances(&self) -> String {
        self.m
            .ok("for p in 3000 3001; do curl -sS --max-time 5 http://127.0.0.1:$p/ | cut -d ' ' -f 1; done | paste -s -d ' '")
            .text()
            .to_owned()
    }

    /// dpkg's record says again what serves.
    #[track_caller]
    fn healed(&self, version: &str) {
        let says = format!("[ \"$(dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' acme)\" = 'ii {version}' ]");
        self.m.wait_for(&says, Duration::from_secs(60));
    }

    #[track_caller]
    fn settled(&self, version: &str) {
        assert_eq!(self.instances(), format!("{version} {version}"));
        self.m.ok("acme-release status");
        assert_eq!(self.m.ok("find /run/systemd/generator* -name 'acme*'").text(), "");
        assert_eq!(
            self.m.ok("systemctl is-enabled acme@blue acme@green | sort -u").text(),
            "enabled"
        );
        assert_eq!(
            self.m
                .ok("grep -c 'server 127.0.0.1:300' /etc/nginx/conf.d/relpack-acme.conf")
                .text(),
            "2"
        );
        let link = self
            .m
            .ok("for i in blue green; do readlink -f /opt/acme/instances/$i; done; readlink -f /opt/acme/current");
        let mut links: Vec<&str> = link.text().lines().collect();
        links.dedup();
        assert_eq!(links.len(), 1, "{link}");
    }
}

const ROLLING: &str = "strategy = \"rolling\"";
const BLUE_GREEN: &str = "strategy = \"blue-green\"\nsuccesses = 3";

fn rolling_drops_nothing(suite: Suite) {
    let r = Site::boot(suite, ROLLING);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.settled("1.0");
    r.publish("2.0", "serve");
    let load = r.under_load("apt-get install -y -q acme=2.0", false);
    assert!(
        load["codes"]["1.0"].as_u64() > Some(100) && load["codes"]["2.0"].as_u64() > Some(10),
        "{load}"
    );
    r.settled("2.0");
    r.under_load("apt-get install -y -q --allow-downgrades acme=1.0", false);
    r.settled("1.0");
    r.m.ok("apt-get install -y -q acme=2.0");
    r.under_load("acme-release rollback", false);
    r.settled("1.0");
}

fn rolling_goes_back(suite: Suite) {
    let r = Site::boot(suite, ROLLING);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let green = r.m.ok("systemctl show -p MainPID --value acme@green.service");
    r.publish("2.0", "never-healthy");
    r.under_load("apt-get install -y -q acme=2.0", true);
    assert_eq!(r.instances(), "1.0 1.0");
    r.healed("1.0");
    r.settled("1.0");
    // The roll ended at the first.
    assert_eq!(
        r.m.ok("systemctl show -p MainPID --value acme@green.service").text(),
        green.text()
    );
    r.publish("3.0", "serve");
    r.under_load("apt-get install -y -q -o DPkg::Lock::Timeout=30 acme=3.0", false);
    r.settled("3.0");
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
    r.m.ok("apt-get purge -y -q acme && systemctl is-active nginx");
    assert_eq!(r.m.sh("systemctl list-units --no-legend --plain 'acme*'").text(), "");
}

/// Which colour nginx sends requests to.
#[track_caller]
fn serving(r: &Site) -> String {
    let port =
        r.m.ok("sed -n 's/.*server 127.0.0.1:\\([0-9]*\\);/\\1/p' /etc/nginx/conf.d/relpack-acme.conf");
    match port.text() {
        "3000" => "blue".to_owned(),
        "3001" => "green".to_owned(),
        other => panic!("nginx sends requests to {other:?}\n{port}"),
    }
}

/// One colour serves `version`, the other one has ended, and a boot would do the same.
#[track_caller]
fn one_serves(r: &Site, version: &str) -> String {
    let colour = serving(r);
    let other = if colour == "blue" { "green" } else { "blue" };
    r.m.wait_for(
        &format!("! systemctl -q is-active acme@{other}.service"),
        Duration::from_secs(60),
    );
    r.m.wait_for(
        "! systemctl -q is-active relpack-drain-acme.service",
        Duration::from_secs(20),
    );
    assert_eq!(
        r.m.ok(&format!("curl -sS http://127.0.0.1:{PORT}/ | cut -d ' ' -f 1"))
            .text(),
        version
    );
    r.m.ok("acme-release status");
    assert_eq!(r.m.ok("find /run/systemd/generator* -name 'acme*'").text(), "");
    assert_eq!(r.m.ok("ls /var/lib/relpack/acme/idle").text(), other);
    assert_eq!(
        r.m.ok("systemctl is-enabled acme@blue acme@green | sort -u").text(),
        "enabled"
    );
    assert_eq!(r.m.ok("systemctl list-units --failed --no-legend --plain").text(), "");
    colour
}

fn blue_green_drops_nothing(suite: Suite) {
    let mut r = Site::boot(suite, BLUE_GREEN);
    // It ends at once when it is told to: an application that nobody has taught to drain.
    r.publish("1.0", "rude");
    r.m.ok("apt-get install -y -q acme=1.0");
    assert_eq!(one_serves(&r, "1.0"), "blue");
    r.publish("2.0", "rude");
    let load = r.under_load("apt-get install -y -q acme=2.0", false);
    assert!(
        load["codes"]["1.0"].as_u64() > Some(100) && load["codes"]["2.0"].as_u64() > Some(10),
        "{load}"
    );
    assert_eq!(one_serves(&r, "2.0"), "green");
    r.under_load("apt-get install -y -q --allow-downgrades acme=1.0", false);
    assert_eq!(one_serves(&r, "1.0"), "blue");
    r.m.ok("apt-get install -y -q acme=2.0");
    r.under_load("acme-release rollback", false);
    let colour = one_serves(&r, "1.0");
    r.m.reboot();
    r.m.wait_for(&format!("curl -sSf http://127.0.0.1:{PORT}/"), Duration::from_secs(20));
    assert_eq!(one_serves(&r, "1.0"), colour);
}

fn blue_green_goes_back(suite: Suite) {
    let r = Site::boot(suite, BLUE_GREEN);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let before = r.m.ok("systemctl show -p MainPID --value acme@blue.service");
    for (version, behaviour) in [("2.0", "never-healthy"), ("2.1", "exit-at-once")] {
        r.publish(version, behaviour);
        r.under_load(
            &format!("apt-get install -y -q -o DPkg::Lock::Timeout=30 acme={version}"),
            true,
        );
        r.healed("1.0");
        assert_eq!(one_serves(&r, "1.0"), "blue");
        assert_eq!(
            r.m.ok("systemctl show -p MainPID --value acme@blue.service").text(),
            before.text()
        );
    }
    r.publish("3.0", "serve");
    r.under_load("apt-get install -y -q -o DPkg::Lock::Timeout=30 acme=3.0", false);
    assert_eq!(one_serves(&r, "3.0"), "green");
}

fn a_canary_is_watched(suite: Suite) {
    let r = Site::boot(
        suite,
        "strategy = \"canary\"\nsoak = \"8s\"\ncheck = \"/usr/bin/test -n ${PORT}\"",
    );
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let green = r.m.ok("systemctl show -p MainPID --value acme@green.service");
    r.publish("2.0", "die-after-5s");
    r.m.sh("apt-get install -y -q acme=2.0")
        .expect_failure()
        .expect_says("the canary acme@blue.service failed after");
    r.healed("1.0");
    r.settled("1.0");
    assert_eq!(
        r.m.ok("systemctl show -p MainPID --value acme@green.service").text(),
        green.text()
    );
    r.publish("3.0", "serve");
    r.m.ok("apt-get install -y -q -o DPkg::Lock::Timeout=30 acme=3.0")
        .expect_says("the canary acme@blue.service passed");
    r.settled("3.0");
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it has one"))
        .and_then(|()| fs::write(path, text))
        .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
