//! `version = "git"`: what a checkout's tags and commits become, in real repositories and in dpkg's order.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{application, fails, ok, relpack};
use serde_json::Value;

fn git(dir: &Path, arguments: &[&str]) -> String {
    ok(Command::new("git")
        .arg("-C")
        .arg(dir)
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b.example",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments))
}

fn commit(dir: &Path, what: &str) {
    fs::write(dir.join("build/VERSION"), what).unwrap();
    git(dir, &["add", "."]);
    git(dir, &["commit", "-q", "-m", what]);
}

/// An application in a new repository, with one commit and `version = "git"`.
fn checkout(dir: &Path) {
    application(dir);
    fs::write(
        dir.join("relpack.toml"),
        crate::common::CONFIG.replace("version = \"1.4.0\"", "version = \"git\""),
    )
    .unwrap();
    git(dir, &["init", "-q"]);
    commit(dir, "first");
}

fn plan(dir: &Path) -> Command {
    let mut command = relpack();
    command.arg("build").arg("-C").arg(dir).args(["--plan", "--json"]);
    command
}

fn version(dir: &Path) -> String {
    let plan: Value = serde_json::from_str(&ok(&mut plan(dir))).unwrap();
    plan["version"].as_str().unwrap().to_owned()
}

fn is_before(a: &str, b: &str) -> bool {
    let dpkg = Command::new("dpkg").args(["--compare-versions", a, "lt", b]).status();
    dpkg.unwrap().success()
}

#[test]
fn versions_rise_with_the_commits() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    checkout(dir);
    let hash = |dir: &Path| git(dir, &["rev-parse", "HEAD"])[..7].to_owned();
    let mut seen = Vec::new();
    let mut expect = |expected: String| {
        let found = version(dir);
        assert_eq!(found, expected);
        seen.push(found);
    };
    git(dir, &["tag", "nightly"]);
    git(dir, &["tag", "v1.4.0-rc1"]);
    expect("1.4.0~rc1".into());
    commit(dir, "second");
    expect(format!("1.4.0~rc1+1.g{}", hash(dir)));
    commit(dir, "third");
    expect(format!("1.4.0~rc1+2.g{}", hash(dir)));
    git(dir, &["tag", "-a", "-m", "rc2", "v1.4.0-rc2"]);
    expect("1.4.0~rc2".into());
    // The release candidate becomes the release.
    git(dir, &["tag", "v1.4.0"]);
    expect("1.4.0".into());
    fs::write(dir.join("build/VERSION"), "changed").unwrap();
    expect(format!("1.4.0+0.g{}.dirty", hash(dir)));
    commit(dir, "fourth");
    fs::write(dir.join("build/untracked"), "of no interest to git describe").unwrap();
    expect(format!("1.4.0+1.g{}", hash(dir)));
    fs::write(dir.join("build/VERSION"), "changed again").unwrap();
    expect(format!("1.4.0+1.g{}.dirty", hash(dir)));
    for i in 0..9 {
        commit(dir, &format!("commit {i}"));
    }
    expect(format!("1.4.0+10.g{}", hash(dir)));
    git(dir, &["tag", "v1.4.1-beta1"]);
    expect("1.4.1~beta1".into());
    git(dir, &["tag", "v1.4.1"]);
    expect("1.4.1".into());
    for pair in seen.windows(2) {
        assert!(is_before(&pair[0], &pair[1]), "{pair:?}");
    }

    let named = ok(relpack()
        .arg("build")
        .arg("-C")
        .arg(dir)
        .args(["--plan", "--json", "--version", "2.0"]));
    assert!(named.contains("\"version\": \"2.0\""), "the command line wins");
    fs::write(dir.join("relpack.toml"), crate::common::CONFIG).unwrap();
    let asked = ok(plan(dir).args(["--version", "git"]));
    assert!(asked.contains("\"version\": \"1.4.1+0.g"), "it differs from the commit");
}

