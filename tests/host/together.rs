//! What happens side by side: two activations, processes of old releases, daemons that inherit, other applications and
//! packages that depend on ours.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{Built, ask_on};
use crate::support::{App, Behaviour, Host, Machine, Migration, Suite, expect_same};

on_each_suite![
    rotated:
    two_activations_at_once,
    a_process_keeps_its_release,
    what_is_left_running_blocks_nobody,
    two_applications_on_one_host,
    a_package_that_depends_on_ours,
];

/// A start of this one lasts for as long as /etc/slow exists.
fn slow(version: &str) -> App {
    App::new(version)
        .settle("0s")
        .service_line("Service.ExecStartPre = \"/bin/sh -c 'while test -e /etc/slow; do sleep 0.1; done'\"")
}

/// Everything below the paths with its metadata, to show that it was not touched.
#[track_caller]
fn picture(m: &Machine, paths: &str) -> String {
    m.ok(&format!(
        "find {paths} \\( -name lock -o -name incoming \\) -prune -o -printf '%p %y %m %U:%G %s %T@ %l\\n' | sort"
    ))
    .stdout
}

fn two_activations_at_once(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[slow("1.0"), slow("2.0"), slow("3.0"), slow("4.0")]);
    host.install("1.0").expect_ok();
    host.install("2.0").expect_ok();

    // A rollback runs; apt and a second person come along.
    m.ok("touch /etc/slow");
    let rollback = m.spawn("acme-release rollback");
    switched_to(m, &built[0]);
    let before = picture(m, "/var/lib/relpack /usr/lib/relpack /opt/acme /etc/systemd/system");
    let vetoed = host.install("3.0").expect_failure();
    eprintln!("{suite}: {}", vetoed.stderr.trim_end());
    vetoed
        .expect_says("another activation of acme is running (acme-release rollback")
        .expect_says("hint:");
    host.expect_dpkg("2.0");
    for verb in ["rollback", "rollback 1.0", "prune"] {
        m.sh(&format!("acme-release {verb}"))
            .expect_failure()
            .expect_says("another activation of acme is running (acme-release rollback");
    }
    let after = picture(m, "/var/lib/relpack /usr/lib/relpack /opt/acme /etc/systemd/system");
    expect_same(&before, &after, "who was refused has changed something");
    m.ok("rm /etc/slow");
    rollback.wait(Duration::from_secs(60)).expect_ok();
    let pid = host.serves("1.0").pid;
    host.dpkg_follows("1.0");
    assert_eq!(host.all_well(&built[0], "1.0").pid, pid);
    // The same command again, as the message says.
    host.install("3.0").expect_ok();
    host.all_well(&built[2], "3.0");

    // A rollback between the unpacking and the configuring of a newer version: the person's word counts.
    m.ok("dpkg --unpack /srv/apt/acme_4.0_all.deb && touch /etc/slow");
    let rollback = m.spawn("acme-release rollback 1.0");
    switched_to(m, &built[0]);
    m.sh("dpkg --configure acme")
        .expect_failure()
        .expect_says("another activation of acme is running (acme-release rollback");
    m.ok("rm /etc/slow");
    rollback.wait(Duration::from_secs(60)).expect_ok();
    host.serves("1.0");
    host.dpkg_follows("1.0");
    host.all_well(&built[0], "1.0");

    // Two at the very same moment: one of them does it.
    host.install("3.0").expect_ok();
    let ended = m.ok("for n in 1 2; do (acme-release rollback 1.0 >/dev/null 2>&1 && echo won) & done; wait");
    assert_eq!(ended.text(), "won", "{ended}");
    host.serves("1.0");
    host.dpkg_follows("1.0");
    host.all_well(&built[0], "1.0");
}

#[track_caller]
fn switched_to(m: &Machine, built: &Built) {
    let condition = format!(
        "[ \"$(readlink /opt/acme/current)\" = releases/{} ] && systemctl show -p ActiveState --value acme | grep -qx activating",
        built.release_id
    );
    m.wait_for(&condition, Duration::from_secs(20));
}

