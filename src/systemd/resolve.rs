//! Owns the resolution: what the user wrote becomes complete units, with presets and defaults applied once, last.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Lint, UnitKind, UnitName};

use super::check::{Layer, X_RELPACK, resolve_layer};
use super::complete::complete;
use super::deploy::{self, is_oneshot};
use super::input::{Context, Origin, Report, UnitError, UnitInput, UnitWarning};
use super::layers::{Merged, merge};
use super::placeholders::{Vars, expand};
use super::semantics;
use super::unit::{OnUpgrade, Unit};
use super::unit_file::UnitFile;
use super::{directives, migrate, presets, trial};

/// Makes complete units of what the user wrote; all errors at once, in the order of the input.
pub fn resolve(input: Vec<UnitInput>, ctx: &Context) -> Result<(Vec<Unit>, Vec<UnitWarning>), Vec<UnitError>> {
    let mut report = Report::default();
    let preset = preset(ctx, &mut report);
    check_prefix(ctx, &mut report);
    check_defaults(ctx, &mut report);

    let by_clock: BTreeSet<UnitName> = input
        .iter()
        .filter(|unit| matches!(unit.name.kind(), UnitKind::Timer | UnitKind::Path))
        .filter_map(|unit| semantics::triggered(&unit.name, &unit.file))
        .map(|(_, target)| target)
        .collect();
    let mut merged: Vec<(UnitName, Merged)> = Vec::new();
    let mut files: BTreeMap<UnitName, UnitFile> = BTreeMap::new();
    for unit in input {
        semantics::check_name(&unit.name, ctx, &mut report);
        if files.contains_key(&unit.name) {
            let message = format!("{} is there twice", unit.name);
            report.error(UnitError::of(&Origin::Unit(unit.name), message, "keep one of the two"));
            continue;
        }
        let reload = match is_reloaded(&unit, ctx) {
            None if ctx.deploy.reload && !by_clock.contains(&unit.name) && can_reload(&unit, &preset, ctx) => {
                Reload::Strategy
            }
            Some(true) => Reload::Written,
            _ => Reload::No,
        };
        let layers = layers(&unit, &preset, reload, ctx, &mut report);
        let laid = merge(&layers);
        files.insert(unit.name.clone(), laid.joined());
        merged.push((unit.name, laid));
    }

    let mut triggered: BTreeMap<UnitName, BTreeSet<UnitKind>> = BTreeMap::new();
    // What a socket starts for each connection ends with it.
    let mut by_call: BTreeSet<UnitName> = BTreeSet::new();
    for (name, file) in &files {
        semantics::check_unit(name, file, &mut report);
        semantics::check_trigger(name, file, &files, ctx, &mut report);
        if let Some((_, target)) = semantics::triggered(name, file) {
            triggered.entry(target.clone()).or_default().insert(name.kind());
            if name.kind() == UnitKind::Socket && file.get("Socket", "Accept").is_some_and(directives::is_yes) {
                by_call.insert(target.clone());
            }
            if let Some(template) = target.template() {
                triggered.entry(template).or_default().insert(name.kind());
            }
        }
    }

    let mut units = Vec::with_capacity(merged.len());
    for (name, laid) in merged {
        let triggers = triggered.remove(&name).unwrap_or_default();
        let file = complete(&name, laid, !triggers.is_empty(), ctx);
        let by_other =
            triggers.contains(&UnitKind::Timer) || triggers.contains(&UnitKind::Path) || by_call.contains(&name);
        if triggers.contains(&UnitKind::Timer) && !is_oneshot(&file) && !file.has("X-Relpack", "OnUpgrade") {
            report.warning(
                UnitError::of(
                    &Origin::Unit(name.clone()),
                    "a timer starts the service, and its Type= is not oneshot: an upgrade leaves it alone",
                    "set Service.Type = \"oneshot\" for a job, or X-Relpack.OnUpgrade = \"restart\" for a server",
                )
                .in_section("Service")
                .named(Lint::TimerStartsServer),
            );
        }
        let relpack = deploy::settings(&name, &file, by_other, ctx, &mut report);
        units.push(Unit {
            name,
            file,
            relpack,
            generated: false,
        });
    }
    migrate::add_units(&mut units, &vars(None, ctx.app(), ctx), ctx, &mut report);
    trial::add_units(&mut units, ctx, &mut report);

    report.drop_what_follows();
    if report.errors.is_empty() {
        units.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((units, report.warnings))
    } else {
        Err(report.errors)
    }
}

