//! What a Node.js project tells: `package.json`.

use super::look::{Dir, LookError};
use super::start::{self, Start};
use super::{Runtime, Seen, description, exec_word, least, leave_out, package_name, shown, version};

/// Where programs usually begin.
const COMMON: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "src/index.js",
    "dist/index.js",
    "dist/main.js",
];

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Node);
    let package = dir.json("package.json")?.unwrap_or_default();
    let text = |key: &str| package[key].as_str();
    seen.name = text("name").and_then(package_name);
    seen.version = text("version").and_then(version);
    seen.description = text("description").and_then(description);
    seen.depends = vec![match package["engines"]["node"].as_str().and_then(least) {
        Some(least) => format!("nodejs (>= {least})"),
        None => "nodejs".to_owned(),
    }];
    let said = package["scripts"]["start"].as_str();
    let main = text("main").map(|main| main.trim_start_matches("./"));
    let start = said.map(|said| {
        let start = start::understand(dir, main, said).and_then(with_port);
        start.map_err(|problem| shown(&format!("scripts.start was not understood: `{said}`: {problem}")))
    });
    let script = match start {
        Some(Ok((start, port))) => {
            seen.exec = start.exec;
            seen.port = port;
            seen.environment = start.environment;
            start.script
        }
        other => {
            let problem = other.and_then(Result::err);
            let common = COMMON.iter().copied();
            let entry = main
                .filter(|main| dir.has_file(main))
                .or_else(|| common.into_iter().find(|name| dir.has_file(name)))
                .ok_or_else(|| nothing_to_start(dir, problem.as_deref(), main))?;
            seen.exec = format!("/usr/bin/node {}", exec_word(entry));
            seen.guessed = problem.map(|problem| shown(&format!("{problem}; guessed `{}`", seen.exec)));
            seen.notes.extend(seen.guessed.clone());
            entry.to_owned()
        }
    };
    seen.port = seen.port.or_else(|| dir.text(&script).as_deref().and_then(port));
    // Bundlers build to where `relpack build` leaves its packages, maybe only later: what else is there belongs to the release.
    seen.exclude = vec![leave_out(&["dist/*.deb", "node_modules/.cache", ".npmrc"])];
    let needs_modules = package["dependencies"].as_object().is_some_and(|list| !list.is_empty());
    if needs_modules && !dir.has_dir("node_modules") {
        seen.notes
            .push("node_modules is not there yet: run `npm ci --omit=dev` before `relpack build`".to_owned());
    }
    Ok(seen)
}

fn nothing_to_start(dir: &Dir, problem: Option<&str>, main: Option<&str>) -> LookError {
    if !dir.has_file("package.json") {
        return dir.nothing(
            Runtime::Node,
            "write a package.json with scripts.start, or start where server.js, index.js or app.js lies",
        );
    }
    let start = "\"scripts\": {\"start\": \"node FILE\"}";
    let (problem, hint) = match (problem, main) {
        (Some(problem), _) => (
            problem.to_owned(),
            format!("run `npm ci --omit=dev` or the build first if that brings it, or write {start}"),
        ),
        (None, Some(main)) => (
            format!("there is no scripts.start, and main names {main:?}, which is not there"),
            format!("build it first, or write {start}"),
        ),
        (None, None) => (
            "it has neither scripts.start nor main, and there is no server.js, index.js or app.js".to_owned(),
            format!("write {start}, or say another --runtime"),
        ),
    };
    dir.silent("package.json", problem, hint)
}

/// The port that the command sets goes where the configuration has it.
fn with_port(mut start: Start) -> Result<(Start, Option<u16>), String> {
    let set = start.environment.iter().position(|(name, _)| name.as_str() == "PORT");
    let port = set.map(|at| start.environment.remove(at).1);
    let port = port.map(|value| match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("PORT={value} is no port")),
    });
    Ok((start, port.transpose()?))
}

/// `process.env.PORT || 3000` and its like.
pub(super) fn port(text: &str) -> Option<u16> {
    text.match_indices("PORT").find_map(|(at, word)| {
        let after: String = text[at + word.len()..].chars().take(12).collect();
        let rest = after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '\n');
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        number.parse().ok().filter(|port| *port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_written_beside_the_variable() {
        assert_eq!(port("listen(process.env.PORT || 8123)"), Some(8123));
        assert_eq!(port("PORT ?? '4000'"), Some(4000));
        assert_eq!(port("os.environ.get(\"PORT\", 5000)"), Some(5000));
        assert_eq!(port("PORT\n12345"), None);
        assert_eq!(port("listen(3000)"), None);
    }
}
