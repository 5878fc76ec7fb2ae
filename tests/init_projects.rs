//! `relpack init` in projects as frameworks and their tools leave them: what a person would start in production is started, what is
//! not built is said with the command that builds it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::init::{build, forget, init, packed, program, written};

type Files = &'static [(&'static str, &'static str)];

fn project(files: Files) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&temp.path().join(name), text, 0o644);
    }
    temp
}

/// What the only unit starts.
fn start(config: &toml::Table) -> String {
    service(config)["ExecStart"].as_str().unwrap().to_owned()
}

fn service(config: &toml::Table) -> toml::Value {
    let (_, unit) = config["units"].as_table().unwrap().iter().next().unwrap();
    unit["Service"].clone()
}

fn source(config: &toml::Table) -> &str {
    config["release"]["source"].as_str().unwrap()
}

fn in_the_file(dir: &Path, text: &str) {
    let config = fs::read_to_string(dir.join("relpack.toml")).unwrap();
    let found = config.lines().any(|line| line.starts_with("# ") && line.contains(text));
    assert!(found, "{text}\n{config}");
}

/// The tools' own servers are for development, and their sources are no site.
#[test]
fn a_site_that_nobody_built_is_not_packed() {
    const VITE: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"dev": "vite", "build": "tsc -b && vite build"}}"#,
        ),
        ("index.html", "<script type=module src=/src/main.ts></script>"),
        ("src/main.ts", "x"),
        ("package-lock.json", "{}"),
    ];
    const REACT: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "react-scripts start", "build": "react-scripts build"}}"#,
        ),
        ("public/index.html", "<link href=\"%PUBLIC_URL%/favicon.ico\">"),
        ("src/index.js", "x"),
        ("node_modules/.bin/react-scripts", "x"),
    ];
    const DOCUSAURUS: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "docusaurus start", "build": "docusaurus build"}}"#,
        ),
        ("src/index.js", "x"),
        ("yarn.lock", ""),
        ("node_modules/.bin/docusaurus", "x"),
    ];
    const ANGULAR: Files = &[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"start": "ng serve", "build": "ng build"}}"#,
        ),
        ("src/index.html", "x"),
        ("pnpm-lock.yaml", ""),
    ];
    for (files, command, built, place) in [
        (VITE, "`npm ci && npm run build`", "dist/index.html", "dist"),
        (REACT, "`npm run build`", "build/index.html", "build"),
        (DOCUSAURUS, "`yarn run build`", "build/index.html", "build"),
        (
            ANGULAR,
            "`pnpm install && pnpm run build`",
            "dist/shop/browser/index.html",
            "dist/shop/browser",
        ),
    ] {
        let temp = project(files);
        for args in [&[][..], &["--runtime", "static"]] {
            let said = fails(init(temp.path()).args(args), 1);
            assert!(
                said.contains("package.json\" tells of a build that is not there yet"),
                "{said}"
            );
            assert!(said.contains(&format!("run {command} first, and init again")), "{said}");
            assert!(!temp.path().join("relpack.toml").exists());
        }
        write(&temp.path().join(built), "<p>hello</p>\n", 0o644);
        let (config, said) = written(temp.path(), &[]);
        assert_eq!((source(&config), said.as_str()), (place, ""));
        let shown = packed(temp.path());
        assert!(
            shown.contains(" ./index.html\n") && !shown.contains("package.json"),
            "{shown}"
        );
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

/// A script may build a part of it only.
#[test]
fn a_site_that_is_written_by_hand_is_packed_and_its_script_named() {
    let temp = project(&[
        (
            "package.json",
            r#"{"name": "shop", "scripts": {"build": "tailwindcss -o site.css"}}"#,
        ),
        ("index.html", "<script src=\"src/main.js\"></script>"),
        ("src/main.js", "x"),
        ("site.css", "x"),
        ("node_modules/a/index.js", "x"),
    ]);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(source(&config), ".");
    assert!(
        said.contains("(`tailwindcss -o site.css`) makes one, run `npm run build` first"),
        "{said}"
    );
    in_the_file(temp.path(), "run `npm run build` first");
    let shown = packed(temp.path());
    assert!(
        shown.contains("src/main.js") && !shown.contains("node_modules"),
        "{shown}"
    );
    // Its pages may use what npm brought.
    forget(temp.path());
    write(
        &temp.path().join("index.html"),
        "<script src=\"node_modules/a/index.js\"></script>",
        0o644,
    );
    written(temp.path(), &[]);
    assert!(packed(temp.path()).contains("node_modules/a/index.js"));
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

/// An environment with these modules, made by the Python in a directory.
fn environment(dir: &Path, home: &str, modules: &[&str]) {
    let place = dir.join("venv");
    write(
        &place.join("pyvenv.cfg"),
        &format!("home = {home}\nversion = 3.11.2\n"),
        0o644,
    );
    for module in modules {
        let module = place.join("lib/python3.11/site-packages").join(module);
        write(&module.join("__init__.py"), "", 0o644);
    }
    fs::create_dir_all(place.join("bin")).unwrap();
    symlink(format!("{home}/python3"), place.join("bin/python3")).unwrap();
    symlink("python3", place.join("bin/python")).unwrap();
}

/// Each of the ways in which Python's projects name themselves and what they need.
#[test]
fn every_dialect_of_a_python_project_is_read() {
    const POETRY: Files = &[
        (
            "pyproject.toml",
            "[tool.poetry]\nname = \"api\"\nversion = \"0.3.dev4\"\ndescription = \"Acme's API\"\n\
            [tool.poetry.dependencies]\npython = \"^3.11\"\nfastapi = \"*\"\nuvicorn = {extras = [\"standard\"], version = \"*\"}\n",
        ),
        ("main.py", "app = FastAPI()\n"),
    ];
    const BUILT: Files = &[
        (
            "pyproject.toml",
            "[project]\nname = \"api\"\nversion = \"0.3\"\nrequires-python = \">=3.11\"\ndependencies = [\"fastapi[standard]\"]\n[build-system]\n",
        ),
        ("main.py", "app = FastAPI()\n"),
    ];
    const PIPENV: Files = &[
        (
            "Pipfile",
            "[packages]\nflask = \"*\"\ngunicorn = \">=21\"\n[dev-packages]\nuvicorn = \"*\"\n[requires]\npython_version = \"3.11\"\n",
        ),
        ("app.py", "app = Flask(__name__)\n"),
    ];
    const SETUP: Files = &[
        (
            "setup.cfg",
            "[metadata]\nname = api\nversion = 0.3\n[options]\npython_requires = >=3.11\ninstall_requires =\n    waitress\n",
        ),
        ("wsgi.py", "from acme import app\n"),
    ];
    let uvicorn = "-m uvicorn --host 127.0.0.1 --port ${PORT} main:app";
    for (files, name, version, arguments, install) in [
        (
            POETRY,
            "api",
            "0.3~dev4",
            uvicorn,
            "`poetry export -o requirements.txt && /usr/bin/python3 -m venv venv && venv/bin/pip install -r requirements.txt`",
        ),
        (BUILT, "api", "0.3", uvicorn, "venv/bin/pip install .`"),
        (
            PIPENV,
            "acme",
            "0.1.0",
            "-m gunicorn --bind 127.0.0.1:${PORT} app:app",
            "`pipenv requirements >requirements.txt && ",
        ),
        (
            SETUP,
            "api",
            "0.3",
            "-m waitress --listen=127.0.0.1:${PORT} wsgi:app",
            "venv/bin/pip install .`",
        ),
    ] {
        let temp = project(files);
        let dir = temp.path();
        let args: &[&str] = if name == "acme" { &["--name", "acme"] } else { &[] };
        let (config, said) = written(dir, args);
        assert_eq!(config["package"]["name"].as_str(), Some(name));
        assert_eq!(config["package"]["version"].as_str(), Some(version));
        assert_eq!(config["package"]["depends"][0].as_str(), Some("python3 (>= 3.11)"));
        assert_eq!(start(&config), format!("/usr/bin/python3 {arguments}"));
        assert!(
            said.contains("there is no virtual environment") && said.contains(install),
            "{said}"
        );
        in_the_file(dir, "there is no virtual environment");
        build(dir);
        // With the environment, nothing is left to say.
        forget(dir);
        let module = arguments.split(' ').nth(1).unwrap();
        environment(dir, "/usr/bin", &[module]);
        let (config, said) = written(dir, args);
        assert_eq!(
            (start(&config), said.as_str()),
            (format!("venv/bin/python {arguments}"), "")
        );
        build(dir);
    }
}

/// A word in a comment is no requirement, and what is listed is not yet installed.
#[test]
fn a_server_is_what_is_there_to_serve() {
    const NONE: Files = &[
        (
            "requirements.txt",
            "# gunicorn is not used here\nnot-gunicorn\n-c gunicorn.txt\n",
        ),
        ("app.py", "app = Flask(__name__)\n"),
    ];
    let temp = project(NONE);
    let (config, said) = written(temp.path(), &["--name", "acme"]);
    assert_eq!(start(&config), "/usr/bin/python3 app.py");
    assert!(
        said.contains("its requirements name none: guessed `app.py`; with gunicorn installed"),
        "{said}"
    );
    in_the_file(temp.path(), "guessed `app.py`");

    const LISTED: Files = &[
        ("requirements.txt", "-r more.txt\n"),
        ("more.txt", "Gunicorn[gevent]>=21 # serves\n"),
        ("app.py", "app = Flask(__name__)\n"),
    ];
    let temp = project(LISTED);
    let (config, _) = written(temp.path(), &["--name", "acme"]);
    assert_eq!(
        start(&config),
        "/usr/bin/python3 -m gunicorn --bind 127.0.0.1:${PORT} app:app"
    );
    forget(temp.path());
    environment(temp.path(), "/usr/bin", &["flask"]);
    let (config, said) = written(temp.path(), &["--name", "acme"]);
    assert_eq!(start(&config), "venv/bin/python app.py");
    assert!(
        said.contains("venv lacks gunicorn, which the project asks for"),
        "{said}"
    );
    // Where nothing else could be started, that is an error.
    fs::rename(temp.path().join("app.py"), temp.path().join("application.py")).unwrap();
    forget(temp.path());
    let said = fails(init(temp.path()).args(["--name", "acme"]), 1);
    assert!(
        said.contains("application.py\" does not tell") && said.contains("`venv/bin/pip install -r requirements.txt`"),
        "{said}"
    );
}

/// A server of the one kind can't call an application of the other.
#[test]
fn an_application_gets_a_server_of_its_kind() {
    for (file, text, arguments) in [
        (
            "main.py",
            "app = FastAPI()\n",
            "-m uvicorn --host 127.0.0.1 --port ${PORT} main:app",
        ),
        (
            "main.py",
            "app = Flask(__name__)\n",
            "-m gunicorn --bind 127.0.0.1:${PORT} main:app",
        ),
        (
            "app/main.py",
            "app = FastAPI()\n",
            "-m uvicorn --host 127.0.0.1 --port ${PORT} app.main:app",
        ),
        (
            "acme_web/__init__.py",
            "def create_app():\n",
            "-m gunicorn --bind 127.0.0.1:${PORT} \"acme_web:create_app()\"",
        ),
        (
            "acme_web/api.py",
            "async def app(scope):\n",
            "-m uvicorn --host 127.0.0.1 --port ${PORT} acme_web.api:app",
        ),
        (
            "src/acme_web/main.py",
            "app = FastAPI()\n",
            "-m uvicorn --host 127.0.0.1 --port ${PORT} acme_web.main:app",
        ),
    ] {
        let temp = tempfile::tempdir().unwrap();
        write(
            &temp.path().join("pyproject.toml"),
            "[project]\nname = \"acme-web\"\n",
            0o644,
        );
        write(&temp.path().join(file), text, 0o644);
        environment(temp.path(), "/usr/bin", &["gunicorn", "uvicorn"]);
        let (config, said) = written(temp.path(), &[]);
        assert_eq!(start(&config), format!("venv/bin/python {arguments}"), "{file}: {text}");
        let path = service(&config)["Environment"].get("PYTHONPATH").cloned();
        assert_eq!(path.is_some(), file.starts_with("src/"), "{file}");
        assert_eq!(said.contains("PYTHONPATH"), file.starts_with("src/"), "{said}");
    }
    const DJANGO: Files = &[
        (
            "manage.py",
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'web.settings')\n",
        ),
        ("blog/wsgi.py", "x"),
        ("web/wsgi.py", "x"),
        ("web/asgi.py", "x"),
    ];
    for (server, arguments) in [
        ("gunicorn", "--bind 127.0.0.1:${PORT} web.wsgi:application"),
        ("daphne", "-b 127.0.0.1 -p ${PORT} web.asgi:application"),
    ] {
        let temp = project(DJANGO);
        environment(temp.path(), "/usr/bin", &["django", server]);
        let (config, _) = written(temp.path(), &["--name", "acme"]);
        assert_eq!(start(&config), format!("venv/bin/python -m {server} {arguments}"));
        in_the_file(temp.path(), "exec = \"venv/bin/python manage.py migrate --noinput\"");
        // What it was developed with stays here.
        forget(temp.path());
        write(&temp.path().join("db.sqlite3"), "x", 0o644);
        let (_, said) = written(temp.path(), &["--name", "acme"]);
        assert!(said.contains("db.sqlite3 is left out"), "{said}");
        assert!(!packed(temp.path()).contains("db.sqlite3"));
    }
    let temp = project(&[("alembic.ini", "x"), ("main.py", "app = FastAPI()\n")]);
    environment(temp.path(), "/usr/bin", &["uvicorn"]);
    written(temp.path(), &["--name", "acme"]);
    in_the_file(temp.path(), "exec = \"venv/bin/python -m alembic upgrade head\"");
}

/// init and a build say alike what to do about a Python that no host has.
#[test]
fn an_environment_of_another_python_is_refused_with_the_way_out() {
    let temp = project(&[("requirements.txt", "flask\n"), ("server.py", "x")]);
    let dir = temp.path();
    environment(dir, "/root/.pyenv/versions/3.12.1/bin", &[]);
    let said = fails(init(dir).args(["--name", "acme"]), 1);
    assert!(
        said.contains("venv/pyvenv.cfg\": the Python in /root/.pyenv/versions/3.12.1/bin, which no host has"),
        "{said}"
    );
    let again = "/usr/bin/python3 -m venv --clear";
    assert!(
        said.contains(&format!("`{again} venv && venv/bin/pip install -r requirements.txt`")),
        "{said}"
    );
    fs::remove_dir_all(dir.join("venv")).unwrap();
    environment(dir, "/usr/bin", &[]);
    written(dir, &["--name", "acme"]);
    fs::remove_dir_all(dir.join("venv")).unwrap();
    environment(dir, "/root/.pyenv/versions/3.12.1/bin", &[]);
    let output = relpack().args(["build", "-C"]).arg(dir).output().unwrap();
    assert!(!output.status.success());
    let lines = both(&output);
    let mut refused = 0;
    for line in lines.lines().filter(|line| line.contains("is a symlink")) {
        assert!(
            line.contains("a Python that no host has") && line.contains(again),
            "{line}"
        );
        refused += 1;
    }
    assert_eq!(refused, 2, "{lines}");
    // One of the local administrator's may be the hosts' too.
    fs::remove_dir_all(dir.join("venv")).unwrap();
    environment(dir, "/usr/local/bin", &[]);
    forget(dir);
    let (_, said) = written(dir, &["--name", "acme"]);
    assert!(said.contains("made by the Python in /usr/local/bin"), "{said}");
}

/// Archives with a manifest, as Java's own tools write them.
fn jar(path: &Path, manifest: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let code = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as jar:\n    \
        jar.writestr('A.class', 'x')\n    jar.writestr('META-INF/MANIFEST.MF', sys.argv[2])\n";
    ok(Command::new("/usr/bin/python3")
        .args(["-c", code])
        .arg(path)
        .arg(manifest));
}

const STARTS: &str = "Manifest-Version: 1.0\r\nMain-Class: com.example.Main\r\n";
const LIBRARY: &str = "Manifest-Version: 1.0\r\nPremain-Class: x\r\n";

#[test]
fn the_jar_that_is_the_program_is_started() {
    const POM: &str = "<project><!-- <version>9</version> --><artifactId>server</artifactId><version>1</version>\
        <description>Acme&apos;s &amp; others&apos; server</description></project>";
    const GRADLE: Files = &[
        ("build.gradle", "plugins {\n    id 'x' version '3'\n}\nversion = '1'\n"),
        ("settings.gradle", "rootProject.name = 'server'\n"),
    ];
    type Jars = &'static [(&'static str, &'static str)];
    let cases: [(Jars, &str, &str, &str); 8] = [
        (
            &[("a-weaver.jar", LIBRARY), ("server-1.jar", STARTS)],
            "target",
            "server-1.jar",
            "",
        ),
        (
            &[("a-tool.jar", STARTS), ("server-1.jar", STARTS)],
            "target",
            "server-1.jar",
            "",
        ),
        (
            &[("server-1.jar", LIBRARY), ("server-1-runner.jar", STARTS)],
            "target",
            "server-1-runner.jar",
            "",
        ),
        (&[("a.jar", LIBRARY), ("b.jar", STARTS)], "target", "b.jar", ""),
        (
            &[("a.jar", STARTS), ("b.jar", STARTS)],
            "target",
            "a.jar",
            "guessed that the program is target/a.jar: there is b.jar too",
        ),
        (
            &[("server-1.jar", STARTS), ("server-1-all.jar", STARTS)],
            "target",
            "server-1.jar",
            "there is server-1-all.jar too",
        ),
        (
            &[("server-1.jar", LIBRARY)],
            "target",
            "server-1.jar",
            "target/server-1.jar has no Main-Class",
        ),
        (
            &[("server-1.jar", LIBRARY), ("quarkus-app/quarkus-run.jar", STARTS)],
            "target/quarkus-app",
            "quarkus-run.jar",
            "",
        ),
    ];
    for (jars, place, exec, told) in cases {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        write(&dir.join("pom.xml"), POM, 0o644);
        for (name, manifest) in jars {
            jar(&dir.join("target").join(name), manifest);
        }
        let (config, said) = written(dir, &[]);
        assert_eq!(source(&config), place);
        assert_eq!(start(&config), format!("/usr/bin/java -jar {exec}"));
        let package = &config["package"];
        assert_eq!(
            (package["name"].as_str(), package["version"].as_str()),
            (Some("server"), Some("1"))
        );
        assert_eq!(package["description"].as_str(), Some("Acme's & others' server"));
        assert!(
            said.contains(told) && said.is_empty() == told.is_empty(),
            "{jars:?}: {said}"
        );
        if !told.is_empty() {
            in_the_file(dir, told);
        }
        let checked = relpack().args(["check", "-C"]).arg(dir).output().unwrap();
        assert!(!both(&checked).contains("matches nothing"), "{}", both(&checked));
        build(dir);
    }
    let temp = project(GRADLE);
    jar(&temp.path().join("build/libs/server-1.jar"), STARTS);
    jar(&temp.path().join("build/libs/server-1-plain.jar"), LIBRARY);
    jar(&temp.path().join("build/libs/a.jar"), STARTS);
    let (config, said) = written(temp.path(), &[]);
    assert_eq!(
        (start(&config).as_str(), said.as_str()),
        ("/usr/bin/java -jar server-1.jar", "")
    );
    assert_eq!(config["package"]["version"].as_str(), Some("1"));
    assert!(!packed(temp.path()).contains("plain"));

    let temp = project(&[
        ("pom.xml", "<project><modules><module>web</module></modules></project>"),
        ("web/target/web-1.jar", "x"),
    ]);
    let said = fails(&mut init(temp.path()), 1);
    assert!(
        said.contains("only holds modules") && said.contains("maybe web"),
        "{said}"
    );
    write(&temp.path().join("pom.xml"), "<project>\n<version>1</versio>", 0o644);
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("pom.xml\", line 2, column"), "{said}");
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

/// A directory that the code reads is not beside the program in the release.
#[test]
fn what_a_program_may_read_is_said() {
    for (manifest, text, built) in [
        ("go.mod", "module acme.io/web\n", "build"),
        ("Cargo.toml", "[package]\nname = \"web\"\n", "target/release"),
    ] {
        let temp = project(&[("templates/a.html", "x"), ("migrations/1.sql", "x")]);
        write(&temp.path().join(manifest), text, 0o644);
        program(&temp.path().join(built).join("web"));
        let (_, said) = written(temp.path(), &[]);
        let told = format!("the release is {built}/, without migrations, templates: ");
        assert!(said.contains(&told), "{said}");
        for name in ["templates", "migrations"] {
            fs::create_dir(temp.path().join(built).join(name)).unwrap();
        }
        forget(temp.path());
        assert_eq!(written(temp.path(), &[]).1, "");
    }
}
