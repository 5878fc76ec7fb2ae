//! Every rendered script: golden, accepted by dash and shellcheck, and without a left-over token.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{application, expect_recorded, ok, relpack};

/// Script name → text, as they are in a package.
fn rendered(dir: &Path) -> Vec<(String, PathBuf)> {
    ok(relpack().arg("build").arg("-C").arg(application(dir)));
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
    scripts
}

#[test]
fn rendered_scripts_are_as_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let scripts = rendered(temp.path());
    let texts: Vec<(&str, String)> = scripts
        .iter()
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
