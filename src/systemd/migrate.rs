//! Owns the units that relpack makes for `[migrate]`: the migration before a switch and the one before the first start.

use crate::model::{Lint, UnitKind, UnitName, UserName};

use super::check::{X_RELPACK, check_text};
use super::complete::{add_env_conditions, documentation, reads_env_file, release_bind};
use super::deploy::is_oneshot;
use super::directives::{self, Group};
use super::exec::{resolve_command_line, shell_doubt};
use super::input::{Context, MigrateInput, Origin, Report, UnitError};
use super::placeholders::{Vars, expand};
use super::specifiers::{OfInstance, written_out};
use super::unit::{OnUpgrade, RELEASE_PLACEHOLDER, Unit, UnitSettings};
use super::unit_file::UnitFile;

/// What would let the environment file, which the service's user may write, load code into the root command after the
/// migration (ld.so(8), gettext(3), iconv(3)); the rest of the environment ends at `env -i`.
const LOADER_VARIABLES: &str = "LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH LD_DEBUG LD_DEBUG_OUTPUT LD_PROFILE \
    LD_PROFILE_OUTPUT LD_ORIGIN_PATH GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH LANGUAGE";

/// What a template may say of each of its instances without a meaning for the migration: to leave any of these out gives it
/// neither another user nor more rights.
const MAY_BE_LEFT_OUT: &[&str] = &[
    "CacheDirectory",
    "ConfigurationDirectory",
    "Environment",
    "EnvironmentFile",
    "LogsDirectory",
    "RuntimeDirectory",
    "StateDirectory",
    "SyslogIdentifier",
];

/// Appends the two units, and makes the package's long-running services wait for the second.
pub(crate) fn add_units(units: &mut Vec<Unit>, vars: &Vars, ctx: &Context, report: &mut Report) {
    let Some(migrate) = &ctx.migrate else {
        return;
    };
    let mut fail = |key: &str, message: String, hint: String| {
        report.error(UnitError::of(&Origin::Migrate, message, hint).at_key(key));
    };
    let like = units.iter().find(|unit| unit.name == migrate.like);
    let like = match like {
        Some(unit) if unit.name.kind() == UnitKind::Service => unit,
        Some(unit) => {
            fail(
                "like",
                format!("{} is not a service", unit.name),
                "name the service whose user, environment and sandbox the migration has".into(),
            );
            return;
        }
        None => {
            let names = units.iter().map(|unit| unit.name.as_str());
            let hint = match directives::closest(migrate.like.as_str(), names) {
                Some(similar) => format!("did you mean {similar:?}?"),
                None => "name one of the package's services".into(),
            };
            fail("like", format!("{} is not a unit of this package", migrate.like), hint);
            return;
        }
    };
    let command = check_text(&migrate.exec)
        .and_then(|()| expand(migrate.exec.trim_ascii(), vars, false))
        .and_then(|text| resolve_command_line(&text, &ctx.app()));
    let command = match command {
        Ok(command) => command,
        Err((message, hint)) => {
            fail("exec", message, hint);
            return;
        }
    };
    if let Some((message, hint)) = shell_doubt(&command) {
        let doubt = UnitError::of(&Origin::Migrate, message, hint).at_key("exec");
        report.warning(doubt.named(Lint::ExecShellSyntax));
    }
    let mut fail = |key: &str, message: String, hint: String| {
        report.error(UnitError::of(&Origin::Migrate, message, hint).at_key(key));
    };
    let (Ok(migrate_name), Ok(first_name)) = (
        ctx.migrate_unit().parse::<UnitName>(),
        ctx.first_start_unit().parse::<UnitName>(),
    ) else {
        fail("like", "the package's name is too long".into(), "shorten it".into());
        return;
    };

    let base = match like_file(like, units, &command, migrate, ctx) {
        Ok(base) => base,
        Err((message, hint)) => {
            fail("like", message, hint);
            return;
        }
    };
    let mut before_switch = base.clone();
    set_description(&mut before_switch, "database migration", ctx);
    let mut before_start = base;
    set_description(&mut before_start, "migration before the first start", ctx);
    before_start.append(
        "Unit",
        "ConditionPathExists",
        format!("/var/lib/relpack/{}/pending-migration", ctx.package),
    );
    if reads_env_file(&like.file, ctx) {
        add_env_conditions(&mut before_start, ctx);
    }
    // A template can't be named in a dependency; its instances name this unit themselves.
    let services: Vec<&str> = units
        .iter()
        .filter(|unit| unit.name.kind() == UnitKind::Service && !unit.name.is_template())
        .map(|unit| unit.name.as_str())
        .collect();
    if !services.is_empty() {
        before_start.append("Unit", "Before", services.join(" "));
    }
    for unit in units.iter_mut() {
        if unit.name.kind() == UnitKind::Service && !is_oneshot(&unit.file) {
            unit.file.append("Unit", "Requires", first_name.as_str());
            unit.file.append("Unit", "After", first_name.as_str());
        }
    }
    units.push(generated(migrate_name, before_switch));
    units.push(generated(first_name, before_start));
}

