//! Renders `.relpack/settings`: what the host's scripts have to know of a release, one fact a line, TAB-separated.

use crate::config::Config;

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
        put(&["file", file.path.as_str(), &format!("{:04o}", file.mode)]);
    }
    for unit in &config.units {
        let relpack = &unit.relpack;
        put(&[
            "unit",
            unit.name.as_str(),
            unit.name.kind().suffix(),
            relpack.on_upgrade.word(),
            if relpack.enable { "enable" } else { "static" },
            if relpack.gated { "gated" } else { "-" },
        ]);
        if let Some(health) = &relpack.health {
            let timeout = relpack.health_timeout.unwrap_or(config.deploy.health_timeout);
            put(&[
                "health",
                unit.name.as_str(),
                health.word(),
                &timeout.get().to_string(),
                &health.target(),
            ]);
            for (name, value) in &relpack.health_env {
                put(&["env-default", unit.name.as_str(), name.as_str(), value]);
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
