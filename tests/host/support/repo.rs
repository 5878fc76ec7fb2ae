//! A package repository for one machine, indexed by apt-ftparchive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::machine::Machine;
use super::process;

/// Where the repository lies in the machine.
const PLACE: &str = "/srv/apt";
const HTTP_PORT: u16 = 8099;

/// How apt gets at the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `file:`; apt reads the packages in place and keeps none of them.
    File,
    /// `http:`, by a server in the machine; apt downloads into its cache, as it does on a real host.
    Http,
}

/// The only package source of a machine.
#[derive(Debug)]
pub struct Repo {
    directory: PathBuf,
    transport: Transport,
}

impl Repo {
    /// An empty repository, known to the machine's apt.
    pub fn new(machine: &Machine, transport: Transport) -> Repo {
        let repo = Repo {
            directory: machine.root().join(PLACE.trim_start_matches('/')),
            transport,
        };
        fs::create_dir_all(&repo.directory).unwrap_or_else(|e| panic!("create {}: {e}", repo.directory.display()));
        let uri = match transport {
            Transport::File => format!("file:{PLACE}"),
            Transport::Http => format!("http://127.0.0.1:{HTTP_PORT}"),
        };
        machine.put(
            "/etc/apt/sources.list.d/test.list",
            format!("deb [trusted=yes] {uri} ./\n"),
        );
        if transport == Transport::Http {
            machine.put(
                "/etc/systemd/system/test-mirror.service",
                format!(
                    "[Service]\nExecStart=/usr/bin/python3 -m http.server {HTTP_PORT} --bind 127.0.0.1 --directory {PLACE}\n\
                     [Install]\nWantedBy=multi-user.target\n"
                ),
            );
            repo.online(machine);
        }
        repo.publish(machine);
        repo
    }

    /// Adds packages, indexes again and lets the machine's apt read the index.
    #[track_caller]
    pub fn add(&self, machine: &Machine, packages: &[&Path]) {
        for package in packages {
            let name = package
                .file_name()
                .unwrap_or_else(|| panic!("{} has no file name", package.display()));
            fs::copy(package, self.directory.join(name))
                .unwrap_or_else(|e| panic!("copy {} into the repository: {e}", package.display()));
        }
        self.publish(machine);
    }

    /// Removes every version of a package.
    #[track_caller]
    pub fn withdraw(&self, machine: &Machine, name: &str) {
        let prefix = format!("{name}_");
        for entry in fs::read_dir(&self.directory).unwrap_or_else(|e| panic!("read {}: {e}", self.directory.display()))
        {
            let entry = entry.unwrap_or_else(|e| panic!("read {}: {e}", self.directory.display()));
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_file(entry.path()).unwrap_or_else(|e| panic!("remove {}: {e}", entry.path().display()));
            }
        }
        self.publish(machine);
    }

    /// Adds a package that has nothing to do with relpack: a few bytes of documentation, no scripts.
    #[track_caller]
    pub fn add_unrelated(&self, machine: &Machine, name: &str, version: &str) {
        let package = unrelated(name, version);
        self.add(machine, &[package.path()]);
    }

    /// Adds one that depends on others, as `Depends:` says it.
    #[track_caller]
    pub fn add_dependent(&self, machine: &Machine, name: &str, version: &str, depends: &str) {
        let package = plain(name, version, &format!("Depends: {depends}\n"));
        self.add(machine, &[package.path()]);
    }

    /// Takes the repository away, as a host loses its network. apt still knows the index.
    #[track_caller]
    pub fn offline(&self, machine: &Machine) {
        match self.transport {
            Transport::File => {
                machine.ok(&format!("mv {PLACE} {PLACE}.away"));
            }
            Transport::Http => {
                machine.ok("systemctl disable --now test-mirror.service");
            }
        }
    }

    /// Brings it back.
    #[track_caller]
    pub fn online(&self, machine: &Machine) {
        match self.transport {
            Transport::File => {
                machine.ok(&format!("mv {PLACE}.away {PLACE}"));
            }
            Transport::Http => {
                machine.ok("systemctl daemon-reload && systemctl enable --now test-mirror.service");
                machine.wait_for(
                    &format!("curl -sf -o /dev/null http://127.0.0.1:{HTTP_PORT}/"),
                    Duration::from_secs(20),
                );
            }
        }
    }

    #[track_caller]
    fn publish(&self, machine: &Machine) {
        for (verb, file) in [("packages", "Packages"), ("release", "Release")] {
            let _ = fs::remove_file(self.directory.join(file));
            let mut index = Command::new("apt-ftparchive");
            index.args([verb, "."]).current_dir(&self.directory);
            let text = process::run(
                index,
                &format!("apt-ftparchive {verb} ."),
                None,
                Duration::from_secs(120),
            )
            .expect_ok()
            .stdout;
            let path = self.directory.join(file);
            fs::write(&path, text).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        }
        if machine.is_running() || self.transport == Transport::File {
            // Both apt's lists and its cache go stale when the index changes twice within a second.
            machine.ok("rm -rf /var/lib/apt/lists/* && apt-get update -q && rm -f /var/cache/apt/*.bin");
        }
    }
}

/// A package made without relpack; it is removed with the value.
#[derive(Debug)]
pub struct PlainDeb {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl PlainDeb {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a package by dpkg-deb that holds one file of documentation and no scripts.
pub fn unrelated(name: &str, version: &str) -> PlainDeb {
    plain(name, version, "")
}

/// With more lines of its control file.
fn plain(name: &str, version: &str, control: &str) -> PlainDeb {
    let readme = format!("usr/share/doc/{name}/README");
    let text = format!("{name} {version}\n");
    PlainDeb::make(name, version, control, &[(&readme, text.as_bytes())], &[])
}

impl PlainDeb {
    /// Makes a package by dpkg-deb: `control` are more lines of its control file, `files` lie on the host, `records` beside
    /// the control file.
    pub fn make(
        name: &str,
        version: &str,
        control: &str,
        files: &[(&str, &[u8])],
        records: &[(&str, &str)],
    ) -> PlainDeb {
        let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
        let tree = directory.path().join("tree");
        let write = |path: PathBuf, bytes: &[u8]| {
            let parent = path.parent().unwrap_or(&path);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, bytes))
                .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        };
        let architecture = if control.contains("Architecture:") {
            ""
        } else {
            "Architecture: all\n"
        };
        let text = format!(
            "Package: {name}\nVersion: {version}\n{architecture}Maintainer: Test <test@example.com>\n\
             {control}Description: unrelated test package\n"
        );
        write(tree.join("DEBIAN/control"), text.as_bytes());
        for (path, text) in records {
            write(tree.join("DEBIAN").join(path), text.as_bytes());
        }
        for (path, bytes) in files {
            write(tree.join(path), bytes);
        }
        let path = directory.path().join(format!("{name}_{version}_all.deb"));
        let (from, to) = (tree.display().to_string(), path.display().to_string());
        process::tool("dpkg-deb", &["--root-owner-group", "-b", &from, &to]);
        PlainDeb {
            path,
            _directory: directory,
        }
    }
}
