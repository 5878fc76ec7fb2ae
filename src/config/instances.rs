//! Reads `[instances]`: the instances of the package's template, each with an environment of its own.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::diagnostics::Problem;
use super::reader::Table;
use super::unit_places::{Places, UnitPlaces};
use super::units::plain;
use super::{Deploy, Proxy, Strategy};
use crate::model::{EnvName, InstanceName, PackageName, UnitName};
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

/// What instances and strategy need of each other; `units` are the names that the configuration defines.
pub(super) fn check(
    instances_table: Option<&Table<'_>>,
    deploy_table: Option<&Table<'_>>,
    instances: &Instances,
    package: &PackageName,
    units: &[UnitName],
    deploy: &Deploy,
) {
    let template = format!("{package}@.service");
    let has_template = units.iter().any(|unit| unit.as_str() == template);
    if let Some(table) = instances_table.filter(|_| !instances.is_empty() && !has_template) {
        table.doc.push(
            Problem::new(
                table.span.clone(),
                format!("instances: there is no {template} of which they could be instances"),
            )
            .help(format!("rename the service to {template:?}, or remove [instances]"))
            .contextual(),
        );
    }
    let Some(table) = deploy_table else { return };
    if deploy.strategy != Strategy::Recreate && instances.len() < 2 {
        table.doc.push(
            Problem::new(
                table.span_of("strategy"),
                format!(
                    "deploy.strategy: \"{}\" needs a second instance that serves meanwhile, and there {}",
                    deploy.strategy,
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
    if deploy.strategy == Strategy::BlueGreen && instances.len() > 2 {
        table.doc.push(
            Problem::new(
                table.span_of("strategy"),
                format!(
                    "deploy.strategy: \"blue-green\" changes between two instances, and there are {}",
                    instances.len()
                ),
            )
            .help("name two instances, or choose \"rolling\"")
            .contextual(),
        );
    }
    if deploy.strategy == Strategy::BlueGreen && deploy.proxy == Proxy::None {
        table.doc.push(
            Problem::new(
                table.span_of("strategy"),
                "deploy.strategy: \"blue-green\" changes over by the proxy, and there is none",
            )
            .help("add proxy = \"nginx\", or choose \"rolling\"")
            .contextual(),
        );
    }
    for (key, set) in [("check", deploy.check.is_some()), ("soak", table.has("soak"))] {
        let canary_only = key == "soak" && deploy.strategy != Strategy::Canary;
        if set && (deploy.strategy == Strategy::Recreate || canary_only) {
            table.doc.push(
                Problem::new(
                    table.span_of(key),
                    format!("deploy.{key} means nothing to the strategy \"{}\"", deploy.strategy),
                )
                .help("remove it, or choose \"canary\""),
            );
        }
    }
    if deploy.strategy == Strategy::Canary && deploy.soak >= deploy.timeout {
        table.doc.push(
            Problem::new(
                table.span_of("soak"),
                format!(
                    "deploy.soak ({} s) leaves nothing of deploy.timeout ({} s)",
                    deploy.soak, deploy.timeout
                ),
            )
            .help("the timeout covers the whole activation: make it longer than its parts"),
        );
    }
    // Two instances on one port: the second could never start.
    let ports: Vec<_> = instances
        .values()
        .filter_map(|set| set.iter().find(|(name, _)| name.as_str() == "PORT"))
        .map(|(_, port)| port)
        .collect();
    if let Some(table) = instances_table
        && ports.iter().enumerate().any(|(n, port)| ports[..n].contains(port))
    {
        table.doc.push(
            Problem::new(table.span.clone(), "instances: two of them have the same PORT")
                .help("give each instance a port of its own"),
        );
    }
}
