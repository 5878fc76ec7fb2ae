//! What a package puts on a host outside of its release: links, changelog and licence, manual pages, completions.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{CONFIG, application, fails, ok, relpack, write};
use serde_json::Value;

const LINKS: &str = r#"
[files]
"/usr/bin/acme-serve" = { link = "current/bin/serve" }
"/usr/share/acme-docs" = { link = "{shared}/docs" }
"/usr/bin/acme-sh" = { link = "/usr/bin/dash" }
"#;

/// The application with more in its configuration.
fn with(dir: &Path, more: &str) {
    application(dir);
    write(&dir.join("relpack.toml"), &format!("{CONFIG}{more}"), 0o644);
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&ok(command)).unwrap()
}

fn build(dir: &Path, arguments: &[&str]) {
    ok(relpack().arg("build").arg("-C").arg(dir).args(arguments));
}

#[test]
fn links_are_dpkgs_and_every_verb_shows_them() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    with(dir, LINKS);
    let wanted = serde_json::json!([
        {"path": "/usr/bin/acme-serve", "target": "/opt/acme/current/bin/serve"},
        {"path": "/usr/bin/acme-sh", "target": "dash"},
        {"path": "/usr/share/acme-docs", "target": "/opt/acme/shared/docs"},
    ]);
    let plan = json(relpack().args(["build", "--plan", "--json", "-C"]).arg(dir));
    assert_eq!(plan["links"], wanted);
    let shown = ok(relpack().args(["build", "--plan", "-C"]).arg(dir));
    assert!(shown.contains("-> /opt/acme/current/bin/serve"), "{shown}");

    build(dir, &["--format", "deb", "--format", "tar.gz"]);
    let deb = dir.join("dist/acme_1.4.0_all.deb");
    let tarball = dir.join("dist/acme-1.4.0-all.tar.gz");
    let listed = ok(Command::new("dpkg-deb").arg("-c").arg(&deb));
    for link in [
        "./usr/bin/acme-serve -> /opt/acme/current/bin/serve",
        "./usr/bin/acme-sh -> dash",
        "./usr/share/acme-docs -> /opt/acme/shared/docs",
    ] {
        let line = listed.lines().find(|line| line.ends_with(link));
        assert!(
            line.is_some_and(|line| line.starts_with("lrwxrwxrwx root/root")),
            "{link}: {listed}"
        );
    }
    for artifact in [&deb, &tarball] {
        assert_eq!(
            json(relpack().args(["inspect", "--json"]).arg(artifact))["host_links"],
            wanted
        );
        let shown = ok(relpack().arg("inspect").arg(artifact));
        assert!(
            shown.contains("links on the host:\n  /usr/bin/acme-serve -> /opt/acme/current/bin/serve"),
            "{shown}"
        );
        ok(relpack().arg("verify").arg(artifact));
    }

    // One goes, one leads elsewhere.
    let next = temp.path().join("next");
    with(
        &next,
        "[files]\n\"/usr/bin/acme-serve\" = { link = \"current/bin/backup\" }\n\"/usr/bin/acme-sh\" = { link = \"/usr/bin/dash\" }\n",
    );
    build(&next, &["--version", "1.5.0"]);
    let diff = ok(relpack()
        .arg("diff")
        .arg(&deb)
        .arg(next.join("dist/acme_1.5.0_all.deb")));
    for line in [
        "~ /usr/bin/acme-serve  link to /opt/acme/current/bin/serve -> link to /opt/acme/current/bin/backup",
        "- /usr/share/acme-docs  link to /opt/acme/shared/docs",
    ] {
        assert!(diff.contains(line), "{diff}");
    }
    assert!(!diff.contains("~ /usr/bin/acme-sh"), "{diff}");
}

