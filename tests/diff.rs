//! `relpack diff`, and what shells and manuals know of the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{CONFIG, application, fails, ok, relpack, write};
use serde_json::Value;

fn build(dir: &Path, arguments: &[&str]) {
    ok(relpack().arg("build").arg("-C").arg(dir).args(arguments));
}

fn deb(dir: &Path, version: &str) -> PathBuf {
    dir.join(format!("dist/acme_{version}_all.deb"))
}

fn json(old: &Path, new: &Path) -> Value {
    serde_json::from_str(&ok(relpack().arg("diff").arg(old).arg(new).arg("--json"))).unwrap()
}

/// A later version: other code, another unit and one less, a new dependency, a file less and a link that leads elsewhere.
fn later(dir: &Path) {
    application(dir);
    let config = CONFIG
        .replace("1.4.0", "1.5.0")
        .replace("depends = [\"nodejs (>= 18)\"]", "depends = [\"nodejs (>= 20)\"]")
        .replace("--port 3000", "--port 3000 --fast")
        .replace("[units.\"acme-backup.timer\"]\nTimer.OnCalendar = \"daily\"\n", "")
        + "[units.\"acme-worker.service\"]\nService.ExecStart = \"bin/serve work\"\nX-Relpack.OnUpgrade = \"no-block\"\n";
    write(&dir.join("relpack.toml"), &config, 0o644);
    write(&dir.join("build/public/app.js"), "console.log(22)\n", 0o644);
    fs::remove_file(dir.join("build/main.js")).unwrap();
    std::os::unix::fs::symlink("public", dir.join("build/main.js")).unwrap();
    fs::remove_dir(dir.join("build/empty")).unwrap();
}

#[test]
fn a_diff_says_what_differs_and_what_a_host_does() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    application(&one);
    later(&two);
    build(&one, &[]);
    build(&two, &["--format", "deb", "--format", "tar.gz"]);
    let (old, new) = (deb(&one, "1.4.0"), deb(&two, "1.5.0"));
    let difference = json(&old, &new);
    let files: Vec<&str> = difference["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["path"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["empty", "main.js", "public/app.js"]);
    assert_eq!(difference["files"][1]["new"]["target"], "public");
    assert_eq!(difference["files"][2]["old"]["size"], 15);
    assert_eq!(difference["files"][2]["new"]["size"], 16);
    let units: Vec<&str> = difference["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["name"].as_str().unwrap())
        .collect();
    // The first start waits before each service that is there.
    assert_eq!(
        units,
        [
            "acme-backup.service",
            "acme-backup.timer",
            "acme-first-start.service",
            "acme-worker.service",
            "acme.service"
        ]
    );
    let main = difference["units"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["name"] == "acme.service")
        .unwrap();
    let lines = main["diff"].as_str().unwrap();
    assert!(
        lines.contains(
            "-ExecStart=/opt/acme/app/bin/serve --port 3000\n+ExecStart=/opt/acme/app/bin/serve --port 3000 --fast\n"
        ),
        "{lines}"
    );
    assert!(
        difference["control"]
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["name"] == "Depends")
    );
    assert_eq!(difference["version"]["new"], "1.5.0");
    let does = |unit: &str| {
        let units = difference["on_host"]["units"].as_array().unwrap();
        units
            .iter()
            .find(|entry| entry["unit"] == unit)
            .map(|entry| entry["does"].as_str().unwrap().to_owned())
    };
    assert_eq!(does("acme.service").as_deref(), Some("restart"));
    assert_eq!(does("acme-worker.service").as_deref(), Some("start"));
    assert_eq!(does("acme-backup.timer").as_deref(), Some("stop"));
    assert_eq!(does("acme-migrate.service"), None);
    assert_eq!(difference["on_host"]["migration"], true);
    // Back, nothing migrates; the worker stops.
    let back = json(&new, &old);
    assert_eq!(back["on_host"]["migration"], false);
    assert!(
        back["on_host"]["units"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["unit"] == "acme-worker.service" && e["does"] == "stop")
    );

    let text = ok(relpack().arg("diff").arg(&old).arg(&new));
    for said in [
        "on a host that has the first:\n  the migration runs first",
        "  acme.service restarts\n",
        "  acme-backup.timer stops",
        "files: 0 added, 1 removed, 2 changed",
        "  - empty  directory\n",
        "  ~ main.js  link to public/app.js -> link to public\n",
        "nodejs (>= 20)",
        "+ExecStart=/opt/acme/app/bin/serve --port 3000 --fast",
    ] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    // A tarball of the same release has no control part, and nothing restarts.
    let tarball = two.join("dist/acme-1.5.0-all.tar.gz");
    let same = json(&new, &tarball);
    assert_eq!(
        (&same["on_host"]["same_release"], &same["files"]),
        (&true.into(), &Value::Array(vec![]))
    );
    assert!(ok(relpack().arg("diff").arg(&new).arg(&tarball)).contains("no host goes from a package to a tarball"));
    let third = temp.path().join("three");
    application(&third);
    let config = fs::read_to_string(third.join("relpack.toml")).unwrap();
    let other = config.replace("name = \"acme\"", "name = \"other\"");
    let other = other.replace("\"acme.", "\"other.").replace("\"acme-", "\"other-");
    fs::write(third.join("relpack.toml"), other).unwrap();
    build(&third, &[]);
    let other = third.join("dist/other_1.4.0_all.deb");
    let said = fails(relpack().arg("diff").arg(&new).arg(&other), 1);
    assert!(said.contains("acme and other are different packages"), "{said}");
    fails(relpack().arg("diff").arg(&new).arg(two.join("nowhere")), 1);
    fails(relpack().arg("diff").arg(&new).arg(two.join("relpack.toml")), 1);
}

