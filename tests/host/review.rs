//! What a careful reader asked about: healing that comes too late, changed releases, two sick releases, two builds of one
//! version, a systemd that does not answer.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::Built;
use crate::support::{App, Behaviour, Host, Machine, Suite};

on_each_suite![rotated: healing_and_rollback, both_releases_are_sick, two_builds_of_one_version];

/// A start of this one lasts for as long as /etc/slow exists.
fn app(version: &str) -> App {
    App::new(version)
        .settle("0s")
        .service_line("Service.ExecStartPre = \"/bin/sh -c 'while test -e /etc/slow; do sleep 0.1; done'\"")
}

fn healing_and_rollback(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let one = host.deploy(&app("1.0"));
    let two = host.deploy(&app("2.0"));

    // The healing of 1.0 was on its way when 2.0 went live: the incoming package itself refuses.
    let pid = host.pid("acme.service");
    m.sh(&format!(
        "RELPACK_HEAL={} dpkg -i /srv/apt/acme_1.0_all.deb",
        one.release_id
    ))
    .expect_failure()
    .expect_says("there is nothing to heal with 1.0");
    assert_eq!(host.all_well(&two, "2.0").pid, pid);

    // A hold is the admin's, and survives that dpkg is brought in line.
    m.ok("apt-mark hold acme && acme-release rollback");
    m.wait_for(
        "[ \"$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' acme)\" = 'hi 1.0' ]",
        Duration::from_secs(60),
    );
    m.healing_has_ended();
    assert_eq!(m.ok("apt-mark showhold").text(), "acme");
    m.ok("acme-release status && apt-mark unhold acme");
    host.all_well(&one, "1.0");

    // Somebody edited the release that serves: installed again, it is staged anew, and nothing runs from the edited one.
    let edited = format!("/opt/acme/releases/{}/server.py", one.release_id);
    let pid = host.pid("acme.service");
    m.ok(&format!("printf '#' >>{edited}"));
    m.sh("acme-release verify").expect_failure();
    m.ok("apt-get install -y -q --reinstall acme=1.0")
        .expect_says("it is put right");
    m.ok("acme-release verify && [ -z \"$(ls -d /opt/acme/releases/.* | grep -v '/[.]*$')\" ]");
    assert_ne!(
        host.all_well(&one, "1.0").pid,
        pid,
        "the process of the edited release still serves"
    );

    // What failed here is kept to be looked at, and is nothing to roll back to.
    let bad = host.publish(&[app("3.0").behaviour(Behaviour::ExitAtOnce)]).remove(0);
    host.install("3.0").expect_failure();
    host.dpkg_follows("1.0");
    for way in [&bad.release_id, "3.0"] {
        m.sh(&format!("acme-release rollback {way}")).expect_failure();
    }
    m.sh(&format!("acme-release rollback {}", bad.release_id))
        .expect_failure()
        .expect_says("has never served here");
    host.all_well(&one, "1.0");

    // A rollback that was killed after its switch is finished by the same command, not undone.
    let four = host.deploy(&app("4.0"));
    host.all_well(&four, "4.0");
    m.ok("touch /etc/slow");
    let rollback = m.spawn("systemd-run -q --scope --unit=killed acme-release rollback");
    switched_to(m, &one);
    m.ok("systemctl kill -s KILL killed.scope && rm /etc/slow");
    rollback.wait(Duration::from_secs(10));
    m.sh("acme-release status")
        .expect_failure()
        .expect_says("interrupted")
        .expect_says("acme-release rollback");
    m.ok("acme-release rollback");
    host.serves("1.0");
    host.dpkg_follows("1.0");
    host.all_well(&one, "1.0");
}

#[track_caller]
fn switched_to(m: &Machine, built: &Built) {
    let condition = format!("[ \"$(readlink /opt/acme/current)\" = releases/{} ]", built.release_id);
    m.wait_for(&condition, Duration::from_secs(20));
}

