//! Prints what an artifact holds: version, id, units, what runs when, dependencies, the biggest files.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::archive::read::{Artifact, Format, Release};
use crate::systemd::UnitFile;
use crate::tree::EntryKind;

use super::human;

/// How many of the biggest files are shown.
const BIGGEST: usize = 10;

/// An artifact, ready to be shown.
#[derive(Debug)]
pub struct Contents {
    format: &'static str,
    payload: Option<&'static str>,
    size: u64,
    id: String,
    control: Vec<(String, String)>,
    units: Vec<ShownUnit>,
    files: usize,
    bytes: u64,
    biggest: Vec<(String, u64)>,
    leaving: Vec<(String, String)>,
    host_links: Vec<(String, String)>,
    scripts: Vec<String>,
}

#[derive(Debug)]
struct ShownUnit {
    name: String,
    on_upgrade: String,
    enabled: bool,
    gated: bool,
    health: Option<String>,
    runs: Vec<String>,
    when: Vec<String>,
}

impl Contents {
    /// Collects what is shown.
    pub fn new(artifact: &Artifact, release: &Release) -> Self {
        let mut files: Vec<(String, u64)> = release
            .manifest
            .entries()
            .filter(|entry| matches!(entry.kind, EntryKind::File { .. }))
            .map(|entry| entry.path.to_owned())
            .zip(release.sizes.iter().copied())
            .collect();
        let (count, bytes) = (files.len(), files.iter().map(|(_, size)| size).sum());
        files.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        files.truncate(BIGGEST);
        let leaving = release
            .manifest
            .entries()
            .filter_map(|entry| match entry.kind {
                EntryKind::Symlink(target) if target.starts_with('/') => {
                    Some((entry.path.to_owned(), target.to_owned()))
                }
                _ => None,
            })
            .collect();
        Self {
            format: artifact.format().as_str(),
            payload: match (artifact.format(), &release.compressed) {
                (Format::Deb, Some(_)) => Some("archive"),
                (Format::Deb, None) => Some("files"),
                _ => None,
            },
            size: artifact.size(),
            id: release.manifest.id().to_string(),
            control: match (artifact.control(), &release.identity) {
                (Some(control), _) => control
                    .fields
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                (None, Some(identity)) => vec![
                    ("Package".to_owned(), identity.name.to_string()),
                    ("Version".to_owned(), identity.version.to_string()),
                    ("Architecture".to_owned(), identity.architecture.clone()),
                ],
                (None, None) => Vec::new(),
            },
            units: units(release),
            files: count,
            bytes,
            biggest: files,
            leaving,
            host_links: release.host_links().collect(),
            scripts: artifact
                .control()
                .map(|control| {
                    control
                        .files
                        .iter()
                        .filter(|(_, file)| file.mode & 0o100 != 0)
                        .map(|(name, _)| name.clone())
                        .collect()
                })
                .unwrap_or_default(),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.control
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        match (self.field("Package"), self.field("Version"), self.field("Architecture")) {
            (Some(name), Some(version), Some(arch)) => writeln!(text, "{name} {version} ({arch})")?,
            _ => writeln!(text, "a {} of relpack", self.format)?,
        }
        writeln!(text, "  release   {}", self.id)?;
        writeln!(text, "  artifact  {}, {}", self.format, human(self.size))?;
        let travels = match self.payload {
            Some("files") => ", which dpkg lists",
            Some(_) => ", in one archive",
            None => "",
        };
        writeln!(text, "  content   {} files, {}{travels}", self.files, human(self.bytes))?;
        for field in ["Depends", "Recommends", "Conflicts", "Breaks", "Provides"] {
            if let Some(value) = self.field(field) {
                writeln!(text, "  {:<9} {value}", field.to_lowercase())?;
            }
        }
        if !self.scripts.is_empty() {
            writeln!(text, "  scripts   {}", self.scripts.join(", "))?;
        }
        writeln!(text, "units:")?;
        for unit in &self.units {
            let enabled = if unit.enabled {
                "enabled"
            } else {
                "not enabled by itself"
            };
            let gate = if unit.gated { ", gated" } else { "" };
            writeln!(
                text,
                "  {} ({enabled}; on upgrade: {}{gate})",
                unit.name, unit.on_upgrade
            )?;
            for line in unit.runs.iter().chain(&unit.when) {
                writeln!(text, "    {line}")?;
            }
            if let Some(health) = &unit.health {
                writeln!(text, "    healthy when {health}")?;
            }
        }
        writeln!(text, "biggest files:")?;
        for (path, size) in &self.biggest {
            writeln!(text, "  {:>10}  {path}", human(*size))?;
        }
        let mut links = |title: &str, links: &[(String, String)]| {
            if !links.is_empty() {
                writeln!(text, "{title}:")?;
            }
            links
                .iter()
                .try_for_each(|(path, target)| writeln!(text, "  {path} -> {target}"))
        };
        links("links out of the release", &self.leaving)?;
        links("links on the host", &self.host_links)
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let control: serde_json::Map<String, Value> = self
            .control
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let links = |links: &[(String, String)]| -> Vec<Value> {
            let link = |(path, target): &(String, String)| json!({"path": path, "target": target});
            links.iter().map(link).collect()
        };
        json!({
            "format": self.format,
            "payload": self.payload,
            "size": self.size,
            "name": self.field("Package"),
            "version": self.field("Version"),
            "architecture": self.field("Architecture"),
            "release_id": self.id,
            "control": control,
            "scripts": self.scripts,
            "files": self.files,
            "bytes": self.bytes,
            "units": self.units.iter().map(|unit| json!({
                "name": unit.name,
                "on_upgrade": unit.on_upgrade,
                "enabled": unit.enabled,
                "gated": unit.gated,
                "health": unit.health,
                "runs": unit.runs,
                "when": unit.when,
            })).collect::<Vec<_>>(),
            "biggest": self.biggest.iter().map(|(path, size)| json!({"path": path, "size": size})).collect::<Vec<_>>(),
            "links_out": links(&self.leaving),
            "host_links": links(&self.host_links),
        })
    }
}

/// The units as the release's own settings and texts tell them.
fn units(release: &Release) -> Vec<ShownUnit> {
    let checks = release.settings("health");
    release
        .settings("unit")
        .into_iter()
        .filter(|row| row.len() >= 6)
        .map(|row| {
            let name = row[1].clone();
            let health = checks
                .iter()
                .find(|h| h.len() >= 5 && h[1] == name)
                .map(|h| format!("{} {} within {} s", h[2], h[4], h[3]));
            let text = release.metadata_text(&format!("units/{name}"));
            let file = UnitFile::parse(&text).unwrap_or_default();
            let lines = |section: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
                file.section(section)
                    .map(|section| {
                        section
                            .entries
                            .iter()
                            .filter(|e| wanted(&e.key))
                            .map(|e| format!("{}={}", e.key, e.value))
                            .collect()
                    })
                    .unwrap_or_default()
            };
            ShownUnit {
                runs: lines("Service", &|key| key == "ExecStart"),
                when: [
                    lines("Timer", &|key| key.starts_with("On")),
                    lines("Socket", &|key| key.starts_with("Listen")),
                    lines("Path", &|key| key.starts_with("Path") || key == "DirectoryNotEmpty"),
                ]
                .concat(),
                name,
                on_upgrade: row[3].clone(),
                enabled: row[4] == "enable",
                gated: row[5] == "gated",
                health,
            }
        })
        .collect()
}
