//! What a static site tells: where the tool that makes it leaves it, and whether it did.

use serde_json::Value;

use super::look::{Dir, LookError};
use super::npm;
use super::{Runtime, Seen, description, leave_out, package_name, shown, version};

/// Where the tools that make sites leave them.
const PLACES: &[&str] = &[
    "public",
    "dist",
    "_site",
    "site",
    "out",
    "build",
    "book",
    ".output/public",
    ".vitepress/dist",
    "docs/.vitepress/dist",
    ".",
];

/// Programs of npm that make a site from sources. Their own servers are for the development of it.
const TOOLS: &[&str] = &[
    "react-scripts",
    "craco",
    "vue-cli-service",
    "vite",
    "ng",
    "parcel",
    "docusaurus",
    "gatsby",
    "astro",
    "eleventy",
    "hexo",
    "vitepress",
    "vuepress",
    "webpack-dev-server",
];

/// Those of them that leave the site in `public`, where others have what is copied into it.
const INTO_PUBLIC: &[&str] = &["gatsby", "hexo"];

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Static);
    let package = dir.json("package.json")?.unwrap_or_default();
    let build = package["scripts"]["build"].as_str();
    let place = match (place(dir, build), build) {
        (Some(place), _) => place,
        (None, Some(build)) if tool(build).is_some() || has_sources(dir) => return Err(unbuilt(dir, build)),
        (None, _) => {
            let hint = "a site needs an index.html, here or in public/, dist/, _site/, site/, out/ or build/";
            return Err(dir.nothing(Runtime::Static, hint));
        }
    };
    seen.name = package["name"].as_str().and_then(package_name);
    seen.version = package["version"].as_str().and_then(version);
    seen.description = package["description"].as_str().and_then(description);
    if place == "." {
        seen.exclude = vec![leave_out(&own_tools(dir))];
        if let Some(build) = build {
            seen.remark(&format!(
                "the only index.html lies beside package.json, so that directory is the site: where scripts.build (`{build}`) makes one, run `{}` first and init again",
                npm::build(dir)
            ));
        }
    }
    seen.source = place;
    seen.depends = vec!["busybox".to_owned()];
    seen.exec = "/usr/bin/busybox httpd -f -p 127.0.0.1:${PORT} -h {app}".to_owned();
    seen.answers = true;
    Ok(seen)
}

/// The tool of a script that makes a site.
pub(super) fn tool(script: &str) -> Option<&'static str> {
    let words = || script.split(|c: char| c.is_whitespace() || "&|;".contains(c));
    TOOLS.iter().copied().find(|tool| words().any(|word| word == *tool))
}

/// A site that has sources, but that nobody built.
pub(super) fn unbuilt(dir: &Dir, build: &str) -> LookError {
    LookError::Unbuilt {
        path: dir.at("package.json"),
        problem: format!("what is here are the sources that `{build}` makes a site of"),
        hint: format!("run `{}` first, and init again", npm::build(dir)),
    }
}

/// Says of a server's own project that the pages which it may serve are not built.
pub(super) fn say_unbuilt(dir: &Dir, package: &Value, seen: &mut Seen) {
    let build = package["scripts"]["build"].as_str();
    // A configuration may have it anywhere, so that any output counts.
    let is_built = |build: &str| {
        let mut outputs = ["dist", "build", "out"].into_iter();
        place(dir, Some(build)).is_some() || outputs.any(|output| dir.has_dir(output))
    };
    if let Some(build) = build.filter(|build| tool(build).is_some() && !is_built(build)) {
        seen.notes.push(shown(&format!(
            "what `{build}` makes is not there: run `{}` before `relpack build`",
            npm::build(dir)
        )));
    }
}

/// The directory of a finished site.
fn place(dir: &Dir, build: Option<&str>) -> Option<String> {
    let tool = build.and_then(tool);
    let mut places: Vec<String> = PLACES.iter().map(|place| (*place).to_owned()).collect();
    if tool.is_some_and(|tool| !INTO_PUBLIC.contains(&tool)) {
        // The site itself comes before what is copied into it.
        places.retain(|place| place != "public" && place != ".");
        places.push("public".to_owned());
    }
    // Angular has a directory for each application.
    let applications = dir.names("dist").into_iter();
    let below = applications.flat_map(|name| [format!("dist/{name}/browser"), format!("dist/{name}")]);
    let at = places.len() - 1;
    places.splice(at..at, below);
    places.into_iter().find(|place| {
        let index = dir.text(&format!("{place}/index.html"));
        index.is_some_and(|text| !is_source(&text))
    })
}

fn has_sources(dir: &Dir) -> bool {
    let mut places = [".", "public"].into_iter();
    places.any(|place| {
        let index = dir.text(&format!("{place}/index.html"));
        index.is_some_and(|text| is_source(&text))
    })
}

/// A page whose blanks a build fills in, or with code that no browser runs.
fn is_source(page: &str) -> bool {
    [
        "%PUBLIC_URL%",
        "<%=",
        ".ts\"></script>",
        ".tsx\"></script>",
        ".jsx\"></script>",
    ]
    .into_iter()
    .any(|sign| page.contains(sign))
}

/// What lies beside the pages of a site that nothing builds.
fn own_tools(dir: &Dir) -> Vec<&'static str> {
    let page = dir.text("index.html").unwrap_or_default();
    let mut names = vec!["dist/*.deb", "dist/*.tar.*"];
    if !page.contains("node_modules/") {
        names.extend(["node_modules", "package.json", "package-lock.json"]);
    }
    names
}

/// What a project's scripts start in the development of a site.
pub(super) fn is_sites(package: &Value) -> bool {
    let script = |name: &str| package["scripts"][name].as_str();
    match script("start") {
        Some(start) => tool(start).is_some(),
        None => script("build").and_then(tool).is_some() && !package["main"].is_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_the_tool_that_makes_a_site() {
        for (script, expected) in [
            ("vite build", Some("vite")),
            ("tsc -b && vite build", Some("vite")),
            ("vue-tsc;ng build", Some("ng")),
            ("node build.js", None),
            ("vitest run", None),
            ("tailwindcss -o site.css", None),
        ] {
            assert_eq!(tool(script), expected, "{script}");
        }
    }
}