fn both_releases_are_sick(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    // Both need what the admin has taken away.
    let app = |version: &str| {
        App::new(version)
            .settle("0s")
            .service_line("Service.ExecStartPre = \"/usr/bin/test -e /etc/needed\"")
            .service_line("Service.Restart = \"no\"")
    };
    m.ok("touch /etc/needed");
    host.deploy(&app("1.0"));
    let two = host.publish(&[app("2.0")]).remove(0);
    m.ok("rm /etc/needed");
    let failed = m.sh("apt-get upgrade -y -q").expect_failure();
    eprintln!("{suite}: {}", failed.stderr.trim());
    failed
        .expect_says("AND acme 1.0 is not healthy either")
        .expect_says("hint:");
    host.dpkg_follows("1.0");
    // It ends there: neither healing nor apt tries again and again.
    let tries = || {
        m.ok("wc -l </var/lib/relpack/acme/history; journalctl --sync; journalctl -q --no-pager -b -u acme.service -o cat | grep -c '^Starting'").stdout
    };
    let before = tries();
    m.ok("apt-get upgrade -y -q && apt-get install -y -q acme && dpkg --configure -a");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(before, tries(), "it was tried again");
    m.sh("acme-release status")
        .expect_failure()
        .expect_says("acme.service has failed");
    // The admin mends the cause.
    m.ok("touch /etc/needed && systemctl start acme");
    host.comes_to_serve("1.0");
    m.ok("acme-release retry");
    host.all_well(&two, "2.0");

    // A systemd that does not answer for some seconds, or is re-executing, is no release that has died.
    let three = host.publish(&[app("3.0").settle("4s")]).remove(0);
    let install = m.spawn("apt-get install -y -q acme=3.0");
    m.wait_for(
        "curl -sf http://127.0.0.1:3000/ | grep -q '\"code\": \"3.0\"'",
        Duration::from_secs(30),
    );
    let mute = m.mute();
    std::thread::sleep(Duration::from_secs(6));
    drop(mute);
    install.wait(Duration::from_secs(60)).expect_ok();
    host.all_well(&three, "3.0");
    let four = host.publish(&[app("4.0").settle("4s")]).remove(0);
    let install = m.spawn("apt-get install -y -q acme=4.0");
    m.wait_for(
        "curl -sf http://127.0.0.1:3000/ | grep -q '\"code\": \"4.0\"'",
        Duration::from_secs(30),
    );
    for _ in 0..4 {
        m.sh("systemctl daemon-reexec");
    }
    install.wait(Duration::from_secs(60)).expect_ok();
    host.all_well(&four, "4.0");
}

