//! Test applications: variants of one small web service, packed by the real `relpack` binary.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::machine::Machine;
use super::process::{self, Output};

/// The port on which every test application listens (each machine has a network of its own).
pub const PORT: u16 = 3000;

/// The web service: says which code it is and which unit file started it, and misbehaves as told.
const SERVER: &str = include_str!("server.py");

/// What the application does once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Serve,
    ExitAtOnce,
    /// Runs, but its health check answers 503.
    NeverHealthy,
    /// Healthy, and gone three seconds later; again after each restart.
    DieAfter3s,
}

impl Behaviour {
    fn word(self) -> &'static str {
        match self {
            Behaviour::Serve => "serve",
            Behaviour::ExitAtOnce => "exit-at-once",
            Behaviour::NeverHealthy => "never-healthy",
            Behaviour::DieAfter3s => "die-after-3s",
        }
    }
}

/// What the application's migration does. Each start and each end is a line in `data/migrations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    None,
    Ok,
    Fail,
    /// Outlives any time limit.
    Hang,
    /// Succeeds after so many seconds, to be interrupted in between.
    Slow(u32),
}

/// Describes one version of a test application.
#[derive(Debug, Clone)]
pub struct App {
    name: String,
    port: u16,
    version: String,
    body: String,
    behaviour: Behaviour,
    migration: Migration,
    migration_timeout: String,
    settle: String,
    health: bool,
    health_timeout: String,
    timer: bool,
    required: Vec<String>,
    service_lines: Vec<String>,
    package_lines: Vec<String>,
    release_lines: Vec<String>,
    extra: String,
    files: Vec<(String, String)>,
    programs: Vec<(String, PathBuf)>,
    more: Option<fn(&Path)>,
    lock_root: PathBuf,
}

/// A built package; its file is removed with the value.
#[derive(Debug)]
pub struct Built {
    path: PathBuf,
    /// The 40 hex digits that name the release.
    pub release_id: String,
    pub version: String,
    _directory: tempfile::TempDir,
}

impl Built {
    /// One that was built before.
    #[track_caller]
    pub fn existing(path: &Path) -> Built {
        let said = relpack(&["inspect", "--json", &show(path)]).expect_ok();
        let value: Value = serde_json::from_str(said.text()).unwrap_or_else(|e| panic!("no JSON: {e}\n{said}"));
        Built::at(path, value["release_id"].as_str().unwrap_or_default())
    }

    /// One whose release is known; its version stands in its name.
    pub fn at(path: &Path, release_id: &str) -> Built {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        Built {
            path: path.to_owned(),
            release_id: release_id.to_owned(),
            version: file.split('_').nth(1).unwrap_or_default().to_owned(),
            _directory: tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}")),
        }
    }

    /// The `.deb`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same release in another file, which `directory` holds.
    pub(super) fn repacked(&self, path: PathBuf, directory: tempfile::TempDir) -> Built {
        Built {
            path,
            release_id: self.release_id.clone(),
            version: self.version.clone(),
            _directory: directory,
        }
    }
}

impl App {
    /// A healthy application named `acme` that serves its version.
    pub fn new(version: &str) -> App {
        App {
            name: "acme".to_owned(),
            port: PORT,
            version: version.to_owned(),
            body: version.to_owned(),
            behaviour: Behaviour::Serve,
            migration: Migration::None,
            migration_timeout: "30s".to_owned(),
            settle: "1s".to_owned(),
            health: true,
            health_timeout: "5s".to_owned(),
            timer: false,
            required: Vec::new(),
            service_lines: Vec::new(),
            package_lines: Vec::new(),
            release_lines: Vec::new(),
            extra: String::new(),
            files: Vec::new(),
            programs: Vec::new(),
            more: None,
            lock_root: PathBuf::from("/"),
        }
    }

    /// Another application beside `acme`, with a port of its own.
    pub fn named(mut self, name: &str, port: u16) -> App {
        self.name = name.to_owned();
        self.port = port;
        self
    }

    /// What `/` says the code is; the same body is the same content.
    pub fn body(mut self, body: &str) -> App {
        self.body = body.to_owned();
        self
    }

    pub fn behaviour(mut self, behaviour: Behaviour) -> App {
        self.behaviour = behaviour;
        self
    }

    pub fn migration(mut self, migration: Migration) -> App {
        self.migration = migration;
        self
    }

    pub fn migration_timeout(mut self, span: &str) -> App {
        self.migration_timeout = span.to_owned();
        self
    }

    pub fn settle(mut self, span: &str) -> App {
        self.settle = span.to_owned();
        self
    }

    /// Without a health check, only `settle` gates the start.
    pub fn without_health(mut self) -> App {
        self.health = false;
        self
    }

