//! Removal and purge: nothing left that the package made, nothing lost that the user made.

use std::collections::BTreeSet;

use crate::on_each_suite;
use crate::support::{App, Host, Machine, Migration, Suite};

on_each_suite![
    removal_keeps_what_is_the_users,
    purge_leaves_nothing,
    purge_loses_nothing;
    sampled:
    purge_takes_shared_when_told,
    purge_after_a_failed_install,
];

/// Everything on the host's disk but what apt, dpkg and the journal keep about every package, and the accounts.
fn census(m: &Machine) -> BTreeSet<String> {
    // systemd makes the one with the first persistent timer of any package; dpkg removes the other when it is empty.
    m.ok("mkdir -p /var/lib/systemd/timers && touch /opt/.keep");
    let found = m.ok(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /srv \
         -o -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/lib/apt \
         -o -name 'passwd-' -o -name 'group-' -o -name 'shadow-' -o -name 'gshadow-' -o -name .pwd.lock \
         -o -path /var/lib/systemd/random-seed \\) -prune -o -print; \
         sed 's/^/user /; s/:.*//' /etc/passwd; sed 's/^/group /; s/:.*//' /etc/group",
    );
    found.stdout.lines().map(str::to_owned).collect()
}

fn expect_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let left: Vec<_> = after.difference(before).collect();
    let lost: Vec<_> = before.difference(after).collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert!(lost.is_empty(), "lost: {lost:#?}");
}

fn nothing_runs(m: &Machine) {
    let units = m.ok("systemctl list-units --all --no-legend --plain 'acme*' 'relpack*'");
    assert_eq!(units.text(), "", "units that systemd still knows\n{units}");
    let processes = m.sh("pgrep -a -f '[/]opt/acme|[s]erver.py'; pgrep -a -u acme");
    assert_eq!(processes.text(), "", "{processes}");
}

fn quiet(version: &str) -> App {
    App::new(version)
        .timer()
        .service_line("Service.EnvironmentFile = \"{shared}/env\"")
}

fn removal_keeps_what_is_the_users(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[App::new("1.0").migration(Migration::Ok).timer(), App::new("2.0")]);
    host.install("1.0").expect_ok();
    m.ok("systemctl disable --now acme-report.timer");
    m.ok("apt-get remove -y -q acme");
    nothing_runs(m);
    let left = m.ok("ls -A /opt/acme");
    assert_eq!(left.text(), "shared", "in /opt/acme\n{left}");
    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let links = m.ok("find /etc/systemd /usr/lib/systemd /run/systemd -name '*acme*'");
    assert_eq!(links.text(), "", "{links}");

    // Installed again, it starts clean, with the user's data and the admin's choice.
    host.install("1.0").expect_ok();
    host.all_well(&built[0], "1.0");
    assert_eq!(host.enabled("acme-report.timer"), "disabled");
    // Any order of a removal in between works.
    m.ok("apt-get remove -y -q acme");
    host.install("2.0").expect_ok();
    host.all_well(&built[1], "2.0");
}

fn purge_leaves_nothing(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[quiet("1.0"), quiet("2.0")]);
    let before = census(m);
    host.install("1.0").expect_ok();
    host.install("2.0").expect_ok();
    host.all_well(&built[1], "2.0");
    m.ok("apt-get install -y -q --allow-downgrades acme=1.0");
    host.all_well(&built[0], "1.0");
    m.ok("apt-get purge -y -q acme");
    nothing_runs(m);
    expect_same(&before, &census(m));
    // In two steps too.
    host.install("2.0").expect_ok();
    m.ok("apt-get remove -y -q acme");
    m.ok("apt-get purge -y -q acme");
    nothing_runs(m);
    expect_same(&before, &census(m));
}

fn purge_loses_nothing(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.deploy(&quiet("1.0"));
    let mine = "/opt/acme/shared/data/upload /opt/acme/shared/notes /etc/systemd/system/acme.service.d/local.conf";
    for path in mine.split(' ') {
        m.put(path, "mine\n");
    }
    m.ok("chown acme: /opt/acme/shared/data/upload && echo SECRET=1 >>/opt/acme/shared/env");
    m.ok("apt-get purge -y -q acme");
    nothing_runs(m);
    m.ok(&format!("cat {mine} /opt/acme/shared/env"));
    let owner = m.ok("stat -c %U /opt/acme/shared/data/upload");
    assert_eq!(owner.text(), "acme", "the files' owner has no account any more");
    let left = m.ok("ls -A /opt/acme /var/lib/relpack 2>&1 || :");
    assert!(
        left.text().contains("shared") && !left.text().contains("releases"),
        "{left}"
    );
    // It comes back to its data.
    host.install("1.0").expect_ok();
    host.serves("1.0");
    m.ok("grep -q mine /opt/acme/shared/data/upload && grep -q SECRET /opt/acme/shared/env");
}

fn purge_takes_shared_when_told(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.publish(&[quiet("1.0").package_line("purge_shared = true")]);
    let before = census(m);
    host.install("1.0").expect_ok();
    m.put("/opt/acme/shared/data/upload", "scratch\n");
    m.ok("apt-get remove -y -q acme && [ -e /opt/acme/shared/data/upload ]");
    m.ok("apt-get purge -y -q acme");
    expect_same(&before, &census(m));
}

fn purge_after_a_failed_install(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.publish(&[quiet("1.0")
        .migration(Migration::Ok)
        .service_line("Service.ExecStartPre = \"/usr/bin/false\"")]);
    let before = census(m);
    host.install("1.0").expect_failure();
    m.ok("rm /opt/acme/shared/data/migrations");
    m.ok("apt-get purge -y -q acme");
    nothing_runs(m);
    expect_same(&before, &census(m));
    let audit = m.ok("dpkg --audit");
    assert_eq!(audit.text(), "", "{audit}");
}
