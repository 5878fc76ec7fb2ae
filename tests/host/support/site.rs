//! An application of two instances, with nginx before it and load on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::app::{Built, artifact, relpack};
use super::machine::Machine;
use super::process::Output;
use super::repo::{Repo, Transport};
use super::root::{self, Suite};
use super::sample;

const SERVER: &str = include_str!("slow_server.py");
const LOAD: &str = include_str!("load.py");
const SWITCHES: &str = include_str!("switches.py");

/// Where nginx listens in the host.
pub const PORT: u16 = 8080;
/// Requests a second.
const RATE: u32 = 250;
/// How many requests a run in full has to send.
const LEAST_FULL: u32 = 20_000;

/// What nginx does with a request that an instance didn't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// It repeats nothing for us: `proxy_next_upstream off`.
    Once,
    /// Its default: a request that reached nobody goes to the next.
    Default,
}

impl Upstream {
    /// Both in full, else one by the seed.
    pub fn both(suite: Suite) -> Vec<Upstream> {
        let chosen = sample::one_of(suite, [Upstream::Once, Upstream::Default]);
        eprintln!(
            "{suite}: nginx's next upstream: {chosen:?} (RELPACK_SEED={})",
            sample::seed()
        );
        chosen
    }
}

/// A host with nginx, and what the packages for it are made of.
pub struct Site {
    pub m: Machine,
    pub repo: Repo,
    /// Lines of `[deploy]`.
    deploy: &'static str,
    /// Lines of the template.
    service: &'static str,
    work: tempfile::TempDir,
}

impl Site {
    pub fn boot(suite: Suite, deploy: &'static str) -> Site {
        Site::boot_with(suite, deploy, "", Upstream::Once)
    }

    pub fn boot_with(suite: Suite, deploy: &'static str, service: &'static str, upstream: Upstream) -> Site {
        let m = Machine::boot_with(suite, root::WEB);
        let repo = Repo::new(&m, Transport::Http);
        let next = match upstream {
            Upstream::Once => "proxy_next_upstream off;",
            Upstream::Default => "",
        };
        m.put(
            "/etc/nginx/sites-available/acme",
            format!(
                "map $http_upgrade $of_upgrade {{ default upgrade; \"\" \"\"; }}\n\
                 server {{\n  listen 127.0.0.1:{PORT};\n  client_max_body_size 0;\n  location / {{\n    \
                 proxy_pass http://acme;\n    proxy_http_version 1.1;\n    proxy_set_header Connection $of_upgrade;\n    \
                 proxy_set_header Upgrade $http_upgrade;\n    proxy_request_buffering off;\n    {next}\n  }}\n}}\n"
            ),
        );
        m.put("/root/load.py", LOAD);
        m.put("/root/switches.py", SWITCHES);
        m.ok(
            "rm -f /etc/nginx/sites-enabled/default && mkdir -p /etc/nginx/conf.d && \
              echo 'upstream acme { server 127.0.0.1:9 down; }' >/etc/nginx/conf.d/relpack-acme.conf && \
              ln -sf /etc/nginx/sites-available/acme /etc/nginx/sites-enabled/acme && \
              sed -i 's/worker_connections.*/worker_connections 4096;/' /etc/nginx/nginx.conf && \
              systemctl restart nginx.service",
        );
        let work = tempfile::tempdir().expect("a temporary directory");
        Site {
            m,
            repo,
            deploy,
            service,
            work,
        }
    }

    /// From now on nginx has the server that the package brings, with what a site would change in it.
    #[track_caller]
    pub fn fronted_as_shipped(&self) {
        self.m.ok(&format!(
            "next=$(grep -o 'proxy_next_upstream off;' /etc/nginx/sites-available/acme || :)
             sed -e 's/listen 80;/listen 127.0.0.1:{PORT};/' -e 's/server_name .*/client_max_body_size 0;/' \
                 -e \"s/proxy_pass .*/& $next/\" /usr/share/acme/nginx.conf >/etc/nginx/sites-available/acme
             cmp /usr/share/acme/nginx.conf /etc/nginx/sites-available/acme && exit 1
             nginx -t && systemctl reload nginx.service"
        ));
    }

    /// The slow server as two instances behind nginx.
    pub fn build(&self, version: &str, behaviour: &str) -> Built {
        self.build_of(version, &self.config(version), &[("behaviour", behaviour)])
    }

    fn config(&self, version: &str) -> String {
        self.config_with(version, self.deploy)
    }

    /// The same with other lines of `[deploy]`.
    pub fn config_with(&self, version: &str, deploy: &str) -> String {
        format!(
            "{}[units.\"acme@.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
             Service.TimeoutStopSec = \"30s\"\nService.Environment.UNIT = \"{version}\"\n\
             X-Relpack.Health = \"http://127.0.0.1:{{env.PORT}}/healthz\"\n{}\n\n\
             [instances.blue]\nEnvironment.PORT = \"3000\"\n[instances.green]\nEnvironment.PORT = \"3001\"\n\n\
             [deploy]\nproxy = \"nginx\"\n{}\n{}\n",
            head(version),
            self.service,
            [("settle", "1s"), ("health_timeout", "8s")]
                .iter()
                .filter(|(key, _)| !deploy.contains(key))
                .map(|(key, value)| format!("{key} = \"{value}\"\n"))
                .collect::<String>(),
            deploy
        )
    }

