//! Owns relpack's own defaults: what a unit gets where the user set nothing, and what binds it to its release.

use crate::model::{UnitKind, UnitName};

use super::check::X_RELPACK;
use super::deploy::is_oneshot;
use super::directives;
use super::input::Context;
use super::layers::Merged;
use super::unit::{OnUpgrade, RELEASE_PLACEHOLDER};
use super::unit_file::{Entry, UnitFile};

/// Fills in the defaults. `triggered`: a timer, path or socket of the package starts the unit.
pub(crate) fn complete(name: &UnitName, mut merged: Merged, triggered: bool, ctx: &Context) -> UnitFile {
    let written = merged.joined();
    let front = &mut merged.front;
    if !written.has("Unit", "Description") && !ctx.synopsis.is_empty() {
        let entry = Entry::new("Description", description(name, ctx));
        front.section_mut("Unit").entries.insert(0, entry);
    }
    // "systemctl status" shows it, and "systemctl help" opens it.
    if name.kind() == UnitKind::Service && !written.has("Unit", "Documentation") {
        front.append("Unit", "Documentation", documentation(ctx));
    }
    add_mount_dependency(front, &written, ctx);
    match name.kind() {
        UnitKind::Service => {
            let of_instances = ctx.is_instances_template(name);
            if of_instances && ctx.deploy.one_at_a_time {
                // Both are enabled, and a boot starts the one that serves.
                let mark = format!("!/var/lib/relpack/{}/idle/%i", ctx.package);
                front.append("Unit", "ConditionPathExists", mark);
            }
            if of_instances {
                // Before all others, which may say otherwise for this host.
                front.append("Service", "EnvironmentFile", instance_env_file(ctx));
            }
            if ctx.deploy.lame_duck && !is_oneshot(&written) {
                front.append("Service", "Environment", lame_duck(name, ctx));
            }
            complete_service(front, &written, ctx);
            if of_instances {
                front.append("Service", "EnvironmentFile", format!("-{}/env.%i", ctx.shared()));
            }
        }
        kind => {
            if let Some(section) = directives::own_section(kind) {
                front.section_mut(section);
            }
        }
    }
    if written.section("Install").is_none()
        && let Some(target) = wanted_by(name.kind(), triggered)
    {
        front.append("Install", "WantedBy", target);
    }
    let joined = merged.joined();
    order(joined, name.kind(), ctx)
}

/// The manual of the package's own command.
pub(crate) fn documentation(ctx: &Context) -> String {
    format!("man:{}-release(1)", ctx.package)
}

fn description(name: &UnitName, ctx: &Context) -> String {
    let synopsis = ctx.synopsis.replace('%', "%%");
    let rest = name
        .prefix()
        .strip_prefix(ctx.package.as_str())
        .unwrap_or(name.prefix())
        .trim_start_matches('-')
        .to_owned();
    let mut words = vec![rest];
    if name.kind() != UnitKind::Service {
        words.push(name.kind().to_string());
    }
    if name.is_template() {
        words.push("%i".to_owned());
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return synopsis;
    }
    format!("{synopsis} ({})", words.join(" "))
}

fn add_mount_dependency(front: &mut UnitFile, written: &UnitFile, ctx: &Context) {
    let already = written
        .get_list("Unit", "RequiresMountsFor")
        .iter()
        .any(|line| line.split_whitespace().any(|path| path == ctx.prefix.as_str()));
    if !already {
        front.append("Unit", "RequiresMountsFor", ctx.prefix.as_str());
    }
}

/// Where the service finds that it is about to be stopped.
fn lame_duck(name: &UnitName, ctx: &Context) -> String {
    let unit = if name.is_template() {
        format!("{}@%i.service", name.prefix())
    } else {
        name.to_string()
    };
    format!("RELPACK_LAME_DUCK=/run/relpack/{}/lame-duck/{unit}", ctx.package)
}

/// What `[instances]` says, as the release carries it. systemd reads it before the unit has mounts of its own.
fn instance_env_file(ctx: &Context) -> String {
    format!(
        "-{}/releases/{RELEASE_PLACEHOLDER}/.relpack/instances/%i.env",
        ctx.prefix
    )
}

