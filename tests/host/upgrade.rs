//! Upgrades: the new release serves, the old one is kept, and nothing else is touched.

use std::time::Instant;

use crate::on_each_suite;
use crate::support::{App, Host, Migration, Suite};

on_each_suite![
    the_new_release_serves,
    the_same_content_restarts_nothing,
    ten_in_a_row,
    units_come_and_go;
    sampled:
    the_admin_decides,
    a_running_oneshot_is_left_alone,
    old_releases_are_pruned,
    unchanged_files_are_shared,
];

fn the_new_release_serves(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let app = |version| App::new(version).migration(Migration::Ok).timer();
    let old = host.deploy(&app("1.0"));
    let pid = host.pid("acme.service");
    let new = host.publish(&[app("2.0")]).remove(0);
    let took = m.ok("apt-get upgrade -y -q").took;
    eprintln!("{suite}: upgraded in {:.2} s", took.as_secs_f64());
    host.all_well(&new, "2.0");
    assert_ne!(pid, host.pid("acme.service"));
    assert_eq!(
        host.migrations(),
        ["start 1.0 acme", "end 1.0", "start 2.0 acme", "end 2.0"]
    );
    m.ok(&format!("acme-release verify {}", old.release_id))
        .expect_says(&old.release_id);
    m.ok("acme-release verify 1.0");
    m.ok("acme-release history").expect_says("upgrade");
    assert_eq!(host.enabled("acme.service acme-report.timer"), "enabled enabled");
}

fn the_same_content_restarts_nothing(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let app = |version| App::new(version).body("same").migration(Migration::Ok).timer();
    let old = host.deploy(&app("1.0"));
    let look = || {
        m.ok("systemctl show -p MainPID,InvocationID acme.service acme-report.timer")
            .stdout
    };
    let before = look();
    let new = host.deploy(&app("1.1"));
    assert_eq!(
        old.release_id, new.release_id,
        "the id names the content, not the version"
    );
    assert_eq!(before, look(), "something was restarted");
    host.all_well(&new, "same");
    // Nor does a plain reinstallation.
    m.ok("apt-get install --reinstall -y -q acme");
    assert_eq!(before, look(), "something was restarted");
    assert_eq!(host.migrations(), ["start same acme", "end same"]);
}

fn ten_in_a_row(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let apps: Vec<App> = (0..=10)
        // Five starts in the interval are systemd's limit; a slow test machine must not escape it.
        .map(|n| {
            App::new(&format!("1.{n}"))
                .settle("0s")
                .service_line("Unit.StartLimitIntervalSec = \"10min\"")
        })
        .collect();
    let built = host.publish(&apps);
    host.install("1.0").expect_ok();
    let started = Instant::now();
    for version in &built[1..] {
        host.install(&version.version).expect_ok();
        host.serves(&version.version);
    }
    eprintln!("{suite}: ten upgrades in {:.1} s", started.elapsed().as_secs_f64());
    host.all_well(&built[10], "1.10");
    let limited = m.ok("journalctl --no-pager -o cat -u acme.service | grep -c 'start-limit-hit' || :");
    assert_eq!(limited.text(), "0", "{limited}");
}

fn units_come_and_go(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.deploy(&App::new("1.0").timer());
    m.ok("systemctl is-active acme-report.timer");
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    let new = host.deploy(&App::new("2.0").extra(worker));
    host.all_well(&new, "2.0");
    assert_eq!(host.enabled("acme-worker.service"), "enabled");
    m.ok("systemctl is-active acme-worker.service");
    m.sh("systemctl is-active acme-report.timer").expect_failure();
    let left = m.ok("find /etc/systemd /usr/lib/systemd /run/systemd -name 'acme-report*'");
    assert_eq!(left.text(), "", "of the dropped timer\n{left}");
    // And back again.
    m.ok("apt-get install -y -q --allow-downgrades acme=1.0");
    host.serves("1.0");
    assert_eq!(host.enabled("acme.service acme-report.timer"), "enabled enabled");
    m.ok("systemctl is-active acme-report.timer");
    m.sh("systemctl is-active acme-worker.service").expect_failure();
    let left = m.ok("find /etc/systemd /usr/lib/systemd /run/systemd -name 'acme-worker*'");
    assert_eq!(left.text(), "", "of the service that 1.0 lacks\n{left}");
}