    /// The slow server under any configuration, with more files.
    pub fn build_of(&self, version: &str, config: &str, files: &[(&str, &str)]) -> Built {
        let directory = self.work.path().join(version);
        write(&directory.join("relpack.toml"), config);
        for (path, text) in [("server.py", SERVER), ("body", version)].iter().chain(files) {
            write(&directory.join("build").join(path), text);
        }
        let shown = directory.display().to_string();
        let (path, id) = artifact(&relpack(&["build", "--json", "-C", &shown]).expect_ok());
        Built::at(&path, &id)
    }

    pub fn publish(&self, version: &str, behaviour: &str) {
        self.add(&self.build(version, behaviour));
    }

    /// One whose migration fails.
    pub fn publish_migrating(&self, version: &str) {
        let more = "[migrate]\nexec = \"/usr/bin/false\"\nlike = \"acme@.service\"\n";
        let config = format!("{}\n{more}", self.config(version));
        self.add(&self.build_of(version, &config, &[("behaviour", "serve")]));
    }

    pub fn add(&self, built: &Built) {
        self.repo.add(&self.m, &[built.path()]);
    }

    /// Runs `command`, in full under load.
    #[track_caller]
    pub fn run(&self, command: &str, fails: bool) -> Output {
        if sample::full() {
            return self.under_load_on(PORT, "", command, fails).0;
        }
        let run = self.m.sh(command);
        assert_eq!(run.succeeded(), !fails, "{run}");
        run
    }

    /// An admin's file that nginx refuses: `upgrade` fails, and changes nothing that serves. Then the file is gone.
    #[track_caller]
    pub fn nginx_refuses(&self, upgrade: &str, version: &str) {
        let state = "sha256sum /etc/nginx/conf.d/relpack-acme.conf; systemctl show -p MainPID -p NRestarts nginx.service; \
                     systemctl show -p MainPID acme@blue.service acme@green.service";
        let before = self.m.ok(state).stdout;
        self.m.put("/etc/nginx/conf.d/zz-broken.conf", "prxy_pass;\n");
        self.run(upgrade, true)
            .expect_says("nginx refuses its configuration: ")
            .expect_says("unknown directive \"prxy_pass\"")
            .expect_says(&format!("acme {version} serves, as before."));
        assert_eq!(self.m.ok(state).stdout, before);
        self.m.ok("[ ! -e /var/lib/relpack/acme/proxy.pending ]");
        self.m.ok("rm /etc/nginx/conf.d/zz-broken.conf && nginx -t");
        self.healed(version);
    }

    /// Runs `command` under load through nginx; gives what the load says.
    #[track_caller]
    pub fn under_load(&self, command: &str, fails: bool) -> Value {
        self.under_load_on(PORT, "", command, fails).1
    }

    /// The same on another port, with further arguments for the load; and what the command said.
    #[track_caller]
    pub fn under_load_on(&self, port: u16, kind: &str, command: &str, fails: bool) -> (Output, Value) {
        let (run, load) = self.loaded(port, kind, command, fails);
        assert_eq!(load["sent"], load["answered"], "{load}\n{run}");
        assert_eq!(
            load["failures"].as_object().map(serde_json::Map::len),
            Some(0),
            "{load}\n{run}"
        );
        (run, load)
    }

    /// The same, whatever is lost.
    #[track_caller]
    pub fn loaded(&self, port: u16, kind: &str, command: &str, fails: bool) -> (Output, Value) {
        let (least, before) = if sample::full() { (LEAST_FULL, 10) } else { (0, 3) };
        let run = self.m.sh_within(
            &format!(
                "rm -f /run/load.stop; ulimit -n 8192; python3 /root/switches.py /run/load.stop >/run/switches & watch=$!; \
                 SWITCHES=/run/switches python3 /root/load.py {port} {RATE} 16 16 /run/load.stop {least} {kind} >/run/load.json & load=$!; \
                 sleep {before}; cut -d ' ' -f 1 /proc/uptime >/run/load.marks; rc=0; {command} || rc=$?; \
                 cut -d ' ' -f 1 /proc/uptime >>/run/load.marks; sleep 1; mv /run/load.marks /run/load.stop; wait $watch && wait $load; exit $rc"
            ),
            Duration::from_secs(600),
        );
        assert_eq!(run.succeeded(), !fails, "{run}");
        let load: Value = serde_json::from_str(&self.m.read("/run/load.json")).expect("the load prints JSON");
        eprintln!("{command}: {:.1} s, {load}", run.took.as_secs_f64());
        // Only where a connection was closed as its next request went out.
        assert!(
            load["retried"]
                .as_u64()
                .zip(load["sent"].as_u64())
                .is_some_and(|(again, sent)| again * 100 <= sent),
            "{load}"
        );
        let floor = u64::from(LEAST_FULL).min(if sample::full() { u64::MAX } else { 1000 });
        assert!(load["sent"].as_u64() >= Some(floor), "too little load: {load}");
        (run, load)
    }

