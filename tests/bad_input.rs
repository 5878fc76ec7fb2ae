//! Bad input through the command line: it is refused with the field, the path and a hint, and nothing is written; or it
//! is packed, and what dpkg and tar unpack is what was put in.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::common::odd_files::{listing, odd_files};
use crate::common::{application, both, fails, names, ok, relpack, write};
use rustix::fs::{CWD, FileType, XattrFlags, mknodat, setxattr};

/// Longest that a verb may take for input that is not large.
const BOUND: Duration = Duration::from_secs(20);

/// An application on a file system with attributes.
fn place() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = application(temp.path());
    (temp, dir)
}

fn verb(name: &str) -> Command {
    let mut command = relpack();
    command.arg(name);
    command
}

fn build(dir: &Path) -> Output {
    let started = Instant::now();
    let output = verb("build").arg("-C").arg(dir).output().unwrap();
    assert!(started.elapsed() < BOUND, "took {:?}", started.elapsed());
    output
}

#[track_caller]
fn refused(dir: &Path, case: &str, expected: &[&str]) {
    let before = names(dir);
    for output in [build(dir), check(dir)] {
        said_well(&output, case, expected);
    }
    assert_eq!(names(dir), before, "{case}: something was written");
}

/// What a build refuses. systemd is not asked: it has no part in this.
fn check(dir: &Path) -> Output {
    let mut check = verb("check");
    check.arg("-C").arg(dir).env("PATH", "/nonexistent");
    check.output().unwrap()
}

#[track_caller]
fn said_well(output: &Output, case: &str, expected: &[&str]) {
    let said = both(output);
    assert_eq!(output.status.code(), Some(1), "{case}: {said}");
    // Long words are broken at the width of a terminal, where a margin begins each line.
    let flat: String = said.split(['\n', '│', ' ']).filter(|word| !word.is_empty()).collect();
    for part in expected {
        assert!(flat.contains(&part.replace(' ', "")), "{case}: no {part:?} in\n{said}");
    }
    assert!(
        said.contains("hint: ") || said.contains("help: "),
        "{case}: no hint in\n{said}"
    );
    let control = said.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{case}: reaches the terminal");
}

