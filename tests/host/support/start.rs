//! The first five minutes of a runtime: a page of `docs/start`, typed command by command, with load on what it deploys. Its
//! blocks are `sh build`, `sh host`, `sh host under load`, and `sh host under load fails`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::document::{self, Packages};
use super::load::{self, Promise};
use super::machine::Machine;
use super::process;
use super::root::{self, Suite};
use super::{sample, sandbox};
use crate::common::lintian;

/// "Five minutes" says what the first section of a page takes, builds and installation together, on a machine that does nothing
/// else: of a build counts the time of the processors where that is less than the clock's.
const FIRST_SECTION: &str = "Five minutes";
const FIRST_SECTION_MAX: Duration = Duration::from_secs(300);

/// A runtime's page, and what it deploys.
pub struct Start {
    pub page: &'static str,
    /// Debian packages of the machine that builds, which is of the hosts' suite; `None` where the suite doesn't matter.
    pub builder: Option<&'static [&'static str]>,
    /// Debian packages that the host has.
    pub host: &'static [&'static str],
    /// The service that answers.
    pub unit: &'static str,
    /// What the load asks for.
    pub url: &'static str,
    /// What the page says of those who ask while the service is deployed, or reloaded.
    pub promise: Promise,
}

impl Start {
    /// Only by request: these programs are large.
    pub fn follow_in_full(&self, suite: Suite) -> Option<Machine> {
        if !sample::full() {
            eprintln!("{suite}: this page is followed with RELPACK_FULL=1");
            return None;
        }
        Some(self.follow(suite))
    }

    /// Does what the page says, and looks at what it left.
    pub fn follow(&self, suite: Suite) -> Machine {
        let work = root::work_directory();
        let builder = Builder::new(suite, self.builder, work.path());
        let mut packages = Packages::below(&builder.checkout);
        let host = Machine::boot_with(suite, self.host);
        let mut first = Duration::ZERO;
        for (heading, text) in document::sections(self.page) {
            for (words, commands) in document::blocks(text) {
                let script = format!("cd /root; set -ex\n{commands}");
                let began = Instant::now();
                let mut worked = Duration::MAX;
                match words.as_str() {
                    "sh build" => worked = builder.run(&commands),
                    "sh host" => {
                        packages.copy_to(&host);
                        host.sh_within(&script, LIMIT).expect_ok();
                    }
                    "sh host under load" => {
                        packages.copy_to(&host);
                        load::during(&host, &self.request(), self.promise, &script, LIMIT);
                    }
                    // What fails changes nothing.
                    "sh host under load fails" => {
                        packages.copy_to(&host);
                        let fails = format!("! ({script}\n)");
                        load::during(&host, &self.request(), Promise::NoGap, &fails, LIMIT);
                    }
                    other => {
                        assert!(!other.starts_with("sh"), "nobody runs a block of {other:?}");
                        continue;
                    }
                }
                let took = began.elapsed();
                eprintln!("{suite}: {heading}: {words}: {:.1} s", took.as_secs_f64());
                if heading == FIRST_SECTION {
                    first += took.min(worked);
                }
            }
        }
        eprintln!("{suite}: {FIRST_SECTION}: {:.1} s that count", first.as_secs_f64());
        assert!(first > Duration::ZERO, "the page has no section {FIRST_SECTION:?}");
        assert!(
            first < FIRST_SECTION_MAX,
            "{suite}: from an empty directory to a host took {first:?}"
        );
        self.look_at(&host);
        lintian::expect_silent_of_us(&packages.copied());
        host
    }

    /// One request of the load.
    fn request(&self) -> String {
        format!("curl -sSf -o /dev/null --max-time 20 '{}'", self.url)
    }

    /// What the preset of the runtime promises of a service that has worked.
    #[track_caller]
    fn look_at(&self, host: &Machine) {
        let name = self.unit.trim_end_matches(".service");
        sandbox::expect_exposure(host, name);
        sandbox::expect_orderly_stop(host, self.unit);
        sandbox::expect_nothing_denied(host, &format!("{name}*"));
    }
}

/// Longest that a block may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The machine on which a page's packages are built: relpack is installed, and the examples are there.
struct Builder {
    /// Where its commands run, as this machine sees it.
    checkout: PathBuf,
    /// Its root, and where it keeps what it writes there.
    root: Option<(PathBuf, PathBuf)>,
}

