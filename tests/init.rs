//! `relpack init`: for each runtime, from a directory as people have it to a package.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use serde_json::Value;

/// Without what the environment of this machine tells about people.
pub(crate) fn init(dir: &Path) -> Command {
    let mut command = relpack();
    command.args(["init", "-C"]).arg(dir);
    command
        .env("DEBEMAIL", "ops@acme.example")
        .env("DEBFULLNAME", "Acme \"Ops\"");
    command
}

/// A program that any Linux executes.
pub(crate) fn program(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy("/bin/true", path).unwrap();
}

type Make = fn(&Path);

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

fn node(dir: &Path) {
    let package = r#"{"name": "@acme/web", "version": "1.2.0-rc.1", "description": "Acme's \"web\" app",
        "scripts": {"start": "node server.js --fast"}, "engines": {"node": ">=18.5"}, "dependencies": {"a": "1"}}"#;
    write(&dir.join("package.json"), package, 0o644);
    write(
        &dir.join("server.js"),
        "require('http').listen(process.env.PORT || 8123)\n",
        0o644,
    );
    write(&dir.join("node_modules/a/index.js"), "\n", 0o644);
    write(&dir.join(".env"), "SECRET=1\n", 0o600);
}

fn python(dir: &Path) {
    write(&dir.join("requirements.txt"), "gunicorn\n", 0o644);
    write(
        &dir.join("wsgi.py"),
        "def application(environ, start):\n    pass\n",
        0o644,
    );
    write(
        &dir.join("venv/pyvenv.cfg"),
        "home = /usr/bin\nversion = 3.11.2\n",
        0o644,
    );
    write(
        &dir.join("venv/lib/python3.11/site-packages/gunicorn/__init__.py"),
        "",
        0o644,
    );
    fs::create_dir(dir.join("venv/bin")).unwrap();
    symlink("/usr/bin/python3", dir.join("venv/bin/python3")).unwrap();
    symlink("python3", dir.join("venv/bin/python")).unwrap();
}

fn go(dir: &Path) {
    write(
        &dir.join("go.mod"),
        "module example.com/acme/web/v2\n\ngo 1.22\n",
        0o644,
    );
    write(&dir.join("main.go"), "package main\n", 0o644);
    program(&dir.join("build/web"));
}

fn rust(dir: &Path) {
    let manifest = "[package]\nname = \"acme_web\"\nversion = \"0.3.1\"\n[[bin]]\nname = \"acme-web\"\n";
    write(&dir.join("Cargo.toml"), manifest, 0o644);
    program(&dir.join("target/release/acme-web"));
    write(&dir.join("target/release/.cargo-lock"), "", 0o644);
    write(&dir.join("target/release/acme-web.d"), "x\n", 0o644);
    write(&dir.join("target/release/deps/libx.rlib"), "x\n", 0o644);
}

fn java(dir: &Path) {
    write(
        &dir.join("pom.xml"),
        "<project><artifactId>web</artifactId><version>1.2</version></project>",
        0o644,
    );
    write(&dir.join("target/web-1.2.jar"), "PK", 0o644);
    write(&dir.join("target/web-1.2-sources.jar"), "PK", 0o644);
    write(&dir.join("target/classes/A.class"), "x", 0o644);
}

fn site(dir: &Path) {
    write(&dir.join("public/index.html"), "<p>hello</p>\n", 0o644);
}

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

