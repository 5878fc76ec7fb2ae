//! `relpack lock`: what programs need becomes packages of this machine's Debian; and `build` reads only that.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{application, fails, full, ok, relpack, write};
use serde_json::Value;

/// Compiles C; with `soname`, a library.
pub(crate) fn compile(source: &str, out: &Path, arguments: &[&str]) {
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    let text = out.with_extension("c");
    fs::write(&text, source).unwrap();
    ok(Command::new("gcc").arg("-o").arg(out).arg(&text).args(arguments));
    fs::remove_file(text).unwrap();
}

pub(crate) fn verb(name: &str, dir: &Path) -> Command {
    let mut command = relpack();
    command.arg(name).arg("-C").arg(dir);
    command
}

pub(crate) fn lock(dir: &Path) -> String {
    ok(&mut verb("lock", dir));
    fs::read_to_string(dir.join("relpack.lock")).unwrap()
}

pub(crate) fn depends(dir: &Path) -> BTreeSet<String> {
    let plan: Value = serde_json::from_str(&ok(verb("build", dir).args(["--plan", "--json"]))).unwrap();
    let depends = plan["control"]["Depends"].as_str().unwrap();
    depends.split(", ").map(String::from).collect()
}

/// What dpkg's own tool finds for a program.
fn shlibdeps(program: &Path) -> BTreeSet<String> {
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("debian/control"),
        "Source: x\n\nPackage: x\nArchitecture: any\n",
        0o644,
    );
    let said = ok(Command::new("dpkg-shlibdeps")
        .args(["-O", "--ignore-missing-info"])
        .arg(program)
        .current_dir(temp.path())
        .stderr(std::process::Stdio::null()));
    let list = said.trim().strip_prefix("shlibs:Depends=").unwrap_or_default();
    list.split(", ")
        .filter(|relation| !relation.is_empty())
        .map(String::from)
        .collect()
}

