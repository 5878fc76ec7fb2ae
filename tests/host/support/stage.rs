//! A host on which every call of the scripts, and every step inside of them, can be told to fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::app::{self, Answer, Built};
use super::process::Output;
use super::tamper::{CALLS, FAIL, Tampered, plain, tampered};
use super::{App, Host, Migration, Suite};

/// What is asked of dpkg. `O` is the version that is there, `N` the one that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Upgrade,
    Downgrade,
    Reinstall,
    /// 2.0 has failed and is half-configured, 1.0 serves, and now comes 1.0.
    Back,
    Install,
    InstallAfterRemove,
    Remove,
    Purge,
    PurgeAfterRemove,
    /// `rival` conflicts with ours.
    Rival,
    /// `breaker` breaks ours.
    Breaker,
    /// `other-helper` conflicts with what ours depends on.
    OtherHelper,
}

use Asked::{
    Back, Breaker, Downgrade, Install, InstallAfterRemove, OtherHelper, Purge, PurgeAfterRemove, Reinstall, Remove,
    Rival, Upgrade,
};

impl Asked {
    /// (what is there first, O, N)
    pub fn versions(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Upgrade => ("ii 1.0", "1.0", "2.0"),
            Downgrade => ("ii 2.0", "2.0", "1.0"),
            Back => ("iF 2.0", "2.0", "1.0"),
            Install => ("none", "", "1.0"),
            InstallAfterRemove => ("rc 1.0", "1.0", "2.0"),
            PurgeAfterRemove => ("rc 1.0", "1.0", ""),
            Reinstall => ("ii 1.0", "1.0", "1.0"),
            Remove | Purge | Rival | Breaker | OtherHelper => ("ii 1.0", "1.0", ""),
        }
    }

    /// A text in which `O` and `N` are the versions.
    pub fn named(self, text: &str) -> String {
        let (_, old, new) = self.versions();
        let words = text.split(' ').map(|word| match word {
            "O" => old,
            "N" => new,
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn command(self) -> &'static str {
        match self {
            Upgrade | InstallAfterRemove => "apt-get install -y -q acme=2.0",
            Install => "apt-get install -y -q acme=1.0",
            Downgrade | Back => "apt-get install -y -q --allow-downgrades acme=1.0",
            Reinstall => "apt-get install -y -q --reinstall acme=1.0",
            Remove => "apt-get remove -y -q acme",
            Purge | PurgeAfterRemove => "apt-get purge -y -q acme",
            // apt removes or upgrades ours beforehand; dpkg alone does it in favour of the other one.
            Rival => "dpkg --auto-deconfigure -i /srv/apt/rival_1.0_all.deb",
            Breaker => "dpkg --auto-deconfigure -i /srv/apt/breaker_1.0_all.deb",
            OtherHelper => "dpkg --auto-deconfigure -i /srv/apt/other-helper_1.0_all.deb",
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Asking {
    pub before: Option<Answer>,
    pub after: Option<Answer>,
    pub state: String,
    /// The log of calls.
    pub calls: String,
    pub said: Output,
}

impl Asking {
    pub fn context(&self) -> String {
        format!(
            "dpkg says {:?}, {:?} answers; {}\n{}",
            self.state, self.after, self.said, self.calls
        )
    }
}

/// The host, and the packages that it is shown.
#[derive(Debug)]
pub struct Stage {
    pub host: Host,
    built: Vec<Built>,
    _packages: Vec<Tampered>,
}

impl Stage {
    pub fn new(suite: Suite) -> Stage {
        let host = Host::boot(suite);
        let depends = |text: &str| text.replace("Depends: ", "Depends: acme-helper, ");
        let apps = ["1.0", "2.0"].map(|version| App::new(version).migration(Migration::Ok).timer().settle("0s"));
        let built: Vec<Built> = apps.iter().map(App::build).collect();
        let mut packages: Vec<Tampered> = built
            .iter()
            .map(|b| tampered(b.path(), &b.version, depends, ""))
            .collect();
        packages.push(plain("acme-helper", "1.0", ""));
        packages.push(plain("rival", "1.0", "Conflicts: acme\nReplaces: acme\n"));
        packages.push(plain("breaker", "1.0", "Breaks: acme\n"));
        packages.push(plain(
            "other-helper",
            "1.0",
            "Conflicts: acme-helper\nReplaces: acme-helper\n",
        ));
        let paths: Vec<_> = packages.iter().map(Tampered::path).collect();
        host.repo.add(&host.m, &paths);
        host.m.ok("apt-get install -y -q acme-helper");
        Stage {
            host,
            built,
            _packages: packages,
        }
    }

    /// `ii 1.0`, or `none`.
    pub fn state(&self) -> String {
        let said = self.host.dpkg();
        let words: Vec<&str> = said.split_whitespace().collect();
        match words.as_slice() {
            [] | [_] => "none".to_owned(),
            words => words.join(" "),
        }
    }

    fn install(&self, version: &str) -> Output {
        self.host
            .m
            .sh(&format!("apt-get install -y -q --allow-downgrades acme={version}"))
    }

    /// From wherever the host is to where the next point begins.
    pub fn begin(&self, wanted: &str) {
        let m = &self.host.m;
        m.ok(&format!("rm -rf {FAIL} && mkdir {FAIL}"));
        self.host.m.healing_has_ended();
        m.ok("for p in rival breaker other-helper; do dpkg-query -W $p >/dev/null 2>&1 && dpkg -P --force-depends $p; done; \
              systemctl unmask --runtime -q relpack-heal-acme.service; \
              [ \"$(dpkg-query -W -f '${db:Status-Abbrev}' acme-helper)\" = 'ii ' ] || dpkg -i /srv/apt/acme-helper_1.0_all.deb");
        if self.state() != wanted {
            match wanted.split_once(' ') {
                Some(("ii", version)) => {
                    self.install(version).expect_ok();
                }
                Some(("rc", version)) => {
                    self.install(version).expect_ok();
                    m.ok("apt-get remove -y -q acme");
                }
                Some(("iF", _)) => {
                    self.install("1.0").expect_ok();
                    m.ok("systemctl mask --runtime -q relpack-heal-acme.service");
                    m.ok(&format!("touch {FAIL}/postinst-2.0:start_recreate"));
                    self.install("2.0").expect_failure();
                    m.ok(&format!("rm {FAIL}/*"));
                }
                _ => {
                    m.ok("apt-get purge -y -q acme");
                }
            }
        }
        assert_eq!(self.state(), wanted, "where the point begins");
    }

    /// Lets these calls and steps (`O postinst abort-upgrade`, `N postinst :stage`) fail, asks, and waits for the healing.
    pub fn ask(&self, asked: Asked, fails: &[&str]) -> Asking {
        let m = &self.host.m;
        self.begin(asked.versions().0);
        let before = app::ask(m);
        for call in fails {
            m.ok(&format!("touch {FAIL}/{}", trigger(&asked.named(call))));
        }
        m.ok(&format!("rm -f {CALLS}; touch {CALLS}"));
        let said = m.sh(asked.command());
        self.host.m.healing_has_ended();
        Asking {
            before,
            after: self.answer(),
            state: self.state(),
            calls: m.read(CALLS),
            said,
        }
    }

    /// A gate that fails at once, since it was told to, leaves a service that has not begun to listen.
    fn answer(&self) -> Option<Answer> {
        let began = Instant::now();
        loop {
            let answer = app::ask(&self.host.m);
            let runs = || self.host.m.sh("systemctl -q is-active acme.service").succeeded();
            if answer.is_some() || !runs() || began.elapsed() > Duration::from_secs(10) {
                return answer;
            }
        }
    }

    /// Whether dpkg's record (`ii O`) and what serves (`N`; `O same` where its process was not touched; `-`) are so.
    #[track_caller]
    pub fn expect(&self, asked: Asked, done: &Asking, state: &str, serves: &str) {
        let context = done.context();
        assert_eq!(done.state, asked.named(state), "{context}");
        let serves = asked.named(serves);
        let (serves, same) = match serves.strip_suffix(" same") {
            Some(version) => (version, true),
            None => (serves.as_str(), false),
        };
        match &done.after {
            None => assert_eq!(serves, "-", "nothing answers; {context}"),
            Some(answer) => {
                // Code and units of one version.
                assert_eq!(
                    (answer.code.as_str(), answer.unit.as_str()),
                    (serves, serves),
                    "{context}"
                );
                let before = done.before.as_ref().map(|before| before.pid);
                assert!(!same || before == Some(answer.pid), "it was restarted; {context}");
            }
        }
        if let Some(version) = done.state.strip_prefix("ii ") {
            assert_eq!(version, serves, "installed without a successful activation; {context}");
        }
    }

    /// Nothing fails any more, and one command gets out.
    #[track_caller]
    pub fn leave(&self, asked: Asked, done: &Asking, way: &str) {
        let m = &self.host.m;
        m.ok(&format!("rm -f {FAIL}/*"));
        // Of a reinstallation both are one version: then the other one.
        let named = match (asked, way) {
            (Reinstall, "install N") => "install 2.0".to_owned(),
            _ => asked.named(way),
        };
        let out = self.way_out(&named).expect_ok();
        self.host.m.healing_has_ended();
        let context = format!("{}\nthe way out was {out}", done.context());
        let state = self.state();
        match named.split_once(' ') {
            None => {
                let gone = if way == "purge" {
                    state == "none"
                } else {
                    state == "none" || state.starts_with("rc")
                };
                assert!(gone, "dpkg says {state:?}; {context}");
                let left = m.ok("ls -d /opt/acme/releases /opt/acme/current /usr/lib/relpack /usr/lib/systemd/system/acme* 2>/dev/null || :");
                assert_eq!(left.text(), "", "left behind; {context}");
                assert_eq!(app::ask(m), None, "{context}");
                self.host.no_unit_failed();
            }
            Some((verb, version)) => {
                let version = if verb == "drop" { asked.versions().1 } else { version };
                assert_eq!(state, format!("ii {version}"), "{context}");
                let built = self.built.iter().find(|b| b.version == version);
                self.host
                    .all_well(built.unwrap_or_else(|| panic!("no version {version}")), version);
            }
        }
        let audit = m.ok("dpkg --audit");
        assert_eq!(audit.text(), "", "{context}");
    }

    /// Runs a point; says whether it held. One that did not leaves a clean host to the next.
    pub fn holds(&self, point: impl FnOnce()) -> bool {
        let held = catch_unwind(AssertUnwindSafe(point)).is_ok();
        if !held {
            let m = &self.host.m;
            m.sh(&format!("rm -f {FAIL}/*"));
            self.host.m.healing_has_ended();
            m.sh(
                "dpkg --purge --force-all acme rival breaker other-helper; apt-get install -y -q -f; \
                  rm -rf /opt/acme /var/lib/relpack /usr/lib/relpack",
            );
        }
        held
    }

    fn way_out(&self, way: &str) -> Output {
        let m = &self.host.m;
        match way.split_once(' ') {
            Some(("install", version)) => self.install(version),
            Some(("reinstall", version)) => m.sh(&format!(
                "apt-get install -y -q --reinstall --allow-downgrades acme={version}"
            )),
            Some(("retry", _)) => m.sh("acme-release retry"),
            Some(("fix", _)) => m.sh("apt-get install -y -q -f"),
            Some(("drop", package)) => m.sh(&format!("apt-get remove -y -q {package}")),
            _ => m.sh(&format!("apt-get {way} -y -q acme")),
        }
    }
}

/// `1.0 prerm upgrade` → the file that makes it fail.
fn trigger(call: &str) -> String {
    let mut words = call.split(' ');
    let (Some(who), Some(script), Some(argument)) = (words.next(), words.next(), words.next()) else {
        panic!("no call: {call}");
    };
    let separator = if argument.starts_with(':') { "" } else { "-" };
    if who.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{script}-{who}{separator}{argument}")
    } else {
        format!("{who}.{script}-1.0{separator}{argument}")
    }
}
