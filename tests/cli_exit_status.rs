//! The exit status of the verbs, and what they say and leave behind where something is wrong.

use std::fs;

use crate::cli::json;
use crate::common::{application, fails, ok, relpack, write};

/// What the configuration says of the files, and the files don't bear out, stands at its line, in `build` as in `check`.
#[test]
fn what_the_disk_makes_of_a_key_is_shown_at_its_line() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let toml = dir.join("relpack.toml");
    let cases = [
        (
            "source = \"build\"",
            "source = \"nowhere\"",
            "error",
            "release.source: can't read the source directory",
        ),
        (
            "exclude = [\"**/*.map\"]",
            "exclude = [\n  \"**/*.map\",\n  \"docs/\",\n]",
            "warning",
            "release.exclude: \"docs/\" matches nothing",
        ),
        (
            "exclude = [\"**/*.map\"]",
            "exclude = [\"!x\"]",
            "error",
            "release.exclude: \"!x\" starts with '!'",
        ),
        (
            "[env]",
            "[shared]\nlinks.\"bin/serve\" = \"serve\"\n[env]",
            "error",
            "shared.links: bin/serve is to be a link into shared/, but the source has a file there",
        ),
        (
            "[env]",
            "[shared.links]\n\"public\" = \"public\"\n[env]",
            "error",
            "shared.links: public is to be a link into shared/, but the source has \"public/app.js\" in it",
        ),
        (
            "[env]",
            "[secrets]\nallow = { \"bin/serve\" = \"a test\" }\n[env]",
            "warning",
            "secrets.allow: no secret is at \"bin/serve\"",
        ),
    ];
    for (from, to, severity, message) in cases {
        let text = crate::common::CONFIG.replacen(from, to, 1);
        write(&toml, &text, 0o644);
        // The last line that is new and has quotes holds what is meant.
        let new = to.lines().rev().find(|line| line.contains('"') && !from.contains(line));
        let line = 1 + text.lines().position(|line| Some(line) == new).unwrap();
        let status = i32::from(severity == "error");
        let output = relpack().args(["check", "--json", "-C"]).arg(&dir).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{message}");
        let found = json(&String::from_utf8(output.stdout).unwrap());
        let found = found
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["message"].as_str().unwrap().starts_with(message));
        let found = found.unwrap_or_else(|| panic!("{message} is not found"));
        assert_eq!(
            (&found["line"], &found["severity"]),
            (&line.into(), &severity.into()),
            "{found}"
        );
        assert!(found["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{found}");
        let output = relpack().args(["build", "--plan", "-C"]).arg(&dir).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{message}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("relpack.toml:{line}:")), "{said}");
    }
}

#[test]
fn wrong_input_is_status_1_and_every_mistake_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let config = crate::common::CONFIG
        .replace("bin/serve", "bin/missing")
        .replace("bin/backup", "public/app.js");
    write(&dir.join("relpack.toml"), &config, 0o644);
    let said = fails(relpack().arg("build").arg("-C").arg(&dir), 1);
    assert!(
        said.contains("acme.service: ExecStart= runs bin/missing, which is not in the release"),
        "{said}"
    );
    assert!(
        said.contains("acme-backup.service: ExecStart= runs public/app.js, which is not executable"),
        "{said}"
    );
    assert!(said.matches("help: ").count() >= 2, "{said}");
    assert!(!dir.join("dist").exists(), "nothing is written");

    write(
        &dir.join("relpack.toml"),
        &crate::common::CONFIG.replace("[release]", "[releese]"),
        0o644,
    );
    let said = fails(relpack().arg("build").arg("-C").arg(&dir), 1);
    assert!(
        said.contains("relpack.toml:9") && said.contains("did you mean"),
        "{said}"
    );
    let said = fails(relpack().arg("build").arg("-C").arg(dir.join("nowhere")), 1);
    assert!(said.contains("does not exist"), "{said}");
    fails(relpack().arg("biuld"), 2);
}

#[test]
fn a_configuration_that_leads_nowhere_is_status_1() {
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("relpack.toml", temp.path().join("relpack.toml")).unwrap();
    let said = fails(relpack().arg("build").arg("-C").arg(temp.path()), 1);
    assert!(
        said.contains("relpack.toml") && said.contains("help: check the path"),
        "{said}"
    );
}

#[test]
fn a_version_that_no_file_can_be_called_after_is_told_at_its_line() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let text = crate::common::CONFIG.replace("1.4.0", &"1".repeat(250));
    write(&dir.join("relpack.toml"), &text, 0o644);
    let said = fails(relpack().arg("build").arg("-C").arg(&dir), 1);
    assert!(
        said.contains("relpack.toml:4") && said.contains("too long for the name of a file"),
        "{said}"
    );
    let checked = relpack().arg("check").arg("-C").arg(&dir).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
}

#[test]
fn verify_tells_a_changed_or_damaged_artifact_by_status_3() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    ok(relpack().arg("build").arg("-C").arg(&dir));
    let deb = dir.join("dist/acme_1.4.0_all.deb");
    let bytes = fs::read(&deb).unwrap();
    let (open, changed) = (dir.join("open"), dir.join("changed.deb"));
    ok(std::process::Command::new("dpkg-deb").arg("-R").arg(&deb).arg(&open));
    let unit = open.join("usr/lib/systemd/system/acme.service");
    fs::write(
        &unit,
        fs::read_to_string(&unit).unwrap().replace("--port 3000", "--port 4000"),
    )
    .unwrap();
    ok(std::process::Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zgzip", "-b"])
        .arg(&open)
        .arg(&changed));
    let said = fails(relpack().arg("verify").arg(&changed), 3);
    let output = relpack().arg("verify").arg(&changed).arg("--json").output().unwrap();
    let object = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(3));
    assert!(
        object["release_id"].is_string() && object["mismatches"][0].is_string(),
        "{object}"
    );
    assert!(
        said.contains("unit acme.service is delivered with another text than the release's"),
        "{said}"
    );
    assert!(
        said.contains("usr/lib/systemd/system/acme.service"),
        "its md5 is not the listed one: {said}"
    );
    fs::write(&deb, &bytes[..bytes.len() / 2]).unwrap();
    fails(relpack().arg("verify").arg(&deb), 3);
    let damaged = relpack().arg("verify").arg("--json").arg(&deb).output().unwrap();
    let object = json(&String::from_utf8_lossy(&damaged.stdout));
    assert_eq!(damaged.status.code(), Some(3));
    assert!(
        object["release_id"].is_null() && object["mismatches"][0].is_string(),
        "{object}"
    );
    fails(relpack().arg("inspect").arg(&deb), 1);
    fails(relpack().arg("verify").arg(dir.join("nowhere.deb")), 1);
}

#[test]
fn a_full_or_forbidden_output_is_status_4_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    write(&dir.join("dist"), "a file is in the way", 0o644);
    let said = fails(relpack().arg("build").arg("-C").arg(&dir), 4);
    assert!(
        said.contains("dist") && said.contains("a file is in its place"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(dir.join("dist")).unwrap(), "a file is in the way");
    fs::create_dir_all(dir.join("out/acme_1.4.0_all.deb")).unwrap();
    let said = fails(
        relpack()
            .args(["build", "--out", "out", "-C"])
            .arg(&dir)
            .current_dir(&dir),
        4,
    );
    assert!(said.contains("a directory is in its place"), "{said}");
}