/// Each replaces a line of the configuration; the field is named in the message.
#[test]
#[rustfmt::skip]
fn configuration_that_would_inject_or_mislead() {
    let (_temp, dir) = place();
    let long = "a".repeat(129);
    let cases: &[(&str, &str, &[&str])] = &[
        // Control fields.
        ("name = \"acme\"", "name = \"acme\\nEssential: yes\"", &["package.name", "a line break"]),
        ("name = \"acme\"", "name = \"Acme\"", &["package.name", "contains 'A'", "acme"]),
        ("name = \"acme\"", "name = \"../acme\"", &["package.name", "contains '/'"]),
        ("name = \"acme\"", "name = \"..\"", &["package.name", "does not start with a letter"]),
        ("name = \"acme\"", "name = \"a;reboot\"", &["package.name", "contains ';'"]),
        ("name = \"acme\"", "name = \"$(id)\"", &["package.name", "contains '$'"]),
        ("name = \"acme\"", &format!("name = \"{long}\""), &["package.name", "longer than 128"]),
        ("version = \"1.4.0\"", "version = \"1.0\\nDepends: evil\"", &["package.version", "a line break"]),
        ("version = \"1.4.0\"", "version = \"1.0\\r\"", &["package.version", "a line break"]),
        ("version = \"1.4.0\"", "version = \"1.0 2\"", &["package.version", "contains ' '"]),
        ("version = \"1.4.0\"", "version = \"1.0/../../x\"", &["package.version", "contains '/'"]),
        ("version = \"1.4.0\"", "version = \"1.0%s\"", &["package.version", "contains '%'"]),
        ("version = \"1.4.0\"", "version = \"9999999999:1\"", &["package.version", "epoch above"]),
        ("maintainer = \"Acme Ops <ops@acme.example>\"", "maintainer = \"A <a@b.example>\\nX: y\"", &["package.maintainer", "a line break"]),
        ("maintainer = \"Acme Ops <ops@acme.example>\"", "maintainer = \"A <a@b>, B <c@d>\"", &["package.maintainer"]),
        ("description = \"Acme web app\"", "description = \"\"\"a\n.\nDepends: evil\"\"\"", &["package.description", "starts with a dot"]),
        ("description = \"Acme web app\"", "description = \"a\\u001b[2J\"", &["package.description", "control character"]),
        ("description = \"Acme web app\"", "description = \"a\\rb\"", &["package.description", "a line break"]),
        ("description = \"Acme web app\"", "description = \"a\"\nsection = \"misc\\nEssential: yes\"", &["package.section", "a line break"]),
        ("description = \"Acme web app\"", "description = \"a\"\nhomepage = \"javascript:alert(1)\"", &["package.homepage", "not a web address"]),
        ("description = \"Acme web app\"", "description = \"a\"\nlicense = \"MIT\\n Foo\"", &["package.license", "a line break"]),
        ("depends = [\"nodejs (>= 18)\"]", "depends = [\"nodejs\\nEssential: yes\"]", &["package.depends", "a line break"]),
        ("depends = [\"nodejs (>= 18)\"]", "depends = [\"nodejs, evil\"]", &["package.depends", "several relations"]),
        ("depends = [\"nodejs (>= 18)\"]", "depends = [\"${shlibs:Depends}\"]", &["package.depends", "substitution"]),
        // Places: what a shell, tmpfiles.d or a unit file would read otherwise, and what is somebody else's.
        ("source = \"build\"", "source = \"build\"\nprefix = \"/bin/acme\"", &["release.prefix", "place of the system"]),
        ("source = \"build\"", "source = \"build\"\nprefix = \"/usr/lib/acme\"", &["release.prefix", "place of the system"]),
        ("source = \"build\"", "source = \"build\"\nprefix = \"/opt/../etc/acme\"", &["release.prefix", ".."]),
        ("source = \"build\"", "source = \"build\"\nprefix = \"/opt/a%n\"", &["release.prefix", "misread"]),
        ("source = \"build\"", "source = \"build\"\nprefix = \"/opt/$HOME\"", &["release.prefix", "misread"]),
        ("source = \"build\"", "source = \"build\"\nprefix = \"/opt/a'b\"", &["release.prefix", "misread"]),
        ("source = \"build\"", "source = \"nowhere\"", &["source directory", "nowhere"]),
        ("exclude = [\"**/*.map\"]", "exclude = [\"/etc\"]", &["release.exclude", "absolute"]),
        ("exclude = [\"**/*.map\"]", "exclude = [\"../*\"]", &["release.exclude", ".."]),
        ("[env]", "[directories]\n\"../x\" = {}\n[env]", &["directories", ".."]),
        ("[env]", "[directories]\n\"/bin/x\" = {}\n[env]", &["directories", "not this package's own"]),
        ("[env]", "[directories]\n\"a b\" = {}\n[env]", &["directories", "misread"]),
        ("[env]", "[directories]\n\"a\" = { mode = \"4755\" }\n[env]", &["directories.a.mode", "setuid"]),
        ("[env]", "[files]\n\"/bin/sh\" = { source = \"relpack.toml\" }\n[env]", &["files", "only files below /etc"]),
        ("[env]", "[files]\n\"/etc/acme/../shadow\" = { source = \"relpack.toml\" }\n[env]", &["files", ".."]),
        ("[env]", "[files]\n\"/etc/acme/$x\" = { source = \"relpack.toml\" }\n[env]", &["files", "misread"]),
        ("[env]", "[shared]\nlinks = { \"../x\" = \"y\" }\n[env]", &["shared.links", ".."]),
        ("[env]", "[shared]\nlinks = { \"x\" = \"../../etc\" }\n[env]", &["shared.links", ".."]),
        ("[env]", "[shared]\nlinks = { \".relpack/units\" = \"y\" }\n[env]", &["shared.links", ".relpack"]),
        ("[env]", "[user]\nname = \"acme\\nu root\"\n[env]", &["user.name", "a line break"]),
        ("[env]", "[user]\nname = \"root\"\n[env]", &["user.name", "exists on every host"]),
        ("[env]", "[secrets]\nallow = { \"../key\" = \"x\" }\n[env]", &["secrets.allow", ".."]),
        ("required = [\"DATABASE_URL\"]", "required = [\"A=$(id)\"]", &["env.required", "other than letters"]),
        ("required = [\"DATABASE_URL\"]", "file = \"/etc/passwd\"", &["env.file", "not this package's own"]),
        // Units.
        ("Service.ExecStart = \"bin/serve --port 3000\"", "Service.ExecStart = \"bin/serve\\nUser=root\"", &["Service.ExecStart", "a line break"]),
        ("Service.ExecStart = \"bin/serve --port 3000\"", "Service.ExecStart = \"bin/../../../bin/sh\"", &["ExecStart"]),
        ("Service.ExecStart = \"bin/serve --port 3000\"", "Service.ExecStart = \"bin/serve\"\nService.ExceStop = \"x\"", &["ExceStop", "ExecStop"]),
        ("Service.Environment.PORT = \"3000\"", "Service.Environment.PORT = \"3000\\n[Install]\"", &["Environment", "a line break"]),
        ("Service.Environment.PORT = \"3000\"", "Service.Environment.\"A B\" = \"x\"", &["Environment"]),
        ("[units.\"acme-backup.timer\"]", "[units.\"../x.timer\"]", &["../x.timer"]),
        ("[units.\"acme-backup.timer\"]", "[units.\"a\\nb.timer\"]", &["unit"]),
        ("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/healthz\"", "X-Relpack.Health = \"http://127.0.0.1/$(id)\"", &["X-Relpack.Health"]),
        ("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/healthz\"", "X-Relpack.Health = \"exec:../../bin/sh\"", &["X-Relpack.Health"]),
        ("exec = \"bin/migrate up\"", "exec = \"bin/migrate\\nUser=root\"", &["migrate.exec", "a line break"]),
        ("[migrate]", "[deploy]\ncheck = \"bin/serve\\n\"\n[migrate]", &["deploy.check", "a line break"]),
        ("[migrate]", "[instances.\"a/b\"]\n[migrate]", &["instances", "a/b"]),
        // The file itself.
        ("[package]", "\u{feff}[package]", &["relpack.toml", "byte order mark"]),
        ("[package]", "[package]\n\u{0}", &["relpack.toml", "TOML"]),
        ("[package]", "[package]\nname = \"twice\"", &["relpack.toml", "duplicate key"]),
    ];
    assert!(cases.len() >= 60);
    println!("{} configurations", cases.len() + 4);
    for (from, to, expected) in cases {
        assert!(crate::common::CONFIG.contains(from), "{from}");
        let text = crate::common::CONFIG.replacen(from, to, 1);
        // A byte order mark stands at the start.
        let text = if to.starts_with('\u{feff}') { text.trim_start().to_owned() } else { text };
        fs::write(dir.join("relpack.toml"), text).unwrap();
        refused(&dir, to, expected);
    }
    for (bytes, expected) in [
        (&b"\xff\xfe[\0p\0"[..], "UTF-16"),
        (b"[package]\nname = \"\xe9\"\n", "not UTF-8"),
        (b"", "[package]"),
    ] {
        fs::write(dir.join("relpack.toml"), bytes).unwrap();
        refused(&dir, expected, &["relpack.toml", expected]);
    }
    fs::write(dir.join("relpack.toml"), crate::common::CONFIG.replace('\n', "\r\n")).unwrap();
    let output = build(&dir);
    assert!(output.status.success(), "CRLF is how some editors end lines: {}", both(&output));
}

