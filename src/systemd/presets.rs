//! Owns the presets: defaults and hardening that a runtime survives, each directive with its reason.

use super::unit_file::UnitFile;

const PRESETS: &[(&str, &str)] = &[
    ("node", include_str!("../../pkg-templates/presets/node.toml")),
    ("python", include_str!("../../pkg-templates/presets/python.toml")),
    ("go", include_str!("../../pkg-templates/presets/go.toml")),
    ("rust", include_str!("../../pkg-templates/presets/rust.toml")),
    ("java", include_str!("../../pkg-templates/presets/java.toml")),
    ("static", include_str!("../../pkg-templates/presets/static.toml")),
];

/// The names that `[defaults] preset` takes.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The directives of a preset, in alphabetical order; `None` when there is none of this name.
pub fn find(name: &str) -> Option<UnitFile> {
    let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
    read(text).ok()
}

/// A preset with what its file says in comments.
#[derive(Debug)]
pub struct Explained {
    /// As `[defaults] preset` takes it.
    pub name: &'static str,
    /// What it is for.
    pub about: String,
    /// Its directives in the order of the file.
    pub lines: Vec<Line>,
    /// What one may miss in it, and why it isn't there.
    pub left_out: Vec<String>,
}

/// A directive and its reason.
#[derive(Debug)]
pub struct Line {
    /// As it stands in the file: `Service.ProtectHome = true`.
    pub directive: String,
    /// The comment above it.
    pub reason: String,
}

/// Every preset with its reasons.
pub fn explained() -> impl Iterator<Item = Explained> {
    PRESETS.iter().map(|(name, text)| explain(name, text))
}

/// What comes after the last directive.
const LEFT_OUT: &str = "Left out on purpose:";

fn explain(name: &'static str, text: &str) -> Explained {
    let mut explained = Explained {
        name,
        about: String::new(),
        lines: Vec::new(),
        left_out: Vec::new(),
    };
    for block in text.split("\n\n") {
        let comments: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        let directives: Vec<&str> = block
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if comments.first() == Some(&LEFT_OUT) {
            explained
                .left_out
                .extend(comments[1..].iter().map(|line| (*line).to_owned()));
        } else if directives.is_empty() {
            explained.about = comments.join(" ");
        } else {
            explained.lines.extend(directives.into_iter().map(|directive| Line {
                directive: directive.to_owned(),
                reason: comments.join(" "),
            }));
        }
    }
    explained
}

fn read(text: &str) -> Result<UnitFile, String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let mut file = UnitFile::new();
    for (section, directives) in &table {
        let directives = directives
            .as_table()
            .ok_or_else(|| format!("{section} is not a section"))?;
        for (key, value) in directives {
            let values = match value {
                toml::Value::Array(values) => values.as_slice(),
                single => std::slice::from_ref(single),
            };
            for value in values {
                let value = match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Boolean(true) => "yes".to_owned(),
                    toml::Value::Boolean(false) => "no".to_owned(),
                    toml::Value::Integer(number) => number.to_string(),
                    other => return Err(format!("{section}.{key} = {other} is not a value")),
                };
                file.append(section, key, value);
            }
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::directives;

    #[test]
    fn every_preset_is_read_and_works_on_systemd_252() {
        for (name, text) in PRESETS {
            let file = read(text).unwrap();
            assert_eq!(find(name).unwrap(), file);
            for section in file.sections() {
                assert_eq!(section.name, "Service", "{name}");
                for entry in &section.entries {
                    let directive = directives::find("Service", &entry.key).unwrap();
                    assert!(directive.since <= 252, "{name}: {}", entry.key);
                }
            }
            let compiles = ["node", "python", "java"].contains(name);
            assert_eq!(file.has("Service", "MemoryDenyWriteExecute"), !compiles, "{name}");
        }
        assert!(find("cobol").is_none());
        assert_eq!(
            names().collect::<Vec<_>>(),
            ["node", "python", "go", "rust", "java", "static"]
        );
    }

    #[test]
    fn every_directive_has_a_reason_of_its_own() {
        for preset in explained() {
            let name = preset.name;
            let file = find(name).unwrap();
            let directives: usize = file
                .sections()
                .iter()
                .map(|section| {
                    let mut keys: Vec<&str> = section.entries.iter().map(|entry| entry.key.as_str()).collect();
                    keys.dedup();
                    keys.len()
                })
                .sum();
            assert_eq!(preset.lines.len(), directives, "{name}");
            assert!(!preset.about.is_empty() && !preset.left_out.is_empty(), "{name}");
            for line in &preset.lines {
                assert!(line.reason.len() > 20, "{name}: {} has no reason", line.directive);
                let same = preset.lines.iter().filter(|other| other.reason == line.reason);
                assert_eq!(same.count(), 1, "{name}: {} shares its reason", line.directive);
            }
            for line in &preset.left_out {
                assert!(
                    line.split_once(": ").is_some_and(|(_, reason)| reason.len() > 20),
                    "{name}: {line}"
                );
            }
        }
    }
}
