//! Instances and their proxy, where a person has changed something: an instance of their own, another port, an nginx that fails.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::site::{PORT, Site, Upstream, head, install};
use crate::support::{Suite, faults, sample};

on_each_suite![
    rotated:
    a_port_is_edited,
    a_canary_tells_what_its_command_said,
    a_drainer_keeps_nobody_waiting,
    an_instance_beside_the_colours,
    nginx_fails_for_a_moment,
    two_at_a_time,
    instances_that_are_stopped_stay_so,
    a_service_becomes_instances,
    drop_ins_follow_their_instance,
    what_an_admin_stopped_stays_down_in_a_revert,
    who_starts_later_is_known_to_nginx,
    the_other_colour_outlives_what_it_requires,
    of_two_colours_one_is_idle_again,
    a_colour_starts_after_a_death_before_it_was_enabled,
];

const ROLLING: &str = "strategy = \"rolling\"";
const BLUE_GREEN: &str = "strategy = \"blue-green\"";

const SERVERS: &str = "grep -o ':30[0-9]*;' /etc/nginx/conf.d/relpack-acme.conf | tr -d ':;\\n'";

/// What a process was started with holds until its next start, whatever its file says meanwhile.
fn a_port_is_edited(suite: Suite) {
    for (deploy, edited, before, after) in sample::one_of(
        suite,
        [
            (ROLLING, "green", "30003001", "30003005"),
            (BLUE_GREEN, "blue", "3000", "3001"),
        ],
    ) {
        let r = Site::boot(suite, deploy);
        let servers = || r.m.ok(SERVERS).text().to_owned();
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        r.m.ok(&format!("echo PORT=3005 >>/opt/acme/shared/env.{edited}"));
        r.under_load("apt-get install -y -q --reinstall acme=1.0", false);
        assert_eq!(servers(), before);
        r.publish("2.0", "serve");
        r.under_load(&install("2.0"), false);
        assert_eq!(servers(), after);
        if deploy == ROLLING {
            let said =
                r.m.ok("for p in 3000 3005; do curl -sS http://127.0.0.1:$p/ | cut -d ' ' -f 1; done");
            assert_eq!(said.text(), "2.0\n2.0");
        } else {
            assert_eq!(r.one_serves("2.0"), "green");
            // From its next start on it listens there.
            r.publish("3.0", "serve");
            r.under_load(&install("3.0"), false);
            assert_eq!(servers(), "3005");
        }
        r.m.ok("acme-release status");
    }
    // What nginx reads as root is nothing that a process can write.
    let r = Site::boot(suite, ROLLING);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.m.ok("mkdir -p /etc/systemd/system/acme@green.service.d && cd /etc/systemd/system/acme@green.service.d && \
        printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/env \"PORT=3001; } include /etc/shadow; #\" /usr/bin/sleep infinity\\n' >odd.conf && \
        systemctl daemon-reload && systemctl restart acme@green.service");
    r.m.wait_for(
        "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value acme@green.service)/environ | grep shadow",
        Duration::from_secs(10),
    );
    r.m.ok(
        "apt-get install -y -q --reinstall acme=1.0 && nginx -t && ! grep shadow /etc/nginx/conf.d/relpack-acme.conf",
    );
    assert_eq!(r.m.ok(SERVERS).text(), "30003001");
}