/// Writes a configuration; gives it, and what was said.
pub(crate) fn written(dir: &Path, args: &[&str]) -> (toml::Table, String) {
    let output = init(dir).args(args).env_remove("CARGO_TARGET_DIR").output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let text = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let config = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    (config, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Starts anew: init changes no configuration.
pub(crate) fn forget(dir: &Path) {
    fs::remove_file(dir.join("relpack.toml")).unwrap();
    let _ = fs::remove_file(dir.join("relpack.lock"));
}

/// Builds the package; gives its path.
pub(crate) fn build(dir: &Path) -> String {
    let built = ok(relpack().args(["build", "--json", "-C"]).arg(dir));
    let built: Value = serde_json::from_str(&built).unwrap();
    built["artifacts"][0]["path"].as_str().unwrap().to_owned()
}

/// The files of the release that is built.
pub(crate) fn packed(dir: &Path) -> String {
    ok(relpack().args(["inspect", "--manifest"]).arg(build(dir)))
}

#[test]
fn a_pre_release_sorts_below_its_release() {
    for version in ["1.0.0rc1", "1.0.0-rc.1", "1.0.0b2", "1.0.0.dev3", "1.0.0a1"] {
        let temp = tempfile::tempdir().unwrap();
        let project = format!("[project]\nname = \"acme\"\nversion = \"{version}\"\n");
        write(&temp.path().join("pyproject.toml"), &project, 0o644);
        write(&temp.path().join("server.py"), "\n", 0o644);
        let (config, _) = written(temp.path(), &[]);
        let found = config["package"]["version"].as_str().unwrap();
        assert!(found.starts_with("1.0.0~"), "{version}: {found}");
        let compared = Command::new("dpkg")
            .args(["--compare-versions", found, "lt", "1.0.0"])
            .status()
            .unwrap();
        assert!(compared.success(), "{version}: {found}");
        assert!(build(temp.path()).contains(&format!("acme_{found}_")), "{version}");
    }
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

/// Python finds the modules of a `src` layout, in the release as it is built.
#[test]
fn modules_in_src_are_found() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let project = "[project]\nname = \"acme\"\n[project.scripts]\nacme = \"acme.main:main\"\n";
    write(&dir.join("pyproject.toml"), project, 0o644);
    write(&dir.join("src/acme/__init__.py"), "", 0o644);
    let main = "def main():\n    print('it runs')\n";
    write(&dir.join("src/acme/main.py"), main, 0o644);
    let (config, said) = written(dir, &[]);
    assert!(
        said.contains("python3 -m venv venv && venv/bin/pip install .`, not with -e"),
        "{said}"
    );
    let service = &config["units"]["acme.service"]["Service"];
    let path = service["Environment"]["PYTHONPATH"].as_str().unwrap();
    assert_eq!(path, "{app}/src");
    let out = dir.join("out");
    ok(Command::new("dpkg-deb").arg("-x").args([Path::new(&build(dir)), &out]));
    let payload = fs::read_dir(out.join("opt/acme/payload")).unwrap();
    let release = payload.map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let release = release.unwrap();
    // Nothing in it is systemd's alone, so a shell splits it alike.
    let run = |path: &str| {
        let path = path.replace("{app}", release.to_str().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", service["ExecStart"].as_str().unwrap()]);
        shell.env("PYTHONPATH", path).current_dir(&release).output().unwrap()
    };
    assert_eq!(String::from_utf8_lossy(&run(path).stdout), "it runs\n");
    assert!(!run("").status.success(), "only by that path");

    let has_path = |said: &str| {
        forget(dir);
        let (config, found) = written(dir, &[]);
        assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found}");
        let environment = &config["units"]["acme.service"]["Service"]["Environment"];
        environment.get("PYTHONPATH").is_some()
    };
    // What was installed with -e is there by name only.
    write(&dir.join("venv/pyvenv.cfg"), "home = /usr/bin\n", 0o644);
    let packages = dir.join("venv/lib/python3.11/site-packages");
    write(&packages.join("__editable__.acme.pth"), "/home/a/acme/src\n", 0o644);
    assert!(has_path("(`venv/bin/pip install .`"));
    write(&packages.join("acme/__init__.py"), "", 0o644);
    assert!(!has_path(""));
    fs::remove_dir_all(dir.join("venv")).unwrap();
    write(&dir.join("acme.py"), "", 0o644);
    assert!(!has_path(""));
}

/// A program at least by its first bytes.
fn programs(dir: &Path, names: &[&str]) {
    names.iter().for_each(|name| program(&dir.join(name)));
}

#[test]
fn a_member_of_a_workspace_is_packed_from_the_workspaces_builds() {
    const ROOT: &str = "[workspace]\nmembers = [\"crates/*\", \"tool\"]\nexclude = [\"crates/apart\", \"old\"]\n\
        [workspace.package]\nversion = \"2.5.0-rc.1\"\ndescription = \"Acme's web app\"\nauthors = [\"A <a@b.example>\"]\n";
    const WEB: &str = "[package]\nname = \"acme-web\"\nversion.workspace = true\ndescription = { workspace = true }\n\
        authors.workspace = true\ndefault-run = \"web\"\n";
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    write(&root.join("Cargo.toml"), ROOT, 0o644);
    let dir = root.join("crates/web");
    write(&dir.join("Cargo.toml"), WEB, 0o644);
    for name in ["src/bin/web.rs", "src/bin/migrate/main.rs"] {
        write(&dir.join(name), "fn main() {}\n", 0o644);
    }
    let tool = "[package]\nname = \"tool\"\n";
    write(&root.join("tool/Cargo.toml"), tool, 0o644);
    write(&root.join("tool/src/main.rs"), "fn main() {}\n", 0o644);
    let release = root.join("target/release");
    programs(&release, &["web", "migrate", "tool"]);
    write(&release.join("web.d"), "x\n", 0o644);
    write(&release.join("deps/libx.rlib"), "x\n", 0o644);
    let (config, said) = written(&dir, &[]);
    assert_eq!(said, "");
    assert_eq!(config["release"]["source"].as_str(), Some("../../target/release"));
    assert_eq!(config["package"]["version"].as_str(), Some("2.5.0~rc.1"));
    assert_eq!(config["package"]["description"].as_str(), Some("Acme's web app"));
    let start = |config: &toml::Table| {
        let (_, unit) = config["units"].as_table().unwrap().iter().next().unwrap();
        unit["Service"]["ExecStart"].as_str().unwrap().to_owned()
    };
    assert_eq!(start(&config), "web");
    let shown = packed(&dir);
    assert!(shown.contains(" ./web\n") && shown.contains(" ./migrate\n"), "{shown}");
    assert!(
        !shown.contains("tool") && !shown.contains("web.d") && !shown.contains("deps"),
        "{shown}"
    );

    // With metadata, only what neither manifest says is left to the configuration.
    forget(&dir);
    write(
        &dir.join("Cargo.toml"),
        &format!("{WEB}[package.metadata.deb]\nassets = [[\"target/release/web\", \"usr/bin/\", \"755\"]]\n"),
        0o644,
    );
    let (config, said) = written(&dir, &[]);
    assert!(!config.contains_key("package") && said.is_empty(), "{config:?} {said}");
    assert_eq!(start(&config), "bin/web");

    // A package that the workspace leaves out has builds of its own.
    let apart = root.join("old/apart");
    write(&apart.join("Cargo.toml"), tool, 0o644);
    let (config, said) = written(&apart, &[]);
    assert_eq!(config["release"]["source"].as_str(), Some("target/release"));
    assert!(said.contains("target/release/tool is not there yet"), "{said}");
}

#[test]
fn cargos_own_words_tell_the_program() {
    const NAMED: &str = "[package]\nname = \"acme-web\"\n";
    let cases: [(&str, &[&str], &str, &str); 7] = [
        ("", &["src/main.rs", "src/bin/migrate.rs"], "acme-web", ""),
        ("default-run = \"b\"\n", &["src/bin/a.rs", "src/bin/b.rs"], "b", ""),
        ("", &["src/lib.rs", "src/bin/webd.rs"], "webd", ""),
        ("", &["src/bin/webd/main.rs"], "webd", ""),
        ("", &["src/bin/acme-web.rs", "src/bin/a.rs"], "acme-web", ""),
        ("", &["src/bin/a.rs", "src/bin/b.rs"], "a", "other programs too (b)"),
        (
            "[[bin]]\nname = \"migrate\"\npath = \"src/bin/m.rs\"\n",
            &["src/main.rs", "src/bin/m.rs"],
            "acme-web",
            "",
        ),
    ];
    for (more, files, exec, told) in cases {
        let temp = tempfile::tempdir().unwrap();
        write(&temp.path().join("Cargo.toml"), &format!("{NAMED}{more}"), 0o644);
        for file in files {
            write(&temp.path().join(file), "fn main() {}\n", 0o644);
        }
        programs(&temp.path().join("target/release"), &[exec]);
        let (config, said) = written(temp.path(), &[]);
        let service = &config["units"]["acme-web.service"]["Service"];
        assert_eq!(service["ExecStart"].as_str(), Some(exec), "{files:?}");
        assert!(
            said.contains(told) && said.is_empty() == told.is_empty(),
            "{files:?}: {said}"
        );
        build(temp.path());
    }
}

#[test]
fn a_go_project_tells_its_program() {
    const WEB: &str = "module github.com/acme/web // Deprecated: use y\n";
    const QUOTED: &str = "module \"github.com/acme/web\"\n";
    // The files, what is built, what the unit starts, and what is said.
    type Names = &'static [&'static str];
    let cases: [(&str, Names, Names, &str, &str); 8] = [
        (WEB, &[], &["build/web"], "web", ""),
        (
            QUOTED,
            &[],
            &["bin/migrate", "bin/web"],
            "web",
            "bin/ is for other programs too (migrate)",
        ),
        (QUOTED, &["main.go"], &[], "web", "`go build -o build/web .`"),
        (
            WEB,
            &["cmd/webd/main.go"],
            &[],
            "webd",
            "`go build -o build/webd ./cmd/webd`",
        ),
        (
            WEB,
            &["lib.go", "cmd/webd/main.go"],
            &[],
            "webd",
            "`go build -o build/webd ./cmd/webd`",
        ),
        (WEB, &["cmd/main.go"], &[], "web", "`go build -o build/web ./cmd`"),
        (
            WEB,
            &["cmd/migrate/main.go", "cmd/web/main.go"],
            &[],
            "web",
            "build/migrate and build/web are not there yet: run `go build -o build/ ./cmd/migrate ./cmd/web`",
        ),
        (WEB, &[], &[], "web", "`go build -o build/web .`"),
    ];
    for (module, files, built, exec, told) in cases {
        let temp = tempfile::tempdir().unwrap();
        write(&temp.path().join("go.mod"), module, 0o644);
        for file in files {
            let package = if *file == "lib.go" { "web" } else { "main" };
            write(
                &temp.path().join(file),
                &format!("// A\npackage {package} // x\n"),
                0o644,
            );
        }
        programs(temp.path(), built);
        let (config, said) = written(temp.path(), &[]);
        let service = &config["units"]["web.service"]["Service"];
        assert_eq!(service["ExecStart"].as_str(), Some(exec), "{files:?} {built:?}");
        assert!(
            said.contains(told) && said.is_empty() == told.is_empty(),
            "{files:?}: {said}"
        );
        if built.len() > 1 {
            let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
            assert!(text.contains(&format!("# {told}")), "{text}");
        }
        if !built.is_empty() {
            build(temp.path());
        }
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

/// As npm would start it, as far as that takes no shell; the rest is said.
#[test]
fn what_a_start_script_says_is_kept_or_said() {
    let written = |start: &str| {
        let temp = tempfile::tempdir().unwrap();
        let package = serde_json::json!({"name": "web", "scripts": {"start": start}}).to_string();
        write(&temp.path().join("package.json"), &package, 0o644);
        write(&temp.path().join("my server.js"), "\n", 0o644);
        write(&temp.path().join("app.js"), "listen(process.env.PORT || 7000)\n", 0o644);
        write(&temp.path().join("node_modules/.bin/next"), "#!/usr/bin/node\n", 0o755);
        write(&temp.path().join(".next/BUILD_ID"), "x\n", 0o644);
        let output = init(temp.path()).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
        let config: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        ok(relpack().args(["build", "-C"]).arg(temp.path()));
        let service = config["units"]["web.service"]["Service"].clone();
        (service, text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (service, _, said) = written(
        "NODE_ENV=production A='b \"c\"' PORT=4000 node --max-old-space-size=512 \"my server.js\" --flag '{app}'",
    );
    assert_eq!(
        service["ExecStart"].as_str(),
        Some("/usr/bin/node --max-old-space-size=512 \"my server.js\" --flag \"\\x7bapp}\"")
    );
    assert_eq!(service["Environment"]["PORT"].as_str(), Some("4000"));
    assert_eq!(service["Environment"]["NODE_ENV"].as_str(), Some("production"));
    assert_eq!(service["Environment"]["A"].as_str(), Some("b \"c\""));
    assert_eq!(said, "");
    let (service, _, said) = written("next start -p ${PORT:-4100}");
    assert_eq!(
        service["ExecStart"].as_str(),
        Some("node_modules/.bin/next start -p ${PORT}")
    );
    assert_eq!(service["Environment"]["PORT"].as_str(), Some("4100"));
    assert_eq!(said, "");
    for start in [
        "PORT=1 node a.js && node b.js",
        "cross-env A=1 node app.js",
        "PORT=0x node app.js",
        "node app.js\n[units]\u{1b}",
    ] {
        let (service, text, said) = written(start);
        assert_eq!(service["ExecStart"].as_str(), Some("/usr/bin/node app.js"), "{start}");
        assert_eq!(service["Environment"]["PORT"].as_str(), Some("7000"), "{start}");
        for told in [text, said] {
            let line = told
                .lines()
                .find(|line| line.contains("scripts.start was not understood: "));
            let line = line.unwrap_or_else(|| panic!("{start}: {told}"));
            assert!(line.contains("; guessed `/usr/bin/node app.js`"), "{start}: {line}");
        }
    }
}

/// The metadata of a package says itself how it is packed, in a workspace as well.
#[test]
fn a_cargo_project_with_metadata_is_only_named() {
    let with = |deb: &str| {
        format!(
            "[package]\nname = \"acme_web\"\nversion = \"0.3.1\"\ndescription = \"A web app\"\nauthors = [\"A <a@b.example>\"]\n[package.metadata.deb]\n{deb}"
        )
    };
    let assets = "assets = [[\"target/release/acme_web\", \"usr/bin/acme-web\", \"755\"]";
    let service = format!("{assets}]\n");
    let units = format!("{assets}, [\"acme-web.service\", \"lib/systemd/system/\", \"644\"]]\n");
    for (deb, workspace) in [(&service, false), (&service, true), (&units, false)] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let package = if workspace {
            root.join("crates/web")
        } else {
            root.to_owned()
        };
        if workspace {
            write(
                &root.join("Cargo.toml"),
                "[workspace]\nmembers = [\"crates/*\"]\n",
                0o644,
            );
        }
        write(&package.join("Cargo.toml"), &with(deb), 0o644);
        write(&package.join("src/main.rs"), "fn main() {}\n", 0o644);
        write(
            &package.join("acme-web.service"),
            "[Service]\nExecStart=/usr/bin/acme-web\n",
            0o644,
        );
        program(&root.join("target/release/acme_web"));
        let output = init(root).env_remove("CARGO_TARGET_DIR").output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = fs::read_to_string(root.join("relpack.toml")).unwrap();
        let config: toml::Table = text.parse().unwrap();
        assert_eq!(config["release"]["cargo"].as_str(), Some("acme_web"));
        assert!(!config.contains_key("package"), "{text}");
        assert_eq!(config.contains_key("units"), *deb == service, "{text}");
        assert_eq!(config["defaults"]["preset"].as_str(), Some("rust"), "{text}");
        assert!(root.join("relpack.lock").exists(), "{text}");
        let built = ok(relpack()
            .args(["build", "--json", "-C"])
            .arg(root)
            .env_remove("CARGO_TARGET_DIR"));
        let built: Value = serde_json::from_str(&built).unwrap();
        let path = built["artifacts"][0]["path"].as_str().unwrap();
        assert!(path.contains("/acme-web_0.3.1-1_"), "{path}");
        let shown = ok(relpack().arg("inspect").arg(path));
        assert!(shown.contains("acme-web.service"), "{shown}");
        // The units that the project brings get the preset too.
        let unit = Command::new("sh")
            .args([
                "-c",
                "dpkg-deb --fsys-tarfile \"$1\" | tar -xO --wildcards '*/systemd/system/acme-web.service'",
                "sh",
            ])
            .arg(path)
            .output()
            .unwrap();
        let unit = both(&unit);
        assert!(
            unit.contains("ExecStart=") && unit.contains("ProtectSystem=strict"),
            "{unit}"
        );
    }
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("Cargo.toml"),
        "[workspace]\nmembers = [\"a\", \"b\"]\n",
        0o644,
    );
    for member in ["a", "b"] {
        write(&temp.path().join(member).join("Cargo.toml"), &with(&service), 0o644);
    }
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("several members"), "{said}");
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
fn a_django_project_needs_its_environment_first() {
    let temp = tempfile::tempdir().unwrap();
    write(&temp.path().join("manage.py"), "\n", 0o644);
    write(&temp.path().join("proj/wsgi.py"), "application = None\n", 0o644);
    let said = fails(&mut init(temp.path()), 1);
    assert!(
        said.contains("manage.py") && said.contains("python3 -m venv venv"),
        "{said}"
    );
    python(temp.path());
    fs::remove_file(temp.path().join("requirements.txt")).unwrap();
    ok(init(temp.path()).args(["--name", "acme"]));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    let exec = "venv/bin/python -m gunicorn --bind 127.0.0.1:${PORT} proj.wsgi:application";
    assert!(text.contains(exec), "{text}");
    fs::remove_file(temp.path().join("relpack.toml")).unwrap();
    fs::remove_file(temp.path().join("wsgi.py")).unwrap();
    fs::remove_dir_all(temp.path().join("venv/lib/python3.11/site-packages/gunicorn")).unwrap();
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("`venv/bin/pip install django gunicorn`"), "{said}");
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
fn a_program_without_a_project_tells_too() {
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("server.py"),
        "import os\nPORT = os.environ.get('PORT', 8456)\n",
        0o644,
    );
    ok(init(temp.path()).args(["--name", "acme"]));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    assert!(
        text.contains("preset = \"python\"") && text.contains("\"8456\""),
        "{text}"
    );
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
