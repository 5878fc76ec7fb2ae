//! Checks what strategy, instances, proxy and units need of each other: what can't keep its promise is not built.

use std::collections::BTreeMap;

use super::diagnostics::Problem;
use super::reader::Table;
use super::{Check, Deploy, Migrate, Proxy, Strategy};
use crate::model::{EnvName, PackageName, Seconds, UnitKind, UnitName};
use crate::systemd::{self, Health, Instances, OnUpgrade};

/// The tables that are checked, where the file has them.
pub(super) struct Tables<'a, 'd> {
    pub(super) instances: Option<&'a Table<'d>>,
    pub(super) deploy: Option<&'a Table<'d>>,
}

/// What can be said before the units are complete; `units` are the names that the configuration defines.
pub(super) fn check(
    tables: &Tables<'_, '_>,
    instances: &Instances,
    package: &PackageName,
    units: &[UnitName],
    deploy: &Deploy,
    migrate: Option<&Migrate>,
) {
    let template = format!("{package}@.service");
    let has_template = units.iter().any(|unit| unit.as_str() == template);
    if let Some(table) = tables.instances.filter(|_| !instances.is_empty() && !has_template) {
        table.doc.push(
            Problem::new(
                table.span.clone(),
                format!("instances: there is no {template} of which they could be instances"),
            )
            .help(format!("rename the service to {template:?}, or remove [instances]"))
            .contextual(),
        );
    }
    // Two instances on one port: the second could never start.
    let ports: Vec<_> = instances
        .values()
        .filter_map(|set| set.iter().find(|(name, _)| name.as_str() == "PORT"))
        .map(|(_, port)| port)
        .collect();
    if let Some(table) = tables.instances
        && ports.iter().enumerate().any(|(n, port)| ports[..n].contains(port))
    {
        table.doc.push(
            Problem::new(table.span.clone(), "instances: two of them have the same PORT")
                .help("give each instance a port of its own"),
        );
    }
    let Some(table) = tables.deploy else { return };
    let refuse = |key: &'static str, message: String, hint: String| {
        let problem = Problem::new(table.span_of(key), format!("deploy.{key}: {message}"));
        table.doc.push(problem.help(hint).contextual());
    };
    number_of_instances(deploy, instances, &template, &refuse);
    if deploy.strategy == Strategy::BlueGreen && deploy.proxy == Proxy::None {
        refuse(
            "strategy",
            "\"blue-green\" changes over by the proxy, and there is none".to_owned(),
            "add proxy = \"nginx\", or choose \"rolling\"".to_owned(),
        );
    }
    if deploy.proxy != Proxy::None && !has_template {
        refuse(
            "proxy",
            format!("it sends requests to the instances of {template}, and there is none"),
            format!("rename the service to {template:?} and name [instances], or remove the key"),
        );
    }
    without_meaning(deploy, table);
    fits(deploy, table, instances.len(), migrate, false);
}

/// What a deploy waits for in any case, after a migration that takes as long as it may, has to end within its timeout: else a
/// healthy release would be taken back. `tried`: what a trial adds to what was told without it.
fn fits(deploy: &Deploy, table: &Table<'_>, instances: usize, migrate: Option<&Migrate>, tried: bool) {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let parallel = usize::try_from(deploy.max_parallel).unwrap_or(1).max(1);
    // How often each of these is waited for.
    let (settles, notices) = match deploy.strategy {
        Strategy::Rolling => (instances, instances.div_ceil(parallel)),
        Strategy::Canary => (instances, 1 + instances.saturating_sub(1).div_ceil(parallel)),
        Strategy::Recreate | Strategy::Reload | Strategy::BlueGreen => (1, 1),
    };
    let mut parts = Vec::new();
    parts.extend(migrate.map(|migrate| ("migrate.timeout", migrate.timeout, 1)));
    if deploy.strategy == Strategy::Canary {
        parts.push(("soak", deploy.soak, 1));
    }
    parts.extend(deploy.lame_duck.map(|notice| ("lame_duck", notice, count(notices))));
    parts.push(("settle", deploy.settle, count(settles + usize::from(tried))));
    // Said of that one alone.
    if parts.iter().any(|(_, seconds, _)| *seconds >= deploy.timeout) {
        return;
    }
    let sum = parts.iter().fold(0, |sum: u64, (_, seconds, times)| {
        sum.saturating_add(seconds.0.saturating_mul(*times))
    });
    if Seconds(sum) < deploy.timeout || (tried && Seconds(sum - deploy.settle.0) >= deploy.timeout) {
        return;
    }
    let said: Vec<String> = parts
        .iter()
        .map(|(key, seconds, times)| match times {
            1 => format!("{key} {seconds} s"),
            _ => format!("{key} {times} × {seconds} s"),
        })
        .collect();
    table.doc.push(
        Problem::new(
            table.span_of("timeout"),
            format!(
                "deploy.timeout ({} s) can be over before a healthy deploy is: {}",
                deploy.timeout,
                said.join(", ")
            ),
        )
        .help(format!("make it longer than {sum}s, or one of these shorter"))
        .contextual(),
    );
}

