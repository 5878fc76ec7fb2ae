//! What the admin has chosen on a host outlives upgrades, failed upgrades and rollbacks.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::{App, Behaviour, Host, Migration, Suite};
use crate::unit_changes::code;

on_each_suite![
    rotated:
    every_choice_survives,
    starts_are_forbidden_and_migrations_too,
    a_stopped_service_is_upgraded_around,
    an_edited_file_stays,
];

/// A file of the build that a service of this name runs for ever.
const WORK: &str = "#!/bin/sh\nexec sleep infinity\n";

fn worker(name: &str, exec: &str) -> String {
    format!("[units.\"{name}\"]\nService.ExecStart = \"{exec}\"\n")
}

const STILL: &str = "acme-off acme-idle acme-masked acme-veiled acme-report.timer";

fn app(version: &str) -> App {
    // What is not to be started could not be started from 2.0 on either: a start would fail, and a gate even more.
    let still = if version == "1.0" { "bin/work" } else { "/bin/false" };
    let mut app = App::new(version).timer().settle("0s").file("bin/work", WORK);
    for name in ["acme-off", "acme-idle", "acme-masked", "acme-veiled"] {
        app = app.extra(&worker(&format!("{name}.service"), still));
    }
    for name in ["acme-busy", "acme-own", "acme-forbidden"] {
        app = app.extra(&worker(&format!("{name}.service"), "bin/work"));
    }
    app
}

/// What the admin has set up in `every_choice_survives`; `body` is the release that is meant to serve.
#[track_caller]
fn expect_choices(host: &Host, busy: u64, body: &str) {
    let m = &host.m;
    host.comes_to_serve(body);
    assert_eq!(
        host.enabled("acme.service acme-off acme-idle acme-masked acme-veiled acme-busy acme-report.timer acme-own"),
        "enabled disabled enabled masked masked-runtime masked disabled enabled",
        "with {body}"
    );
    let active = m.sh(&format!("systemctl is-active {STILL}"));
    assert!(
        active.stdout.lines().all(|state| state == "inactive"),
        "something was started that the admin had stopped, with {body}: {active}"
    );
    assert_eq!(host.pid("acme-busy"), busy, "a masked service was touched, with {body}");
    assert_eq!(code(m, "acme-busy"), "1.0");
    let pid = host.pid("acme.service");
    m.ok(&format!("tr '\\0' '\\n' </proc/{pid}/environ | grep -qx LOCAL=yes"));
    let pid = host.pid("acme-own");
    m.wait_for(
        &format!("tr '\\0' '\\n' </proc/{pid}/environ | grep -qx OWN=yes"),
        Duration::from_secs(10),
    );
}

/// What runs the release `old` by an admin's choice of that unit needs nobody; what policy-rc.d forbids does, where `forbidden`.
#[track_caller]
fn expect_status(host: &Host, old: &Built, forbidden: bool) {
    let said = host.m.sh("acme-release status");
    assert_eq!(said.succeeded(), !forbidden, "{said}");
    let id = &old.release_id;
    let chosen = format!(
        "left alone:\n  \
         acme-busy.service is masked and runs release {id}, not the live one (hint: systemctl unmask acme-busy.service, then: systemctl restart acme-busy.service)\n  \
         acme-own.service is replaced by /etc/systemd/system/acme-own.service and runs release {id}, not the live one (hint: write /opt/acme/current in its BindReadOnlyPaths=, or systemctl revert acme-own.service; then: systemctl restart acme-own.service)\n"
    );
    let attention = if forbidden {
        format!(
            "needs attention:\n  acme-forbidden.service runs release {id}, not the live one (hint: systemctl restart acme-forbidden.service)\n"
        )
    } else {
        String::new()
    };
    assert!(said.stdout.ends_with(&format!("{chosen}{attention}")), "{said}");
    let status = host.status();
    let count = |key: &str| status[key].as_array().map(Vec::len);
    assert_eq!(
        (count("left_alone"), count("problems")),
        (Some(2), Some(usize::from(forbidden))),
        "{status}"
    );
}