/// How a process can need a release, as shell with the release's directory in `$r`; it says "ready" in /run/need-NAME.
const NEEDS: [(&str, &str); 6] = [
    ("exe", "cd / && \"$r/bin/nap\" 1000 & echo ready >/run/need-exe; wait"),
    ("cwd", "cd \"$r\" && echo ready >/run/need-cwd; exec sleep 1000"),
    (
        "file",
        "cd / && exec 5<\"$r/body\"; echo ready >/run/need-file; exec sleep 1000",
    ),
    (
        "mapped",
        "exec python3 -c 'import ctypes, os, sys, time\n\
         os.chdir(\"/\")\n\
         fd = os.open(sys.argv[1] + \"/body\", os.O_RDONLY)\n\
         libc = ctypes.CDLL(None)\n\
         libc.mmap.restype = ctypes.c_void_p\n\
         at = libc.mmap(None, ctypes.c_size_t(4096), 5, 2, fd, ctypes.c_long(0))\n\
         assert at != ctypes.c_void_p(-1).value\n\
         os.close(fd)\n\
         open(\"/run/need-mapped\", \"w\").write(\"ready\")\n\
         time.sleep(1000)' \"$r\"",
    ),
    (
        "mount",
        "cd / && mount --bind \"$r\" /mnt && echo ready >/run/need-mount; exec sleep 1000",
    ),
    (
        "root",
        "cd / && exec python3 -c 'import os, sys, time\n\
         open(\"/run/need-root\", \"w\").write(\"ready\")\n\
         os.chroot(sys.argv[1])\n\
         time.sleep(1000)' \"$r\"",
    ),
];

fn a_process_keeps_its_release(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    // The first release is nobody's, the others have a process each; the last two are live and the one before it.
    let count = NEEDS.len() + 3;
    let apps: Vec<App> = (1..=count)
        .map(|n| {
            App::new(&format!("{n}.0"))
                .settle("0s")
                .without_health()
                .release_line(if n < count { "keep = 20" } else { "keep = 2" })
                .program("bin/nap", "/bin/sleep")
        })
        .collect();
    let built = host.publish(&apps);
    for (n, version) in built.iter().enumerate() {
        if n + 1 == count {
            for ((name, script), release) in NEEDS.iter().zip(&built[1..]) {
                m.put(
                    &format!("/run/need-{name}.sh"),
                    format!("r=/opt/acme/releases/{}\n{script}\n", release.release_id),
                );
                // In a mount namespace of its own, as every process of a service that has a sandbox is.
                let private = if *name == "mount" { "yes" } else { "no" };
                m.ok(&format!(
                    "systemd-run -q --unit=need-{name} -p PrivateMounts={private} sh /run/need-{name}.sh"
                ));
                m.wait_for(&format!("grep -q ready /run/need-{name}"), Duration::from_secs(10));
            }
        }
        host.install(&version.version).expect_ok();
    }
    let kept = || -> Vec<String> {
        let said = m.ok("ls /opt/acme/releases");
        let mut versions: Vec<String> = built
            .iter()
            .filter(|b| said.stdout.contains(&b.release_id))
            .map(|b| b.version.clone())
            .collect();
        versions.sort();
        versions
    };
    let mut expected: Vec<String> = built[1..].iter().map(|b| b.version.clone()).collect();
    assert_eq!(kept(), expected, "after a prune with a process in all but the first");
    for (name, _) in NEEDS {
        m.ok(&format!(
            "systemctl is-active need-{name} && systemctl stop need-{name}"
        ));
        m.ok("acme-release prune");
        expected.remove(0);
        assert_eq!(
            kept(),
            expected,
            "after the end of the process that needed it by its {name}"
        );
    }
    // What is gone leaves no record either.
    let left = m.ok("ls /var/lib/relpack/acme/seals /var/lib/relpack/acme/debs /usr/lib/relpack/acme/units");
    for gone in &built[..count - 2] {
        assert!(!left.stdout.contains(&gone.release_id), "{left}");
    }
    host.all_well(&built[count - 1], &format!("{count}.0"));
}

