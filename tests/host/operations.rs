//! docs/operations.md, command by command: each block runs as it stands on a host in the state that its section describes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{self, Built};
use crate::support::document;
use crate::support::root::say;
use crate::support::tamper::{FAIL, Tampered, tampered};
use crate::support::{App, Host, Migration, Suite};

on_each_suite![rotated: every_command];

/// The blocks of commands by the word after `sh`.
fn blocks() -> Vec<(String, String)> {
    let blocks = document::blocks(include_str!("../../docs/operations.md")).into_iter();
    let commands = blocks.filter_map(|(words, text)| Some((words.strip_prefix("sh ")?.to_owned(), text)));
    commands.collect()
}

/// The document's cast: 1.0 serves, 2.0 comes. Each starts only while a file of its own is there.
struct Cast {
    host: Host,
    built: Vec<Built>,
    packages: Vec<Tampered>,
}

impl Cast {
    fn new(suite: Suite) -> Cast {
        let host = Host::boot(suite);
        let app = |version: &str| {
            App::new(version)
                .settle("0s")
                .timer()
                .migration(Migration::Ok)
                .service_line(&format!(
                    "Service.ExecStartPre = \"/usr/bin/test -e /etc/acme-{version}-can-run\""
                ))
        };
        let built: Vec<Built> = [app("1.0"), app("2.0"), app("3.0").required("DATABASE_URL")]
            .iter()
            .map(App::build)
            .collect();
        let packages = built
            .iter()
            .map(|b| tampered(b.path(), &b.version, str::to_owned, ""))
            .collect();
        let cast = Cast { host, built, packages };
        cast.publish();
        cast
    }

    fn publish(&self) {
        let paths: Vec<_> = self.packages.iter().map(Tampered::path).collect();
        self.host.repo.add(&self.host.m, &paths);
    }

    /// 1.0 serves and all is well, as if nothing had been.
    fn serves_1_0(&self) {
        let m = &self.host.m;
        self.host.m.healing_has_ended();
        m.ok(&format!(
            "rm -rf {FAIL} /etc/relpack /etc/systemd/system/acme*.d; mkdir {FAIL}; systemctl daemon-reload; \
             touch /etc/acme-1.0-can-run /etc/acme-2.0-can-run /etc/acme-3.0-can-run"
        ));
        if self.host.dpkg() != "ii  1.0" {
            m.ok("apt-get install -y -q --allow-downgrades acme=1.0");
        }
        self.host.all_well(&self.built[0], "1.0");
    }

    fn nothing_is_there(&self) {
        self.serves_1_0();
        self.host.m.ok("apt-get purge -y -q acme && rm -rf /opt/acme");
    }

    /// The upgrade to 2.0 fails, with these words.
    fn fails(&self, says: &str) {
        self.host.install("2.0").expect_failure().expect_says(says);
    }

    fn well(&self, version: &str) {
        self.host.m.healing_has_ended();
        let built = self.built.iter().find(|b| b.version == version);
        self.host
            .all_well(built.unwrap_or_else(|| panic!("no version {version}")), version);
    }

    /// The host goes down while 2.0 starts.
    fn resumed(&mut self, commands: &str) {
        self.serves_1_0();
        let m = &mut self.host.m;
        let drop_in = "/etc/systemd/system/acme.service.d/slow.conf";
        m.put(drop_in, "[Service]\nExecStartPre=/usr/bin/sleep 1000\n");
        m.ok("systemctl daemon-reload");
        let upgrade = m.spawn("apt-get install -y -q acme=2.0");
        m.wait_for(
            "grep -qx step=start /var/lib/relpack/acme/journal",
            Duration::from_secs(60),
        );
        m.ok(&format!("rm {drop_in}"));
        m.kill9();
        upgrade.wait(Duration::from_secs(30));
        m.start();
        self.host.resumed();
        self.host.m.healing_has_ended();
        self.host
            .m
            .ok(&format!("set -ex\n{commands}"))
            .expect_says("the host went down while acme 2.0 was activated; going on with it");
        self.well("2.0");
    }