fn a_canary_tells_what_its_command_said(suite: Suite) {
    let deploy = "strategy = \"canary\"\nsoak = \"3s\"\ncheck = \"bin/smoke\"";
    let r = Site::boot(suite, deploy);
    let publish = |version: &str, smoke: &str| {
        let files = [("behaviour", "serve"), ("bin/smoke", smoke)];
        r.add(&r.build_of(version, &r.config_with(version, deploy), &files));
    };
    publish("1.0", "#!/bin/sh\necho fine\n");
    r.m.ok("apt-get install -y -q acme=1.0");
    publish(
        "2.0",
        "#!/bin/sh\necho begins\nprintf '%s \\033[1m%s of %0500d\\n' \"$(id -un)\" $PORT 1\n",
    );
    let said = r.m.ok(&install("2.0"));
    said.expect_says("the canary acme@blue.service passed ")
        .expect_says(&format!(
            "(its command said: acme [1m3000 of {:0>184}); the others follow",
            ""
        ));
    r.settled("2.0");
    // Told of while the canary soaks.
    publish("3.0", "#!/bin/sh\necho \"$PORT is sick\"\n[ ! -e /etc/sick ]\n");
    let upgrade = r.m.spawn(&install("3.0"));
    r.m.wait_for("grep -x 3.0 /opt/acme/instances/blue/body", Duration::from_secs(60));
    r.m.wait_for(
        "curl -sS http://127.0.0.1:3000/ | grep '^3.0 '",
        Duration::from_secs(20),
    );
    r.m.ok("sleep 2 && touch /etc/sick");
    upgrade
        .wait(Duration::from_secs(120))
        .expect_failure()
        .expect_says("the check of acme@blue.service failed: bin/smoke: 3000 is sick");
    r.healed("2.0");
    r.settled("2.0");
}

/// Ends when it may. systemd's signal goes to all of a service's processes, also to one that this has just begun.
const DRAINER: &str = "#!/bin/sh
trap 'while [ ! -e /run/drained ]; do sleep 0.1; done; echo \"$(cat body) has ended\"; exit 0' TERM
echo \"$(cat body) begins\"
while :; do sleep 0.2; done
";

/// A service that nobody waits for, beside instances that are waited for.
fn a_drainer_keeps_nobody_waiting(suite: Suite) {
    for deploy in sample::one_of(suite, [ROLLING, BLUE_GREEN]) {
        let r = Site::boot(suite, deploy);
        let publish = |version: &str| {
            let drains = "[units.\"acme-jobs.service\"]\nService.ExecStart = \"bin/drain\"\nService.TimeoutStopSec = \"60s\"\n\
                          X-Relpack.OnUpgrade = \"no-block\"\n";
            let config = r
                .config_with(version, deploy)
                .replace("[deploy]", &format!("{drains}[deploy]"));
            let files = [("behaviour", "serve"), ("bin/drain", DRAINER)];
            r.add(&r.build_of(version, &config, &files));
        };
        publish("1.0");
        r.m.ok("apt-get install -y -q acme=1.0");
        publish("2.0");
        let state = "systemctl show -p ActiveState --value acme-jobs.service";
        let command = format!("apt-get install -y -q acme=2.0 && {state} && touch /run/drained");
        let (upgrade, _) = r.under_load_on(PORT, "", &command, false);
        assert!(upgrade.text().ends_with("deactivating"), "{upgrade}");
        r.m.wait_for(
            "journalctl -q -o cat -u acme-jobs.service | grep -x '2.0 begins'",
            Duration::from_secs(60),
        );
        let said =
            r.m.ok("journalctl -q -o cat -u acme-jobs.service -t drain | grep -E 'begins|ended'");
        assert_eq!(said.text(), "1.0 begins\n1.0 has ended\n2.0 begins");
        if deploy == ROLLING {
            r.settled("2.0");
        } else {
            r.one_serves("2.0");
        }
    }
}

/// Blue-green moves its colours; what an admin started of the same template is restarted as under recreate.
fn an_instance_beside_the_colours(suite: Suite) {
    let r = Site::boot(suite, BLUE_GREEN);
    let third = || {
        let said =
            r.m.ok("curl -sS --max-time 5 http://127.0.0.1:3002/ | cut -d ' ' -f 1; systemctl show -p MainPID --value acme@third.service");
        said.text().to_owned()
    };
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.m.ok("echo PORT=3002 >/opt/acme/shared/env.third && systemctl enable --now acme@third.service");
    r.m.wait_for("curl -sS http://127.0.0.1:3002/", Duration::from_secs(10));
    for (version, colour) in [("2.0", "green"), ("3.0", "blue")] {
        r.publish(version, "serve");
        r.m.ok(&install(version));
        assert_eq!(r.one_serves(version), colour);
        assert!(third().starts_with(version), "{}", third());
    }
    // It is of the release that serves, so there is nothing to do.
    let before = third();
    r.m.ok("apt-get install -y -q --reinstall acme=3.0");
    assert_eq!(r.one_serves("3.0"), "blue");
    assert_eq!(third(), before);
    // It is asked for its health as the others are, and all go back.
    r.publish("4.0", "never-healthy-3002");
    r.m.sh(&install("4.0"))
        .expect_failure()
        .expect_says("acme@third.service did not become healthy")
        .expect_says("acme 3.0 serves, as before.");
    r.healed("3.0");
    assert_eq!(r.one_serves("3.0"), "blue");
    assert!(third().starts_with("3.0"), "{}", third());
}

