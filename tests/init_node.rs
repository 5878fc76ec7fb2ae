//! `relpack init` in Node.js projects as frameworks and their tools leave them: what a person would start in production is
//! started, what is not built is said with the command that builds it.

use std::fs;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::projects::{Files, build, forget, in_the_file, init, packed, project, service, source, start, written};

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

#[test]
fn a_server_is_told_of_its_pages_that_nobody_built() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "node server.js", "build": "vite build"}}"#,
        ),
        ("server.js", "x"),
        ("index.html", "<script type=module src=/src/main.ts></script>"),
        ("node_modules/a/index.js", "x"),
    ]);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(start(&config), "/usr/bin/node server.js");
    assert!(
        said.contains("what `vite build` makes is not there: run `npm run build` before"),
        "{said}"
    );
    forget(temp.path());
    write(&temp.path().join("dist/index.html"), "<p>\n", 0o644);
    let (_, said) = written(temp.path(), &["--runtime", "node"]);
    assert_eq!(said, "");
    assert!(packed(temp.path()).contains("dist/index.html"));
}

#[test]
fn a_file_of_settings_stays_here_and_that_is_said() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "node --env-file=.env server.js"}}"#,
        ),
        ("server.js", "x"),
        (".env", "A=1\n"),
    ]);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(start(&config), "/usr/bin/node server.js");
    assert!(
        said.contains("`--env-file=.env` of scripts.start is left out") && said.contains("shared/env"),
        "{said}"
    );
    in_the_file(temp.path(), "`--env-file=.env` of scripts.start is left out");
    assert!(!packed(temp.path()).contains(".env\n"));
}

#[test]
fn nothing_beside_the_directory_is_started() {
    for package in [
        r#"{"scripts": {"start": "node ../server.js"}}"#,
        r#"{"scripts": {"start": "node -r ../hook.js server"}}"#,
        r#"{"main": "../server.js"}"#,
    ] {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("web");
        write(&dir.join("package.json"), package, 0o644);
        write(&temp.path().join("server.js"), "x", 0o644);
        write(&temp.path().join("hook.js"), "x", 0o644);
        let said = fails(&mut init(&dir), 1);
        assert!(
            said.contains("does not tell what to start") && said.contains("../"),
            "{said}"
        );
        // What is there by its name is a guess.
        write(&dir.join("server.js"), "x", 0o644);
        let (config, said) = written(&dir, &[]);
        assert_eq!(start(&config), "/usr/bin/node server.js", "{package}");
        assert!(
            said.is_empty() || said.contains("leads out of the directory"),
            "{package}: {said}"
        );
    }
}

#[test]
fn what_is_for_production_is_started() {
    const NEST: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "nest start", "start:prod": "node dist/main", "build": "nest build"}}"#,
        ),
        ("dist/main.js", "listen(process.env.PORT ?? 3100)"),
        ("node_modules/.bin/nest", "x"),
    ];
    const NODEMON: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "main": "app.js", "scripts": {"start": "nodemon app.js"}}"#,
        ),
        ("app.js", "x"),
        ("node_modules/.bin/nodemon", "x"),
    ];
    const NUXT: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"dev": "nuxt dev", "build": "nuxt build"}}"#,
        ),
        (".output/server/index.mjs", "x"),
        (".output/public/a.js", "x"),
    ];
    const SVELTE: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"dev": "vite dev", "build": "vite build"}}"#,
        ),
        ("build/index.js", "x"),
        ("build/handler.js", "x"),
    ];
    for (files, place, exec, told) in [
        (NEST, ".", "/usr/bin/node dist/main", ""),
        (NODEMON, ".", "/usr/bin/node app.js", "nodemon is for development"),
        (NUXT, ".output", "/usr/bin/node server/index.mjs", ""),
        (SVELTE, ".", "/usr/bin/node build", ""),
    ] {
        let temp = project(files);
        let (config, said) = written(temp.path(), &[]);
        assert_eq!((source(&config), start(&config).as_str()), (place, exec));
        assert!(said.contains(told) && said.is_empty() == told.is_empty(), "{said}");
        build(temp.path());
    }
    // Not built, it is not guessed.
    let temp = project(NEST);
    fs::remove_dir_all(temp.path().join("dist")).unwrap();
    let said = fails(&mut init(temp.path()), 1);
    assert!(
        said.contains("`node dist/main`: dist/main is not there; is it built?"),
        "{said}"
    );
}

