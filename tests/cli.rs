//! The command line: what a build writes, and which version and architecture it has.

use std::fs;

use crate::common::{application, fails, ok, relpack, write};
use serde_json::Value;

pub(crate) fn json(text: &str) -> Value {
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