/// It is told that an instance leaves, and fails: the instance comes back, though nothing of it had changed.
fn nginx_fails_for_a_moment(suite: Suite) {
    let r = Site::boot(suite, ROLLING);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.settled("1.0");
    let pids = "systemctl show -p MainPID --value acme@blue.service acme@green.service";
    let before = r.m.ok(pids).stdout;
    r.m.put(
        "/etc/systemd/system/nginx.service.d/once.conf",
        "[Service]\nExecReload=\nExecReload=/bin/sh -c 'if rm /run/fails; then exit 1; fi; exec nginx -s reload'\n",
    );
    // What heals afterwards would bring it back as well.
    r.m.ok("touch /run/fails && systemctl daemon-reload && systemctl mask relpack-heal-acme.service");
    r.publish("2.0", "serve");
    r.under_load(&install("2.0"), true);
    assert_eq!(r.m.ok(SERVERS).text(), "30003001");
    assert_eq!(r.m.ok(pids).stdout, before);
    r.m.ok("systemctl unmask relpack-heal-acme.service && apt-get install -y -q --allow-downgrades acme=1.0");
    r.settled("1.0");
    assert_eq!(r.m.ok(pids).stdout, before);
    r.m.ok("[ ! -e /run/fails ] && [ ! -e /var/lib/relpack/acme/proxy.pending ]");
    // Where it goes on failing, somebody is told.
    r.m.put(
        "/etc/systemd/system/nginx.service.d/once.conf",
        "[Service]\nExecReload=\nExecReload=/bin/false\n",
    );
    r.m.ok("systemctl daemon-reload");
    r.publish("3.0", "serve");
    r.m.sh(&install("3.0"))
        .expect_failure()
        .expect_says("nginx could not be told which instances serve (hint: systemctl status nginx; then: apt-get install --reinstall acme=1.0)");
    r.m.ok("rm /etc/systemd/system/nginx.service.d/once.conf && systemctl daemon-reload");
    r.healed("1.0");
    r.m.ok("apt-get install -y -q -o DPkg::Lock::Timeout=30 --reinstall acme=1.0");
    r.settled("1.0");
}

/// Of three instances two leave nginx at once, and the third carries the load meanwhile.
fn two_at_a_time(suite: Suite) {
    let deploy = "strategy = \"rolling\"\nmax_parallel = 2";
    let r = Site::boot(suite, deploy);
    let publish = |version: &str, behaviour: &str| {
        let third = "[instances.third]\nEnvironment.PORT = \"3002\"\n";
        let config = r
            .config_with(version, deploy)
            .replace("[deploy]", &format!("{third}[deploy]"));
        r.add(&r.build_of(version, &config, &[("behaviour", behaviour)]));
    };
    publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    publish("2.0", "serve");
    let load = r.under_load(&install("2.0"), false);
    let order = [
        "nginx",
        "link green",
        "process acme@green.service",
        "nginx",
        "link third",
        "process acme@third.service",
        "nginx",
        "current",
    ];
    r.busy_at(&load, &order);
    let switches = load["switches"].as_array().expect("a list");
    let names: Vec<&str> = switches.iter().filter_map(|switch| switch[1].as_str()).collect();
    let at = |what: &str| names.iter().position(|name| *name == what);
    let between = at("link blue")
        .zip(at("link green"))
        .map(|(one, two)| one.abs_diff(two));
    assert_eq!(between, Some(1), "blue and green did not go together: {names:?}");
    publish("3.0", "never-healthy-3002");
    r.under_load(&install("3.0"), true);
    r.healed("2.0");
    let said =
        r.m.ok("for p in 3000 3001 3002; do curl -sS http://127.0.0.1:$p/ | cut -d ' ' -f 1; done | sort -u");
    assert_eq!(said.text(), "2.0");
    assert_eq!(r.m.ok(SERVERS).text(), "300030013002");
    r.m.ok("acme-release status");
}

