//! Rollbacks: one command, sticky until a newer version comes, and possible without a network.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::{App, Host, Migration, Suite, Transport};

on_each_suite![
    by_apt,
    by_command_without_network;
    sampled:
    by_command_when_apt_kept_nothing,
    by_command_to_a_version,
];

const PINS: &str = "/etc/apt/preferences.d/relpack-acme.pref";

fn app(version: &str) -> App {
    App::new(version).migration(Migration::Ok).timer()
}

fn by_apt(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[app("1.0"), app("2.0"), app("3.0")]);
    for version in &built {
        host.install(&version.version).expect_ok();
    }
    let migrated = host.migrations();
    // apt insists on being told.
    m.sh("apt-get install -y -q acme=1.0").expect_failure();
    host.all_well(&built[2], "3.0");

    let took = m.ok("apt-get install -y -q --allow-downgrades acme=1.0").took;
    eprintln!("{suite}: rolled back by apt in {:.2} s", took.as_secs_f64());
    host.all_well(&built[0], "1.0");
    assert_eq!(host.migrations(), migrated, "a migration ran in a rollback");
    m.ok("acme-release history").expect_says("rollback");

    let pid = host.pid("acme.service");
    let upgraded = m.ok("apt-get upgrade -y -q");
    assert_eq!(host.dpkg(), "ii  1.0", "apt brought a version back\n{upgraded}");
    m.ok("apt-get install -y -q acme");
    m.ok("apt-get dist-upgrade -y -q");
    host.all_well(&built[0], "1.0");
    assert_eq!(pid, host.pid("acme.service"));

    let newer = host.publish(&[app("4.0")]).remove(0);
    m.ok("apt-get upgrade -y -q");
    host.all_well(&newer, "4.0");
    m.ok(&format!("[ ! -e {PINS} ]"));
}

fn by_command_without_network(suite: Suite) {
    let host = Host::boot(suite);
    rolls_back_offline(&host, suite);
}

fn by_command_when_apt_kept_nothing(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    rolls_back_offline(&host, suite);
}

fn rolls_back_offline(host: &Host, suite: Suite) {
    let m = &host.m;
    let built = host.publish(&[app("1.0"), app("2.0")]);
    host.install("1.0").expect_ok();
    host.install("2.0").expect_ok();
    // What a host does now and then.
    m.ok("apt-get clean");
    host.repo.offline(m);
    let migrated = host.migrations();

    let took = m.ok("acme-release rollback").took;
    host.serves("1.0");
    let pid = host.pid("acme.service");
    let started = std::time::Instant::now();
    m.wait_for(
        "[ \"$(dpkg-query -W -f '${db:Status-Abbrev} ${Version}' acme)\" = 'ii  1.0' ]",
        Duration::from_secs(60),
    );
    eprintln!(
        "{suite}: rolled back by command in {:.2} s, dpkg followed {:.2} s later",
        took.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    m.healing_has_ended();
    host.all_well(&built[0], "1.0");
    assert_eq!(
        pid,
        host.pid("acme.service"),
        "bringing dpkg in line restarted the service"
    );
    assert_eq!(host.migrations(), migrated, "a migration ran in a rollback");

    host.repo.online(m);
    m.ok("apt-get update -q && apt-get upgrade -y -q");
    host.all_well(&built[0], "1.0");
    let newer = host.publish(&[app("3.0")]).remove(0);
    m.ok("apt-get upgrade -y -q");
    host.all_well(&newer, "3.0");
    m.ok(&format!("[ ! -e {PINS} ]"));
}

fn by_command_to_a_version(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[app("1.0"), app("2.0"), app("3.0")]);
    for version in &built {
        host.install(&version.version).expect_ok();
    }
    m.sh("acme-release rollback 7.0").expect_failure().expect_says("7.0");
    m.sh("acme-release rollback 3.0")
        .expect_failure()
        .expect_says("live already");
    host.all_well(&built[2], "3.0");
    m.ok("acme-release rollback 1.0");
    host.serves("1.0");
    host.expect_healed("1.0");
    host.all_well(&built[0], "1.0");
    // Forward again on purpose: an explicit version wins over the pins.
    m.ok("apt-get install -y -q acme=2.0");
    host.all_well(&built[1], "2.0");
    m.ok("apt-get upgrade -y -q");
    host.all_well(&built[1], "2.0");
    // A release that somebody edited is not switched to.
    m.ok(&format!("printf x >>/opt/acme/releases/{}/body", built[0].release_id));
    m.sh("acme-release rollback 1.0").expect_failure().expect_says("verify");
    host.all_well(&built[1], "2.0");
}
