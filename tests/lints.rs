//! `relpack check`, and docs/lints.md: every lint has its section, whose example triggers it and whose other way does not.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, relpack, write};
use relpack::lints::pages;
use relpack::model::{Lint, Weight};
use serde_json::Value;

pub(crate) const BASE: &str = r#"
[package]
name = "acme"
version = "1.4.0"
maintainer = "Acme Ops <ops@acme.example>"
description = "Acme web app"

[release]
source = "build"

"#;

/// The files that the examples speak of.
pub(crate) fn release(dir: &Path) {
    write(&dir.join("build/bin/serve"), "#!/bin/sh\nexec sleep 1\n", 0o755);
    write(&dir.join("build/bin/plain"), "echo plain\n", 0o644);
    write(
        &dir.join("build/venv/bin/gunicorn"),
        "#!/home/me/acme/venv/bin/python3\n",
        0o755,
    );
    symlink("/usr/bin/python3", dir.join("build/venv/bin/python3")).unwrap();
    write(&dir.join("build/server.js"), "process.exit(0)\n", 0o644);
    write(&dir.join("build/lib/module.cjs"), "", 0o644);
    write(&dir.join("build/dollar.env"), "DB=x\nURL=postgres://$DB/acme\n", 0o644);
    write(&dir.join("build/plain.env"), "URL=postgres://x/acme\n", 0o644);
}

/// Exit status and findings.
pub(crate) fn check(dir: &Path) -> (i32, Vec<Value>) {
    let output = relpack().args(["check", "--json", "-C"]).arg(dir).output().unwrap();
    let status = output.status.code().unwrap();
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", both(&output)));
    (status, found)
}

/// An environment into which `pip install -e .` has put its path.
fn editable(dir: &Path) {
    let environment = dir.join("build/editable");
    let path = "lib/python3.11/site-packages/_acme.pth";
    write(&environment.join(path), "/home/ci/acme/src\n", 0o644);
    fs::create_dir(environment.join("bin")).unwrap();
    symlink("/usr/bin/python3", environment.join("bin/python3")).unwrap();
}

pub(crate) fn check_text(config: &str) -> (i32, Vec<Value>) {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    // It is found in a release whichever unit uses it, so only those have it that speak of it.
    if config.contains("editable/") {
        editable(temp.path());
    }
    write(&temp.path().join("relpack.toml"), &format!("{BASE}{config}"), 0o644);
    check(temp.path())
}

pub(crate) fn named(found: &[Value], lint: Lint) -> Vec<&Value> {
    found.iter().filter(|f| f["lint"] == lint.name()).collect()
}

/// The fenced block of a section that starts with these words.
fn block<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("```{words}\n"))?;
    after.split_once("```").map(|(block, _)| block)
}

fn has_analyze() -> bool {
    Command::new("systemd-analyze").arg("--version").output().is_ok()
}

#[test]
fn every_lint_has_its_section_and_every_section_its_lint() {
    let document = include_str!("../docs/lints.md");
    let sections: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names: Vec<&str> = Lint::ALL.iter().map(|lint| lint.name()).collect();
    assert_eq!(sections, names, "the sections stand in the order of the list");
    for page in pages::all() {
        let refused = page.title().ends_with("*Refused.*");
        assert_eq!(refused, page.lint.weight() == Weight::Refused, "{}", page.lint);
    }
}