/// An admin has stopped them all: whatever comes starts none, and goes on from there when the admin does.
fn instances_that_are_stopped_stay_so(suite: Suite) {
    for deploy in sample::one_of(suite, [BLUE_GREEN, ROLLING]) {
        let mut r = Site::boot(suite, deploy);
        let both = "acme@blue.service acme@green.service";
        r.publish("1.0", "serve");
        r.m.ok("apt-get install -y -q acme=1.0");
        r.m.ok(&format!("systemctl disable -q --now {both}"));
        let still_stopped = |r: &Site, version: &str| {
            r.healed(version);
            let active = r.m.sh(&format!("systemctl is-active {both}"));
            assert_eq!(active.text(), "inactive\ninactive", "{deploy} {version}");
            let enabled = r.m.sh(&format!("systemctl is-enabled {both}"));
            assert_eq!(enabled.text(), "disabled\ndisabled", "{deploy} {version}");
        };
        for (version, behaviour) in [("2.0", "serve"), ("3.0", "never-healthy")] {
            r.publish(version, behaviour);
            r.m.ok(&format!("apt-get install -y -q acme={version}"));
            still_stopped(&r, version);
        }
        r.m.ok("acme-release rollback");
        still_stopped(&r, "2.0");
        r.m.reboot();
        still_stopped(&r, "2.0");
        r.m.ok("systemctl enable -q --now acme@blue.service");
        r.publish("4.0", "serve");
        r.m.ok("apt-get install -y -q acme=4.0");
        r.healed("4.0");
        r.m.ok("curl -sS http://127.0.0.1:8080/ | grep -q '^4.0 ' && acme-release status");
    }
}

/// A plain service gives way to a template, with a migration between: systemd has seen the new files before their release is live.
fn a_service_becomes_instances(suite: Suite) {
    for deploy in sample::one_of(suite, [ROLLING, BLUE_GREEN]) {
        let r = Site::boot(suite, deploy);
        let plain = |version: &str| {
            let config = format!(
                "{}[units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
                 Service.Environment.UNIT = \"{version}\"\nService.Environment.PORT = \"3005\"\n\
                 X-Relpack.Health = \"http://127.0.0.1:3005/healthz\"\n[deploy]\nsettle = \"1s\"\n",
                head(version)
            );
            r.add(&r.build_of(version, &config, &[("behaviour", "serve")]));
        };
        let instances = |version: &str, migrate: &str, behaviour: &str| {
            let config = r.config_with(version, deploy)
                + &format!("[migrate]\nexec = \"/usr/bin/{migrate}\"\nlike = \"acme@.service\"\n");
            r.add(&r.build_of(version, &config, &[("behaviour", behaviour)]));
        };
        let serve = |version: &str| match deploy {
            ROLLING => r.settled(version),
            _ => drop(r.one_serves(version)),
        };
        plain("1.0");
        r.m.ok("apt-get install -y -q acme=1.0");
        instances("2.0", "true", "serve");
        r.m.ok("apt-get install -y -q acme=2.0");
        serve("2.0");
        r.m.sh("systemctl is-active acme.service").expect_failure();

        r.m.ok("acme-release rollback");
        assert_eq!(
            r.m.ok("curl -sS http://127.0.0.1:3005/ | cut -d ' ' -f 1").text(),
            "1.0"
        );
        r.m.ok("! systemctl -q is-active acme@blue.service && ! systemctl -q is-active acme@green.service");
        r.healed("1.0");
        instances("3.0", "true", "never-healthy");
        r.m.sh(&install("3.0"))
            .expect_failure()
            .expect_says("acme 1.0 serves, as before.");
        assert_eq!(
            r.m.ok("curl -sS http://127.0.0.1:3005/ | cut -d ' ' -f 1").text(),
            "1.0"
        );
        r.healed("1.0");
        instances("4.0", "true", "serve");
        r.m.ok(&install("4.0"));
        serve("4.0");
    }
}

