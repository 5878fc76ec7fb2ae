//! Reads `[instances]`: the instances of the package's template, each with an environment of its own.

use std::collections::BTreeMap;

use super::diagnostics::Problem;
use super::reader::Table;
use super::units::plain;
use super::{Deploy, Strategy};
use crate::model::{EnvName, InstanceName, PackageName, UnitName};
use crate::systemd::Instances;

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

/// What instances and strategy need of each other; `units` are the names that the configuration defines.
pub(super) fn check(
    table: Option<&Table<'_>>,
    deploy_table: Option<&Table<'_>>,
    instances: &Instances,
    package: &PackageName,
    units: &[UnitName],
    deploy: &Deploy,
) {
    let template = format!("{package}@.service");
    let has_template = units.iter().any(|unit| unit.as_str() == template);
    if let Some(table) = table.filter(|_| !instances.is_empty() && !has_template) {
        table.doc.push(
            Problem::new(
                table.span.clone(),
                format!("instances: there is no {template} of which they could be instances"),
            )
            .help(format!("rename the service to {template:?}, or remove [instances]"))
            .contextual(),
        );
    }
    if let Some(table) = deploy_table.filter(|_| deploy.strategy == Strategy::Rolling && instances.len() < 2) {
        table.doc.push(
            Problem::new(
                table.span_of("strategy"),
                format!(
                    "deploy.strategy: \"rolling\" replaces one instance after the other, and there {}",
                    match instances.len() {
                        0 => "are none".to_owned(),
                        n => format!("is only {n}"),
                    }
                ),
            )
            .help(format!(
                "name at least two of {template}, for example [instances.blue] and [instances.green], or choose \"recreate\""
            ))
            .contextual(),
        );
    }
}
