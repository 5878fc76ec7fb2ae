//! The same input gives the same bytes: under each of reprotest's variations, on machines of other kinds, for other users.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{application, ok, relpack, write};

/// What reprotest(1) varies, by its names; what that puts in front of the command; and what then answers otherwise. Where
/// there is nothing, it is the directory that differs. Those that lose privileges come last, so that all of them together
/// make one command.
const VARIATIONS: [(&str, &[&str], &str); 14] = [
    (
        "environment",
        &[
            "env",
            "-i",
            EPOCH,
            "CAPTURE_ENVIRONMENT=captured",
            "RAYON_NUM_THREADS=3",
        ],
        "env | grep CAPTURE",
    ),
    ("build_path", &[], ""),
    ("kernel", &["setarch", "--uname-2.6"], "uname -r"),
    ("aslr", &["setarch", "-R"], "cat /proc/self/personality"),
    ("num_cpus", &["taskset", "-c", "0"], "nproc"),
    (
        "time",
        // Without the memory that it would share with programs of other users.
        &["env", "FAKETIME_DISABLE_SHM=1", "faketime", "-f", "+373d"],
        "date +%Y",
    ),
    ("fileordering", &[], ""),
    (
        "domain_host",
        &[
            "unshare",
            "-u",
            "sh",
            "-c",
            "hostname elsewhere && domainname elsewhere.example && exec \"$@\"",
            "sh",
        ],
        "hostname; domainname",
    ),
    ("home", &["env", "HOME=/nonexistent/second"], "echo $HOME"),
    (
        "locales",
        &["env", "LANG=et_EE.UTF-8", "LANGUAGE=et_EE:tr", "LC_ALL=tr_TR.UTF-8"],
        "echo $LANG $LANGUAGE $LC_ALL",
    ),
    (
        "exec_path",
        &["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/captured"],
        "echo $PATH",
    ),
    ("timezone", &["env", "TZ=GMT+12"], "date +%z"),
    ("umask", &["sh", "-c", "umask 0002; exec \"$@\"", "sh"], "umask"),
    ("user_group", NOBODY, "id"),
];

const NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Other build machines. For the last, see [`Bench::container`].
const MACHINES: [(&str, &[&str]); 4] = [
    ("an unprivileged user", NOBODY),
    ("no network", &["unshare", "-n"]),
    (
        "no /proc",
        &[
            "unshare",
            "-m",
            "sh",
            "-c",
            "mount -t tmpfs none /proc && exec \"$@\"",
            "sh",
        ],
    ),
    (CONTAINER, &["unshare", "-m", "-p", "-f", "-n", "-u", "-i", "chroot"]),
];

const CONTAINER: &str = "a container without dpkg";
const EPOCH: &str = "SOURCE_DATE_EPOCH=1700000000";

const FORMATS: [&str; 6] = ["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"];

/// A directory to build, and places where it is laid out again. On a tmpfs, since that lists names in the order in which
/// they were made.
struct Bench {
    top: tempfile::TempDir,
    /// The example as it is.
    example: PathBuf,
    program: PathBuf,
}

impl Bench {
    fn new(example: &Path) -> Self {
        let top = tempfile::tempdir_in("/dev/shm").unwrap();
        let program = top.path().join("relpack");
        // Where every user can run it.
        fs::copy(env!("CARGO_BIN_EXE_relpack"), &program).unwrap();
        ok(Command::new("chmod").arg("755").arg(top.path()).arg(&program));
        Self {
            top,
            example: example.to_owned(),
            program,
        }
    }

    /// Lays the example out at a place, its names in their order or in the opposite one.
    fn lay(&self, at: &str, backwards: bool) -> PathBuf {
        let to = self.top.path().join(at);
        let line = format!(
            "mkdir -p \"$1\"; cd \"$0\"; find . ! -path './dist*' | sort {} |
             tar -c --no-recursion --verbatim-files-from -T - | tar -x -C \"$1\"",
            if backwards { "-r" } else { "" }
        );
        ok(Command::new("sh").args(["-euc", &line]).arg(&self.example).arg(&to));
        to
    }

    /// Its usual place.
    fn usual(&self) -> PathBuf {
        let dir = self.top.path().join("app");
        if dir.exists() { dir } else { self.lay("app", false) }
    }