pub(crate) const PROGRAM: &str = "\
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
int main(int argc, char **argv) { char b[8]; getrandom(b, 8, 0); printf(\"%f\\n\", pow(argc, atof(argv[0]))); return 0; }
";

#[test]
fn a_program_brings_the_packages_of_its_libraries() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    compile(PROGRAM, &dir.join("build/bin/serve"), &["-lm"]);
    let said = fails(&mut verb("build", &dir), 1);
    assert!(
        said.contains("\"bin/serve\" needs libc.so.6 (and 1 more library is needed)")
            && said.contains("run `relpack lock`"),
        "{said}"
    );
    assert!(!dir.join("dist").exists());

    let text = lock(&dir);
    assert_eq!(lock(&dir), text, "the same needs give the same bytes");
    for part in [
        "[library.\"libc.so.6\"]",
        "[library.\"libm.so.6\"]",
        "by = \"bin/serve\"",
        "\"GLIBC_2.34\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let depends = depends(&dir);
    let libc: Vec<&String> = depends
        .iter()
        .filter(|relation| relation.starts_with("libc6 "))
        .collect();
    let expected = shlibdeps(&dir.join("build/bin/serve"));
    assert_eq!(libc, expected.iter().collect::<Vec<_>>());
    assert!(depends.contains("nodejs (>= 18)"), "what is written stays: {depends:?}");

    ok(&mut verb("build", &dir));
    let said = ok(verb("lock", &dir).arg("--json"));
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        shown["needs"].as_array().unwrap().len(),
        4,
        "two libraries, curl's and sh's program: {said}"
    );
}

/// Package managers of JavaScript link whole directories, and programs by their names.
#[test]
fn what_runs_is_what_a_link_leads_to() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let tool = dir.join("build/node_modules/.pnpm/next/node_modules/next/bin/next");
    write(&tool, "#!/usr/bin/env node\n", 0o755);
    symlink(".pnpm/next/node_modules/next", dir.join("build/node_modules/next")).unwrap();
    fs::create_dir(dir.join("build/node_modules/.bin")).unwrap();
    symlink("../next/bin/next", dir.join("build/node_modules/.bin/next")).unwrap();
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    for program in ["node_modules/.bin/next", "node_modules/next/bin/next"] {
        let text = config.replacen("bin/serve", program, 1);
        assert_ne!(text, config);
        fs::write(dir.join("relpack.toml"), text).unwrap();
        assert!(lock(&dir).contains("[program.\"/usr/bin/node\"]"), "{program}");
        ok(&mut verb("build", &dir));
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o644)).unwrap();
        let said = fails(&mut verb("build", &dir), 1);
        assert!(
            said.contains(&format!("runs {program}, which is not executable"))
                && said.contains("chmod +x node_modules/.pnpm/next/node_modules/next/bin/next"),
            "{said}"
        );
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The program of the release's architecture, and a text that only has a library's name.
    compile(PROGRAM, &dir.join("build/libexec/serve"), &["-lm"]);
    symlink("../libexec/serve", dir.join("build/bin/linked")).unwrap();
    write(&dir.join("build/test/libm.so.6"), "no library\n", 0o644);
    fs::write(dir.join("relpack.toml"), config.replacen("bin/serve", "bin/linked", 1)).unwrap();
    let text = lock(&dir);
    assert!(
        text.contains("[library.\"libm.so.6\"]") && !text.contains("architecture = \"all\""),
        "{text}"
    );
    // What a migration runs is needed as well.
    let migrates: String = config
        .lines()
        .map(|line| match line.starts_with("exec = ") {
            true => "exec = \"/usr/bin/curl --version\"\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(dir.join("relpack.toml"), migrates).unwrap();
    let said = crate::common::both(&verb("build", &dir).output().unwrap());
    assert!(
        said.contains("needs /usr/bin/curl, which the lock file does not cover"),
        "{said}"
    );
}

#[test]
fn what_the_lock_does_not_cover_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    compile(PROGRAM, &dir.join("build/bin/serve"), &["-lm"]);
    let text = lock(&dir);
    let refused = |changed: &str, what: &str| {
        assert_ne!(changed, text);
        fs::write(dir.join("relpack.lock"), changed).unwrap();
        let said = fails(&mut verb("build", &dir), 1);
        assert!(said.contains(what), "{said}");
        said
    };
    let said = refused(
        &text.replace("\"GLIBC_2.34\"", "\"GLIBC_2.2.5\""),
        "needs GLIBC_2.34 of libc.so.6",
    );
    assert!(said.contains("(hint: run `relpack lock`"), "{said}");
    refused(
        &text.replace("library.\"libm.so.6\"", "library.\"libx.so.6\""),
        "needs libm.so.6",
    );
    refused(
        &text.replace("architecture = \"", "architecture = \"s390x\" # \""),
        "is for s390x",
    );
    let said = refused(&text.replace("libc6 (", "libc6, evil ("), "relpack.lock:");
    assert!(said.contains("several relations"), "{said}");
    refused(&text.replace("format = 1", "format = 2"), "not known to this relpack");
    lock(&dir);
    assert_eq!(
        fs::read_to_string(dir.join("relpack.lock")).unwrap(),
        text,
        "a broken lock is made anew"
    );
    ok(&mut verb("build", &dir));
}

#[test]
fn what_the_release_brings_is_not_needed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let lib = dir.join("build/lib");
    compile(
        "int own(void) { return 1; }",
        &lib.join("libown.so.1"),
        &["-shared", "-fPIC", "-Wl,-soname,libown.so.1", "-nostdlib"],
    );
    let at = format!("-L{}", lib.display());
    compile(
        "int own(void); int main(void) { return own(); }",
        &dir.join("build/bin/serve"),
        &[&at, "-l:libown.so.1"],
    );
    let text = lock(&dir);
    assert!(text.contains("libc.so.6") && !text.contains("libown"), "{text}");
    ok(&mut verb("build", &dir));

    fs::remove_file(lib.join("libown.so.1")).unwrap();
    let said = fails(&mut verb("build", &dir), 1);
    assert!(said.contains("\"bin/serve\" needs libown.so.1"), "{said}");
    let said = fails(&mut verb("lock", &dir), 1);
    assert!(said.contains("which no package of \"/\" brings"), "{said}");
    assert!(said.contains("put the library into the release"), "{said}");
    assert!(said.contains("name it in [lock] optional"), "{said}");

    // Hosts get it elsewhere, or do without: with a reason, and not longer than something needs it.
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let optional = |library: &str| {
        let more = format!("[lock]\noptional = {{ {library:?} = \"a driver that its vendor installs\" }}\n");
        write(&dir.join("relpack.toml"), &format!("{config}{more}"), 0o644);
    };
    optional("libown.so.1");
    let text = lock(&dir);
    assert!(text.contains("libc.so.6") && !text.contains("libown"), "{text}");
    let output = verb("build", &dir).output().unwrap();
    assert!(output.status.success(), "{}", crate::common::both(&output));
    assert!(
        !crate::common::both(&output).contains("lock.optional"),
        "{}",
        crate::common::both(&output)
    );
    optional("libother.so.2");
    fails(&mut verb("lock", &dir), 1);
    write(&dir.join("relpack.toml"), &config, 0o644);
    fs::copy("/bin/true", dir.join("build/bin/serve")).unwrap();
    optional("libown.so.1");
    let output = verb("lock", &dir).output().unwrap();
    assert!(
        crate::common::both(&output).contains("lock.optional: nothing needs libown.so.1 (hint: remove it"),
        "{}",
        crate::common::both(&output)
    );
    write(&dir.join("relpack.toml"), &config, 0o644);

    compile(
        "int main(void) { return 0; }",
        &dir.join("build/bin/serve"),
        &["-static"],
    );
    fs::remove_file(dir.join("relpack.lock")).unwrap();
    ok(&mut verb("build", &dir));
}

