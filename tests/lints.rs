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

const BASE: &str = r#"
[package]
name = "acme"
version = "1.4.0"
maintainer = "Acme Ops <ops@acme.example>"
description = "Acme web app"

[release]
source = "build"

"#;

/// The files that the examples speak of.
fn release(dir: &Path) {
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
fn check(dir: &Path) -> (i32, Vec<Value>) {
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

fn check_text(config: &str) -> (i32, Vec<Value>) {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    // It is found in a release whichever unit uses it, so only those have it that speak of it.
    if config.contains("editable/") {
        editable(temp.path());
    }
    write(&temp.path().join("relpack.toml"), &format!("{BASE}{config}"), 0o644);
    check(temp.path())
}

fn named(found: &[Value], lint: Lint) -> Vec<&Value> {
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
fn only_an_interpreter_that_no_host_has_is_refused() {
    let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"venv/bin/gunicorn\"\n");
    for (line, refused) in [
        ("#!/home/me/acme/venv/bin/python3", true),
        ("#! /opt/acme/venv/bin/python3 -E", true),
        ("#!/opt/acme/app/venv/bin/python3", false),
        ("#!/opt/acme/current/venv/bin/python3", false),
        ("#!/usr/bin/python3", false),
        ("#!/usr/bin/env python3", false),
        // Of another application, which may be there.
        ("#!/opt/tools/bin/python3", false),
        ("#!/opt/acme/shared/python/bin/python3", false),
        // Of one person, or of nobody.
        ("#!/home/me/acme/venv/bin/pypy", true),
        ("#!/usr/bin/env -S /root/.nvm/bin/node -x", true),
        ("#!/tmp/node", true),
        ("#!/opt/acme/python/bin/python3", true),
    ] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(
            &temp.path().join("build/venv/bin/gunicorn"),
            &format!("{line}\n"),
            0o755,
        );
        let (status, found) = check(temp.path());
        let moved = named(&found, Lint::ExecInterpreterMoved);
        assert_eq!(
            (status, moved.len()),
            (i32::from(refused), usize::from(refused)),
            "{line}: {found:#?}"
        );
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
fn what_an_interpreter_or_a_deploy_runs_has_to_be_there() {
    let refused = |text: &str, says: &str| {
        let (status, found) = check_text(text);
        let missing = named(&found, Lint::ExecMissing);
        assert_eq!((status, missing.len()), (1, 1), "{text}\n{found:#?}");
        assert!(missing[0]["message"].as_str().unwrap().contains(says), "{missing:#?}");
        assert!(missing[0]["line"].is_u64(), "{missing:#?}");
    };
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    for (lines, says) in [
        ("Service.ExecStart = \"/usr/bin/node servre.js\"", "runs servre.js"),
        (
            "Service.ExecStart = \"/usr/bin/python3 {app}/bin/none.py --x\"",
            "runs bin/none.py",
        ),
        ("Service.ExecStart = \"/usr/bin/java -jar none.jar\"", "runs none.jar"),
        ("Service.ExecStart = [\"\", \"-/bin/sh start\"]", "runs start"),
        (
            "Service.ExecStart = \"bin/serve\"\nService.WorkingDirectory = \"{app}/none\"",
            "WorkingDirectory= is none",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node serve\"\nService.WorkingDirectory = \"{app}/lib\"",
            "runs lib/serve",
        ),
        (
            "Service.ExecStart = \"bin/serve\"\nX-Relpack.Health = \"exec:bin/healthy --x\"",
            "Health= runs bin/healthy",
        ),
        (
            "Service.ExecStart = \"/usr/bin/env -i A=1 node servre.js\"",
            "runs servre.js",
        ),
        ("Service.ExecStart = \"/usr/bin/env bin/sevre\"", "runs bin/sevre"),
        (
            "Service.ExecStart = \"@/usr/bin/node server.js servre.js\"",
            "runs servre.js",
        ),
        (
            "Service.Type = \"oneshot\"\nService.ExecStart = \"bin/serve ; bin/sevre\"",
            "runs bin/sevre",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node lib/../servre.js\"",
            "runs servre.js",
        ),
        (
            "Service.ExecStart = \"/usr/bin/node ../none.js\"\nService.WorkingDirectory = \"{app}/lib\"",
            "runs none.js",
        ),
        (
            "Service.ExecStart = \"/bin/sh {app}/none\"\nService.WorkingDirectory = \"/srv\"",
            "runs none",
        ),
    ] {
        refused(&unit(lines), says);
    }
    let serve = unit("Service.ExecStart = \"bin/serve\"");
    refused(
        &format!("{serve}[migrate]\nexec = \"/usr/bin/node none.js\"\nlike = \"acme.service\"\n"),
        "migrate.exec: runs none.js",
    );
    let two = "[units.\"acme@.service\"]\nService.ExecStart = \"bin/serve\"\n[instances.a]\n[instances.b]\n";
    refused(
        &format!("{two}[deploy]\nstrategy = \"rolling\"\ncheck = \"bin/smoke\"\n"),
        "deploy.check: runs bin/smoke",
    );
    // What only the host or the interpreter knows is theirs.
    for lines in [
        "Service.ExecStart = \"/usr/bin/node --require ./none server.js\"",
        "Service.ExecStart = \"/usr/bin/python3 -m http.server\"",
        "Service.ExecStart = \"/usr/bin/sh -c none\"",
        "Service.ExecStart = \"/usr/bin/node ${SCRIPT}\"",
        "Service.ExecStart = \"/usr/bin/node /srv/none.js\"",
        "Service.ExecStart = \"/usr/bin/node none.js\"\nService.WorkingDirectory = \"/srv\"",
        "Service.ExecStart = \"/usr/bin/node lib/module\"",
        "Service.ExecStart = \"/usr/bin/python3 lib\"",
        "Service.ExecStart = \"/usr/bin/node .\"",
        "Service.ExecStart = \"/usr/bin/env -C /srv node none.js\"",
        "Service.ExecStart = \"/usr/bin/env -C /srv bin/none\"",
        "Service.ExecStart = \"/usr/bin/env A=1 node server.js\"",
        "Service.ExecStart = \"@/usr/bin/node none server.js\"",
        "Service.ExecStart = \"/usr/bin/node lib/../server.js\"",
        "Service.ExecStart = \"/usr/bin/node ../shared/none.js\"",
        "Service.ExecStart = \"/usr/bin/node ../../../srv/none.js\"",
        "Service.ExecStart = \"/usr/bin/node venv/bin/python3/../none.js\"",
        "Service.ExecStart = \"/usr/bin/node ../server.js\"\nService.WorkingDirectory = \"{app}/lib\"",
        "Service.ExecStart = \"/usr/bin/node ../none.js\"\nService.WorkingDirectory = \"{prefix}/current\"",
    ] {
        let (_, found) = check_text(&unit(lines));
        assert!(named(&found, Lint::ExecMissing).is_empty(), "{lines}\n{found:#?}");
    }
    let (_, found) = check_text(&unit("Service.ExecStart = \"node server.js\""));
    let hint = named(&found, Lint::ExecMissing)[0]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("such as \"/usr/bin/node\""), "{hint}");
}

#[test]
fn what_lies_nowhere_below_the_prefix_is_refused() {
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    let with = |line: &str| unit(&format!("Service.ExecStart = \"bin/serve\"\n{line}"));
    let two = "[units.\"acme@.service\"]\nService.ExecStart = \"bin/serve\"\n[instances.a]\n[instances.b]\n";
    let deploy = format!("{two}[deploy]\nstrategy = \"rolling\"\ncheck = \"/opt/acme/bin/serve\"\n");
    let migrate = format!(
        "{}[migrate]\nexec = \"/opt/acme/bin/serve up\"\nlike = \"acme.service\"\n",
        with("")
    );
    for (text, says, hint) in [
        (
            unit("Service.ExecStart = \"/opt/acme/bin/serve x\""),
            "ExecStart= runs /opt/acme/bin/serve, which no host has",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"-/opt/acme/releases/x/bin/serve\""),
            "runs /opt/acme/releases/x/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"{prefix}/run\""),
            "runs /opt/acme/run",
            "without a leading",
        ),
        (
            with("Service.ExecStartPre = [\"bin/serve\", \"/opt/acme/build/bin/serve\"]"),
            "ExecStartPre= runs /opt/acme/build/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node /opt/acme/server.js\""),
            "runs /opt/acme/server.js",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node server.js\"\nService.WorkingDirectory = \"{prefix}\""),
            "runs /opt/acme/server.js",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/node ../server.js\""),
            "runs /opt/acme/server.js, which no host has",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/home/ci/acme/bin/serve x\""),
            "runs /home/ci/acme/bin/serve, which no host has",
            "write \"bin/serve\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/env /root/.nvm/bin/tool\""),
            "runs /root/.nvm/bin/tool",
            "below /usr/local",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/env node /home/ci/acme/server.js\""),
            "runs /home/ci/acme/server.js, which no host has",
            "write \"{app}/server.js\"",
        ),
        (
            unit("Service.ExecStart = \"/usr/bin/python3 /home/ci/none.py\""),
            "runs /home/ci/none.py",
            "below /usr/local",
        ),
        (
            with("X-Relpack.Health = \"exec:/home/ci/acme/bin/serve --x\""),
            "Health= runs /home/ci/acme/bin/serve",
            "write \"bin/serve\"",
        ),
        (
            with("Service.WorkingDirectory = \"/opt/acme/build\""),
            "WorkingDirectory= is /opt/acme/build",
            "\"{app}/…\"",
        ),
        (
            with("Service.WorkingDirectory = \"/opt/acme/lib\""),
            "WorkingDirectory= is /opt/acme/lib",
            "write \"{app}/lib\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/.env\""),
            "EnvironmentFile= is /opt/acme/.env, which no host has",
            "\"{shared}/.env\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/plain.env\""),
            "EnvironmentFile= is /opt/acme/plain.env",
            "\"{app}/plain.env\"",
        ),
        (
            with("Service.EnvironmentFile = \"/opt/acme/app/plain.env\""),
            "reads before the release is mounted there",
            "\"{app}/plain.env\"",
        ),
        (
            with("Service.EnvironmentFile = [\"{shared}/env\", \"{app}/none.env\"]"),
            "EnvironmentFile= is none.env, which is not in the release",
            "build it first",
        ),
        (
            with("X-Relpack.Health = \"exec:/opt/acme/bin/serve --x\""),
            "Health= runs /opt/acme/bin/serve",
            "write \"bin/serve\"",
        ),
        (deploy, "deploy.check: runs /opt/acme/bin/serve", "write \"bin/serve\""),
        (migrate, "migrate.exec: runs /opt/acme/bin/serve", "write \"bin/serve\""),
    ] {
        let (status, found) = check_text(&text);
        let missing = named(&found, Lint::ExecMissing);
        assert_eq!((status, missing.len()), (1, 1), "{text}\n{found:#?}");
        let word = |key: &str| missing[0][key].as_str().unwrap();
        assert!(word("message").contains(says), "{missing:#?}");
        assert!(word("hint").contains(hint), "{missing:#?}");
        assert!(missing[0]["line"].is_u64(), "{missing:#?}");
    }
    for text in [
        unit("Service.ExecStart = \"/opt/acme/app/bin/serve\""),
        unit("Service.ExecStart = \"/opt/acme/current/bin/serve\""),
        unit("Service.ExecStart = \"{shared}/bin/of-the-host\""),
        unit("Service.ExecStart = \"/opt/other/bin/serve\""),
        with("Service.WorkingDirectory = \"{prefix}\""),
        with("Service.WorkingDirectory = \"-/opt/acme/build\""),
        with("Service.WorkingDirectory = \"{shared}/work\""),
        with("Service.EnvironmentFile = \"-/opt/acme/.env\""),
        with("Service.EnvironmentFile = [\"{shared}/env\", \"{app}/plain.env\", \"/opt/acme/current/plain.env\"]"),
        with("Service.WorkingDirectory = \"/home/acme\""),
        with("Service.EnvironmentFile = \"/root/acme.env\""),
        unit(
            "Service.ExecStart = \"/srv/tool\"\nService.BindPaths = \"/srv/ci:/home/ci\"\nService.ExecStartPre = \"/home/ci/x\"",
        ),
        format!(
            "[user]\nhome = \"/home/acme\"\n{}",
            unit("Service.ExecStart = \"/home/acme/bin/x\"")
        ),
        with("Service.WorkingDirectory = \"/opt/acme/data/x\"\nService.BindPaths = \"/srv/data:/opt/acme/data\""),
    ] {
        let (_, found) = check_text(&text);
        assert!(named(&found, Lint::ExecMissing).is_empty(), "{text}\n{found:#?}");
    }
}

