//! The command line: what each verb prints, writes and exits with.

use std::fs;

use crate::common::{application, expect_recorded, fails, ok, relpack, write};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn build_writes_every_format_and_says_what_it_made() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let formats = ["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"];
    let built = json(&ok(relpack()
        .arg("build")
        .arg("-C")
        .arg(&dir)
        .args(formats)
        .arg("--json")));
    assert_eq!(
        (&built["name"], &built["version"], &built["architecture"]),
        (&"acme".into(), &"1.4.0".into(), &"all".into())
    );
    let artifacts = built["artifacts"].as_array().unwrap();
    let names = ["acme_1.4.0_all.deb", "acme-1.4.0-all.tar.zst", "acme-1.4.0-all.tar.gz"];
    assert_eq!(artifacts.len(), names.len());
    for (artifact, name) in artifacts.iter().zip(names) {
        let path = dir.join("dist").join(name);
        assert_eq!(artifact["path"].as_str().unwrap(), path.to_str().unwrap());
        assert_eq!(artifact["size"].as_u64().unwrap(), fs::metadata(&path).unwrap().len());
        let sum = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
        assert!(
            String::from_utf8(sum.stdout)
                .unwrap()
                .starts_with(artifact["sha256"].as_str().unwrap())
        );
        let verified = json(&ok(relpack().arg("verify").arg(&path).arg("--json")));
        assert_eq!(verified["release_id"], built["release_id"]);
        let shown = json(&ok(relpack().arg("inspect").arg(&path).arg("--json")));
        assert_eq!(shown["release_id"], built["release_id"]);
        assert_eq!(shown["units"].as_array().unwrap().len(), 5);
    }
    assert_eq!(
        fs::read_dir(dir.join("dist")).unwrap().count(),
        3,
        "nothing else is left"
    );
    assert!(ok(relpack().arg("build").arg("-C").arg(&dir)).contains(built["release_id"].as_str().unwrap()));
}

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
fn plan_shows_everything_and_writes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let plan = json(&ok(relpack()
        .arg("build")
        .arg("-C")
        .arg(&dir)
        .args(["--plan", "--json"])));
    assert!(!dir.join("dist").exists());
    let built = json(&ok(relpack().arg("build").arg("-C").arg(&dir).arg("--json")));
    assert_eq!(plan["release_id"], built["release_id"], "the plan knows the id");
    assert_eq!(
        plan["control"]["Depends"].as_str().unwrap().split(", ").next().unwrap(),
        "nodejs (>= 18)"
    );
    let paths: Vec<&str> = plan["release"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["path"].as_str().unwrap())
        .collect();
    assert!(paths.contains(&"bin/serve") && paths.contains(&"empty") && paths.contains(&".relpack/settings"));
    assert!(!paths.contains(&"public/app.js.map"), "excluded");
    let text = ok(relpack().arg("build").arg("-C").arg(&dir).arg("--plan"));
    assert!(
        text.contains("acme.service") && text.contains("restart, gated by http"),
        "{text}"
    );
}

#[test]
fn the_manifest_is_what_sha256sum_reads() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    ok(relpack().arg("build").arg("-C").arg(&dir).args(["--format", "tar.gz"]));
    let artifact = dir.join("dist/acme-1.4.0-all.tar.gz");
    let manifest = ok(relpack().arg("inspect").arg(&artifact).arg("--manifest"));
    let unpacked = std::process::Command::new("tar")
        .arg("-xzf")
        .arg(&artifact)
        .arg("-C")
        .arg(&dir)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let release = dir.join("acme-1.4.0-all/release");
    assert_eq!(
        fs::read_to_string(dir.join("acme-1.4.0-all/release.manifest")).unwrap(),
        manifest
    );
    write(&dir.join("manifest"), &manifest, 0o644);
    let check = std::process::Command::new("sha256sum")
        .args(["-c", "--strict", "--quiet"])
        .arg(dir.join("manifest"))
        .current_dir(&release)
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", crate::common::both(&check));
}

#[test]
fn the_version_on_the_command_line_wins_and_does_not_change_the_release() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let first = json(&ok(relpack().arg("build").arg("-C").arg(&dir).arg("--json")));
    let second = json(&ok(relpack().arg("build").arg("-C").arg(&dir).args([
        "--json",
        "--version",
        "1:2.0~rc1-3",
    ])));
    assert_eq!(second["version"], "1:2.0~rc1-3");
    assert_eq!(first["release_id"], second["release_id"]);
    assert!(dir.join("dist/acme_2.0~rc1-3_all.deb").exists());
    let said = fails(
        relpack().arg("build").arg("-C").arg(&dir).args(["--version", "v1_0"]),
        2,
    );
    assert!(said.contains("v1_0"), "{said}");
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
fn a_build_into_its_own_source_does_not_pack_what_it_made() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let build = || {
        relpack()
            .args([
                "build", "--json", "--out", "build", "--format", "deb", "--format", "tar.gz", "-C",
            ])
            .arg(&dir)
            .output()
            .unwrap()
    };
    let first = build();
    assert!(
        !crate::common::both(&first).contains("left out"),
        "{}",
        crate::common::both(&first)
    );
    let second = build();
    let said = crate::common::both(&second);
    for name in ["acme_1.4.0_all.deb", "acme-1.4.0-all.tar.gz"] {
        assert!(said.contains(&format!("\"{name}\" is left out")), "{said}");
    }
    assert_eq!(first.stdout, second.stdout, "the same release, bytes and all");
}

#[test]
fn an_elf_file_that_a_unit_runs_decides_the_architecture() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    // An ELF64 header for AArch64; nothing here is executed.
    let mut arm = vec![0u8; 64];
    arm[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (arm[16], arm[18], arm[20], arm[52]) = (2, 183, 1, 64);
    fs::write(dir.join("build/prebuilt.node"), &arm).unwrap();
    let only = json(&ok(relpack()
        .arg("build")
        .arg("-C")
        .arg(&dir)
        .args(["--plan", "--json"])));
    assert_eq!(only["architecture"], "arm64", "the only one found");
    fs::copy("/bin/true", dir.join("build/bin/serve")).unwrap();
    ok(relpack().arg("lock").arg("-C").arg(&dir));
    let output = relpack()
        .arg("build")
        .arg("-C")
        .arg(&dir)
        .args(["--plan", "--json"])
        .output()
        .unwrap();
    let host = std::process::Command::new("dpkg")
        .arg("--print-architecture")
        .output()
        .unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    assert_eq!(
        json(&String::from_utf8(output.stdout).unwrap())["architecture"],
        host.trim()
    );
    if host.trim() != "arm64" {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("warning: 1 ELF file(s) are for another architecture"),
            "{said}"
        );
        // What the configuration says goes before what the files say, and has to be true of what runs.
        let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
        let declare = |arch: &str| {
            let line = format!("[package]\narchitecture = \"{arch}\"");
            fs::write(dir.join("relpack.toml"), config.replacen("[package]", &line, 1)).unwrap();
            relpack()
                .arg("build")
                .arg("-C")
                .arg(&dir)
                .args(["--plan", "--json"])
                .output()
                .unwrap()
        };
        let said = String::from_utf8(declare(host.trim()).stderr).unwrap();
        assert!(
            said.contains("warning: 1 ELF file(s) are for another architecture"),
            "{said}"
        );
        let refused = declare("arm64");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains("bin/serve"), "{said}");
    }
}

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