/// What a package says and what its release says of the links have to agree: a revert makes the release's.
#[test]
fn verify_finds_a_link_that_was_changed_added_or_taken_out() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    with(dir, LINKS);
    build(dir, &[]);
    let tree = dir.join("tree");
    ok(Command::new("dpkg-deb")
        .arg("-R")
        .arg(dir.join("dist/acme_1.4.0_all.deb"))
        .arg(&tree));
    let bin = tree.join("usr/bin");
    fs::remove_file(bin.join("acme-serve")).unwrap();
    symlink("/bin/false", bin.join("acme-serve")).unwrap();
    symlink("dash", bin.join("acme-more")).unwrap();
    fs::remove_file(bin.join("acme-sh")).unwrap();
    let other = dir.join("other.deb");
    ok(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "-b"])
        .arg(&tree)
        .arg(&other));
    let said = fails(relpack().arg("verify").arg(&other), 3);
    for part in [
        "the link /usr/bin/acme-serve leads to /bin/false, the release says /opt/acme/current/bin/serve",
        "the link /usr/bin/acme-sh is in the settings, but is not delivered",
        "the link /usr/bin/acme-more is delivered, but is not in the settings",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_link_leads_to_what_is_there_and_a_program_can_be_run() {
    let temp = tempfile::tempdir().unwrap();
    for (number, (path, to, problem, hint)) in [
        (
            "/usr/bin/acme-x",
            "current/bin/missing",
            "leads to bin/missing, which is not in the release",
            "release.source",
        ),
        ("/usr/bin/acme-x", "current/bin", "is a directory", "name a program"),
        (
            "/usr/sbin/acme-x",
            "current/public/app.js",
            "is not executable",
            "chmod +x public/app.js",
        ),
        (
            "/usr/share/acme-x",
            "current/main.js/x",
            "goes through",
            "point it to something",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = &temp.path().join(number.to_string());
        with(dir, &format!("[files]\n{path:?} = {{ link = {to:?} }}\n"));
        for verb in ["build", "check"] {
            let output = relpack().arg(verb).arg("-C").arg(dir).output().unwrap();
            let said = crate::common::both(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            let flat = said
                .split(['\n', '│', ' '])
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            assert!(flat.contains(problem) && flat.contains(hint), "{to}: {said}");
            // At its place in the file, by its name.
            assert!(
                said.contains(&format!("files.{path:?}")) && said.contains("relpack.toml:"),
                "{to}: {said}"
            );
        }
        assert!(
            !dir.join("dist").read_dir().is_ok_and(|mut dir| dir.next().is_some()),
            "{to}"
        );
    }
    // A directory, a link of the release, and what lies in shared/ may be linked to.
    let more = "[shared]\nlinks = { \"up\" = \"up\" }\n[files]\n\"/usr/share/acme-x\" = { link = \"current/public\" }\n\
                \"/usr/share/acme-y\" = { link = \"current/main.js\" }\n\"/usr/share/acme-z\" = { link = \"current/up/x\" }\n";
    let dir = &temp.path().join("fine");
    with(dir, more);
    build(dir, &[]);
}

/// A program that only people run decides the architecture as one that a unit runs does.
#[test]
fn a_linked_program_counts_as_one_that_runs() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    with(
        dir,
        "[files]\n\"/usr/bin/acme-tool\" = { link = \"current/tools/tool\" }\n",
    );
    // An ELF header for a machine is all that is asked of it: a static program needs nothing.
    let header = |machine: u8| {
        let mut bytes = vec![
            0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0, 1, 0, 0, 0,
        ];
        bytes.resize(52, 0);
        bytes.extend([64, 0, 56, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
        bytes
    };
    fs::create_dir_all(dir.join("build/tools")).unwrap();
    for (name, machine) in [("tool", 0xb7), ("other", 0x3e)] {
        let path = dir.join("build/tools").join(name);
        write(&path, "", 0o755);
        fs::write(&path, header(machine)).unwrap();
    }
    let plan = json(relpack().args(["build", "--plan", "--json", "-C"]).arg(dir));
    assert_eq!(plan["architecture"], "arm64");
}

/// The fragment by itself: what it makes, changes, removes and leaves alone.
#[test]
fn links_follow_the_release_and_leave_alone_what_is_not_theirs() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let bin = root.join("usr/bin");
    fs::create_dir_all(&bin).unwrap();
    let settings = |id: &str, links: &[(&str, &str)]| {
        let lines: Vec<String> = links.iter().map(|(path, to)| format!("link\t{path}\t{to}\n")).collect();
        write(
            &root.join(format!("opt/acme/releases/{id}/.relpack/settings")),
            &format!("#relpack-settings 1\nname\tacme\n{}", lines.concat()),
            0o644,
        );
    };
    settings(
        "a",
        &[
            ("/usr/bin/one", "/opt/acme/current/1"),
            ("/usr/bin/two", "/opt/acme/current/2"),
            ("/usr/share/acme-d/x y", "x"),
        ],
    );
    settings(
        "b",
        &[("/usr/bin/one", "/opt/acme/current/b/1"), ("/usr/bin/three", "dash")],
    );
    settings("c", &[]);
    let fragment = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("maintainer-scripts/lib")
            .join(name);
        fs::read_to_string(path).unwrap()
    };
    let run = |command: &str| {
        let script = format!(
            "set -eu\nname=acme\nroot={0}\nbase={0}/opt/acme\ntab=$(printf '\\t')\nnl='\n'\n{1}\n{2}\n{3}\nrelease_kept() {{ [ -n \"$1\" ] && [ -d \"$base/releases/$1\" ]; }}\n{command}\n",
            root.display(),
            fragment("say.sh"),
            fragment("settings.sh"),
            fragment("links.sh"),
        );
        ok(Command::new("dash").args(["-c", &script]))
    };
    let found = || {
        let mut all: Vec<String> = crate::common::names(&root.join("usr"))
            .into_iter()
            .filter(|path| !path.is_dir() || path.is_symlink())
            .map(|path| {
                let to = fs::read_link(&path).map_or("a file".into(), |to| to.display().to_string());
                format!("{} {to}", path.strip_prefix(root.join("usr")).unwrap().display())
            })
            .collect();
        all.sort();
        all
    };
    run("links_deliver a ''");
    assert_eq!(
        found(),
        [
            "bin/one /opt/acme/current/1",
            "bin/two /opt/acme/current/2",
            "share/acme-d/x y x"
        ]
    );
    // Killed between the two steps that make one.
    symlink("x", bin.join(".one.relpack-new")).unwrap();
    run("links_deliver a a");
    assert!(!bin.join(".one.relpack-new").is_symlink());
    // Changed, dropped with its directory, new.
    run("links_deliver b a");
    assert_eq!(found(), ["bin/one /opt/acme/current/b/1", "bin/three dash"]);
    assert!(!root.join("usr/share/acme-d").exists());
    // An admin's own, link and file: neither is changed, nor removed.
    fs::remove_file(bin.join("one")).unwrap();
    symlink("/bin/true", bin.join("one")).unwrap();
    fs::write(bin.join("two"), "mine").unwrap();
    run("links_deliver a b");
    assert_eq!(found(), ["bin/one /bin/true", "bin/two a file", "share/acme-d/x y x"]);
    run("links_deliver c a");
    assert_eq!(found(), ["bin/one /bin/true", "bin/two a file"]);
    // A removal takes those of all kept releases.
    symlink("dash", bin.join("three")).unwrap();
    symlink("/opt/acme/current/2", bin.join("four")).unwrap();
    symlink("dash", bin.join(".three.relpack-new")).unwrap();
    run("links_forget");
    assert_eq!(
        found(),
        ["bin/four /opt/acme/current/2", "bin/one /bin/true", "bin/two a file"]
    );
}

const PAGE: &str = ".TH ACME-SERVE 1 2024-01-01\n.SH NAME\nacme\\-serve \\- serves\n";

/// The application with documents beside its build, and `keys` in `[package]`.
fn documented(dir: &Path, keys: &str, more: &str) {
    application(dir);
    let config = CONFIG.replace("[release]", &format!("{keys}\n[release]")) + more;
    write(&dir.join("relpack.toml"), &config, 0o644);
    for (path, text) in [
        ("docs/acme-serve.1", PAGE),
        (
            "docs/acme.conf.5",
            ".\\\" for people\n.Dd January 1, 2024\n.Dt ACME.CONF 5\n",
        ),
        ("docs/notes.1", "no manual page\n"),
        ("CHANGELOG.md", "# 1.4.0\r\n\r\nFaster.\r\n"),
        ("LICENSE", "Do as you like.\n\n  But not that.\n.Really.\n"),
        ("shell/acme.bash", "complete -W 'run stop' acme-serve\n"),
        ("shell/_acme", "#compdef acme-serve\n_arguments '--port'\n"),
        ("shell/acme.fish", "complete -c acme-serve -l port\n"),
        ("empty", "\n"),
    ] {
        write(&dir.join(path), text, 0o644);
    }
    fs::write(dir.join("latin1"), b"caf\xe9\n").unwrap();
}

/// The package's files, unpacked.
fn unpacked(dir: &Path, arguments: &[&str]) -> std::path::PathBuf {
    let (out, data) = (dir.join("out"), dir.join("data"));
    for old in [&out, &data] {
        let _ = fs::remove_dir_all(old);
    }
    ok(relpack().args(["build", "--out", "out", "-C"]).arg(dir).args(arguments));
    let deb = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    ok(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&data));
    data
}

/// What `gzip -9n` makes of it: no name and no time (RFC 1952).
fn gunzip(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2], "{path:?}");
    ok(Command::new("gzip").arg("-dc").arg(path))
}