    /// What `relpack build` makes of the directory, started by this command.
    fn build(&self, by: &[&str], dir: &Path, formats: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let out = dir.join("dist");
        let _ = fs::remove_dir_all(&out);
        let mut words = by.iter();
        let mut command = match words.next() {
            Some(first) => Command::new(first),
            None => Command::new(&self.program),
        };
        command.args(words);
        if !by.is_empty() {
            command.arg(&self.program);
        }
        command
            .env("SOURCE_DATE_EPOCH", crate::common::DATE)
            .env("TZ", "GMT-14");
        ok(command.args(["build", "-C"]).arg(dir).args(formats));
        built(&out)
    }

    /// Builds under these variations at once. Where one of them is of the directory, in another one.
    fn varied(&self, names: &[&str], formats: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let has = |name| names.contains(&name);
        let other = ["build_path", "fileordering", "time", "user_group"]
            .into_iter()
            .any(has);
        let dir = if other {
            let _ = fs::remove_dir_all(self.top.path().join("at another"));
            self.lay("at another/place with a space/app", has("fileordering"))
        } else {
            self.usual()
        };
        if has("time") {
            ok(Command::new("find")
                .arg(&dir)
                .args(["-exec", "touch", "-h", "-d", "2040-01-01", "{}", "+"]));
        }
        if has("user_group") {
            ok(Command::new("chown").args(["-hR", "65534:65534"]).arg(&dir));
        }
        let chosen = VARIATIONS.iter().filter(|(name, ..)| names.contains(name));
        let by: Vec<&str> = chosen.flat_map(|(_, words, _)| words.iter().copied()).collect();
        self.build(&by, &dir, formats)
    }

    /// In a root that holds the program, its libraries and the application, and nothing else at all.
    fn container(&self, by: &[&str], formats: &[&str]) -> BTreeMap<String, Vec<u8>> {
        let root = self.lay("root/app", false).parent().unwrap().to_owned();
        let line =
            "cp \"$0\" \"$1/relpack\"; ldd \"$0\" | grep -o '/[^ ]*' | xargs -d '\\n' cp -L --parents -t \"$1\" --";
        ok(Command::new("sh").args(["-euc", line]).arg(&self.program).arg(&root));
        let mut command = Command::new(by[0]);
        command
            .args(&by[1..])
            .arg(&root)
            .args(["/relpack", "build", "-C", "/app"]);
        ok(command.args(formats).env("SOURCE_DATE_EPOCH", crate::common::DATE));
        built(&root.join("app/dist"))
    }
}

/// What was built, by name; there is something.
fn built(dist: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dist).unwrap().map(|entry| entry.unwrap());
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

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("left out: only root can become another user, and another machine");
    }
    root
}

/// An example with another line in `[release]`.
fn with_line(example: &Path, dir: &Path, line: &str) -> PathBuf {
    ok(Command::new("cp").arg("-R").arg(example).arg(dir));
    let config = dir.join("relpack.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("[release]\n"));
    fs::write(
        &config,
        text.replacen("[release]\n", &format!("[release]\n{line}\n"), 1),
    )
    .unwrap();
    dir.to_owned()
}

/// 1,200 files in 300 directories, and one that is longer than a block of each compression.
fn many_files(dir: &Path) -> PathBuf {
    let dir = application(dir);
    for module in 0..300 {
        for name in ["index.js", "index.d.ts", "package.json", "README.md"] {
            let text = format!("// {name} of module {module}\n").repeat(1 + module % 7);
            write(
                &dir.join(format!("build/node_modules/m{module:03}/{name}")),
                &text,
                0o644,
            );
        }
    }
    let noise = (0..350_000_u32).map(|i| i.wrapping_mul(2_654_435_761) >> 7);
    let bytes: Vec<u8> = noise.flat_map(u32::to_le_bytes).collect();
    fs::write(dir.join("build/public/large.bin"), bytes).unwrap();
    dir
}

/// A program of this machine, and what it needs of others, written down once: who builds it has no records of dpkg's.
fn compiled(dir: &Path) -> PathBuf {
    let dir = application(dir);
    fs::copy("/bin/true", dir.join("build/bin/serve")).unwrap();
    ok(relpack().args(["lock", "-C"]).arg(&dir));
    let lock = fs::read_to_string(dir.join("relpack.lock")).unwrap();
    assert!(lock.contains("libc6"), "{lock}");
    dir
}

/// The examples, each to travel as files and as an archive: name and directory. In full, also a real application.
fn examples(temp: &Path) -> Vec<(String, PathBuf)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut all = vec![
        ("hello", here.join("hello")),
        ("1,200 files", many_files(&temp.join("many"))),
    ];
    if crate::common::full() {
        for (name, part) in [("node-red", "node_modules"), ("swagger-ui", "site")] {
            let real = here.join(name);
            if !real.join("build").join(part).is_dir() {
                ok(&mut Command::new(real.join("build.sh")));
            }
            all.push((name, real));
        }
    }
    let each = |(name, example): (&str, PathBuf)| {
        ["files", "archive"].map(|payload| {
            let dir = temp.join(format!("{name} as {payload}"));
            let line = format!("payload = \"{payload}\"");
            (format!("{name} as {payload}"), with_line(&example, &dir, &line))
        })
    };
    all.into_iter().flat_map(each).collect()
}