#[test]
fn every_section_has_an_example_that_triggers_it_and_one_that_does_not() {
    for page in pages::all() {
        if matches!(page.lint, Lint::Exposure | Lint::SystemdVerify) && !has_analyze() {
            eprintln!("{}: systemd-analyze is not here", page.lint);
            continue;
        }
        let bad = block(page.text, "toml triggers").unwrap_or_else(|| panic!("{} has no example", page.lint));
        let good = block(page.text, "toml instead").unwrap_or_else(|| panic!("{} has no other way", page.lint));
        let (status, found) = check_text(bad);
        let own = named(&found, page.lint);
        assert!(!own.is_empty(), "{}: {found:#?}", page.lint);
        let refused = page.lint.weight() == Weight::Refused;
        assert_eq!(status, i32::from(refused), "{}: {found:#?}", page.lint);
        for finding in own {
            assert_eq!(
                finding["severity"],
                if refused { "error" } else { "warning" },
                "{finding:#}"
            );
            assert!(finding["line"].is_u64() && finding["column"].is_u64(), "{finding:#}");
            assert!(
                finding["file"].as_str().unwrap().ends_with("relpack.toml"),
                "{finding:#}"
            );
            assert!(!finding["hint"].as_str().unwrap().is_empty(), "{finding:#}");
        }
        let (status, found) = check_text(good);
        assert_eq!(status, 0, "{}: {found:#?}", page.lint);
        assert!(named(&found, page.lint).is_empty(), "{}: {found:#?}", page.lint);
    }
}

#[test]
fn all_mistakes_are_said_at_once_at_their_places() {
    let (status, found) = check_text(
        r#"[defaults]
Service.User = "root"
[units."acme.service"]
Unit.After = "network-online.target"
Service.ExecStartPre = ["bin/serve x", "bin/none"]
Service.ExecStart = "bin/plain"
[migrate]
exec = "bin/gone"
like = "acme.service"
"#,
    );
    assert_eq!(status, 1);
    let base = BASE.lines().count() as u64;
    let places: BTreeSet<(&str, u64)> = found
        .iter()
        .filter_map(|f| Some((f["lint"].as_str()?, f["line"].as_u64()? - base)))
        .filter(|(lint, _)| !matches!(*lint, "exposure" | "systemd-verify"))
        .collect();
    let expected = [
        ("service-as-root", 2),
        ("network-online-not-wanted", 4),
        ("exec-missing", 5),
        ("exec-not-executable", 6),
        ("exec-missing", 8),
    ];
    assert_eq!(places, expected.into_iter().collect(), "{found:#?}");
    // Once, although a migration has two units.
    assert_eq!(named(&found, Lint::ExecMissing).len(), 2, "{found:#?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_with_its_place() {
    let (status, found) = check_text("[units.\"acme.service\"]\nService.ExecStrat = \"bin/serve\"\n");
    assert_eq!(status, 1);
    assert!(
        found
            .iter()
            .any(|f| f["message"].as_str().unwrap().contains("ExecStrat") && f["line"].is_u64())
    );
    let temp = tempfile::tempdir().unwrap();
    let (status, found) = check(temp.path());
    assert_eq!((status, found.len()), (1, 1), "{found:#?}");
    assert!(found[0]["message"].as_str().unwrap().contains("does not exist"));
}

#[test]
fn what_build_refuses_check_refuses() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"bin/serve\"\n");
    write(
        &temp.path().join("relpack.toml"),
        &config.replace("version = \"1.4.0\"\n", ""),
        0o644,
    );
    std::os::unix::fs::symlink("/etc/passwd", temp.path().join("build/link")).unwrap();
    let (status, found) = check(temp.path());
    assert_eq!(status, 1);
    let says = |found: &[Value], word: &str| {
        found
            .iter()
            .any(|f| f["severity"] == "error" && f["message"].as_str().unwrap().contains(word))
    };
    assert!(says(&found, "link"), "{found:#?}");
    fs::remove_file(temp.path().join("build/link")).unwrap();
    let (status, found) = check(temp.path());
    assert_eq!(status, 1);
    assert!(says(&found, "no version is given"), "{found:#?}");
    let output = relpack()
        .args(["check", "--version", "1.0", "-C"])
        .arg(temp.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(!temp.path().join("dist").exists(), "nothing is written");
}