#[test]
fn next_is_started_by_its_standalone_server_where_that_is_built() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "next start -p 4000", "build": "next build"}}"#,
        ),
        ("next.config.js", "module.exports = {output: 'standalone'}"),
        ("node_modules/.bin/next", "x"),
        ("public/logo.svg", "x"),
    ]);
    let dir = temp.path();
    let (config, said) = written(dir, &[]);
    assert_eq!(start(&config), "node_modules/.bin/next start -p 4000");
    assert!(
        said.contains(".next/standalone is not built yet") && said.contains("`npm run build` first, and init again"),
        "{said}"
    );
    for name in [
        "standalone/server.js",
        "standalone/node_modules/a.js",
        "standalone/.env",
        "static/a.js",
    ] {
        write(&dir.join(".next").join(name), "x", 0o644);
    }
    forget(dir);
    let (config, said) = written(dir, &[]);
    assert_eq!(
        (source(&config), start(&config).as_str()),
        (".next/standalone", "/usr/bin/node server.js")
    );
    assert_eq!(service(&config)["Environment"]["PORT"].as_str(), Some("4000"));
    let shown = packed(dir);
    assert!(shown.contains(" ./server.js\n") && !shown.contains(".env"), "{shown}");
    for copy in [
        "cp -r .next/static .next/standalone/.next/",
        "cp -r public .next/standalone/",
    ] {
        assert!(said.contains(copy), "{said}");
        let mut shell = Command::new("sh");
        fs::create_dir_all(dir.join(".next/standalone/.next")).unwrap();
        ok(shell.args(["-c", copy]).current_dir(dir));
    }
    forget(dir);
    assert_eq!(written(dir, &[]).1, "");
    let shown = packed(dir);
    assert!(
        shown.contains(" ./.next/static/a.js\n") && shown.contains(" ./public/logo.svg\n"),
        "{shown}"
    );
}

/// As deep as the project lies below the lock file that Next.js found.
#[test]
fn the_standalone_server_of_a_workspace_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("apps/web");
    for name in [
        "node_modules/.bin/next",
        "public/logo.svg",
        ".next/standalone/apps/web/server.js",
        ".next/standalone/apps/web/.env",
        ".next/standalone/node_modules/a.js",
    ] {
        write(&dir.join(name), "x", 0o644);
    }
    let package = r#"{"name": "web", "scripts": {"start": "next start"}}"#;
    write(&dir.join("package.json"), package, 0o644);
    let (config, said) = written(&dir, &[]);
    assert_eq!(
        (source(&config), start(&config).as_str()),
        (".next/standalone", "/usr/bin/node apps/web/server.js")
    );
    assert!(said.contains("`cp -r public .next/standalone/apps/web/`"), "{said}");
    let shown = packed(&dir);
    assert!(
        shown.contains("apps/web/server.js") && !shown.contains(".env"),
        "{shown}"
    );
}

#[test]
fn what_only_development_needs_is_said() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "node a.js"}, "devDependencies": {"jest": "1"}}"#,
        ),
        ("a.js", "x"),
        ("node_modules/b/index.js", "x"),
    ]);
    assert_eq!(written(temp.path(), &[]).1, "");
    forget(temp.path());
    fs::create_dir(temp.path().join("node_modules/jest")).unwrap();
    let said = written(temp.path(), &[]).1;
    assert!(said.contains("(jest): run `npm prune --omit=dev`"), "{said}");
}