fn every_choice_survives(suite: Suite) {
    let mut host = Host::boot(suite);
    let one = host.deploy(&app("1.0"));
    let m = &host.m;
    m.ok("systemctl disable --now acme-off acme-report.timer");
    m.ok("systemctl stop acme-idle && systemctl mask --now acme-masked && systemctl mask --runtime --now acme-veiled");
    // Masked while it runs: systemd would refuse to restart it.
    m.ok("systemctl mask acme-busy");
    m.put(
        "/root/editor",
        "#!/bin/sh\nfor file; do printf '[Service]\\nEnvironment=LOCAL=yes\\n' >\"$file\"; done\n",
    );
    m.ok("chmod +x /root/editor && SYSTEMD_EDITOR=/root/editor script -qec 'systemctl edit acme.service' /dev/null");
    m.ok("sed '/^\\[Service\\]/a Environment=OWN=yes' /usr/lib/systemd/system/acme-own.service >/etc/systemd/system/acme-own.service");
    m.ok("systemctl daemon-reload && systemctl restart acme.service acme-own");
    let busy = host.pid("acme-busy");
    expect_choices(&host, busy, "1.0");
    m.put(
        "/usr/sbin/policy-rc.d",
        "#!/bin/sh\n[ \"$1\" != acme-forbidden.service ] || exit 101\n",
    );
    m.ok("chmod +x /usr/sbin/policy-rc.d");

    let two = host.publish(&[app("2.0")]).remove(0);
    let said = host.install("2.0").expect_ok();
    said.expect_says("acme-busy.service is masked: it goes on")
        .expect_says("acme-own.service is replaced by /etc/systemd/system/acme-own.service")
        .expect_says("systemctl revert acme-own.service");
    expect_choices(&host, busy, "2.0");
    host.expect_dpkg("2.0");
    // The text is the admin's, so it goes on naming the release from which it was copied; that one is never pruned.
    assert_eq!(code(&host.m, "acme-own"), "1.0");
    // What such a choice keeps on another release is no reason to restart everything else.
    assert_eq!(code(&host.m, "acme-forbidden"), "1.0");
    let pids = || ["acme.service", "acme-own", "acme-forbidden"].map(|unit| host.pid(unit));
    let before = pids();
    host.m.ok("apt-get install -y -q --reinstall acme=2.0");
    assert_eq!(pids(), before, "a reinstallation restarted what runs");
    expect_status(&host, &one, true);
    m.ok("rm /usr/sbin/policy-rc.d && systemctl restart acme-forbidden");
    expect_status(&host, &one, false);

    host.publish(&[app("3.0").behaviour(Behaviour::ExitAtOnce)]);
    let starts = || {
        m.ok("journalctl --sync; journalctl -q --no-pager -b -o cat -u acme.service | grep -cx 'serving 2.0'")
            .stdout
    };
    assert_eq!(starts().trim(), "1");
    host.install("3.0").expect_failure();
    expect_choices(&host, busy, "2.0");
    host.expect_healed("2.0");
    expect_choices(&host, busy, "2.0");
    assert_eq!(starts().trim(), "2", "once by the revert, and not by the healing");

    for version in ["4.0", "5.0", "6.0"] {
        host.deploy(&app(version).release_line("keep = 2"));
    }
    expect_choices(&host, busy, "6.0");
    assert_eq!(code(&host.m, "acme-own"), "1.0");
    host.m.ok(&format!("[ -d /opt/acme/releases/{} ]", one.release_id));
    host.m.ok(&format!("[ ! -e /opt/acme/releases/{} ]", two.release_id));
    host.m.ok("systemctl revert acme-own && systemctl restart acme-own && systemctl unmask acme-busy && systemctl restart acme-busy");
    assert_eq!(code(&host.m, "acme-own"), "6.0");
    assert_eq!(code(&host.m, "acme-busy"), "6.0");

    host.m.reboot();
    host.comes_to_serve("6.0");
    assert_eq!(
        host.enabled("acme-off acme-masked acme-report.timer"),
        "disabled masked disabled"
    );
    let active = host.m.sh("systemctl is-active acme-off acme-masked acme-report.timer");
    assert_eq!(active.stdout, "inactive\ninactive\ninactive\n", "{active}");
}