/// What an upgrade does with the instances, by the strategies and instances of the old and the new release.
#[test]
#[rustfmt::skip]
fn each_strategy_does_it_in_its_own_way() {
    const BOTH: &[&str] = &["blue", "green"];
    type Release<'a> = (&'a str, &'a [&'a str]);
    // Instance and what becomes of it.
    type Deeds<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(Release, Release, Deeds)] = &[
        (("recreate", BOTH), ("recreate", BOTH), &[("blue", "restart"), ("green", "restart")]),
        // None of the instances can be reloaded.
        (("reload", BOTH), ("reload", BOTH), &[("blue", "restart"), ("green", "restart")]),
        (("rolling", BOTH), ("reload", BOTH), &[("blue", "restart"), ("green", "restart")]),
        (("recreate", BOTH), ("rolling", BOTH), &[("blue", "in-turn"), ("green", "in-turn")]),
        (("canary", BOTH), ("canary", BOTH), &[("blue", "in-turn"), ("green", "in-turn")]),
        (("rolling", BOTH), ("rolling", &["blue", "red"]), &[("blue", "in-turn"), ("red", "start"), ("green", "stop")]),
        (("blue-green", BOTH), ("blue-green", BOTH), &[("blue", "start-or-stop"), ("green", "start-or-stop")]),
        (("rolling", BOTH), ("blue-green", BOTH), &[("blue", "start-or-stop"), ("green", "start-or-stop")]),
        (("recreate", &["green"]), ("blue-green", BOTH), &[("blue", "start"), ("green", "yield")]),
        (("recreate", &["red"]), ("blue-green", BOTH), &[("blue", "start"), ("red", "stop")]),
        (("blue-green", BOTH), ("rolling", BOTH), &[("blue", "in-turn"), ("green", "in-turn")]),
    ];
    let temp = tempfile::tempdir().unwrap();
    for (at, ((old, before), (new, after), expected)) in cases.iter().enumerate() {
        let artifact = |version: &str, strategy: &str, instances: &[&str]| {
            let dir = temp.path().join(format!("{at}-{version}"));
            let mut config = CONFIG.replace("1.4.0", version).replace("\"acme.service\"", "\"acme@.service\"");
            config = config.replace("Service.Environment.PORT = \"3000\"\n", "");
            config += "[units.\"acme-same.service\"]\nService.ExecStart = \"bin/serve\"\nService.ExecReload = \"/bin/kill -HUP $MAINPID\"\nX-Relpack.OnUpgrade = \"reload\"\n";
            for (port, instance) in instances.iter().enumerate() {
                config += &format!("[instances.{instance}]\nEnvironment.PORT = \"300{port}\"\n");
            }
            config += &format!("[deploy]\nstrategy = \"{strategy}\"\nproxy = \"nginx\"\n");
            application(&dir);
            write(&dir.join("relpack.toml"), &config, 0o644);
            write(&dir.join("build/body"), version, 0o644);
            build(&dir, &[]);
            deb(&dir, version)
        };
        let (one, two) = (artifact("1.4.0", old, before), artifact("1.5.0", new, after));
        let difference = json(&one, &two);
        let units = difference["on_host"]["units"].as_array().unwrap();
        let does: Vec<(&str, &str)> = units
            .iter()
            .filter_map(|unit| Some((unit["unit"].as_str()?, unit["does"].as_str()?)))
            .collect();
        let mut expected: Vec<(String, &str)> = expected.iter().map(|(name, deed)| (format!("acme@{name}.service"), *deed)).collect();
        // It stands among the others by its name.
        expected.push(("acme-same.service".to_owned(), "reload"));
        let sorted = |mut of: Vec<(String, &str)>| { of.sort_unstable(); format!("{of:?}") };
        let does = does.into_iter().map(|(name, deed)| (name.to_owned(), deed)).collect();
        assert_eq!(sorted(does), sorted(expected), "{old} {before:?} -> {new} {after:?}");
        if *new == "blue-green" && after == before {
            let text = ok(relpack().arg("diff").arg(&one).arg(&two));
            assert!(text.contains("  acme@blue.service starts where it is idle, else it stops when the other one serves\n"), "{text}");
        }
    }
}

