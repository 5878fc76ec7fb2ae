//! Where systemd is not the one that a script expects: chroots, containers, a foreign root, a host that comes up or goes
//! down, and environments that are hostile to shell scripts.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::process::Running;
use crate::support::{App, Host, Machine, Migration, Repo, Suite, Transport, expect_same, sample};

on_each_suite![
    with_needrestart;
    rotated:
    in_a_chroot_of_a_running_host,
    in_a_container_without_systemd,
    into_a_foreign_root,
    while_the_host_comes_up_and_goes_down,
    hostile_environments,
];

/// Its migrations and its starts are lines of one log, in their order.
fn app(version: &str) -> App {
    App::new(version)
        .settle("0s")
        .timer()
        .migration(Migration::Ok)
        .file(
            "bin/note",
            "#!/bin/sh\necho \"app $(cat body)\" >>/opt/acme/shared/data/migrations\n",
        )
        .service_line("Service.ExecStartPre = \"bin/note\"")
}

/// What the log of [`app`] says after these versions, each migrated first and then started.
fn each_in_order(versions: &[&str]) -> Vec<String> {
    let one = |v: &&str| [format!("start {v} acme"), format!("end {v}"), format!("app {v}")];
    versions.iter().flat_map(one).collect()
}

/// A root like the host's own, as it is now, at /mnt/root; `mounts` are taken over from the host.
#[track_caller]
fn make_chroot(m: &Machine, mounts: &[&str]) {
    m.ok(
        "mount -t tmpfs tmpfs /mnt && mount --make-private /mnt && mkdir /mnt/upper /mnt/work /mnt/root && \
          mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root && \
          mount --bind /dev /mnt/root/dev",
    );
    for mount in mounts {
        m.ok(&format!("mount --bind {mount} /mnt/root{mount}"));
    }
}

#[track_caller]
fn drop_chroot(m: &Machine) {
    m.ok("umount -R /mnt/root && umount /mnt");
}

/// Whatever a reload, a job or an enablement changes on the host outside of the chroot.
#[track_caller]
fn outside(m: &Machine) -> String {
    m.ok("systemctl show | grep -E '^(UnitsLoad.*|NFailedUnits)='; \
          systemctl show -p Id,InvocationID,ActiveState,SubState,MainPID,NRestarts,UnitFileState acme.service acme-report.timer acme-migrate.service; \
          journalctl -q --no-pager -o cat -b _PID=1 | grep -c -i -E 'acme|reload'; \
          ls -l /etc/systemd/system/*.wants /opt/acme /opt/acme/releases; cat /var/lib/relpack/acme/journal; \
          dpkg-query -W acme")
    .stdout
}

fn in_a_chroot_of_a_running_host(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    let built = host.publish(&[app("1.0"), app("2.0"), app("3.0")]);
    host.install("1.0").expect_ok();
    host.all_well(&built[0], "1.0");
    let before = outside(m);
    let worlds: [(&str, &[&str]); 4] = [
        ("/proc and /run", &["/proc", "/run"]),
        ("/run, and no /proc", &["/run"]),
        ("/proc, and no /run", &["/proc"]),
        ("neither /proc nor /run", &[]),
    ];
    for (what, mounts) in worlds {
        make_chroot(m, mounts);
        let inside = |command: &str| {
            let said = m.sh(&format!("chroot /mnt/root sh -c '{command}'"));
            eprintln!(
                "{suite}, {what}: {command}: {:.2} s\n{}",
                said.took.as_secs_f64(),
                said.stderr.trim()
            );
            said.expect_ok()
        };
        let live = |n: usize| {
            let link = m.ok("readlink /mnt/root/opt/acme/current");
            assert_eq!(link.text(), format!("releases/{}", built[n].release_id), "{what}");
        };
        // An upgrade, a rollback, a removal, a fresh install, a purge.
        inside("dpkg -i /srv/apt/acme_2.0_all.deb");
        live(1);
        inside("[ -e /var/lib/relpack/acme/pending-migration ]");
        inside("dpkg -i /srv/apt/acme_1.0_all.deb");
        live(0);
        inside("dpkg -r acme && [ ! -e /opt/acme/releases ] && [ ! -e /opt/acme/current ]");
        inside("dpkg -i /srv/apt/acme_3.0_all.deb");
        live(2);
        inside(
            "[ -e /var/lib/relpack/acme/pending-migration ] && [ -L /etc/systemd/system/multi-user.target.wants/acme.service ]",
        );
        inside(
            "dpkg -P acme && [ ! -e /var/lib/relpack ] && [ ! -e /opt/acme/releases ] && [ -z \"$(dpkg --audit)\" ]",
        );
        expect_same(
            &before,
            &outside(m),
            &format!("with {what} the chroot reached the host"),
        );
        drop_chroot(m);
    }
    assert_eq!(host.migrations(), each_in_order(&["1.0"]));
    host.all_well(&built[0], "1.0");
}