#[test]
fn documents_lie_where_people_and_shells_look() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    documented(
        dir,
        "changelog = \"CHANGELOG.md\"\nlicense = \"Acme-Free\"\nlicense_file = \"LICENSE\"\nman = [\"docs/acme-serve.1\", \"docs/acme.conf.5\"]",
        "[completions.acme-serve]\nbash = \"shell/acme.bash\"\nzsh = \"shell/_acme\"\nfish = \"shell/acme.fish\"\n",
    );
    let data = unpacked(dir, &[]);
    let read = |path: &str| fs::read_to_string(data.join(path)).unwrap();
    assert_eq!(gunzip(&data.join("usr/share/man/man1/acme-serve.1.gz")), PAGE);
    assert!(gunzip(&data.join("usr/share/man/man5/acme.conf.5.gz")).contains(".Dt ACME.CONF 5"));
    assert_eq!(
        read("usr/share/bash-completion/completions/acme-serve"),
        "complete -W 'run stop' acme-serve\n"
    );
    assert!(read("usr/share/zsh/vendor-completions/_acme-serve").starts_with("#compdef acme-serve\n"));
    assert!(read("usr/share/fish/vendor_completions.d/acme-serve.fish").contains("-l port"));
    // A native package's changelog has the name that a changelog of another form would have.
    assert!(gunzip(&data.join("usr/share/doc/acme/changelog.gz")).starts_with("acme (1.4.0) unstable"));
    assert_eq!(
        gunzip(&data.join("usr/share/doc/acme/CHANGELOG.md.gz")),
        "# 1.4.0\n\nFaster.\n"
    );
    let copyright = read("usr/share/doc/acme/copyright");
    let license = "License: Acme-Free\n Do as you like.\n .\n   But not that.\n  .Really.\n";
    assert!(copyright.ends_with(license), "{copyright}");
    // And in a tarball, whose install puts them there.
    ok(relpack()
        .args(["build", "--out", "tar", "--format", "tar.gz", "-C"])
        .arg(dir));
    let listed = ok(Command::new("tar")
        .arg("-tzf")
        .arg(dir.join("tar/acme-1.4.0-all.tar.gz")));
    for path in [
        "man/man1/acme-serve.1.gz",
        "bash-completion/completions/acme-serve",
        "doc/acme/CHANGELOG.md.gz",
    ] {
        assert!(
            listed.contains(&format!("acme-1.4.0-all/host/usr/share/{path}\n")),
            "{listed}"
        );
    }
    // With a revision, the application's own has that name.
    let data = unpacked(dir, &["--version", "1.4.0-2"]);
    assert_eq!(
        gunzip(&data.join("usr/share/doc/acme/changelog.gz")),
        "# 1.4.0\n\nFaster.\n"
    );
    assert!(gunzip(&data.join("usr/share/doc/acme/changelog.Debian.gz")).starts_with("acme (1.4.0-2) "));
}

