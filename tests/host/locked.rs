//! A program that needs a shared library: the lock finds the library's package, and apt installs it with the application.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::on_each_suite;
use crate::support::app::relpack;
use crate::support::repo::PlainDeb;
use crate::support::{App, Host, Suite, expect_same, root};

on_each_suite![from_outside_a_root_as_within; rotated: apt_brings_what_the_lock_says];

/// Programs in C, C++ and Python of the suite itself, and what each of them is sure to need.
const PROGRAMS: &[(&str, &str)] = &[
    ("usr/bin/curl", "libcurl4"),
    ("usr/bin/apt-get", "libstdc++6 (>= "),
    ("usr/bin/zstd", "libc6 (>= "),
];

/// Bound into the root, where it reads `/`: from there it can't see this machine.
const WITHIN: &str = r#"
mount -t tmpfs tmpfs "$ROOT/mnt"
mkdir "$ROOT/mnt/app"
touch "$ROOT/mnt/relpack"
mount --bind "$RELPACK" "$ROOT/mnt/relpack"
mount --bind "$APP" "$ROOT/mnt/app"
exec chroot "$ROOT" /mnt/relpack lock -C /mnt/app
"#;

fn from_outside_a_root_as_within(suite: Suite) {
    let temp = tempfile::tempdir().expect("make a temporary directory");
    let root = root::cached(suite, &[]);
    let dir = temp.path().join("app");
    fs::create_dir_all(dir.join("build/bin")).expect("can be made");
    for (program, _) in PROGRAMS {
        let name = Path::new(program).file_name().expect("it has a name");
        fs::copy(root.join(program), dir.join("build/bin").join(name)).expect("the root has it");
    }
    let report = dir.join("build/bin/report");
    fs::write(&report, "#!/usr/bin/python3\n").expect("can be written");
    fs::set_permissions(&report, fs::Permissions::from_mode(0o755)).expect("the mode can be set");
    fs::write(
        dir.join("relpack.toml"),
        format!(
            "[package]\nname = \"acme\"\nversion = \"1.0\"\ntarget = \"{suite}\"\nmaintainer = \"A <a@b.example>\"\n\
             description = \"x\"\n[release]\nsource = \"build\"\n[units.\"acme.service\"]\nService.ExecStart = \"bin/zstd\"\n"
        ),
    )
    .expect("can be written");
    let lock = dir.join("relpack.lock");
    let read = || fs::read_to_string(&lock).expect("the lock is written");

    let at = dir.display().to_string();
    relpack(&["lock", "-C", &at, "--root", &root.display().to_string()]).expect_ok();
    let outside = read();
    fs::remove_file(&lock).expect("it is there");
    let within = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-exc", WITHIN])
        .envs([("ROOT", root.as_os_str()), ("APP", dir.as_os_str())])
        .env("RELPACK", env!("CARGO_BIN_EXE_relpack"))
        .output()
        .expect("unshare runs");
    assert!(within.status.success(), "{}", String::from_utf8_lossy(&within.stderr));
    expect_same(&read(), &outside, "the lock made within, and by --root from outside");
    assert!(outside.contains(&format!("suite = \"{suite}\"")), "{outside}");
    for needed in PROGRAMS.iter().map(|(_, needed)| needed).chain([&"python3"]) {
        assert!(outside.contains(&format!("\"{needed}")), "no {needed}\n{outside}");
    }
}

/// The library in two versions, the second with one more function.
const LIBRARY: [(&str, &str); 2] = [
    ("1.0", "int greet_once(void) { return 0; }"),
    (
        "1.1",
        "int greet_once(void) { return 0; }\nint greet_twice(void) { return 0; }",
    ),
];
const SYMBOLS: &str = "libgreet.so.1 libgreet1 #MINVER#\n greet_once@Base 1.0\n greet_twice@Base 1.1\n";

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}\n{output:?}");
}

fn compile(source: &str, out: &Path, arguments: &[&str]) {
    let text = out.with_extension("c");
    fs::write(&text, source).unwrap_or_else(|e| panic!("write {}: {e}", text.display()));
    let (out, text) = (out.display().to_string(), text.display().to_string());
    run("gcc", &[&["-o", &out, &text][..], arguments].concat());
}

fn architecture() -> String {
    let output = Command::new("dpkg").arg("--print-architecture").output();
    String::from_utf8_lossy(&output.expect("dpkg is there").stdout)
        .trim()
        .to_owned()
}

/// `libgreet1`, as Debian would package it.
fn library(directory: &Path, version: &str, source: &str) -> PlainDeb {
    let built = directory.join(format!("libgreet-{version}"));
    compile(source, &built, &["-shared", "-fPIC", "-Wl,-soname,libgreet.so.1"]);
    PlainDeb::make(
        "libgreet1",
        version,
        &format!("Architecture: {}\n", architecture()),
        &[("usr/lib/libgreet.so.1", &fs::read(&built).expect("gcc made it"))],
        &[("symbols", SYMBOLS)],
    )
}

fn apt_brings_what_the_lock_says(suite: Suite) {
    let temp = tempfile::tempdir().expect("make a temporary directory");
    let libraries = LIBRARY.map(|(version, source)| library(temp.path(), version, source));

    // A root in which the library is installed, as a build host of the suite has it.
    let root = temp.path().join("root");
    for directory in [
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/dpkg/triggers",
        "usr/lib",
    ] {
        fs::create_dir_all(root.join(directory)).expect("can be made");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("can be written");
    fs::write(
        root.join("usr/lib/os-release"),
        format!("VERSION_CODENAME={}\n", suite.name()),
    )
    .expect("can be written");
    let at = format!("--root={}", root.display());
    run(
        "dpkg",
        &[
            &at,
            "--force-architecture,not-root",
            "-i",
            &libraries[1].path().display().to_string(),
        ],
    );
    // The C library is that of this machine.
    run(
        "sh",
        &[
            "-c",
            "cp /var/lib/dpkg/info/libc6*.symbols \"$0/var/lib/dpkg/info/\" && echo >>\"$0/var/lib/dpkg/status\" && dpkg-query -s libc6 >>\"$0/var/lib/dpkg/status\"",
            &root.display().to_string(),
        ],
    );

    let program = temp.path().join("greet");
    let lib = root.join("usr/lib");
    compile(
        "int greet_once(void); int greet_twice(void); int main(void) { return greet_once() + greet_twice(); }",
        &program,
        &[&format!("-L{}", lib.display()), "-l:libgreet.so.1"],
    );
    let app = App::new("1.0")
        .program("bin/greet", &program.display().to_string())
        .service_line("Service.ExecStartPre = \"bin/greet\"");
    let built = app.locked_on(&root).build();
    let shown = relpack(&["inspect", "--json", &built.path().display().to_string()]).expect_ok();
    assert!(shown.text().contains("libgreet1 (>= 1.1)"), "{shown}");

    let host = Host::boot(suite);
    host.repo.add(&host.m, &[libraries[0].path()]);
    host.repo.add(&host.m, &[built.path()]);
    // The older library does not do, and the host says so instead of starting a program that can't run.
    host.install("1.0").expect_failure().expect_says("libgreet1");
    host.repo.add(&host.m, &[libraries[1].path()]);
    host.install("1.0").expect_ok();
    host.all_well(&built, "1.0");
    host.m.ok("dpkg-query -W -f '${Version}' libgreet1").expect_says("1.1");
}
