//! Lays the units of a Cargo project under `[units]`: their programs are those of the release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::overlay::Overlay;
use super::places::merged;
use crate::cargo::UnitSettings;
use crate::systemd::{UnitFile, exec};

impl Overlay<'_> {
    /// A unit file whose programs are those of the release.
    pub(super) fn unit(&self, name: &str, from: &Path, places: &BTreeMap<String, String>) -> Option<UnitFile> {
        let text = match fs::read_to_string(from) {
            Ok(text) => text,
            Err(error) => {
                self.refuse(format!("can't read {name}: {error}"), "a unit file is text in UTF-8");
                return None;
            }
        };
        let mut file = match UnitFile::parse(&text) {
            Ok(file) => file,
            Err(errors) => {
                for error in errors {
                    self.refuse(format!("{name}, line {}: {}", error.line, error.message), error.hint);
                }
                return None;
            }
        };
        let own = |program: &str| places.get(&merged(program)).cloned();
        let sections: Vec<String> = file.sections().iter().map(|section| section.name.clone()).collect();
        for section in sections {
            for entry in &mut file.section_mut(&section).entries {
                if entry.key.starts_with("Exec") {
                    entry.value = exec::with_programs(&entry.value, &own);
                }
            }
        }
        Some(file)
    }

    /// Its directives where the file has none of that name.
    pub(super) fn put_unit(&self, root: &mut DeTable<'_>, name: &str, file: &UnitFile, settings: &[UnitSettings]) {
        let Some(unit) = self.table(root, "units").and_then(|units| self.table(units, name)) else {
            return;
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let of_unit = |one: &&UnitSettings| one.name.as_deref().is_none_or(|name| name == stem);
        let settings = settings.iter().rev().find(of_unit).cloned().unwrap_or_default();
        if settings.enable == Some(false) {
            self.put(unit, "Install", DeValue::Table(DeTable::new()));
        } else if settings.start == Some(false) {
            self.warn(format!(
                "{name} is enabled and not started, and relpack starts what it enables (hint: write enable = false)"
            ));
        }
        if settings.restart == Some(false)
            && let Some(table) = self.table(unit, "X-Relpack")
        {
            self.put(table, "OnUpgrade", self.text("none"));
        }
        for section in file.sections() {
            // Where it is not to be enabled, the empty table says so.
            if section.name == "Install" && unit.contains_key("Install") {
                continue;
            }
            let Some(table) = self.table(unit, &section.name) else {
                continue;
            };
            let keys: BTreeSet<&str> = section.entries.iter().map(|entry| entry.key.as_str()).collect();
            for key in keys {
                let values = section.entries.iter().filter(|entry| entry.key == key);
                let mut values: Vec<String> = values.map(|entry| plain(&entry.value)).collect();
                let value = match values.len() {
                    1 => self.text(values.remove(0)),
                    _ => self.list(values),
                };
                self.put(table, key, value);
            }
        }
    }
}

/// A tab is a space to systemd, but for what stands in quotes.
fn plain(value: &str) -> String {
    match value.contains(['"', '\'']) {
        true => value.to_owned(),
        false => value.replace('\t', " "),
    }
}

/// Whom the services run as, where all of them say the same.
#[derive(Default)]
pub(super) struct Accounts(BTreeSet<(String, Option<String>)>);

impl Accounts {
    pub(super) fn note(&mut self, file: &UnitFile) {
        if file.section("Service").is_some()
            && let Some(user) = file.get("Service", "User").filter(|user| !user.is_empty())
        {
            let group = file.get("Service", "Group").filter(|group| !group.is_empty());
            self.0.insert((user.to_owned(), group.map(str::to_owned)));
        }
    }

    pub(super) fn only(self) -> Option<(String, Option<String>)> {
        let mut all = self.0.into_iter();
        let first = all.next().filter(|(user, _)| user != "root")?;
        all.next().is_none().then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_for_all_services_is_the_packages() {
        let units = |texts: &[&str]| {
            let mut accounts = Accounts::default();
            for text in texts {
                accounts.note(&UnitFile::parse(text).unwrap());
            }
            accounts.only()
        };
        let acme = "[Service]\nUser=acme\n";
        assert_eq!(units(&[acme, acme, "[Timer]\n"]), Some(("acme".to_owned(), None)));
        assert_eq!(units(&[acme, "[Service]\nUser=other\n"]), None);
        assert_eq!(units(&["[Service]\nUser=root\n"]), None);
        assert_eq!(units(&["[Service]\n"]), None);
    }
}
