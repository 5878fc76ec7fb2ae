//! `[release] cargo`: what a project's `[package.metadata.deb]` becomes, and what is said where it can't.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, names, ok, relpack, write};
use serde_json::Value;

const MANIFEST: &str = r#"
[package]
name = "acme_api"
version = "1.2.0-beta.3"
edition = "2021"
authors = ["Acme Ops <ops@acme.example>"]
description = """An API
of Acme's that has more to say about itself than would fit into the one line that lists show."""
homepage = "https://acme.example/"
license = "MIT"

[package.metadata.deb]
license-file = ["LICENSE", "1"]
changelog = "CHANGES"
depends = "$auto, adduser, bash (>= 5) | dash"
pre-depends = "init-system-helpers"
recommends = ["logrotate"]
section = "web"
extended-description = """
More.

The end."""
assets = [
    ["target/release/acme_api", "usr/bin/", "755"],
    ["deploy/api.toml", "etc/acme-api/api.toml", "640"],
    ["deploy/*.html", "usr/share/acme-api/web/", "644"],
    ["deploy/acme-api.1", "usr/share/man/man1/", "644"],
    ["deploy/acme-api.5.gz", "usr/share/man/man5/", "644"],
    ["deploy/complete", "usr/share/bash-completion/completions/acme-api", "644"],
    { link_name = "acme_api", dest = "usr/bin/acme-api" },
]
maintainer-scripts = "deploy"
systemd-units = { unit-name = "acme-api" }

[package.metadata.deb.variants.other]
name = "acme-other"
depends = "adduser"
assets = [["target/release/acme_api", "usr/bin/", "755"]]
systemd-units = { unit-name = "acme-other", unit-scripts = "other", enable = false, restart-after-upgrade = false }
"#;

const UNIT: &str = "[Unit]
Description=Acme's API
After=network.target

[Service]
ExecStartPre=-/bin/acme_api \\
\tcheck
ExecStart=/usr/bin/acme-api --config /etc/acme-api/api.toml --web /usr/share/acme-api/web
ExecReload=/bin/kill -HUP $MAINPID
User=acme
Restart=always

[Install]
WantedBy=multi-user.target
";

/// A project whose program is a script, so that no compiler is needed.
fn project(dir: &Path) {
    write(&dir.join("Cargo.toml"), MANIFEST, 0o644);
    write(&dir.join("src/main.rs"), "fn main() {}\n", 0o644);
    write(&dir.join("LICENSE"), "MIT License\nDo as you like.\n", 0o644);
    write(&dir.join("CHANGES"), "1.2: all is new\n", 0o644);
    write(&dir.join("target/release/acme_api"), "#!/bin/sh\n", 0o755);
    write(&dir.join("deploy/api.toml"), "listen = 1\n", 0o644);
    write(&dir.join("deploy/index.html"), "<p>\n", 0o644);
    write(&dir.join("deploy/acme-api.1"), ".TH ACME-API 1\n", 0o644);
    write(&dir.join("deploy/acme-api.5"), ".TH ACME-API 5\n", 0o644);
    ok(Command::new("gzip").arg("-nf").arg(dir.join("deploy/acme-api.5")));
    write(&dir.join("deploy/complete"), "complete -W check acme-api\n", 0o644);
    write(&dir.join("deploy/acme-api.service"), UNIT, 0o644);
    write(
        &dir.join("other/acme-other.service"),
        "[Service]\nExecStart=/usr/bin/acme_api\n",
        0o644,
    );
    write(&dir.join("relpack.toml"), "[release]\ncargo = \"acme_api\"\n", 0o644);
}

/// With a build directory of its own.
fn run(verb: &str, dir: &Path) -> Command {
    let mut command = relpack();
    command.args([verb, "-C"]).arg(dir).env_remove("CARGO_TARGET_DIR");
    command
}

fn plan(dir: &Path) -> Value {
    let said = ok(run("build", dir).args(["--plan", "--json"]));
    serde_json::from_str(&said).expect("a plan is JSON")
}

fn built(dir: &Path) -> String {
    ok(&mut run("build", dir));
    let debs: Vec<_> = names(&dir.join("dist"))
        .into_iter()
        .filter(|path| path.extension().is_some())
        .collect();
    assert_eq!(debs.len(), 1, "{debs:?}");
    ok(Command::new("dpkg-deb").arg("-c").arg(&debs[0])) + &ok(Command::new("dpkg-deb").arg("-I").arg(&debs[0]))
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

/// Runs `build`, which has to refuse it; without line breaks and the frame.
fn refused(dir: &Path) -> String {
    let said = fails(&mut run("build", dir), 1);
    assert!(!dir.join("dist").exists(), "nothing is left behind\n{said}");
    let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "│").collect();
    words.join(" ")
}