/// Ready-made files and instances are looked at as units of the configuration are, each finding in its own file.
#[test]
fn drop_ins_and_instances_are_looked_at() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let config = format!(
        "{}\n[units.\"acme-x.service\"]\nService.ExecStart = \"bin/serve\"\n\
         [instances.blue]\nEnvironment.URL = \"x://$HOST\"\n[instances.green]\n",
        BASE.replace("source = \"build\"", "source = \"build\"\nunits = \"units\"")
            .trim_end()
    );
    write(&temp.path().join("relpack.toml"), &config, 0o644);
    let unit = "[Unit]\nWants=network-online.target\n[Service]\nExecStart=/usr/bin/node -e x\nUser=root\nStateDirectory=acme\n";
    write(&temp.path().join("units/acme@.service"), unit, 0o644);
    let drop_in = "[Unit]\nAfter=network-online.target\n[Service]\nReadWritePaths=/srv/x /var/lib/acme /tmp/y\nUser=0\nMemoryDenyWriteExecute=yes\n";
    write(&temp.path().join("units/acme@blue.service.d/10-x.conf"), drop_in, 0o644);
    let (status, found) = check(temp.path());
    assert_eq!(status, 0, "{found:#?}");
    let places: BTreeSet<(&str, &str, u64)> = found
        .iter()
        .filter_map(|f| {
            Some((
                f["lint"].as_str()?,
                f["file"].as_str()?.rsplit('/').next()?,
                f["line"].as_u64()?,
            ))
        })
        .filter(|(lint, ..)| !matches!(*lint, "exposure" | "systemd-verify"))
        .collect();
    let line = u64::try_from(config.lines().position(|line| line.contains("$HOST")).unwrap()).unwrap() + 1;
    let expected = [
        ("env-file-dollar", "relpack.toml", line),
        ("service-as-root", "acme@.service", 5),
        ("service-as-root", "10-x.conf", 5),
        ("writable-elsewhere", "10-x.conf", 4),
        ("write-execute-jit", "10-x.conf", 6),
    ];
    assert_eq!(places, expected.into_iter().collect(), "{found:#?}");
    assert_eq!(named(&found, Lint::WritableElsewhere).len(), 1, "{found:#?}");
}

#[test]
fn a_lint_is_allowed_by_name_with_a_reason() {
    let unit = "[units.\"acme.service\"]\nService.ExecStart = \"bin/serve\"\nService.User = \"root\"\n";
    let with = |allow: &str| check_text(&format!("[lints]\nallow = {{ {allow} }}\n{unit}"));
    let (_, found) = with("\"service-as-root\" = \"needs port 80\"");
    assert!(named(&found, Lint::ServiceAsRoot).is_empty(), "{found:#?}");
    assert!(named(&found, Lint::AllowUnused).is_empty(), "{found:#?}");
    for (allow, message, hint) in [
        (
            "\"service-as-rot\" = \"x\"",
            "no lint \"service-as-rot\"",
            "service-as-root",
        ),
        ("\"zzz\" = \"x\"", "no lint \"zzz\"", "one of"),
        ("\"service-as-root\" = \" \"", "without a reason", "say why"),
        ("\"service-as-root\" = 1", "expected a string", "quotes"),
        (
            "\"exec-missing\" = \"x\"",
            "can't be allowed",
            "explain lint exec-missing",
        ),
        ("\"allow-unused\" = \"x\"", "can't be allowed", "remove"),
    ] {
        let (status, found) = with(allow);
        assert_eq!(status, 1, "{allow}");
        assert!(
            found.iter().any(|f| f["message"].as_str().unwrap().contains(message)
                && f["hint"].as_str().unwrap().contains(hint)
                && f["line"] == BASE.lines().count() as u64 + 2),
            "{allow}: {found:#?}"
        );
    }
}

#[test]
fn what_a_build_only_warns_of_is_allowed_there_too() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let unit = "[units.\"acme.service\"]\nService.ExecStart = \"bin/serve\"\nService.RestartSteps = 5\n";
    let said = |config: String| {
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        let output = relpack().args(["build", "-C"]).arg(temp.path()).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(format!("{BASE}{unit}")).contains("directive-too-new"));
    // Whether this machine's systemd knows it says nothing about the target's.
    assert!(named(&check(temp.path()).1, Lint::SystemdVerify).is_empty());
    let allow = "[lints]\nallow = { \"directive-too-new\" = \"better where it is known\" }\n";
    assert_eq!(said(format!("{BASE}{allow}{unit}")), "");
}