fn the_admin_decides(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    let app = |version| App::new(version).timer().extra(worker);
    host.deploy(&app("1.0"));
    m.ok("systemctl disable --now acme-report.timer && systemctl stop acme-worker.service");
    m.put(
        "/etc/systemd/system/acme.service.d/local.conf",
        "[Service]\nEnvironment=LOCAL=yes\n",
    );
    m.ok("systemctl daemon-reload");
    let new = host.deploy(&app("2.0"));
    host.all_well(&new, "2.0");
    assert_eq!(
        host.enabled("acme.service acme-report.timer acme-worker.service"),
        "enabled disabled enabled"
    );
    m.sh("systemctl is-active acme-report.timer").expect_failure();
    m.sh("systemctl is-active acme-worker.service").expect_failure();
    let pid = host.pid("acme.service");
    m.ok(&format!("tr '\\0' '\\n' </proc/{pid}/environ | grep -qx LOCAL=yes"));
    // A service that the admin stopped and disabled stays so, while the package is upgraded around it.
    m.ok("systemctl disable --now acme.service");
    host.deploy(&app("3.0"));
    assert_eq!(host.pid("acme.service"), 0);
    assert_eq!(host.enabled("acme.service"), "disabled");
    host.expect_dpkg("3.0");
    m.ok("systemctl start acme.service");
    host.comes_to_serve("3.0");
}

fn a_running_oneshot_is_left_alone(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let app = |version| {
        App::new(version).extra(
            "[units.\"acme-night.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"/bin/sh -c 'sleep 60; cat body'\"\n\
             [units.\"acme-night.timer\"]\nTimer.OnCalendar = \"*-*-* 03:30:00\"\n",
        )
    };
    host.deploy(&app("1.0"));
    m.ok("systemctl start --no-block acme-night.service");
    m.wait_for(
        "[ \"$(systemctl show -p MainPID --value acme-night.service)\" != 0 ]",
        std::time::Duration::from_secs(10),
    );
    let pid = host.pid("acme-night.service");
    let timer = m.ok("systemctl show -p InvocationID --value acme-night.timer").stdout;
    host.deploy(&app("2.0"));
    host.serves("2.0");
    assert_eq!(host.pid("acme-night.service"), pid, "the running oneshot was touched");
    assert_eq!(
        timer,
        m.ok("systemctl show -p InvocationID --value acme-night.timer").stdout,
        "the timer was restarted"
    );
    // It still runs in the release that it was started from.
    let seen = m.ok(&format!("cat /proc/{pid}/root/opt/acme/app/body"));
    assert_eq!(seen.text(), "1.0");
}

fn old_releases_are_pruned(suite: Suite) {
    let host = Host::boot(suite);
    let apps: Vec<App> = (1..=5)
        .map(|n| App::new(&format!("{n}.0")).settle("0s").release_line("keep = 3"))
        .collect();
    let built = host.publish(&apps);
    for version in &built {
        host.install(&version.version).expect_ok();
    }
    let mut expected: Vec<&str> = built[2..].iter().map(|b| b.release_id.as_str()).collect();
    expected.sort_unstable();
    let kept = host.m.ok("ls -A /opt/acme/releases");
    assert_eq!(kept.text().lines().collect::<Vec<_>>(), expected, "kept releases");
    let debs = host.m.ok("ls /var/lib/relpack/acme/debs");
    let mut expected: Vec<String> = built[2..]
        .iter()
        .map(|b| format!("acme_{}_{}.deb", b.version, b.release_id))
        .collect();
    expected.sort_unstable();
    assert_eq!(debs.text().lines().collect::<Vec<_>>(), expected, "their packages");
}

fn unchanged_files_are_shared(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let same = "unchanged\n".repeat(10_000);
    let app = |version: &str| {
        App::new(version)
            .file("assets/big", &same)
            .file("assets/small", version)
    };
    host.deploy(&app("1.0"));
    host.deploy(&app("2.0"));
    let inodes = m.ok("stat -c '%n %h' /opt/acme/releases/*/assets/* | sed 's/.*assets.//' | sort");
    assert_eq!(
        inodes.text(),
        // What the live release has alone is the payload's too.
        "big 2\nbig 2\nsmall 1\nsmall 2",
        "names and links of the files of both releases"
    );
    // What was tampered with is not built upon.
    m.ok("printf x >>/opt/acme/current/assets/big");
    host.deploy(&app("3.0"));
    m.ok("acme-release verify");
    m.sh("acme-release verify 2.0").expect_failure();
}