    pub fn health_timeout(mut self, span: &str) -> App {
        self.health_timeout = span.to_owned();
        self
    }

    /// Adds `<name>-report.timer` with its oneshot, which writes a line to `data/report`.
    pub fn timer(mut self) -> App {
        self.timer = true;
        self
    }

    /// A variable that the host has to set.
    pub fn required(mut self, variable: &str) -> App {
        self.required.push(variable.to_owned());
        self
    }

    /// A line for the main service's table, such as `Service.MemoryMax = "1G"`.
    pub fn service_line(mut self, line: &str) -> App {
        self.service_lines.push(line.to_owned());
        self
    }

    /// A line for `[package]`.
    pub fn package_line(mut self, line: &str) -> App {
        self.package_lines.push(line.to_owned());
        self
    }

    /// A line for `[release]`.
    pub fn release_line(mut self, line: &str) -> App {
        self.release_lines.push(line.to_owned());
        self
    }

    /// More tables, as they stand in relpack.toml.
    pub fn extra(mut self, toml: &str) -> App {
        self.extra.push_str(toml);
        self.extra.push('\n');
        self
    }

    /// One more file of the build; executable when it begins with `#!`.
    pub fn file(mut self, path: &str, text: &str) -> App {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// One more file of the build: a copy of a program of the build machine.
    pub fn program(mut self, path: &str, original: &str) -> App {
        self.programs.push((path.to_owned(), PathBuf::from(original)));
        self
    }

    /// What else is put into the build directory.
    pub fn with(mut self, more: fn(&Path)) -> App {
        self.more = Some(more);
        self
    }

    /// The root whose packages its programs need, instead of the build machine's.
    pub fn locked_on(mut self, root: &Path) -> App {
        self.lock_root = root.to_owned();
        self
    }

    /// Packs it.
    #[track_caller]
    pub fn build(&self) -> Built {
        self.build_as("deb")
    }

    /// Packs it in another format.
    #[track_caller]
    pub fn build_as(&self, format: &str) -> Built {
        let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
        self.write_sources(directory.path());
        let out = directory.path().join("dist");
        let (from, to) = (show(directory.path()), show(&out));
        if !self.programs.is_empty() {
            relpack(&["lock", "-C", &from, "--root", &show(&self.lock_root)]).expect_ok();
        }
        let report = relpack(&["build", "--json", "--format", format, "-C", &from, "--out", &to]).expect_ok();
        let (path, release_id) = artifact_as(&report, format);
        Built {
            path,
            release_id,
            version: self.version.clone(),
            _directory: directory,
        }
    }

    fn write_sources(&self, directory: &Path) {
        let build = directory.join("build");
        write(&build.join("server.py"), SERVER);
        write(&build.join("body"), &self.body);
        write(&build.join("behaviour"), self.behaviour.word());
        if self.migration != Migration::None {
            write(&build.join("bin/migrate"), &self.migration_script());
        }
        if self.timer {
            write(
                &build.join("bin/report"),
                &format!(
                    "#!/bin/sh\nset -eu\necho \"$(cat body)\" >>/opt/{}/shared/data/report\n",
                    self.name
                ),
            );
        }
        for (path, text) in &self.files {
            write(&build.join(path), text);
        }
        for (path, original) in &self.programs {
            let bytes = fs::read(original).unwrap_or_else(|e| panic!("read {}: {e}", original.display()));
            let path = build.join(path);
            write(&path, "#!");
            fs::write(&path, bytes).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        }
        if let Some(more) = self.more {
            more(&build);
        }
        write(&directory.join("relpack.toml"), &self.config());
    }

    fn migration_script(&self) -> String {
        let work = match self.migration {
            Migration::None | Migration::Ok => "true".to_owned(),
            Migration::Fail => "echo 'column does not exist' >&2; exit 3".to_owned(),
            Migration::Hang => "sleep 100000".to_owned(),
            Migration::Slow(seconds) => format!("sleep {seconds}"),
        };
        format!(
            "#!/bin/sh\nset -eu\nlog=/opt/{}/shared/data/migrations\nbody=$(cat body)\n\
             echo \"start $body $(id -un)\" >>\"$log\"\n{work}\necho \"end $body\" >>\"$log\"\n",
            self.name
        )
    }

    fn config(&self) -> String {
        let name = &self.name;
        let mut toml = format!(
            "[package]\nname = \"{name}\"\nversion = \"{}\"\nmaintainer = \"Test <test@example.com>\"\n\
             description = \"test application\"\ndepends = [\"python3\"]\n",
            self.version
        );
        lines(&mut toml, &self.package_lines);
        toml.push_str("\n[release]\nsource = \"build\"\n");
        lines(&mut toml, &self.release_lines);
        toml.push_str("\n[directories]\ndata = { mode = \"0750\" }\n");
        if !self.required.is_empty() {
            let _ = writeln!(toml, "\n[env]\nrequired = {:?}", self.required);
        }
        let _ = write!(
            toml,
            "\n[units.\"{name}.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
             Service.Environment.PORT = \"{}\"\nService.Environment.UNIT = \"{}\"\nService.TimeoutStopSec = \"10s\"\n",
            self.port, self.body
        );
        if self.health {
            toml.push_str("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/healthz\"\n");
        }
        lines(&mut toml, &self.service_lines);
        if self.timer {
            let _ = write!(
                toml,
                "\n[units.\"{name}-report.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"bin/report\"\n\
                 \n[units.\"{name}-report.timer\"]\nTimer.OnCalendar = \"*-*-* 03:30:00\"\nTimer.Persistent = true\n"
            );
        }
        if self.migration != Migration::None {
            let _ = write!(
                toml,
                "\n[migrate]\nexec = \"bin/migrate\"\nlike = \"{name}.service\"\ntimeout = \"{}\"\n",
                self.migration_timeout
            );
        }
        let _ = write!(
            toml,
            "\n[deploy]\nstrategy = \"recreate\"\ntimeout = \"2m\"\nsettle = \"{}\"\nhealth_timeout = \"{}\"\n",
            self.settle, self.health_timeout
        );
        if !self.extra.is_empty() {
            let _ = write!(toml, "\n{}", self.extra);
        }
        toml
    }
}

/// What the running application says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which code runs.
    pub code: String,
    /// Which unit file started it.
    pub unit: String,
    /// Its process id in the host.
    pub pid: u64,
    /// The manifest's hash in the tree that it runs from, which names the release.
    pub release_id: String,
}

