//! `relpack init`: for each runtime, from a directory as people have it to a package; what is asked, guessed and refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::projects::{
    Make, build, forget, go, init, java, node, packed, program, project, python, rust, site, written,
};
use serde_json::Value;

/// A runtime, how its directory looks, and what the unit starts.
const RUNTIMES: &[(&str, Make, &str)] = &[
    ("node", node, "/usr/bin/node server.js --fast"),
    (
        "python",
        python,
        "venv/bin/python -m gunicorn --bind 127.0.0.1:${PORT} wsgi:application",
    ),
    ("go", go, "web"),
    ("rust", rust, "acme-web"),
    ("java", java, "/usr/bin/java -jar web-1.2.jar"),
    (
        "static",
        site,
        "/usr/bin/busybox httpd -f -p 127.0.0.1:${PORT} -h {app}",
    ),
];

#[test]
fn every_runtime_gets_a_configuration_that_builds_as_it_stands() {
    for (runtime, make, exec) in RUNTIMES {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("acme-web");
        fs::create_dir(&dir).unwrap();
        make(&dir);
        let output = init(&dir).output().unwrap();
        assert!(output.status.success(), "{runtime}: {}", both(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{runtime}");
        // A program of this machine needs its C library.
        assert_eq!(
            dir.join("relpack.lock").exists(),
            ["go", "rust"].contains(runtime),
            "{runtime}: {}",
            both(&output)
        );
        let text = fs::read_to_string(dir.join("relpack.toml")).unwrap();
        let config: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{runtime}: {error}\n{text}"));
        assert_eq!(config["defaults"]["preset"].as_str(), Some(*runtime));
        assert_eq!(
            config["package"]["maintainer"].as_str(),
            Some("Acme Ops <ops@acme.example>")
        );
        let name = config["package"]["name"].as_str().unwrap();
        let unit = &config["units"][&format!("{name}.service")];
        assert_eq!(unit["Service"]["ExecStart"].as_str(), Some(*exec), "{text}");
        let comments = text.lines().filter(|line| line.starts_with('#')).count();
        assert!(comments > 5, "{runtime}: it is commented");
        let checked = relpack().args(["check", "--json", "-C"]).arg(&dir).output().unwrap();
        let found: Vec<Value> = serde_json::from_slice(&checked.stdout).unwrap();
        assert!(checked.status.success(), "{runtime}: {found:#?}");
        let wrong: Vec<_> = found
            .iter()
            // The times of this directory are the files' own.
            .filter(|f| f["severity"] != "note")
            .collect();
        assert!(wrong.is_empty(), "{runtime}: {wrong:#?}");
        // Twice: what the first build leaves is not packed by the second.
        let first = ok(relpack().args(["build", "--json", "-C"]).arg(&dir));
        let second = ok(relpack().args(["build", "--json", "-C"]).arg(&dir));
        assert_eq!(first, second, "{runtime}");
        let built: Value = serde_json::from_str(&first).unwrap();
        let shown = ok(relpack()
            .args(["inspect", "--manifest"])
            .arg(built["artifacts"][0]["path"].as_str().unwrap()));
        for left_out in [
            "relpack.toml",
            "relpack.lock",
            ".env",
            "Cargo.toml",
            "libx.rlib",
            "A.class",
            "sources.jar",
            ".deb",
        ] {
            assert!(!shown.contains(left_out), "{runtime}: {left_out}\n{shown}");
        }
    }
}

#[test]
fn what_the_files_tell_is_in_it() {
    let temp = tempfile::tempdir().unwrap();
    node(temp.path());
    ok(&mut init(temp.path()));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    let package = &config["package"];
    assert_eq!(package["name"].as_str(), Some("web"));
    assert_eq!(package["version"].as_str(), Some("1.2.0~rc.1"));
    assert_eq!(package["description"].as_str(), Some("Acme's \"web\" app"));
    assert_eq!(package["depends"][0].as_str(), Some("nodejs (>= 18.5)"));
    let unit = &config["units"]["web.service"];
    assert_eq!(unit["Service"]["Environment"]["PORT"].as_str(), Some("8123"));
    let temp = tempfile::tempdir().unwrap();
    python(temp.path());
    ok(init(temp.path()).args(["--name", "acme"]));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    assert!(
        text.contains(r#"depends = ["python3 (>= 3.11)", "python3 (<< 3.12)"]"#),
        "{text}"
    );
    assert!(text.contains("name = \"acme\""), "{text}");
}

/// What is built once the configuration is there is delivered too, and packages of earlier builds are not.
#[test]
fn what_is_built_into_dist_later_is_packed() {
    for make in [node as Make, python] {
        let temp = tempfile::tempdir().unwrap();
        make(temp.path());
        written(temp.path(), &["--name", "acme"]);
        assert!(!packed(temp.path()).contains("app.css"));
        write(&temp.path().join("dist/assets/app.css"), "a {}\n", 0o644);
        write(&temp.path().join("dist/other_1.0_all.deb"), "x", 0o644);
        let first = build(temp.path());
        let shown = ok(relpack().args(["inspect", "--manifest"]).arg(&first));
        assert!(
            shown.contains("dist/assets/app.css") && !shown.contains(".deb"),
            "{shown}"
        );
        let tarball = ["build", "--format", "tar.gz", "-C"];
        ok(relpack().args(tarball).arg(temp.path()));
        assert_eq!(packed(temp.path()), shown, "nor a tarball");
    }
}

/// A package's name may hold more than a user's.
#[test]
fn a_name_that_no_user_can_have_is_no_obstacle() {
    for (name, package, user) in [
        ("chat.js", "chat.js", "chat-js"),
        ("@acme/acme.io", "acme.io", "acme-io"),
        (
            "customer-notification-preferences-service",
            "customer-notification-preferences-service",
            "customer-notification-preferenc",
        ),
        ("1x", "1x", "app-1x"),
        ("root", "root", "app-root"),
        ("a+b", "a-b", ""),
    ] {
        for make in [node as Make, go, rust, site] {
            let temp = tempfile::tempdir().unwrap();
            let dir = temp.path().join(package);
            make(&dir);
            let json = format!("{{\"name\": \"{name}\", \"scripts\": {{\"start\": \"node server.js\"}}}}");
            let args: &[&str] = if dir.join("package.json").exists() {
                fs::write(dir.join("package.json"), json).unwrap();
                &[]
            } else {
                &["--name", package]
            };
            let (config, said) = written(&dir, args);
            assert_eq!(said, "");
            assert_eq!(config["package"]["name"].as_str(), Some(package));
            let found = config.get("user").and_then(|user| user["name"].as_str());
            assert_eq!(found, Some(user).filter(|user| !user.is_empty()), "{name}");
            let output = relpack().args(["check", "-C"]).arg(&dir).output().unwrap();
            assert!(output.status.success(), "{name}: {}", both(&output));
            build(&dir);
        }
    }
    // Without the table the reason is said.
    let temp = tempfile::tempdir().unwrap();
    site(temp.path());
    written(temp.path(), &["--name", "chat.js"]);
    let file = temp.path().join("relpack.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[user]\nname = \"chat-js\"\n", "")).unwrap();
    let said = fails(relpack().args(["build", "-C"]).arg(temp.path()), 1);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("can't be a user's name: it contains a character other than"),
        "{said}"
    );
}

#[test]
fn what_is_not_there_yet_is_said() {
    for (make, file, said) in [
        (rust as Make, "target/release/acme-web", "cargo build --release"),
        (go as Make, "build/web", "go build -o build/web"),
        (node as Make, "node_modules/a/index.js", "npm ci --omit=dev"),
        (python as Make, "venv/pyvenv.cfg", "python3 -m venv"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        make(temp.path());
        fs::remove_file(temp.path().join(file)).unwrap();
        let _ = fs::remove_dir_all(temp.path().join("node_modules"));
        let output = init(temp.path()).args(["--name", "acme"]).output().unwrap();
        assert!(
            output.status.success() && both(&output).contains(said),
            "{}",
            both(&output)
        );
    }
}

/// A directory that the code reads is not beside the program in the release.
#[test]
fn what_a_program_may_read_is_said() {
    for (manifest, text, built) in [
        ("go.mod", "module acme.io/web\n", "build"),
        ("Cargo.toml", "[package]\nname = \"web\"\n", "target/release"),
    ] {
        let temp = project(&[("templates/a.html", "x"), ("migrations/1.sql", "x")]);
        write(&temp.path().join(manifest), text, 0o644);
        program(&temp.path().join(built).join("web"));
        let (_, said) = written(temp.path(), &[]);
        let told = format!("the release is {built}/, without migrations, templates: ");
        assert!(said.contains(&told), "{said}");
        for name in ["templates", "migrations"] {
            fs::create_dir(temp.path().join(built).join(name)).unwrap();
        }
        forget(temp.path());
        assert_eq!(written(temp.path(), &[]).1, "");
    }
}

/// A file that is there is named, with what is wrong in it.
#[test]
fn a_project_that_does_not_tell_what_to_start_is_named() {
    const CARGO: &str = "[package]\nname = \"a\nversion = \"1\"\n";
    const MEMBER: &str = "[workspace]\nmembers = [\"a\"]\n";
    const BROKEN: &str = "{\n  \"name\": \"a\",\n  \"main\": x\n}\n";
    type Files = &'static [(&'static str, &'static str)];
    let cases: [(&str, Files, &[&str]); 11] = [
        (
            "node",
            &[("package.json", BROKEN)],
            &["package.json\", line 3, column 11: expected value"],
        ),
        ("rust", &[("Cargo.toml", CARGO)], &["Cargo.toml\", line 2, column "]),
        (
            "rust",
            &[("Cargo.toml", MEMBER), ("a/Cargo.toml", CARGO)],
            &["a/Cargo.toml\", line 2"],
        ),
        (
            "rust",
            &[("Cargo.toml", "[workspace]\n")],
            &["Cargo.toml\" does not tell", "no [package]"],
        ),
        (
            "python",
            &[("pyproject.toml", "a = 1\nb = 0x\n")],
            &["pyproject.toml\", line 2, column "],
        ),
        (
            "python",
            &[("pyproject.toml", "[project]\n")],
            &["pyproject.toml\" does not tell", "[project.scripts]"],
        ),
        (
            "node",
            &[("package.json", r#"{"scripts": {"start": "pm2-runtime app.config.js"}}"#)],
            &[
                "`pm2-runtime app.config.js`: pm2-runtime is neither node nor in node_modules/.bin",
                "npm ci",
            ],
        ),
        (
            "node",
            &[("package.json", r#"{"scripts": {"start": "next start -p ${PORT}"}}"#)],
            &["next is neither", "npm ci --omit=dev"],
        ),
        (
            "node",
            &[("package.json", r#"{"scripts": {"start": "node dist/main.js"}}"#)],
            &["dist/main.js is not there; is it built?"],
        ),
        (
            "node",
            &[("package.json", r#"{"main": "dist/a.js"}"#)],
            &["main names \"dist/a.js\", which is not there"],
        ),
        (
            "node",
            &[("package.json", "{}")],
            &["neither scripts.start nor main", "\"start\": \"node FILE\""],
        ),
    ];
    for (runtime, files, wanted) in cases {
        let temp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(&temp.path().join(name), text, 0o644);
        }
        let said = fails(&mut init(temp.path()), 1);
        assert_eq!(said, fails(init(temp.path()).args(["--runtime", runtime]), 1));
        for wanted in wanted {
            assert!(said.contains(wanted), "{files:?}: {said}");
        }
        assert!(
            said.contains("hint: ") && !said.contains("nothing"),
            "{files:?}: {said}"
        );
        assert!(!temp.path().join("relpack.toml").exists());
    }
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("package.json"), b"{\"name\": \"\xff\"}").unwrap();
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("package.json") && said.contains("UTF-8"), "{said}");
    // What another runtime doesn't read doesn't stop it.
    go(temp.path());
    ok(init(temp.path()).args(["--runtime", "go"]));
    // A package.json for tools only is no application.
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("package.json"),
        "\u{feff}{\"devDependencies\": {}}",
        0o644,
    );
    go(temp.path());
    assert!(ok(&mut init(temp.path())).contains("runtime  go"));
}

#[test]
fn refusals() {
    let temp = tempfile::tempdir().unwrap();
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("nothing in") && said.contains("--runtime"), "{said}");
    let said = fails(init(temp.path()).args(["--runtime", "java"]), 1);
    assert!(said.contains("mvn package"), "{said}");
    fails(init(temp.path()).args(["--runtime", "cobol"]), 2);
    fails(init(temp.path()).args(["--name", "Not A Name"]), 2);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "nothing is left behind");
    site(temp.path());
    for make in [(|path: &Path| fs::write(path, "mine").unwrap()) as fn(&Path), |path| {
        symlink("nowhere", path).unwrap()
    }] {
        let file = temp.path().join("relpack.toml");
        make(&file);
        let said = fails(&mut init(temp.path()), 1);
        assert!(said.contains("is there already"), "{said}");
        assert!(!temp.path().join("nowhere").exists());
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_pipe_is_asked_nothing_and_a_guess_is_said() {
    let temp = tempfile::tempdir().unwrap();
    site(temp.path());
    let mut command = relpack();
    command.args(["init", "--name", "acme", "-C"]).arg(temp.path());
    command
        .env_remove("DEBEMAIL")
        .env_remove("EMAIL")
        .env("HOME", temp.path());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env_remove("XDG_CONFIG_HOME");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(
        both(&output).contains("package.maintainer is a guess"),
        "{}",
        both(&output)
    );
    ok(relpack().args(["build", "-C"]).arg(temp.path()));
}

#[test]
fn two_runtimes_are_said_and_one_can_be_chosen() {
    let temp = tempfile::tempdir().unwrap();
    node(temp.path());
    go(temp.path());
    let output = init(temp.path()).output().unwrap();
    assert!(both(&output).contains("looks like go too"), "{}", both(&output));
    fs::remove_file(temp.path().join("relpack.toml")).unwrap();
    let output = init(temp.path()).args(["--runtime", "go"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(
        fs::read_to_string(temp.path().join("relpack.toml"))
            .unwrap()
            .contains("preset = \"go\"")
    );
}

/// A terminal, by util-linux' script(1).
#[test]
fn a_terminal_is_asked_what_the_files_do_not_tell() {
    let temp = tempfile::tempdir().unwrap();
    go(temp.path());
    fs::write(temp.path().join("answers"), "A \"web\" app\n99999\n8090\n").unwrap();
    let script = format!(
        "DEBEMAIL=ops@acme.example DEBFULLNAME=Ops {} init -C {dir}",
        env!("CARGO_BIN_EXE_relpack"),
        dir = temp.path().display()
    );
    let output = Command::new("script")
        .args(["-qec", &script, "/dev/null"])
        .stdin(fs::File::open(temp.path().join("answers")).unwrap())
        .output()
        .unwrap();
    let said = both(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Description in one line"), "{said}");
    assert!(said.contains("a number from 1 to 65535"), "{said}");
    assert!(
        !said.contains("Name of the package") && !said.contains("Maintainer"),
        "{said}"
    );
    let config: toml::Table = fs::read_to_string(temp.path().join("relpack.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(config["package"]["description"].as_str(), Some("A \"web\" app"));
    let unit = &config["units"]["web.service"];
    assert_eq!(unit["Service"]["Environment"]["PORT"].as_str(), Some("8090"));
    assert_eq!(
        unit["X-Relpack"]["Health"].as_str(),
        Some("http://127.0.0.1:{env.PORT}/")
    );
}