#[test]
fn a_project_needs_nothing_but_its_name() {
    let temp = temp();
    project(temp.path());
    let deb = built(temp.path());
    for expected in [
        "Package: acme-api\n",
        "Version: 1.2.0~beta.3-1\n",
        "Maintainer: Acme Ops <ops@acme.example>\n",
        "Homepage: https://acme.example/\n",
        "Section: web\n",
        "Description: An API of Acme's that has more to say about itself than would fit into the one\n",
        " line that lists show.\n",
        " More.\n",
        "./usr/bin/acme_api -> /opt/acme-api/current/bin/acme_api\n",
        "./usr/bin/acme-api -> /opt/acme-api/current/bin/acme_api\n",
        "./usr/share/acme-api/web/index.html -> /opt/acme-api/current/share/acme-api/web/index.html\n",
        "./usr/share/man/man1/acme-api.1.gz\n",
        "./usr/share/man/man5/acme-api.5.gz\n",
        "./usr/share/bash-completion/completions/acme-api\n",
        "./usr/lib/systemd/system/acme-api.service\n",
    ] {
        assert!(deb.contains(expected), "{expected:?} is not in\n{deb}");
    }
    let debs = names(&temp.path().join("dist"));
    let unpacked = temp.path().join("unpacked");
    ok(Command::new("dpkg-deb").arg("-x").arg(&debs[0]).arg(&unpacked));
    let documents = unpacked.join("usr/share/doc/acme-api");
    let copyright = fs::read_to_string(documents.join("copyright")).unwrap();
    assert!(copyright.contains("License: MIT\n Do as you like.\n"), "{copyright}");
    assert!(!copyright.contains("MIT License"), "{copyright}");
    let changes = ok(Command::new("zcat").arg(documents.join("changelog.gz")));
    assert_eq!(changes, "1.2: all is new\n");
    let depends = deb
        .lines()
        .find(|line| line.trim_start().starts_with("Depends:"))
        .unwrap_or_default();
    for needed in ["adduser", "bash (>= 5) | dash", "init-system-helpers"] {
        assert!(depends.contains(needed), "{depends}");
    }
    assert!(!depends.contains("$auto"), "{depends}");

    let plan = plan(temp.path());
    let units = plan["units"].to_string();
    for expected in [
        "ExecStartPre=-/opt/acme-api/app/bin/acme_api",
        "ExecStart=/opt/acme-api/app/bin/acme_api --config /etc/acme-api/api.toml --web /usr/share/acme-api/web",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "User=acme",
    ] {
        assert!(units.contains(expected), "{expected:?} is not in\n{units}");
    }
    let files = plan["files"].to_string();
    assert!(
        files.contains("/etc/acme-api/api.toml") && files.contains("0640"),
        "{files}"
    );
}

#[test]
fn what_the_file_says_wins() {
    let temp = temp();
    project(temp.path());
    let config = r#"
[package]
name = "acme"
version = "9"
depends = ["zstd"]
[release]
cargo = "acme_api"
exclude = ["share/acme-api"]
[files]
"/usr/share/acme-api/web/index.html" = { link = "current/bin/acme_api" }
[units."acme-api.service"]
Service.ExecStart = "bin/acme_api --other"
X-Relpack.Health = "http://127.0.0.1:3000/"
"#;
    write(&temp.path().join("relpack.toml"), config, 0o644);
    let deb = built(temp.path());
    for expected in [
        "Package: acme\n",
        "Version: 9\n",
        "index.html -> /opt/acme/current/bin/acme_api",
    ] {
        assert!(deb.contains(expected), "{expected:?} is not in\n{deb}");
    }
    assert!(!deb.contains("adduser"), "{deb}");
    let units = plan(temp.path())["units"].to_string();
    assert!(
        units.contains("ExecStart=/opt/acme/app/bin/acme_api --other"),
        "{units}"
    );
    assert!(units.contains("Restart=always"), "what it does not say stays\n{units}");
}