    /// Each of these switched, in this order, and a load worth its name was under way each time that anything did.
    #[track_caller]
    pub fn busy_at(&self, load: &Value, expected: &[&str]) {
        let switches = load["switches"].as_array().expect("a list");
        let mut order = switches.iter().filter_map(|switch| switch[1].as_str());
        for what in expected {
            assert!(
                order.any(|switched| switched == *what),
                "{what} did not switch, or not in the order of {expected:?}: {load}"
            );
        }
        for switch in switches {
            assert!(
                switch[2].as_u64() >= Some(8),
                "too little was under way: {switch}, {load}"
            );
        }
    }

    /// In full, when nothing else runs: enough was under way, and nobody waited much longer than before.
    #[track_caller]
    pub fn not_slower(&self, load: &Value) {
        if !sample::full() {
            return;
        }
        let number = |key: &str| load[key].as_f64().unwrap_or(f64::NAN);
        assert!(number("in_flight_mean") >= 8.0, "{load}");
        assert!(
            number("p99_during_ms") <= 2.0 * number("p99_before_ms") + 50.0,
            "slower: {load}"
        );
    }

    /// Which code each instance serves.
    #[track_caller]
    pub fn instances(&self) -> String {
        self.m
            .ok("for p in 3000 3001; do curl -sS --max-time 5 http://127.0.0.1:$p/ | cut -d ' ' -f 1; done | paste -s -d ' '")
            .text()
            .to_owned()
    }

    /// The job that goes on with an activation at a boot has ended.
    #[track_caller]
    pub fn resumed(&self) {
        self.m.wait_for(
            "! systemctl -q is-active relpack-resume-acme.service",
            Duration::from_secs(60),
        );
    }

    /// dpkg's record says again what serves, and the job that saw to it has ended.
    #[track_caller]
    pub fn healed(&self, version: &str) {
        let says = format!("[ \"$(dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' acme)\" = 'ii {version}' ]");
        self.m.wait_for(&says, Duration::from_secs(60));
        self.m.healing_has_ended();
    }

    /// Both instances serve `version`, and nothing is left of a roll.
    #[track_caller]
    pub fn settled(&self, version: &str) {
        assert_eq!(self.instances(), format!("{version} {version}"));
        self.in_order();
        assert_eq!(
            self.m
                .ok("grep -c 'server 127.0.0.1:300.;' /etc/nginx/conf.d/relpack-acme.conf")
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

    #[track_caller]
    fn in_order(&self) {
        self.m.ok("acme-release status");
        assert_eq!(self.m.ok("find /run/systemd/generator* -name 'acme*'").text(), "");
        assert_eq!(
            self.m.ok("systemctl is-enabled acme@blue acme@green | sort -u").text(),
            "enabled"
        );
    }

    /// Which colour nginx sends requests to.
    #[track_caller]
    pub fn serving(&self) -> String {
        let port = self
            .m
            .ok("sed -n 's/.*server 127.0.0.1:\\([0-9]*\\);/\\1/p' /etc/nginx/conf.d/relpack-acme.conf");
        match port.text() {
            "3000" => "blue".to_owned(),
            "3001" => "green".to_owned(),
            other => panic!("nginx sends requests to {other:?}\n{port}"),
        }
    }

    /// One colour serves `version`, the other one has ended, and a boot would do the same.
    #[track_caller]
    pub fn one_serves(&self, version: &str) -> String {
        let colour = self.serving();
        let other = if colour == "blue" { "green" } else { "blue" };
        self.m.wait_for(
            &format!("! systemctl -q is-active acme@{other}.service"),
            Duration::from_secs(60),
        );
        self.m.wait_for(
            "! systemctl -q is-active relpack-drain-acme.service",
            Duration::from_secs(20),
        );
        assert_eq!(
            self.m
                .ok(&format!("curl -sS http://127.0.0.1:{PORT}/ | cut -d ' ' -f 1"))
                .text(),
            version
        );
        self.in_order();
        assert_eq!(self.m.ok("ls /var/lib/relpack/acme/idle").text(), other);
        assert_eq!(
            self.m.ok("systemctl list-units --failed --no-legend --plain").text(),
            ""
        );
        colour
    }
}

/// Waits for what heals to let dpkg's lock go.
pub fn install(version: &str) -> String {
    format!("apt-get install -y -q -o DPkg::Lock::Timeout=30 acme={version}")
}

/// The first tables of a configuration.
pub fn head(version: &str) -> String {
    format!(
        "[package]\nname = \"acme\"\nversion = \"{version}\"\nmaintainer = \"Test <test@example.com>\"\n\
         description = \"test application\"\ndepends = [\"python3\"]\n\n[release]\nsource = \"build\"\n\n"
    )
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it has one"))
        .and_then(|()| fs::write(path, text))
        .and_then(|()| {
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        })
        .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
