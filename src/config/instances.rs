//! Reads `[instances]`: the instances of the package's template, each with an environment of its own.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::reader::Table;
use super::unit_places::{Places, UnitPlaces};
use super::units::plain;
use crate::model::{EnvName, InstanceName};
use crate::systemd::{Instances, Origin};

/// `[instances.blue] Environment.PORT = "3000"`, in the order of their names.
pub(super) fn instances(table: &Table<'_>) -> Instances {
    let mut found = Instances::new();
    for (key, value) in table.entries() {
        let what = format!("instances.{}", super::reader::shown_key(&key.value));
        let name = table.doc.parse::<InstanceName>(&what, &key);
        let Some(of_one) = table.entry_table(&key, value) else {
            continue;
        };
        let environment = of_one.table("Environment").map(|t| environment(&t)).unwrap_or_default();
        of_one.finish();
        if let Some(name) = name {
            found.insert(name.value, environment);
        }
    }
    found
}

/// Where the variables of each instance stand.
pub(super) fn add_places(table: &Table<'_>, places: &mut UnitPlaces) {
    for (key, value) in table.entries() {
        let Ok(name) = key.value.parse::<InstanceName>() else {
            continue;
        };
        let DeValue::Table(_) = value.get_ref() else { continue };
        let environment = table.entry_table(&key, value).and_then(|t| t.table("Environment"));
        if let Some(environment) = environment {
            places.insert(&Origin::Instance(name), Places::of_table(&environment));
        }
    }
}

fn environment(table: &Table<'_>) -> BTreeMap<EnvName, String> {
    let mut set = BTreeMap::new();
    for (key, value) in table.entries() {
        let what = format!("{}.{}", table.title(), super::reader::shown_key(&key.value));
        let name = table.doc.parse::<EnvName>(&what, &key);
        let text = plain(table, &what, value);
        if let (Some(name), Some(text)) = (name, text) {
            set.insert(name.value, text.value);
        }
    }
    set
}
