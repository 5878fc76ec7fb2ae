//! What the verbs print: JSON for machines, and for a person what is recorded.

use std::fs;

use crate::cli::json;
use crate::common::{application, expect_recorded, ok, relpack, write};

/// One object on the standard output; gives its first error.
fn fails_in_json(output: &std::process::Output, status: i32, says: &str) -> serde_json::Value {
    let shown = crate::common::both(output);
    let object = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        (output.status.code(), &object["status"]),
        (Some(status), &status.into()),
        "{shown}"
    );
    let error = object["errors"][0].clone();
    assert!(error["message"].as_str().unwrap().contains(says), "{says}: {shown}");
    assert!(error["severity"] == "error" && error["hint"].is_string(), "{shown}");
    assert!(!output.stderr.is_empty(), "a person reads it as well");
    error
}

/// What a machine may want to read is one JSON value on the standard output, also where something is wrong.
#[test]
fn every_report_has_a_form_for_machines() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(&temp.path().join("app"));
    let new = temp.path().join("new");
    write(&new.join("index.html"), "<p>x</p>", 0o644);
    let at = |dir: &std::path::Path| dir.display().to_string();
    let deb = at(&dir.join("dist/acme_1.4.0_all.deb"));
    for (arguments, key) in [
        (vec!["init", "-C", &at(&new), "--json"], "/runtime"),
        (vec!["lock", "-C", &at(&dir), "--json"], "/needs"),
        (vec!["check", "-C", &at(&dir), "--json"], "/0/severity"),
        (vec!["build", "-C", &at(&dir), "--plan", "--json"], "/settings"),
        (vec!["build", "-C", &at(&dir), "--json"], "/artifacts/0/sha256"),
        (vec!["inspect", &deb, "--json"], "/units/0/name"),
        (vec!["verify", &deb, "--json"], "/mismatches"),
        (vec!["diff", &deb, &deb, "--json"], "/on_host/same_release"),
        (vec!["explain", "preset", "--json"], "/0"),
        (vec!["explain", "preset", "node", "--json"], "/directives/0/reason"),
        (vec!["explain", "lint", "--json"], "/0/title"),
        (vec!["explain", "lint", "exposure", "--json"], "/text"),
        (vec!["schema"], "/properties/package"),
    ] {
        let value = json(&ok(relpack().args(&arguments)));
        assert!(value.pointer(key).is_some(), "{arguments:?}: {value:#}");
    }
    assert!(new.join("relpack.toml").exists());
    // There is one already.
    let again = relpack().args(["init", "--json", "-C"]).arg(&new).output().unwrap();
    let error = fails_in_json(&again, 1, "is there already");
    assert_eq!(error["file"], at(&new.join("relpack.toml")), "{error:#}");
    let at_new = dir.join("dist");
    // A file stands where the directory has to be.
    fs::remove_dir_all(&at_new).unwrap();
    fs::write(&at_new, "x").unwrap();
    let build = |more: &[&str]| {
        relpack()
            .args(["build", "--json", "-C"])
            .arg(&dir)
            .args(more)
            .output()
            .unwrap()
    };
    fails_in_json(&build(&[]), 4, "dist");
    let nowhere = at(&dir.join("nowhere.deb"));
    let text = at(&dir.join("relpack.toml"));
    let folder = at(&new);
    for (verb, artifacts) in [
        ("inspect", vec![&nowhere]),
        ("verify", vec![&nowhere]),
        ("inspect", vec![&text]),
        ("verify", vec![&folder]),
        ("diff", vec![&text, &nowhere]),
    ] {
        let output = relpack().arg(verb).args(&artifacts).arg("--json").output().unwrap();
        let shown = artifacts[0].rsplit('/').next().unwrap();
        let error = fails_in_json(&output, 1, shown);
        assert_eq!(error["file"], artifacts[0].as_str(), "{error:#}");
    }
    let output = relpack().args(["explain", "lint", "none", "--json"]).output().unwrap();
    fails_in_json(&output, 1, "there is no lint");
    // What isn't said has its place where it could be.
    let without = |line: &str| {
        write(
            &dir.join("relpack.toml"),
            &crate::common::CONFIG.replace(line, ""),
            0o644,
        )
    };
    without("version = \"1.4.0\"\n");
    let error = fails_in_json(&build(&["--plan"]), 1, "no version is given");
    assert_eq!(error["line"], 2, "{error:#}");
    write(
        &dir.join("relpack.toml"),
        &crate::common::CONFIG.replace("bin/backup", "bin/bakcup"),
        0o644,
    );
    let error = fails_in_json(&build(&["--plan"]), 1, "bin/bakcup");
    assert_eq!(error["lint"], "exec-missing", "{error:#}");
    // Wrong: check says it there, with status 1.
    let broken = crate::common::CONFIG.replace("[release]", "[releese]");
    write(&dir.join("relpack.toml"), &broken, 0o644);
    let line = broken.lines().position(|line| line == "[releese]").unwrap() + 1;
    for arguments in [vec!["build"], vec!["build", "--plan"], vec!["lock"]] {
        let output = relpack()
            .args(arguments)
            .args(["--json", "-C"])
            .arg(&dir)
            .output()
            .unwrap();
        let error = fails_in_json(&output, 1, "releese");
        assert_eq!(
            (&error["line"], &error["column"]),
            (&line.into(), &2.into()),
            "{error:#}"
        );
        assert!(error["file"].as_str().unwrap().ends_with("relpack.toml"), "{error:#}");
    }
    let output = relpack().args(["check", "--json", "-C"]).arg(&dir).output().unwrap();
    let found = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(
        (output.status.code(), &found[0]["severity"]),
        (Some(1), &"error".into()),
        "{found:#}"
    );
}

/// Without what the scripts' text alone decides, which has its own golden files: their lengths, the artifacts' sums and sizes.
fn without_sums(text: &str) -> String {
    const OURS: [&str; 4] = [
        "/acme-release ",
        "/relpack-acme ",
        "/changelog.gz ",
        "/acme-release.1.gz ",
    ];
    let mask = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let varies = match words[..] {
            ["size", ..] | ["sha256", ..] => words[1..].join(" "),
            ["artifact", _, ref size @ ..] => size.join(" "),
            [_, length, "lines"] => length.to_owned(),
            [_, "0755" | "0644", ref size @ ..] if OURS.iter().any(|name| line.contains(name)) => size.join(" "),
            _ => return format!("{line}\n"),
        };
        format!("{}\n", line.replace(&varies, "…"))
    };
    text.lines().map(mask).collect()
}

#[test]
fn what_a_person_reads_is_as_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let out = temp.path().join("dist");
    let build = |more: &[&str]| {
        let mut command = relpack();
        command
            .arg("build")
            .arg("-C")
            .arg(&dir)
            .arg("--out")
            .arg(&out)
            .args(more);
        without_sums(&ok(&mut command).replace(&temp.path().display().to_string(), "…"))
    };
    let plan = build(&["--plan"]);
    let built = build(&["--format", "deb", "--format", "tar.zst"]);
    let read = |verb: &str, file: &str| without_sums(&ok(relpack().arg(verb).arg(out.join(file))));
    expect_recorded(
        "printed",
        &[
            ("plan", plan),
            ("build", built),
            ("inspect-deb", read("inspect", "acme_1.4.0_all.deb")),
            ("inspect-tarball", read("inspect", "acme-1.4.0-all.tar.zst")),
            ("verify", read("verify", "acme_1.4.0_all.deb")),
        ],
    );
}
