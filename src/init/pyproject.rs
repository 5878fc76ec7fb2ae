//! What a Python project says of itself and of what it needs: `pyproject.toml` in its dialects, `setup.cfg`, `Pipfile` and
//! `requirements.txt`.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::look::{Dir, LookError};

/// As its files say; the first that says a thing wins.
#[derive(Debug, Default)]
pub(super) struct Project {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) requires_python: Option<String>,
    /// `MODULE:FUNCTION` of the commands that it installs, with their names.
    pub(super) scripts: Vec<(String, String)>,
    /// What it needs to run, by normalised names.
    pub(super) needs: BTreeSet<String>,
    /// What brings all of that into a virtual environment.
    pub(super) install: Install,
}

/// How an environment is filled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Install {
    /// Nothing says.
    #[default]
    Unknown,
    Requirements(&'static str),
    Project,
    Poetry,
    Uv,
    Pipenv,
}

impl Install {
    /// The command that makes an environment, and fills it; `options` are those of `venv`.
    pub(super) fn command(self, options: &str, place: &str) -> String {
        let (before, what) = match self {
            Install::Unknown => ("", "…".to_owned()),
            Install::Requirements(file) => ("", format!("-r {file}")),
            Install::Project => ("", ".".to_owned()),
            Install::Poetry => (
                "poetry export -o requirements.txt && ",
                "-r requirements.txt".to_owned(),
            ),
            Install::Uv => (
                "uv export --no-dev --no-emit-project -o requirements.txt && ",
                "-r requirements.txt".to_owned(),
            ),
            Install::Pipenv => (
                "pipenv requirements >requirements.txt && ",
                "-r requirements.txt".to_owned(),
            ),
        };
        format!("{before}/usr/bin/python3 -m venv {options}{place} && {place}/bin/pip install {what}")
    }
}

/// Files that list what runs in production.
const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
];

impl Project {
    pub(super) fn read(dir: &Dir) -> Result<Self, LookError> {
        let mut project = Self::default();
        let listed = REQUIREMENTS.iter().copied().find(|file| dir.has_file(file));
        if let Some(file) = listed {
            let text = dir.text(file).unwrap_or_default();
            project.needs.extend(requirements(dir, file, &text, 0));
            project.install = Install::Requirements(file);
        }
        if let Some(pyproject) = dir.toml("pyproject.toml")? {
            project.add_pyproject(dir, &pyproject);
        }
        if let Some(text) = dir.text("setup.cfg") {
            project.add_setup(&text);
        }
        if let Some(pipfile) = dir.toml("Pipfile")? {
            project.add_pipfile(&pipfile);
        }
        Ok(project)
    }

    fn add_pyproject(&mut self, dir: &Dir, pyproject: &Table) {
        let table = |path: &[&str]| at(pyproject, path).cloned().unwrap_or_default();
        let (project, poetry) = (table(&["project"]), table(&["tool", "poetry"]));
        for own in [&project, &poetry] {
            fill(&mut self.name, text(own, "name"));
            fill(&mut self.version, text(own, "version"));
            fill(&mut self.description, text(own, "description"));
            let scripts = own.get("scripts").and_then(Value::as_table).into_iter().flatten();
            let scripts = scripts.filter_map(|(name, call)| Some((name.clone(), call.as_str()?.to_owned())));
            self.scripts.extend(scripts);
        }
        fill(&mut self.requires_python, text(&project, "requires-python"));
        let listed = project.get("dependencies").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        let mut needs: BTreeSet<String> = listed.flat_map(requirement).collect();
        let own = poetry.get("dependencies").and_then(Value::as_table);
        for (name, value) in own.into_iter().flatten() {
            let version = value.as_str().or_else(|| value.get("version")?.as_str());
            if name == "python" {
                fill(&mut self.requires_python, version.map(str::to_owned));
            } else if value.get("optional").and_then(Value::as_bool) != Some(true) {
                let extras = value.get("extras").and_then(Value::as_array);
                let extras: Vec<&str> = extras.into_iter().flatten().filter_map(Value::as_str).collect();
                needs.extend(with_extras(name, &extras));
            }
        }
        if self.install == Install::Unknown && !needs.is_empty() {
            self.install = match pyproject.contains_key("build-system") {
                _ if dir.has_file("uv.lock") => Install::Uv,
                false if !poetry.is_empty() => Install::Poetry,
                _ => Install::Project,
            };
        }
        self.needs.extend(needs);
    }