/// Each spoils the build directory.
#[test]
#[rustfmt::skip]
fn files_that_no_release_can_hold() {
    type Spoil<'a> = &'a dyn Fn(&Path);
    let file = |name: &'static [u8]| move |build: &Path| fs::write(build.join(OsStr::from_bytes(name)), "x").unwrap();
    let link = |name: &'static str, target: &'static str| move |build: &Path| symlink(target, build.join(name)).unwrap();
    let mode = |name: &'static str, mode: u32| move |build: &Path| write(&build.join(name), "x", mode);
    let node = |name: &'static str, kind: FileType| move |build: &Path| mknodat(CWD, build.join(name), kind, 0o644.into(), 0x103).unwrap();
    let attribute = |name: &'static str, attribute: &'static str, value: &'static [u8]| move |build: &Path| {
        fs::write(build.join(name), "x").unwrap();
        setxattr(build.join(name), attribute, value, XattrFlags::empty()).unwrap();
    };
    let long_name = |build: &Path| fs::write(build.join("n".repeat(247)), "x").unwrap();
    let deep = |build: &Path| fs::create_dir_all(build.join(vec!["d".repeat(200); 20].join("/"))).unwrap();
    // Longer than a system call takes at once.
    let deeper = |build: &Path| {
        let python = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)";
        ok(Command::new("python3").args(["-c", python]).arg(build));
    };
    let locked = |build: &Path| {
        fs::create_dir(build.join("locked")).unwrap();
        fs::set_permissions(build.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    };
    let socket = |build: &Path| drop(std::os::unix::net::UnixListener::bind(build.join("s")).unwrap());
    let root = rustix::process::geteuid().is_root();
    let mut cases: Vec<(Spoil, &[&str])> = vec![];
    let (a, b, c, d, e) = (file(b"new\nline"), file(b"tab\t"), file(b"back\\slash"), file(b"latin\xe9"), file(b"esc\x1b[2J"));
    cases.push((&a, &["new\\nline", "contains '\\n'", "rename it"]));
    cases.push((&b, &["tab\\t", "contains '\\t'"]));
    cases.push((&c, &["back", "contains '\\\\'"]));
    cases.push((&d, &["latin\\xe9", "isn't UTF-8"]));
    cases.push((&e, &["contains '\\u{1b}'"]));
    let crlf = file(b"cr\r");
    cases.push((&crlf, &["contains '\\r'"]));
    cases.push((&long_name, &["a name of 247 bytes", "shorten it"]));
    cases.push((&deep, &["bytes long", "shorten it"]));
    cases.push((&deeper, &["dddd", "bytes long"]));
    let reserved = |build: &Path| write(&build.join(".relpack/settings"), "x", 0o644);
    cases.push((&reserved, &["\".relpack\"", "is reserved"]));
    let (setuid, setgid, unreadable) = (mode("setuid", 0o4755), mode("setgid", 0o2755), mode("none", 0o000));
    cases.push((&setuid, &["\"setuid\" is setuid", "AmbientCapabilities"]));
    cases.push((&setgid, &["\"setgid\" is setgid"]));
    cases.push((&unreadable, &["\"none\" can't be read by its owner", "chmod u+r"]));
    cases.push((&locked, &["\"locked\" is a directory that its owner can't read"]));
    let (fifo, device, block) = (node("fifo", FileType::Fifo), node("dev", FileType::CharacterDevice), node("blk", FileType::BlockDevice));
    cases.push((&fifo, &["\"fifo\" is a named pipe", "exclude it"]));
    cases.push((&socket, &["\"s\" is a socket"]));
    if root {
        cases.push((&device, &["\"dev\" is a device"]));
        cases.push((&block, &["\"blk\" is a device"]));
    }
    let user = attribute("attr", "user.note", b"1");
    cases.push((&user, &["\"attr\" has the extended attribute \"user.note\"", "setfattr -x"]));
    let capability = attribute("cap", "security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    if root {
        cases.push((&capability, &["\"cap\" has the extended attribute \"security.capability\"", "setcap -r"]));
    }
    let (out, absolute, shared, dangling, circle, through, climbing, usr) = (
        link("l", "../relpack.toml"), link("l", "/etc/passwd"), link("l", "/opt/acme/shared/x"), link("l", "missing"),
        link("l", "l"), link("l", "bin/serve/x"), link("l", "public/../../../etc"), link("l", "/usr/../etc/passwd"),
    );
    cases.push((&out, &["\"l\" is a symlink", "leads out of the release"]));
    cases.push((&absolute, &["\"l\" is a symlink to \"/etc/passwd\"", "leads out of the release"]));
    cases.push((&shared, &["leads into shared/", "[shared] links"]));
    cases.push((&dangling, &["dangles: \"missing\" is not in the release"]));
    cases.push((&circle, &["never ends"]));
    cases.push((&through, &["\"bin/serve\", which is a file"]));
    cases.push((&climbing, &["leads out of the release"]));
    cases.push((&usr, &["contains \"..\""]));
    let here = |build: &Path| symlink(build.join("public"), build.join("l")).unwrap();
    cases.push((&here, &["names the build machine's source directory", "ln -sr"]));
    let secret = |build: &Path| fs::write(build.join(".env"), "A=1").unwrap();
    cases.push((&secret, &["\".env\" holds an environment file", "[secrets] allow"]));
    let gone = |build: &Path| fs::remove_file(build.join("bin/serve")).unwrap();
    cases.push((&gone, &["acme.service: ExecStart= runs bin/serve", "not in the release"]));
    let plain = |build: &Path| fs::set_permissions(build.join("bin/serve"), fs::Permissions::from_mode(0o644)).unwrap();
    cases.push((&plain, &["bin/serve, which is not executable", "chmod +x"]));
    println!("{} files", cases.len());
    for (index, (spoil, expected)) in cases.iter().enumerate() {
        let (_temp, dir) = place();
        spoil(&dir.join("build"));
        refused(&dir, &format!("case {index}"), expected);
        // Deeper than tempfile's own removal takes.
        ok(Command::new("rm").arg("-rf").arg(dir.join("build")));
    }
}

