//! A real Debian host: systemd as its process 1, on a throw-away disk over a cached root, without network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::cgroup;
use super::disk::{self, RootDisk, Volume};
use super::process::{self, Output, Running, wait_until};
use super::root::{self, Suite};

const NAME_PREFIX: &str = "relpack-host-";

const BOOT_LIMIT: Duration = Duration::from_secs(120);
const COMMAND_LIMIT: Duration = Duration::from_secs(180);

/// What a root shell on a server has, and nothing of the machine that runs the tests.
const ENVIRONMENT: &[&str] = &[
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "TERM=dumb",
    "DEBIAN_FRONTEND=noninteractive",
];

static NEXT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A host of one test. Dropping it ends its processes and removes its disk; after a failed test, its console and
/// journal are printed first.
#[derive(Debug)]
pub struct Machine {
    suite: Suite,
    name: String,
    work: PathBuf,
    /// Its root's own file system, if it has one; else the root lies in an overlay that syncs nothing.
    disk: Option<RootDisk>,
    /// What it mounts besides, by itself.
    volumes: Vec<Volume>,
    life: Option<Life>,
}

/// One life of the host's process 1.
#[derive(Debug)]
struct Life {
    container: Child,
    /// Process 1 of the host, by the id that it has out here.
    init: u32,
}

impl Machine {
    /// A freshly installed host, booted.
    pub fn boot(suite: Suite) -> Machine {
        Machine::boot_with(suite, &[])
    }

    /// The same with more Debian packages installed.
    pub fn boot_with(suite: Suite, packages: &[&str]) -> Machine {
        let mut machine = Machine::powered_off(suite, packages);
        machine.start();
        machine
    }

