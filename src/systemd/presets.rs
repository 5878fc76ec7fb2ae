//! Owns the presets: defaults and hardening that a runtime survives.

use super::unit_file::UnitFile;

const PRESETS: &[(&str, &str)] = &[
    ("node", include_str!("../../pkg-templates/presets/node.toml")),
    ("python", include_str!("../../pkg-templates/presets/python.toml")),
];

/// The names that `[defaults] preset` takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The directives of a preset, in alphabetical order; `None` when there is none of this name.
pub fn find(name: &str) -> Option<UnitFile> {
    let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
    read(text).ok()
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
            assert!(!file.has("Service", "MemoryDenyWriteExecute"));
        }
        assert!(find("cobol").is_none());
        assert_eq!(names().collect::<Vec<_>>(), ["node", "python"]);
    }
}