fn in_a_container_without_systemd(suite: Suite) {
    // Each command runs with process 1 of its own, which is a shell.
    let mut m = Machine::powered_off(suite, &[]);
    let repo = Repo::new(&m, Transport::File);
    let built: Vec<_> = ["1.0", "2.0", "3.0"].map(|v| app(v).build()).into();
    repo.add(&m, &[built[0].path(), built[1].path(), built[2].path()]);
    // Some container tools make the directory that says "systemd", and there is none.
    for directory in ["[ ! -d /run/systemd/system ]", "mkdir -p /run/systemd/system"] {
        m.ok(directory);
        let apt = |what: &str| {
            let said = m.sh(&format!("apt-get -y -q --allow-downgrades {what}"));
            eprintln!("{suite}: {what}: {}", said.stderr.trim());
            said.expect_ok();
            let audit = m.ok("dpkg --audit");
            assert_eq!(audit.text(), "", "{audit}");
        };
        apt("install acme=1.0");
        apt("install acme=2.0");
        apt("install acme=1.0");
        m.sh("acme-release rollback").expect_failure().expect_says("hint:");
        m.sh("acme-release status").expect_says("acme 1.0");
        apt("remove acme");
        apt("install acme=2.0");
        apt("purge acme");
        m.ok("[ ! -e /var/lib/relpack ] && [ ! -e /opt/acme/releases ] && ! getent passwd acme");
        apt("install acme=1.0");
        apt("install acme=2.0");
        apt("upgrade");
        let link = m.ok("readlink /opt/acme/current; dpkg-query -W -f '${db:Status-Abbrev}${Version}' acme");
        assert_eq!(link.text(), format!("releases/{}\nii 3.0", built[2].release_id));
        let processes = m.sh("pgrep -a python3");
        assert_eq!(processes.text(), "", "{processes}");
    }
    m.ok("rm -rf /run/systemd");
    // Booted after all: of all that came and went, the last is migrated, and then started.
    m.start();
    let host = Host { m, repo };
    host.comes_to_serve("3.0");
    assert_eq!(host.migrations(), each_in_order(&["3.0"]));
    host.all_well(&built[2], "3.0");
}

/// Everything that a package of ours puts into a root, with owners and modes, and without times.
#[track_caller]
fn tree(m: &Machine, root: &str) -> String {
    m.ok(&format!(
        "cd {root}/ && for d in ./opt/acme ./var/lib/relpack ./usr/lib/relpack ./etc/systemd ./usr/lib/systemd/system/acme* ./etc/relpack \
         ./usr/bin/acme-release ./usr/lib/systemd/system-generators ./usr/lib/sysusers.d/acme.conf ./usr/lib/tmpfiles.d/acme.conf \
         ./var/lib/systemd/deb-systemd-helper-enabled ./etc/apt/preferences.d; do \
         [ ! -e $d ] || find $d \\( -name history -o -name activations -o -name lock -o -name seals \\) -prune -o -printf '%p %y %m %U:%G %l ' \
         \\( -type f -exec sha256sum '{{}}' ';' -o -printf '\\n' \\); done | sort; \
         cat ./var/lib/relpack/acme/journal; grep ^acme: ./etc/passwd ./etc/group"
    ))
    .stdout
}