fn complete_service(front: &mut UnitFile, written: &UnitFile, ctx: &Context) {
    let has = |key: &str| written.has("Service", key);
    let value = |key: &str| written.get("Service", key).unwrap_or("");
    let reloaded = written.get(X_RELPACK, "OnUpgrade") == Some(OnUpgrade::Reload.word());
    let mut add = |key: &str, value: &str| front.append("Service", key, value);
    // A dynamic or another user has a group of its own.
    let dynamic = directives::is_yes(value("DynamicUser"));
    if !has("User") && !dynamic {
        add("User", ctx.user.as_str());
    }
    let own_user = !has("User") || value("User") == ctx.user.as_str();
    if !has("Group") && !dynamic && own_user {
        add("Group", ctx.group.as_str());
    }
    if !has("WorkingDirectory") {
        add("WorkingDirectory", &if reloaded { ctx.current() } else { ctx.app() });
    }
    if let Some(file) = ctx.env_file.as_ref().filter(|_| !has("EnvironmentFile")) {
        add("EnvironmentFile", file.as_str());
    }
    if reads_env_file(written, ctx) {
        add_env_conditions(front, ctx);
    }
    let mut add = |key: &str, value: &str| front.append("Service", key, value);
    if !reloaded {
        add("BindReadOnlyPaths", &release_bind(ctx));
    }
    if value("ProtectSystem") == "strict" {
        let listed = written.get_list("Service", "ReadWritePaths");
        for path in &ctx.writable {
            if !listed.iter().any(|line| {
                line.split_whitespace()
                    .any(|p| p.trim_start_matches(['-', '+']) == path.as_str())
            }) {
                // With '-', one that an admin removed doesn't keep the service from starting.
                add("ReadWritePaths", &format!("-{path}"));
            }
        }
    }
    if !is_oneshot(written) {
        if !has("Restart") {
            add("Restart", "on-failure");
        }
        if !has("RestartSec") && value("Restart") != "no" {
            add("RestartSec", "1s");
        }
    }
}

/// What makes `{app}` this unit's own release.
pub(crate) fn release_bind(ctx: &Context) -> String {
    format!("{}/releases/{RELEASE_PLACEHOLDER}:{}", ctx.prefix, ctx.app())
}

/// Whether the service gets its settings from the package's environment file.
pub(crate) fn reads_env_file(written: &UnitFile, ctx: &Context) -> bool {
    let Some(file) = &ctx.env_file else { return false };
    let named = written.get_list("Service", "EnvironmentFile");
    !written.has("Service", "EnvironmentFile") || named.iter().any(|path| path.trim_start_matches('-') == file.as_str())
}

/// Without its required settings a service is skipped, not failed: also by a boot, long after the installation said so.
pub(crate) fn add_env_conditions(file: &mut UnitFile, ctx: &Context) {
    for name in &ctx.env_required {
        // systemd.exec(5): "${NAME}" as a word of its own becomes one argument, an empty one when it is not set.
        file.append("Service", "ExecCondition", format!("/usr/bin/test -n ${{{name}}}"));
    }
}

fn wanted_by(kind: UnitKind, triggered: bool) -> Option<&'static str> {
    match kind {
        UnitKind::Service if triggered => None,
        UnitKind::Service => Some("multi-user.target"),
        UnitKind::Timer => Some("timers.target"),
        UnitKind::Socket => Some("sockets.target"),
        UnitKind::Path => Some("paths.target"),
        _ => None,
    }
}

/// Puts the sections into their usual order; ours is last, and its first line is the package's.
fn order(mut file: UnitFile, kind: UnitKind, ctx: &Context) -> UnitFile {
    let mut ordered = UnitFile::new();
    for name in directives::sections(kind) {
        if let Some(mut section) = file.take_section(name) {
            if name == "Install" {
                section.entries.retain(|entry| !entry.value.is_empty());
            }
            ordered.section_mut(name).entries = section.entries;
        }
    }
    let deploy = file.take_section(X_RELPACK);
    for section in file.sections() {
        ordered.section_mut(&section.name).entries = section.entries.clone();
    }
    ordered.append(X_RELPACK, "Package", ctx.package.as_str());
    if kind == UnitKind::Service {
        ordered.append(X_RELPACK, "Release", RELEASE_PLACEHOLDER);
    }
    for entry in deploy.into_iter().flat_map(|section| section.entries) {
        if !entry.value.is_empty() {
            ordered.append(X_RELPACK, &entry.key, entry.value);
        }
    }
    ordered
}
