//! `relpack init` in Go projects: which program is the service, and how it is built.

use std::fs;

use crate::common::write;
use crate::projects::{build, forget, program, programs, project, source, start, written};

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

/// What lies where programs are built to may be the project's tools.
#[test]
fn a_tool_of_a_go_project_is_not_its_service() {
    let temp = project(&[("go.mod", "module acme.io/web\n"), ("main.go", "package main\n")]);
    program(&temp.path().join("bin/golangci-lint"));
    let (config, said) = written(temp.path(), &[]);
    assert_eq!((source(&config), start(&config).as_str()), ("build", "web"));
    assert!(said.contains("run `go build -o build/web .`"), "{said}");
    forget(temp.path());
    program(&temp.path().join("bin/webd"));
    let (config, said) = written(temp.path(), &[]);
    assert_eq!((source(&config), start(&config).as_str()), ("bin", "webd"));
    assert!(said.contains("other programs too (golangci-lint)"), "{said}");
}
