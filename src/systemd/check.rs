//! Owns the checks of each directive as it was written, and the filling in of placeholders and program paths.

use std::borrow::Cow;

use crate::model::{Lint, TimeSpan, UnitKind, UnitName};

use super::directives::{self, ValueKind};
use super::exec::{resolve_command_line, shell_doubt};
use super::input::{Context, Origin, Report, UnitError};
use super::placeholders::{Vars, expand};
use super::unit::RELEASE_PLACEHOLDER;
use super::unit_file::{Entry, JOINING, UnitFile, continues};
use super::values;

/// The section of the deploy keys.
pub(crate) const X_RELPACK: &str = "X-Relpack";

/// What a deploy key can be.
const DEPLOY_KEYS: &[&str] = &["OnUpgrade", "Health", "HealthTimeout", "Drain", "Trial"];

/// Where a layer of directives comes from, and which unit it is for.
pub(crate) struct Layer<'a> {
    pub origin: &'a Origin,
    pub unit: &'a UnitName,
    pub vars: &'a Vars,
}

/// Checks every directive of a layer and resolves its value; faulty ones are reported and left out.
pub(crate) fn resolve_layer(file: &UnitFile, layer: &Layer<'_>, ctx: &Context, report: &mut Report) -> UnitFile {
    let mut resolved = UnitFile::new();
    for section in file.sections() {
        let name = if section.name.eq_ignore_ascii_case(X_RELPACK) {
            X_RELPACK
        } else {
            section.name.as_str()
        };
        if let Err((message, hint)) = check_section(name, layer) {
            let error = UnitError::of(layer.origin, message, hint);
            report.error(error.in_section(&section.name));
            continue;
        }
        // An empty [Install] says that the unit is not to be enabled, so sections are kept even without entries.
        resolved.section_mut(name);
        for (at, entry) in section.entries.iter().enumerate() {
            let index = section.entries[..at]
                .iter()
                .filter(|other| other.key == entry.key)
                .count();
            let locate = |lint: Option<Lint>, message: String, hint: String| UnitError {
                origin: layer.origin.clone(),
                section: Some(section.name.clone()),
                key: Some(entry.key.clone()),
                index,
                line: entry.line,
                message,
                hint,
                lint,
            };
            match resolve_entry(name, entry, layer, ctx) {
                Ok((value, warning)) => {
                    if let Some((lint, message, hint)) = warning {
                        report.warning(locate(Some(lint), message, hint));
                    }
                    resolved.section_mut(name).entries.push(Entry {
                        key: entry.key.clone(),
                        value,
                        line: entry.line,
                    });
                }
                Err((message, hint)) => report.error(locate(None, message, hint)),
            }
        }
        warn_of_repeats(name, section.entries.as_slice(), layer, report);
    }
    resolved
}

fn check_section(name: &str, layer: &Layer<'_>) -> Result<(), Problem> {
    let kind = layer.unit.kind();
    let known = directives::sections(kind);
    if *layer.origin == Origin::Defaults {
        if matches!(name, "Unit" | "Service" | X_RELPACK) {
            return Ok(());
        }
        return Err((
            format!("[{name}] can't have defaults"),
            "the defaults hold for services: Unit, Service and X-Relpack; write the rest into the unit".to_owned(),
        ));
    }
    if known.contains(&name) || name.starts_with("X-") {
        return Ok(());
    }
    let hint = match directives::closest(name, known.iter().copied().chain([X_RELPACK])) {
        Some(similar) => format!("did you mean [{similar}]?"),
        None => format!("a {kind} has the sections {}", known.join(", ")),
    };
    Err((format!("a {kind} has no section [{name}]"), hint))
}

type Problem = (String, String);

/// A warning by name, its message and its hint.
type Doubt = (Lint, String, String);

fn resolve_entry(
    section: &str,
    entry: &Entry,
    layer: &Layer<'_>,
    ctx: &Context,
) -> Result<(String, Option<Doubt>), Problem> {
    check_text(&entry.value)?;
    if section == X_RELPACK {
        check_deploy_key(&entry.key)?;
        // The host fills in the instance and the environment of a health check.
        let vars = Vars {
            instance: layer.vars.instance.map(|_| "{instance}"),
            ..layer.vars.clone()
        };
        return Ok((expand(entry.value.trim_ascii(), &vars, true)?, None));
    }
    if section.starts_with("X-") {
        return Ok((entry.value.trim_ascii().to_owned(), None));
    }
    let kind = layer.unit.kind();
    let Some(directive) = directives::find(section, &entry.key) else {
        let hint = directives::suggestion(kind, section, &entry.key)
            .unwrap_or_else(|| format!("see {} for the directives of [{section}]", manual(kind)));
        return Err((format!("{}= is not a directive of systemd", entry.key), hint));
    };
    let value = expand(entry.value.trim_ascii(), &vars_of(&entry.key, layer), false)?;
    let value = match directive.kind {
        ValueKind::Exec if !value.is_empty() => resolve_command_line(&value, &layer.vars.app)?,
        ValueKind::Bool => check_bool(&value).map(|()| value)?,
        ValueKind::Time => check_time(&value).map(|()| value)?,
        _ => value,
    };
    // An empty one makes a default of ours void, but nothing that another file says.
    if !value.is_empty() || matches!(layer.origin, Origin::DropIn(_)) {
        values::check(section, &entry.key, &value)?;
    }
    check_path(&entry.key, &value)?;
    let since = values::since(section, &entry.key, &value).filter(|v| *v > ctx.systemd);
    let warning = match (since, directive.gone) {
        (Some(since), _) => Some((
            Lint::DirectiveTooNew,
            format!(
                "{}={value} needs systemd {since}, and the target has {}",
                entry.key, ctx.systemd
            ),
            "the target's systemd ignores it with a warning in its log".to_owned(),
        )),
        (None, _) if directive.since > ctx.systemd => Some((
            Lint::DirectiveTooNew,
            format!(
                "{}= came with systemd {}, and the target has {}",
                entry.key, directive.since, ctx.systemd
            ),
            "the target's systemd ignores it with a warning in its log".to_owned(),
        )),
        (None, Some(gone)) => Some((
            Lint::DirectiveGone,
            format!("{}= is gone in systemd {gone}", entry.key),
            format!("see {} for what replaced it", manual(kind)),
        )),
        _ if directive.kind == ValueKind::Exec => {
            shell_doubt(&value).map(|(message, hint)| (Lint::ExecShellSyntax, message, hint))
        }
        _ => None,
    };
    Ok((value, warning))
}

