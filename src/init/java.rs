//! What a Java project tells: `pom.xml` or Gradle's files, and which of the built `.jar`s is the program.

use super::jar::{self, Jar};
use super::look::{Dir, LookError};
use super::{Runtime, Seen, description, exec_word, leave_out, package_name, version};

/// What the project says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Project {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    /// What its `.jar` is called, without that ending.
    built: Option<String>,
    /// Its directories with a project of their own.
    modules: Vec<String>,
}

/// Where Maven, Gradle and others leave what they build.
const PLACES: &[&str] = &["target", "build/libs", "build", "."];

/// Where Quarkus leaves a program with its libraries; the `.jar` above it has neither.
const QUARKUS: &[&str] = &["target/quarkus-app", "build/quarkus-app"];
const QUARKUS_JAR: &str = "quarkus-run.jar";

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Java);
    let project = match dir.read("pom.xml")? {
        Some(pom) => maven(dir, &pom)?,
        None => gradle(dir),
    };
    seen.name = project.name.as_deref().and_then(package_name);
    seen.version = project.version.as_deref().and_then(version);
    seen.description = project.description.as_deref().and_then(description);
    seen.depends = vec!["default-jre-headless".to_owned()];
    if let Some(place) = QUARKUS
        .iter()
        .find(|place| dir.has_file(&format!("{place}/{QUARKUS_JAR}")))
    {
        seen.source = (*place).to_owned();
        seen.exec = format!("/usr/bin/java -jar {QUARKUS_JAR}");
        return Ok(seen);
    }
    let found = PLACES.iter().find_map(|place| Some((*place, jars(dir, place)?)));
    let Some((place, jars)) = found else {
        return Err(not_built(dir, &project));
    };
    let jar = choose(&mut seen, place, &jars, project.built.as_deref());
    seen.source = place.to_owned();
    seen.exec = format!("/usr/bin/java -jar {}", exec_word(jar));
    seen.exclude = match place {
        "." => vec![leave_out(&["dist", "src", "pom.xml", "*.gradle", "*.gradle.kts"])],
        _ => beside(dir, place),
    };
    Ok(seen)
}

/// The programs of a directory: the best first, with whether each can be started. Without one there is nothing.
fn jars(dir: &Dir, place: &str) -> Option<Vec<(String, Jar)>> {
    let others = ["-sources.jar", "-javadoc.jar", "-plain.jar", "-tests.jar"];
    let mut names = dir.names(place);
    names.retain(|name| {
        name.ends_with(".jar") && !name.starts_with("original-") && !others.iter().any(|end| name.ends_with(end))
    });
    let jars: Vec<(String, Jar)> = names
        .into_iter()
        .map(|name| {
            let jar = jar::look(&dir.at(&format!("{place}/{name}")));
            (name, jar)
        })
        .collect();
    (!jars.is_empty()).then_some(jars)
}

