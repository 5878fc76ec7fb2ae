//! Packages whose scripts are broken on purpose, at the points that are named in them (`fault NAME`) or anywhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::app::Built;
use super::machine::Machine;
use super::process;

/// The delivered body of a point: nothing.
const EMPTY: &str = "fault() { :; }";
const SCRIPTS: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "usr/bin/acme-release"];
/// Where a host finds what it shall do at which point. It does not outlive a boot, so a point that has been hit before
/// a crash is not hit after it.
const ARMED: &str = "/run/relpack-faults";
const HIT_LIMIT: Duration = Duration::from_secs(60);

/// For [`arm`]: stays at this point until [`release`], or for ever.
pub const HOLD: &str = r#"while [ ! -e "/run/relpack-faults/$1.go" ]; do sleep 0.05; done"#;

/// For [`arm`]: kills the script where it records what it does, and the subshell that records, which would outlive it.
pub const DIE_RECORDING: &str = "kill -KILL $$ $(exec sh -c 'echo $PPID')";

impl Built {
    /// The same release with this body in the function `fault` of each script; `$1` is the point's name.
    #[track_caller]
    pub fn with_fault(&self, body: &str) -> Built {
        self.with_scripts(|_, text| text.replace(EMPTY, &format!("fault() {{\n{body}\n}}")))
    }

    /// The same release with points that obey [`arm`].
    #[track_caller]
    pub fn with_points(&self) -> Built {
        self.with_fault(&format!(
            "if [ -e \"{ARMED}/$1\" ]; then mv \"{ARMED}/$1\" \"{ARMED}/$1.hit\"; . \"{ARMED}/$1.hit\"; fi"
        ))
    }

    /// The same release with each script (`preinst`, …, `usr/bin/acme-release`) edited: name and text → text.
    #[track_caller]
    pub fn with_scripts(&self, edit: impl Fn(&str, &str) -> String) -> Built {
        let directory = tempfile::tempdir().unwrap_or_else(|e| panic!("make a temporary directory: {e}"));
        let tree = directory.path().join("tree");
        let name = self.path().file_name().unwrap_or_default();
        let path = directory.path().join(name);
        process::tool("dpkg-deb", &["-R", &show(self.path()), &show(&tree)]);
        let mut changed = false;
        for script in SCRIPTS {
            let delivered = script.starts_with("usr/");
            let file = if delivered {
                tree.join(script)
            } else {
                tree.join("DEBIAN").join(script)
            };
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("read {}: {e}", file.display()));
            let edited = edit(script, &text);
            changed |= edited != text;
            fs::write(&file, edited).unwrap_or_else(|e| panic!("write {}: {e}", file.display()));
        }
        assert!(changed, "no script of {} was changed", path.display());
        let sums = format!(
            "cd '{0}' && sed 's/^[0-9a-f]*  //' DEBIAN/md5sums | xargs -d '\\n' md5sum >sums && mv sums DEBIAN/md5sums",
            show(&tree)
        );
        process::tool("sh", &["-c", &sums]);
        process::tool(
            "dpkg-deb",
            &["--root-owner-group", "-Zzstd", "-z1", "-b", &show(&tree), &show(&path)],
        );
        fs::remove_dir_all(&tree).unwrap_or_else(|e| panic!("remove {}: {e}", tree.display()));
        Built::repacked(self, path, directory)
    }
}

/// At the point of this name, once, the host's script runs `script` as a part of itself (`kill -KILL $$`, `exit 1`,
/// [`HOLD`], …). Needs packages [`Built::with_points`].
#[track_caller]
pub fn arm(machine: &Machine, point: &str, script: &str) {
    machine.put(&format!("{ARMED}/{point}"), format!("{script}\n"));
}

/// Waits until a script has come to the point.
#[track_caller]
pub fn hit(machine: &Machine, point: &str) {
    machine.wait_for(&format!("[ -e {ARMED}/{point}.hit ]"), HIT_LIMIT);
}

/// Lets a script that holds at the point go on.
#[track_caller]
pub fn release(machine: &Machine, point: &str) {
    machine.ok(&format!("touch {ARMED}/{point}.go"));
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