/// A unit of which a deploy as a whole knows nothing.
pub(super) fn generated(name: UnitName, file: UnitFile) -> Unit {
    Unit {
        name,
        file,
        relpack: UnitSettings {
            health: None,
            health_timeout: None,
            health_env: Default::default(),
            on_upgrade: OnUpgrade::None,
            trial: None,
            drain: None,
            enable: false,
            gated: false,
        },
        generated: true,
    }
}

/// The package's own words, and what this unit of it is for.
pub(super) fn set_description(file: &mut UnitFile, what: &str, ctx: &Context) {
    let synopsis = ctx.synopsis.replace('%', "%%");
    let text = if synopsis.is_empty() {
        format!("{} ({what})", ctx.package)
    } else {
        format!("{synopsis} ({what})")
    };
    file.set("Unit", "Description", text);
}

/// The unit that both have in common. What a template says of each of its instances' environment is left out: a migration is
/// of the whole application.
fn like_file(
    like: &Unit,
    units: &[Unit],
    command: &str,
    migrate: &MigrateInput,
    ctx: &Context,
) -> Result<UnitFile, (String, String)> {
    let mut file = UnitFile::new();
    file.append("Unit", "Description", "");
    file.append("Unit", "Documentation", documentation(ctx));
    append_surroundings(&mut file, like, units, ctx);
    file.append("Service", "Type", "oneshot");
    file.append("Service", "ExecStart", command);
    // As root, and only when the command succeeded: the record outlives whoever waits for the unit.
    file.append(
        "Service",
        "ExecStartPost",
        format!(
            "+/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/{}-release _migrated {RELEASE_PLACEHOLDER}",
            ctx.package
        ),
    );
    file.append("Service", "UnsetEnvironment", LOADER_VARIABLES);
    file.append("Service", "TimeoutStartSec", format!("{}s", migrate.timeout));
    let copied = like.file.section("Service").map_or(&[][..], |s| &s.entries);
    for entry in copied.iter().filter(|entry| is_environment(&entry.key, &entry.value)) {
        match written_out(&entry.value, &like.name) {
            Ok(value) => file.append("Service", &entry.key, at_own_release(&value, ctx)),
            Err(_) if MAY_BE_LEFT_OUT.contains(&entry.key.as_str()) => {}
            Err(OfInstance(c)) => {
                return Err((
                    format!("{} has {}={} for each instance", like.name, entry.key, entry.value),
                    format!(
                        "the migration belongs to no instance: write the directive without %{c}, \
                         or name another service whose user, environment and sandbox it gets"
                    ),
                ));
            }
        }
    }
    if like.relpack.on_upgrade == OnUpgrade::Reload {
        file.append("Service", "BindReadOnlyPaths", release_bind(ctx));
    }
    close(&mut file, like, ctx)?;
    Ok(file)
}