/// Asks the application on its port; `None` when nothing answers.
#[track_caller]
pub fn ask(machine: &Machine) -> Option<Answer> {
    ask_on(machine, PORT)
}

/// The same for one that listens elsewhere.
#[track_caller]
pub fn ask_on(machine: &Machine, port: u16) -> Option<Answer> {
    let said = machine.sh(&format!("curl -sS --max-time 5 http://127.0.0.1:{port}/"));
    if !said.succeeded() {
        return None;
    }
    let answer = Answer::parse(said.text());
    assert!(answer.is_some(), "the application's answer is no JSON\n{said}");
    answer
}

impl Answer {
    /// What `/` of the application says.
    pub fn parse(text: &str) -> Option<Answer> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Some(Answer {
            code: word("code"),
            unit: word("unit"),
            pid: value["pid"].as_u64().unwrap_or_default(),
            release_id: word("release"),
        })
    }
}

/// Asks the application, and fails the test unless code and unit file are both those of `body`.
#[track_caller]
pub fn expect_serves(machine: &Machine, body: &str) -> Answer {
    let Some(answer) = ask(machine) else {
        let status = machine.sh("systemctl status --no-pager -l 'acme*'");
        panic!("nothing answers on port {PORT}, expected {body}\n{status}");
    };
    assert_eq!(
        (answer.code.as_str(), answer.unit.as_str()),
        (body, body),
        "(code, unit) of the running application"
    );
    answer
}

/// Runs the built `relpack`.
#[track_caller]
pub fn relpack(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relpack"));
    // A fixed time: nothing here lies in a commit.
    command.args(args).env("SOURCE_DATE_EPOCH", "1700000000");
    // What is built here is not what is packed there.
    command.env_remove("CARGO_TARGET_DIR");
    process::run(
        command,
        &format!("relpack {}", args.join(" ")),
        None,
        Duration::from_secs(120),
    )
}

/// The `.deb` and the release id that `relpack build --json` reported.
#[track_caller]
pub fn artifact(report: &Output) -> (PathBuf, String) {
    artifact_as(report, "deb")
}

/// The artifact of this format, and the release id.
#[track_caller]
pub fn artifact_as(report: &Output, format: &str) -> (PathBuf, String) {
    let value: Value = serde_json::from_str(report.text())
        .unwrap_or_else(|e| panic!("`relpack build --json` printed no JSON object: {e}\n{report}"));
    let path = value["artifacts"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|artifact| artifact["format"] == format)
        .and_then(|artifact| artifact["path"].as_str())
        .unwrap_or_else(|| panic!("no artifact with format {format}\n{report}"));
    let id = value["release_id"]
        .as_str()
        .unwrap_or_else(|| panic!("no release_id\n{report}"));
    (PathBuf::from(path), id.to_owned())
}

fn lines(toml: &mut String, lines: &[String]) {
    for line in lines {
        toml.push_str(line);
        toml.push('\n');
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn write(path: &Path, text: &str) {
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
