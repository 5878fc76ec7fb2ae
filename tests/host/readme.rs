//! The README's tour, command by command: what it shows has to work as it stands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::document;
use crate::support::machine::Machine;
use crate::support::root::Suite;

on_each_suite![the_tour];

/// A checkout with only the example in it, so that the tour changes nothing here.
fn checkout(dir: &Path) {
    let script = r#"mkdir examples && cp -R "$0/examples/hello" examples/ && rm -rf examples/hello/dist &&
        git init -q . && git add . && git -c user.name=a -c user.email=a@b.example commit -qm example"#;
    let done = Command::new("sh")
        .args(["-ec", script, env!("CARGO_MANIFEST_DIR")])
        .current_dir(dir)
        .status()
        .expect("sh runs");
    assert!(done.success());
}

/// What the tour has built so far.
fn packages(dir: &Path) -> Vec<PathBuf> {
    let places = ["five/dist", "examples/hello/dist"];
    let entries = places
        .iter()
        .flat_map(|place| fs::read_dir(dir.join(place)).into_iter().flatten());
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "deb"))
        .collect()
}

fn the_tour(suite: Suite) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    checkout(temp.path());
    let m = Machine::boot(suite);
    let mut copied = BTreeSet::new();
    let mut run = 0;
    for (words, text) in document::blocks(include_str!("../../README.md")) {
        // The program is built already; the words after it are the README's own.
        let commands = text.replace("cargo run --release --", env!("CARGO_BIN_EXE_relpack"));
        match words.as_str() {
            "sh build" => {
                let output = Command::new("sh")
                    .args(["-exc", &commands])
                    .current_dir(temp.path())
                    .output()
                    .expect("sh runs");
                assert!(
                    output.status.success(),
                    "{text}\n{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            "sh host" | "sh host fails" => {
                for deb in packages(temp.path()) {
                    if copied.insert(deb.clone()) {
                        let name = deb.file_name().unwrap_or_default().to_string_lossy();
                        m.put(&format!("/root/{name}"), fs::read(&deb).expect("the tour built it"));
                    }
                }
                let output = m.sh_within(&format!("cd /root; set -ex\n{commands}"), Duration::from_secs(120));
                if words.ends_with("fails") {
                    output.expect_failure();
                    m.wait_for(
                        "test \"$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' hello)\" = 'ii 1.1.0'",
                        Duration::from_secs(60),
                    );
                } else {
                    output.expect_ok();
                }
            }
            _ => continue,
        }
        run += 1;
    }
    assert_eq!(run, 10, "every block of the tour was run");
}