/// What every unit has that runs beside the service it is like, and of which a deploy as a whole knows nothing.
pub(super) fn close(file: &mut UnitFile, like: &Unit, ctx: &Context) -> Result<(), (String, String)> {
    append_dynamic_user(file, like)?;
    if file.has("Service", "RuntimeDirectory") {
        // The service uses the same directory, which would go with this unit's end.
        file.set("Service", "RuntimeDirectoryPreserve", "yes");
    }
    file.append(X_RELPACK, "Package", ctx.package.as_str());
    file.append(X_RELPACK, "Release", RELEASE_PLACEHOLDER);
    file.append(X_RELPACK, "OnUpgrade", OnUpgrade::None.word());
    Ok(())
}

/// What of the host's the service needs: its own package's units are left out.
pub(super) fn append_surroundings(file: &mut UnitFile, like: &Unit, units: &[Unit], ctx: &Context) {
    for key in ["Wants", "Requires", "After"] {
        let foreign: Vec<String> = like
            .file
            .get_list("Unit", key)
            .into_iter()
            .flat_map(str::split_whitespace)
            .filter_map(|name| written_out(name, &like.name).ok())
            .filter(|name| !is_own(name, units, ctx))
            .collect();
        if !foreign.is_empty() {
            file.append("Unit", key, foreign.join(" "));
        }
    }
    for paths in like.file.get_list("Unit", "RequiresMountsFor") {
        if let Ok(paths) = written_out(paths, &like.name) {
            file.append("Unit", "RequiresMountsFor", paths);
        }
    }
}

/// A dynamic user is named after its unit (systemd.exec(5), `DynamicUser=`): under another name it would take the directories
/// of the service, which runs meanwhile, over.
fn append_dynamic_user(file: &mut UnitFile, like: &Unit) -> Result<(), (String, String)> {
    let says = |key: &str| like.file.get("Service", key).filter(|value| !value.is_empty());
    if !says("DynamicUser").is_some_and(directives::is_yes) || says("User").is_some() {
        return Ok(());
    }
    let name = like.name.prefix();
    if name.parse::<UserName>().is_err() {
        return Err((
            format!(
                "{} has a dynamic user without a name that another unit could share",
                like.name
            ),
            format!(
                "set Service.User in {}, to a name of letters, digits, \"-\" and \"_\"",
                like.name
            ),
        ));
    }
    file.append("Service", "User", name);
    Ok(())
}

/// The value with the live release's path replaced by that of the unit's own, which runs before the switch.
pub(super) fn at_own_release(value: &str, ctx: &Context) -> String {
    let (live, app) = (ctx.current(), ctx.app());
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(&live) {
        let after = &rest[at + live.len()..];
        let whole = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        out.push_str(&rest[..at]);
        out.push_str(if whole { &app } else { &live });
        rest = after;
    }
    out + rest
}

/// Whether a directive says who runs it, with what around it, and within which limits.
fn is_environment(key: &str, value: &str) -> bool {
    let Some(directive) = directives::find("Service", key) else {
        return false;
    };
    let from_socket = matches!(key, "StandardInput" | "StandardOutput" | "StandardError")
        && (value == "socket" || value.starts_with("fd"));
    matches!(directive.group, Group::Exec | Group::Resource)
        && !from_socket
        && !matches!(
            key,
            "Delegate" | "DelegateSubgroup" | "CoredumpReceive" | "IgnoreSIGPIPE" | "TimeoutCleanSec"
        )
}

fn is_own(name: &str, units: &[Unit], ctx: &Context) -> bool {
    let Ok(name) = name.parse::<UnitName>() else {
        return false;
    };
    let template = name.template();
    units
        .iter()
        .any(|unit| unit.name == name || Some(&unit.name) == template.as_ref())
        || [ctx.migrate_unit(), ctx.first_start_unit()].contains(&name.to_string())
}
