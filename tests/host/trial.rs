//! `X-Relpack.Trial`: the next release beside the one that serves, on a socket of its own, before anything is switched.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::site::{Site, head, install};
use crate::support::{Suite, sample};
use crate::traffic::socketed;

on_each_suite![
    rotated:
    a_trial_keeps_what_fails_from_callers,
    it_is_like_the_service,
    nothing_of_it_is_left,
];

const TRIAL: &str = "X-Relpack.Trial = \"127.0.0.1:3001\"\n";

/// How often one has begun.
fn tries(r: &Site) -> usize {
    let said =
        r.m.sh("journalctl --sync; journalctl -q -o cat -u acme-trial.service | grep -c '^Started'");
    said.text().parse().expect("a number")
}

fn ended(r: &Site) {
    r.m.ok(
        "systemctl is-active acme-trial.service acme-trial.socket | grep -vx inactive && exit 1; \
         ! ls /run/systemd/system | grep acme && ! pgrep -f 'server[.]py' -a | grep -v \"^$(systemctl show -p MainPID --value acme.service) \" && \
         systemctl is-system-running",
    );
}

fn serves(r: &Site, version: &str) {
    r.healed(version);
    let said = r.m.ok("curl -sS http://127.0.0.1:3000/ | cut -d ' ' -f 1");
    assert_eq!(said.text(), version);
    r.m.ok("acme-release status");
}

/// A socket, and each new release beside the old one first: whatever is wrong with it, nobody has called it.
fn a_trial_keeps_what_fails_from_callers(suite: Suite) {
    let r = Site::boot(suite, "");
    let load = |command: &str, fails| r.under_load_on(3000, "", command, fails);
    let pid = || r.m.ok("systemctl show -p MainPID --value acme.service").stdout;
    socketed(&r, "1.0", "serve", TRIAL);
    r.m.ok("apt-get install -y -q acme=1.0");
    r.healed("1.0");
    r.m.ok("curl -sS http://127.0.0.1:3000/ | grep -q '^1.0 '");
    let served = pid();
    let sick = ["die-after-5s", "never-healthy", "exit-at-once"];
    for minor in sample::pick(sick.len(), 1) {
        let behaviour = sick[minor];
        let version = format!("2.{minor}");
        socketed(&r, &version, behaviour, TRIAL);
        let (run, load) = load(&install(&version), true);
        run.expect_says("it did not pass its trial: acme-trial.service")
            .expect_says("acme 1.0 serves, as before.");
        let codes = load["codes"].as_object().expect("codes");
        assert!(codes.keys().all(|code| code == "1.0"), "{load}");
        r.healed("1.0");
        assert_eq!(pid(), served, "what serves was restarted");
        ended(&r);
    }
    socketed(&r, "3.0", "serve", TRIAL);
    let (run, load3) = load("apt-get install -y -q acme=3.0", false);
    assert!(load3["codes"]["3.0"].as_u64() > Some(10), "{load3}\n{run}");
    r.healed("3.0");
    ended(&r);

    // What has served here isn't tried again.
    let before = tries(&r);
    r.m.ok("acme-release rollback");
    assert_eq!(tries(&r), before);
    r.healed("1.0");
}