    /// Brings the host into the state of a block, runs it, and looks at what it has led to.
    fn scene(&mut self, name: &str, commands: &str) {
        if name == "resumed" {
            return self.resumed(commands);
        }
        let m = &self.host.m;
        let run = || m.ok(&format!("set -ex\n{commands}"));
        let fail = |what: &str| m.ok(&format!("touch {FAIL}/{what}"));
        match name {
            "look" => {
                self.serves_1_0();
                run().expect_says("acme 1.0").expect_says("install");
            }
            "reverted" => {
                self.serves_1_0();
                m.ok("rm /etc/acme-2.0-can-run");
                self.fails("acme 1.0 serves, as before");
                self.host.m.healing_has_ended();
                run().expect_says("failed").expect_says("ii  1.0");
                self.well("1.0");
            }
            // The one before has failed, and its cause is mended.
            "retry" => {
                m.ok("touch /etc/acme-2.0-can-run");
                run();
                self.well("2.0");
            }
            "migration" | "migrate-no" => {
                self.serves_1_0();
                m.ok("rm -rf /var/lib/relpack/acme/migrated");
                fail("postinst-2.0:migrate");
                self.fails("the migration failed");
                let pid = self.host.serves("1.0").pid;
                self.host.m.healing_has_ended();
                run();
                assert_eq!(self.host.serves("1.0").pid, pid);
                if name == "migrate-no" {
                    m.ok("acme-release retry");
                    self.well("2.0");
                }
            }
            "both" => {
                self.serves_1_0();
                m.ok("rm /etc/acme-1.0-can-run /etc/acme-2.0-can-run");
                self.fails("AND acme 1.0 is not healthy either");
                self.host.m.healing_has_ended();
                assert_eq!(app::ask(m), None);
                m.ok("touch /etc/acme-1.0-can-run");
                run();
                self.host.comes_to_serve("1.0");
                self.well("1.0");
            }
            "first" => {
                self.nothing_is_there();
                m.ok("rm /etc/acme-1.0-can-run");
                self.host
                    .install("1.0")
                    .expect_failure()
                    .expect_says("There is no earlier release");
                m.sh("acme-release status")
                    .expect_says("no release has ever been healthy here");
                m.ok("touch /etc/acme-1.0-can-run");
                run();
                self.well("1.0");
            }
            "settings" => {
                self.nothing_is_there();
                self.host
                    .install("3.0")
                    .expect_ok()
                    .expect_says("is installed, but not started");
                m.sh("acme-release status")
                    .expect_says("the migration waits for the first start");
                run();
                self.host.comes_to_serve("3.0");
                self.well("3.0");
            }
            "heal" | "accept" => {
                self.serves_1_0();
                m.ok("rm -rf /var/lib/relpack/acme/debs && apt-get clean");
                self.host.repo.withdraw(m, "acme");
                self.host.repo.add(m, &[self.packages[1].path()]);
                m.ok("rm /etc/acme-2.0-can-run");
                self.fails("acme-release accept makes apt work again");
                let pid = self.host.serves("1.0").pid;
                assert_eq!(self.host.dpkg(), "iF  2.0");
                if name == "heal" {
                    self.publish();
                    run();
                    self.well("1.0");
                } else {
                    run();
                    self.host.expect_dpkg("2.0");
                    m.ok("acme-release status").expect_says("parked:   2.0");
                    m.sh("acme-release accept").expect_failure().expect_says("is in order");
                    self.publish();
                }
                assert_eq!(self.host.serves("1.0").pid, pid);
            }
            "half-installed" => {
                self.serves_1_0();
                let pid = self.host.serves("1.0").pid;
                fail("preinst-2.0-upgrade");
                fail("postrm-2.0-abort-upgrade");
                self.host.install("2.0").expect_failure();
                m.sh("acme-release status")
                    .expect_says("dpkg says 'iHR1.0'")
                    .expect_says(commands.trim().trim_start_matches("apt-get install -y"));
                m.sh("acme-release accept")
                    .expect_failure()
                    .expect_says("which accepting does not change");
                m.ok(&format!("rm {FAIL}/*"));
                run();
                self.well("1.0");
                assert_eq!(self.host.serves("1.0").pid, pid);
            }
            "interrupted" => {
                self.serves_1_0();
                m.ok("dpkg --unpack /srv/apt/acme_2.0_all.deb");
                self.host.serves("1.0");
                m.sh("acme-release status").expect_says("dpkg --configure acme");
                run();
                self.well("2.0");
            }
            "locked" => {
                self.serves_1_0();
                let lock = "/var/lib/relpack/acme/lock";
                let holder = m.spawn(&format!(
                    "echo \"$$ postinst of acme 2.0\" >{lock}; exec flock -o {lock} sleep 1000"
                ));
                m.wait_for(&format!("! flock -n {lock} true"), Duration::from_secs(10));
                m.sh("acme-release prune")
                    .expect_failure()
                    .expect_says("another activation of acme is running (postinst of acme 2.0, process");
                run().expect_says("flock");
                self.host
                    .install("2.0")
                    .expect_failure()
                    .expect_says("another activation");
                m.ok(&format!("kill \"$(cut -d ' ' -f 1 {lock})\""));
                holder.kill();
                self.serves_1_0();
            }
            "rollback" | "rollback-apt" => {
                self.serves_1_0();
                self.host.install("2.0").expect_ok();
                run();
                self.well("1.0");
                m.ok("apt-get upgrade -y -q");
                self.well("1.0");
            }
            "forward" => {
                run();
                self.well("2.0");
            }
            "disk" => {
                self.serves_1_0();
                run();
                self.well("1.0");
            }
            "verify" => {
                self.serves_1_0();
                run().expect_says("all as in its manifest");
                m.ok("printf x >>/opt/acme/current/body");
                m.sh(&format!("set -ex\n{commands}"))
                    .expect_failure()
                    .expect_says("is damaged");
            }
            // The one before has found the damage.
            "damaged" => {
                run().expect_says("all as in its manifest");
                self.well("1.0");
            }
            "keep" | "remove" => {
                self.serves_1_0();
                let refuses = "/etc/systemd/system/acme-report.timer.d/mine.conf";
                m.put(refuses, "[Unit]\nRefuseManualStop=yes\n");
                m.ok("systemctl daemon-reload");
                m.sh("dpkg -r acme")
                    .expect_failure()
                    .expect_says("its units cannot be stopped");
                self.host.comes_to_serve("1.0");
                m.sh("acme-release status")
                    .expect_says("apt-get remove acme, or to keep it: apt-get install --reinstall acme=1.0");
                if name == "remove" {
                    m.ok(&format!("rm {refuses} && systemctl daemon-reload"));
                }
                run();
                match name {
                    "keep" => self.well("1.0"),
                    _ => assert_eq!(app::ask(m), None),
                }
            }
            name => panic!("docs/operations.md has commands for {name:?}, and no test brings a host into that state"),
        }
    }
}

fn every_command(suite: Suite) {
    let mut cast = Cast::new(suite);
    let blocks = blocks();
    let mut held = 0;
    for (name, commands) in &blocks {
        eprintln!("{suite}: {name}");
        cast.scene(name, commands);
        held += 1;
    }
    say(&format!("{suite}: held {held} of {} blocks of commands", blocks.len()));
    let names: BTreeSet<_> = blocks.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), blocks.len(), "two blocks have one name");
    assert!(blocks.len() >= 20, "only {} blocks were found", blocks.len());
}
