//! What units become from one version to the next: renamed, added, dropped, of another kind, restarted or left alone.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::{App, Behaviour, Host, Machine, Migration, Suite};

on_each_suite![
    rotated:
    renamed_and_of_another_kind,
    on_upgrade_says_what_happens,
    what_only_the_failed_release_has_never_starts,
    drop_ins_that_we_ship,
];

const WORK: &str =
    "#!/bin/sh\necho \"$(cat /opt/acme/app/body) $1\" >>/opt/acme/shared/data/started\nexec sleep infinity\n";

pub fn service(name: &str, lines: &str) -> String {
    format!("[units.\"{name}\"]\n{lines}\n")
}

fn worker(name: &str) -> String {
    service(name, "Service.ExecStart = \"bin/work %n\"")
}

pub fn app(version: &str) -> App {
    App::new(version).settle("0s").file("bin/work", WORK)
}

/// The body of the release that a unit's main process sees as its application. A start has ended when there is a process,
/// which has its mounts a moment later.
#[track_caller]
pub fn code(m: &Machine, unit: &str) -> String {
    let pid = format!("$(systemctl show -p MainPID --value {unit})");
    m.ok(&format!(
        "[ {pid} != 0 ] || {{ systemctl status --no-pager {unit}; exit 1; }}"
    ));
    let body = format!("cat /proc/{pid}/root/opt/acme/app/body");
    m.wait_for(&body, Duration::from_secs(10));
    m.ok(&body).text().to_owned()
}

/// Fails the test when systemd or /etc still knows something of that name.
#[track_caller]
pub fn expect_gone(host: &Host, unit: &str) {
    let m = &host.m;
    m.sh(&format!("systemctl is-active {unit}")).expect_failure();
    let left = m.ok(&format!(
        "find /etc/systemd /usr/lib/systemd /run/systemd/generator* -name '{unit}*'"
    ));
    assert_eq!(left.text(), "", "{left}");
}

