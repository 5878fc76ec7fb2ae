//! What a Python project tells: what a server serves or a command calls, by whose Python.

use super::look::{Dir, LookError};
use super::node::port;
use super::pyproject::{Install, Project};
use super::served::{self, App, Server};
use super::venv::Environment;
use super::{Runtime, Seen, description, exec_word, least, leave_out_but, package_name, shown, version};

/// Where a new project of Django's keeps what it is developed with.
const DJANGO_DATABASE: &str = "db.sqlite3";

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Python);
    let project = Project::read(dir)?;
    seen.name = project.name.as_deref().and_then(package_name);
    seen.version = project.version.as_deref().and_then(version);
    seen.description = project.description.as_deref().and_then(description);
    let environment = Environment::of(dir);
    if let Some(environment) = &environment {
        by_debian(dir, environment, &project, &mut seen)?;
    }
    seen.depends = depends(environment.as_ref(), project.requires_python.as_deref());
    let python = match &environment {
        Some(environment) => environment.python(),
        None => "/usr/bin/python3".to_owned(),
    };
    let arguments = start(dir, environment.as_ref(), &project, &mut seen)?;
    seen.exec = format!("{python} {arguments}");
    let migrate = [
        ("manage.py", "manage.py migrate --noinput"),
        ("alembic.ini", "-m alembic upgrade head"),
    ];
    let migrate = migrate.iter().find(|(file, _)| dir.has_file(file));
    seen.migrate = migrate.map(|(_, arguments)| format!("{python} {arguments}"));
    // Python's own builds and `relpack build` leave packages there; what else is there belongs to the release.
    let mut left_out = vec![
        "dist/*.deb",
        "dist/*.tar.*",
        "dist/*.whl",
        "**/__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        "*.egg-info",
    ];
    if dir.has_file("manage.py") && dir.has_file(DJANGO_DATABASE) {
        left_out.push(DJANGO_DATABASE);
        seen.notes.push(format!(
            "{DJANGO_DATABASE} is left out, and a release can't be written to: let DATABASES name one in the /var/lib directory of Service.StateDirectory, or a server"
        ));
    }
    let place = environment.as_ref().map_or("", |environment| &environment.place);
    seen.exclude = vec![leave_out_but(place, &left_out)];
    if environment.is_none() && !project.needs.is_empty() {
        seen.remark(&format!(
            "there is no virtual environment: make one with Debian's Python (`{}`) and run init again, or name Debian's packages in package.depends",
            project.install.command("", "venv")
        ));
    }
    Ok(seen)
}

/// What another Python made runs on no host that doesn't have that one.
fn by_debian(dir: &Dir, environment: &Environment, project: &Project, seen: &mut Seen) -> Result<(), LookError> {
    let Some(home) = environment.foreign_home() else {
        return Ok(());
    };
    let place = &environment.place;
    let command = project.install.command("--clear ", place);
    if home.starts_with("/usr/") {
        seen.notes.push(shown(&format!(
            "{place} was made by the Python in {home}, which Debian's packages don't bring: make it anew by Debian's (`{command}`)"
        )));
        return Ok(());
    }
    Err(LookError::Foreign {
        path: dir.at(&format!("{place}/pyvenv.cfg")),
        home: shown(home),
        hint: format!(
            "make it anew by Debian's Python, on the Debian that the hosts run: `{command}`, and run init again"
        ),
    })
}

/// The arguments of Python.
fn start(
    dir: &Dir,
    environment: Option<&Environment>,
    project: &Project,
    seen: &mut Seen,
) -> Result<String, LookError> {
    let has = |server: &Server| match environment {
        // What is listed and not installed is not there on a host either.
        Some(environment) => environment.has(dir, server.module),
        None => project.needs.contains(server.module),
    };
    let package = project
        .name
        .as_deref()
        .map(|name| name.to_lowercase().replace(['-', '.'], "_"));
    let is_django = dir.has_file("manage.py");
    let mut apps = Vec::new();
    if is_django {
        apps = served::django(dir);
    }
    let django = !apps.is_empty();
    apps.extend(served::find(dir, package.as_deref()));
    for app in &apps {
        if let Some(server) = Server::of(app, has) {
            if app.below.is_some() {
                in_src(dir, environment, project, &app.module, seen);
            }
            seen.port = dir.text(&app.file).as_deref().and_then(port);
            return Ok(server.arguments(app));
        }
    }
    if let Some((module, function)) = script(project, seen) {
        in_src(dir, environment, project, &module, seen);
        // The scripts of a virtual environment name the directory in which it was made.
        return Ok(exec_call(&module, &function));
    }
    let common = ["server.py", "app.py", "main.py", "run.py", "wsgi.py", "__main__.py"];
    let file = common.into_iter().find(|name| dir.has_file(name));
    let file = file
        .filter(|_| !django)
        .ok_or_else(|| nothing_to_start(dir, environment, project, apps.first()))?;
    seen.port = dir.text(file).as_deref().and_then(port);
    if let Some(app) = apps.first().filter(|app| app.gateway.is_some()) {
        let server = served::usual(app);
        seen.remark(&format!(
            "{} has an application for a server, but {}: guessed `{file}`; with {server} installed, init would start that",
            app.file,
            lacks(environment, project, server)
        ));
    }
    Ok(exec_word(file))
}