/// Each instance is started under the drop-ins of its own release, although another one is live meanwhile.
fn drop_ins_follow_their_instance(suite: Suite) {
    for deploy in sample::one_of(suite, [ROLLING, BLUE_GREEN]) {
        let r = Site::boot(suite, deploy);
        let publish = |version: &str, drop_ins: &[(&str, &str)]| {
            let config = r
                .config_with(version, deploy)
                .replace("[release]\n", "[release]\nunits = \"units\"\n");
            let files: Vec<(String, String)> = drop_ins
                .iter()
                .map(|(path, says)| {
                    (
                        format!("../units/{path}.conf"),
                        format!("[Service]\nEnvironment={says}={version}\n"),
                    )
                })
                .collect();
            let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
            let all: Vec<(&str, &str)> = [("behaviour", "serve")].into_iter().chain(files).collect();
            r.add(&r.build_of(version, &config, &all));
        };
        // The environment of the instance that nginx knows, or of both.
        let says = || {
            let colours = match deploy {
                ROLLING => "blue green".to_owned(),
                _ => r.serving(),
            };
            let said = r.m.ok(&format!(
                "for i in {colours}; do tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value acme@$i)/environ | grep ^D_ | sort | paste -s; done"
            ));
            let mut lines: Vec<String> = said.text().lines().map(|line| line.replace('\t', " ")).collect();
            lines.dedup();
            lines.join(" / ")
        };
        publish(
            "1.0",
            &[("acme@.service.d/10-all", "D_ALL"), ("acme@.service.d/20-old", "D_OLD")],
        );
        r.m.ok("apt-get install -y -q acme=1.0");
        assert_eq!(says(), "D_ALL=1.0 D_OLD=1.0");
        let two = [
            ("acme@.service.d/10-all", "D_ALL"),
            ("acme@.service.d/30-new", "D_NEW"),
            ("acme@blue.service.d/40-own", "D_OWN"),
            ("acme@green.service.d/40-own", "D_OWN"),
        ];
        publish("2.0", &two);
        r.m.ok("apt-get install -y -q acme=2.0");
        assert_eq!(says(), "D_ALL=2.0 D_NEW=2.0 D_OWN=2.0");
        r.m.ok("acme-release rollback");
        assert_eq!(says(), "D_ALL=1.0 D_OLD=1.0");
        assert_eq!(r.m.ok("find /run/systemd/generator* -name '*acme*'").text(), "");
    }
}

/// Neither the way back from two colours nor that of a roll starts an instance that was down before.
fn what_an_admin_stopped_stays_down_in_a_revert(suite: Suite) {
    let r = Site::boot_with(suite, ROLLING, "Service.Restart = \"no\"", Upstream::Once);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let green = || r.m.sh("systemctl is-active acme@green.service").text().to_owned();
    r.m.ok("systemctl stop acme@green.service");
    fails(&r, "2.0", BLUE_GREEN);
    assert_eq!(green(), "inactive");

    // It has failed, and the host says that nobody may start it.
    r.m.ok("systemctl start acme@green.service && systemctl kill -s KILL acme@green.service");
    r.m.wait_for("systemctl -q is-failed acme@green.service", Duration::from_secs(10));
    r.m.put(
        "/usr/sbin/policy-rc.d",
        "#!/bin/sh\ncase $1 in acme@green.service) exit 101 ;; esac\nexit 0\n",
    );
    r.m.ok("chmod +x /usr/sbin/policy-rc.d");
    fails(&r, "3.0", ROLLING);
    assert_eq!(green(), "failed");
}

/// A release that never gets healthy: 1.0 serves on.
fn fails(r: &Site, version: &str, deploy: &str) {
    let config = r.config_with(version, deploy);
    r.add(&r.build_of(version, &config, &[("behaviour", "never-healthy")]));
    r.m.sh(&install(version))
        .expect_failure()
        .expect_says("acme 1.0 serves, as before.");
    r.healed("1.0");
    let code = r.m.ok("curl -sS http://127.0.0.1:3000/ | cut -d ' ' -f 1");
    assert_eq!(code.text(), "1.0");
}