fn number_of_instances(
    deploy: &Deploy,
    instances: &Instances,
    template: &str,
    refuse: &impl Fn(&'static str, String, String),
) {
    let strategy = deploy.strategy;
    let number = instances.len();
    if strategy.by_instances() && number < 2 {
        let are = match number {
            0 => "are none".to_owned(),
            n => format!("is only {n}"),
        };
        refuse(
            "strategy",
            format!("\"{strategy}\" needs a second instance that serves meanwhile, and there {are}"),
            format!(
                "name at least two of {template}, for example [instances.blue] and [instances.green], or choose \"recreate\""
            ),
        );
        return;
    }
    if strategy == Strategy::BlueGreen && number > 2 {
        refuse(
            "strategy",
            format!("\"blue-green\" changes between two instances, and there are {number}"),
            "name two instances, or choose \"rolling\"".to_owned(),
        );
    }
    let rolls = matches!(strategy, Strategy::Rolling | Strategy::Canary);
    if rolls && usize::try_from(deploy.max_parallel).is_ok_and(|most| most >= number) {
        refuse(
            "max_parallel",
            format!(
                "with {} at a time none of the {number} instances would serve",
                deploy.max_parallel
            ),
            format!("write at most {}, or name more instances", number - 1),
        );
    }
}

/// Keys that the chosen strategy or proxy never reads.
fn without_meaning(deploy: &Deploy, table: &Table<'_>) {
    let strategy = deploy.strategy;
    let rolls = matches!(strategy, Strategy::Rolling | Strategy::Canary);
    let by_strategy = [
        (
            "check",
            strategy.by_instances(),
            "choose \"rolling\", \"blue-green\" or \"canary\"",
        ),
        ("soak", strategy == Strategy::Canary, "choose \"canary\""),
        ("weight", strategy == Strategy::Canary, "choose \"canary\""),
        ("max_parallel", rolls, "choose \"rolling\""),
    ];
    for (key, read, instead) in by_strategy {
        if table.has(key) && !read {
            table.doc.push(
                Problem::new(
                    table.span_of(key),
                    format!("deploy.{key} means nothing to the strategy \"{strategy}\""),
                )
                .help(format!("remove it, or {instead}")),
            );
        }
    }
    if deploy.weight.is_some() && deploy.proxy == Proxy::None && strategy == Strategy::Canary {
        table.doc.push(
            Problem::new(
                table.span_of("weight"),
                "deploy.weight: it is the proxy's, and there is none",
            )
            .help("add proxy = \"nginx\", or remove the key"),
        );
    }
    if table.has("drain") && deploy.proxy == Proxy::None {
        table.doc.push(
            Problem::new(
                table.span_of("drain"),
                "deploy.drain: it is for the requests of a proxy, and there is none",
            )
            .help("remove it, or add proxy = \"nginx\"; a service's own is X-Relpack.Drain"),
        );
    }
    if deploy.lame_duck.is_some() && deploy.proxy != Proxy::None {
        table.doc.push(
            Problem::new(
                table.span_of("lame_duck"),
                "deploy.lame_duck: nginx knows by itself which instances serve",
            )
            .help("remove it, or write proxy = \"none\" for a balancer that watches the health endpoint"),
        );
    }
    if deploy.lame_duck.is_some() && strategy == Strategy::Reload {
        table.doc.push(
            Problem::new(
                table.span_of("lame_duck"),
                "deploy.lame_duck means nothing to the strategy \"reload\"",
            )
            .help("remove it, or choose \"recreate\""),
        );
    }
}

/// What only the complete units can tell.
pub(super) fn check_units(
    tables: &Tables<'_, '_>,
    instances: &Instances,
    package: &PackageName,
    units: &[systemd::Unit],
    deploy: &Deploy,
    migrate: Option<&Migrate>,
) {
    if let Some(table) = tables
        .deploy
        .filter(|_| units.iter().any(|unit| unit.relpack.trial.is_some()))
    {
        fits(deploy, table, instances.len(), migrate, true);
    }
    if let Some(table) = tables.deploy.filter(|_| deploy.strategy == Strategy::Reload)
        && !units.iter().any(|unit| unit.relpack.on_upgrade == OnUpgrade::Reload)
    {
        let service = units
            .iter()
            .find(|unit| unit.name.kind() == UnitKind::Service && unit.relpack.gated)
            .map_or("the service", |unit| unit.name.as_str());
        table.doc.push(
            Problem::new(
                table.span_of("strategy"),
                "deploy.strategy: \"reload\" reloads services, and none of them can be reloaded",
            )
            .help(format!(
                "give {service} Service.ExecReload (or Type = \"notify-reload\"), or choose \"recreate\""
            ))
            .contextual(),
        );
    }
    let template = format!("{package}@.service");
    let Some(unit) = units.iter().find(|unit| unit.name.as_str() == template) else {
        return;
    };
    if let (Some(table), Proxy::Nginx { server }) = (tables.deploy, &deploy.proxy)
        && let Some((one, other, address)) = same_address(server, unit, instances)
    {
        table.doc.push(
            Problem::new(
                table.span_of(if table.has("server") { "server" } else { "proxy" }),
                format!("deploy.server: {one} and {other} have the same address, {address}"),
            )
            .help(different(&one))
            .contextual(),
        );
    } else if let (Some(table), Some(health)) = (tables.instances, &unit.relpack.health)
        && !matches!(health, Health::Exec { .. })
        && let Some((one, other, address)) = same_address(&health.target(), unit, instances)
    {
        table.doc.push(
            Problem::new(
                table.span.clone(),
                format!("instances: {one} and {other} have the same health check, {address}"),
            )
            .help(different(&one))
            .contextual(),
        );
    }
}

fn different(instance: &str) -> String {
    format!(
        "give each a port of its own: instances.{instance}.Environment.PORT = \"3000\", and the address as {{env.PORT}}"
    )
}

/// Two instances whose address is the same, as far as the package says it; a host may still say otherwise.
fn same_address(text: &str, unit: &systemd::Unit, instances: &Instances) -> Option<(String, String, String)> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (instance, environment) in instances {
        let value = |name: &EnvName| environment.get(name).or_else(|| unit.relpack.health_env.get(name));
        let mut address = text.replace("{instance}", instance.as_str());
        for name in systemd::env_names(text) {
            // What only the host sets may be different there.
            let set = name.parse().ok().and_then(|name| value(&name).cloned())?;
            address = address.replace(&format!("{{env.{name}}}"), &set);
        }
        if let Some(other) = seen.insert(address.clone(), instance.as_str()) {
            return Some((other.to_owned(), instance.to_string(), address));
        }
    }
    None
}

impl Check {
    /// The URL, which may hold placeholders; nothing where it is a command.
    pub(super) fn url(&self) -> Option<&str> {
        match self {
            Check::Command(_) => None,
            Check::Http { url, .. } => Some(url),
        }
    }
}
