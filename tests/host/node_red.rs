//! A real application of more than 10,000 files: Node-RED from the npm registry, built by its recipe, on a host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::common::lintian;
use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::Suite;

on_each_suite![sampled: is_deployed_upgraded_and_rolled_back];

const URL: &str = "http://127.0.0.1:1880";

/// Both versions' packages, built once for all suites: ten files differ.
fn packages() -> &'static [PathBuf; 2] {
    static PACKAGES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-red");
        if !example.join("build/node_modules").is_dir() {
            run(Command::new(example.join("build.sh")));
        }
        let copy = example.join("build.next");
        let _ = fs::remove_dir_all(&copy);
        run({
            let mut cp = Command::new("cp");
            cp.arg("-a").arg(example.join("build")).arg(&copy);
            cp
        });
        let settings = fs::read_to_string(copy.join("settings.js")).expect("the recipe made it");
        fs::write(
            copy.join("settings.js"),
            settings.replace("status: 'ok'", "status: 'next'"),
        )
        .expect("can be written");
        for n in 0..9 {
            fs::write(copy.join(format!("node_modules/changed-{n}.txt")), "new\n").expect("can be written");
        }
        let config = fs::read_to_string(example.join("relpack.toml")).expect("the example has a configuration");
        let next = example.join("build.next.toml");
        fs::write(&next, config.replace("source = \"build\"", "source = \"build.next\"")).expect("can be written");
        let build = |config: &str, version: &str| {
            let directory = example.display().to_string();
            let report = relpack(&[
                "build",
                "--json",
                "-C",
                &directory,
                "--config",
                config,
                "--version",
                version,
            ]);
            artifact(&report.expect_ok()).0
        };
        let built = [build("relpack.toml", "1.0.0"), build("build.next.toml", "1.1.0")];
        fs::remove_dir_all(&copy).expect("can be removed");
        fs::remove_file(&next).expect("can be removed");
        built
    })
}

fn run(mut command: Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
fn lintian_has_nothing_to_say() {
    lintian::expect_silent(&packages()[..1]);
}

fn is_deployed_upgraded_and_rolled_back(suite: Suite) {
    let [first, second] = packages();
    let shown = relpack(&["inspect", "--json", &first.display().to_string()])
        .expect_ok()
        .stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("inspect prints JSON");
    let files = shown["files"].as_u64().expect("a number of files");
    assert!(files > 10_000, "only {files} files");

    let m = Machine::boot_with(suite, &["nodejs"]);
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[first, second]);
    m.ok("mkdir -p /opt/acme-flows/shared && echo NODE_RED_CREDENTIAL_SECRET=0123456789 >/opt/acme-flows/shared/env");
    let limit = Duration::from_secs(180);
    let installed = m.sh_within("apt-get install -y -q acme-flows=1.0.0", limit).expect_ok();
    m.ok(&format!("curl -sSf {URL}/healthz")).expect_says("\"ok\"");
    // Its migration has laid the first flows down.
    m.ok("curl -sSf http://127.0.0.1:1880/hello")
        .expect_says("hello from Acme");
    m.ok("acme-flows-release status");
    m.ok("systemctl list-timers").expect_says("acme-flows-backup.timer");
    flows_that_a_release_lacks_nodes_for(&m);
    let upgraded = m.sh_within("apt-get upgrade -y -q", limit).expect_ok();
    m.ok(&format!("curl -sSf {URL}/healthz")).expect_says("\"next\"");
    m.ok("tar -tzf /opt/acme-flows/shared/backups/flows-*.tar.gz")
        .expect_says("flows.json");
    // What did not change is on the disk once.
    let shared = m
        .ok("find /opt/acme-flows/current/ -type f -links +1 | wc -l")
        .text()
        .parse::<u64>();
    assert!(shared.is_ok_and(|shared| shared > 10_000), "unchanged files are shared");
    let back = m
        .sh_within("apt-get install -y -q --allow-downgrades acme-flows=1.0.0", limit)
        .expect_ok();
    m.ok(&format!("curl -sSf {URL}/healthz")).expect_says("\"ok\"");
    m.ok("acme-flows-release status && acme-flows-release verify");
    eprintln!(
        "{suite}: {files} files: installed in {:.1} s, upgraded in {:.1} s, back in {:.1} s, each with Node-RED's start and 5 s of settling",
        installed.took.as_secs_f64(),
        upgraded.took.as_secs_f64(),
        back.took.as_secs_f64()
    );
}

/// The migration refuses a release that lacks a node which the flows use. Here it is asked as a deploy would ask it.
fn flows_that_a_release_lacks_nodes_for(m: &Machine) {
    let flows = "/opt/acme-flows/shared/data/flows.json";
    let migrate = "acme-flows-release exec -- /usr/bin/node scripts/migrate.js /opt/acme-flows/shared/data /tmp";
    m.ok(&format!(
        "cp -p {flows} /root/flows.json && sed -i 's/\"http response\"/\"acme thing\"/' {flows}"
    ));
    m.sh(migrate)
        .expect_failure()
        .expect_says("this release has no node of the type acme thing, which the flows use");
    m.ok(&format!("cp -p /root/flows.json {flows} && {migrate}"))
        .expect_says("the flows use 4 types of nodes, and this release has each of them");
}
