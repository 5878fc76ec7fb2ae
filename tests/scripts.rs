//! Every rendered script: golden, accepted by dash and shellcheck, and without a left-over token.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{application, expect_recorded, ok, relpack};

/// Script name → text, as they are in a package.
fn rendered(dir: &Path) -> Vec<(String, PathBuf)> {
    let formats = ["--format", "deb", "--format", "tar.gz"];
    ok(relpack().arg("build").arg("-C").arg(application(dir)).args(formats));
    let deb = dir.join("dist/acme_1.4.0_all.deb");
    for (option, to) in [("-e", "control"), ("-x", "data")] {
        let status = Command::new("dpkg-deb")
            .arg(option)
            .arg(&deb)
            .arg(dir.join(to))
            .status()
            .unwrap();
        assert!(status.success());
    }
    let mut scripts: Vec<(String, PathBuf)> = ["preinst", "postinst", "prerm", "postrm"]
        .map(|name| (name.to_owned(), dir.join("control").join(name)))
        .into();
    scripts.push((
        "generator".to_owned(),
        dir.join("data/usr/lib/systemd/system-generators/relpack-acme"),
    ));
    scripts.push(("acme-release".to_owned(), dir.join("data/usr/bin/acme-release")));
    ok(Command::new("tar")
        .args(["-xzf", "dist/acme-1.4.0-all.tar.gz"])
        .current_dir(dir));
    let tarball = dir.join("acme-1.4.0-all");
    scripts.extend(["install", "rollback", "uninstall"].map(|name| (name.to_owned(), tarball.join(name))));
    let command = tarball.join("host/usr/bin/acme-release");
    scripts.push(("acme-release-of-tarball".to_owned(), command));
    scripts
}

#[test]
fn rendered_scripts_are_as_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let scripts = rendered(temp.path());
    let texts: Vec<(&str, String)> = scripts
        .iter()
        // It differs from the package's in what `install` differs in from its postinst.
        .filter(|(name, _)| name != "acme-release-of-tarball")
        .map(|(name, path)| (name.as_str(), fs::read_to_string(path).unwrap()))
        .collect();
    expect_recorded("scripts", &texts);
}

#[test]
fn dash_and_shellcheck_accept_every_script() {
    let temp = tempfile::tempdir().unwrap();
    for (name, path) in rendered(temp.path()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/sh\n"), "{name}");
        for word in text.split(|c: char| c.is_whitespace() || "'\"=/:".contains(c)) {
            let token = word.len() > 2 && word.starts_with('@') && word.ends_with('@');
            assert!(
                !token || word == "@RELPACK_RELEASE@",
                "{name} has a left-over token {word}"
            );
        }
        ok(Command::new("dash").arg("-n").arg(&path));
        // SC2317: a fragment is the same in every script, and not each of them calls all of it.
        ok(Command::new("shellcheck")
            .args(["--shell=sh", "--severity=style", "--exclude=SC2317"])
            .arg(&path));
    }
}

#[test]
fn an_unknown_argument_of_dpkg_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    for (name, path) in rendered(temp.path()).into_iter().take(4) {
        let output = Command::new("sh")
            .arg(&path)
            .arg("frobnicate")
            .env("DPKG_ROOT", temp.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(&format!("{name} called with unknown argument 'frobnicate'")),
            "{said}"
        );
    }
}

/// There, nothing would bind the units to the live release between the unpacking and the switch.
#[test]
fn a_host_with_a_lib_of_its_own_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let scripts = rendered(temp.path());
    let (_, preinst) = scripts.iter().find(|(name, _)| name == "preinst").unwrap();
    let root = temp.path().join("root");
    let begin = || {
        let mut command = Command::new("sh");
        command.arg(preinst).arg("install").env("DPKG_ROOT", &root);
        command
    };
    fs::create_dir_all(root.join("lib/systemd/system-generators")).unwrap();
    let said = crate::common::fails(&mut begin(), 1);
    assert!(said.contains("(hint: apt-get install usrmerge"), "{said}");
    assert!(!root.join("var").exists(), "something was written");
    // As a link, or without systemd, it is none of our business.
    fs::rename(root.join("lib"), root.join("usr")).unwrap();
    std::os::unix::fs::symlink("usr", root.join("lib")).unwrap();
    ok(&mut begin());
    fs::remove_file(root.join("lib")).unwrap();
    fs::create_dir(root.join("lib")).unwrap();
    ok(&mut begin());
}

/// The way back takes as long as the way there.
#[test]
fn a_revert_has_the_time_of_a_deploy() {
    let temp = tempfile::tempdir().unwrap();
    let scripts = rendered(temp.path());
    let (_, postinst) = scripts.iter().find(|(name, _)| name == "postinst").unwrap();
    let text = fs::read_to_string(postinst).unwrap();
    let start = text.find("revert_time() {").unwrap();
    let function = &text[start..start + text[start..].find("\n}\n").unwrap() + 3];
    for (from, to, seconds) in [
        ("60", "90", "300"),
        ("2700", "60", "2700"),
        ("60", "3600", "3600"),
        ("", "", "300"),
    ] {
        let script = format!(
            "set -eu\nsetting() {{ case $1 in from) echo {from} ;; to) echo {to} ;; *) return 1 ;; esac; }}\n{function}\
             j_from_id=from\nj_to_id=to\nrevert_time\nj_to_id=unreadable\nrevert_time"
        );
        let said = ok(Command::new("sh").args(["-c", &script]));
        assert_eq!(said.lines().next(), Some(seconds), "{from}, {to}");
        let alone = if from == "2700" { from } else { "300" };
        assert_eq!(said.lines().last(), Some(alone), "{from} alone");
    }
    assert!(text.contains("deadline=$(($(now) + $(revert_time)))"));
}

/// Where there is no dpkg, the scripts order versions themselves.
#[test]
fn a_tarball_orders_versions_as_dpkg_does() {
    let temp = tempfile::tempdir().unwrap();
    let scripts = rendered(temp.path());
    let (_, install) = scripts.iter().find(|(name, _)| name == "install").unwrap();
    let text = fs::read_to_string(install).unwrap();
    let start = text.find("version_is() {").unwrap();
    let function = &text[start..start + text[start..].find("\n}\n").unwrap() + 3];
    let versions = [
        "1.0", "1.0~rc1", "1.0~", "1.0+b1", "1.0-1", "1.00", "1.0a", "1.0.a", "1.10", "1.9", "1:0.1", "2.0~~a", "10",
        "1-2-4",
    ];
    let mut script = function.to_owned();
    script.push_str(&format!(
        "\nfor a in {0}; do for b in {0}; do for op in lt ge; do\n",
        versions.join(" ")
    ));
    script.push_str("if version_is $a $op $b; then x=y; else x=n; fi\n");
    script.push_str("if dpkg --compare-versions $a $op $b; then y=y; else y=n; fi\n");
    script.push_str("[ $x = $y ] || echo \"$a $op $b: $x instead of $y\"\ndone; done; done\n");
    assert_eq!(ok(Command::new("sh").args(["-c", &script])), "");
}