#[track_caller]
fn links(host: &Host, names: &str) -> String {
    let said = host.m.ok(&format!(
        "cd /etc/systemd/system && find . -type l -name '{names}' | sort"
    ));
    said.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 1.0 and 4.0 have what 2.0 and 3.0 have under another name or as another kind.
fn changing(version: &str) -> App {
    let old = version == "1.0" || version == "4.0";
    let web = format!(
        "Service.ExecStart = \"/usr/bin/python3 server.py\"\nService.Environment.PORT = \"3001\"\n\
         Service.Environment.UNIT = \"{version}\"\nX-Relpack.Health = \"http://127.0.0.1:3001/healthz\""
    );
    let job = "Service.Type = \"oneshot\"\nService.ExecStart = \"bin/work %n\"";
    let app = app(version);
    if old {
        app.extra(&service("acme-web.service", &web))
            .extra(&worker("acme-loop.service"))
            .extra(&worker("acme-work.service"))
            .extra(&service("acme-night.service", job))
            .extra("[units.\"acme-night.timer\"]\nTimer.OnCalendar = \"*-*-* 03:30:00\"")
    } else {
        app.extra(&service("acme-http.service", &web))
            .extra(&service(
                "acme-loop.service",
                "Service.Type = \"oneshot\"\nService.ExecStart = \"bin/once\"",
            ))
            .extra("[units.\"acme-loop.timer\"]\nTimer.OnCalendar = \"*-*-* 03:30:00\"")
            .extra(&worker("acme-work@.service"))
            .extra("Install.WantedBy = \"multi-user.target\"\nInstall.DefaultInstance = \"first\"")
            .file("bin/once", "#!/bin/sh\ncat body >>/opt/acme/shared/data/once\n")
    }
}

fn renamed_and_of_another_kind(suite: Suite) {
    let mut host = Host::boot(suite);
    host.deploy(&changing("1.0"));
    host.m.ok("systemctl start --no-block acme-night.service");
    host.m.wait_for(
        "grep -q acme-night /opt/acme/shared/data/started",
        Duration::from_secs(10),
    );
    let night = host.pid("acme-night.service");

    host.deploy(&changing("2.0"));
    let m = &host.m;
    // The port went from one to the other.
    m.ok("curl -sf http://127.0.0.1:3001/")
        .expect_says("\"code\": \"2.0\"")
        .expect_says("\"unit\": \"2.0\"");
    expect_gone(&host, "acme-web.service");
    assert_eq!(host.enabled("acme-http.service"), "enabled");
    // A server became a job: nothing runs until the timer says so.
    assert_eq!(host.pid("acme-loop.service"), 0);
    assert_eq!(links(&host, "acme-loop*"), "./timers.target.wants/acme-loop.timer");
    m.ok("systemctl is-active acme-loop.timer");
    m.ok("[ ! -e /opt/acme/shared/data/once ] && systemctl start acme-loop.service");
    assert_eq!(m.read("/opt/acme/shared/data/once"), "2.0");
    // A service became a template; a job of a timer that is gone runs to its end.
    expect_gone(&host, "acme-work.service");
    assert_eq!(code(&host.m, "acme-work@first"), "2.0");
    expect_gone(&host, "acme-night.timer");
    assert_eq!(host.pid("acme-night.service"), night, "a running job was killed");

    // Instances are the admin's.
    m.ok("systemctl enable --now acme-work@third && systemctl start acme-work@fourth && systemctl enable acme-work@fifth");
    host.deploy(&changing("3.0"));
    for instance in ["first", "third", "fourth"] {
        assert_eq!(code(&host.m, &format!("acme-work@{instance}")), "3.0", "{instance}");
    }
    assert_eq!(host.pid("acme-work@fifth"), 0, "it was started");
    assert_eq!(host.pid("acme-night.service"), night, "a running job was killed");
    m.ok("kill $(systemctl show -p MainPID --value acme-night.service)");

    // All the way back, forward.
    host.deploy(&changing("4.0"));
    let m = &host.m;
    m.ok("curl -sf http://127.0.0.1:3001/").expect_says("\"code\": \"4.0\"");
    assert_eq!(code(&host.m, "acme-loop"), "4.0");
    assert_eq!(code(&host.m, "acme-work"), "4.0");
    expect_gone(&host, "acme-loop.timer");
    expect_gone(&host, "acme-http.service");
    m.ok("systemctl is-active acme-night.timer");
    let left = m.ok("systemctl list-units --plain --no-legend --state=active 'acme-work@*'");
    assert_eq!(left.text(), "", "{left}");
    host.no_unit_failed();

    // A rollback finds what the admin had enabled of a template.
    m.ok("apt-get install -y -q --allow-downgrades acme=3.0");
    for instance in ["first", "third", "fifth"] {
        assert_eq!(code(&host.m, &format!("acme-work@{instance}")), "3.0", "{instance}");
    }
    host.m.reboot();
    host.comes_to_serve("3.0");
    let m = &host.m;
    m.wait_for("curl -sf http://127.0.0.1:3001/", Duration::from_secs(10));
    assert_eq!(code(&host.m, "acme-work@third"), "3.0");
    assert_eq!(
        m.read("/opt/acme/shared/data/once"),
        "2.0",
        "the boot ran a job that a timer should run"
    );
    for unit in ["acme-web.service", "acme-night.timer", "acme-work.service"] {
        expect_gone(&host, unit);
    }
    host.no_unit_failed();
    m.ok("acme-release status");

    // An instance that is not well fails the upgrade, and comes back.
    let sick = changing("5.0").file(
        "bin/work",
        "#!/bin/sh\n[ \"$1\" != acme-work@third.service ] || exit 7\nexec sleep infinity\n",
    );
    host.publish(&[sick.settle("1s")]);
    host.install("5.0")
        .expect_failure()
        .expect_says("acme-work@third.service")
        .expect_says("status 7");
    for instance in ["first", "third", "fifth"] {
        assert_eq!(code(&host.m, &format!("acme-work@{instance}")), "3.0", "{instance}");
    }
}

/// Executes itself anew on SIGHUP, from where it finds itself, as servers do that reload their code.
const RELOADER: &str = r#"
import os, signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: None)
os.chdir(os.path.dirname(sys.argv[0]))
with open("/opt/acme/shared/data/reloader", "a") as log:
    log.write(f"{os.getpid()} {open('body').read()}\n")
if os.path.exists("sick"):
    sys.exit(9)
signal.signal(signal.SIGHUP, lambda *_: os.execv(sys.executable, [sys.executable, *sys.argv]))
while True:
    time.sleep(60)
"#;

/// Ends what it has begun, however long that takes.
const DRAINER: &str = "#!/bin/sh
trap 'while [ ! -e /opt/acme/shared/data/drained ]; do sleep 0.1; done; exit 0' TERM
echo \"$(cat body) $1\" >>/opt/acme/shared/data/started
while :; do sleep 1000 & wait; done
";

