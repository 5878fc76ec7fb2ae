//! What a Java project tells, and a static site: above all, where the build leaves what is delivered.

use super::look::{Dir, LookError};
use super::{Runtime, Seen, description, exec_word, leave_out, package_name, version};

pub(super) fn java(dir: &Dir) -> Result<Seen, &'static str> {
    let mut seen = Seen::new(Runtime::Java);
    let pom = dir.text("pom.xml").unwrap_or_default();
    seen.name = element(&pom, "artifactId").and_then(|name| package_name(&name));
    seen.version = element(&pom, "version").and_then(|text| version(&text));
    seen.description = element(&pom, "description").and_then(|text| description(&text));
    seen.depends = vec!["default-jre-headless".to_owned()];
    let runs = |name: &str| {
        let others = ["-sources.jar", "-javadoc.jar", "-plain.jar", "-tests.jar"];
        name.ends_with(".jar") && !name.starts_with("original-") && !others.iter().any(|end| name.ends_with(end))
    };
    let places = ["target", "build/libs", "build", "."];
    let found = places
        .into_iter()
        .find_map(|place| Some((place, dir.names(place).into_iter().find(|name| runs(name))?)));
    let Some((place, jar)) = found else {
        return Err("build the .jar first (`mvn package`, `gradle build`): its name goes into the configuration");
    };
    seen.source = place.to_owned();
    seen.exec = format!("/usr/bin/java -jar {}", exec_word(&jar));
    let beside: Vec<String> = dir
        .names(place)
        .into_iter()
        .filter(|name| *name != jar && *name != "lib")
        .collect();
    seen.exclude = match place {
        "." => vec![leave_out(&["dist", "src", "pom.xml", "*.gradle", "*.gradle.kts"])],
        // The names of a build directory differ from tool to tool.
        _ if !beside.is_empty() => vec![format!(
            "{{{}}}",
            "classes,test-classes,generated-sources,generated-test-sources,maven-archiver,maven-status,surefire-reports,*.original,original-*.jar,*-plain.jar,*-sources.jar,*-javadoc.jar"
        )],
        _ => Vec::new(),
    };
    Ok(seen)
}

/// The text of the project's own element; `<parent>` and `<dependencies>` have elements of the same names.
fn element(pom: &str, name: &str) -> Option<String> {
    let mut own = pom.to_owned();
    for other in ["parent", "dependencies", "build", "profiles", "dependencyManagement"] {
        let (open, close) = (format!("<{other}>"), format!("</{other}>"));
        while let Some(start) = own.find(&open) {
            let end = own[start..]
                .find(&close)
                .map_or(own.len(), |at| start + at + close.len());
            own.replace_range(start..end, "");
        }
    }
    let (_, after) = own.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}

/// Where the tools that make sites leave them.
const SITES: &[&str] = &["public", "dist", "_site", "site", "out", "build", "."];

pub(super) fn site(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Static);
    let place = SITES.iter().find(|place| dir.has_file(&format!("{place}/index.html")));
    let place = place.ok_or_else(|| {
        let hint = "a site needs an index.html, here or in public/, dist/, _site/, out/ or build/";
        dir.nothing(Runtime::Static, hint)
    })?;
    let package = dir.json("package.json")?.unwrap_or_default();
    seen.name = package["name"].as_str().and_then(package_name);
    seen.version = package["version"].as_str().and_then(version);
    seen.description = package["description"].as_str().and_then(description);
    seen.source = (*place).to_owned();
    seen.exclude = match *place {
        "." => vec![leave_out(&["dist"])],
        _ => Vec::new(),
    };
    seen.depends = vec!["busybox".to_owned()];
    seen.exec = "/usr/bin/busybox httpd -f -p 127.0.0.1:${PORT} -h {app}".to_owned();
    seen.answers = true;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projects_own_elements() {
        let pom = "<project><parent><artifactId>p</artifactId><version>9</version></parent>\
            <dependencies><dependency><artifactId>d</artifactId></dependency></dependencies>\
            <artifactId> web </artifactId><version>1.2</version></project>";
        assert_eq!(element(pom, "artifactId").as_deref(), Some("web"));
        assert_eq!(element(pom, "version").as_deref(), Some("1.2"));
        assert_eq!(element(pom, "description"), None);
        assert_eq!(element("<version>", "version"), None);
    }
}