#[test]
fn variants_and_members_of_a_workspace() {
    let temp = temp();
    let member = temp.path().join("api");
    project(&member);
    fs::remove_dir_all(member.join("target")).unwrap();
    fs::remove_file(member.join("relpack.toml")).unwrap();
    write(
        &temp.path().join("Cargo.toml"),
        "[workspace]\nmembers = [\"api\", \"tool\"]\nresolver = \"2\"\n",
        0o644,
    );
    write(
        &temp.path().join("tool/Cargo.toml"),
        "[package]\nname = \"tool\"\nversion = \"0.1.0\"\ndescription = \"A tool\"\nauthors = [\"A <a@b.example>\"]\npublish = false\n",
        0o644,
    );
    write(&temp.path().join("tool/src/main.rs"), "fn main() {}\n", 0o644);
    for program in ["acme_api", "tool"] {
        write(&temp.path().join("target/release").join(program), "#!/bin/sh\n", 0o755);
    }
    let config = |text: &str| {
        write(
            &temp.path().join("relpack.toml"),
            &format!("[release]\ncargo = {text}\n"),
            0o644,
        )
    };
    config("{ package = \"acme_api\", variant = \"other\" }");
    let shown = plan(temp.path());
    assert_eq!(shown["name"], "acme-other", "{shown}");
    let units = shown["units"].to_string();
    assert!(
        units.contains("acme-other.service") && !units.contains("acme-api.service"),
        "{units}"
    );
    assert!(
        units.contains("\"on_upgrade\":\"none\"") && units.contains("\"enabled\":false"),
        "{units}"
    );
    // A package without any metadata is its programs.
    config("\"tool\"");
    let shown = plan(temp.path());
    assert_eq!(shown["name"], "tool", "{shown}");
    // From another directory.
    write(
        &temp.path().join("deploy/relpack.toml"),
        "[release]\ncargo = { path = \"..\", package = \"tool\" }\n",
        0o644,
    );
    assert_eq!(plan(&temp.path().join("deploy"))["name"], "tool");

    // Only one has metadata, so it need not be named; of two it has to be.
    config("{ variant = \"other\" }");
    assert_eq!(plan(temp.path())["name"], "acme-other");
    let tool = temp.path().join("tool/Cargo.toml");
    let manifest = fs::read_to_string(&tool).unwrap();
    write(&tool, &format!("{manifest}[package.metadata.deb]\n"), 0o644);
    let said = refused(temp.path());
    assert!(
        said.contains("several packages") && said.contains("acme_api, tool"),
        "{said}"
    );

    config("\"acme_ap\"");
    let said = refused(temp.path());
    assert!(said.contains("did you mean \"acme_api\"?"), "{said}");
    config("{ package = \"acme_api\", variant = \"othr\" }");
    let said = refused(temp.path());
    assert!(said.contains("did you mean \"other\"?"), "{said}");
    config("{ variant = \"other\", pacakge = \"acme_api\" }");
    let said = refused(temp.path());
    assert!(said.contains("did you mean \"package\"?"), "{said}");
    fs::remove_dir_all(temp.path().join("target/release")).unwrap();
    config("\"acme_api\"");
    let said = refused(temp.path());
    assert!(
        said.contains("target/release/acme_api\", which becomes \"/usr/bin/acme_api\", is not built"),
        "{said}"
    );
    assert!(said.contains("cargo build --manifest-path"), "{said}");
    assert!(said.contains("--release --bin=acme_api"), "{said}");
    config("{ package = \"acme_api\", target = \"x86_64-unknown-linux-musl\" }");
    let said = refused(temp.path());
    assert!(
        said.contains("target/x86_64-unknown-linux-musl/release/acme_api"),
        "{said}"
    );
}

/// What is changed in the manifest or its files, and what has to be said.
type Case<'a> = (&'a str, &'a str, &'a [&'a str]);

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let temp = temp();
    project(temp.path());
    let cases: &[Case] = &[
        ("section = \"web\"", "setcion = \"web\"", &["unknown field `setcion`"]),
        (
            "section = \"web\"",
            "section = \"Web Apps\"",
            &[
                "package.section",
                "not a section",
                "cargo = \"acme_api\"",
                "by what",
                "Cargo.toml says",
            ],
        ),
        ("section = \"web\"", "section = 3", &["line 18", "expected a string"]),
        ("[package]", "[package", &["cargo can't read the project"]),
        (
            "\"$auto, adduser",
            "\"$auto, Adduser",
            &["package.depends", "\"adduser\""],
        ),
        (
            "deploy/api.toml",
            "deploy/none.toml",
            &["deploy/none.toml", "matches no file"],
        ),
        ("\"640\"", "\"755\"", &["files.\"/etc/acme-api/api.toml\".mode", "0755"]),
        (
            "etc/acme-api/",
            "var/lib/acme-api/",
            &["/var/lib/acme-api/api.toml", "[directories]"],
        ),
        ("etc/acme-api/", "../../etc/", &["leads elsewhere", "\"..\""]),
        (
            "etc/acme-api/",
            "etc/relpack/",
            &["/etc/relpack/api.toml", "not for a package's files"],
        ),
        (
            "etc/acme-api/",
            "usr/share/acme-api/",
            &["mode 0640", "everybody can read"],
        ),
        (
            "usr/bin/\", \"755\"",
            "usr/bin/\", \"4755\"",
            &["bin/acme_api", "setuid"],
        ),
        (
            "usr/bin/\", \"755\"",
            "usr/bin/\", \"644\"",
            &["bin/acme_api", "not executable"],
        ),
        (
            "target/release/acme_api\"",
            "target/release/\"",
            &["the whole directory of a build", "name the programs"],
        ),
        ("authors = [", "categories = [", &["maintainer"]),
        (
            "unit-name = \"acme-api\"",
            "unit-scripts = \"src\"",
            &["no units", "No usable systemd units"],
        ),
        (
            "dest = \"usr/bin/acme-api\"",
            "dest = \"usr/local/bin/acme-api\"",
            &["/usr/local", "admin"],
        ),
    ];
    for (from, to, expected) in cases {
        assert!(MANIFEST.contains(from), "{from}");
        write(&temp.path().join("Cargo.toml"), &MANIFEST.replacen(from, to, 1), 0o644);
        let output = run("build", temp.path()).arg("--plan").output().unwrap();
        let said = both(&output);
        let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "│").collect();
        let said = words.join(" ");
        for text in *expected {
            assert!(said.contains(text), "{from} → {to}: {text:?} is not in\n{said}");
        }
        let warning = from.contains("unit-name");
        assert_eq!(output.status.success(), warning, "{from} → {to}\n{said}");
    }
}

