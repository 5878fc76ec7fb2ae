//! `relpack init` in Python projects: in whichever way they say what they are and need, with the server that fits, and
//! with or without their virtual environment.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::{both, fails, ok, relpack, write};
use crate::projects::{Files, build, forget, in_the_file, init, packed, project, python, service, start, written};

#[test]
fn a_pre_release_sorts_below_its_release() {
    for version in ["1.0.0rc1", "1.0.0-rc.1", "1.0.0b2", "1.0.0.dev3", "1.0.0a1"] {
        let temp = tempfile::tempdir().unwrap();
        let project = format!("[project]\nname = \"acme\"\nversion = \"{version}\"\n");
        write(&temp.path().join("pyproject.toml"), &project, 0o644);
        write(&temp.path().join("server.py"), "\n", 0o644);
        let (config, _) = written(temp.path(), &[]);
        let found = config["package"]["version"].as_str().unwrap();
        assert!(found.starts_with("1.0.0~"), "{version}: {found}");
        let compared = Command::new("dpkg")
            .args(["--compare-versions", found, "lt", "1.0.0"])
            .status()
            .unwrap();
        assert!(compared.success(), "{version}: {found}");
        assert!(build(temp.path()).contains(&format!("acme_{found}_")), "{version}");
    }
}

/// Python finds the modules of a `src` layout, in the release as it is built.
#[test]
fn modules_in_src_are_found() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let project = "[project]\nname = \"acme\"\n[project.scripts]\nacme = \"acme.main:main\"\n";
    write(&dir.join("pyproject.toml"), project, 0o644);
    write(&dir.join("src/acme/__init__.py"), "", 0o644);
    let main = "def main():\n    print('it runs')\n";
    write(&dir.join("src/acme/main.py"), main, 0o644);
    let (config, said) = written(dir, &[]);
    assert!(
        said.contains("python3 -m venv venv && venv/bin/pip install .`, not with -e"),
        "{said}"
    );
    let service = &config["units"]["acme.service"]["Service"];
    let path = service["Environment"]["PYTHONPATH"].as_str().unwrap();
    assert_eq!(path, "{app}/src");
    let out = dir.join("out");
    ok(Command::new("dpkg-deb").arg("-x").args([Path::new(&build(dir)), &out]));
    let payload = fs::read_dir(out.join("opt/acme/payload")).unwrap();
    let release = payload.map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let release = release.unwrap();
    // Nothing in it is systemd's alone, so a shell splits it alike.
    let run = |path: &str| {
        let path = path.replace("{app}", release.to_str().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", service["ExecStart"].as_str().unwrap()]);
        shell.env("PYTHONPATH", path).current_dir(&release).output().unwrap()
    };
    assert_eq!(String::from_utf8_lossy(&run(path).stdout), "it runs\n");
    assert!(!run("").status.success(), "only by that path");

    let has_path = |said: &str| {
        forget(dir);
        let (config, found) = written(dir, &[]);
        assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found}");
        let environment = &config["units"]["acme.service"]["Service"]["Environment"];
        environment.get("PYTHONPATH").is_some()
    };
    // What was installed with -e is there by name only.
    write(&dir.join("venv/pyvenv.cfg"), "home = /usr/bin\n", 0o644);
    let packages = dir.join("venv/lib/python3.11/site-packages");
    write(&packages.join("__editable__.acme.pth"), "/home/a/acme/src\n", 0o644);
    assert!(has_path("(`venv/bin/pip install .`"));
    write(&packages.join("acme/__init__.py"), "", 0o644);
    assert!(!has_path(""));
    fs::remove_dir_all(dir.join("venv")).unwrap();
    write(&dir.join("acme.py"), "", 0o644);
    assert!(!has_path(""));
}

#[test]
fn a_program_without_a_project_tells_too() {
    let temp = tempfile::tempdir().unwrap();
    write(
        &temp.path().join("server.py"),
        "import os\nPORT = os.environ.get('PORT', 8456)\n",
        0o644,
    );
    ok(init(temp.path()).args(["--name", "acme"]));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    assert!(
        text.contains("preset = \"python\"") && text.contains("\"8456\""),
        "{text}"
    );
}

#[test]
fn a_django_project_needs_its_environment_first() {
    let temp = tempfile::tempdir().unwrap();
    write(&temp.path().join("manage.py"), "\n", 0o644);
    write(&temp.path().join("proj/wsgi.py"), "application = None\n", 0o644);
    let said = fails(&mut init(temp.path()), 1);
    assert!(
        said.contains("manage.py") && said.contains("python3 -m venv venv"),
        "{said}"
    );
    python(temp.path());
    fs::remove_file(temp.path().join("requirements.txt")).unwrap();
    ok(init(temp.path()).args(["--name", "acme"]));
    let text = fs::read_to_string(temp.path().join("relpack.toml")).unwrap();
    let exec = "venv/bin/python -m gunicorn --bind 127.0.0.1:${PORT} proj.wsgi:application";
    assert!(text.contains(exec), "{text}");
    fs::remove_file(temp.path().join("relpack.toml")).unwrap();
    fs::remove_file(temp.path().join("wsgi.py")).unwrap();
    fs::remove_dir_all(temp.path().join("venv/lib/python3.11/site-packages/gunicorn")).unwrap();
    let said = fails(&mut init(temp.path()), 1);
    assert!(said.contains("`venv/bin/pip install django gunicorn`"), "{said}");
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