fn a_stopped_service_is_upgraded_around(suite: Suite) {
    let mut host = Host::boot(suite);
    host.deploy(&App::new("1.0"));
    host.m.ok("systemctl disable --now acme.service");
    // It could neither start nor pass a gate.
    let two = host.deploy(&App::new("2.0").behaviour(Behaviour::ExitAtOnce));
    host.expect_dpkg("2.0");
    assert_eq!(host.current(), two.release_id);
    assert_eq!(host.pid("acme.service"), 0, "it was started");
    host.no_unit_failed();
    let three = host.deploy(&App::new("3.0").settle("0s"));
    host.m.ok("apt-get install -y -q --allow-downgrades acme=2.0");
    host.install("3.0").expect_ok();
    assert_eq!(host.pid("acme.service"), 0, "it was started");
    host.m.reboot();
    assert_eq!(host.pid("acme.service"), 0, "it was started by the boot");
    assert_eq!(host.enabled("acme.service"), "disabled");
    host.m.ok("systemctl enable --now acme.service");
    host.comes_to_serve("3.0");
    host.all_well(&three, "3.0");
}

fn starts_are_forbidden_and_migrations_too(suite: Suite) {
    let app = |version| App::new(version).settle("0s").migration(Migration::Ok).timer();
    let mut host = Host::boot(suite);
    host.m.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
    host.m.ok("chmod +x /usr/sbin/policy-rc.d");
    let one = host.publish(&[app("1.0")]).remove(0);
    host.install("1.0").expect_ok().expect_says("policy-rc.d forbids");
    host.expect_dpkg("1.0");
    assert_eq!(host.pid("acme.service"), 0, "it was started");
    assert_eq!(host.enabled("acme.service acme-report.timer"), "enabled enabled");
    assert!(host.migrations().is_empty(), "the migration is a start too");
    // The policy binds packages, not a boot: then the migration comes first.
    host.m.reboot();
    host.comes_to_serve("1.0");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let pid = host.all_well(&one, "1.0").pid;

    // It would have to be stopped by its own text; but who may not be started again is not stopped.
    host.publish(&[app("2.0").service_line("Service.KillMode = \"mixed\"")]);
    let said = host.install("2.0").expect_ok();
    said.expect_says("acme.service is not started: policy-rc.d forbids it")
        .expect_says("the migration waits");
    host.expect_dpkg("2.0");
    assert_eq!(host.serves("1.0").pid, pid, "it was restarted");
    assert_eq!(host.migrations().len(), 2, "the migration ran");
    host.m
        .sh("acme-release status")
        .expect_failure()
        .expect_says("systemctl restart acme.service");
    host.m.ok("systemctl restart acme.service");
    host.comes_to_serve("2.0");
    assert_eq!(host.migrations()[2..], ["start 2.0 acme", "end 2.0"]);
    host.m.ok("acme-release status");

    host.m.ok("rm /usr/sbin/policy-rc.d");
    host.m
        .put("/etc/relpack/acme.conf", "# this host only reads\nmigrate = no\n");
    let three = host.deploy(&app("3.0"));
    host.all_well(&three, "3.0");
    assert_eq!(host.migrations().len(), 4, "the migration ran");
    host.m.reboot();
    host.comes_to_serve("3.0");
    assert_eq!(host.migrations().len(), 4, "the migration ran at the boot");
    host.m.put("/etc/relpack/acme.conf", "migrate=yes\n");
    host.deploy(&app("4.0"));
    host.m.wait_for(
        "grep -q 'end 4.0' /opt/acme/shared/data/migrations",
        Duration::from_secs(5),
    );
}