fn what_is_left_running_blocks_nobody(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    // A daemon is left behind by the start, by the migration, by the health check and by the admin's own policy script,
    // which is a child of the postinst.
    let app = |version: &str| {
        App::new(version)
            .settle("0s")
            .migration(Migration::Slow(3))
            .file(
                "bin/daemonize",
                "#!/bin/sh\nsetsid sleep 1001 >/dev/null 2>&1 </dev/null &\n",
            )
            .service_line("Service.KillMode = \"process\"")
            .service_line("Service.ExecStartPre = \"bin/daemonize\"")
    };
    m.put(
        "/usr/sbin/policy-rc.d",
        "#!/bin/sh\nsetsid sleep 1002 >/dev/null 2>&1 </dev/null &\nexit 0\n",
    );
    m.ok("chmod +x /usr/sbin/policy-rc.d");
    let built = host.publish(&[app("1.0"), app("2.0"), app("3.0")]);
    host.install("1.0").expect_ok();
    m.ok("pgrep -fx 'sleep 1001' && pgrep -fx 'sleep 1002'");
    let holders = m.sh("find /proc/[0-9]*/fd -type l -lname '*/relpack/acme/lock'");
    assert_eq!(holders.text(), "", "a process holds the lock\n{holders}");

    // The next one is killed while its migration runs; that runs on, and the one after waits for its end.
    let apt = m.spawn("systemd-run -q --scope --unit=killed apt-get install -y -q acme=2.0");
    m.wait_for(
        "grep -q 'start 2.0' /opt/acme/shared/data/migrations",
        Duration::from_secs(30),
    );
    m.ok("systemctl kill -s KILL killed.scope");
    apt.wait(Duration::from_secs(10));
    let installed = host.install("3.0");
    // dpkg may want to finish what it was killed in; then that comes first.
    if !installed.succeeded() {
        m.ok("dpkg --configure -a");
        host.install("3.0").expect_ok();
    }
    let migrations = host.migrations();
    let expected = [
        "start 1.0 acme",
        "end 1.0",
        "start 2.0 acme",
        "end 2.0",
        "start 3.0 acme",
        "end 3.0",
    ];
    assert_eq!(migrations, expected, "two ran at once, or one ran twice");
    host.all_well(&built[2], "3.0");
    m.ok("acme-release rollback 1.0");
    host.dpkg_follows("1.0");
    host.all_well(&built[0], "1.0");
}

/// The second application; its name begins with the first one's.
const OTHER: &str = "acme-api";
const OTHER_PORT: u16 = 3001;
const OTHERS: &str =
    "/var/lib/relpack/acme-api /usr/lib/relpack/acme-api /opt/acme-api /etc/apt/preferences.d/relpack-acme-api.pref";

fn other(version: &str) -> App {
    App::new(version)
        .named(OTHER, OTHER_PORT)
        .settle("0s")
        .timer()
        .migration(Migration::Ok)
}

#[track_caller]
fn other_pid(m: &Machine, body: &str) -> u64 {
    let Some(answer) = ask_on(m, OTHER_PORT) else {
        panic!(
            "{OTHER} does not answer\n{}",
            m.sh("systemctl status --no-pager 'acme*'")
        );
    };
    assert_eq!((answer.code.as_str(), answer.unit.as_str()), (body, body));
    answer.pid
}

