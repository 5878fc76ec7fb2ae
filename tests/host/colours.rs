//! Two colours, and instances, where nobody waits for the switch: at a shutdown, at a boot, and on the way back from there. A
//! boot starts exactly what serves.

use std::time::Duration;

use crate::elsewhere::{does_at_boot, does_at_shutdown, spawn_unhurried};
use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::site::{Site, Upstream};
use crate::support::{Suite, faults, sample};

on_each_suite![
    sampled:
    a_disabled_colour_does_not_serve,
    a_switch_at_boot_leaves_one,
    a_switch_that_fails_moves_no_instance,
    a_switch_that_is_taken_back_brings_both,
    what_an_admin_had_enabled_stays_so,
    a_switch_goes_on_with_the_colour_that_runs,
    a_shutdown_before_the_change,
    a_boot_has_other_workers,
];

const ROLLING: &str = "strategy = \"rolling\"";
const BLUE_GREEN: &str = "strategy = \"blue-green\"";
const DEB: &str = "dpkg -i /srv/apt/acme_2.0_all.deb";

/// Both instances of 1.0 serve; 2.0, under that strategy and with these further lines, can be installed.
fn site(suite: Suite, deploy: &str, more: &str) -> (Site, Built) {
    let r = Site::boot_with(suite, ROLLING, "", Upstream::Once);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.settled("1.0");
    let config = r.config_with("2.0", deploy) + more;
    let two = r.build_of("2.0", &config, &[("behaviour", "serve"), ("etc", "text")]);
    r.add(&two);
    (r, two)
}

/// An admin's choice: no boot would start that one.
fn a_disabled_colour_does_not_serve(suite: Suite) {
    for (stopped, serves) in sample::one_of(suite, [("blue", "green"), ("green", "blue")]) {
        let (mut r, _) = site(suite, BLUE_GREEN, "");
        r.m.ok(&format!("systemctl disable -q --now acme@{stopped}.service"));
        does_at_shutdown(&r.m, DEB);
        r.m.reboot();
        let late = r.m.read("/var/log/late");
        r.resumed();
        assert_eq!(r.serving(), serves, "{late}");
        assert_eq!(r.m.ok("ls /var/lib/relpack/acme/idle").text(), stopped);
        r.m.ok(&format!(
            "systemctl -q is-active acme@{serves}.service && ! systemctl -q is-active acme@{stopped}.service"
        ));

        r.healed("2.0");

        // A deploy changes over to it all the same, and says what comes of that.
        let config = r.config_with("3.0", BLUE_GREEN);
        r.add(&r.build_of("3.0", &config, &[("behaviour", "serve")]));
        r.m.ok("apt-get install -y -q acme=3.0").expect_says(&format!(
            "warning: acme@{stopped}.service serves from now on, and is disabled: no boot would start it \
             (hint: systemctl enable acme@{stopped}.service)"
        ));
        assert_eq!(r.serving(), stopped);
    }
}

fn a_switch_at_boot_leaves_one(suite: Suite) {
    let (mut r, _) = site(suite, BLUE_GREEN, "");
    does_at_boot(
        &r.m,
        "among",
        DEB,
        "After=acme@blue.service acme@green.service nginx.service",
        "multi-user.target",
    );
    r.m.reboot();
    let among = r.m.read("/var/log/among");
    assert!(among.starts_with("starting\n") && among.ends_with("rc 0\n"), "{among}");
    r.m.wait_for(
        "curl -sSf http://127.0.0.1:8080/ | grep '^2.0 '",
        Duration::from_secs(30),
    );
    r.one_serves("2.0");
}

/// Has dpkg's lock while it runs.
const DPKG_IS_LOCKED: &str = "[Unit]\nConditionPathExists=!/etc/dpkg-is-free\n[Service]\nExecStart=/usr/bin/python3 -c \
    'import fcntl, time; lock = open(\"/var/lib/dpkg/lock\", \"w\"); fcntl.lockf(lock, fcntl.LOCK_EX); time.sleep(9999)'\n\
    [Install]\nWantedBy=multi-user.target\n";

/// One of its files can't be written, after its instances were moved.
fn a_switch_that_fails_moves_no_instance(suite: Suite) {
    for deploy in sample::one_of(suite, [ROLLING, BLUE_GREEN]) {
        let (mut r, _) = site(
            suite,
            deploy,
            "\n[files]\n\"/etc/acme-more/text\" = { source = \"build/etc\" }\n",
        );
        r.m.put("/etc/acme-more", "a file, where that directory is to be\n");
        does_at_shutdown(&r.m, DEB);
        r.m.put("/etc/systemd/system/busy.service", DPKG_IS_LOCKED);
        r.m.ok("systemctl enable -q busy.service");
        r.m.reboot();
        let late = r.m.read("/var/log/late");
        assert!(late.contains("acme 1.0 serves, as before."), "{late}");
        assert!(late.contains("the next boot sets dpkg's record to 1.0"), "{late}");
        let both_serve = "curl -sSf http://127.0.0.1:3000/ && curl -sSf http://127.0.0.1:3001/";
        r.m.wait_for(both_serve, Duration::from_secs(30));
        assert_eq!(r.instances(), "1.0 1.0");
        // dpkg's record follows by itself, if not at this boot, then at the next.
        r.m.wait_for(
            "systemctl -q is-active relpack-heal-acme.service",
            Duration::from_secs(30),
        );
        r.m.ok("touch /etc/dpkg-is-free");
        r.m.reboot();
        r.healed("1.0");
        r.m.wait_for(both_serve, Duration::from_secs(30));
        r.settled("1.0");
        r.m.ok("[ ! -e /var/lib/relpack/acme/idle ] || ! ls /var/lib/relpack/acme/idle | grep .");
    }
}