fn expect_all(example: &str, what: &str, results: &[(&str, bool)]) {
    let different: Vec<&str> = results
        .iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| *name)
        .collect();
    let identical = results.len() - different.len();
    println!("{example}: identical {identical} of {} {what}", results.len());
    assert!(different.is_empty(), "{example}: other bytes with {different:?}");
}

/// A variation that varies nothing would prove nothing.
#[test]
fn every_variation_is_one() {
    if !root() {
        return;
    }
    for (name, by, question) in VARIATIONS.into_iter().filter(|(_, by, _)| !by.is_empty()) {
        let ask = |by: &[&str]| {
            let words = [by, &["sh", "-c", question]].concat();
            Command::new(words[0])
                .args(&words[1..])
                .env("TZ", "GMT-14")
                .output()
                .unwrap()
        };
        let (usual, varied) = (ask(&[]), ask(by));
        assert!(
            varied.status.success() && varied.stderr.is_empty(),
            "{name}: {varied:?}"
        );
        let alone = name == "num_cpus" && std::thread::available_parallelism().is_ok_and(|n| n.get() == 1);
        assert!(alone || usual.stdout != varied.stdout, "{name}: {varied:?}");
    }
    let bench = Bench::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello"));
    let listed = |dir: &Path| -> Vec<_> {
        let entries = fs::read_dir(dir.join("build")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_ne!(
        listed(&bench.usual()),
        listed(&bench.lay("backwards", true)),
        "fileordering"
    );
}

#[test]
fn every_variation_of_reprotest_gives_the_same_bytes() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    for (example, dir) in examples(temp.path()) {
        let bench = Bench::new(&dir);
        let expected = bench.varied(&[], &FORMATS);
        let results = VARIATIONS.map(|(name, ..)| (name, bench.varied(&[name], &FORMATS) == expected));
        expect_all(&example, "variations", &results);
        let all = VARIATIONS.map(|(name, ..)| name);
        assert!(bench.varied(&all, &FORMATS) == expected, "{example}: all at once");
    }
}

#[test]
fn other_machines_make_the_same_bytes() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut examples = examples(temp.path());
    examples.push(("a locked program".to_owned(), compiled(&temp.path().join("compiled"))));
    for (example, dir) in examples {
        let bench = Bench::new(&dir);
        let expected = bench.varied(&[], &FORMATS);
        let app = bench.usual();
        ok(Command::new("chown").args(["-hR", "65534:65534"]).arg(&app));
        let results = MACHINES.map(|(name, by)| {
            let made = match name {
                CONTAINER => bench.container(by, &FORMATS),
                _ => bench.build(by, &app, &FORMATS),
            };
            (name, made == expected)
        });
        expect_all(&example, "machines", &results);
    }
}