/// A first install waits for a setting, or for a boot, and nobody tells nginx when it starts.
fn who_starts_later_is_known_to_nginx(suite: Suite) {
    for deploy in sample::one_of(suite, [ROLLING, BLUE_GREEN]) {
        let mut r = Site::boot(suite, deploy);
        let comes_up = |r: &Site| {
            r.m.wait_for(
                &format!("[ \"$(curl -sS http://127.0.0.1:{PORT}/ | cut -d ' ' -f 1)\" = 1.0 ]"),
                Duration::from_secs(20),
            );
            match deploy {
                ROLLING => r.settled("1.0"),
                _ => drop(r.one_serves("1.0")),
            }
        };
        let config = r.config_with("1.0", deploy) + "\n[env]\nrequired = [\"TOKEN\"]\n";
        r.add(&r.build_of("1.0", &config, &[("behaviour", "serve")]));
        let said = r.m.ok("apt-get install -y -q acme=1.0");
        said.expect_says("lacks: TOKEN");
        r.m.ok("echo TOKEN=x >>/opt/acme/shared/env && systemctl start acme@blue.service acme@green.service");
        comes_up(&r);

        r.m.ok("apt-get purge -y -q acme && rm -rf /opt/acme");
        r.add(&r.build_of("1.0", &r.config_with("1.0", deploy), &[("behaviour", "serve")]));
        r.m.ok("mkdir /var/nothing && unshare -m sh -ec 'mount --bind /var/nothing /run/systemd; apt-get install -y -q acme=1.0'");
        r.m.ok("! systemctl -q is-active acme@blue.service");
        r.m.reboot();
        comes_up(&r);
    }
}

/// The release that goes has a migration and the one that comes has none; and what wants the instances is another target.
fn the_other_colour_outlives_what_it_requires(suite: Suite) {
    let mut r = Site::boot(suite, BLUE_GREEN);
    let config = r.config_with("1.0", BLUE_GREEN) + "[migrate]\nexec = \"/usr/bin/true\"\nlike = \"acme@.service\"\n";
    r.add(&r.build_of("1.0", &config, &[("behaviour", "serve")]));
    r.m.ok("apt-get install -y -q acme=1.0");
    let wanted = "[units.\"acme@.service\"]\nInstall.WantedBy = [\"multi-user.target\", \"graphical.target\"]";
    for version in ["2.0", "3.0"] {
        let config = r
            .config_with(version, BLUE_GREEN)
            .replace("[units.\"acme@.service\"]", wanted);
        r.add(&r.build_of(version, &config, &[("behaviour", "serve")]));
        r.under_load(&install(version), false);
        r.one_serves(version);
    }
    r.m.reboot();
    r.m.wait_for(
        &format!("[ \"$(curl -sS http://127.0.0.1:{PORT}/ | cut -d ' ' -f 1)\" = 3.0 ]"),
        Duration::from_secs(20),
    );
    r.one_serves("3.0");
}

/// A failed change to another strategy leaves two colours as they were.
fn of_two_colours_one_is_idle_again(suite: Suite) {
    let r = Site::boot(suite, BLUE_GREEN);
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    assert_eq!(r.one_serves("1.0"), "blue");
    for (version, deploy) in [("2.0", ROLLING), ("3.0", "strategy = \"recreate\"")] {
        fails(&r, version, deploy);
        assert_eq!(r.one_serves("1.0"), "blue");
    }
}

/// A first install whose host dies when its gate is passed: the boot finds nothing enabled.
fn a_colour_starts_after_a_death_before_it_was_enabled(suite: Suite) {
    let mut r = Site::boot(suite, BLUE_GREEN);
    r.add(&r.build("1.0", "serve").with_points());
    faults::arm(&r.m, "after-finish", faults::HOLD);
    let running =
        r.m.spawn("systemd-run -q --scope --unit=interrupted apt-get install -y -q acme=1.0");
    faults::hit(&r.m, "after-finish");
    r.m.kill9();
    r.m.start();
    running.wait(Duration::from_secs(30));
    r.resumed();
    r.healed("1.0");
    assert_eq!(r.one_serves("1.0"), "blue");
}