fn into_a_foreign_root(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    host.publish(&[app("1.0"), app("2.0")]);
    make_chroot(m, &["/proc"]);
    m.ok("chroot /mnt/root dpkg -i /srv/apt/acme_1.0_all.deb /srv/apt/acme_2.0_all.deb");
    m.ok("chroot /mnt/root dpkg -i /srv/apt/acme_1.0_all.deb && chroot /mnt/root dpkg -i /srv/apt/acme_2.0_all.deb");
    let by_chroot = tree(m, "/mnt/root");
    drop_chroot(m);

    make_chroot(m, &[]);
    let before = m.ok("systemctl show -p UnitsLoadStartTimestampMonotonic; cat /etc/passwd; find / -xdev -name '*acme*' ! -path '/srv/*' ! -path '/proc/*' ! -path '/mnt/*'").stdout;
    let dpkg = |what: &str| {
        let said = m.sh(&format!("dpkg --root=/mnt/root --force-script-chrootless {what}"));
        eprintln!("{suite}: {what}: {}", said.stderr.trim());
        said.expect_ok();
    };
    dpkg("-i /srv/apt/acme_2.0_all.deb");
    dpkg("-i /srv/apt/acme_1.0_all.deb");
    dpkg("-i /srv/apt/acme_2.0_all.deb");
    let by_root = tree(m, "/mnt/root");
    expect_same(
        &by_chroot,
        &by_root,
        "a package in a foreign root is not as in a chroot",
    );
    dpkg("-r acme");
    m.ok("[ ! -e /mnt/root/opt/acme/releases ] && [ ! -e /mnt/root/opt/acme/current ]");
    dpkg("-P acme");
    m.ok("[ ! -e /mnt/root/var/lib/relpack ]");
    drop_chroot(m);
    let after = m.ok("systemctl show -p UnitsLoadStartTimestampMonotonic; cat /etc/passwd; find / -xdev -name '*acme*' ! -path '/srv/*' ! -path '/proc/*' ! -path '/mnt/*'").stdout;
    expect_same(&before, &after, "the host outside was changed");
}

/// A unit that installs a version with dpkg, once, at the place in the boot that `unit` says; its end is in /var/log/NAME.
#[track_caller]
fn installs_at_boot(m: &Machine, name: &str, version: &str, unit: &str, target: &str) {
    does_at_boot(
        m,
        name,
        &format!("dpkg -i /srv/apt/acme_{version}_all.deb"),
        unit,
        target,
    );
}

#[track_caller]
pub fn does_at_boot(m: &Machine, name: &str, command: &str, unit: &str, target: &str) {
    m.put(
        &format!("/etc/systemd/system/{name}.service"),
        format!(
            "[Unit]\n{unit}\nConditionPathExists=!/var/log/{name}\n[Service]\nType=oneshot\nTimeoutStartSec=60\n\
             Environment=DEBIAN_FRONTEND=noninteractive\n\
             ExecStart=/bin/sh -c 'systemctl is-system-running >/var/log/{name}; \
             {command}; echo rc $? >>/var/log/{name}'\n\
             [Install]\nWantedBy={target}\n"
        ),
    );
    m.ok(&format!("systemctl daemon-reload && systemctl enable -q {name}"));
}

