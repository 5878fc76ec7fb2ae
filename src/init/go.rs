//! What a Go project tells: `go.mod`, the programs that are built, and else where their code lies.

use super::look::Dir;
use super::{Runtime, Seen, exec_word, package_name, shown};

/// Where programs are usually built to.
const BUILD_DIRS: &[&str] = &["build", "bin", "out"];

pub(super) fn look(dir: &Dir) -> Result<Seen, &'static str> {
    let mut seen = Seen::new(Runtime::Go);
    let named = dir.text("go.mod").as_deref().and_then(module_name);
    seen.name = named.as_deref().and_then(package_name);
    let built = BUILD_DIRS.iter().find_map(|place| {
        let mut names = dir.names(place);
        names.retain(|name| dir.is_program(&format!("{place}/{name}")));
        (!names.is_empty()).then_some((*place, names))
    });
    let (place, names) = match (built, &named) {
        (Some(built), _) => built,
        (None, Some(name)) => ("build", to_build(dir, name, &mut seen)),
        (None, None) => return Err("build the program into build/, or start where go.mod lies"),
    };
    seen.source = place.to_owned();
    start(&mut seen, &names, named.as_deref());
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

/// The programs that `go build` would make, where none is built yet; says how.
fn to_build(dir: &Dir, module: &str, seen: &mut Seen) -> Vec<String> {
    let own = [".", "cmd"].into_iter().find(|place| is_program(dir, place));
    let mut below = dir.names("cmd");
    below.retain(|name| is_program(dir, &format!("cmd/{name}")));
    let (names, into, code) = match (own, below.as_slice()) {
        (Some("cmd"), _) => (vec![module.to_owned()], module, "./cmd".to_owned()),
        (Some(_), _) | (None, []) => (vec![module.to_owned()], module, ".".to_owned()),
        (None, [name]) => (below.clone(), name.as_str(), format!("./cmd/{name}")),
        // Ended with a slash, it is a directory for all of them.
        (None, names) => {
            let code: Vec<String> = names.iter().map(|name| format!("./cmd/{name}")).collect();
            (below.clone(), "", code.join(" "))
        }
    };
    let there: Vec<String> = names.iter().map(|name| format!("build/{}", shown(name))).collect();
    let are = if there.len() == 1 { "is" } else { "are" };
    seen.notes.push(format!(
        "{} {are} not there yet: run `go build -o build/{} {}` before `relpack build`",
        there.join(" and "),
        shown(into),
        shown(&code)
    ));
    names
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
