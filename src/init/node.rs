//! What a Node.js project tells: `package.json`.

use serde_json::Value;

use super::look::{Dir, LookError};
use super::npm;
use super::site;
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
    let built = BUILT.iter().find(|built| dir.has_file(built.file));
    if built.is_none() && site::is_sites(&package) {
        let build = package["scripts"]["build"].as_str().unwrap_or("npm run build");
        return Err(site::unbuilt(dir, build));
    }
    let main = text("main")
        .map(|main| main.trim_start_matches("./"))
        .filter(|main| !main.starts_with('/') && !start::leaves(main));
    let script = match understood(dir, &package, main) {
        Some(Ok((start, port))) => {
            seen.exec = start.exec;
            seen.port = port;
            seen.environment = start.environment;
            for left_out in start.env_files {
                seen.remark(&format!(
                    "`{left_out}` of scripts.start is left out: what it sets belongs into the host's shared/env, which services get"
                ));
            }
            start.script
        }
        other => {
            let problem = other.and_then(Result::err);
            let common = COMMON.iter().copied();
            match built {
                Some(built) => {
                    seen.source = built.source.to_owned();
                    seen.exec = format!("/usr/bin/node {}", built.entry);
                    built.file.to_owned()
                }
                None => {
                    let entry = main
                        .filter(|main| dir.has_file(main))
                        .or_else(|| common.into_iter().find(|name| dir.has_file(name)))
                        .ok_or_else(|| nothing_to_start(dir, &package, problem.as_deref()))?;
                    seen.exec = format!("/usr/bin/node {}", exec_word(entry));
                    if let Some(problem) = problem {
                        seen.remark(&format!("{problem}; guessed `{}`", seen.exec));
                    }
                    entry.to_owned()
                }
            }
        }
    };
    seen.port = seen.port.or_else(|| dir.text(&script).as_deref().and_then(port));
    if built.is_none() {
        site::say_unbuilt(dir, &package, &mut seen);
    }
    next(dir, &mut seen);
    if seen.source == "." {
        // Bundlers build to where `relpack build` leaves its packages, maybe only later: what else is there belongs to the release.
        seen.exclude = vec![leave_out(&[
            "dist/*.deb",
            "dist/*.tar.*",
            "node_modules/.cache",
            ".next/cache",
            ".npmrc",
        ])];
        modules(dir, &package, &mut seen);
    }
    Ok(seen)
}

/// The start script, or that for production, in the form that the first of them has which systemd can run; else why not.
fn understood(dir: &Dir, package: &Value, main: Option<&str>) -> Option<Result<(Start, Option<u16>), String>> {
    let mut problem = None;
    for name in ["start", "start:prod", "start:production", "production"] {
        let Some(said) = package["scripts"][name].as_str() else {
            continue;
        };
        match start::understand(dir, main, said).and_then(with_port) {
            Ok(start) => return Some(Ok(start)),
            Err(why) => {
                let why = shown(&format!("scripts.{name} was not understood: `{said}`: {why}"));
                // What is for production tells more of what is missing.
                problem = Some(why);
            }
        }
    }
    problem.map(Err)
}

/// What frameworks build that have no start script.
struct Built {
    file: &'static str,
    source: &'static str,
    entry: &'static str,
}

const BUILT: &[Built] = &[
    // Nuxt brings its modules along.
    Built {
        file: ".output/server/index.mjs",
        source: ".output",
        entry: "server/index.mjs",
    },
    // SvelteKit with its adapter for Node.js.
    Built {
        file: "build/handler.js",
        source: ".",
        entry: "build",
    },
    // Astro with its adapter for Node.js.
    Built {
        file: "dist/server/entry.mjs",
        source: ".",
        entry: "dist/server/entry.mjs",
    },
];