/// Runs `command` while the host goes down next, as an `ExecStop=` that may take its time; what it says is in `/var/log/late`.
#[track_caller]
pub fn does_at_shutdown(m: &Machine, command: &str) {
    m.put(
        "/etc/systemd/system/late.service",
        format!(
            "[Unit]\nAfter=network.target local-fs.target systemd-logind.service dbus.service nginx.service\n\
             [Service]\nExecStart=/usr/bin/sleep infinity\nKillMode=process\nTimeoutStopSec=90\n\
             Environment=DEBIAN_FRONTEND=noninteractive\n\
             ExecStop=/bin/sh -c '{{ {command}; }} >/var/log/late 2>&1'\n"
        ),
    );
    m.ok("systemctl daemon-reload && systemctl start late");
}

/// Begins `command`, which a shutdown waits for and does not end; what it says is in `/var/log/midway`.
pub fn spawn_unhurried(m: &Machine, command: &str) -> Running {
    m.spawn(&format!(
        "systemd-run -q --wait --unit=upgrade -p KillMode=process -p TimeoutStopSec=90 \
         sh -c \"trap '' TERM; {{ {command}; }} >/var/log/midway 2>&1\""
    ))
}

/// Holds a port, and does not let go of it at once.
const HOLDER: &str = "#!/usr/bin/python3\n\
    import signal, socket, sys, time\n\
    held = socket.create_server(('127.0.0.1', 3300))\n\
    def end(*_):\n    time.sleep(2)\n    sys.exit(0)\n\
    signal.signal(signal.SIGTERM, end)\n\
    while True:\n    signal.pause()\n";

/// The holder of the port under this name, and a service that only its socket starts.
fn holding(version: &str, holder: &str) -> App {
    app(version)
        .file("bin/holder", HOLDER)
        .file("bin/taker", "#!/bin/sh\nexec sleep infinity\n")
        .extra(&format!(
            "[units.\"{holder}.service\"]\nService.ExecStart = \"bin/holder\"\nService.Restart = \"no\"\n\
             [units.\"acme-in.service\"]\nService.ExecStart = \"bin/taker\"\n\
             [units.\"acme-in.socket\"]\nSocket.ListenStream = \"127.0.0.1:3301\"\n"
        ))
}

/// What a release no longer has lets go of what its successor needs, and what a socket has started changes with the others.
fn a_renamed_unit_changes_over_at_boot(host: &mut Host, suite: Suite) {
    let built = host.publish(&[holding("6.0", "acme-web"), holding("7.0", "acme-http")]);
    host.install("6.0").expect_ok();
    host.all_well(&built[0], "6.0");
    does_at_boot(
        &host.m,
        "renaming",
        "until systemctl -q is-active acme-web && echo >/dev/tcp/127.0.0.1/3300; do sleep 0.1; done; \
         echo >/dev/tcp/127.0.0.1/3301; until systemctl -q is-active acme-in.service; do sleep 0.1; done; \
         dpkg -i /srv/apt/acme_7.0_all.deb",
        "After=acme.service acme-web.service acme-in.socket",
        "multi-user.target",
    );
    host.m
        .ok("sed -i 's,/bin/sh,/bin/bash,' /etc/systemd/system/renaming.service");
    host.m.reboot();
    let renaming = host.m.read("/var/log/renaming");
    eprintln!("{suite}: {renaming}");
    assert_eq!(renaming, "starting\nrc 0\n");
    host.comes_to_serve("7.0");
    host.m
        .wait_for("[ -z \"$(systemctl list-jobs --no-legend)\" ]", Duration::from_secs(20));
    let seen = host.m.sh("systemctl is-active acme-web.service acme-http.service acme-in.socket acme-in.service; \
        for u in acme-http acme-in; do cat /proc/$(systemctl show -p MainPID --value $u)/root/opt/acme/app/body; echo; done");
    assert_eq!(seen.text(), "inactive\nactive\nactive\nactive\n7.0\n7.0", "{seen}");
    host.all_well(&built[1], "7.0");
    assert_eq!(
        host.migrations()
            .iter()
            .filter(|line| *line == "start 7.0 acme")
            .count(),
        1
    );
}

