//! Renders what is read and not run: man page, changelog, copyright, and what lintian is told.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::{Config, Documents, License};
use crate::model::{DebVersion, ReleaseId, UnitKind};
use crate::scripts::{self, ScriptError, Tokens, template};
use crate::source_date;
use crate::tree::Node;

use super::{Form, Plan};

/// Licences whose text every Debian host has (Policy 12.5): how their names begin, and the file.
const COMMON_LICENSES: &[(&str, &str)] = &[
    ("Apache-2", "Apache-2.0"),
    ("Artistic", "Artistic"),
    ("CC0-1", "CC0-1.0"),
    ("GFDL-1.2", "GFDL-1.2"),
    ("GFDL-1.3", "GFDL-1.3"),
    ("GPL-1", "GPL-1"),
    ("GPL-2", "GPL-2"),
    ("GPL-3", "GPL-3"),
    ("LGPL-2.1", "LGPL-2.1"),
    ("LGPL-2", "LGPL-2"),
    ("LGPL-3", "LGPL-3"),
    ("MPL-1.1", "MPL-1.1"),
    ("MPL-2", "MPL-2.0"),
];

/// What the documents need of the configuration.
#[derive(Debug, Clone)]
pub struct Inputs {
    maintainer: String,
    copyright: Option<String>,
    license: Option<String>,
    given: Documents,
}

impl Inputs {
    /// Takes what is needed.
    pub fn new(config: &Config) -> Self {
        let package = &config.package;
        Self {
            given: config.documents.clone(),
            maintainer: package.maintainer.clone(),
            copyright: package.copyright.clone(),
            license: package.license.clone(),
        }
    }

    /// Path and content of each.
    pub fn files(&self, plan: &Plan, id: &ReleaseId) -> Result<Vec<(String, Vec<u8>)>, ScriptError> {
        let name = &plan.name;
        let tokens = Tokens::default()
            .raw("PACKAGE", name)
            .raw("VERSION", &plan.version)
            .raw("MAINTAINER", &self.maintainer);
        let changelog = tokens
            .clone()
            .raw("ID", id)
            .raw("DATE", source_date::rfc5322(plan.source_date));
        let copyright = tokens
            .clone()
            .raw("COPYRIGHT", self.copyright_notice(plan.source_date))
            .raw("LICENSE", self.license_paragraph());
        let man = Tokens::default()
            .raw("PACKAGE", roff(name.as_str()))
            .raw("TITLE", roff(&name.as_str().to_uppercase()))
            .raw("VERSION", roff(plan.version.as_str()))
            .raw("PREFIX", roff(plan.prefix.as_str()))
            .raw("DATE", source_date::day(plan.source_date));
        let overrides = scripts::render(template::LINTIAN, &tokens)?;
        let copyright = match &self.given.license {
            Some(License::Finished(text)) => text.clone(),
            _ => scripts::render(template::COPYRIGHT, &copyright)?,
        };
        let mut files = self.changelogs(plan, scripts::render(template::CHANGELOG, &changelog)?);
        let pages = self.given.man.iter();
        files.extend(pages.map(|(path, text)| (format!("{path}.gz"), gzip(text))));
        let completions = self.given.completions.iter();
        files.extend(completions.map(|(path, text)| (path.to_string(), text.clone().into_bytes())));
        files.extend([
            (format!("/usr/share/doc/{name}/copyright"), copyright.into_bytes()),
            (
                format!("/usr/share/man/man1/{name}-release.1.gz"),
                gzip(&scripts::render(template::MAN, &man)?),
            ),
            (
                format!("/usr/share/lintian/overrides/{name}"),
                needed_overrides(&overrides, plan).into_bytes(),
            ),
        ]);
        Ok(files)
    }

    /// The package's changelog, and the application's own where that is another one. `made` is an entry for this version.
    fn changelogs(&self, plan: &Plan, made: String) -> Vec<(String, Vec<u8>)> {
        let at = |file: &str| format!("/usr/share/doc/{}/{file}", plan.name);
        let own = changelog_name(&plan.version);
        let Some((name, text)) = &self.given.changelog else {
            return vec![(at(own), gzip(&made))];
        };
        match newest_entry(text, plan.name.as_str()) {
            Some(version) if version == plan.version.as_str() => vec![(at(own), gzip(text))],
            Some(_) => vec![(at(own), gzip(&format!("{made}\n{text}")))],
            // Policy 12.7: with a revision, that name is free for it.
            None if own != UPSTREAM => vec![(at(own), gzip(&made)), (at(UPSTREAM), gzip(text))],
            None => vec![(at(own), gzip(&made)), (at(&format!("{name}.gz")), gzip(text))],
        }
    }

    /// A notice has a year and a holder; what the configuration says is taken as it is when it names a year.
    fn copyright_notice(&self, source_date: u64) -> String {
        let holder = self.copyright.as_ref().unwrap_or(&self.maintainer);
        if holder.split(|c: char| !c.is_ascii_digit()).any(|word| word.len() == 4) {
            return holder.clone();
        }
        format!("{} {holder}", &source_date::day(source_date)[..4])
    }