/// Next.js is started as `next start`, or by the server of its standalone output, which brings its modules along.
fn next(dir: &Dir, seen: &mut Seen) {
    const STANDALONE: &str = ".next/standalone";
    let standalone = format!("/usr/bin/node {STANDALONE}/server.js");
    let by_next = seen.exec.starts_with("node_modules/.bin/next ");
    if !by_next && !seen.exec.starts_with(&standalone) {
        return;
    }
    let Some(below) = standalone_place(dir, STANDALONE) else {
        let configs = ["next.config.js", "next.config.mjs", "next.config.ts"];
        let mut configs = configs.iter().filter_map(|name| dir.text(name));
        let build = npm::build(dir);
        if configs.any(|text| text.contains("standalone")) {
            seen.notes.push(format!(
                ".next/standalone is not built yet, which next.config tells of: run `{build}` first, and init again"
            ));
        } else if !dir.has_file(".next/BUILD_ID") {
            seen.notes
                .push(format!(".next is not built yet: run `{build}` before `relpack build`"));
        }
        return;
    };
    let mut words = seen
        .exec
        .split_whitespace()
        .skip_while(|word| !matches!(*word, "-p" | "--port"));
    seen.port = words.nth(1).and_then(|port| port.parse().ok()).or(seen.port);
    seen.source = STANDALONE.to_owned();
    seen.exec = format!("/usr/bin/node {}", exec_word(&format!("{below}server.js")));
    let place = format!("{STANDALONE}/{below}");
    if dir.names(&place).iter().any(|name| name.starts_with(".env")) {
        seen.exclude = vec!["**/{.env,.env.*}".to_owned()];
    }
    for (from, to) in [(".next/static", ".next/"), ("public", "")] {
        if dir.has_dir(from) && !dir.has_dir(&format!("{place}{from}")) {
            seen.notes.push(shown(&format!(
                "{STANDALONE} lacks {from}, which Next.js leaves to be copied: `cp -r {from} {place}{to}` before `relpack build`"
            )));
        }
    }
}

/// Where the standalone server lies below its directory: at the top, or as deep as the project below the lock file that Next.js found.
fn standalone_place(dir: &Dir, standalone: &str) -> Option<String> {
    let here = dir.way_here();
    let places = (0..=here.len()).map(|up| {
        let names = here[here.len() - up..].iter();
        names.map(|name| format!("{name}/")).collect::<String>()
    });
    places
        .into_iter()
        .find(|place| dir.has_file(&format!("{standalone}/{place}server.js")))
}

/// What is missing in node_modules, or too much.
fn modules(dir: &Dir, package: &Value, seen: &mut Seen) {
    let lists = |name: &str| package[name].as_object().is_some_and(|list| !list.is_empty());
    if !dir.has_dir("node_modules") {
        if lists("dependencies") {
            let install = npm::of(dir).install_production;
            seen.notes.push(format!(
                "node_modules is not there yet: run `{install}` before `relpack build`"
            ));
        }
        return;
    }
    let mut needless = package["devDependencies"]
        .as_object()
        .into_iter()
        .flat_map(|list| list.keys());
    if let Some(name) = needless.find(|name| dir.has_dir(&format!("node_modules/{name}"))) {
        seen.notes.push(shown(&format!(
            "node_modules has what only development needs ({name}): run `{}` before `relpack build`",
            npm::of(dir).prune
        )));
    }
}

fn nothing_to_start(dir: &Dir, package: &Value, problem: Option<&str>) -> LookError {
    let main = package["main"].as_str();
    let builds = package["scripts"]["build"].is_string();
    if !dir.has_file("package.json") {
        return dir.nothing(
            Runtime::Node,
            "write a package.json with scripts.start, or start where server.js, index.js or app.js lies",
        );
    }
    let start = "\"scripts\": {\"start\": \"node FILE\"}";
    let (problem, hint) = match (problem, main) {
        (Some(problem), _) if builds => (
            problem.to_owned(),
            format!("run `{}` first if that brings it, or write {start}", npm::build(dir)),
        ),
        (Some(problem), _) => (
            problem.to_owned(),
            format!(
                "run `{}` first if that brings it, or write {start}",
                npm::of(dir).install_production
            ),
        ),
        (None, Some(main)) if builds => (
            format!("there is no scripts.start, and main names {main:?}, which is not there"),
            format!("run `{}` first, or write {start}", npm::build(dir)),
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
