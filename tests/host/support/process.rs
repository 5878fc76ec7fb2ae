//! Runs a command to its end: its output kept apart, its time limited, its whole process group killed when it hangs.

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a finished command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command as a person would type it.
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    /// The exit code; 128 + the signal's number when a signal ended it, as a shell reports it.
    pub code: i32,
    /// Wall time from start to end.
    pub took: Duration,
}

impl Output {
    /// True when the command exited with 0.
    pub fn succeeded(&self) -> bool {
        self.code == 0
    }

    /// The standard output without white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Both streams, for searching a message in.
    pub fn both(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics with everything known unless the command exited with 0.
    #[track_caller]
    pub fn expect_ok(self) -> Output {
        assert!(self.succeeded(), "the command failed\n{self}");
        self
    }

    /// Panics with everything known unless the command exited with something else than 0.
    #[track_caller]
    pub fn expect_failure(self) -> Output {
        assert!(!self.succeeded(), "the command should have failed\n{self}");
        self
    }

    /// Panics with everything known unless one of the streams holds `words`.
    #[track_caller]
    pub fn expect_says(self, words: &str) -> Output {
        assert!(
            self.both().contains(words),
            "the command's output should say {words:?}\n{self}"
        );
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        writeln!(f, "exit code {}, {:.2} s", self.code, self.took.as_secs_f64())?;
        writeln!(f, "--- stdout\n{}", self.stdout.trim_end())?;
        writeln!(f, "--- stderr\n{}", self.stderr.trim_end())
    }
}

/// A command that runs in the background in a process group of its own.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: std::fs::File,
    stderr: std::fs::File,
    started: Instant,
}

impl Running {
    /// Starts `command`. Streams go to unnamed files: a daemon that inherits them can't block the reader, and a
    /// full pipe can't block the command.
    pub fn start(mut command: Command, shown: &str, stdin: Option<&[u8]>) -> Running {
        let stdout = scratch_file();
        let stderr = scratch_file();
        match stdin {
            Some(bytes) => {
                let mut file = scratch_file();
                file.write_all(bytes)
                    .and_then(|()| file.seek(SeekFrom::Start(0)).map(drop))
                    .unwrap_or_else(|e| panic!("write the input of `{shown}`: {e}"));
                command.stdin(file);
            }
            None => {
                command.stdin(Stdio::null());
            }
        }
        command
            .stdout(clone_of(&stdout))
            .stderr(clone_of(&stderr))
            .process_group(0);
        let started = Instant::now();
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("start `{shown}`: {e} (hint: is {:?} installed?)", command.get_program()));
        Running {
            command: shown.to_owned(),
            child,
            stdout,
            stderr,
            started,
        }
    }

    /// Waits for the end; a command that runs longer than `limit` from now is killed and the test fails.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Output {
        let deadline = Instant::now() + limit;
        match wait_until(&mut self.child, deadline) {
            Some(status) => self.output(status),
            None => {
                self.kill_group();
                let status = self.reap();
                let output = self.output(status);
                panic!("the command hung for {limit:?} and was killed\n{output}");
            }
        }
    }

    /// True while the command has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process group without mercy and returns what was written until then.
    pub fn kill(mut self) -> Output {
        self.kill_group();
        let status = self.reap();
        self.output(status)
    }

    fn kill_group(&self) {
        kill("KILL", &format!("-{}", self.child.id()));
    }

    fn reap(&mut self) -> ExitStatus {
        self.child
            .wait()
            .unwrap_or_else(|e| panic!("wait for `{}`: {e}", self.command))
    }

    fn output(&mut self, status: ExitStatus) -> Output {
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => -1,
        };
        Output {
            command: self.command.clone(),
            stdout: text_of(&mut self.stdout),
            stderr: text_of(&mut self.stderr),
            code,
            took: self.started.elapsed(),
        }
    }
}

/// Runs `command` to its end. See [`Running::wait`].
#[track_caller]
pub fn run(command: Command, shown: &str, stdin: Option<&[u8]>, limit: Duration) -> Output {
    Running::start(command, shown, stdin).wait(limit)
}

/// Runs a program of the build machine that must succeed, within five minutes.
#[track_caller]
pub fn tool(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args);
    let shown = format!("{program} {}", args.join(" "));
    run(command, &shown, None, Duration::from_secs(300)).expect_ok()
}

/// Sends a signal by name; a target that is gone already is no failure.
pub fn kill(signal: &str, target: &str) {
    let _ = Command::new("kill")
        .args(["-s", signal, "--", target])
        .stderr(Stdio::null())
        .status();
}

/// The status of `child` if it ends before `deadline`.
pub fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() >= deadline => return None,
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(e) => panic!("wait for process {}: {e}", child.id()),
        }
    }
}

fn scratch_file() -> std::fs::File {
    tempfile::tempfile().unwrap_or_else(|e| panic!("make a temporary file: {e}"))
}

fn clone_of(file: &std::fs::File) -> std::fs::File {
    file.try_clone()
        .unwrap_or_else(|e| panic!("duplicate a file descriptor: {e}"))
}

fn text_of(file: &mut std::fs::File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .unwrap_or_else(|e| panic!("read a command's output back: {e}"));
    String::from_utf8_lossy(&bytes).into_owned()
}