fn while_the_host_comes_up_and_goes_down(suite: Suite) {
    let mut host = Host::boot_with(suite, Transport::File);
    let cache = "[units.\"acme-cache.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n\
                 X-Relpack.OnUpgrade = \"none\"\n";
    let app = |version| app(version).extra(cache);
    let built = host.publish(&[
        app("1.0"),
        app("2.0"),
        app("3.0"),
        app("4.0"),
        app("5.0").migration(Migration::Slow(4)),
    ]);
    host.install("1.0").expect_ok();

    // Down: as unattended-upgrades does it in its shutdown mode, from an ExecStop= that may take its time.
    does_at_shutdown(
        &host.m,
        "systemctl is-system-running; apt-get install -y -q acme=2.0; echo rc $?",
    );
    host.m.reboot();
    let late = host.m.read("/var/log/late");
    eprintln!("{suite}: at shutdown: {late}");
    assert!(late.starts_with("stopping") && late.ends_with("rc 0\n"), "{late}");
    host.comes_to_serve("2.0");
    assert_eq!(host.migrations(), each_in_order(&["1.0", "2.0"]));
    host.all_well(&built[1], "2.0");

    // Up: once before basic.target, where to wait for a unit would be a deadlock, and once among the services.
    installs_at_boot(
        &host.m,
        "early",
        "3.0",
        "DefaultDependencies=no\nAfter=local-fs.target systemd-remount-fs.service systemd-tmpfiles-setup.service\n\
         Before=basic.target shutdown.target\nConflicts=shutdown.target",
        "basic.target",
    );
    let after = "After=acme.service acme-cache.service";
    installs_at_boot(&host.m, "among", "4.0", after, "multi-user.target");
    host.m.reboot();
    let times = host
        .m
        .ok("systemd-analyze --no-pager; cat /var/log/early /var/log/among");
    eprintln!("{suite}: {}", times.text());
    assert!(times.stdout.contains("initializing\nrc 0\n"), "{times}");
    assert!(times.stdout.contains("starting\nrc 0\n"), "{times}");
    host.comes_to_serve("4.0");
    let mut expected = each_in_order(&["1.0", "2.0", "3.0", "4.0"]);
    assert_eq!(host.migrations(), expected);
    host.all_well(&built[3], "4.0");
    let starts = "journalctl --no-pager -b -o cat -u acme-cache.service | grep -c '^Started '";
    assert_eq!(
        host.m.ok(starts).text(),
        "1",
        "an upgrade at boot restarted what it is to leave alone"
    );

    // A shutdown in the middle of an activation stops its migration. That is nobody's failure: the next boot goes on.
    let apt = spawn_unhurried(&host.m, "dpkg -i /srv/apt/acme_5.0_all.deb; echo rc \\$?");
    host.m.wait_for(
        "grep -q 'start 5.0' /opt/acme/shared/data/migrations",
        Duration::from_secs(30),
    );
    host.m.reboot();
    drop(apt);
    let midway = host.m.read("/var/log/midway");
    eprintln!("{suite}: {midway}");
    assert!(
        midway.contains("the host is shutting down") && midway.ends_with("rc 0\n"),
        "{midway}"
    );
    host.comes_to_serve("5.0");
    expected.push("start 5.0 acme".to_owned());
    expected.extend(each_in_order(&["5.0"]));
    assert_eq!(host.migrations(), expected);
    host.all_well(&built[4], "5.0");

    a_renamed_unit_changes_over_at_boot(&mut host, suite);
}