#[test]
fn another_version_of_the_same_content_differs_in_nothing_that_runs() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    build(&dir, &[]);
    build(&dir, &["--version", "1.4.1"]);
    let difference = json(&deb(&dir, "1.4.0"), &deb(&dir, "1.4.1"));
    for key in ["files", "units", "control", "scripts"] {
        assert_eq!(difference[key], Value::Array(vec![]), "{key}");
    }
    assert_eq!(
        (&difference["settings"], &difference["on_host"]["migration"]),
        (&Value::Null, &false.into())
    );
}

#[test]
fn a_trial_is_told_before_it_happens() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let health = "X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/healthz\"\n";
    let config = CONFIG.replace(health, &format!("{health}X-Relpack.Trial = \"127.0.0.1:3001\"\n"))
        + "[units.\"acme.socket\"]\nSocket.ListenStream = \"3000\"\n";
    write(&dir.join("relpack.toml"), &config, 0o644);
    let plan = ok(relpack().args(["build", "--plan", "-C"]).arg(&dir));
    assert!(plan.contains("/healthz, after a trial at 127.0.0.1:3001\n"), "{plan}");
    build(&dir, &[]);
    write(&dir.join("build/public/app.js"), "console.log(2)\n", 0o644);
    build(&dir, &["--version", "1.5.0"]);
    let (old, new) = (deb(&dir, "1.4.0"), deb(&dir, "1.5.0"));
    assert_eq!(
        json(&old, &new)["on_host"]["trials"],
        serde_json::json!(["acme.service"])
    );
    // Back, it is known.
    assert_eq!(json(&new, &old)["on_host"]["trials"], serde_json::json!([]));
    let text = ok(relpack().arg("diff").arg(&old).arg(&new));
    assert!(
        text.contains("  acme.service is tried beside the old one before anything is switched\n"),
        "{text}"
    );
}

