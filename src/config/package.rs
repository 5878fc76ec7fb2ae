//! Reads `[package]`: what becomes the control file's fields (Debian Policy 5.6).

use std::collections::BTreeSet;
use std::path::Path;

use super::diagnostics::Problem;
use super::reader::{At, Table};
use super::relation::Relation;
use super::{Overrides, Package, Version, git};
use crate::model::{Arch, DebVersion, PackageName, Suite};

/// Longest synopsis that package tools show whole (Policy 5.6.13: under 80 characters).
const SYNOPSIS_MAX: usize = 80;
/// What `package.priority` may be.
pub const PRIORITIES: [&str; 4] = ["required", "important", "standard", "optional"];

/// Of the package's name and its version: file systems have 255 bytes for a file's name, in which the architecture, what the
/// format ends in, and what apt puts before it while it downloads have to fit as well.
const LENGTH_MAX: usize = 200;

/// The package as read; fields that are wrong hold a stand-in, and the problem is recorded.
pub(super) fn read(table: &Table<'_>, dir: &Path, overrides: &Overrides) -> Option<Package> {
    table.need("name", "\"acme\"");
    table.need("maintainer", "\"Acme Ops <ops@acme.example>\"");
    table.need("description", "\"what it is, in a few words\"");
    let name = table.parsed::<PackageName>("name");
    let version = version(table, dir, name.as_ref().map(|name| &name.value), overrides);
    let maintainer = table.string("maintainer").filter(|m| is_maintainer(table, m));
    let (synopsis, description) = description(table);
    let architecture = table.parsed::<Arch>("architecture").map(|a| a.value);
    let target = table.parsed::<Suite>("target").map(|suite| suite.value);
    let relations = |key| relations(table, key, name.as_ref().map(|n| &n.value));
    Some(Package {
        depends: relations("depends"),
        recommends: relations("recommends"),
        suggests: relations("suggests"),
        conflicts: relations("conflicts"),
        breaks: relations("breaks"),
        replaces: relations("replaces"),
        provides: relations("provides"),
        section: section(table),
        priority: priority(table),
        homepage: homepage(table),
        license: single(table, "license"),
        copyright: single(table, "copyright"),
        purge_shared: table.bool("purge_shared").is_some_and(|b| b.value),
        version,
        maintainer: maintainer.map(|m| m.value).unwrap_or_default(),
        synopsis,
        description,
        architecture,
        target: target.or(overrides.locked_on).unwrap_or_default(),
        target_is_given: target.is_some(),
        name: name?.value,
    })
}

fn version(table: &Table<'_>, dir: &Path, package: Option<&PackageName>, overrides: &Overrides) -> Option<DebVersion> {
    let text = table.string("version");
    let (asked, what, span) = match (&overrides.version, text) {
        (Some(version), text) => {
            let span = text.map_or_else(|| table.span.clone(), |text| text.span);
            (version.clone(), "--version", span)
        }
        (None, Some(text)) => {
            let version = table.doc.parse::<Version>("package.version", &text)?;
            (version.value, "package.version", version.span)
        }
        (None, None) => return None,
    };
    let length = package.map_or(0, |name| name.as_str().len());
    if let Version::Exactly(version) = &asked
        && length + version.as_str().len() > LENGTH_MAX
    {
        let message = format!("{what}: with the package's name it is too long for the name of a file");
        let help = format!("both together may have {LENGTH_MAX} characters");
        table.doc.push(Problem::new(span, message).help(help));
        return None;
    }
    if let Version::Exactly(version) = asked {
        if let Some(meant) = git::pre_release_meant(&version) {
            let message = format!("{what}: dpkg sorts {version} behind the release that it comes before");
            let help = format!("write {meant}: a tilde sorts before everything, even the end");
            table.doc.push(Problem::new(span, message).help(help).warning());
        }
        return Some(version);
    }
    match git::version(dir, package) {
        Ok(found) => {
            if found.dirty {
                let message = format!(
                    "{what}: files that git knows differ from the commit: this is {}",
                    found.version
                );
                let help = "commit them before you publish it: two builds of this version need not be the same";
                table.doc.push(Problem::new(span, message).help(help).warning());
            }
            Some(found.version)
        }
        Err(error) => {
            table.doc.push(Problem::new(span, format!("{what}: {error}")));
            None
        }
    }
}

fn is_maintainer(table: &Table<'_>, text: &At<String>) -> bool {
    let problem = match maintainer_problem(&text.value) {
        None => return true,
        Some(problem) => problem,
    };
    table.doc.push(
        Problem::new(
            text.span.clone(),
            format!("package.maintainer: {:?} {problem}", text.value),
        )
        .help("write a name and a mail address: \"Acme Ops <ops@acme.example>\""),
    );
    false
}

/// What keeps a text from being `Name <address>`.
pub fn maintainer_problem(text: &str) -> Option<&'static str> {
    let Some((name, address)) = text.strip_suffix('>').and_then(|rest| rest.split_once('<')) else {
        return Some("has no address in < >");
    };
    if name.trim().is_empty() {
        return Some("has no name before the address");
    }
    if !name.ends_with(' ') || name.starts_with(' ') || name.contains(['>', '"']) {
        return Some("is not of the form \"Name <address>\"");
    }
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Some("has an address without '@'");
    };
    let local_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let domain_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let label = |l: &str| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-');
    let fine = !local.is_empty()
        && local.chars().all(local_char)
        && domain.chars().all(domain_char)
        && domain.split('.').all(label);
    (!fine).then_some("has an address that is not a mail address")
}

