//! What a Python project tells: `pyproject.toml`, `requirements.txt`, its virtual environment and its modules.

use super::look::{Dir, LookError};
use super::node::port;
use super::{Runtime, Seen, description, exec_word, least, leave_out, package_name, shown, version};

/// Where a virtual environment usually lies.
const ENVIRONMENTS: &[&str] = &["venv", ".venv", "env"];

/// The directory of the project's virtual environment.
pub(super) fn environment(dir: &Dir) -> Option<&'static str> {
    let mut known = ENVIRONMENTS.iter().copied();
    known.find(|name| dir.has_file(&format!("{name}/pyvenv.cfg")))
}

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Python);
    let pyproject = dir.toml("pyproject.toml")?.unwrap_or_default();
    let project = pyproject
        .get("project")
        .and_then(|p| p.as_table())
        .cloned()
        .unwrap_or_default();
    let text = |key: &str| project.get(key).and_then(|value| value.as_str());
    seen.name = text("name").and_then(package_name);
    seen.version = text("version").and_then(version);
    seen.description = text("description").and_then(description);
    let environment = environment(dir);
    seen.depends = depends(dir, environment, text("requires-python"));
    let python = match environment {
        Some(name) => format!("{name}/bin/python"),
        None => "/usr/bin/python3".to_owned(),
    };
    let needs = [dir.text("requirements.txt"), dir.text("pyproject.toml")]
        .map(Option::unwrap_or_default)
        .concat();
    let script = project
        .get("scripts")
        .and_then(|scripts| scripts.as_table()?.values().next()?.as_str());
    let module = ["wsgi.py", "asgi.py", "app.py", "main.py", "application.py"]
        .into_iter()
        .find(|name| dir.has_file(name));
    let has = |server: &str| needs.contains(server) || environment.is_some_and(|name| installed(dir, name, server));
    let django = dir.has_file("manage.py").then(|| django(dir)).flatten();
    let arguments = if let Some(target) = django.as_ref().filter(|_| has("gunicorn")) {
        format!("-m gunicorn --bind 127.0.0.1:${{PORT}} {target}:application")
    } else if let Some(target) = module.and_then(|name| callable(dir, name)).filter(|_| has("gunicorn")) {
        format!("-m gunicorn --bind 127.0.0.1:${{PORT}} {target}")
    } else if let Some(target) = module.and_then(|name| callable(dir, name)).filter(|_| has("uvicorn")) {
        format!("-m uvicorn --host 127.0.0.1 --port ${{PORT}} {target}")
    } else if let Some((module, function)) = script.and_then(|script| script.split_once(':')) {
        seen.modules = in_src(dir, environment, module).then_some("src");
        seen.notes
            .extend(seen.modules.map(|_| instead_of_src(environment, module)));
        // The scripts of a virtual environment name the directory in which it was made.
        exec_call(module, function)
    } else {
        let common = ["server.py", "app.py", "main.py", "run.py", "wsgi.py", "__main__.py"];
        let file = common
            .into_iter()
            .find(|name| dir.has_file(name))
            .ok_or_else(|| nothing_to_start(dir, environment, django.is_some()))?;
        seen.port = dir.text(file).as_deref().and_then(port);
        exec_word(file)
    };
    seen.exec = format!("{python} {arguments}");
    // Python's own builds and `relpack build` leave packages there; what else is there belongs to the release.
    seen.exclude = vec![leave_out(&[
        "dist/*.deb",
        "dist/*.whl",
        "dist/*.tar.gz",
        "**/__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        "*.egg-info",
    ])];
    if environment.is_none() && has_requirements(dir, &project) {
        seen.notes.push(
            "there is no virtual environment: make one with Debian's Python (`/usr/bin/python3 -m venv venv && venv/bin/pip install …`) and run init again, or name Debian's packages in package.depends".to_owned(),
        );
    }
    Ok(seen)
}

fn nothing_to_start(dir: &Dir, environment: Option<&str>, django: bool) -> LookError {
    if django {
        let name = environment.unwrap_or("venv");
        let make = match environment {
            Some(_) => String::new(),
            None => format!("/usr/bin/python3 -m venv {name} && "),
        };
        return dir.silent(
            "manage.py",
            "a Django project is served by a server like gunicorn, which neither its requirements nor a virtual environment have",
            format!("make the environment first: `{make}{name}/bin/pip install django gunicorn`, and run init again"),
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

/// Whether a module lies in `src` and nowhere where Python looks. What was installed with `-e` is only named by the environment.
fn in_src(dir: &Dir, environment: Option<&str>, module: &str) -> bool {
    let first = first_part(module);
    let lies_in = |place: &str| dir.has_dir(&format!("{place}{first}")) || dir.has_file(&format!("{place}{first}.py"));
    lies_in("src/") && !lies_in("") && !environment.is_some_and(|name| installed(dir, name, first))
}

fn first_part(module: &str) -> &str {
    module.split('.').next().unwrap_or(module)
}

fn instead_of_src(environment: Option<&str>, module: &str) -> String {
    let name = environment.unwrap_or("venv");
    let make = match environment {
        Some(_) => String::new(),
        None => format!("/usr/bin/python3 -m venv {name} && "),
    };
    format!(
        "{} lies in src/, so Service.Environment.PYTHONPATH names that; or install the project into the virtual environment (`{make}{name}/bin/pip install .`, not with -e) and run init again",
        shown(first_part(module))
    )
}

/// Whether a virtual environment has a package.
fn installed(dir: &Dir, environment: &str, package: &str) -> bool {
    let lib = format!("{environment}/lib");
    let versions = dir.names(&lib).into_iter();
    versions
        .map(|version| format!("{lib}/{version}/site-packages/{package}"))
        .any(|place| dir.has_dir(&place) || dir.has_file(&format!("{place}.py")))
}

fn has_requirements(dir: &Dir, project: &toml::Table) -> bool {
    let listed = dir.text("requirements.txt").unwrap_or_default();
    let wanted = listed
        .lines()
        .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let of_project = project.get("dependencies").and_then(|list| list.as_array());
    wanted || of_project.is_some_and(|list| !list.is_empty())
}

/// A virtual environment works only with the Python minor version that it was made with.
fn depends(dir: &Dir, environment: Option<&str>, requires: Option<&str>) -> Vec<String> {
    let minor = environment.and_then(|name| {
        let versions = dir.names(&format!("{name}/lib"));
        versions
            .iter()
            .find_map(|version| version.strip_prefix("python3.")?.parse::<u32>().ok())
    });
    if let Some(minor) = minor {
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

/// `config/wsgi.py` beside manage.py gives `config.wsgi`.
fn django(dir: &Dir) -> Option<String> {
    let packages = dir.names(".").into_iter();
    packages
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        .find(|name| dir.has_file(&format!("{name}/wsgi.py")))
        .map(|name| format!("{name}.wsgi"))
}

/// `app.py` with a line `app = …` gives `app:app`.
fn callable(dir: &Dir, file: &str) -> Option<String> {
    let text = dir.text(file)?;
    let module = file.strip_suffix(".py")?;
    let name = ["application", "app"].into_iter().find(|name| {
        let (assigned, defined) = (format!("{name} ="), format!("def {name}("));
        text.lines()
            .any(|line| line.starts_with(&assigned) || line.starts_with(&defined))
    })?;
    Some(format!("{module}:{name}"))
}

fn exec_call(module: &str, function: &str) -> String {
    let code = format!("import sys; from {module} import {function} as main; sys.exit(main())");
    format!("-c {}", exec_word(&code))
}