/// A file of the admin's to edit, whose default is `default`, and one that is never edited; 2.0 has one more.
fn configured(version: &str, default: &str) -> App {
    let file = |name: &str| format!("[files.\"/etc/acme/{name}\"]\nsource = \"build/{name}\"\n");
    let ours = format!("{}conffile = false", file("ours.ini"));
    let mut app = App::new(version)
        .settle("0s")
        .file("ours.ini", &format!("{default}\n"))
        .extra(&ours);
    for name in ["edited.ini", "plain.ini", "removed.ini"] {
        app = app.file(name, &format!("{default}\n")).extra(&file(name));
    }
    app.extra("mode = \"0640\"")
}

fn an_edited_file_stays(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let texts = || {
        m.ok("cd /etc/acme && grep -H . $(ls) | sort")
            .stdout
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let more = |app: App| {
        app.file("new.ini", "new\n")
            .extra("[files.\"/etc/acme/new.ini\"]\nsource = \"build/new.ini\"")
    };
    host.deploy(&configured("1.0", "one"));
    assert_eq!(
        texts(),
        ["edited.ini:one", "ours.ini:one", "plain.ini:one", "removed.ini:one"]
    );
    // dpkg asks about its own conffiles, and so must know of none.
    m.ok("! dpkg-query --control-list acme | grep -x conffiles && [ -z \"$(dpkg-query -W -f '${Conffiles}' acme)\" ]");
    let modes = m.ok("stat -c '%a %U %G' /etc/acme/plain.ini /etc/acme/removed.ini");
    assert_eq!(modes.text(), "644 root acme\n640 root acme");
    m.ok("cd /etc/acme && echo mine >edited.ini && echo mine >ours.ini && rm removed.ini");
    // As an unattended upgrade runs: no terminal, no answer to a question, no --force-conf….
    host.publish(&[more(configured("2.0", "two"))]);
    let said = m.ok("apt-get install -y -q acme=2.0 </dev/null");
    said.expect_says("/etc/acme/edited.ini was edited on this host and stays")
        .expect_says("/etc/acme/edited.ini.dpkg-dist")
        .expect_says("/etc/acme/ours.ini was edited on this host, and is the release's again");
    host.expect_dpkg("2.0");
    let two = [
        "edited.ini.dpkg-dist:two",
        "edited.ini:mine",
        "new.ini:new",
        "ours.ini.dpkg-old:mine",
        "ours.ini:two",
        "plain.ini:two",
    ];
    assert_eq!(texts(), two);
    // One that fails leaves the files of the release that serves.
    host.publish(&[configured("3.0", "three").behaviour(Behaviour::ExitAtOnce)]);
    host.install("3.0").expect_failure();
    host.serves("2.0");
    let reverted = [
        "edited.ini:mine",
        "new.ini:new",
        "ours.ini.dpkg-old:mine",
        "ours.ini:two",
        "plain.ini:two",
    ];
    assert_eq!(texts(), reverted);
    host.expect_healed("2.0");
    assert_eq!(texts(), reverted);
    m.ok("acme-release rollback");
    m.ok("rm /etc/acme/ours.ini.dpkg-old");
    assert_eq!(texts(), ["edited.ini:mine", "ours.ini:one", "plain.ini:one"]);
    host.expect_dpkg("1.0");
    host.install("2.0").expect_ok();
    // The admin takes the new default over: from then on it is the package's again.
    m.ok("cd /etc/acme && mv edited.ini.dpkg-dist edited.ini && rm ours.ini");
    host.deploy(&configured("4.0", "four"));
    assert_eq!(texts(), ["edited.ini:four", "ours.ini:four", "plain.ini:four"]);
    m.ok("echo mine >/etc/acme/plain.ini && apt-get remove -y -q acme");
    assert_eq!(texts(), ["edited.ini:four", "ours.ini:four", "plain.ini:mine"]);
    host.install("4.0").expect_ok();
    assert_eq!(texts(), ["edited.ini:four", "ours.ini:four", "plain.ini:mine"]);
    m.ok("apt-get purge -y -q acme && [ ! -e /etc/acme ]");
}
