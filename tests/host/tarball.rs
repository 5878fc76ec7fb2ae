//! The tarball that installs: the same activation where no package manager has the application, up, back, and away again.

use std::fs;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{Built, artifact_as, expect_serves, relpack};
use crate::support::site::Site;
use crate::support::{App, Behaviour, Machine, Migration, Suite, sample};

on_each_suite![rotated: whole_life];

fn app(version: &str) -> App {
    App::new(version).settle("0s").migration(Migration::Ok)
}

/// With a command on the path, and its manual.
fn with_command(app: App, name: &str) -> App {
    let page = format!(".TH {name} 1\n.SH NAME\n{name} \\- tells\n");
    app.file("bin/tell", "#!/bin/sh\ncat /opt/acme/current/body\n")
        .file("tell.1", &page)
        .package_line("man = [\"build/tell.1\"]")
        .extra(&format!("[files.\"/usr/bin/{name}\"]\nlink = \"current/bin/tell\""))
}

/// Unpacked by somebody whose umask and number must not matter.
pub fn unpacked(m: &Machine, app: &App) -> Built {
    let built = app.build_as("tar.gz");
    unpack(m, &built);
    built
}

fn unpack(m: &Machine, built: &Built) {
    let name = format!("/root/{}.tar.gz", built_directory(built));
    m.put(&name, fs::read(built.path()).expect("the tarball can be read"));
    m.ok(&format!(
        "umask 077; cd /root && tar -xzf {name} --no-same-permissions && chown -R 1234:1234 {}",
        built_directory(built)
    ));
}

fn built_directory(built: &Built) -> String {
    let file = built
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    file.trim_end_matches(".tar.gz").to_owned()
}

pub fn script(built: &Built, name: &str) -> String {
    format!("/root/{}/{name}", built_directory(built))
}

/// Code, unit and command are all of that release, and nothing needs a person.
#[track_caller]
fn all_well(m: &Machine, built: &Built, version: &str) -> u64 {
    let answer = expect_serves(m, version);
    assert_eq!(answer.release_id, built.release_id);
    m.ok("acme-release status").expect_says(&format!("acme {version}"));
    m.ok("acme-release verify");
    m.ok("acme-release --version").expect_says(version);
    m.ok("[ \"$(systemctl is-enabled acme.service)\" = enabled ] && [ -z \"$(find /run/systemd/generator* -name 'acme*')\" ]");
    assert_eq!(m.sh("systemctl --failed --plain --no-legend").text(), "");
    answer.pid
}

/// Everything on the host that is not in motion.
fn everything(m: &Machine) -> String {
    m.ok("find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /root -o -path /var/log -o -path /var/tmp \
          -o -path /var/lib/systemd -o -path /var/cache \\) -prune -o -print | sort")
        .text()
        .to_owned()
}

/// Takes all that a host of Debian's has of dpkg's away.
fn hide_dpkg(m: &Machine) {
    m.ok(
        "mkdir -p /root/dpkg/bin && mv /usr/bin/dpkg* /usr/bin/apt* /usr/bin/deb-systemd-* /root/dpkg/bin && \
          mv /var/lib/dpkg /root/dpkg/records && hash -r && ! command -v dpkg dpkg-query apt-get deb-systemd-helper",
    );
}

fn bring_dpkg_back(m: &Machine) {
    m.ok("mv /root/dpkg/bin/* /usr/bin && mv /root/dpkg/records /var/lib/dpkg && dpkg --audit");
}