    fn add_setup(&mut self, setup: &str) {
        let value = |section: &str, key: &str| {
            let value = ini(setup, section, key)?;
            // "attr: acme.VERSION" and "file: README" are only found by running it.
            let literal = !value.starts_with("attr:") && !value.starts_with("file:");
            (literal && !value.is_empty()).then_some(value)
        };
        fill(&mut self.name, value("metadata", "name"));
        fill(&mut self.version, value("metadata", "version"));
        fill(&mut self.description, value("metadata", "description"));
        fill(&mut self.requires_python, value("options", "python_requires"));
        let listed = value("options", "install_requires").unwrap_or_default();
        let needs: Vec<String> = listed.lines().flat_map(requirement).collect();
        let scripts = value("options.entry_points", "console_scripts").unwrap_or_default();
        let scripts = scripts.lines().filter_map(|line| line.split_once('='));
        self.scripts
            .extend(scripts.map(|(name, call)| (name.trim().to_owned(), call.trim().to_owned())));
        if self.install == Install::Unknown && !needs.is_empty() {
            self.install = Install::Project;
        }
        self.needs.extend(needs);
    }

    fn add_pipfile(&mut self, pipfile: &Table) {
        let packages = pipfile.get("packages").and_then(Value::as_table);
        let needs: Vec<String> = packages
            .into_iter()
            .flatten()
            .flat_map(|(name, value)| {
                let extras = value.get("extras").and_then(Value::as_array);
                let extras: Vec<&str> = extras.into_iter().flatten().filter_map(Value::as_str).collect();
                with_extras(name, &extras)
            })
            .collect();
        let python = at(pipfile, &["requires"]).and_then(|requires| text(requires, "python_version"));
        fill(&mut self.requires_python, python);
        if self.install == Install::Unknown && !needs.is_empty() {
            self.install = Install::Pipenv;
        }
        self.needs.extend(needs);
    }
}

fn fill(place: &mut Option<String>, value: Option<String>) {
    if place.is_none() {
        *place = value;
    }
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key)?.as_str().map(str::to_owned)
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

/// A value of a file in Python's INI format; its further lines are indented.
fn ini(text: &str, section: &str, key: &str) -> Option<String> {
    let header = format!("[{section}]");
    let mut lines = text.lines().skip_while(|line| line.trim() != header).skip(1);
    let first = lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            (name.trim_end() == key).then(|| value.trim().to_owned())
        })?;
    let is_comment = |line: &&str| line.starts_with('#') || line.starts_with(';');
    let more = lines
        .take_while(|line| line.trim().is_empty() || line.starts_with([' ', '\t']))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_comment(line));
    let all: Vec<&str> = std::iter::once(first.as_str())
        .filter(|line| !line.is_empty())
        .chain(more)
        .collect();
    Some(all.join("\n"))
}

/// More levels than this are a circle.
const DEPTH_MAX: u32 = 8;

/// What a requirements file lists, with those that it includes; constraints ask for nothing.
fn requirements(dir: &Dir, file: &str, text: &str, depth: u32) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if depth > DEPTH_MAX {
        return found;
    }
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in joined.lines() {
        let line = uncommented(line).trim();
        let included = ["-r", "--requirement"]
            .iter()
            .find_map(|option| line.strip_prefix(option)?.strip_prefix([' ', '=', '\t']))
            .or_else(|| line.strip_prefix("-r"));
        match included {
            Some(name) => {
                let place = file.rsplit_once('/').map_or("", |(place, _)| place);
                let name = match place {
                    "" => name.trim().to_owned(),
                    place => format!("{place}/{}", name.trim()),
                };
                let text = dir.text(&name).unwrap_or_default();
                found.extend(requirements(dir, &name, &text, depth + 1));
            }
            None => found.extend(requirement(line)),
        }
    }
    found
}