#[test]
fn a_runtime_behind_env_compiles_as_well() {
    let (_, found) = check_text(
        "[units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/env A=1 node server.js\"\nService.MemoryDenyWriteExecute = true\n",
    );
    let own = named(&found, Lint::WriteExecuteJit);
    assert_eq!(own.len(), 1, "{found:#?}");
    assert!(
        own[0]["message"].as_str().unwrap().contains("keeps node from"),
        "{own:#?}"
    );
}

#[test]
fn a_main_program_that_its_prefix_lets_run_as_root_is_told() {
    for (line, says) in [
        (
            "\"+bin/serve\"",
            Some("\"+\" lets /opt/acme/app/bin/serve run as root, and without its sandbox"),
        ),
        ("\"-+bin/serve\"", Some("without its sandbox")),
        (
            "\"!bin/serve\"",
            Some("\"!\" lets /opt/acme/app/bin/serve run as root: who"),
        ),
        // Without effect where the kernel has ambient capabilities.
        ("\"!!bin/serve\"", None),
        ("\"-:bin/serve +x !\"", None),
        (
            "\"bin/serve\"\nService.ExecStartPre = \"+bin/serve\"\nService.ExecStop = \"+bin/serve\"",
            None,
        ),
    ] {
        let (status, found) = check_text(&format!("[units.\"acme.service\"]\nService.ExecStart = {line}\n"));
        let own = named(&found, Lint::ServiceAsRoot);
        assert_eq!(
            (status, own.len()),
            (0, usize::from(says.is_some())),
            "{line}: {found:#?}"
        );
        if let Some(says) = says {
            assert!(own[0]["message"].as_str().unwrap().contains(says), "{own:#?}");
            assert_eq!(own[0]["line"], BASE.lines().count() as u64 + 2, "{own:#?}");
        }
    }
}

