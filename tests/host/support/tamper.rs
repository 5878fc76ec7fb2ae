//! Packages whose maintainer scripts log each call and fail where a file on the host tells them to.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::process;

/// Each call of a script is a line here: `postinst 2.0 configure 1.0`.
pub const CALLS: &str = "/run/calls";

/// `postinst-2.0-configure` in this directory makes that call fail at its very beginning, `postinst-2.0:stage` every
/// call of that shell function.
pub const FAIL: &str = "/run/fail";

const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// A package made anew; it is removed with the value.
#[derive(Debug)]
pub struct Tampered {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Tampered {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The package `deb`, with `edit` applied to its control file, and `triggers` as its triggers file.
pub fn tampered(deb: &Path, version: &str, edit: impl Fn(&str) -> String, triggers: &str) -> Tampered {
    let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
    let tree = directory.path().join("tree");
    process::tool("dpkg-deb", &["-R", &show(deb), &show(&tree)]);
    let control = tree.join("DEBIAN/control");
    write(&control, &edit(&read(&control)), 0o644);
    if !triggers.is_empty() {
        write(&tree.join("DEBIAN/triggers"), triggers, 0o644);
    }
    for script in SCRIPTS {
        let path = tree.join("DEBIAN").join(script);
        write(&path, &hooked(&read(&path), script, version), 0o755);
    }
    pack(directory, deb.file_name().map(Path::new).unwrap_or(Path::new("x.deb")))
}

/// A package without relpack: its scripts do nothing but log and fail. `control` is more lines of its control file.
pub fn plain(name: &str, version: &str, control: &str) -> Tampered {
    let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
    let tree = directory.path().join("tree");
    let text = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@example.com>\n{control}\
         Description: test package\n"
    );
    fs::create_dir_all(tree.join("DEBIAN")).unwrap_or_else(|e| panic!("create {}: {e}", tree.display()));
    write(&tree.join("DEBIAN/control"), &text, 0o644);
    for script in SCRIPTS {
        let text = hooked("#!/bin/sh\nset -eu\n", &format!("{name}.{script}"), version);
        write(&tree.join("DEBIAN").join(script), &text, 0o755);
    }
    pack(directory, Path::new(&format!("{name}_{version}_all.deb")))
}

fn pack(directory: tempfile::TempDir, name: &Path) -> Tampered {
    let path = directory.path().join(name);
    let tree = directory.path().join("tree");
    process::tool(
        "dpkg-deb",
        &["--root-owner-group", "-Zgzip", "-z1", "-b", &show(&tree), &show(&path)],
    );
    Tampered {
        path,
        _directory: directory,
    }
}

/// A hook after `set -eu`, and one at the top of each shell function.
fn hooked(text: &str, script: &str, version: &str) -> String {
    let mut out = String::new();
    let mut begun = false;
    for line in text.lines() {
        out.push_str(line);
        out.push('\n');
        let function = line
            .strip_suffix("() {")
            .filter(|name| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
        if !begun && line == "set -eu" {
            begun = true;
            // Under the lock a script is its own child: one call, one line.
            let _ = write!(
                out,
                "[ -n \"${{RELPACK_LOCKED:-}}\" ] || echo \"{script} {version} $*\" >>{CALLS}\n\
                 if [ -e \"{FAIL}/{script}-{version}-${{1:-}}\" ]; then echo \"{script} $* was told to fail\" >&2; exit 1; fi\n"
            );
        } else if let Some(name) = function {
            let _ = writeln!(
                out,
                "    [ ! -e {FAIL}/{script}-{version}:{name} ] || {{ echo \"{name} was told to fail\" >&2; return 1; }}"
            );
        }
    }
    assert!(begun, "{script} has no line \"set -eu\"");
    out
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
