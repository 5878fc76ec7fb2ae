//! What a Go project tells: `go.mod`, the programs that are built, and else where their code lies.

use super::look::{Dir, LookError};
use super::{Runtime, Seen, exec_word, package_name, shown};

/// Where programs are usually built to.
const BUILD_DIRS: &[&str] = &["build", "bin", "out"];

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Go);
    let named = dir.text("go.mod").as_deref().and_then(module_name);
    seen.name = named.as_deref().and_then(package_name);
    let programs = named.as_deref().map(|module| Code::of(dir, module));
    // A project's tools may lie there too, before it is built itself.
    let is_own = |name: &String| programs.as_ref().is_none_or(|code| code.makes(name));
    let built = BUILD_DIRS.iter().find_map(|place| {
        let mut names = dir.names(place);
        names.retain(|name| dir.is_program(&format!("{place}/{name}")));
        names.iter().any(is_own).then_some((*place, names))
    });
    let (place, names) = match (built, programs) {
        (Some(built), _) => built,
        (None, Some(code)) => {
            seen.notes.push(code.to_build());
            ("build", code.names)
        }
        (None, None) => {
            let hint = "build the program into build/, or start where go.mod lies";
            return Err(dir.nothing(Runtime::Go, hint));
        }
    };
    seen.source = place.to_owned();
    start(&mut seen, &names, named.as_deref());
    super::left_behind(dir, &mut seen);
    Ok(seen)
}

/// The last part of the path on the `module` line that is no version: "example.com/acme/v2" is the second version of acme.
fn module_name(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| {
        let said = line.split("//").next()?;
        let mut words = said.split_whitespace();
        words.next().filter(|word| *word == "module")?;
        words.next()
    })?;
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    let mut parts = path.trim_matches(['"', '`']).rsplit('/');
    parts
        .find(|part| !part.is_empty() && *part != "(" && !is_version(part))
        .map(str::to_owned)
}

/// Starts the program named like the module, else one whose name begins so, else the first; says what else there is.
fn start(seen: &mut Seen, names: &[String], module: Option<&str>) {
    let like = |same: fn(&str, &str) -> bool| {
        names
            .iter()
            .find(|name| module.is_some_and(|module| same(name, module)))
    };
    let chosen = like(|name, module| name == module).or_else(|| like(|name, module| name.starts_with(module)));
    let Some(chosen) = chosen.or(names.first()) else {
        return;
    };
    seen.exec = exec_word(chosen);
    let others: Vec<&str> = names
        .iter()
        .filter(|name| *name != chosen)
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        let (place, others) = (&seen.source, others.join(", "));
        let said = format!("{place}/ is for other programs too ({others}): guessed that the service is {chosen}");
        seen.remark(&said);
    }
}

/// The programs that `go build` makes of a module.
struct Code {
    names: Vec<String>,
    /// What they are built into: a file, or for several of them a directory.
    into: String,
    packages: String,
    /// No program was found in the module's usual places, so that its name is a guess.
    unknown: bool,
}

impl Code {
    fn of(dir: &Dir, module: &str) -> Self {
        let own = [".", "cmd"].into_iter().find(|place| is_program(dir, place));
        let mut below = dir.names("cmd");
        below.retain(|name| is_program(dir, &format!("cmd/{name}")));
        let unknown = own.is_none() && below.is_empty();
        let (names, into, packages) = match (own, below.as_slice()) {
            (Some("cmd"), _) => (vec![module.to_owned()], module.to_owned(), "./cmd".to_owned()),
            (Some(_), _) | (None, []) => (vec![module.to_owned()], module.to_owned(), ".".to_owned()),
            (None, [name]) => (below.clone(), name.clone(), format!("./cmd/{name}")),
            // Ended with a slash, it is a directory for all of them.
            (None, names) => {
                let packages: Vec<String> = names.iter().map(|name| format!("./cmd/{name}")).collect();
                (below.clone(), String::new(), packages.join(" "))
            }
        };
        Self {
            names,
            into,
            packages,
            unknown,
        }
    }

    /// Whether a program that is there may be one of them.
    fn makes(&self, name: &str) -> bool {
        self.unknown || self.names.iter().any(|own| name.starts_with(own.as_str()))
    }

    /// How they are built.
    fn to_build(&self) -> String {
        let there: Vec<String> = self.names.iter().map(|name| format!("build/{}", shown(name))).collect();
        let are = if there.len() == 1 { "is" } else { "are" };
        format!(
            "{} {are} not there yet: run `go build -o build/{} {}` before `relpack build`",
            there.join(" and "),
            shown(&self.into),
            shown(&self.packages)
        )
    }
}

/// Whether a directory's files are a program. A package's own tools say that no build takes them.
fn is_program(dir: &Dir, place: &str) -> bool {
    let names = dir.names(place).into_iter();
    names
        .filter(|name| name.ends_with(".go") && !name.ends_with("_test.go"))
        .filter_map(|name| dir.text(&format!("{place}/{name}")))
        .any(|text| {
            let mut lines = text.lines().map(str::trim);
            let is_main = |line: &str| {
                line.split("//")
                    .next()
                    .is_some_and(|code| code.trim() == "package main")
            };
            !text.contains("//go:build ignore") && lines.any(is_main)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_is_called() {
        for (text, name) in [
            ("module github.com/acme/web // Deprecated: use y", "web"),
            ("// Deprecated: use module y\nmodule \"github.com/acme/web\"\n", "web"),
            ("module `acme.io`", "acme.io"),
            ("\tmodule\texample.com/acme/v2\r\n", "acme"),
            ("module web", "web"),
        ] {
            assert_eq!(module_name(text).as_deref(), Some(name), "{text}");
        }
        for text in ["", "modules x", "module", "go 1.22\n", "module ("] {
            assert_eq!(module_name(text), None, "{text}");
        }
    }

    #[test]
    fn which_program_is_the_service() {
        for (names, module, exec) in [
            (&["migrate", "web"][..], "web", "web"),
            (&["migrate", "webd"], "web", "webd"),
            (&["migrate", "server"], "web", "migrate"),
        ] {
            let mut seen = Seen::new(Runtime::Go);
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            start(&mut seen, &names, Some(module));
            assert_eq!(seen.exec, exec);
            let other = names.iter().find(|name| *name != exec).unwrap();
            assert!(seen.remarks[0].contains(other.as_str()));
        }
    }
}