fn preset(ctx: &Context, report: &mut Report) -> UnitFile {
    let Some(name) = &ctx.defaults.preset else {
        return UnitFile::new();
    };
    if let Some(preset) = presets::find(name) {
        return preset;
    }
    let known: Vec<&str> = presets::names().collect();
    report.error(
        UnitError::of(
            &Origin::Defaults,
            format!("the preset {name:?} is not known"),
            match directives::closest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("one of {}", known.join(", ")),
            },
        )
        .at_key("preset"),
    );
    UnitFile::new()
}

/// The prefix stands unquoted in lists and before colons.
fn check_prefix(ctx: &Context, report: &mut Report) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '+');
    for path in std::iter::once(&ctx.prefix).chain(&ctx.env_file).chain(&ctx.writable) {
        if let Some(bad) = path.as_str().chars().find(|&c| !plain(c)) {
            report.error(UnitError::of(
                &Origin::Defaults,
                format!("the path {path} contains {bad:?}, which means something else in a unit file"),
                "use letters, digits, '-', '_', '.' and '+'",
            ));
        }
    }
}

/// Reports what is wrong with `[defaults]` even where no service uses them.
fn check_defaults(ctx: &Context, report: &mut Report) {
    let Ok(any) = format!("{}@.service", ctx.package).parse::<UnitName>() else {
        return;
    };
    let layer = Layer {
        origin: &Origin::Defaults,
        unit: &any,
        vars: &vars(Some(&any), ctx.app(), ctx),
    };
    resolve_layer(&ctx.defaults.file, &layer, ctx, report);
}

/// Who says that a change of the release reloads a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reload {
    No,
    Written,
    Strategy,
}

fn layers(unit: &UnitInput, preset: &UnitFile, reload: Reload, ctx: &Context, report: &mut Report) -> Vec<UnitFile> {
    let app = if reload == Reload::No { ctx.app() } else { ctx.current() };
    let vars = vars(Some(&unit.name), app, ctx);
    let mut layer = |origin: &Origin, file: &UnitFile| {
        let layer = Layer {
            origin,
            unit: &unit.name,
            vars: &vars,
        };
        resolve_layer(file, &layer, ctx, report)
    };
    let mut own = layer(&Origin::Unit(unit.name.clone()), &unit.file);
    if reload == Reload::Strategy {
        own.append(X_RELPACK, "OnUpgrade", OnUpgrade::Reload.word());
    }
    if unit.name.kind() != UnitKind::Service {
        return vec![own];
    }
    let defaults = layer(&Origin::Defaults, &ctx.defaults.file);
    vec![placed(preset, &vars, report), defaults, own]
}

/// The preset with its placeholders filled in; else it is right as it is.
fn placed(preset: &UnitFile, vars: &Vars, report: &mut Report) -> UnitFile {
    let mut placed = UnitFile::new();
    for section in preset.sections() {
        for entry in &section.entries {
            match expand(&entry.value, vars, false) {
                Ok(value) => placed.append(&section.name, &entry.key, value),
                Err((message, hint)) => report.error(UnitError::of(&Origin::Defaults, message, hint).at_key("preset")),
            }
        }
    }
    placed
}

/// Whether a change of the release reloads the unit, where it says so; it decides what `{app}` is, so it is asked before
/// the layers meet.
fn is_reloaded(unit: &UnitInput, ctx: &Context) -> Option<bool> {
    if unit.name.kind() != UnitKind::Service {
        return Some(false);
    }
    let chosen = |file: &UnitFile| {
        let mut written = file
            .sections()
            .iter()
            .filter(|section| section.name.eq_ignore_ascii_case(X_RELPACK))
            .flat_map(|section| &section.entries)
            .filter(|entry| entry.key == "OnUpgrade");
        written.next_back().map(|entry| entry.value.trim_ascii().to_owned())
    };
    let word = chosen(&unit.file).or_else(|| chosen(&ctx.defaults.file))?;
    (!word.is_empty()).then(|| word == OnUpgrade::Reload.word())
}

/// Whether the service, all layers together, is one that systemd can reload.
fn can_reload(unit: &UnitInput, preset: &UnitFile, ctx: &Context) -> bool {
    let layers = [preset, &ctx.defaults.file, &unit.file];
    let last = |key: &str| layers.iter().rev().find_map(|file| file.get("Service", key));
    let by_command = last("ExecReload").is_some_and(|command| !command.is_empty());
    match last("Type") {
        Some("oneshot") => false,
        Some("notify-reload") => true,
        _ => by_command,
    }
}

pub(crate) fn vars(unit: Option<&UnitName>, app: String, ctx: &Context) -> Vars {
    Vars {
        app,
        shared: ctx.shared(),
        prefix: ctx.prefix.to_string(),
        instance: unit.filter(|unit| unit.is_template()).map(|_| "%i"),
    }
}