fn hostile_environments(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let built = host.publish(&[app("1.0"), app("2.0"), app("3.0")]);
    let path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    let deploys = |environment: &str| -> [String; 2] {
        for version in ["1.0", "2.0"] {
            m.ok(&format!(
                "umask 022; {environment} dpkg -i /srv/apt/acme_{version}_all.deb"
            ));
        }
        host.all_well(&built[1], "2.0");
        let tree = tree(m, "");
        m.ok(&format!("{environment} acme-release verify"));
        m.ok(&format!("{environment} acme-release status"));
        // Nobody sets a umask for this one, as dpkg does for its scripts; healing would write the same files again.
        m.ok("systemctl mask --runtime -q relpack-heal-acme.service");
        m.ok(&format!("{environment} acme-release rollback"));
        let rolled_back = self::tree(m, "");
        m.ok("systemctl unmask --runtime -q relpack-heal-acme.service && dpkg -i /srv/apt/acme_1.0_all.deb");
        host.all_well(&built[0], "1.0");
        m.ok(&format!("{environment} acme-release history"))
            .expect_says("rollback");
        m.ok(&format!(
            "rm -r /opt/acme/shared/data && {environment} dpkg --purge acme"
        ));
        [tree, rolled_back]
    };
    let usual = deploys("");
    let hostile = [
        // Nothing at all.
        format!("env -i {path}"),
        format!(
            "umask 077; env -i {path} LC_ALL=tr_TR.UTF-8 LANG=xx_YY LANGUAGE=xx TMPDIR=/nonexistent HOME= POSIXLY_CORRECT=1 \
             CDPATH=/:/opt/acme:/usr IFS=/ GREP_OPTIONS=-v GREP_COLORS=mt=1 TAR_OPTIONS=--exclude=* BLOCK_SIZE=1 DF_BLOCK_SIZE=1 \
             TIME_STYLE=locale QUOTING_STYLE=c LS_COLORS=x SYSTEMD_COLORS=1 SYSTEMD_PAGER=false PAGER=false SYSTEMD_OFFLINE=1 \
             SYSTEMD_LOG_LEVEL=debug SYSTEMD_URLIFY=1 ZSTD_CLEVEL=99 ZSTD_NBTHREADS=x TZ=Nowhere/None POSIX_ME_HARDER=1 \
             name=other version=9 root=/nonexistent id=1 state=/nonexistent base=/ prefix=/ _r=/ j_live_id=1 mode=none \
             http_proxy=http://127.0.0.1:1 CURL_HOME=/nonexistent PS4=x ENV=/etc/passwd"
        ),
    ];
    for environment in hostile {
        let found = deploys(&environment);
        for (usual, found) in usual.iter().zip(&found) {
            expect_same(usual, found, &format!("another tree under {environment}"));
        }
    }
}

/// needrestart looks at every process after each run of apt, and restarts services whose files have changed.
fn with_needrestart(suite: Suite) {
    // Its root takes a while to make, and its hook is the same in both.
    if suite == Suite::Trixie && !sample::full() {
        return;
    }
    let m = Machine::boot_with(suite, &["needrestart"]);
    let repo = Repo::new(&m, Transport::Http);
    let host = Host { m, repo };
    let m = &host.m;
    m.ok("grep -rq needrestart /etc/apt/apt.conf.d && echo \"\\$nrconf{restart} = 'a';\" >/etc/needrestart/conf.d/test.conf");
    host.deploy(&app("1.0"));
    host.serves("1.0");
    for version in ["2.0", "3.0"] {
        let built = host.publish(&[app(version)]).remove(0);
        let said = m.ok("apt-get upgrade -y -q");
        eprintln!(
            "{suite}: {:.2} s\n{}",
            said.took.as_secs_f64(),
            said.both().lines().rev().take(8).collect::<Vec<_>>().join("\n")
        );
        host.all_well(&built, version);
        let starts = m.ok(&format!(
            "journalctl -q --no-pager -o cat -u acme.service | grep -cx 'serving {version}'"
        ));
        assert_eq!(starts.text(), "1", "starts of {version}");
    }
    let asked = m.ok("needrestart -b -r l");
    eprintln!("{suite}: {}", asked.text());
    assert!(!asked.stdout.contains("acme"), "{asked}");
    assert_eq!(host.migrations(), each_in_order(&["1.0", "2.0", "3.0"]));
}