/// Why a server is not there.
fn lacks(environment: Option<&Environment>, project: &Project, server: &str) -> String {
    match environment {
        Some(environment) if project.needs.contains(server) => {
            let place = &environment.place;
            format!("{place} lacks {server}, which the project asks for")
        }
        Some(environment) => format!("{} has none", environment.place),
        None => "its requirements name none".to_owned(),
    }
}

/// The command that is called like the project, else the first.
fn script(project: &Project, seen: &mut Seen) -> Option<(String, String)> {
    let calls: Vec<(&str, &str, &str)> = project
        .scripts
        .iter()
        .filter_map(|(name, call)| {
            let (module, function) = call.split_once(':')?;
            Some((name.as_str(), module.trim(), function.trim()))
        })
        .collect();
    let own = calls.iter().find(|(name, ..)| Some(*name) == project.name.as_deref());
    let (name, module, function) = own.or(calls.first())?;
    if own.is_none() && calls.len() > 1 {
        let others: Vec<&str> = calls[1..].iter().map(|(name, ..)| *name).collect();
        seen.remark(&format!(
            "guessed that the service is the command {name}: there is {} too",
            others.join(" and ")
        ));
    }
    Some(((*module).to_owned(), (*function).to_owned()))
}

fn nothing_to_start(dir: &Dir, environment: Option<&Environment>, project: &Project, app: Option<&App>) -> LookError {
    if let Some(app) = app {
        let server = served::usual(app);
        let django = dir.has_file("manage.py");
        let place = environment.map_or("venv", |environment| environment.place.as_str());
        let make = match environment {
            Some(_) => String::new(),
            None => format!("/usr/bin/python3 -m venv {place} && "),
        };
        let framework = if django { "django " } else { "" };
        let what = match project.install {
            _ if !project.needs.contains(server) => format!("{framework}{server}"),
            Install::Requirements(file) => format!("-r {file}"),
            _ => server.to_owned(),
        };
        let (file, problem) = match django {
            true => (
                "manage.py",
                format!("a Django project is served by a server like {server}"),
            ),
            false => (
                app.file.as_str(),
                format!("its application is served by a server like {server}"),
            ),
        };
        let problem = match environment {
            Some(_) => format!("{problem}, and {}", lacks(environment, project, server)),
            None => format!("{problem}, which neither its requirements nor a virtual environment have"),
        };
        return dir.silent(
            file,
            problem,
            format!("make the environment first: `{make}{place}/bin/pip install {what}`, and run init again"),
        );
    }
    match dir.has_file("pyproject.toml") {
        true => dir.silent(
            "pyproject.toml",
            "it has no [project.scripts], and there is neither server.py, app.py nor main.py, nor gunicorn with a wsgi.py",
            "write NAME = \"MODULE:FUNCTION\" below [project.scripts]",
        ),
        false => dir.nothing(
            Runtime::Python,
            "a Python application needs server.py, app.py or main.py, a [project.scripts] entry, or gunicorn with a wsgi.py",
        ),
    }
}

/// Where a module lies in `src` and nowhere where Python looks, Python is told; what was installed with `-e` is only named by the
/// environment.
fn in_src(dir: &Dir, environment: Option<&Environment>, project: &Project, module: &str, seen: &mut Seen) {
    let first = module.split('.').next().unwrap_or(module);
    let lies_in = |place: &str| dir.has_dir(&format!("{place}{first}")) || dir.has_file(&format!("{place}{first}.py"));
    if !lies_in("src/") || lies_in("") || environment.is_some_and(|environment| environment.has(dir, first)) {
        return;
    }
    seen.modules = Some("src");
    // What can't be installed has no other way.
    if project.name.is_none() {
        return;
    }
    let place = environment.map_or("venv", |environment| environment.place.as_str());
    let make = match environment {
        Some(_) => String::new(),
        None => format!("/usr/bin/python3 -m venv {place} && "),
    };
    seen.notes.push(format!(
        "{} lies in src/, so Service.Environment.PYTHONPATH names that; or install the project into the virtual environment (`{make}{place}/bin/pip install .`, not with -e) and run init again",
        shown(first)
    ));
}

/// A virtual environment works only with the Python minor version that it was made with.
fn depends(environment: Option<&Environment>, requires: Option<&str>) -> Vec<String> {
    if let Some(minor) = environment.and_then(|environment| environment.minor) {
        return vec![
            format!("python3 (>= 3.{minor})"),
            format!("python3 (<< 3.{})", minor + 1),
        ];
    }
    match requires.and_then(least) {
        Some(least) => vec![format!("python3 (>= {least})")],
        None => vec!["python3".to_owned()],
    }
}

fn exec_call(module: &str, function: &str) -> String {
    let code = format!("import sys; from {module} import {function} as main; sys.exit(main())");
    format!("-c {}", exec_word(&code))
}