const FAILS: &str = "[migrate]\nexec = \"/usr/bin/false\"\nlike = \"acme@.service\"\n";

/// Kills 2.0 in a shutdown, after it has moved everything and before that is recorded; the next boot has gone on with it.
#[track_caller]
fn killed_at_shutdown(r: &mut Site, two: &Built) {
    r.add(&two.with_points());
    faults::arm(&r.m, "before-finish", faults::DIE_RECORDING);
    does_at_shutdown(&r.m, &format!("{DEB}; cat /var/lib/relpack/acme/journal"));
    r.m.reboot();
    let late = r.m.read("/var/log/late");
    assert!(late.contains("step=switch\n"), "{late}");
    r.resumed();
}

/// Its migration fails at the next boot.
fn a_switch_that_is_taken_back_brings_both(suite: Suite) {
    let (mut r, two) = site(suite, BLUE_GREEN, FAILS);
    killed_at_shutdown(&mut r, &two);
    r.healed("1.0");
    r.settled("1.0");
}

/// 2.0 names an instance of its own that the admin has already.
fn what_an_admin_had_enabled_stays_so(suite: Suite) {
    let third = format!("{FAILS}[instances.third]\nEnvironment.PORT = \"3002\"\n");
    let (mut r, two) = site(suite, ROLLING, &third);
    r.m.ok("echo PORT=3002 >/opt/acme/shared/env.third && systemctl enable -q --now acme@third.service");
    killed_at_shutdown(&mut r, &two);
    r.healed("1.0");
    assert_eq!(r.instances(), "1.0 1.0");
    r.m.ok("systemctl -q is-enabled acme@third.service && curl -sSf http://127.0.0.1:3002/ | grep '^1.0 '");
}

/// A boot started one of two that nginx still has.
fn a_switch_goes_on_with_the_colour_that_runs(suite: Suite) {
    let (mut r, two) = site(suite, BLUE_GREEN, "");
    r.m.put(
        "/root/watch",
        "while :; do\nsed -n 's/.*:\\(300.\\);/\\1/p' /etc/nginx/conf.d/relpack-acme.conf | paste -s -d ' '\nsleep 0.1\ndone\n",
    );
    r.m.put(
        "/etc/systemd/system/watch.service",
        "[Unit]\nBefore=nginx.service\n[Service]\nExecStart=/bin/sh /root/watch\nStandardOutput=file:/run/watched\n\
         [Install]\nWantedBy=multi-user.target\n",
    );
    r.m.ok("systemctl enable -q watch.service");
    killed_at_shutdown(&mut r, &two);
    r.healed("2.0");
    assert_eq!(r.one_serves("2.0"), "green");
    // Green, on which 2.0 had not begun yet, was no colour for nginx until it was healthy.
    assert_eq!(r.m.ok("uniq /run/watched").text(), "3000 3001\n3000\n3001");
}

/// nginx is asked to forget one of two that served, and the host goes down meanwhile.
fn a_shutdown_before_the_change(suite: Suite) {
    let (mut r, _) = site(suite, BLUE_GREEN, "");
    r.m.put(
        "/etc/systemd/system/nginx.service.d/slow.conf",
        "[Service]\nExecReload=\nExecReload=/bin/sh -c 'if [ -e /run/slow ]; then exec sleep 30; fi; exec nginx -s reload'\n",
    );
    r.m.ok("systemctl daemon-reload && touch /run/slow");
    let upgrade = spawn_unhurried(&r.m, DEB);
    r.m.wait_for("[ -e /var/lib/relpack/acme/proxy.pending ]", Duration::from_secs(30));
    r.m.ok("grep -qx step=store /var/lib/relpack/acme/journal");
    r.m.reboot();
    drop(upgrade);
    let midway = r.m.read("/var/log/midway");
    // By which step it notices is a matter of moments.
    let postponed = [
        "acme 2.0 serves from the next boot on",
        "its next boot goes on with acme 2.0",
    ];
    assert!(postponed.iter().any(|said| midway.contains(said)), "{midway}");
    r.resumed();
    r.healed("2.0");
    r.m.wait_for("curl -sSf http://127.0.0.1:8080/", Duration::from_secs(30));
    r.one_serves("2.0");
}

/// The host dies after the change, and at its next boot other processes have the numbers of nginx's workers.
fn a_boot_has_other_workers(suite: Suite) {
    let mut r = Site::boot_with(suite, "strategy = \"blue-green\"\ndrain = \"50s\"", "", Upstream::Once);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.add(&r.build("2.0", "serve").with_points());
    faults::arm(&r.m, "swapped", faults::HOLD);
    let running = r.m.spawn(&format!("systemd-run -q --scope --unit=interrupted {DEB}"));
    faults::hit(&r.m, "swapped");
    r.m.ok("n=0; for d in /run/relpack/acme /var/lib/relpack/acme; do \
            if [ -e $d/proxy.workers ]; then seq 2 999 >$d/proxy.workers; n=1; fi; done; [ $n = 1 ] && sync");
    r.m.kill9();
    r.m.start();
    running.wait(Duration::from_secs(30));
    r.resumed();
    // Which takes no more than their start and their gate.
    r.m.wait_for("! systemctl -q is-active acme@blue.service", Duration::from_secs(30));
    r.healed("2.0");
    assert_eq!(r.one_serves("2.0"), "green");
}
