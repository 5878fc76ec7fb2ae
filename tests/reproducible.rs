//! The same input gives the same bytes: under another umask, time zone, locale, directory order, path, user and day.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{CONFIG, application, ok, relpack, write};

const FORMATS: [&str; 8] = [
    "--format", "deb", "--format", "tar.zst", "--format", "tar.xz", "--format", "tar.gz",
];
const NAMES: [&str; 4] = [
    "acme_1.4.0_all.deb",
    "acme-1.4.0-all.tar.zst",
    "acme-1.4.0-all.tar.xz",
    "acme-1.4.0-all.tar.gz",
];

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

/// What was built, by name; there is something.
fn built(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir.join("dist")).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| {
        (
            entry.file_name().into_string().unwrap(),
            fs::read(entry.path()).unwrap(),
        )
    });
    let files: BTreeMap<_, _> = files.collect();
    assert!(!files.is_empty());
    files
}

fn build_plainly(dir: &Path, formats: &[&str]) -> BTreeMap<String, Vec<u8>> {
    ok(relpack().arg("build").arg("-C").arg(dir).args(formats));
    built(dir)
}

fn application_as(dir: &Path, config: &str) -> PathBuf {
    let dir = application(dir);
    write(&dir.join("relpack.toml"), config, 0o644);
    // Longer than a block of each compression.
    let noise = (0..350_000_u32).map(|i| i.wrapping_mul(2_654_435_761) >> 7);
    let bytes: Vec<u8> = noise.flat_map(u32::to_le_bytes).collect();
    fs::write(dir.join("build/public/large.bin"), bytes).unwrap();
    dir
}

/// The forms in which a release travels, each compression once in a package: name, configuration, what to build.
fn configurations() -> [(&'static str, String, &'static [&'static str]); 4] {
    const DEB: &[&str] = &["--format", "deb"];
    [
        ("files", "payload = \"files\"", FORMATS.as_slice()),
        ("archive", "payload = \"archive\"", DEB),
        (
            "files, xz",
            "payload = \"files\"\ncompression = \"xz\"\ncompression_level = 0",
            DEB,
        ),
        ("archive, gzip", "payload = \"archive\"\ncompression = \"gzip\"", DEB),
    ]
    .map(|(name, lines, formats)| {
        let config = CONFIG.replace("[release]\n", &format!("[release]\n{lines}\n"));
        (name, config, formats)
    })
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

/// What a build machine may be like, beside what the other tests vary. Each runs the program (`$0`) with `"$@"`.
const MACHINES: [(&str, &str); 8] = [
    ("one CPU", "exec taskset -c 0 \"$0\" \"$@\""),
    ("no network", "exec unshare -n \"$0\" \"$@\""),
    (
        "no /proc",
        "exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$0\" \"$@\"' \"$0\" \"$@\"",
    ),
    ("an empty PATH", "PATH=/nonexistent; export PATH; exec \"$0\" \"$@\""),
    ("another kernel's name", "exec setarch --uname-2.6 \"$0\" \"$@\""),
    ("fixed addresses", "exec setarch -R \"$0\" \"$@\""),
    (
        "another host and domain",
        "exec unshare -u sh -c 'hostname elsewhere && exec \"$0\" \"$@\"' \"$0\" \"$@\"",
    ),
    (
        "another home, language, zone and umask",
        "umask 027; HOME=/nonexistent LANG=de_CH.UTF-8 LC_ALL=C TZ=GMT+12 exec \"$0\" \"$@\"",
    ),
];

#[test]
fn other_machines_make_the_same_bytes_of_every_form() {
    let temp = tempfile::tempdir().unwrap();
    for (index, (form, config, formats)) in configurations().into_iter().enumerate() {
        let one = application_as(&temp.path().join(format!("{index}/a")), &config);
        let expected = build_plainly(&one, formats);
        for (number, (machine, line)) in MACHINES.into_iter().enumerate() {
            let dir = application_as(&temp.path().join(format!("{index}/at another/place {number}")), &config);
            // Another path of the program, too.
            let program = dir.join("tool");
            fs::hard_link(env!("CARGO_BIN_EXE_relpack"), &program)
                .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_relpack"), &program).map(drop))
                .unwrap();
            let mut shell = Command::new("sh");
            shell
                .args(["-c", line])
                .arg(&program)
                .args(["build", "-C"])
                .arg(&dir)
                .args(formats);
            ok(shell.env("SOURCE_DATE_EPOCH", common::DATE));
            assert!(built(&dir) == expected, "{form}: {machine}");
        }
    }
}

/// A clock that is years ahead changes nothing; and neither does a directory that gives its names in another order.
#[test]
fn another_day_and_another_order_make_the_same_bytes_of_every_form() {
    let temp = tempfile::tempdir().unwrap();
    for (index, (form, config, formats)) in configurations().into_iter().enumerate() {
        let one = application_as(&temp.path().join(format!("{index}/a")), &config);
        let expected = build_plainly(&one, formats);
        let from = application_as(&temp.path().join(format!("{index}/b")), &config);
        let to = temp.path().join(format!("{index}/c"));
        // Made anew from last to first, with times of the future.
        ok(Command::new("sh")
            .args([
                "-euc",
                "
            mkdir \"$1\"; cd \"$0\"
            find . -depth | sort -r >\"$1.list\"
            tac \"$1.list\" | while IFS= read -r f; do [ ! -d \"$f\" ] || mkdir -p \"$1/$f\"; done
            while IFS= read -r f; do [ -d \"$f\" ] && [ ! -L \"$f\" ] || cp -P \"$f\" \"$1/$f\"; done <\"$1.list\"
            find \"$1\" -exec touch -h -d 2040-01-01 {} +",
            ])
            .arg(&from)
            .arg(&to));
        assert!(build_plainly(&to, formats) == expected, "{form}");
    }
}
