//! Disks that a test makes out of files: one for a host's whole root, whose power can be cut, and more for a host to mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{self, Output};
use super::root::{self, Suite};

const GONE_LIMIT: Duration = Duration::from_secs(30);

/// The root of a host on an ext4 file system of its own.
///
/// It is mounted in a mount name space of its own: a copy of the mount in another one, such as that of a machine that
/// another test boots meanwhile, would keep the file system in use, and the next mount would find it in memory instead
/// of on the disk.
#[derive(Debug)]
pub struct RootDisk {
    image: PathBuf,
    mount: PathBuf,
    holder: Child,
}

impl RootDisk {
    /// A disk with a fresh root in `work`, mounted there as `root`.
    pub fn make(suite: Suite, packages: &[&str], work: &Path) -> RootDisk {
        let image = work.join("root.img");
        process::tool(
            "cp",
            &["--sparse=always", &show(&root::image(suite, packages)), &show(&image)],
        );
        // The name space lives as long as this process, which dies with the test.
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "-m", "--propagation", "private"])
            .args(["sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("start setpriv unshare: {e}"));
        let disk = RootDisk {
            image,
            mount: work.join("root"),
            holder,
        };
        let comm = format!("/proc/{}/comm", disk.holder.id());
        let started = Instant::now();
        while fs::read_to_string(&comm).unwrap_or_default().trim() != "sleep" {
            assert!(started.elapsed() < Duration::from_secs(20), "unshare did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        disk.mount("");
        disk
    }

    /// The mounted root as seen from outside of its name space.
    pub fn root(&self) -> PathBuf {
        let inside = self.mount.strip_prefix("/").unwrap_or(&self.mount);
        Path::new("/proc")
            .join(self.holder.id().to_string())
            .join("root")
            .join(inside)
    }

    /// The words before a command that shall see the disk mounted.
    pub fn enter(&self) -> Vec<String> {
        ["nsenter", "-m", "-t", &self.holder.id().to_string(), "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// From now on nothing reaches the disk: neither what is in memory nor what will be written.
    pub fn cut(&self) {
        self.tool(&["xfs_io", "-x", "-c", "shutdown", &show(&self.mount)]);
    }

    /// Forgets what was in memory and mounts what is on the disk, which replays its journal.
    pub fn power_on(&self, options: &str) {
        let started = Instant::now();
        // The last processes of the machine are gone soon.
        while !self.run(&["umount", &show(&self.mount)]).succeeded() {
            assert!(started.elapsed() < GONE_LIMIT, "{} stays in use", self.mount.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        // The loop device goes with the last user of the file system.
        while !loops_of(&self.image).is_empty() {
            assert!(
                started.elapsed() < GONE_LIMIT,
                "{} stays in memory",
                self.image.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        expect_unclean(&self.image);
        self.mount(options);
    }

    fn mount(&self, options: &str) {
        let options = ["loop", options].join(",");
        self.tool(&[
            "mount",
            "-t",
            "ext4",
            "-o",
            options.trim_end_matches(','),
            &show(&self.image),
            &show(&self.mount),
        ]);
    }

    fn tool(&self, words: &[&str]) {
        self.run(words).expect_ok();
    }

    fn run(&self, words: &[&str]) -> Output {
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).args(words);
        process::run(command, &words.join(" "), None, Duration::from_secs(60))
    }
}

impl Drop for RootDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A file system that a host mounts by itself, on a loop device.
#[derive(Debug)]
pub struct Volume {
    /// Where the host mounts it.
    pub at: String,
    device: PathBuf,
}

impl Volume {
    /// An empty ext4 file system in `work`. [`forget_all`] takes its device away.
    pub fn make(work: &Path, at: &str) -> Volume {
        let image = work.join(format!("{}.img", unit_name(at)));
        process::tool("truncate", &["-s", "256M", &show(&image)]);
        process::tool("mkfs.ext4", &["-q", "-F", &show(&image)]);
        let device = process::tool("losetup", &["--find", "--show", &show(&image)]);
        Volume {
            at: at.to_owned(),
            device: PathBuf::from(device.text()),
        }
    }

    /// The option by which nspawn gives its device to the host.
    pub fn bound(&self) -> String {
        format!("--bind={}:{}", self.device.display(), self.node())
    }

    /// The unit that mounts it: its name and its text.
    pub fn unit(&self, options: &str) -> (String, String) {
        let options = if options.is_empty() { "defaults" } else { options };
        let text = format!(
            "[Mount]\nWhat={}\nWhere={}\nType=ext4\nOptions={options}\n[Install]\nRequiredBy=local-fs.target\n",
            self.node(),
            self.at
        );
        (format!("{}.mount", unit_name(&self.at)), text)
    }

    /// As [`RootDisk::cut`]; `host` is the mounted root of the running host, as seen from here.
    pub fn cut(&self, host: &Path) {
        let mounted = host.join(self.at.trim_start_matches('/'));
        process::tool("xfs_io", &["-x", "-c", "shutdown", &show(&mounted)]);
    }

    /// Waits until it has left memory; the host's next boot replays its journal.
    pub fn power_on(&self) {
        let started = Instant::now();
        let in_memory = Path::new("/sys/fs/ext4").join(self.device.file_name().unwrap_or_default());
        while in_memory.exists() {
            assert!(started.elapsed() < GONE_LIMIT, "{} stays in memory", self.at);
            std::thread::sleep(Duration::from_millis(20));
        }
        expect_unclean(&self.device);
    }

    fn node(&self) -> String {
        format!("/dev/relpack-{}", unit_name(&self.at))
    }
}

/// systemd's name for a path, for the simple ones.
fn unit_name(at: &str) -> String {
    at.trim_start_matches('/').replace('/', "-")
}

/// Fails the test unless the next mount has a journal to replay: else the cut was none.
fn expect_unclean(disk: &Path) {
    process::tool("dumpe2fs", &["-h", &show(disk)]).expect_says("needs_recovery");
}

fn loops_of(image: &Path) -> Vec<String> {
    let listed = Command::new("losetup")
        .args(["-n", "-O", "NAME", "-j"])
        .arg(image)
        .output();
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    String::from_utf8_lossy(&listed)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Detaches the loop devices of all images in `work`.
pub fn forget_all(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "img") {
            for device in loops_of(&path) {
                let _ = Command::new("losetup").args(["-d", &device]).status();
            }
        }
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
