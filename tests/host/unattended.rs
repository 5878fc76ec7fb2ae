//! Nobody is there: Debian's unattended-upgrades deploys by itself, also before the host shuts down, and a release that it
//! brought and that was sick is not tried again.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::{App, Behaviour, Host, Machine, Migration, Repo, Suite, Transport};

on_each_suite![sampled: upgrades_nobody_watches];

/// Without an instance of debconf, as where a timer starts it.
const RUN: &str = "env -u DEBIAN_FRONTEND unattended-upgrade -v </dev/null";

const SETTINGS: &str = "Unattended-Upgrade::Origins-Pattern { \"origin=*\"; };
Unattended-Upgrade::InstallOnShutdown \"false\";
";

fn app(version: &str) -> App {
    App::new(version)
        .migration(Migration::Ok)
        .timer()
        .settle("0s")
        .file("app.ini", version)
        .extra("[files.\"/etc/acme/app.ini\"]\nsource = \"build/app.ini\"")
}

fn upgrades_nobody_watches(suite: Suite) {
    // Without python3-gi, which it recommends, it doesn't hold the shutdown up for as long as it takes.
    let m = Machine::boot_with(suite, &["unattended-upgrades", "python3-gi"]);
    let repo = Repo::new(&m, Transport::File);
    let mut host = Host { m, repo };
    host.m
        .ok("systemctl mask --now apt-daily.timer apt-daily-upgrade.timer && systemctl is-active unattended-upgrades.service");
    host.m.put("/etc/apt/apt.conf.d/90test", SETTINGS);
    host.deploy(&app("1.0"));
    host.m.ok("echo mine >/etc/acme/app.ini");

    let two = host.publish(&[app("2.0")]).remove(0);
    host.m.ok(RUN);
    host.all_well(&two, "2.0");
    assert_eq!(host.m.read("/etc/acme/app.ini"), "mine\n", "an edited file is not kept");

    // A sick one: what it says of it stands in its own log, the release before serves, and the next run has nothing to do.
    host.publish(&[app("3.0").behaviour(Behaviour::ExitAtOnce)]);
    host.m.sh(RUN).expect_failure();
    host.m
        .ok("cat /var/log/unattended-upgrades/unattended-upgrades-dpkg.log")
        .expect_says("acme 2.0 serves, as before.");
    host.serves("2.0");
    host.expect_healed("2.0");
    let pid = host.pid("acme.service");
    host.m.ok(RUN);
    host.all_well(&two, "2.0");
    assert_eq!(host.pid("acme.service"), pid, "it was tried again");

    // Before the host goes down: logind delays that for it.
    let four = host.publish(&[app("4.0")]).remove(0);
    host.m
        .put("/etc/apt/apt.conf.d/90test", SETTINGS.replace("\"false\"", "\"true\""));
    host.m.ok("systemctl restart unattended-upgrades.service");
    host.m.wait_for(
        "systemd-inhibit --list --no-legend | grep -q 'Unattended Upgrades Shutdown'",
        Duration::from_secs(60),
    );
    host.m.poweroff();
    host.m.start();
    host.m
        .ok("cat /var/log/unattended-upgrades/unattended-upgrades-dpkg.log")
        .expect_says("Setting up acme (4.0)");
    host.comes_to_serve("4.0");
    host.m.healing_has_ended();
    host.all_well(&four, "4.0");
    let ended = host
        .migrations()
        .iter()
        .filter(|line| line.starts_with("end 4.0"))
        .count();
    assert_eq!(ended, 1, "{:?}", host.migrations());
}