    /// The name, and a text below it.
    fn license_paragraph(&self) -> String {
        let Some(license) = &self.license else {
            return "proprietary\n All rights reserved.".to_owned();
        };
        let common = COMMON_LICENSES.iter().find(|(start, _)| license.starts_with(start));
        let text = match (common, &self.given.license) {
            (Some((_, file)), _) => format!("On Debian systems its full text is in /usr/share/common-licenses/{file}."),
            (None, Some(License::Text(text))) => return format!("{license}\n{}", paragraph(text)),
            _ => format!(
                "Its full text comes with the source of the application: ask {}.",
                self.maintainer
            ),
        };
        format!("{license}\n {text}")
    }
}

/// Policy 12.7: a version without a revision is that of a native package.
fn changelog_name(version: &DebVersion) -> &'static str {
    if version.as_str().contains('-') {
        "changelog.Debian.gz"
    } else {
        UPSTREAM
    }
}

/// The application's own changelog in a package that has a Debian revision, and the package's in one that has none.
const UPSTREAM: &str = "changelog.gz";

/// The version of the newest entry, where the text is a changelog of that package as Debian has them (deb-changelog(5)).
fn newest_entry<'a>(text: &'a str, package: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let (version, rest) = line.strip_prefix(package)?.strip_prefix(" (")?.split_once(") ")?;
    rest.contains("; urgency=").then_some(version)
}

/// A text as the continuation of a field (Policy 5.6.13): each line indented, a dot for an empty one.
fn paragraph(text: &str) -> String {
    let line = |line: &str| match line.trim_end() {
        "" => " .".to_owned(),
        line if line.starts_with('.') => format!("  {line}"),
        line => format!(" {line}"),
    };
    text.trim_matches('\n').lines().map(line).collect::<Vec<_>>().join("\n")
}

/// As `gzip -9n` does it: without name and time.
fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("memory can be written")
}

/// Text of a man page: a hyphen that is typed, and no escapes.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// Lintian complains about an override of what does not occur: paragraphs that this package does not need are dropped.
fn needed_overrides(text: &str, plan: &Plan) -> String {
    let below = |top: &str| plan.prefix.as_str().starts_with(top);
    let has = |name: &str| plan.units.iter().any(|unit| unit.name.as_str() == name);
    let needed = |paragraph: &&str| {
        let line = paragraph
            .lines()
            .find(|line| !line.starts_with('#'))
            .unwrap_or_default();
        match line.split(' ').nth(1).unwrap_or_default() {
            "dir-or-file-in-opt" => below("/opt/"),
            "dir-or-file-in-srv" => below("/srv/"),
            "non-standard-toplevel-dir" | "file-in-unusual-dir" => {
                !["/opt/", "/srv/", "/mnt/", "/media/"].into_iter().any(below)
            }
            "malformed-deb-archive" => plan.packing.compression() == crate::model::Compression::Zstd,
            "absolute-symlink-in-top-level-folder" => plan.form == Form::Files && links_below_top(plan),
            "systemd-service-file-missing-install-key" => plan.units.iter().any(|unit| {
                unit.name.kind() == UnitKind::Service
                    && !unit.name.is_template()
                    && unit.file.section("Install").is_none()
                    && unit.file.get("Service", "Type") != Some("oneshot")
                    && !["path", "timer"]
                        .iter()
                        .any(|kind| has(&format!("{}.{kind}", unit.name.prefix())))
            }),
            "initial-upload-closes-no-bugs" => plan.version.as_str().ends_with("-1"),
            _ => true,
        }
    };
    let kept: Vec<&str> = text.trim_end().split("\n\n").filter(needed).collect();
    format!("{}\n", kept.join("\n\n"))
}

/// Whether a symlink of the release names a place in the directory of the root that the prefix lies in.
fn links_below_top(plan: &Plan) -> bool {
    let top = plan.prefix.components().next().unwrap_or_default();
    plan.tree.iter().any(|(_, node)| {
        matches!(node, Node::Symlink(target) if target.strip_prefix('/').is_some_and(|path| path.split('/').next() == Some(top)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(copyright: Option<&str>, license: Option<&str>) -> Inputs {
        Inputs {
            maintainer: "A <a@b.example>".into(),
            copyright: copyright.map(Into::into),
            license: license.map(Into::into),
            given: Documents::default(),
        }
    }

    #[test]
    fn a_notice_has_a_year_and_a_license_a_text() {
        assert_eq!(inputs(None, None).copyright_notice(0), "1970 A <a@b.example>");
        assert_eq!(inputs(Some("B"), None).copyright_notice(1_700_000_000), "2023 B");
        assert_eq!(inputs(Some("2001-2005 B"), None).copyright_notice(0), "2001-2005 B");
        assert_eq!(
            inputs(None, None).license_paragraph(),
            "proprietary\n All rights reserved."
        );
        for (license, file) in [
            ("GPL-3+", "GPL-3"),
            ("LGPL-2.1-or-later", "LGPL-2.1"),
            ("Apache-2.0", "Apache-2.0"),
        ] {
            let text = inputs(None, Some(license)).license_paragraph();
            assert!(text.ends_with(&format!("common-licenses/{file}.")), "{text}");
        }
        assert!(
            inputs(None, Some("MIT"))
                .license_paragraph()
                .contains("ask A <a@b.example>")
        );
    }

    #[test]
    fn a_changelog_has_the_name_that_its_version_wants() {
        for (version, name) in [
            ("1.0", "changelog.gz"),
            ("1:1.0", "changelog.gz"),
            ("1.0-2", "changelog.Debian.gz"),
        ] {
            assert_eq!(changelog_name(&version.parse().unwrap()), name);
        }
    }
}