/// What can be started and is called as the project says, else what can be started; a guess is said.
fn choose<'a>(seen: &mut Seen, place: &str, jars: &'a [(String, Jar)], built: Option<&str>) -> &'a str {
    let stem = |name: &str| name.strip_suffix(".jar").unwrap_or_default().to_owned();
    // Uber jars have an ending of their own: "web-1.2-runner.jar", "web-1.2-all.jar".
    let is_named = |name: &str| {
        built.is_some_and(|built| {
            let stem = stem(name);
            stem.strip_prefix(built)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    let exactly = |name: &str| built.is_some_and(|built| stem(name) == built);
    let rank = |(name, jar): &(String, Jar)| {
        let starts = match jar {
            Jar::Starts => 0,
            Jar::Unreadable => 1,
            Jar::Library => 2,
        };
        (starts, !exactly(name), !is_named(name))
    };
    let mut sorted: Vec<&(String, Jar)> = jars.iter().collect();
    sorted.sort_by_key(|jar| rank(jar));
    let (chosen, is) = sorted[0];
    let others: Vec<&str> = sorted[1..]
        .iter()
        .filter(|(_, other)| other == is)
        .map(|(name, _)| name.as_str())
        .collect();
    if *is == Jar::Library {
        seen.remark(&format!(
            "{place}/{chosen} has no Main-Class, so `java -jar` can't start it: let the build make a .jar that can be started, or write `-cp \"*\" com.example.Main`"
        ));
    }
    // The other one may be that with all its libraries.
    let as_good = *is == Jar::Starts && others.iter().any(|other| is_named(other));
    if !others.is_empty() && (!is_named(chosen) || as_good) {
        seen.remark(&format!(
            "guessed that the program is {place}/{chosen}: there is {} too",
            others.join(" and ")
        ));
    }
    chosen
}

/// What a build leaves beside the program. One pattern, but none that would match nothing.
fn beside(dir: &Dir, place: &str) -> Vec<String> {
    const TREES: &[&str] = &[
        "classes",
        "test-classes",
        "generated-sources",
        "generated-test-sources",
        "maven-archiver",
        "maven-status",
        "surefire-reports",
    ];
    const FILES: &[&str] = &[
        "*.original",
        "original-*.jar",
        "*-plain.jar",
        "*-sources.jar",
        "*-javadoc.jar",
    ];
    let fits = |name: &str| {
        let ends = [".original", "-plain.jar", "-sources.jar", "-javadoc.jar"];
        let original = name.starts_with("original-") && name.ends_with(".jar");
        TREES.contains(&name) || original || ends.iter().any(|end| name.ends_with(end))
    };
    match dir.names(place).iter().any(|name| fits(name)) {
        true => vec![format!("{{{}}}", [TREES, FILES].concat().join(","))],
        false => Vec::new(),
    }
}

fn not_built(dir: &Dir, project: &Project) -> LookError {
    let built = project.modules.iter().find(|module| {
        let mut places = PLACES.iter();
        places.any(|place| jars(dir, &format!("{module}/{place}")).is_some())
    });
    if let Some(module) = built {
        let problem = "it only holds modules together";
        return dir.silent(
            "pom.xml",
            problem,
            format!("start in the program's module, maybe {module}"),
        );
    }
    dir.nothing(
        Runtime::Java,
        "build the .jar first (`mvn package`, `gradle build`): its name goes into the configuration",
    )
}

/// What `pom.xml` says, as Maven takes it: what it doesn't say of its version comes from its parent.
fn maven(dir: &Dir, pom: &str) -> Result<Project, LookError> {
    let document = roxmltree::Document::parse(pom).map_err(|error| {
        let place = error.pos();
        dir.syntax("pom.xml", place.row as usize, place.col as usize, &error.to_string())
    })?;
    let root = document.root_element();
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        let text = below(node, name)?.text().map(str::trim)?.to_owned();
        resolved(root, &text)
    };
    let name = child(root, "artifactId");
    let version = child(root, "version").or_else(|| child(below(root, "parent")?, "version"));
    let named = name.as_ref().zip(version.as_ref());
    let built = below(root, "build").and_then(|build| child(build, "finalName"));
    let modules = below(root, "modules")
        .into_iter()
        .flat_map(|modules| modules.children());
    Ok(Project {
        built: built.or_else(|| named.map(|(name, version)| format!("{name}-{version}"))),
        description: child(root, "description"),
        modules: modules
            .filter_map(|module| module.text())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect(),
        name,
        version,
    })
}

/// An element right below another, whatever its namespace.
fn below<'a, 'input>(node: roxmltree::Node<'a, 'input>, name: &str) -> Option<roxmltree::Node<'a, 'input>> {
    node.children()
        .find(|child| child.is_element() && child.tag_name().name() == name)
}

/// With the project's own properties filled in; nothing where one isn't there.
fn resolved(root: roxmltree::Node<'_, '_>, text: &str) -> Option<String> {
    let mut text = text.to_owned();
    // Properties name others; one that names itself has to end.
    for _ in 0..8 {
        let Some((before, rest)) = text.split_once("${") else {
            return (!text.is_empty()).then_some(text);
        };
        let (name, after) = rest.split_once('}')?;
        let value = match name.strip_prefix("project.") {
            Some(own) => own.split('.').try_fold(root, |node, part| below(node, part))?.text(),
            None => below(root, "properties").and_then(|all| below(all, name))?.text(),
        };
        text = format!("{before}{}{after}", value.unwrap_or_default().trim());
    }
    None
}

/// What Gradle's files say in the words that most of them have.
fn gradle(dir: &Dir) -> Project {
    let read = |names: &[&str]| {
        let mut texts = names.iter().filter_map(|name| dir.text(name));
        texts.next().unwrap_or_default()
    };
    let settings = read(&["settings.gradle", "settings.gradle.kts"]);
    let build = read(&["build.gradle", "build.gradle.kts"]);
    let properties = read(&["gradle.properties"]);
    let name = assigned(&settings, "rootProject.name");
    let version = assigned(&build, "version").or_else(|| {
        let mut lines = properties.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(key, _)| key.trim() == "version")
            .map(|(_, value)| value.trim().to_owned())
    });
    let named = name.as_ref().zip(version.as_ref());
    Project {
        built: named.map(|(name, version)| format!("{name}-{version}")),
        description: assigned(&build, "description"),
        modules: Vec::new(),
        name,
        version,
    }
}