#[test]
fn in_a_repository_of_several_packages_the_tags_of_others_do_not_count() {
    let temp = tempfile::tempdir().unwrap();
    let repository = temp.path();
    let dir = repository.join("services/web");
    fs::create_dir_all(&dir).unwrap();
    application(&dir);
    let text = crate::common::CONFIG.replace("version = \"1.4.0\"", "version = \"git\"");
    fs::write(dir.join("relpack.toml"), text).unwrap();
    git(repository, &["init", "-q"]);
    commit(&dir, "first");
    for tag in ["worker-v9.1.0", "worker/v9.0.0", "lib/web/v8.0", "webs-v7.0"] {
        git(repository, &["tag", tag]);
    }
    let said = fails(&mut plan(&dir), 1);
    assert!(said.contains("git tag v1.0.0 or acme-v1.0.0"), "{said}");
    let tags = [
        "services/web/v1.0",
        "web-v1.1",
        "web/v1.2",
        "acme/v1.3",
        "acme-v1.4",
        "v1.5",
        "services/web-v1.6",
    ];
    for (number, tag) in tags.into_iter().enumerate() {
        git(repository, &["tag", tag]);
        assert_eq!(version(&dir), format!("1.{number}"), "{tag}");
    }
}

#[test]
fn a_pre_release_that_dpkg_would_sort_behind_its_release_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let said = |version: &str| {
        let output = plan(&dir).args(["--version", version]).output().unwrap();
        assert!(output.status.success());
        crate::common::both(&output)
    };
    let warned = said("1.0.0-rc.1");
    assert!(warned.contains("write 1.0.0~rc.1"), "{warned}");
    assert!(!said("1.0.0~rc.1").contains("a tilde"));
    fs::write(
        dir.join("relpack.toml"),
        crate::common::CONFIG.replace("\"1.4.0\"", "\"1.4.0rc1\""),
    )
    .unwrap();
    let output = plan(&dir).output().unwrap();
    let warned = crate::common::both(&output);
    assert!(
        warned.contains("relpack.toml:4") && warned.contains("write 1.4.0~rc1"),
        "{warned}"
    );
}

#[test]
fn uncommitted_changes_are_told() {
    let temp = tempfile::tempdir().unwrap();
    checkout(temp.path());
    git(temp.path(), &["tag", "v1.0"]);
    fs::write(temp.path().join("build/VERSION"), "changed").unwrap();
    let output = plan(temp.path()).output().unwrap();
    let said = crate::common::both(&output);
    assert!(
        output.status.success() && said.contains("differ from the commit"),
        "{said}"
    );
    assert!(said.contains("relpack.toml:4"), "{said}");
}

#[test]
fn what_tells_no_version_is_refused_with_a_hint() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("a");
    fs::create_dir(&dir).unwrap();
    application(&dir);
    let text = crate::common::CONFIG.replace("version = \"1.4.0\"", "version = \"git\"");
    fs::write(dir.join("relpack.toml"), &text).unwrap();
    let refused = |dir: &Path, message: &str, hint: &str| {
        let said = fails(plan(dir).env("GIT_CEILING_DIRECTORIES", temp.path()), 1);
        assert!(
            said.contains("package.version") && said.contains(message) && said.contains(hint),
            "{said}"
        );
    };
    refused(&dir, "no git checkout", "write the version");
    git(&dir, &["init", "-q"]);
    refused(&dir, "there is no commit yet", "git commit, and git tag v1.0.0");
    commit(&dir, "first");
    refused(&dir, "no tag names a version", "git tag v1.0.0");
    git(&dir, &["tag", "deployed-2024"]);
    refused(&dir, "no tag names a version", "git tag v1.0.0");
    git(&dir, &["tag", "v1.0.0-final"]);
    refused(&dir, "\"final\"", "1.0.0+final");
    git(&dir, &["tag", "-d", "v1.0.0-final"]);
    git(&dir, &["tag", "v1.0.0"]);
    commit(&dir, "second");
    commit(&dir, "third");

    let shallow = temp.path().join("shallow");
    let from = format!("file://{}", dir.display());
    git(temp.path(), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    refused(&shallow, "shallow clone", "--unshallow --tags");
    git(&dir, &["tag", "v1.1.0"]);
    git(&shallow, &["fetch", "-q", "--tags", "--depth", "1"]);
    assert_eq!(version(&shallow), "1.1.0", "at a tag, a shallow clone knows enough");

    let said = fails(plan(&dir).env("PATH", "/nonexistent"), 1);
    assert!(said.contains("git can't be run"), "{said}");
}
