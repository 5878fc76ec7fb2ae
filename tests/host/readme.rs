//! The README's tour, command by command: what it shows has to work as it stands.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::document::{self, Packages};
use crate::support::machine::Machine;
use crate::support::root::Suite;

on_each_suite![sampled: the_tour];

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

fn the_tour(suite: Suite) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    checkout(temp.path());
    let m = Machine::boot(suite);
    let mut packages = Packages::below(temp.path());
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
                packages.copy_to(&m);
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