/// Bound into a Debian root, a machine like this one, with its network.
const ENTER: &str = r#"
mkdir -p "$OVER/upper" "$OVER/work" "$OVER/root"
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$OVER/upper,workdir=$OVER/work" "$OVER/root"
cd "$OVER/root"
mkdir -p root/checkout root/.cache etc/ssl/certs
touch usr/local/bin/relpack
mount --bind "$RELPACK" usr/local/bin/relpack
mount --bind "$CHECKOUT" root/checkout
mount --bind "$CACHE" root/.cache
cat /etc/resolv.conf >etc/resolv.conf
cat /etc/ssl/certs/ca-certificates.crt >etc/ssl/certs/ca-certificates.crt
mount -t proc proc proc
mount --rbind /dev dev
exec chroot . /usr/bin/env --chdir=/root/checkout /bin/sh -exc "$COMMANDS"
"#;

impl Builder {
    fn new(suite: Suite, packages: Option<&[&str]>, work: &Path) -> Builder {
        let checkout = work.join("checkout");
        fs::create_dir(&checkout).expect("a new directory");
        // Only what is committed: what was built in the examples here is no part of a checkout.
        let script = "git -C \"$0\" ls-files -z examples | tar -C \"$0\" --null -T - -cf - | tar -xf -";
        let mut copy = Command::new("sh");
        copy.args(["-ec", script, env!("CARGO_MANIFEST_DIR")])
            .current_dir(&checkout);
        process::run(copy, "copy the examples", None, LIMIT).expect_ok();
        let root = packages.map(|packages| (root::cached(suite, packages), work.join("over")));
        Builder { checkout, root }
    }

    /// Runs them, and says how long processors worked for them.
    #[track_caller]
    fn run(&self, commands: &str) -> Duration {
        let commands = &format!("{commands}\ntimes");
        let relpack = Path::new(env!("CARGO_BIN_EXE_relpack"));
        let mut command = match &self.root {
            None => {
                let path = std::env::var("PATH").unwrap_or_default();
                let place = relpack.parent().expect("it lies in a directory").display();
                let mut command = Command::new("sh");
                command
                    .args(["-exc", commands])
                    .current_dir(&self.checkout)
                    .env("PATH", format!("{place}:{path}"));
                command
            }
            Some((lower, over)) => {
                fs::create_dir_all(over).expect("a directory can be made");
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"])
                    .args(["sh", "-ec", ENTER])
                    .env_clear()
                    .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
                    .envs([("HOME", "/root"), ("LANG", "C.UTF-8"), ("COMMANDS", commands)])
                    .envs(std::env::vars().filter(|(name, _)| is_of_a_registry(name)))
                    .envs([("LOWER", lower.as_os_str()), ("OVER", over.as_os_str())])
                    .envs([
                        ("CHECKOUT", self.checkout.as_os_str()),
                        ("RELPACK", relpack.as_os_str()),
                    ])
                    .env("CACHE", AsRef::<OsStr>::as_ref(&root::downloads()));
                command
            }
        };
        command
            .env("DEBEMAIL", "ops@acme.example")
            .env("DEBFULLNAME", "Acme Ops");
        let done = process::run(command, commands, None, LIMIT).expect_ok();
        // Of its children, those of user space and those of the kernel.
        let times = done.stdout.lines().next_back().unwrap_or_default();
        times
            .split(' ')
            .map(|time| of_a_shell(time).unwrap_or_else(|| panic!("no time: {time:?}\n{done}")))
            .sum()
    }
}

/// A time as `times` of a shell prints it, such as `1m2.340000s`.
fn of_a_shell(time: &str) -> Option<Duration> {
    let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
    let seconds = 60.0 * minutes.parse::<f64>().ok()? + seconds.parse::<f64>().ok()?;
    Some(Duration::from_secs_f64(seconds))
}

/// How clients of registries are told where they find them, by this machine's admin.
fn is_of_a_registry(name: &str) -> bool {
    let upper = name.to_uppercase();
    // A directory of this machine.
    if upper == "PIP_FIND_LINKS" {
        return false;
    }
    ["PIP_", "NPM_CONFIG_", "SSL_CERT_"]
        .iter()
        .any(|start| upper.starts_with(start))
        || upper.ends_with("_PROXY")
}
