//! `python-editable-install`: a Python environment that imports a package from where it was built, and no host has that place.

use crate::model::{AbsPath, TreePath};
use crate::systemd::{Entry, Origin, Unit, UnitError, exec};
use crate::tree::{FileNode, Tree};

use super::{Input, assignments};

/// Such a file is a few lines long.
const SIZE_MAX: u64 = 1024 * 1024;

/// An environment, and the first path that it imports from.
struct Editable {
    /// What holds its `lib/python3.…/site-packages`; empty for the release itself.
    environment: String,
    /// The file that says so.
    by: TreePath,
    path: String,
    /// How many more paths there are.
    others: usize,
}

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let Some(tree) = input.tree else { return Vec::new() };
    let prefix = &input.config.release.prefix;
    let found = environments(tree, prefix).into_iter().filter_map(|editable| {
        let (unit, index, entry) = user(&editable, input)?;
        let others = match editable.others {
            0 => String::new(),
            others => format!(" (and from {others} more)"),
        };
        let error = UnitError::of(
            &Origin::Unit(unit.name.clone()),
            format!(
                "{} lets Python import from {}{others}, which is not in the release",
                editable.by,
                editable.path.escape_debug()
            ),
            "install the package itself into the environment: `pip install .` without -e, or `uv sync --no-editable`",
        );
        Some(error.at_entry("Service", entry, index))
    });
    found.collect()
}