#[test]
fn files_that_only_look_like_elf_are_packed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let mut state = 7_u64;
    let program = fs::read("/bin/true").unwrap();
    for i in 0..40 {
        let mut damaged = program.clone();
        for _ in 0..30 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            // Ident and machine stay, so that it counts as one of this machine.
            let at = 20 + (state >> 33) as usize % (damaged.len() - 20);
            damaged[at] = (state >> 24) as u8;
        }
        fs::write(dir.join(format!("build/public/{i}")), damaged).unwrap();
    }
    fs::write(dir.join("build/public/cut"), &program[..200]).unwrap();
    fs::write(dir.join("build/public/short"), b"\x7fELF").unwrap();
    let output = verb("lock", &dir).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        crate::common::both(&output)
    );
    for path in fs::read_dir(dir.join("build/public"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.file_name().unwrap().to_string_lossy().parse::<u32>().is_ok() {
            fs::remove_file(path).unwrap();
        }
    }
    let output = verb("lock", &dir).output().unwrap();
    let said = crate::common::both(&output);
    assert!(
        output.status.success() && said.contains("\"public/cut\" begins as an ELF file"),
        "{said}"
    );
    ok(&mut verb("build", &dir));
}

/// The programs of this machine, against dpkg's own tool: `RELPACK_FULL=1` takes all of them.
#[test]
fn bounds_are_those_of_dpkg_shlibdeps() {
    let mut programs: Vec<_> = fs::read_dir("/usr/bin")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    programs.sort();
    programs.retain(|path| {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
            && fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
    });
    let every = if full() { 1 } else { programs.len() / 6 + 1 };
    let mut compared = 0;
    for program in programs.iter().step_by(every) {
        let temp = tempfile::tempdir().unwrap();
        let dir = application(temp.path());
        let copy = dir.join("build/bin/serve");
        fs::copy(program, &copy).unwrap();
        // Some are setgid, which a release is not.
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let output = verb("lock", &dir).arg("--json").output().unwrap();
        assert!(output.status.success(), "{program:?}: {}", crate::common::both(&output));
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours: BTreeSet<String> = shown["needs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|need| need["kind"] == "library")
            .flat_map(|need| need["depends"].as_array().unwrap().clone())
            .map(|relation| relation.as_str().unwrap().to_owned())
            .collect();
        let theirs = shlibdeps(program);
        // Several libraries of one package are merged there, and here when the package is built.
        let merged: BTreeSet<String> = ours
            .iter()
            .filter(|relation| !ours.iter().any(|other| other != *relation && stronger(other, relation)))
            // A library for a package's own programs has no bounds, and dpkg's tool leaves it out.
            .filter(|relation| relation.contains(" (") || theirs.contains(*relation))
            .cloned()
            .collect();
        assert_eq!(merged, theirs, "{program:?}: {ours:?}");
        compared += 1;
    }
    assert!(compared >= 5, "{compared} programs");
}

/// Of two lower bounds on one package.
fn stronger(a: &str, b: &str) -> bool {
    let split = |text: &str| -> (String, String) {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let bound = rest.trim_start_matches("(>= ").trim_end_matches(')');
        (
            name.to_owned(),
            if bound.is_empty() {
                "0~~".into()
            } else {
                bound.to_owned()
            },
        )
    };
    let ((name, version), (other, lower)) = (split(a), split(b));
    let dpkg = Command::new("dpkg")
        .args(["--compare-versions", &version, "gt", &lower])
        .status();
    name == other && dpkg.unwrap().success()
}