#[test]
fn broken_units_and_wrong_keys_are_refused() {
    let temp = temp();
    project(temp.path());
    write(
        &temp.path().join("deploy/acme-api.service"),
        "[Service]\nExecStart=/usr/bin/acme_api\nRestrat=always\n",
        0o644,
    );
    let said = refused(temp.path());
    assert!(said.contains("Restrat") && said.contains("Restart"), "{said}");
    write(&temp.path().join("deploy/acme-api.service"), "Restart=always\n", 0o644);
    let said = refused(temp.path());
    assert!(said.contains("acme-api.service, line 1"), "{said}");
    project(temp.path());
    for (config, expected) in [
        ("cargo = \"\"", "the name is empty"),
        ("cargo = 3", "expected a string"),
        ("cargo = { variant = \"\" }", "variant is empty"),
        ("cargo = \"acme_api\"\nsource = \"build\"", "there is a source as well"),
        ("cargo = { path = \"nowhere\" }", "find the project"),
    ] {
        write(
            &temp.path().join("relpack.toml"),
            &format!("[release]\n{config}\n"),
            0o644,
        );
        let output = run("check", temp.path()).output().unwrap();
        assert!(!output.status.success(), "{config}");
        assert!(both(&output).contains(expected), "{config}: {}", both(&output));
    }
}

#[test]
fn nothing_of_cargo_debs_own_is_touched() {
    let temp = temp();
    project(temp.path());
    let own = temp.path().join("target/debian/acme-api_1.0.0-1_amd64.deb");
    write(&own, "a package", 0o644);
    let before = names(temp.path());
    ok(&mut run("check", temp.path()));
    assert_eq!(names(temp.path()), before);
    assert_eq!(fs::read_to_string(&own).unwrap(), "a package");
    fs::remove_file(temp.path().join("target/release/acme_api")).unwrap();
    let before = names(temp.path());
    fails(&mut run("check", temp.path()), 1);
    assert_eq!(names(temp.path()), before, "nor where something fails");
}

#[test]
fn without_cargo_it_is_the_machines_fault() {
    let temp = temp();
    project(temp.path());
    let said = fails(run("build", temp.path()).env("PATH", "/nowhere"), 4);
    assert!(said.contains("cargo can't be run"), "{said}");
}

#[test]
fn an_elf_program_goes_by_the_lock() {
    let temp = temp();
    project(temp.path());
    fs::copy("/bin/true", temp.path().join("target/release/acme_api")).unwrap();
    let said = refused(temp.path());
    assert!(said.contains("relpack lock"), "{said}");
    ok(&mut run("lock", temp.path()));
    let deb = built(temp.path());
    assert!(deb.contains("libc6 (>="), "{deb}");
    assert!(!deb.contains("Architecture: all"), "{deb}");
}

#[test]
fn the_same_project_gives_the_same_bytes() {
    let temp = temp();
    let sha = |dir: &Path| {
        project(dir);
        let said = ok(run("build", dir).arg("--json"));
        let said: Value = serde_json::from_str(&said).expect("it is JSON");
        said["artifacts"][0]["sha256"].to_string()
    };
    let (here, there) = (
        sha(&temp.path().join("here")),
        sha(&temp.path().join("there/and/deeper")),
    );
    assert_eq!(here, there);
    assert!(here.len() > 60, "{here}");
}