/// The command that uses the environment: one that names it, else the first of a service, which may lead to it.
fn user<'a>(editable: &Editable, input: &Input<'a>) -> Option<(&'a Unit, usize, &'a Entry)> {
    const COMMANDS: &[&str] = &["ExecStart", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop"];
    let all = || {
        let units = input.units();
        units.flat_map(|unit| {
            assignments(&unit.file, "Service", COMMANDS).map(move |(index, entry)| (unit, index, entry))
        })
    };
    let prefix = &input.config.release.prefix;
    let names = |entry: &Entry| {
        let words = entry.value.split([' ', '\t', '"', '\'']);
        let mut words = words.map(|word| word.trim_start_matches(['@', '-', ':', '+', '!', '|']));
        words.any(|word| {
            let below = exec::in_release(word, prefix).unwrap_or(word);
            below
                .strip_prefix(&editable.environment)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let written = |entry: &Entry| !entry.value.is_empty();
    all()
        .find(|(_, _, entry)| names(entry))
        .or_else(|| all().find(|(_, _, entry)| written(entry)))
}

/// Each environment of the release once.
fn environments(tree: &Tree, prefix: &AbsPath) -> Vec<Editable> {
    let mut found: Vec<Editable> = Vec::new();
    for (by, file) in tree.files() {
        let Some((environment, name)) = in_site_packages(by) else {
            continue;
        };
        let mut paths = built_at(by, name, file, prefix).into_iter();
        let Some(path) = paths.next() else { continue };
        let others = paths.count();
        match found.iter_mut().find(|known| known.environment == environment) {
            Some(known) => known.others += 1 + others,
            None => found.push(Editable {
                environment: environment.to_owned(),
                by: by.clone(),
                path,
                others,
            }),
        }
    }
    found
}

/// The environment and the file's name, of a file right in `lib/python3.…/site-packages`.
fn in_site_packages(path: &TreePath) -> Option<(&str, &str)> {
    let (dir, name) = path.as_str().rsplit_once('/')?;
    let python = dir.strip_suffix("/site-packages")?;
    let (lib, version) = python.rsplit_once('/').unwrap_or(("", python));
    let environment = match lib {
        "lib" | "lib64" => "",
        _ => lib.strip_suffix("/lib").or_else(|| lib.strip_suffix("/lib64"))?,
    };
    version.starts_with("python").then_some((environment, name))
}

/// The paths in such a file that are neither the system's nor the release's, nor below `shared/`.
fn built_at(path: &TreePath, name: &str, file: &FileNode, prefix: &AbsPath) -> Vec<String> {
    let read: fn(&str) -> Vec<String> = if name.ends_with(".pth") {
        added
    } else if name.starts_with("__editable__") && name.ends_with("_finder.py") {
        mapped
    } else {
        return Vec::new();
    };
    if file.size > SIZE_MAX {
        return Vec::new();
    }
    // What can't be read is told by the build.
    let bytes = file.head(path, SIZE_MAX).unwrap_or_default();
    let mut paths = read(&String::from_utf8_lossy(&bytes));
    let shared = format!("{prefix}/shared/");
    paths.retain(|path| {
        let path = format!("{path}/");
        let of_host = path.starts_with("/usr/") || path.starts_with(&shared);
        !of_host && exec::in_release(&path, prefix).is_none()
    });
    paths
}

/// The absolute paths that a `.pth` file adds (Python's `site`): a line that begins with `import` is executed, and a relative path
/// moves with the release.
fn added(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| line.starts_with('/')).map(str::to_owned).collect()
}

/// The paths in the tables that setuptools writes: `MAPPING: dict[str, str] = {'acme': '/home/me/acme/src/acme'}`.
fn mapped(text: &str) -> Vec<String> {
    let tables = text
        .lines()
        .filter(|line| line.starts_with("MAPPING") || line.starts_with("NAMESPACES"));
    let mut found = Vec::new();
    for line in tables {
        let quoted = line.split(['\'', '"']).skip(1).step_by(2);
        found.extend(quoted.filter(|text| text.starts_with('/')).map(str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<(String, String, usize)> {
        let mut tree = Tree::new();
        tree.insert_bytes(name.parse().unwrap(), false, text.as_bytes().to_vec())
            .unwrap();
        environments(&tree, &"/opt/acme".parse().unwrap())
            .into_iter()
            .map(|editable| (editable.environment, editable.path, editable.others))
            .collect()
    }

    #[test]
    fn paths_of_the_machine_that_built_it() {
        let expected = |environment: &str, path: &str, others| vec![(environment.to_owned(), path.to_owned(), others)];
        let pth = ".venv/lib/python3.11/site-packages/_acme.pth";
        assert_eq!(
            found(pth, "/home/ci/acme/src"),
            expected(".venv", "/home/ci/acme/src", 0)
        );
        assert_eq!(
            found(pth, "# x\nimport os; x = '/x'\n../../..\n/srv/a \r\n\n/srv/b\n"),
            expected(".venv", "/srv/a", 1)
        );
        assert_eq!(
            found("lib/python3.13/site-packages/x.pth", "/opt/acme/src\n"),
            expected("", "/opt/acme/src", 0)
        );
        assert_eq!(
            found(
                "a/venv/lib64/python3.12/site-packages/__editable___acme_1_0_finder.py",
                "import sys\nMAPPING: dict[str, str] = {'acme': '/home/ci/acme/src/acme', \"b\": \"/home/ci/b\"}\nNAMESPACES: dict[str, list[str]] = {}\nPATH = '/home/x'\n"
            ),
            expected("a/venv", "/home/ci/acme/src/acme", 1)
        );
    }

    #[test]
    fn what_moves_with_the_release_or_is_the_systems() {
        for (name, text) in [
            (
                "v/lib/python3.11/site-packages/a.pth",
                "/usr/lib/python3/dist-packages\n/opt/acme/app/src\n/opt/acme/current\n",
            ),
            ("v/lib/python3.11/site-packages/_virtualenv.pth", "import _virtualenv"),
            ("v/lib/python3.11/site-packages/acme/a.pth", "/home/ci/acme\n"),
            ("v/lib/python3.11/site-packages/a.txt", "/home/ci/acme\n"),
            ("v/site-packages/a.pth", "/home/ci/acme\n"),
            (
                "v/lib/python3.11/site-packages/__editable___a_finder.py",
                "MAPPING = {}\nX = {'a': '/home/ci'}\n",
            ),
        ] {
            assert!(found(name, text).is_empty(), "{name}: {text}");
        }
        let long = format!("/home/ci/acme\n{}", "#\n".repeat(600_000));
        assert!(found("v/lib/python3.11/site-packages/a.pth", &long).is_empty());
    }
}