    /// A host that has its disk and has never been booted.
    pub fn powered_off(suite: Suite, packages: &[&str]) -> Machine {
        let machine = Machine::prepared(suite);
        let lower = root::cached(suite, packages);
        for part in ["upper", "overlay"] {
            let directory = machine.work.join(part);
            fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("create {}: {e}", directory.display()));
        }
        // The root's own directory must be open to all, as `/` is.
        let upper = machine.work.join("upper");
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|e| panic!("set the mode of {}: {e}", upper.display()));
        process::tool(
            "mount",
            &[
                "-t",
                "overlay",
                "overlay",
                "-o",
                &format!(
                    "volatile,lowerdir={},upperdir={},workdir={}",
                    lower.display(),
                    upper.display(),
                    machine.work.join("overlay").display()
                ),
                &machine.root().display().to_string(),
            ],
        );
        machine
    }

    /// A host whose whole root is an ext4 file system of its own, for [`Machine::cut_power`]. Never booted yet.
    pub fn on_a_disk(suite: Suite, packages: &[&str]) -> Machine {
        let mut machine = Machine::prepared(suite);
        machine.disk = Some(RootDisk::make(suite, packages, &machine.work));
        machine
    }

    /// Its directory, with an empty one for the root in it.
    fn prepared(suite: Suite) -> Machine {
        let base = root::work_base();
        SWEEP.call_once(|| sweep(&base));
        let pid = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME_PREFIX}{pid}-{number}");
        // The value exists before its parts do, so that a failure in between cleans up too.
        let machine = Machine {
            suite,
            work: base.join(&name),
            name,
            disk: None,
            volumes: Vec::new(),
            life: None,
        };
        let mount = machine.work.join("root");
        fs::create_dir_all(&mount).unwrap_or_else(|e| panic!("create {}: {e}", mount.display()));
        machine
    }

    /// Makes `at` a file system of its own, which the host's systemd mounts while it boots. Before the first boot.
    pub fn own_file_system(&mut self, at: &str) {
        assert!(self.life.is_none(), "{} runs already", self.name);
        let volume = Volume::make(&self.work, at);
        let unit = self.put_mount(&volume, "");
        self.ok(&format!("systemctl enable {unit}"));
        self.volumes.push(volume);
    }

    fn put_mount(&self, volume: &Volume, options: &str) -> String {
        let (unit, text) = volume.unit(options);
        let path = format!("/etc/systemd/system/{unit}");
        self.put(&path, &text);
        // The next cut is not to lose it.
        self.ok(&format!("sync {path} /etc/systemd/system"));
        unit
    }

    /// Its host name, which names its control groups and its directory too.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The host's `/` as seen from outside. Its `/run`, `/tmp` and `/dev` are other file systems while it runs.
    pub fn root(&self) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.root(),
            None => self.work.join("root"),
        }
    }

    pub fn is_running(&self) -> bool {
        self.life.is_some()
    }

    /// Boots and waits until systemd says that it has finished (`running` or `degraded`).
    pub fn start(&mut self) {
        assert!(self.life.is_none(), "{} runs already", self.name);
        let started = Instant::now();
        self.launch();
        loop {
            let said = self.sh_within("systemctl is-system-running --wait", BOOT_LIMIT);
            if matches!(said.text(), "running" | "degraded") {
                return;
            }
            assert!(
                started.elapsed() < BOOT_LIMIT,
                "{} did not finish booting within {BOOT_LIMIT:?}; systemd says {said}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts the host's process 1 and returns at once, in the middle of its boot.
    pub fn launch(&mut self) {
        let console = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.console_path())
            .unwrap_or_else(|e| panic!("open {}: {e}", self.console_path().display()));
        let errors = console
            .try_clone()
            .unwrap_or_else(|e| panic!("duplicate a file descriptor: {e}"));
        // The machine enters its own control groups first. A killed test process takes its machines with it, by the
        // process name space of which nspawn is the first (its own death would leave the machine running).
        let mut container = self
            .beside_the_root("sh")
            .args([
                "-c",
                r#"for group in $GROUPS_TO_ENTER; do echo $$ >"$group/cgroup.procs" || exit; done; exec "$0" "$@""#,
            ])
            .env(
                "GROUPS_TO_ENTER",
                cgroup::make(&self.name)
                    .iter()
                    .map(|group| group.display().to_string())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
            .args(["setpriv", "--pdeathsig", "KILL"])
            .args([
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "systemd-nspawn",
            ])
            .args(["-q", "--register=no", "--keep-unit", "--boot", "--private-network"])
            .args(["--console=pipe", "--settings=no", "--link-journal=no"])
            .args(["--resolv-conf=off", "--timezone=off"])
            .args(self.volumes.iter().map(Volume::bound))
            .arg("-D")
            .arg(self.work.join("root"))
            .arg("-M")
            .arg(&self.name)
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|e| panic!("start setpriv systemd-nspawn: {e} (hint: is systemd-container installed?)"));
        let deadline = Instant::now() + BOOT_LIMIT;
        let init = loop {
            if let Some(init) = init_of(container.id()) {
                break init;
            }
            if let Ok(Some(status)) = container.try_wait() {
                panic!("systemd-nspawn ended at once, {status}\n{}", self.console_tail());
            }
            if Instant::now() > deadline {
                let _ = container.kill();
                panic!("systemd-nspawn started no process 1\n{}", self.console_tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.life = Some(Life { container, init });
    }

    /// Shuts down in order and boots again from the same disk.
    pub fn reboot(&mut self) {
        // Not by way of logind: since systemd 257 it refuses while apt runs and asks that nobody shuts down.
        self.end_by("systemctl start --no-block --job-mode=replace-irreversibly reboot.target");
        self.start();
    }

    /// Shuts down in order.
    pub fn poweroff(&mut self) {
        self.end_by("systemctl poweroff");
    }

    /// The host is gone at once, with SIGKILL: nothing gets a chance to clean up, or to notice that others died first.
    pub fn kill9(&mut self) {
        let Some(life) = self.life.take() else {
            panic!("{} does not run", self.name);
        };
        let init = life.init.to_string();
        // A stopped process 1 keeps its connections open; clients that saw them close would go on and act on it.
        process::kill("STOP", &init);
        process::tool("nsenter", &["-t", &init, "-p", "--", "sh", "-c", "kill -s KILL -- -1"]);
    }

    /// Its systemd answers nobody, for as long as the guard lives; everything else runs on.
    pub fn mute(&self) -> Mute {
        let Some(life) = &self.life else {
            panic!("{} does not run", self.name);
        };
        let init = life.init.to_string();
        process::kill("STOP", &init);
        Mute { init }
    }

    /// As [`Machine::kill9`], and what had not reached the disks by then is lost. They are mounted again with `options`,
    /// the root at once, the others by the next boot.
    pub fn cut_power(&mut self, options: &str) {
        let (Some(disk), Some(life)) = (&self.disk, &self.life) else {
            panic!("{} does not run from a disk of its own", self.name);
        };
        // All disks have to lose the same moment.
        let init = life.init.to_string();
        process::kill("STOP", &init);
        process::tool("nsenter", &["-t", &init, "-p", "--", "sh", "-c", "kill -s STOP -- -1"]);
        disk.cut();
        let host = Path::new("/proc").join(&init).join("root");
        for volume in &self.volumes {
            volume.cut(&host);
        }
        self.kill9();
        wake_entered(&init);
        if let Some(disk) = &self.disk {
            disk.power_on(options);
        }
        for volume in &self.volumes {
            volume.power_on();
            self.put_mount(volume, options);
        }
    }

    fn end_by(&mut self, order: &str) {
        // The answer is of no use: the shell that ran the order dies with the host.
        let ordered = self.spawn(order);
        let Some(mut life) = self.life.take() else {
            panic!("{} does not run", self.name);
        };
        let ended = wait_until(&mut life.container, Instant::now() + BOOT_LIMIT);
        let said = ordered.kill();
        assert!(
            ended.is_some(),
            "`{order}` did not end {} within {BOOT_LIMIT:?}\n{said}\n{}",
            self.name,
            self.console_tail()
        );
    }

    /// Runs a shell command as root in the host; when the host is off, in its root by chroot (with `/proc`, without
    /// systemd, as an image build does).
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.sh_within(script, COMMAND_LIMIT)
    }

    /// The same with a time limit of its own.
    #[track_caller]
    pub fn sh_within(&self, script: &str, limit: Duration) -> Output {
        process::run(self.command(script), script, None, limit)
    }

    /// The same; a command that does not exit with 0 fails the test with its whole output.
    #[track_caller]
    pub fn ok(&self, script: &str) -> Output {
        self.sh(script).expect_ok()
    }

    /// Starts a shell command as root in the host and returns at once.
    pub fn spawn(&self, script: &str) -> Running {
        Running::start(self.command(script), script, None)
    }

    /// Writes a file in the host, with the directories above it, mode 0644.
    #[track_caller]
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let script = format!(r#"mkdir -p "$(dirname '{path}')" && cat >'{path}'"#);
        process::run(self.command(&script), &script, Some(bytes.as_ref()), COMMAND_LIMIT).expect_ok();
    }

    /// The text of a file in the host.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.ok(&format!("cat '{path}'")).stdout
    }

    /// Runs `condition` until it exits with 0; fails the test when that takes longer than `limit`. Returns the time
    /// that it took.
    #[track_caller]
    pub fn wait_for(&self, condition: &str, limit: Duration) -> Duration {
        let started = Instant::now();
        loop {
            let last = self.sh(condition);
            if last.succeeded() {
                return started.elapsed();
            }
            assert!(started.elapsed() < limit, "did not come true within {limit:?}\n{last}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until nothing brings dpkg's record of a package in line any more, and so takes dpkg's lock.
    #[track_caller]
    pub fn healing_has_ended(&self) {
        self.wait_for(
            "! systemctl -q is-active 'relpack-heal-*.service'",
            Duration::from_secs(60),
        );
    }

    /// The last lines of the host's journal, also of one that is off.
    pub fn journal(&self, lines: u32) -> String {
        let script = format!("journalctl --no-pager -q -o short-precise -n {lines} -D /var/log/journal");
        self.sh(&script).both()
    }

    fn command(&self, script: &str) -> Command {
        let mut command = match &self.life {
            Some(life) => {
                let mut enter = Command::new("nsenter");
                enter.args(["-t", &life.init.to_string(), "-a", "--"]);
                enter
            }
            None => {
                let mut enter = self.beside_the_root("unshare");
                enter
                    .args([
                        "--mount",
                        "--propagation",
                        "private",
                        "--pid",
                        "--fork",
                        "--kill-child",
                        "--",
                    ])
                    .args(["sh", "-c", r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#])
                    .arg(self.work.join("root"));
                enter
            }
        };
        command
            .args(["/usr/bin/env", "-i"])
            .args(ENVIRONMENT)
            .args(["/bin/sh", "-c", script]);
        command
    }

    /// A program of the build machine that finds this host's root mounted in its directory.
    fn beside_the_root(&self, program: &str) -> Command {
        let mut words = self.disk.as_ref().map_or_else(Vec::new, RootDisk::enter);
        words.push(program.to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    fn console_path(&self) -> PathBuf {
        self.work.join("console.log")
    }

    fn console_tail(&self) -> String {
        let bytes = fs::read(self.console_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// See [`Machine::mute`].
#[derive(Debug)]
pub struct Mute {
    init: String,
}

impl Drop for Mute {
    fn drop(&mut self) {
        process::kill("CONT", &self.init);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if !matches!(self.container.try_wait(), Ok(None)) {
            return;
        }
        process::kill("KILL", &self.init.to_string());
        if wait_until(&mut self.container, Instant::now() + Duration::from_secs(30)).is_none() {
            let _ = self.container.kill();
            let _ = self.container.wait();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.root().join("usr").is_dir() {
            eprintln!("=== console of {} ({})\n{}", self.name, self.suite, self.console_tail());
            // A failure while reporting one would abort the whole test process.
            let journal = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.journal(300)));
            eprintln!("=== journal of {}\n{}", self.name, journal.unwrap_or_default());
        }
        self.life = None;
        self.disk = None;
        discard(&self.name, &self.work);
    }
}

/// Process 1 of the machine that the process `above` has started: the descendant that has become systemd.
fn init_of(above: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{above}/task/{above}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let child: u32 = child.parse().ok()?;
        let program = fs::read_link(format!("/proc/{child}/exe")).ok()?;
        if program.ends_with("systemd") {
            Some(child)
        } else {
            init_of(child)
        }
    })
}

/// nsenter stops itself when what it runs is stopped; awake again, it sees that this has ended, and ends.
fn wake_entered(init: &str) {
    let entered = format!("nsenter\0-t\0{init}\0-a\0");
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let command = fs::read(Path::new("/proc").join(child).join("cmdline")).unwrap_or_default();
            if command.starts_with(entered.as_bytes()) {
                process::kill("CONT", child);
            }
        }
    }
}

/// Removes what a dead machine leaves on the machine that runs the tests; says so when it can't.
fn discard(name: &str, work: &Path) {
    cgroup::remove(name);
    // Made by systemd-nspawn, which removes it only where /run is a tmpfs.
    let _ = fs::remove_dir_all(Path::new("/run/systemd/nspawn/propagate").join(name));
    let mount = work.join("root");
    for _ in 0..50 {
        let done = Command::new("umount")
            .arg(&mount)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if done || !is_mount_point(&mount) {
            break;
        }
        // Processes that were just killed may hold it for a moment.
        std::thread::sleep(Duration::from_millis(20));
    }
    if is_mount_point(&mount) {
        let _ = Command::new("umount").arg("-l").arg(&mount).status();
    }
    disk::forget_all(work);
    if is_mount_point(&mount) {
        eprintln!("could not unmount {}", mount.display());
    } else if let Err(e) = fs::remove_dir_all(work)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("could not remove {}: {e}", work.display());
    }
}

fn is_mount_point(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let wanted = path.display().to_string();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(&wanted))
}

/// Removes what test processes that were killed have left in `base`.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(NAME_PREFIX).and_then(|rest| rest.split('-').next());
        if let Some(pid) = owner
            && !Path::new("/proc").join(pid).exists()
        {
            discard(&name, &entry.path());
        }
    }
}