/// The first line is the synopsis, the others are the extended description.
fn description(table: &Table<'_>) -> (String, Vec<String>) {
    let Some(text) = table.multi_line("description") else {
        return Default::default();
    };
    let refuse = |message: String, help: &str| {
        table
            .doc
            .push(Problem::new(text.span.clone(), format!("package.description: {message}")).help(help));
    };
    let mut lines = text.value.trim_end().lines().map(str::trim_end);
    let synopsis = lines.next().unwrap_or_default();
    if synopsis.trim().is_empty() {
        refuse(
            "the first line is empty".into(),
            "say in the first line what the package is, in a few words",
        );
    } else if synopsis.starts_with(' ') {
        refuse(
            "the first line starts with a space".into(),
            "remove the spaces before it",
        );
    } else if synopsis.chars().count() > SYNOPSIS_MAX {
        refuse(
            format!("the first line has {} characters", synopsis.chars().count()),
            "keep the first line to 80 characters and put the rest into further lines (\"\"\" … \"\"\")",
        );
    }
    let mut extended: Vec<_> = lines.map(str::to_owned).collect();
    // The blank line that people leave after a summary would show as an empty paragraph.
    while extended.first().is_some_and(String::is_empty) {
        extended.remove(0);
    }
    if let Some(bad) = extended.iter().find(|line| line.starts_with('.')) {
        refuse(
            format!("the line {bad:?} starts with a dot"),
            "Debian reserves such lines: start it with another character (an empty line stays empty)",
        );
    }
    (synopsis.to_owned(), extended)
}

fn section(table: &Table<'_>) -> String {
    let Some(text) = table.string("section") else {
        return "misc".to_owned();
    };
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_lowercase())
            && w.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !(text.value.split('/').count() <= 2 && text.value.split('/').all(word)) {
        table.doc.push(
            Problem::new(text.span, format!("package.section: {:?} is not a section", text.value))
                .help("write a word such as \"misc\", \"web\" or \"net\""),
        );
    }
    text.value
}

fn priority(table: &Table<'_>) -> String {
    let Some(text) = table.string("priority") else {
        return "optional".to_owned();
    };
    if !PRIORITIES.contains(&text.value.as_str()) {
        table.doc.push(
            Problem::new(
                text.span,
                format!("package.priority: {:?} is not a priority", text.value),
            )
            .help("write \"optional\", or remove the key"),
        );
    }
    text.value
}

fn homepage(table: &Table<'_>) -> Option<String> {
    let text = table.string("homepage")?;
    let rest = text
        .value
        .strip_prefix("https://")
        .or_else(|| text.value.strip_prefix("http://"));
    let host = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
    let fine = rest.is_some_and(|rest| host(rest) && !rest.contains([' ', '<', '>', '"']));
    if !fine {
        table.doc.push(
            Problem::new(
                text.span,
                format!("package.homepage: {:?} is not a web address", text.value),
            )
            .help("write for example \"https://acme.example/\""),
        );
    }
    Some(text.value)
}

/// A text of one line that isn't empty.
fn single(table: &Table<'_>, key: &'static str) -> Option<String> {
    let text = table.string(key)?;
    if text.value.trim().is_empty() {
        table.doc.push(
            Problem::new(text.span, format!("package.{key}: the text is empty")).help("fill it in, or remove the key"),
        );
    }
    Some(text.value)
}

fn relations(table: &Table<'_>, key: &'static str, own: Option<&PackageName>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let field = format!("package.{key}");
    let refuse = |at: &At<Relation>, message: String, help: &str| {
        table
            .doc
            .push(Problem::new(at.span.clone(), format!("{field}: {message}")).help(help));
    };
    let mut shown = Vec::new();
    for text in table.strings(key) {
        let Some(relation) = table.doc.parse::<Relation>(&field, &text) else {
            continue;
        };
        let form = relation.value.to_string();
        if !table.refuse_double(&field, &mut seen, &At::new(form.clone(), text.span)) {
            continue;
        }
        let exclusive = matches!(key, "conflicts" | "breaks" | "replaces" | "provides");
        if exclusive && relation.value.has_alternatives() {
            refuse(
                &relation,
                format!("{form:?} holds alternatives"),
                "\"|\" makes sense only where something is needed: make them entries of the list",
            );
        }
        if key == "provides" && !relation.value.is_exact() {
            refuse(
                &relation,
                format!("{form:?} provides a range"),
                "provide a name, or exactly one version with \"=\"",
            );
        }
        let needs = matches!(key, "depends" | "recommends" | "suggests" | "breaks");
        if needs && relation.value.packages().any(|package| Some(package) == own) {
            refuse(&relation, format!("{form:?} is this package itself"), "remove it");
        }
        shown.push(form);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::maintainer_problem;

    #[test]
    fn maintainers() {
        for good in [
            "Acme Ops <ops@acme.example>",
            "Zoë, Inc. <a.b+c@x-y.example>",
            "root <root@localhost>",
        ] {
            assert_eq!(maintainer_problem(good), None, "{good}");
        }
        for bad in [
            "",
            "Acme",
            "ops@acme.example",
            "<ops@acme.example>",
            "Acme<ops@acme.example>",
            "Acme <ops>",
            "Acme <ops@>",
            "Acme <o ps@acme.example>",
            "Acme <a@b>, Bob <b@c>",
            "Acme <ops@acme..example>",
            "Acme <ops@acme.example> ",
        ] {
            assert!(maintainer_problem(bad).is_some(), "{bad:?}");
        }
    }
}
