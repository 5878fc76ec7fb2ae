//! Projects for `relpack init`, one of each runtime, and what it makes of a project.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, ok, relpack, write};
use serde_json::Value;

/// Without what the environment of this machine tells about people.
pub fn init(dir: &Path) -> Command {
    let mut command = relpack();
    command.args(["init", "-C"]).arg(dir);
    command
        .env("DEBEMAIL", "ops@acme.example")
        .env("DEBFULLNAME", "Acme \"Ops\"");
    command
}

/// Writes a configuration; gives it, and what was said.
pub fn written(dir: &Path, args: &[&str]) -> (toml::Table, String) {
    let output = init(dir).args(args).env_remove("CARGO_TARGET_DIR").output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let text = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let config = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    (config, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Starts anew: init changes no configuration.
pub fn forget(dir: &Path) {
    fs::remove_file(dir.join("relpack.toml")).unwrap();
    let _ = fs::remove_file(dir.join("relpack.lock"));
}

/// Builds the package; gives its path.
pub fn build(dir: &Path) -> String {
    let built = ok(relpack().args(["build", "--json", "-C"]).arg(dir));
    let built: Value = serde_json::from_str(&built).unwrap();
    built["artifacts"][0]["path"].as_str().unwrap().to_owned()
}

/// The files of the release that is built.
pub fn packed(dir: &Path) -> String {
    ok(relpack().args(["inspect", "--manifest"]).arg(build(dir)))
}

/// What the only unit starts.
pub fn start(config: &toml::Table) -> String {
    service(config)["ExecStart"].as_str().unwrap().to_owned()
}

pub fn service(config: &toml::Table) -> toml::Value {
    let (_, unit) = config["units"].as_table().unwrap().iter().next().unwrap();
    unit["Service"].clone()
}

pub fn source(config: &toml::Table) -> &str {
    config["release"]["source"].as_str().unwrap()
}

pub fn in_the_file(dir: &Path, text: &str) {
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let found = config.lines().any(|line| line.starts_with("# ") && line.contains(text));
    assert!(found, "{text}\n{config}");
}

pub type Files = &'static [(&'static str, &'static str)];

pub fn project(files: Files) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&temp.path().join(name), text, 0o644);
    }
    temp
}

/// A program that any Linux executes.
pub fn program(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy("/bin/true", path).unwrap();
}

/// A program at least by its first bytes.
pub fn programs(dir: &Path, names: &[&str]) {
    names.iter().for_each(|name| program(&dir.join(name)));
}

pub type Make = fn(&Path);

pub fn node(dir: &Path) {
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

pub fn python(dir: &Path) {
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

pub fn go(dir: &Path) {
    write(
        &dir.join("go.mod"),
        "module example.com/acme/web/v2\n\ngo 1.22\n",
        0o644,
    );
    write(&dir.join("main.go"), "package main\n", 0o644);
    program(&dir.join("build/web"));
}

pub fn rust(dir: &Path) {
    let manifest = "[package]\nname = \"acme_web\"\nversion = \"0.3.1\"\n[[bin]]\nname = \"acme-web\"\n";
    write(&dir.join("Cargo.toml"), manifest, 0o644);
    program(&dir.join("target/release/acme-web"));
    write(&dir.join("target/release/.cargo-lock"), "", 0o644);
    write(&dir.join("target/release/acme-web.d"), "x\n", 0o644);
    write(&dir.join("target/release/deps/libx.rlib"), "x\n", 0o644);
}

pub fn java(dir: &Path) {
    write(
        &dir.join("pom.xml"),
        "<project><artifactId>web</artifactId><version>1.2</version></project>",
        0o644,
    );
    write(&dir.join("target/web-1.2.jar"), "PK", 0o644);
    write(&dir.join("target/web-1.2-sources.jar"), "PK", 0o644);
    write(&dir.join("target/classes/A.class"), "x", 0o644);
}

pub fn site(dir: &Path) {
    write(&dir.join("public/index.html"), "<p>hello</p>\n", 0o644);
}
