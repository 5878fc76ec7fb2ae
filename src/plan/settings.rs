//! Renders `.relpack/settings`: what the host's scripts have to know of a release, one fact a line, TAB-separated.

use std::collections::BTreeMap;

use crate::config::{Check, Config, Proxy, Strategy};
use crate::model::EnvName;
use crate::systemd::{Unit, trial_name};

/// The first line: the format and its version. A newer relpack reads older formats.
const HEADER: &str = "#relpack-settings 1";

/// Renders the settings of a release.
pub fn render(config: &Config) -> String {
    let mut lines = vec![HEADER.to_owned()];
    let mut put = |fields: &[&str]| lines.push(fields.join("\t"));
    put(&["name", config.package.name.as_str()]);
    put(&["user", config.user.name.as_str(), config.user.group.as_str()]);
    put(&["strategy", &config.deploy.strategy.to_string()]);
    put(&["keep", &config.release.keep.to_string()]);
    put(&["timeout", &config.deploy.timeout.get().to_string()]);
    put(&["settle", &config.deploy.settle.get().to_string()]);
    put(&["successes", &config.deploy.successes.to_string()]);
    match &config.deploy.check {
        None => {}
        Some(Check::Command(command)) => put(&["check", command]),
        Some(Check::Http { url, status, within }) => put(&[
            "check-http",
            &status.start().to_string(),
            &status.end().to_string(),
            &within.to_string(),
            url,
        ]),
    }
    if config.deploy.strategy == Strategy::Canary {
        put(&["soak", &config.deploy.soak.get().to_string()]);
    }
    if let Some(weight) = config.deploy.weight {
        put(&["weight", &weight.to_string()]);
    }
    if config.deploy.max_parallel > 1 {
        put(&["max-parallel", &config.deploy.max_parallel.to_string()]);
    }
    if let Some(notice) = config.deploy.lame_duck {
        put(&["lame-duck", &notice.get().to_string()]);
    }
    put(&["drain", &config.deploy.drain.get().to_string()]);
    if let Proxy::Nginx { server } = &config.deploy.proxy {
        put(&["proxy", "nginx"]);
        put(&["proxy-server", server]);
    }
    if let Some(migrate) = &config.migrate {
        put(&["migrate", &migrate.timeout.get().to_string()]);
    }
    if config.env.present {
        put(&["env-file", config.env.file.as_str()]);
    }
    for name in &config.env.required {
        put(&["env-required", name.as_str()]);
    }
    for file in &config.files {
        let mode = format!("{:04o}", file.mode);
        let mut fields = vec!["file", file.path.as_str(), &mode];
        if !file.conffile {
            fields.push("release");
        }
        put(&fields);
    }
    for link in &config.links {
        put(&["link", link.path.as_str(), &link.text(&config.release.prefix)]);
    }
    for unit in &config.units {
        let relpack = &unit.relpack;
        if relpack.trial.is_some() {
            put(&["trial", unit.name.as_str(), trial_name(&unit.name).as_str()]);
        }
        let mut put_unit = |name: &str, enable: bool, gated: bool| {
            put(&[
                "unit",
                name,
                unit.name.kind().suffix(),
                relpack.on_upgrade.word(),
                if enable { "enable" } else { "static" },
                if gated { "gated" } else { "-" },
            ]);
            if let Some(health) = &relpack.health {
                let timeout = relpack.health_timeout.unwrap_or(config.deploy.health_timeout);
                put(&[
                    "health",
                    name,
                    health.word(),
                    &timeout.get().to_string(),
                    &health.target(),
                ]);
            }
        };
        // A template's settings are those of its instances, also of such that an admin makes.
        put_unit(unit.name.as_str(), relpack.enable, relpack.gated);
        let installable = unit
            .file
            .section("Install")
            .is_some_and(|section| !section.entries.is_empty());
        let instances = instances(config, unit);
        for (name, _) in &instances {
            put_unit(name, installable, relpack.gated);
        }
        // The first line of a variable counts: what an instance says goes before what all of them say.
        for (name, environment) in &instances {
            for (variable, value) in *environment {
                put(&["env-default", name, variable.as_str(), value]);
            }
            for (variable, value) in &relpack.health_env {
                put(&["env-default", name, variable.as_str(), value]);
            }
        }
        for (name, value) in &relpack.health_env {
            put(&["env-default", unit.name.as_str(), name.as_str(), value]);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The unit names of a template's instances, with the environment of each.
fn instances<'a>(config: &'a Config, unit: &Unit) -> Vec<(String, &'a BTreeMap<EnvName, String>)> {
    let name = &config.package.name;
    if unit.name.as_str() != format!("{name}@.service") {
        return Vec::new();
    }
    let of_one = |(instance, environment)| (format!("{name}@{instance}.service"), environment);
    config.instances.iter().map(of_one).collect()
}

/// The text of an instance's environment file (systemd.exec(5), `EnvironmentFile=`).
pub fn environment_file(environment: &BTreeMap<EnvName, String>) -> String {
    let mut text = String::new();
    for (name, value) in environment {
        text.push_str(name.as_str());
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    text
}