/// systemd reads environment files before the unit has mounts of its own, so there `{app}` is the release's place on the host.
fn vars_of<'a>(key: &str, layer: &Layer<'a>) -> Cow<'a, Vars> {
    if key != "EnvironmentFile" {
        return Cow::Borrowed(layer.vars);
    }
    let app = match layer.origin {
        // The id is filled into units only.
        Origin::DropIn(_) => "{app}".to_owned(),
        _ => format!("{}/releases/{RELEASE_PLACEHOLDER}", layer.vars.prefix),
    };
    Cow::Owned(Vars {
        app,
        ..layer.vars.clone()
    })
}

/// What no value may hold: it would end its line, or join the next one to it, or pass for our own placeholder.
pub(crate) fn check_text(value: &str) -> Result<(), Problem> {
    if let Some(bad) = value.chars().find(|&c| c.is_control() && c != '\t') {
        return Err((
            format!("the value contains the control character {bad:?}"),
            "a value is one line; write several lines as a list".into(),
        ));
    }
    if value.contains("@RELPACK_") {
        return Err((
            "the value contains \"@RELPACK_\"".into(),
            "that is relpack's own placeholder; write it differently".into(),
        ));
    }
    if continues(value.trim_ascii_end()) {
        return Err((JOINING.0.into(), JOINING.1.into()));
    }
    Ok(())
}

fn check_deploy_key(key: &str) -> Result<(), Problem> {
    if DEPLOY_KEYS.contains(&key) {
        return Ok(());
    }
    if matches!(key, "Package" | "Release") {
        return Err((format!("X-Relpack.{key} is written by relpack"), "remove it".into()));
    }
    let hint = match directives::closest(key, DEPLOY_KEYS.iter().copied()) {
        Some(similar) => format!("did you mean {similar}?"),
        None => format!("one of {}", DEPLOY_KEYS.join(", ")),
    };
    Err((format!("X-Relpack.{key} is not known"), hint))
}

fn check_bool(value: &str) -> Result<(), Problem> {
    if directives::is_bool(value) {
        return Ok(());
    }
    Err((format!("{value:?} is neither yes nor no"), "write true or false".into()))
}

fn check_time(value: &str) -> Result<(), Problem> {
    if value.is_empty() {
        return Ok(());
    }
    match value.parse::<TimeSpan>() {
        Ok(_) => Ok(()),
        Err(error) => Err((error.message(), error.hint().to_owned())),
    }
}

fn check_path(key: &str, value: &str) -> Result<(), Problem> {
    if !matches!(key, "WorkingDirectory" | "EnvironmentFile") || value.is_empty() {
        return Ok(());
    }
    let path = value.strip_prefix('-').unwrap_or(value);
    if path.starts_with(['/', '%']) || (key == "WorkingDirectory" && path == "~") {
        return Ok(());
    }
    // People write it as it lies below the prefix.
    let below_shared = path.strip_prefix("./").unwrap_or(path);
    let hint = match below_shared.strip_prefix("shared/") {
        Some(rest) => format!("write \"{{shared}}/{rest}\""),
        None => format!("write \"{{app}}/{path}\" or \"{{shared}}/{path}\""),
    };
    Err((format!("{key}={value} is not absolute"), hint))
}

fn warn_of_repeats(section: &str, entries: &[Entry], layer: &Layer<'_>, report: &mut Report) {
    for (at, entry) in entries.iter().enumerate() {
        let is_list = match directives::find(section, &entry.key) {
            Some(directive) => directive.kind.is_list(),
            None => section != X_RELPACK,
        };
        let repeated = entries[..at].iter().filter(|e| e.key == entry.key).count();
        if !is_list && repeated > 0 {
            report.warning(UnitError {
                index: repeated,
                line: entry.line,
                ..UnitError::of(
                    layer.origin,
                    format!("{}= is set more than once", entry.key),
                    "the last one counts; remove the others",
                )
                .at(section, &entry.key)
                .named(Lint::SetTwice)
            });
        }
    }
}

fn manual(kind: UnitKind) -> String {
    match kind {
        UnitKind::Service => "systemd.service(5) and systemd.exec(5)".to_owned(),
        kind => format!("systemd.{kind}(5)"),
    }
}
