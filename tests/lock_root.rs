//! The Debian release that a lock is of: the target's, or another root's with its own interpreters and libraries.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{application, fails, ok, write};
use crate::lock::{PROGRAM, compile, depends, lock, verb};

#[test]
fn a_lock_is_of_the_targets_release() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    compile(PROGRAM, &dir.join("build/bin/serve"), &["-lm"]);
    let text = lock(&dir);
    let here = text.split("suite = \"").nth(1).unwrap().split('"').next().unwrap();
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let with = |target: &str| {
        let text = config.replacen("[package]", &format!("[package]\ntarget = \"{target}\""), 1);
        fs::write(dir.join("relpack.toml"), text).unwrap();
    };
    with(here);
    lock(&dir);
    ok(&mut verb("build", &dir));
    let other = if here == "trixie" { "bookworm" } else { "trixie" };
    with(other);
    let said = fails(&mut verb("build", &dir), 1);
    assert!(
        said.contains(&format!(
            "package.target is {other}, and the lock file was made for {here}"
        )),
        "{said}"
    );
    let said = fails(&mut verb("lock", &dir), 1);
    assert!(said.contains(&format!("mmdebstrap {other} DIR")), "{said}");
    assert_eq!(fs::read_to_string(dir.join("relpack.lock")).unwrap(), text);
}

/// The packages that it names are in no earlier release.
#[test]
fn without_a_target_a_package_is_for_the_locks_release() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let newer = "[units.\"acme.service\"]\nService.RestartMode = \"direct\"";
    fs::write(
        dir.join("relpack.toml"),
        config.replacen("[units.\"acme.service\"]", newer, 1),
    )
    .unwrap();
    let need = "[python.\"3.13\"]\ndepends = [\"python3 (>= 3.13~)\"]\nby = \"venv/pyvenv.cfg\"\n";
    let program = "[program.\"/usr/bin/curl\"]\ndepends = [\"curl\"]\nby = \"bin/serve\"\n";
    for (suite, need, too_new) in [
        ("trixie", need, false),
        ("bookworm", need, true),
        // What binds to no versions is of any, and of this suite relpack knows nothing.
        ("trixie", program, true),
        ("sid", need, true),
    ] {
        let lock = format!("format = 1\nsuite = \"{suite}\"\narchitecture = \"all\"\n\n{need}");
        fs::write(dir.join("relpack.lock"), lock).unwrap();
        let said = ok(verb("check", &dir).arg("--json"));
        assert_eq!(said.contains("directive-too-new"), too_new, "{suite} {need:?}: {said}");
        assert_eq!(
            said.contains("a suite that relpack doesn't know"),
            suite == "sid",
            "{said}"
        );
        assert!(said.contains("which nothing needs any more"), "{said}");
    }
}

/// A root of another Debian release, as dpkg would have recorded it.
fn trixie(dir: &Path) {
    let installed = |name: &str, version: &str, more: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n{more}\n")
    };
    let status = [
        installed("python3", "3.13.5-1", ""),
        installed("python3-minimal", "3.13.5-1", ""),
        installed("nodejs", "20.19.2+dfsg-1", ""),
        installed("dash", "0.5.12", "Essential: yes\n"),
    ]
    .concat();
    write(&dir.join("var/lib/dpkg/status"), &status, 0o644);
    write(&dir.join("usr/lib/os-release"), "VERSION_CODENAME=trixie\n", 0o644);
    for (package, file) in [
        ("python3-minimal", "/usr/bin/python3"),
        ("nodejs", "/usr/bin/node"),
        ("dash", "/usr/bin/sh"),
    ] {
        write(
            &dir.join(format!("var/lib/dpkg/info/{package}.list")),
            &format!("{file}\n"),
            0o644,
        );
    }
}

#[test]
fn interpreters_python_and_node_are_those_of_the_root() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(&temp.path().join("app"));
    let root = temp.path().join("trixie");
    trixie(&root);
    write(
        &dir.join("relpack.toml"),
        &crate::common::CONFIG.replace("depends = [\"nodejs (>= 18)\"]", "depends = [\"nodejs\"]"),
        0o644,
    );
    write(
        &dir.join("build/package.json"),
        "{\"engines\": {\"node\": \"^18.19 || >=20\"}}",
        0o644,
    );
    write(
        &dir.join("build/venv/pyvenv.cfg"),
        "home = /usr/bin\nversion = 3.13.1\n",
        0o644,
    );
    fs::create_dir_all(dir.join("build/venv/bin")).unwrap();
    symlink("/usr/bin/python3", dir.join("build/venv/bin/python3")).unwrap();
    write(
        &dir.join("build/venv/bin/flask"),
        "#!/opt/acme/app/venv/bin/python3\n",
        0o755,
    );
    // As pip leaves it: what it names was the Python beside it.
    write(
        &dir.join("build/venv/bin/pip"),
        "#!/home/me/acme/build/venv/bin/python3\n",
        0o755,
    );
    write(&dir.join("build/bin/report"), "#!/usr/bin/env python3\n", 0o755);
    write(&dir.join("build/bin/odd"), "#!/usr/bin/unheard-of\n", 0o755);

    let output = verb("lock", &dir).arg("--root").arg(&root).output().unwrap();
    let said = crate::common::both(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("warning: \"bin/odd\" runs \"/usr/bin/unheard-of\""),
        "{said}"
    );
    let text = fs::read_to_string(dir.join("relpack.lock")).unwrap();
    let expected = "