#[test]
fn a_debian_changelog_and_a_finished_copyright_file_are_taken_as_they_are() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    documented(
        dir,
        "changelog = \"debian/changelog\"\nlicense_file = \"debian/copyright\"",
        "",
    );
    let entry = |version: &str| {
        format!(
            "acme ({version}) stable; urgency=low\n\n  * It is {version}.\n\n -- A <a@b.example>  Mon, 01 Jan 2024 00:00:00 +0000\n"
        )
    };
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2024 A\nLicense: Acme-Free\n Free.\n";
    write(&dir.join("debian/changelog"), &entry("1.4.0"), 0o644);
    write(&dir.join("debian/copyright"), copyright, 0o644);
    let data = unpacked(dir, &[]);
    let changelog = data.join("usr/share/doc/acme/changelog.gz");
    assert_eq!(gunzip(&changelog), entry("1.4.0"));
    assert_eq!(
        fs::read_to_string(data.join("usr/share/doc/acme/copyright")).unwrap(),
        copyright
    );
    // One that ends before this version gets an entry for it.
    unpacked(dir, &["--version", "1.5.0"]);
    let plain = dir.join("plain");
    fs::write(&plain, gunzip(&changelog)).unwrap();
    let versions = ok(Command::new("dpkg-parsechangelog")
        .arg("-l")
        .arg(&plain)
        .args(["--all", "--format", "rfc822", "-S", "Version"]));
    assert!(versions.contains("1.5.0"), "{versions}");
    assert!(gunzip(&changelog).ends_with(&format!("\n{}", entry("1.4.0"))));
    // Another package's is a document like any other.
    write(
        &dir.join("debian/changelog"),
        &entry("1.4.0").replace("acme (", "other ("),
        0o644,
    );
    let data = unpacked(dir, &[]);
    assert!(gunzip(&data.join("usr/share/doc/acme/changelog.gz")).starts_with("acme (1.4.0) unstable"));
    assert!(gunzip(&data.join("usr/share/doc/acme/CHANGELOG.gz")).starts_with("other (1.4.0) stable"));
}

