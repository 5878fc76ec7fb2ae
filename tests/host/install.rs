//! A fresh install: everything that the package promises is there, runs, and is said truthfully.

use crate::on_each_suite;
use crate::support::{App, Host, Migration, Suite};

on_each_suite![everything_is_there, the_service_is_confined, verify_sees_damage];

fn full(version: &str) -> App {
    App::new(version)
        .migration(Migration::Ok)
        .timer()
        .service_line("Service.EnvironmentFile = \"{shared}/env\"")
}

fn everything_is_there(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[full("1.0")]).remove(0);
    let installed = host.install("1.0").expect_ok();
    eprintln!("{suite}: installed in {:.2} s", installed.took.as_secs_f64());
    let answer = host.all_well(&built, "1.0");
    assert_eq!(answer.pid, host.pid("acme.service"));

    let user = m.ok("getent passwd acme");
    assert!(user.text().ends_with("nologin"), "{user}");
    let modes = m.ok("cd /opt/acme && stat -c '%n %a %U:%G' . shared shared/env shared/data releases app");
    assert_eq!(
        modes.text(),
        ". 755 root:root\nshared 755 root:root\nshared/env 600 acme:acme\nshared/data 750 acme:acme\n\
         releases 755 root:root\napp 755 root:root"
    );
    let writable = m.ok("find /opt/acme/releases -type f ! -user root -o -type f -perm /022");
    assert_eq!(writable.text(), "", "{writable}");

    assert_eq!(host.enabled("acme.service acme-report.timer"), "enabled enabled");
    m.ok("systemctl is-active acme.service acme-report.timer")
        .expect_says("active");
    m.ok("systemctl list-timers --no-pager")
        .expect_says("acme-report.timer");
    m.sh("systemctl is-active acme-report.service").expect_failure();
    m.ok("[ ! -e /opt/acme/shared/data/report ]");
    m.ok("systemctl start acme-report.service && grep -qx 1.0 /opt/acme/shared/data/report");
    m.ok("journalctl --no-pager -o cat -u acme.service")
        .expect_says("serving 1.0");

    assert_eq!(host.migrations(), ["start 1.0 acme", "end 1.0"]);
    let journal = m.ok("journalctl --no-pager -o cat -u acme-migrate.service -u acme.service");
    let line = |start: &str| journal.stdout.lines().position(|line| line.starts_with(start));
    let (migrated, started) = (line("Finished acme-migrate.service"), line("Started acme.service"));
    assert!(
        migrated.is_some() && migrated < started,
        "the service started before the migration had ended\n{journal}"
    );

    m.ok("acme-release status")
        .expect_says(&built.release_id)
        .expect_says("1.0");
    m.ok("acme-release verify").expect_says(&built.release_id);
    m.ok("acme-release history").expect_says("install");
    let changed = m.ok("dpkg -V acme");
    assert_eq!(changed.text(), "", "dpkg finds its files changed\n{changed}");
}

fn the_service_is_confined(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.deploy(&full("1.0"));
    let pid = host.pid("acme.service");
    let who = m.ok(&format!("stat -c %U /proc/{pid}; readlink /proc/{pid}/cwd"));
    assert_eq!(who.text(), "acme\n/opt/acme/app");
    // The application sees its release under one path, and can't write to it.
    let seen = m.ok(&format!(
        "nsenter -t {pid} -m sh -c 'sha256sum </opt/acme/app/.relpack/manifest; touch /opt/acme/app/x 2>&1 || :'"
    ));
    assert!(seen.text().starts_with(&built.release_id), "{seen}");
    assert!(seen.text().contains("Read-only file system"), "{seen}");
    // A command of a person sees the same world.
    let seen = m.ok("acme-release exec /bin/sh -c 'id -un; pwd; echo $PORT $UNIT; cat body'");
    assert_eq!(seen.text(), "acme\n/opt/acme/app\n3000 1.0\n1.0");
    let failed = m.sh("acme-release exec /bin/sh -c 'exit 9'");
    assert_eq!(failed.code, 9, "{failed}");
}

fn verify_sees_damage(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.deploy(&full("1.0"));
    m.ok("acme-release verify");
    m.ok("printf x >>/opt/acme/current/server.py");
    m.sh("acme-release verify").expect_failure().expect_says("server.py");
    m.ok("apt-get install --reinstall -y acme");
    m.ok("acme-release verify");
    m.ok("touch /opt/acme/current/extra");
    m.sh("acme-release verify").expect_failure().expect_says("extra");
}