/// What an admin, a drop-in and the release's files say of the service.
fn it_is_like_the_service(suite: Suite) {
    let r = Site::boot(suite, "");
    // The first one has the port itself.
    let config = format!(
        "{}[units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
         Service.Environment.PORT = \"3000\"\nX-Relpack.Health = \"http://127.0.0.1:3000/healthz\"\n\n[deploy]\nsettle = \"0s\"\n",
        head("1.0")
    );
    r.add(&r.build_of("1.0", &config, &[("behaviour", "serve")]));
    r.m.ok("apt-get install -y -q acme=1.0");
    r.m.ok("mkdir -p /etc/systemd/system/acme.service.d && cd /etc/systemd/system/acme.service.d && \
         printf '[Service]\\nRestart=always\\nExecStartPre=/bin/echo an admin says so of %%N\\n' >own.conf && systemctl daemon-reload");
    socketed(&r, "2.0", "serve", TRIAL);
    r.m.ok("apt-get install -y -q acme=2.0");
    serves(&r, "2.0");
    assert_eq!(tries(&r), 1);
    r.m.ok("journalctl -q -o cat -u acme-trial.service | grep -x 'an admin says so of acme-trial'");
    // Its exit is told, whatever the admin says of restarts.
    socketed(&r, "2.1", "exit-at-once", TRIAL);
    r.m.sh(&install("2.1"))
        .expect_failure()
        .expect_says("it did not pass its trial: acme-trial.service is failed (exit-code, status 4)");
    serves(&r, "2.0");
    ended(&r);

    // Somebody else has its port.
    r.m.ok("systemd-run -q --unit=taker python3 -m http.server --bind 127.0.0.1 3001");
    r.m.wait_for("curl -sS http://127.0.0.1:3001/", Duration::from_secs(10));
    socketed(&r, "2.2", "serve", TRIAL);
    r.m.sh(&install("2.2"))
        .expect_failure()
        .expect_says("it did not pass its trial: acme-trial.socket");
    r.m.ok("systemctl stop taker.service");
    serves(&r, "2.0");
    ended(&r);

    let before = tries(&r);
    let untried = |version: &str, more: &str, before: &str, says: &str| {
        r.m.ok(before);
        socketed(&r, version, "serve", more);
        let run = r.m.ok(&format!("apt-get install -y -q acme={version}"));
        assert!(says.is_empty() || run.both().contains(says), "{run}");
        serves(&r, version);
    };
    let files = format!("{TRIAL}[files.\"/etc/acme/acme.ini\"]\nsource = \"build/body\"\n");
    untried(
        "3.0",
        &files,
        "true",
        "acme.service is not tried: its configuration files change with it",
    );
    untried(
        "3.1",
        TRIAL,
        "true",
        "acme.service is not tried: its configuration files change with it",
    );
    untried(
        "3.2",
        TRIAL,
        "systemctl mask acme-trial.service",
        "acme.service is not tried: acme-trial.service is masked",
    );
    untried(
        "3.3",
        TRIAL,
        "systemctl unmask acme-trial.service; systemctl cat acme.service | grep -v '^#' >/etc/systemd/system/acme.service; \
         sed -i 's,^BindReadOnlyPaths=.*,BindReadOnlyPaths=/opt/acme/current:/opt/acme/app,' /etc/systemd/system/acme.service; \
         systemctl daemon-reload",
        "acme.service is not tried: /etc/systemd/system/acme.service stands in its place",
    );
    untried("3.4", "", "systemctl revert acme.service", "");
    assert_eq!(tries(&r), before, "one was tried");
    ended(&r);
}

/// Whatever interrupts it.
fn nothing_of_it_is_left(suite: Suite) {
    let mut r = Site::boot(suite, "");
    socketed(&r, "1.0", "serve", TRIAL);
    r.m.ok("apt-get install -y -q acme=1.0");
    serves(&r, "1.0");
    socketed(&r, "2.0", "serve", TRIAL);
    let killed = |r: &Site| {
        let deploy =
            r.m.spawn("systemd-run -q --scope --unit=interrupted apt-get install -y -q acme=2.0");
        r.m.wait_for("systemctl -q is-active acme-trial.service", Duration::from_secs(30));
        r.m.ok("systemctl kill -s KILL interrupted.scope");
        deploy.wait(Duration::from_secs(10));
        // Beside the one that serves, until its time is over or somebody goes on.
        r.m.ok("systemctl is-active acme-trial.service && curl -sS http://127.0.0.1:3000/ | grep -q '^1.0 '");
    };
    killed(&r);
    // Whatever ends it, nobody's call starts it once more.
    assert_ne!(
        r.m.ok("systemctl show -p RuntimeMaxUSec --value acme-trial.service")
            .text(),
        "infinity"
    );
    r.m.ok("systemctl stop acme-trial.service");
    r.m.wait_for("! systemctl -q is-active acme-trial.socket", Duration::from_secs(10));
    r.m.sh("curl -sS http://127.0.0.1:3001/").expect_failure();
    r.m.ok("dpkg --configure -a");
    serves(&r, "2.0");
    ended(&r);

    r.m.ok("apt-get install -y -q --allow-downgrades acme=1.0 && sed -i '/\t2.0$/d' /var/lib/relpack/acme/activations");
    killed(&r);
    r.m.reboot();
    r.m.ok("dpkg --configure -a");
    serves(&r, "2.0");
    ended(&r);

    r.m.ok("apt-get install -y -q --allow-downgrades acme=1.0 && sed -i '/\t2.0$/d' /var/lib/relpack/acme/activations");
    killed(&r);
    r.m.ok("dpkg --remove acme");
    r.m.ok("! ls /run/systemd/system | grep acme && ! pgrep -f 'server[.]py' && ! ss -ltn | grep -E ':300[01] ' && systemctl is-system-running");
}