#[test]
fn shells_and_manuals_know_every_verb() {
    let temp = tempfile::tempdir().unwrap();
    ok(relpack().arg("man").arg(temp.path().join("man1")));
    let verbs = [
        "build",
        "check",
        "explain",
        "lock",
        "init",
        "inspect",
        "verify",
        "diff",
        "schema",
        "completions",
        "man",
    ];
    for verb in verbs.into_iter().chain(["explain-preset", "explain-lint"]) {
        let page = temp.path().join(format!("man1/relpack-{verb}.1"));
        let text = ok(Command::new("man")
            .args(["-l", "--warnings"])
            .arg(&page)
            .env("MANPAGER", "cat"));
        assert!(
            text.to_uppercase()
                .contains(&format!("RELPACK-{}", verb.to_uppercase())),
            "{text}"
        );
    }
    let page = temp.path().join("man1/relpack.1");
    let text = ok(Command::new("man")
        .args(["-l", "--warnings"])
        .arg(&page)
        .env("MANPAGER", "cat"));
    let codes = [
        "0 done",
        "1 the input is wrong",
        "2 wrong use",
        "3 verify",
        "4 the machine",
    ];
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(codes.iter().all(|code| flat.contains(code)), "{text}");
    for (shell, only_read) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = ok(relpack().args(["completions", shell]));
        for verb in verbs {
            assert!(script.contains(verb), "{shell} does not know {verb}");
        }
        let path = temp.path().join(shell);
        let broken = temp.path().join("broken");
        std::fs::write(&path, &script).unwrap();
        std::fs::write(&broken, format!("{script}\nif (\n")).unwrap();
        let read = |path: &std::path::Path| {
            let output = Command::new(shell).arg(only_read).arg(path).output();
            output.unwrap_or_else(|error| panic!("{shell}: {error} (tests/setup installs it)"))
        };
        let output = read(&path);
        assert!(output.status.success(), "{shell}: {}", crate::common::both(&output));
        assert!(!read(&broken).status.success(), "{shell} reads nothing");
    }
    for (what, known) in [("lint", "service-as-root"), ("preset", "python")] {
        let complete = format!(
            "source /dev/stdin; COMP_WORDS=(relpack explain {what} {}); COMP_CWORD=3; _relpack relpack {} {what}; echo ${{COMPREPLY[@]}}",
            &known[..2],
            &known[..2]
        );
        let script = ok(relpack().args(["completions", "bash"]));
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("relpack.bash");
        std::fs::write(&path, script).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", &complete]).stdin(std::fs::File::open(&path).unwrap());
        let offered = ok(&mut bash);
        assert!(offered.split_whitespace().any(|word| word == known), "{offered}");
        let said = fails(relpack().args(["explain", what, &known[1..]]), 1);
        assert!(said.contains(&format!("did you mean {known:?}")), "{said}");
    }
    fails(relpack().args(["completions", "csh"]), 2);
}

/// Escapes on a terminal only, and no colour where NO_COLOR is set.
#[test]
fn colours_are_for_terminals_that_want_them() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    write(
        &dir.join("relpack.toml"),
        &CONFIG.replace("[release]", "[releese]"),
        0o644,
    );
    let program = env!("CARGO_BIN_EXE_relpack");
    let line = format!("{program} build -C {}", dir.display());
    let on_terminal = |no_color: bool| {
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR");
        if no_color {
            script.env("NO_COLOR", "1");
        }
        crate::common::both(&script.output().unwrap())
    };
    assert!(on_terminal(false).contains("\u{1b}["), "a terminal gets colours");
    let plain = on_terminal(true);
    assert!(
        plain.contains("did you mean") && !plain.contains("\u{1b}["),
        "{plain:?}"
    );
    let piped = Command::new(program)
        .args(["build", "-C"])
        .arg(&dir)
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    assert!(!crate::common::both(&piped).contains('\u{1b}'));
    // Where it works: a bar on the terminal, nothing in a pipe.
    write(&dir.join("relpack.toml"), CONFIG, 0o644);
    let piped = ok(Command::new(program)
        .args(["build", "-C"])
        .arg(&dir)
        .env("SOURCE_DATE_EPOCH", crate::common::DATE));
    assert!(!piped.contains('\u{1b}') && !piped.contains("packing"), "{piped}");
    let shown = on_terminal(true);
    assert!(shown.contains("packing "), "{shown:?}");
    let done = shown.lines().next_back().unwrap_or_default();
    assert!(!done.contains("packing"), "the bar is cleared at the end: {shown:?}");
}