/// Debian's reprotest itself, which varies all of it at once. Its `sudo` names a host, which sudo no longer takes, and its
/// disorderfs runs as the other user: in a name space of its own, both are to be had.
#[test]
fn reprotest_finds_no_difference() {
    if !crate::common::full() || !root() {
        println!("left out: RELPACK_FULL=1 runs it");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    ok(Command::new("chmod").arg("755").arg(temp.path()));
    let program = temp.path().join("relpack");
    fs::copy(env!("CARGO_BIN_EXE_relpack"), &program).unwrap();
    write(
        &temp.path().join("bin/sudo"),
        "#!/bin/sh\n[ \"$1\" != -h ] || shift 2\nexec /usr/bin/sudo \"$@\"\n",
        0o755,
    );
    let place = "cd \"$0\"; mount --bind bin /usr/local/sbin; [ -e fuse ] || mknod -m 666 fuse c 10 229; \
                 mount --bind fuse /dev/fuse; exec \"$@\"";
    for (example, dir) in examples(temp.path()) {
        let _ = fs::remove_dir_all(dir.join("dist"));
        let build = format!("{EPOCH} {} build {} >/dev/null", program.display(), FORMATS.join(" "));
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec", place]).arg(temp.path());
        command.args([
            "reprotest",
            "--no-diffoscope",
            "--variations=+all",
            "--vary=domain_host.use_sudo=1",
        ]);
        command
            .args(["--vary=user_group.available+=nobody:nogroup", "-c", &build])
            .arg(&dir);
        command.args(["dist/*", "--", "null"]);
        let said = ok(command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        assert!(said.contains("Reproduction successful"), "{said}");
        let same = said.lines().filter(|line| line.contains("  ./dist/")).count();
        assert_eq!(same, 3, "{said}");
        println!("{example}: reprotest with all of its variations finds no difference in {same} artifacts");
    }
}

/// What the examples don't have: the other compressions, of packages and of tarballs.
#[test]
fn every_compression_gives_the_same_bytes() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let example = many_files(&temp.path().join("many"));
    let formats = ["--format", "deb", "--format", "tar.xz"];
    for (line, formats) in [
        (
            "payload = \"files\"\ncompression = \"xz\"\ncompression_level = 0",
            &formats[..],
        ),
        (
            "payload = \"archive\"\ncompression = \"xz\"\ncompression_level = 1",
            &formats[..2],
        ),
        ("payload = \"archive\"\ncompression = \"gzip\"", &formats[..2]),
    ] {
        let bench = Bench::new(&with_line(
            &example,
            &temp.path().join(line.replace(char::is_whitespace, "")),
            line,
        ));
        let expected = bench.varied(&[], formats);
        let all = VARIATIONS.map(|(name, ..)| name);
        assert!(bench.varied(&all, formats) == expected, "{line}");
    }
}

#[test]
fn other_modes_and_old_files_do_not_change_the_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let one = application(&temp.path().join("a"));
    let two = application(&temp.path().join("b"));
    ok(Command::new("chmod").arg("-R").arg("g+w,o-r").arg(two.join("build")));
    ok(Command::new("chmod").arg("600").arg(two.join("relpack.toml")));
    ok(Command::new("find")
        .arg(&two)
        .args(["-exec", "touch", "-h", "-d", "1985-10-26", "{}", "+"]));
    for dir in [&one, &two] {
        ok(relpack().arg("build").arg("-C").arg(dir).args(FORMATS));
    }
    assert!(built(&one.join("dist")) == built(&two.join("dist")));
}

#[test]
fn without_a_given_date_the_commit_tells_it() {
    let temp = tempfile::tempdir().unwrap();
    let one = application(&temp.path().join("a"));
    ok(relpack().arg("build").arg("-C").arg(&one).args(FORMATS));
    let two = application(&temp.path().join("b"));
    ok(Command::new("sh")
        .args([
            "-euc",
            "cd \"$0\"; git init -q .; git add relpack.toml; \
             GIT_COMMITTER_DATE='@1700000000 +0900' git -c user.name=a -c user.email=a@b commit -qm x",
        ])
        .arg(&two));
    let without = || {
        let mut command = relpack();
        command.env_remove("SOURCE_DATE_EPOCH").arg("build").arg("-C");
        command
    };
    ok(without().arg(&two).args(FORMATS));
    assert!(built(&one.join("dist")) == built(&two.join("dist")));
    // Without either, it works and says that the bytes are not the same everywhere.
    let output = without().arg(application(&temp.path().join("c"))).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("SOURCE_DATE_EPOCH"));
}