/// `key = 'value'` or `key "value"` at the beginning of a line, which is what stands outside of all blocks.
fn assigned(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, _) = rest[1..].split_once(quote)?;
        (!value.is_empty() && !value.contains('$')).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(inner: &str) -> Result<Project, LookError> {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        maven(
            &dir,
            &format!("<project xmlns=\"http://maven.apache.org/POM/4.0.0\">{inner}</project>"),
        )
    }

    #[test]
    fn a_projects_own_elements() {
        let named = |name: &str, version: &str| (Some(name.to_owned()), Some(version.to_owned()));
        for (inner, expected) in [
            (
                "<parent><artifactId>p</artifactId><version>9</version></parent><dependencies><dependency>\
                <artifactId>d</artifactId></dependency></dependencies><artifactId> web </artifactId><version>1.2</version>",
                named("web", "1.2"),
            ),
            (
                "<!-- <version>9</version> --><artifactId>web</artifactId><version>1</version>",
                named("web", "1"),
            ),
            (
                "<parent><version>9</version></parent><artifactId>web</artifactId>",
                named("web", "9"),
            ),
            (
                "<properties><revision>2.${minor}</revision><minor>1</minor></properties>\
                <artifactId>web</artifactId><version>${revision}-rc1</version>",
                named("web", "2.1-rc1"),
            ),
            (
                "<parent><version>9</version></parent><artifactId>web</artifactId><version>${project.parent.version}</version>",
                named("web", "9"),
            ),
            (
                "<artifactId>web</artifactId><version>${env.X}</version>",
                (Some("web".to_owned()), None),
            ),
            (
                "<properties><a>${a}</a></properties><artifactId>web</artifactId><version>${a}</version>",
                (Some("web".to_owned()), None),
            ),
        ] {
            let project = told(inner).unwrap();
            assert_eq!((project.name, project.version), expected, "{inner}");
        }
        let project = told("<artifactId>web</artifactId><description>A &amp; <![CDATA[B]]></description>").unwrap();
        assert_eq!(project.description.as_deref(), Some("A & B"));
        let error = told("\n<version>1</versio>").unwrap_err().to_string();
        assert!(error.contains("pom.xml\", line 2, column"), "{error}");
    }

    #[test]
    fn what_gradle_says_outside_of_blocks() {
        let text = "plugins {\n    id 'x' version '3'\n}\nversion = \"1.2\"\n";
        assert_eq!(assigned(text, "version").as_deref(), Some("1.2"));
        assert_eq!(assigned("version '1.3'", "version").as_deref(), Some("1.3"));
        for text in [
            "version = \"$x\"",
            "versions = '1'",
            "version = rootVersion",
            "  version = '1'",
        ] {
            assert_eq!(assigned(text, "version"), None, "{text}");
        }
    }
}
