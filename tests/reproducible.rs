//! The same input gives the same bytes: under another umask, time zone, locale, directory order, path, user and day.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{CONFIG, application, ok, relpack, write};

const FORMATS: [&str; 6] = ["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"];
const NAMES: [&str; 3] = ["acme_1.4.0_all.deb", "acme-1.4.0-all.tar.zst", "acme-1.4.0-all.tar.gz"];

fn artifacts(dir: &Path) -> Vec<Vec<u8>> {
    NAMES
        .iter()
        .map(|name| fs::read(dir.join("dist").join(name)).unwrap())
        .collect()
}

fn reference(dir: &Path) -> Vec<Vec<u8>> {
    ok(relpack().arg("build").arg("-C").arg(application(dir)).args(FORMATS));
    artifacts(dir)
}

/// Runs the program from a shell line that changes its surroundings first.
fn build_under(prelude: &str, dir: &Path) -> Vec<Vec<u8>> {
    let line = format!("{prelude}; exec \"$0\" build -C \"$1\" {}", FORMATS.join(" "));
    let program = env!("CARGO_BIN_EXE_relpack");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line, program])
        .arg(dir)
        .env("SOURCE_DATE_EPOCH", common::DATE);
    ok(&mut shell);
    artifacts(dir)
}

#[test]
fn surroundings_do_not_change_the_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let expected = reference(&temp.path().join("a"));
    for (index, prelude) in [
        "umask 077",
        "umask 000",
        "export TZ=Pacific/Kiritimati",
        "export LC_ALL=C",
        "export LC_ALL=tr_TR.UTF-8 LANG=C",
        "export HOME=/nonexistent; unset USER LOGNAME; cd /",
        "export RAYON_NUM_THREADS=1",
    ]
    .into_iter()
    .enumerate()
    {
        let dir = temp.path().join(format!("another/path-{index}"));
        assert_eq!(build_under(prelude, &application(&dir)), expected, "{prelude}");
    }
}

#[test]
fn another_order_other_times_and_other_modes_do_not_change_the_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let expected = reference(&temp.path().join("a"));
    let dir = temp.path().join("b");
    // The same files in the opposite order, group-writable, and old.
    let mut made = Vec::new();
    for name in [
        "public/with space é.txt",
        "public/app.js",
        "bin/serve",
        "bin/migrate",
        "bin/backup",
    ] {
        let from = temp.path().join("a/build").join(name);
        let mode = if name.starts_with("bin/") { 0o775 } else { 0o664 };
        write(&dir.join("build").join(name), &fs::read_to_string(from).unwrap(), mode);
        made.push(dir.join("build").join(name));
    }
    fs::create_dir(dir.join("build/empty")).unwrap();
    std::os::unix::fs::symlink("public/app.js", dir.join("build/main.js")).unwrap();
    write(&dir.join("relpack.toml"), CONFIG, 0o600);
    for path in made {
        let touched = Command::new("touch")
            .args(["-d", "1985-10-26"])
            .arg(path)
            .status()
            .unwrap();
        assert!(touched.success());
    }
    assert_eq!(build_under(":", &dir), expected);
}

#[test]
fn without_a_given_date_the_commit_tells_it() {
    let temp = tempfile::tempdir().unwrap();
    let expected = reference(&temp.path().join("a"));
    let dir = application(&temp.path().join("b"));
    let git = "cd \"$1\" && git init -q . && git add relpack.toml && \
        GIT_COMMITTER_DATE='@1700000000 +0900' git -c user.name=a -c user.email=a@b commit -qm x && unset SOURCE_DATE_EPOCH";
    assert_eq!(build_under(git, &dir), expected);
    // Without either, it works and says that the bytes are not the same everywhere.
    let bare = application(&temp.path().join("c"));
    let output = relpack()
        .env_remove("SOURCE_DATE_EPOCH")
        .arg("build")
        .arg("-C")
        .arg(&bare)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("SOURCE_DATE_EPOCH"));
}

#[test]
fn another_user_makes_the_same_bytes() {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8(id.stdout).unwrap().trim() != "0" {
        return; // only root can become another user; CI is root
    }
    let temp = tempfile::tempdir_in("/var/tmp").unwrap();
    let expected = reference(&temp.path().join("a"));
    let dir = application(&temp.path().join("b"));
    // A copy of the program where that user can reach it.
    let program = temp.path().join("relpack");
    fs::copy(env!("CARGO_BIN_EXE_relpack"), &program).unwrap();
    ok(Command::new("sh")
        .args([
            "-c",
            "chmod 755 \"$0\" && chown -R nobody \"$0/b\"; chmod 755 \"$0/relpack\"",
        ])
        .arg(temp.path()));
    ok(Command::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg(&program)
        .args(["build", "-C"])
        .arg(&dir)
        .args(FORMATS)
        .env("SOURCE_DATE_EPOCH", common::DATE));
    assert_eq!(artifacts(&dir), expected);
}