fn whole_life(suite: Suite) {
    let m = &Machine::boot(suite);
    let accounts = m.read("/etc/passwd");
    let before = everything(m);
    hide_dpkg(m);
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    let first = unpacked(m, &with_command(app("1.0").timer(), "acme-ask"));
    let second = unpacked(m, &with_command(app("2.0").extra(worker), "acme-tell"));
    let broken = unpacked(m, &app("3.0").behaviour(Behaviour::NeverHealthy).health_timeout("2s"));

    m.ok(&script(&first, "install")).expect_says("acme 1.0 is installed");
    let pid = all_well(m, &first, "1.0");
    m.ok("systemctl -q is-active acme-report.timer");
    // Once more, and the service runs on.
    m.ok(&script(&first, "install"));
    assert_eq!(all_well(m, &first, "1.0"), pid);

    m.ok(&script(&second, "install"));
    let pid = all_well(m, &second, "2.0");
    m.ok("systemctl -q is-active acme-worker.service && ! systemctl -q is-active acme-report.timer");
    m.ok("[ ! -e /usr/lib/systemd/system/acme-report.timer ]");
    assert_ne!(pid, 0);
    assert_eq!(m.ok("acme-tell").text(), "2.0");
    m.ok("[ ! -L /usr/bin/acme-ask ] && zcat /usr/share/man/man1/tell.1.gz | grep -F 'acme-tell'");

    m.sh(&script(&broken, "install"))
        .expect_failure()
        .expect_says("acme 3.0 was not activated")
        .expect_says("acme 2.0 serves, as before.")
        .expect_says("run the install of the tarball of acme 3.0");
    all_well(m, &second, "2.0");
    m.sh("acme-release retry")
        .expect_failure()
        .expect_says("is tried again by its own script");
    m.sh("acme-release history").expect_says("revert");

    m.ok(&script(&second, "rollback"));
    all_well(m, &first, "1.0");
    m.ok("systemctl -q is-active acme-report.timer && ! systemctl -q is-active acme-worker.service");
    assert_eq!(m.ok("[ ! -L /usr/bin/acme-tell ] && acme-ask").text(), "1.0");
    m.ok("zcat /usr/share/man/man1/tell.1.gz | grep -F 'acme-ask'");
    let migrations = m.read("/opt/acme/shared/data/migrations");
    assert_eq!(migrations.matches("end 1.0").count(), 1, "{migrations}");

    bring_dpkg_back(m);
    either_or(m, &first);
    hide_dpkg(m);

    // It goes by the script that stays on the host.
    m.ok("rm -rf /root/acme-*");
    m.ok("/usr/lib/relpack/acme/uninstall");
    m.ok("[ -e /opt/acme/shared/data/migrations ] && [ -e /var/lib/relpack/acme/history ]");
    let left = m.ok("ls -d /opt/acme/* /usr/lib/systemd/system/acme* /usr/lib/systemd/system-generators/relpack* /usr/bin/acme* \
                     /usr/lib/relpack /usr/lib/sysusers.d/acme* /usr/lib/tmpfiles.d/acme* /etc/systemd/system/*/acme* 2>/dev/null || :");
    assert_eq!(left.text(), "/opt/acme/shared");
    assert_eq!(m.sh("systemctl --failed --plain --no-legend").text(), "");

    // And whole, where nobody has filled anything.
    let first = unpacked(m, &app("1.0").timer());
    m.ok("rm /opt/acme/shared/data/*");
    m.ok(&script(&first, "install"));
    m.ok("systemctl stop acme.service && rm -rf /opt/acme/shared/data/*");
    m.ok(&script(&first, "uninstall --purge"));
    assert_eq!(m.read("/etc/passwd"), accounts);
    let after = everything(m);
    let new: Vec<&str> = after
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line))
        .collect();
    // What useradd and systemctl make once, in their own name.
    let ours: Vec<&&str> = new
        .iter()
        .filter(|line| line.contains("acme") || line.contains("relpack"))
        .collect();
    assert!(ours.is_empty(), "left behind: {ours:?} of {new:?}");
    sample::run("goes_on_after_a_crash", suite, goes_on_after_a_crash);
    if sample::full() {
        colours_change_over(suite);
    }
}

/// Blue-green without dpkg: an upgrade, back, and one that is never healthy.
fn colours_change_over(suite: Suite) {
    let site = Site::boot(suite, "strategy = \"blue-green\"");
    let m = &site.m;
    let tarball = |version: &str, behaviour: &str| {
        let deb = site.build(version, behaviour);
        let directory = deb
            .path()
            .ancestors()
            .nth(2)
            .expect("it lies in dist")
            .display()
            .to_string();
        let (path, id) = artifact_as(
            &relpack(&["build", "--json", "--format", "tar.gz", "-C", &directory]).expect_ok(),
            "tar.gz",
        );
        let built = Built::at(&path, &id);
        unpack(m, &built);
        built
    };
    let (first, second) = (tarball("1.0", "serve"), tarball("2.0", "serve"));
    let broken = tarball("3.0", "never-healthy");
    hide_dpkg(m);
    m.ok(&script(&first, "install"));
    let colour = site.one_serves("1.0");
    m.ok(&script(&second, "install"));
    let other = site.one_serves("2.0");
    assert_ne!(colour, other);
    m.ok(&script(&second, "rollback"));
    assert_eq!(site.one_serves("1.0"), colour);
    m.sh(&script(&broken, "install"))
        .expect_failure()
        .expect_says("acme 1.0 serves, as before.");
    assert_eq!(site.one_serves("1.0"), colour);
}

/// The host goes down in the middle of an upgrade, and nobody comes.
fn goes_on_after_a_crash(suite: Suite) {
    let mut machine = Machine::boot(suite);
    let m = &mut machine;
    let (first, second) = (unpacked(m, &app("1.0")), unpacked(m, &app("2.0")));
    m.ok(&script(&first, "install"));
    let slow = "/etc/systemd/system/acme.service.d/slow.conf";
    m.put(slow, "[Service]\nExecStartPre=/usr/bin/sleep 1000\n");
    m.ok("systemctl daemon-reload");
    let upgrade = m.spawn(&script(&second, "install"));
    m.wait_for(
        "grep -qx step=start /var/lib/relpack/acme/journal",
        Duration::from_secs(60),
    );
    m.ok(&format!("rm {slow}"));
    m.kill9();
    upgrade.wait(Duration::from_secs(30));
    m.start();
    m.wait_for(
        "! systemctl -q is-active relpack-resume-acme.service",
        Duration::from_secs(60),
    );
    all_well(m, &second, "2.0");
}

/// The same application is dpkg's or a tarball's, and each of them says so.
fn either_or(m: &Machine, tarball: &Built) {
    let package = app("4.0").package_line("section = \"web\"").build();
    m.put(
        "/root/acme.deb",
        fs::read(package.path()).expect("the package can be read"),
    );
    m.sh("dpkg -i /root/acme.deb")
        .expect_failure()
        .expect_says("acme was installed here from a tarball (hint: /usr/lib/relpack/acme/uninstall");
    all_well(m, tarball, "1.0");
    let other = App::new("1.0").named("beta", 3001).settle("0s");
    let (deb, tar) = (other.build(), unpacked(m, &other));
    m.put("/root/beta.deb", fs::read(deb.path()).expect("the package can be read"));
    m.ok("dpkg -i /root/beta.deb");
    m.sh(&script(&tar, "install"))
        .expect_failure()
        .expect_says("beta is installed here by dpkg");
    m.ok("beta-release status && dpkg -P beta && rm -rf /root/beta*");
}