#[test]
fn documents_that_nobody_could_read_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("app");
    for (keys, more, problem, hint) in [
        (
            "changelog = \"none\"",
            "",
            "package.changelog: cannot read",
            "relative to this one",
        ),
        (
            "changelog = \"latin1\"",
            "",
            "\"latin1\" is not UTF-8",
            "save it as UTF-8",
        ),
        ("changelog = \"empty\"", "", "\"empty\" is empty", "fill it"),
        (
            "license_file = \"LICENSE\"",
            "",
            "has a text and no name",
            "license = \"MIT\"",
        ),
        ("license_file = \"docs\"", "", "is not a regular file", "name a file"),
        ("man = [\"docs/acme.1.gz\"]", "", "is compressed", "the page itself"),
        (
            "man = [\"CHANGELOG.md\"]",
            "",
            "not named like a manual page",
            "docs/acme.1",
        ),
        ("man = [\"docs/notes.1\"]", "", "neither .TH nor .Dd", "as man reads it"),
        (
            "man = [\"docs/acme-serve.1\", \"docs/acme-serve.1\"]",
            "",
            "there already",
            "another name",
        ),
        ("man = [\"docs/acme-release.1\"]", "", "there already", "another name"),
        (
            "man = \"docs/acme-serve.1\"",
            "",
            "expected a list",
            "[\"docs/acme-serve.1\"]",
        ),
        (
            "",
            "[completions.\"a/b\"]\nbash = \"shell/acme.bash\"",
            "not the name of a command",
            "as it is typed",
        ),
        (
            "",
            "[completions.acme]\nzsh = \"shell/acme.bash\"",
            "does not begin with #compdef",
            "#compdef acme",
        ),
        (
            "",
            "[completions.acme]\nksh = \"shell/acme.bash\"",
            "unknown key \"ksh\"",
            "zsh",
        ),
        (
            "",
            "[completions]\nbash = \"shell/acme.bash\"",
            "expected a table",
            "give a table",
        ),
        (
            "",
            "[files]\n\"/usr/share/man/man1/a.1\" = { link = \"current/a\" }",
            "not for a package's links",
            "package.man",
        ),
    ] {
        documented(&dir, keys, more);
        let output = relpack().arg("build").arg("-C").arg(&dir).output().unwrap();
        let said = crate::common::both(&output);
        assert_eq!(output.status.code(), Some(1), "{keys}{more}: {said}");
        let flat = said
            .split(['\n', '│', ' '])
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        assert!(flat.contains(problem) && flat.contains(hint), "{keys}{more}: {said}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