#[test]
fn odd_files_are_packed_right() {
    let (_temp, dir) = place();
    let source = dir.join("build");
    odd_files(&source);
    let output = verb("build")
        .arg("-C")
        .arg(&dir)
        .args(["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"])
        .output()
        .unwrap();
    let said = both(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("differ only in case"), "{said}");
    fs::remove_file(source.join("public/app.js.map")).unwrap(); // excluded

    let expected = listing(&source);
    let compare = |what: &str, release: &Path| {
        let found: BTreeMap<_, _> = listing(release)
            .into_iter()
            .filter(|(path, _)| !path.starts_with(".relpack"))
            .collect();
        for (path, content) in &expected {
            assert_eq!(found.get(path), Some(content), "{what}: {path:?}");
        }
        assert_eq!(found.len(), expected.len(), "{what}");
    };
    let deb = dir.join("dist/acme_1.4.0_all.deb");
    let unpacked = dir.join("unpacked");
    ok(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&unpacked));
    let payload = names(&unpacked.join("opt/acme/payload"));
    let archive = payload
        .iter()
        .find(|path| path.to_string_lossy().ends_with(".tar.zst"))
        .unwrap();
    let manifest = payload
        .iter()
        .find(|path| path.to_string_lossy().ends_with(".manifest"))
        .unwrap();
    let release = dir.join("release");
    fs::create_dir(&release).unwrap();
    ok(Command::new("tar")
        .arg("--zstd")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(&release));
    compare("deb", &release);
    let mut check = Command::new("sha256sum");
    ok(check
        .args(["-c", "--strict", "--quiet"])
        .arg(manifest)
        .current_dir(&release));
    for name in ["acme-1.4.0-all.tar.zst", "acme-1.4.0-all.tar.gz"] {
        ok(Command::new("tar")
            .arg("-xf")
            .arg(dir.join("dist").join(name))
            .arg("-C")
            .arg(&dir));
        compare(name, &dir.join("acme-1.4.0-all/release"));
        ok(verb("verify").arg(dir.join("dist").join(name)));
        fs::remove_dir_all(dir.join("acme-1.4.0-all")).unwrap();
    }
    ok(verb("verify").arg(&deb));
    let shown = ok(verb("inspect").arg(&deb));
    for link in ["python3 -> /usr/bin/python3", "sh -> /bin/sh"] {
        assert!(shown.contains(link), "{shown}");
    }
}

