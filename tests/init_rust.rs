//! `relpack init` in Cargo projects: packages, members of workspaces, and those whose metadata says how they are packed.

use std::fs;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::projects::{build, forget, init, packed, program, programs, project, source, start, written};
use serde_json::Value;

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

/// Of a workspace's root the member with the program; where that is not one, its directory is asked for.
#[test]
fn a_workspace_without_a_package_tells_its_program() {
    let temp = project(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\n[workspace.package]\nversion = \"0.4.0\"\n",
        ),
        (
            "crates/api/Cargo.toml",
            "[package]\nname = \"acme-api\"\nversion.workspace = true\n",
        ),
        ("crates/api/src/main.rs", "fn main() {}\n"),
        ("crates/base/Cargo.toml", "[package]\nname = \"base\"\n"),
        ("crates/base/src/lib.rs", ""),
        ("target/release/acme-api.d", "x"),
    ]);
    let dir = temp.path();
    program(&dir.join("target/release/acme-api"));
    let (config, said) = written(dir, &[]);
    assert_eq!(
        (source(&config), start(&config).as_str()),
        ("target/release", "acme-api")
    );
    assert_eq!(config["package"]["version"].as_str(), Some("0.4.0"));
    assert_eq!(said, "");
    build(dir);
    let said = fails(&mut init(&dir.join("crates/base")), 1);
    assert!(said.contains("its package is a library, without a program"), "{said}");
    forget(dir);
    write(&dir.join("crates/base/src/main.rs"), "fn main() {}\n", 0o644);
    let said = fails(&mut init(dir), 1);
    assert!(
        said.contains("no [package]") && said.contains("the directory of the program: crates/api or crates/base"),
        "{said}"
    );
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