fn two_applications_on_one_host(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let app = |version: &str| App::new(version).settle("0s").timer().migration(Migration::Ok);
    let bad = |app: App| app.behaviour(Behaviour::ExitAtOnce);
    let built = host.publish(&[app("1.0"), app("1.1"), bad(app("2.0")), app("3.0")]);
    host.publish(&[other("1.0"), other("1.1"), bad(other("2.0"))]);

    // Both in one run of apt.
    m.ok("apt-get install -y -q acme=1.0 acme-api=1.0");
    host.all_well(&built[0], "1.0");
    m.ok("apt-get install -y -q acme=1.1 acme-api=1.1");
    host.all_well(&built[1], "1.1");
    // A rollback leaves the other a pin, which is not ours to clear.
    m.ok("acme-api-release rollback");
    m.wait_for(
        "[ \"$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' acme-api)\" = 'ii 1.0' ]",
        Duration::from_secs(60),
    );
    m.healing_has_ended();
    let pid = other_pid(m, "1.0");
    let before = picture(m, OTHERS);
    assert!(before.contains("relpack-acme-api.pref"), "{before}");

    // An upgrade, a failed one, a rollback, a purge of the one: nothing of the other changes.
    let untouched = |after: &str| {
        assert_eq!(
            other_pid(m, "1.0"),
            pid,
            "the other application was restarted by {after}"
        );
        expect_same(
            &before,
            &picture(m, OTHERS),
            &format!("the other application was touched by {after}"),
        );
        assert_eq!(
            host.enabled("acme-api.service acme-api-report.timer"),
            "enabled enabled"
        );
        m.ok("acme-api-release status && acme-api-release verify && id acme-api");
    };
    m.sh("apt-get install -y -q acme=2.0").expect_failure();
    host.dpkg_follows("1.1");
    untouched("a failed upgrade and its healing");
    host.install("3.0").expect_ok();
    host.all_well(&built[3], "3.0");
    m.ok("acme-release rollback 1.1");
    host.dpkg_follows("1.1");
    untouched("an upgrade and a rollback");

    // Both fail in one run, and both heal, although dpkg's lock is one.
    let failed = m.sh("apt-get install -y -q acme=2.0 acme-api=2.0").expect_failure();
    failed.expect_says("acme 1.1 serves").expect_says("acme-api 1.0 serves");
    m.wait_for(
        "[ \"$(dpkg-query -W -f '${db:Status-Abbrev}${Version} ' acme acme-api)\" = 'ii 1.1 ii 1.0 ' ]",
        Duration::from_secs(60),
    );
    m.healing_has_ended();
    host.all_well(&built[1], "1.1");
    m.ok("acme-api-release status");

    let pid = other_pid(m, "1.0");
    let before = picture(m, OTHERS);
    m.ok("rm /opt/acme/shared/data/migrations && apt-get purge -y -q acme");
    assert_eq!(
        other_pid(m, "1.0"),
        pid,
        "the other application was restarted by a purge"
    );
    expect_same(
        &before,
        &picture(m, OTHERS),
        "the other application was touched by a purge",
    );
    m.ok("acme-api-release status && acme-api-release verify && id acme-api && ! id acme 2>/dev/null");
    m.ok("systemctl is-active acme-api.service acme-api-report.timer");
    let left = m.ok("find /opt /var/lib/relpack /usr/lib/relpack /etc/systemd /usr/lib/systemd -name 'acme*' ! -name 'acme-api*' ! -path '*/acme-api/*'");
    assert_eq!(left.text(), "", "{left}");
    host.no_unit_failed();
    host.install("3.0").expect_ok();
    host.all_well(&built[3], "3.0");
    assert_eq!(other_pid(m, "1.0"), pid);
}

fn a_package_that_depends_on_ours(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[
        App::new("1.0").settle("0s"),
        App::new("2.0").settle("0s").behaviour(Behaviour::ExitAtOnce),
        App::new("3.0").settle("0s"),
    ]);
    host.repo.add_dependent(m, "loose", "1.0", "acme");
    host.repo.add_dependent(m, "tight", "1.0", "acme (>= 1.0)");
    host.repo.add_dependent(m, "tight", "2.0", "acme (>= 2.0)");
    m.ok("apt-get install -y -q acme=1.0 tight=1.0 loose");
    let states = || {
        m.ok("dpkg-query -W -f '${Package} ${db:Status-Abbrev}${Version}\\n' loose tight")
            .stdout
    };
    let all_configured = "loose ii 1.0\ntight ii 1.0\n";
    assert_eq!(states(), all_configured);

    // Our upgrade fails alone: after the healing the dependants are as before.
    host.install("2.0").expect_failure();
    host.dpkg_follows("1.0");
    assert_eq!(states(), all_configured);

    // It fails together with a dependant that needs it: apt can't configure that one, and says so; one command leads out.
    m.sh("apt-get install -y -q acme=2.0 tight=2.0")
        .expect_failure()
        .expect_says("acme 1.0 serves");
    host.dpkg_follows("1.0");
    let pid = host.serves("1.0").pid;
    m.ok("apt-get install -y -q --allow-downgrades tight=1.0");
    assert_eq!(states(), all_configured);
    assert_eq!(host.all_well(&built[0], "1.0").pid, pid);
    m.ok("apt-get install -y -q -f && apt-get upgrade -y -q");

    // The fixed version brings both.
    m.ok("apt-get install -y -q acme=3.0 tight=2.0");
    host.all_well(&built[2], "3.0");

    // dpkg alone refuses to remove what others need, and nothing is stopped for that.
    let pid = host.pid("acme.service");
    m.sh("dpkg --remove acme")
        .expect_failure()
        .expect_says("depends on acme");
    assert_eq!(host.serves("3.0").pid, pid);
    assert_eq!(host.dpkg(), "ri  3.0");
    // apt takes them along.
    m.ok("apt-get remove -y -q acme");
    let left = m.sh("dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' acme loose tight");
    assert!(!left.stdout.contains(" ii"), "{left}");
    let audit = m.ok("dpkg --audit");
    assert_eq!(audit.text(), "", "{audit}");
}
