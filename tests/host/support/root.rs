//! The unpacked Debian roots that machines boot from: made once with mmdebstrap, cached by the hash of what they are made from.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::process;

/// For hosts that serve pages.
pub const WEB: &[&str] = &["busybox", "nginx-light"];

/// Names the directory that keeps the roots between runs.
const CACHE_VARIABLE: &str = "RELPACK_TEST_CACHE";
const CACHE_DEFAULT: &str = "/var/cache/relpack-tests";

/// Where machines keep their disks: a real disk, since a kernel's overlay and `sync` behave differently on tmpfs.
const WORK_VARIABLE: &str = "RELPACK_TEST_WORK";
const WORK_DEFAULT: &str = "/var/tmp";

/// In every root: what a server has (systemd, apt, curl, zstd), an interpreter for the test applications, and
/// the tools with which tests look at processes and break them.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "apt",
    "curl",
    "zstd",
    "python3",
    "procps",
    "strace",
];

/// Run in the new root (its path is `$1`). Periodic apt jobs would take dpkg's lock in the middle of a test, and
/// the mirror can't be reached from a machine without network.
const CUSTOMIZE: &str = r#"
rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/resolv.conf "$1"/etc/hostname
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer; do
  ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
: >"$1/etc/machine-id"
# As on a host that has been up before: its first boot here makes no caches.
touch "$1/etc/.updated" "$1/var/.updated"
"#;

/// As Debian's own installer has had it since Debian 10.
const MERGED_USR: &str = "--setup-hook=/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh";

/// A Debian release that relpack's packages must work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    Bookworm,
    Trixie,
    /// The oldest that `target` knows: one test alone asks for it.
    Bullseye,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
            Suite::Bullseye => "bullseye",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The path of a root of `suite` that also holds the packages `extra`; made when absent (20 to 60 s, needs the
/// suite's mirror). Nobody may write to it.
pub fn cached(suite: Suite, extra: &[&str]) -> PathBuf {
    require_superuser();
    let include = [PACKAGES, extra].concat().join(",");
    let key = key(&[suite.name(), &include, CUSTOMIZE, MERGED_USR][..if suite == Suite::Bullseye { 4 } else { 3 }]);
    once(&format!("{suite}-{key}"), |partial| {
        // A few packages more come on a copy of the plain root, in a third of the time. Nothing boots Debian 11's.
        let onto = (suite != Suite::Bullseye && !extra.is_empty()).then(|| cached(suite, &[]));
        match onto {
            Some(plain) => make_onto(suite, &plain, &extra.join(","), partial),
            None => make(suite, &include, partial),
        }
    })
}

/// What clients of registries have fetched, kept between runs.
pub fn downloads() -> PathBuf {
    let downloads = cache().join("downloads");
    fs::create_dir_all(&downloads).unwrap_or_else(|e| panic!("create {}: {e}", downloads.display()));
    downloads
}

fn cache() -> PathBuf {
    PathBuf::from(std::env::var_os(CACHE_VARIABLE).unwrap_or_else(|| CACHE_DEFAULT.into()))
}

/// The directory in which machines keep their disks.
pub fn work_base() -> PathBuf {
    PathBuf::from(std::env::var_os(WORK_VARIABLE).unwrap_or_else(|| WORK_DEFAULT.into()))
}

/// A new directory on that disk; it is removed with the value.
pub fn work_directory() -> tempfile::TempDir {
    tempfile::tempdir_in(work_base()).unwrap_or_else(|e| panic!("make a temporary directory: {e}"))
}

/// The same root as an ext4 file system in a sparse file.
pub fn image(suite: Suite, extra: &[&str]) -> PathBuf {
    let root = cached(suite, extra);
    let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    once(&format!("{name}.ext4"), |partial| {
        let (from, to) = (root.display().to_string(), partial.display().to_string());
        process::tool("mke2fs", &["-q", "-t", "ext4", "-d", &from, &to, "3G"]);
    })
}

/// What is called `name` in the cache, made by `make` under another name when absent.
fn once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache();
    let root = cache.join(name);
    if root.exists() {
        return root;
    }
    fs::create_dir_all(&cache).unwrap_or_else(|e| {
        panic!(
            "create {}: {e} (hint: {CACHE_VARIABLE} names another directory)",
            cache.display()
        )
    });
    let lock_path = cache.join(format!("{name}.lock"));
    let lock = fs::File::create(&lock_path).unwrap_or_else(|e| panic!("create {}: {e}", lock_path.display()));
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .unwrap_or_else(|e| panic!("lock {}: {e}", lock_path.display()));
    if !root.exists() {
        let started = Instant::now();
        let partial = cache.join(format!(".{name}.partial"));
        say(&format!("making {} …", root.display()));
        remove_tree(&partial);
        make(&partial);
        fs::rename(&partial, &root)
            .unwrap_or_else(|e| panic!("rename {} to {}: {e}", partial.display(), root.display()));
        say(&format!("made {name} in {:.0} s", started.elapsed().as_secs_f64()));
    }
    root
}

/// Fails the test with a clear message when it does not run as root.
pub fn require_superuser() {
    use std::os::unix::fs::MetadataExt;
    let euid = fs::metadata("/proc/self").map(|m| m.uid());
    assert!(
        matches!(euid, Ok(0)),
        "host tests boot machines and need root (hint: run `sudo -E tests/run host`, or `tests/run fast` for the rest)"
    );
}

fn make(suite: Suite, include: &str, partial: &Path) {
    let mut command = Command::new("mmdebstrap");
    command
        .arg("--variant=minbase")
        .args((suite == Suite::Bullseye).then_some(MERGED_USR));
    bootstrap(command, suite, include, partial);
}

fn make_onto(suite: Suite, plain: &Path, include: &str, partial: &Path) {
    let mut command = Command::new("mmdebstrap");
    command
        .arg("--variant=custom")
        .arg(format!("--setup-hook=cp -a '{}/.' \"$1\"/", plain.display()));
    bootstrap(command, suite, include, partial);
}

fn bootstrap(mut command: Command, suite: Suite, include: &str, partial: &Path) {
    command
        .args(["--mode=root", "--format=directory"])
        .arg(format!("--include={include}"))
        .arg(format!("--customize-hook={CUSTOMIZE}"))
        .arg(suite.name())
        .arg(partial)
        // mmdebstrap makes its own temporary directories there, and a world without TMPDIR is the tested one.
        .env_remove("TMPDIR");
    process::run(
        command,
        &format!("mmdebstrap {suite} {}", partial.display()),
        None,
        Duration::from_secs(900),
    )
    .expect_ok();
}

fn remove_tree(path: &Path) {
    let removed = if path.is_file() {
        fs::remove_file(path)
    } else {
        fs::remove_dir_all(path)
    };
    match removed {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => panic!("remove {}: {e}", path.display()),
    }
}

fn key(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n"));
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells a person at once, past the capturing of a test's output: making a root takes a while.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "host tests: {line}");
}