/// 9 GiB of nothing: more than a field of a tar header holds. Long, so only with `RELPACK_FULL=1`.
#[test]
fn a_file_of_9_gib_is_packed() {
    if !crate::common::full() {
        println!("left out: RELPACK_FULL=1 runs it");
        return;
    }
    let (_temp, dir) = place();
    fs::File::create(dir.join("build/large"))
        .unwrap()
        .set_len(9 << 30)
        .unwrap();
    let output = verb("build").arg("-C").arg(&dir).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let deb = dir.join("dist/acme_1.4.0_all.deb");
    ok(verb("verify").arg(&deb));
    let listed = ok(Command::new("dpkg-deb").arg("-c").arg(&deb));
    assert!(listed.contains(&(9_u64 << 30).to_string()), "{listed}");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused_or_whole() {
    let (_temp, dir) = place();
    let busy = dir.join("build/busy.log");
    fs::write(&busy, vec![b'x'; 8 << 20]).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (busy, stop) = (busy.clone(), std::sync::Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut file = fs::File::options().append(true).open(busy).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"a line\n").unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        })
    };
    // Mostly the first one; where the writer didn't get a turn, what was packed is whole.
    let refused = (0..50).any(|_| {
        let output = build(&dir);
        let said = both(&output);
        let refused = match output.status.code() {
            Some(0) => {
                ok(verb("verify").arg(dir.join("dist/acme_1.4.0_all.deb")));
                false
            }
            Some(1) => {
                assert!(
                    said.contains("\"busy.log\" changed while it was being packed"),
                    "{said}"
                );
                assert!(said.contains("(hint: "), "{said}");
                assert!(names(&dir.join("dist")).is_empty(), "something was written");
                true
            }
            other => panic!("{other:?}: {said}"),
        };
        let _ = fs::remove_dir_all(dir.join("dist"));
        refused
    });
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    assert!(refused, "none of the builds was refused");
    assert!(build(&dir).status.success(), "when nothing writes to it any more");
}

#[test]
fn wrong_arguments_are_refused() {
    let (_temp, dir) = place();
    for arguments in [
        &["--version", "1.0\nDepends: evil"][..],
        &["--version", "../x"],
        &["--version", ""],
        &["--format", "rpm"],
    ] {
        fails(verb("build").arg("-C").arg(&dir).args(arguments), 2);
    }
    assert!(!dir.join("dist").exists());
}