#[test]
fn without_systemd_analyze_that_is_said_and_nothing_fails() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"bin/serve\"\n");
    write(&temp.path().join("relpack.toml"), &config, 0o644);
    let git = temp.path().join("bin");
    fs::create_dir(&git).unwrap();
    let output = relpack()
        .args(["check", "-C"])
        .arg(temp.path())
        .env("PATH", &git)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(
        both(&output).contains("systemd-analyze was not asked: it is not here"),
        "{}",
        both(&output)
    );
    // One that fails, says nonsense, or never ends its answer, changes nothing either.
    write(
        &git.join("systemd-analyze"),
        "#!/bin/sh\necho nonsense\nexit 3\n",
        0o755,
    );
    let output = relpack()
        .args(["check", "-C"])
        .arg(temp.path())
        .env("PATH", &git)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(both(&output).contains("does not say its version"), "{}", both(&output));
}

#[test]
fn the_example_has_nothing_wrong_with_it() {
    let (status, found) = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello"));
    assert_eq!(status, 0);
    let wrong: Vec<_> = found.iter().filter(|f| f["severity"] != "note").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_preset_is_little_exposed_and_runs_its_units_without_a_word() {
    for preset in relpack::systemd::presets::names() {
        let unit =
            format!("[defaults]\npreset = \"{preset}\"\n[units.\"acme.service\"]\nService.ExecStart = \"bin/serve\"\n");
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        write(&temp.path().join("relpack.toml"), &format!("{BASE}{unit}"), 0o644);
        let (status, found) = check(temp.path());
        let wrong: Vec<_> = found.iter().filter(|f| f["severity"] != "note").collect();
        assert!(status == 0 && wrong.is_empty(), "{preset}: {wrong:#?}");
        if !has_analyze() {
            continue;
        }
        let output = relpack().args(["check", "-C"]).arg(temp.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with("acme.service: exposure "));
        let exposure = line.and_then(|line| line.split_whitespace().nth(2)?.parse::<f64>().ok());
        assert!(exposure.is_some_and(|exposure| exposure <= 2.5), "{preset}: {said}");
    }
}

#[test]
fn presets_and_lints_are_explained() {
    let explain = |words: &[&str]| crate::common::ok(relpack().arg("explain").args(words));
    for preset in relpack::systemd::presets::names() {
        assert!(explain(&["preset"]).contains(preset));
        let said = explain(&["preset", preset]);
        assert!(
            said.contains("Service.ProtectSystem = \"strict\"\n    The whole file system"),
            "{said}"
        );
        assert!(said.contains("Left out on purpose"), "{said}");
        let json: Value = serde_json::from_str(&explain(&["preset", preset, "--json"])).unwrap();
        assert!(json["directives"].as_array().unwrap().len() > 15, "{json:#}");
    }
    for lint in Lint::ALL {
        assert!(explain(&["lint"]).contains(lint.name()));
        assert!(explain(&["lint", lint.name()]).contains("```toml instead"));
        let json: Value = serde_json::from_str(&explain(&["lint", lint.name(), "--json"])).unwrap();
        assert_eq!(
            (&json["name"], &json["may_be_allowed"]),
            (&lint.name().into(), &lint.may_be_allowed().into())
        );
        assert!(json["text"].as_str().unwrap().contains("```toml instead"), "{json:#}");
    }
    let said = crate::common::fails(relpack().args(["explain", "preset", "nodejs"]), 1);
    assert!(said.contains("did you mean \"node\"?"), "{said}");
    let said = crate::common::fails(relpack().args(["explain", "lint", "exec-mising"]), 1);
    assert!(said.contains("did you mean \"exec-missing\"?"), "{said}");
}