/// pip ends a line at a '#' that begins it or follows a blank.
fn uncommented(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

/// The package that a requirement asks for: the name at its beginning, or that of an address.
fn requirement(line: &str) -> Vec<String> {
    let line = uncommented(line).trim();
    let line = line.strip_prefix("-e ").unwrap_or(line).trim();
    if let Some((_, egg)) = line.split_once("#egg=") {
        let end = egg.find(['&', '[']).unwrap_or(egg.len());
        return with_extras(&egg[..end], &[]);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let is_place = rest.starts_with('/') || rest.starts_with(':') || rest.starts_with('+');
    if is_place || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Vec::new();
    }
    let extras = rest
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let extras: Vec<&str> = extras.map_or(Vec::new(), |(list, _)| list.split(',').map(str::trim).collect());
    with_extras(name, &extras)
}

/// A package, and the server that an extra of it brings.
fn with_extras(name: &str, extras: &[&str]) -> Vec<String> {
    let mut found = vec![normalised(name)];
    if found[0] == "fastapi" && extras.iter().any(|extra| matches!(*extra, "standard" | "all")) {
        found.push("uvicorn".to_owned());
    }
    found
}

/// As the index compares names.
fn normalised(name: &str) -> String {
    let parts: Vec<String> = name
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_asks_for_what_it_begins_with() {
        for (line, expected) in [
            ("gunicorn", &["gunicorn"][..]),
            ("Gunicorn[gevent]>=21 ; python_version > '3.8'  # serves", &["gunicorn"]),
            ("Typing_Extensions==4", &["typing-extensions"]),
            ("uvicorn @ https://example.com/uvicorn.whl", &["uvicorn"]),
            ("git+https://example.com/x.git#egg=Uvicorn[standard]", &["uvicorn"]),
            (
                "-e git+https://example.com/x.git#egg=daphne&subdirectory=y",
                &["daphne"],
            ),
            ("fastapi[standard]", &["fastapi", "uvicorn"]),
            ("not-gunicorn", &["not-gunicorn"]),
            ("# gunicorn", &[]),
            ("  # gunicorn", &[]),
            ("--index-url https://gunicorn.example", &[]),
            ("-c gunicorn.txt", &[]),
            ("./gunicorn", &[]),
            ("gunicorn/local", &[]),
            ("https://example.com/gunicorn.whl", &[]),
            ("", &[]),
        ] {
            assert_eq!(requirement(line), expected, "{line}");
        }
    }

    #[test]
    fn files_that_include_others() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("requirements")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
        write("requirements/base.txt", "django \\\n  >=5\n--requirement=more.txt\n");
        write("requirements/more.txt", "uvicorn\n-r base.txt\n-c limits.txt\n");
        write("requirements/limits.txt", "gunicorn==1\n");
        write("requirements/production.txt", "-r base.txt\nwaitress\n");
        let dir = Dir::open(temp.path()).unwrap();
        let project = Project::read(&dir).unwrap();
        let needs: Vec<&str> = project.needs.iter().map(String::as_str).collect();
        assert_eq!(needs, ["django", "uvicorn", "waitress"]);
        assert_eq!(project.install, Install::Requirements("requirements/production.txt"));
    }

    #[test]
    fn what_setup_cfg_says_literally() {
        let setup = "[metadata]\nname = acme\nversion = attr: acme.VERSION\ndescription: A web app\n\
            [options]\npython_requires = >=3.11\ninstall_requires =\n    flask\n    # no\n    gunicorn>=21\nzip_safe = no\n\
            [options.entry_points]\nconsole_scripts =\n    acme = acme.main:run\n[tool]\nname = other\n";
        let mut project = Project::default();
        project.add_setup(setup);
        assert_eq!(project.name.as_deref(), Some("acme"));
        assert_eq!(project.version, None);
        assert_eq!(project.description.as_deref(), Some("A web app"));
        assert_eq!(project.requires_python.as_deref(), Some(">=3.11"));
        assert_eq!(project.scripts, [("acme".to_owned(), "acme.main:run".to_owned())]);
        let needs: Vec<&str> = project.needs.iter().map(String::as_str).collect();
        assert_eq!(needs, ["flask", "gunicorn"]);
        assert_eq!(project.install, Install::Project);
    }
}
