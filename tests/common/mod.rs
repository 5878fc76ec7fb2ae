//! What the command-line tests share: a small application on disk, and the program.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod lintian;
pub mod odd_files;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The time that the tests' artifacts carry.
pub const DATE: &str = "1700000000";

/// The program under test, with nothing inherited that could change the bytes.
pub fn relpack() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relpack"));
    command
        .env("SOURCE_DATE_EPOCH", DATE)
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE");
    command
}

/// Runs it and wants success.
pub fn ok(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}\n{}", both(&output));
    String::from_utf8(output.stdout).expect("what is printed is text")
}

/// Runs it and wants this exit status; gives what was said on stderr.
pub fn fails(command: &mut Command, status: i32) -> String {
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(status), "{command:?}\n{}", both(&output));
    String::from_utf8(output.stderr).expect("what is printed is text")
}

pub fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the directory can be made");
    fs::write(path, text).expect("the file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

pub const CONFIG: &str = r#"
[package]
name = "acme"
version = "1.4.0"
maintainer = "Acme Ops <ops@acme.example>"
description = "Acme web app"
depends = ["nodejs (>= 18)"]

[release]
source = "build"
exclude = ["**/*.map"]

[defaults]
Service.EnvironmentFile = "{shared}/env"

[env]
required = ["DATABASE_URL"]

[units."acme.service"]
Service.ExecStart = "bin/serve --port 3000"
Service.Environment.PORT = "3000"
X-Relpack.Health = "http://127.0.0.1:{env.PORT}/healthz"

[units."acme-backup.service"]
Service.Type = "oneshot"
Service.ExecStart = "bin/backup"
[units."acme-backup.timer"]
Timer.OnCalendar = "daily"

[migrate]
exec = "bin/migrate up"
like = "acme.service"
"#;

/// A small application with everything that a release can hold.
pub fn application(dir: &Path) -> PathBuf {
    write(&dir.join("relpack.toml"), CONFIG, 0o644);
    for program in ["serve", "backup", "migrate"] {
        write(
            &dir.join("build/bin").join(program),
            &format!("#!/bin/sh\necho {program}\n"),
            0o755,
        );
    }
    write(&dir.join("build/public/app.js"), "console.log(1)\n", 0o644);
    write(&dir.join("build/public/app.js.map"), "{}", 0o644);
    write(&dir.join("build/public/with space é.txt"), "x", 0o600);
    fs::create_dir_all(dir.join("build/empty")).expect("the directory can be made");
    std::os::unix::fs::symlink("public/app.js", dir.join("build/main.js")).expect("the link can be made");
    dir.to_owned()
}

/// Compares texts with those in `tests/golden/<directory>`, or records them there.
pub fn expect_recorded(directory: &str, texts: &[(&str, String)]) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(directory);
    let mut stale = Vec::new();
    for (name, text) in texts {
        let recorded = golden.join(name);
        if std::env::var_os("RELPACK_BLESS").is_some() {
            fs::create_dir_all(&golden).unwrap();
            fs::write(&recorded, text).unwrap();
        } else if fs::read_to_string(&recorded).unwrap_or_default() != *text {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} differ from tests/golden/{directory} (RELPACK_BLESS=1 records them; read the diff)"
    );
}

/// All that lies in a directory, at any depth.
pub fn names(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Whether tests that take a sample take everything.
pub fn full() -> bool {
    std::env::var_os("RELPACK_FULL").is_some()
}

/// Numbers from a seed that is printed: `RELPACK_SEED=n` repeats them.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let seed = match std::env::var("RELPACK_SEED") {
            Ok(text) => text.parse().expect("RELPACK_SEED is a number"),
            Err(_) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                now.map_or(1, |now| now.as_nanos() as u64)
            }
        };
        println!("RELPACK_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `end`, which isn't 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// The text with a few changes: bytes, lines and words of `words` put in, taken out, doubled and swapped.
    pub fn damaged(&mut self, text: &[u8], words: &[&str]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + 1 + self.below(40)).min(text.len()).max(at).min(bytes.len()))),
                3 => {
                    let word = self.one_of(words).as_bytes().to_vec();
                    bytes.splice(at..at, word);
                }
                4 => {
                    let end = (at + 1 + self.below(60)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, part);
                }
                _ => bytes[at] = self.below(256) as u8,
            }
        }
        bytes
    }
}