format = 1
suite = \"trixie\"
architecture = \"all\"

[program.\"/bin/sh\"]
depends = []
by = \"bin/backup\"

[program.\"/usr/bin/python3\"]
depends = [\"python3\"]
by = \"bin/report\"

[program.\"/usr/bin/test\"]
depends = []
by = \"acme-backup.service\"

[program.\"/usr/bin/unheard-of\"]
depends = []
by = \"bin/odd\"

[python.\"3.13\"]
depends = [\"python3 (>= 3.13~)\", \"python3 (<< 3.14)\"]
by = \"venv/pyvenv.cfg\"

[node.\"^18.19 || >=20\"]
depends = [\"nodejs (>= 18.19)\"]
by = \"package.json\"
";
    assert_eq!(text.split_once("\n\n").unwrap().1, expected.trim_start());
    let depends = depends(&dir);
    for relation in ["nodejs (>= 18.19)", "python3 (>= 3.13~)", "python3 (<< 3.14)"] {
        assert!(depends.contains(relation), "{depends:?}");
    }
    assert!(
        !depends.contains("nodejs") && !depends.contains("python3"),
        "the stronger one stays: {depends:?}"
    );

    write(
        &dir.join("build/venv/pyvenv.cfg"),
        "home = /usr/bin\nversion = 3.11.2\n",
        0o644,
    );
    let said = fails(&mut verb("build", &dir), 1);
    assert!(
        said.contains("\"venv/pyvenv.cfg\" needs Python 3.11, which the lock file does not cover"),
        "{said}"
    );
    let said = fails(verb("lock", &dir).arg("--root").arg(&root), 1);
    assert!(
        said.contains("is a virtual environment for Python 3.11, and trixie has Python 3.13"),
        "{said}"
    );
    let said = fails(verb("lock", &dir).arg("--root").arg(temp.path()), 1);
    assert!(said.contains("name the root of an installed Debian"), "{said}");
}

#[test]
fn a_library_from_the_future_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(&temp.path().join("app"));
    compile(PROGRAM, &dir.join("build/bin/serve"), &["-lm"]);
    let root = temp.path().join("old");
    trixie(&root);
    let info = root.join("var/lib/dpkg/info");
    let status = root.join("var/lib/dpkg/status");
    let libc = "Package: libc6\nStatus: install ok installed\nArchitecture: all\nVersion: 2.28-1\n";
    write(
        &status,
        &format!("{}\n{libc}", fs::read_to_string(&status).unwrap()),
        0o644,
    );
    let symbols = "libc.so.6 libc6 #MINVER#\n GLIBC_2.2.5@GLIBC_2.2.5 2.2.5\n printf@GLIBC_2.2.5 2.2.5\n x@GLIBC_2.25 2.25\n x@GLIBC_2.4 2.4\n\
                   libm.so.6 libc6 #MINVER#\n pow@GLIBC_2.29 2.29\n";
    write(&info.join("libc6:amd64.symbols"), symbols, 0o644);
    let said = fails(verb("lock", &dir).arg("--root").arg(&root), 1);
    assert!(
        said.contains("needs GLIBC_2.34 of libc.so.6, which trixie doesn't have"),
        "{said}"
    );
    assert!(said.contains("built on a newer system"), "{said}");
    assert!(!dir.join("relpack.lock").exists(), "nothing half");
}

#[test]
fn a_program_behind_env_is_a_need_unless_the_unit_says_where_it_is_looked_up() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(&temp.path().join("app"));
    let root = temp.path().join("trixie");
    trixie(&root);
    let config = crate::common::CONFIG
        .replace("depends = [\"nodejs (>= 18)\"]\n", "")
        .replace("bin/serve --port", "/usr/bin/env A=1 node main.js --port");
    for (line, needed) in [("", true), ("Service.Environment.PATH = \"{app}/bin\"\n", false)] {
        let key = "Service.Environment.PORT";
        let text = config.replace(key, &format!("{line}{key}"));
        write(&dir.join("relpack.toml"), &text, 0o644);
        ok(verb("lock", &dir).arg("--root").arg(&root));
        let lock = fs::read_to_string(dir.join("relpack.lock")).unwrap();
        assert_eq!(lock.contains("[program.\"/usr/bin/node\"]"), needed, "{lock}");
    }
}