fn two_builds_of_one_version(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let worker = |target: &str| {
        format!(
            "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\nInstall.WantedBy = \"{target}\"\n"
        )
    };
    let first = host.deploy(
        &App::new("1.0")
            .body("A")
            .settle("0s")
            .extra(&worker("multi-user.target")),
    );
    m.ok("systemctl disable -q --now acme-worker.service");
    let app = |version: &str, body: &str| {
        App::new(version)
            .body(body)
            .settle("0s")
            .extra(&worker("graphical.target"))
            .service_line("Service.RuntimeDirectory = \"acme\"")
            .service_line("Service.ExecStartPre = \"/usr/bin/touch /run/acme/mark\"")
    };
    // Built again without a new version, as it happens.
    let second = host.publish(&[app("1.0", "B")]).remove(0);
    m.ok("apt-get install -y -q --reinstall acme");
    let pid = host.all_well(&second, "B").pid;
    let kept = m.ok("ls /var/lib/relpack/acme/debs");
    for built in [&first, &second] {
        assert!(kept.stdout.contains(&built.release_id), "{kept}");
    }
    // Its [Install] section is another, and still it is what the admin has disabled.
    assert_eq!(host.enabled("acme.service acme-worker.service"), "enabled disabled");
    let links = m.ok("find /etc/systemd/system -name 'acme-worker*'; systemctl is-active acme-worker.service || :");
    assert_eq!(links.text(), "inactive", "{links}");

    // The healing takes the package of what serves, not of another build of that version.
    host.publish(&[app("2.0", "bad").behaviour(Behaviour::ExitAtOnce)]);
    host.repo.offline(m);
    host.m.ok("apt-get clean");
    // And it does not believe what it read of dpkg's record while dpkg wrote it. Here it begins to read before dpkg has
    // ended, and ends after that.
    m.put(
        "/usr/local/bin/dpkg-query",
        "#!/bin/sh\n\
         if ! grep -q _heal /proc/$PPID/cmdline; then sleep 1; exec /usr/bin/dpkg-query \"$@\"; fi\n\
         exec strace -qq -o /dev/null -P /var/lib/dpkg/updates -e inject=openat:delay_enter=3000000 /usr/bin/dpkg-query \"$@\"\n",
    );
    m.ok("chmod +x /usr/local/bin/dpkg-query");
    m.sh("dpkg -i /srv/apt/acme_2.0_all.deb").expect_failure();
    m.healing_has_ended();
    m.ok("rm /usr/local/bin/dpkg-query");
    host.dpkg_follows("1.0");
    host.repo.online(m);
    m.ok(&format!(
        "dpkg -L acme | grep -q /payload/{}.manifest",
        second.release_id
    ));
    let answer = host.all_well(&second, "B");
    assert_ne!(answer.pid, pid);
    m.ok("[ -z \"$(dpkg -V acme)\" ]");

    // Nor does it take what dpkg has unpacked for what serves, because that has its version.
    let third = app("1.0", "C").behaviour(Behaviour::ExitAtOnce).build();
    m.put(
        "/root/third.deb",
        std::fs::read(third.path()).expect("the package that was just built"),
    );
    m.sh("dpkg -i /root/third.deb").expect_failure();
    m.healing_has_ended();
    host.all_well(&second, "B");
    m.ok(&format!(
        "dpkg -L acme | grep -q /payload/{}.manifest",
        second.release_id
    ));

    // Nor, where nothing can heal it, when dpkg goes back to it from a version that it could not unpack.
    m.ok("systemctl mask --runtime -q relpack-heal-acme.service");
    m.sh("dpkg -i /root/third.deb").expect_failure();
    let answer = host.serves("B");
    m.ok("dpkg-deb -R /srv/apt/acme_2.0_all.deb /root/veto && printf '#!/bin/sh\\nexit 1\\n' >/root/veto/DEBIAN/preinst && \
          dpkg-deb -b /root/veto /root/veto.deb");
    m.sh("dpkg -i /root/veto.deb")
        .expect_failure()
        .expect_says("this build of acme 1.0 (release ")
        .expect_says("was never activated on this host");
    assert_eq!(host.dpkg(), "iU  1.0");
    m.ok("systemctl unmask --runtime -q relpack-heal-acme.service");
    assert_eq!(host.serves("B").pid, answer.pid);
    m.ok("dpkg -i /srv/apt/acme_1.0_all.deb");
    assert_eq!(host.all_well(&second, "B").pid, answer.pid);

    // A person's command in the service's world takes nothing of that world along when it ends.
    m.ok("acme-release exec /usr/bin/test -e /run/acme/mark && [ -e /run/acme/mark ]");
    assert_eq!(host.serves("B").pid, answer.pid);
    host.publish(&[App::new("1.0")
        .named("dyn", 3002)
        .settle("0s")
        .service_line("Service.DynamicUser = true")
        .service_line("Service.StateDirectory = \"dyn\"")
        .service_line("Service.RuntimeDirectory = \"dyn\"")
        .service_line("Service.ExecStartPre = \"/usr/bin/touch /run/dyn/mark /var/lib/dyn/mark\"")]);
    m.ok("apt-get install -y -q dyn");
    let pid = host.pid("dyn.service");
    let seen = m.ok("dyn-release exec /bin/sh -c 'id -un; touch /var/lib/dyn/mark /run/dyn/mark && echo may write'");
    assert_eq!(seen.text(), "dyn\nmay write");
    m.ok("[ -e /run/dyn/mark ]");
    assert_eq!(host.pid("dyn.service"), pid);
    // The service itself can still write to its state.
    m.ok("systemctl restart dyn && systemctl is-active dyn && dyn-release status");
}