fn draining(app: App, name: &str) -> App {
    app.file("bin/drain", DRAINER).extra(&service(
        name,
        "Service.ExecStart = \"bin/drain %n\"\nX-Relpack.OnUpgrade = \"no-block\"",
    ))
}

fn policies(version: &str) -> App {
    let mut app = app(version).file("reloader.py", RELOADER);
    if version < "4" {
        app = draining(app, "acme-drains.service");
    }
    for policy in ["restart", "try-restart", "no-block", "none"] {
        for which in ["runs", "idle"] {
            app = app
                .extra(&worker(&format!("acme-{policy}-{which}.service")))
                .extra("Service.Restart = \"no\"")
                .extra(&format!("X-Relpack.OnUpgrade = \"{policy}\""));
        }
    }
    app.extra(&service(
        "acme-reload.service",
        "Service.ExecStart = \"/usr/bin/python3 {app}/reloader.py\"\nService.ExecReload = \"/bin/kill -HUP $MAINPID\"\n\
         X-Relpack.OnUpgrade = \"reload\"\nX-Relpack.Health = \"exec:/usr/bin/test -e reloader.py\"",
    ))
}

fn on_upgrade_says_what_happens(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.deploy(&policies("1.0"));
    m.ok("systemctl stop 'acme-*-idle.service' && systemctl start acme-try-restart-idle.service");
    m.ok("systemctl kill -s SEGV acme-try-restart-idle.service");
    m.wait_for(
        "systemctl is-failed acme-try-restart-idle.service",
        Duration::from_secs(10),
    );
    let pids = || -> Vec<u64> {
        ["restart", "try-restart", "no-block", "none"]
            .iter()
            .map(|policy| host.pid(&format!("acme-{policy}-runs")))
            .collect()
    };
    let before = pids();
    let reload = host.pid("acme-reload");
    let drains = |unit: &str| {
        let said = m.ok(&format!("systemctl show -p ActiveState --value {unit}"));
        assert_eq!(said.text(), "deactivating", "{unit}: somebody has waited for it");
    };
    host.deploy(&policies("2.0"));
    host.serves("2.0");
    drains("acme-drains.service");
    m.ok("touch /opt/acme/shared/data/drained");
    m.wait_for("! systemctl list-jobs --no-legend | grep -q .", Duration::from_secs(10));
    assert_eq!(code(&host.m, "acme-drains"), "2.0");
    let after = pids();
    for (at, (policy, expected)) in [
        ("restart", "2.0"),
        ("try-restart", "2.0"),
        ("no-block", "2.0"),
        ("none", "1.0"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(code(&host.m, &format!("acme-{policy}-runs")), expected, "{policy}");
        assert_eq!(
            before[at] == after[at],
            policy == "none",
            "{policy}: {before:?}, {after:?}"
        );
        assert_eq!(
            host.pid(&format!("acme-{policy}-idle")),
            0,
            "{policy}: a stopped one was started"
        );
    }
    // The same process runs the new code.
    let log = || m.read("/opt/acme/shared/data/reloader");
    m.wait_for("grep -q 2.0 /opt/acme/shared/data/reloader", Duration::from_secs(10));
    assert_eq!(host.pid("acme-reload"), reload, "it was restarted");
    assert_eq!(log(), format!("{reload} 1.0\n{reload} 2.0\n"));
    assert_eq!(
        m.ok(&format!("readlink /proc/{reload}/cwd")).text(),
        m.ok("readlink -f /opt/acme/current").text()
    );
    m.ok("acme-release exec --unit acme-reload.service /bin/cat body")
        .expect_says("2.0");

    // Back, and forth to one that does not survive it.
    m.ok("acme-release rollback");
    m.wait_for(
        "[ $(wc -l </opt/acme/shared/data/reloader) = 3 ]",
        Duration::from_secs(10),
    );
    assert_eq!(log(), format!("{reload} 1.0\n{reload} 2.0\n{reload} 1.0\n"));
    host.expect_dpkg("1.0");
    // Nor does a revert wait, for that one or for one that the failed release had brought.
    m.ok("rm /opt/acme/shared/data/drained");
    let sick = policies("3.0").file("sick", "").settle("2s");
    host.publish(&[draining(sick, "acme-sinks.service")]);
    host.install("3.0")
        .expect_failure()
        .expect_says("acme-reload.service")
        .expect_says("acme 1.0 serves, as before.");
    host.serves("1.0");
    drains("acme-drains.service");
    drains("acme-sinks.service");
    m.ok("touch /opt/acme/shared/data/drained");
    m.wait_for("! systemctl list-jobs --no-legend | grep -q .", Duration::from_secs(10));
    assert_eq!(code(&host.m, "acme-drains"), "1.0");
    expect_gone(&host, "acme-sinks.service");
    let pid = host.pid("acme-reload");
    assert!(log().ends_with(&format!("{pid} 1.0\n")), "{}", log());
    host.expect_healed("1.0");
    // One that is restarted so far has a release of its own, which a reload would not change.
    let turned = policies("4.0")
        .extra("[units.\"acme-turned.service\"]\nService.ExecStart = \"/usr/bin/python3 {app}/reloader.py\"");
    m.ok("rm /opt/acme/shared/data/drained");
    host.deploy(&turned);
    // Nor for one that the new release has no longer.
    drains("acme-drains.service");
    m.ok("touch /opt/acme/shared/data/drained");
    m.wait_for("! systemctl -q is-active acme-drains.service", Duration::from_secs(10));
    expect_gone(&host, "acme-drains.service");
    let before = host.pid("acme-turned");
    host.deploy(&policies("5.0").extra(
        "[units.\"acme-turned.service\"]\nService.ExecStart = \"/usr/bin/python3 {app}/reloader.py\"\n\
         Service.ExecReload = \"/bin/kill -HUP $MAINPID\"\nX-Relpack.OnUpgrade = \"reload\"",
    ));
    let turned = host.pid("acme-turned");
    assert_ne!(turned, before, "it was reloaded within its old release");
    m.wait_for(
        &format!("grep -q '{turned} 5.0' /opt/acme/shared/data/reloader"),
        Duration::from_secs(10),
    );
}

fn what_only_the_failed_release_has_never_starts(suite: Suite) {
    let extra = |app: App| {
        app.extra(&worker("acme-extra.service"))
            .extra("[units.\"acme-soon.timer\"]\nTimer.OnActiveSec = \"1s\"\n[units.\"acme-soon.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"bin/work %n\"")
            .extra("[units.\"acme-door.socket\"]\nSocket.ListenStream = \"127.0.0.1:3003\"")
            .extra(&worker("acme-door.service"))
    };
    let mut host = Host::boot(suite);
    host.deploy(&app("1.0"));
    host.m.ok("apt-get clean");
    host.m.ok("rm -rf /var/lib/relpack/acme/debs");
    host.repo.withdraw(&host.m, "acme");
    let names = "find /etc/systemd /usr/lib/systemd /run/systemd/generator* -name 'acme-extra*' -o -name 'acme-soon*' -o -name 'acme-door*'";
    let never = |host: &Host| {
        let known = host.m.ok(&format!(
            "{names}; systemctl list-units --all --plain --no-legend 'acme-extra*' 'acme-soon*' 'acme-door*'"
        ));
        assert_eq!(known.text(), "", "{known}");
        host.m.sh("cat /opt/acme/shared/data/started").stdout
    };
    // Nothing to heal from: dpkg's record stays with the failed version.
    host.publish(&[extra(app("2.0").migration(Migration::Fail))]);
    host.install("2.0").expect_failure();
    assert_eq!(never(&host), "");
    host.m.ok("systemctl daemon-reload");
    host.m.reboot();
    host.comes_to_serve("1.0");
    assert_eq!(host.dpkg(), "iF  2.0");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(never(&host), "", "a unit of the failed release was started");
    // One whose units had been started.
    host.publish(&[extra(
        app("3.0").behaviour(Behaviour::NeverHealthy).health_timeout("1s"),
    )]);
    host.install("3.0").expect_failure();
    let started = never(&host);
    host.m.ok("systemctl daemon-reload");
    host.m.reboot();
    host.comes_to_serve("1.0");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(
        never(&host),
        started,
        "a unit of the failed release was started after its revert"
    );
    host.no_unit_failed();
}

/// A template whose instance `blue` has a drop-in of its own; `drop_ins` are name and text below `acme-work@….service.d`.
fn with_drop_ins(version: &str, drop_ins: &[(&str, &str)]) -> App {
    let mut app = app(version)
        .release_line("units = \"build/units\"")
        .file(
            "units/acme-more.service",
            "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
        )
        .file(
            "units/acme-tick.service",
            "[Service]\nType=oneshot\nExecStart=/usr/bin/true\n",
        )
        .file("units/acme-tick.timer", "[Timer]\nOnCalendar=*-*-* 03:30:00\n")
        .file(
            "units/acme-work@.service",
            "[Service]\nExecStart=bin/work %n\n[Install]\nWantedBy=multi-user.target\n",
        );
    for (path, text) in drop_ins {
        app = app.file(&format!("units/{path}"), text);
    }
    app
}

fn drop_ins_that_we_ship(suite: Suite) {
    let mut host = Host::boot(suite);
    let variable = |host: &Host, unit: &str| {
        let environ = format!("tr '\\0' '\\n' </proc/{}/environ", host.pid(unit));
        // As long as it is still systemd's own process, it has systemd's environment.
        let its_own = format!("{environ} | grep -q ^INVOCATION_ID=");
        host.m.wait_for(&its_own, Duration::from_secs(10));
        host.m
            .ok(&format!("{environ} | grep ^SHIPPED= || echo none"))
            .text()
            .to_owned()
    };
    let says = |value: &str| format!("[Service]\nEnvironment=SHIPPED={value}\n");
    host.deploy(&with_drop_ins(
        "1.0",
        &[("acme-more.service.d/10-x.conf", &says("one"))],
    ));
    host.m.ok("systemctl enable --now acme-work@blue acme-work@green");
    assert_eq!(variable(&host, "acme-more"), "SHIPPED=one");
    assert_eq!(variable(&host, "acme-work@blue"), "none");
    let clock = "[Timer]\nOnCalendar=*-*-* 04:30:00\n";
    let two = with_drop_ins(
        "2.0",
        &[
            ("acme-work@blue.service.d/10-x.conf", &says("blue {app}")),
            ("acme-tick.timer.d/10-x.conf", clock),
        ],
    );
    // What a release that is delivered and not live would change is not changed, by no daemon-reload and no boot.
    let failing = |app: App| app.migration(Migration::Fail);
    host.m.ok("apt-get clean && rm -rf /var/lib/relpack/acme/debs");
    host.repo.withdraw(&host.m, "acme");
    host.publish(&[failing(two)]);
    let window = "acme-more.service.d/10-x.conf";
    host.m
        .ok("cd /root && apt-get download -q acme=2.0 && dpkg --unpack acme_2.0_all.deb");
    host.m.reboot();
    host.comes_to_serve("1.0");
    assert_eq!(variable(&host, "acme-more"), "SHIPPED=one");
    assert_eq!(variable(&host, "acme-work@blue"), "none");
    let m = &host.m;
    m.ok("systemctl show -p TimersCalendar acme-tick.timer")
        .expect_says("03:30:00");
    m.sh("dpkg --configure acme").expect_failure();
    assert_eq!(variable(&host, "acme-more"), "SHIPPED=one");
    assert_eq!(variable(&host, "acme-work@blue"), "none");
    assert_eq!(
        m.read(&format!("/usr/lib/systemd/system/{window}"))
            .matches("SHIPPED=one")
            .count(),
        1
    );
    m.ok("[ ! -e /usr/lib/systemd/system/acme-work@blue.service.d ] && [ ! -e /usr/lib/systemd/system/acme-tick.timer.d ]");

    let timer = || m.ok("systemctl show -p InvocationID --value acme-tick.timer").stdout;
    let before = timer();
    host.deploy(&with_drop_ins(
        "3.0",
        &[
            ("acme-work@blue.service.d/10-x.conf", &says("{app}")),
            ("acme-tick.timer.d/10-x.conf", clock),
        ],
    ));
    assert_eq!(variable(&host, "acme-more"), "none");
    assert_eq!(variable(&host, "acme-work@blue"), "SHIPPED=/opt/acme/app");
    assert_eq!(variable(&host, "acme-work@green"), "none");
    let after = timer();
    assert_ne!(before, after, "a timer whose drop-in is new goes by its old text");
    m.ok("systemctl show -p TimersCalendar acme-tick.timer")
        .expect_says("04:30:00");
    m.ok("[ ! -e /usr/lib/systemd/system/acme-more.service.d ]");
    let generated = m.ok("find /run/systemd/generator* -name 'acme*'");
    assert_eq!(generated.text(), "", "{generated}");
}