#[test]
fn what_the_kernel_cannot_execute_is_refused() {
    let run = "Service.ExecStart = \"bin/run\"";
    let given = "Service.ExecStart = \"/bin/sh bin/run\"";
    for (line, bytes, says) in [
        (run, &b"#!/bin/sh\r\nexec sleep 1\r\n"[..], Some("ends with \\r")),
        (run, b"exec sleep 1\n", Some("neither an ELF file nor a script")),
        (run, b"", Some("is empty")),
        (run, b"\xef\xbb\xbf#!/bin/sh\n", Some("byte order mark")),
        (run, b"\xcf\xfa\xed\xfe\x0c\0\0\x01", Some("macOS")),
        (run, b"#!/bin/sh\nexec sleep 1\n", None),
        (given, b"exec sleep 1\n", None),
        (given, b"", None),
    ] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        let config = format!("{BASE}[units.\"acme.service\"]\n{line}\n");
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(&temp.path().join("build/bin/run"), "", 0o755);
        fs::write(temp.path().join("build/bin/run"), bytes).unwrap();
        let (status, found) = check(temp.path());
        let own = named(&found, Lint::ExecNotExecutable);
        let refused = says.is_some();
        let expected = (i32::from(refused), usize::from(refused));
        assert_eq!((status, own.len()), expected, "{bytes:?}: {found:#?}");
        if let Some(says) = says {
            assert!(own[0]["message"].as_str().unwrap().contains(says), "{own:#?}");
            assert!(own[0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{own:#?}");
        }
    }
}

/// ELF files are programs whatever they are built for, be it what this host has no loader for.
#[test]
fn programs_of_other_architectures_are_executable() {
    for (machine, bits) in [(62, 2), (183, 2), (40, 1), (243, 2), (8, 1)] {
        let temp = tempfile::tempdir().unwrap();
        release(temp.path());
        let config = format!("{BASE}[units.\"acme.service\"]\nService.ExecStart = \"bin/run\"\n");
        write(&temp.path().join("relpack.toml"), &config, 0o644);
        write(&temp.path().join("build/bin/run"), "", 0o755);
        let mut elf = vec![0; 64];
        elf[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', bits, 1, 1]);
        (elf[16], elf[18], elf[20]) = (2, machine, 1);
        fs::write(temp.path().join("build/bin/run"), elf).unwrap();
        let (_, found) = check(temp.path());
        let about: Vec<_> = found
            .iter()
            .filter(|f| f["lint"].as_str().is_some_and(|name| name.starts_with("exec-")))
            .collect();
        assert!(about.is_empty(), "{machine}: {found:#?}");
    }
}

/// What a drop-in says is found in its own file.
#[test]
fn drop_ins_name_no_place_that_no_host_has() {
    let temp = tempfile::tempdir().unwrap();
    release(temp.path());
    let config = BASE.replace("source = \"build\"", "source = \"build\"\nunits = \"units\"");
    write(&temp.path().join("relpack.toml"), &config, 0o644);
    let unit = "[Service]\nExecStart=/opt/acme/app/bin/serve\n";
    write(&temp.path().join("units/acme.service"), unit, 0o644);
    let drop_in = "[Service]\nEnvironmentFile=/opt/acme/env\nExecStartPre=/opt/acme/bin/serve x\nWorkingDirectory=/opt/acme/work\n";
    write(&temp.path().join("units/acme.service.d/10-x.conf"), drop_in, 0o644);
    let (status, found) = check(temp.path());
    let missing = named(&found, Lint::ExecMissing);
    let lines: BTreeSet<u64> = missing.iter().filter_map(|f| f["line"].as_u64()).collect();
    assert_eq!((status, lines), (1, BTreeSet::from([2, 3, 4])), "{found:#?}");
    assert!(
        missing
            .iter()
            .all(|f| f["file"].as_str().unwrap().ends_with("10-x.conf")),
        "{missing:#?}"
    );
}

#[test]
fn what_only_a_shell_understands_is_told_wherever_no_shell_reads() {
    let unit = |lines: &str| format!("[units.\"acme.service\"]\n{lines}\n");
    let serve = unit("Service.ExecStart = \"bin/serve\"");
    let migrate = |exec: &str| format!("{serve}[migrate]\nexec = '{exec}'\nlike = \"acme.service\"\n");
    for (text, word, hint) in [
        (
            unit("Service.ExecStart = \"bin/serve && echo > x\""),
            "&&",
            "/bin/sh -c",
        ),
        (unit("Service.ExecStart = \"bin/serve | tee x\""), "|", "/bin/sh -c"),
        (
            unit("Service.ExecStart = \"bin/serve > /x 2>&1\""),
            ">",
            "StandardOutput",
        ),
        (unit("Service.ExecStart = \"bin/serve &\""), "&", "remove it"),
        (
            unit("Service.ExecStart = \"bin/serve\"\nX-Relpack.Health = \"exec:bin/serve --check || x\""),
            "||",
            "script of the release",
        ),
        (migrate("bin/serve up && bin/serve seed"), "&&", "/bin/sh -c"),
    ] {
        let (status, found) = check_text(&text);
        let own = named(&found, Lint::ExecShellSyntax);
        assert_eq!((status, own.len()), (0, 1), "{text}\n{found:#?}");
        let message = own[0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{word:?}")), "{own:#?}");
        assert!(own[0]["hint"].as_str().unwrap().contains(hint), "{own:#?}");
        assert!(own[0]["line"].is_u64(), "{own:#?}");
    }
    for text in [
        unit("Service.ExecStart = \"/bin/sh -c 'bin/serve && echo > x'\""),
        unit("Service.ExecStart = \"bin/serve '&&' >=1 a|b\""),
        unit("Service.Type = \"oneshot\"\nService.ExecStart = \"bin/serve a ; bin/serve b\""),
        migrate("/bin/sh -c \"bin/serve up && bin/serve seed\""),
    ] {
        let (_, found) = check_text(&text);
        assert!(named(&found, Lint::ExecShellSyntax).is_empty(), "{text}\n{found:#?}");
    }
}

/// The finding stands at the command that uses the environment, or may lead to it.
#[test]
fn an_editable_install_is_told_at_the_command_that_uses_it() {
    let serve = "Service.ExecStart = \"bin/serve\"";
    let python = "Service.ExecStart = \"editable/bin/python3 -m acme\"";
    let both = format!("[units.\"acme-a.service\"]\n{serve}\n[units.\"acme-b.service\"]\n{python}\n");
    let alone = format!("[units.\"acme-a.service\"]\n{serve} # editable/\n");
    let base = BASE.lines().count() as u64;
    for (text, line) in [(both, base + 4), (alone, base + 2)] {
        let (status, found) = check_text(&text);
        let own = named(&found, Lint::PythonEditableInstall);
        assert_eq!((status, own.len()), (0, 1), "{text}\n{found:#?}");
        assert_eq!(own[0]["line"], line, "{own:#?}");
        let message = own[0]["message"].as_str().unwrap();
        assert!(
            message.contains("_acme.pth") && message.contains("/home/ci/acme/src"),
            "{message}"
        );
    }
    let allow = "[lints]\nallow = { \"python-editable-install\" = \"found in {app}\" }\n";
    let (_, found) = check_text(&format!("{allow}[units.\"acme.service\"]\n{python}\n"));
    let silent = named(&found, Lint::PythonEditableInstall).is_empty() && named(&found, Lint::AllowUnused).is_empty();
    assert!(silent, "{found:#?}");
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
