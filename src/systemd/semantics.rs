//! Owns the checks of a unit as a whole: what systemd would refuse to start, and what the package does not own.

use std::collections::BTreeMap;

use crate::model::{AbsPath, Lint, UnitKind, UnitName};

use super::deploy::is_oneshot;
use super::directives;
use super::input::{Context, Origin, Report, UnitError};
use super::unit_file::UnitFile;

/// The name checks: a unit of another package's name would replace it.
pub(crate) fn check_name(name: &UnitName, ctx: &Context, report: &mut Report) {
    let package = &ctx.package;
    let mut fail = |message: String, hint: String| {
        report.error(UnitError::of(&Origin::Unit(name.clone()), message, hint));
    };
    if [ctx.migrate_unit(), ctx.first_start_unit()].contains(&name.to_string()) {
        fail(
            format!("{name} is made by relpack for [migrate]"),
            "choose another name".into(),
        );
        return;
    }
    if matches!(name.kind(), UnitKind::Mount | UnitKind::Automount | UnitKind::Swap) {
        let path: Result<AbsPath, _> = format!("/{}", name.stem().replace('-', "/")).parse();
        if !path.is_ok_and(|path| path.starts_with(&ctx.prefix)) {
            fail(
                format!("{name} does not lie below {}", ctx.prefix),
                format!(
                    "a package brings only mounts below its own prefix, for example \"{}-data.{}\"",
                    ctx.prefix.as_str().trim_start_matches('/').replace('/', "-"),
                    name.kind()
                ),
            );
        }
        return;
    }
    if name.is_instance() {
        fail(
            format!("{name} is an instance"),
            format!("deliver the template {}@.{}", name.prefix(), name.kind()),
        );
        return;
    }
    if !is_own(name.prefix(), package.as_str()) {
        fail(
            format!("{name} does not belong to the package {package}: it could replace another's unit"),
            format!(
                "name it \"{package}.{0}\", \"{package}-<word>.{0}\" or \"{package}@.{0}\"",
                name.kind()
            ),
        );
    }
}

fn is_own(prefix: &str, package: &str) -> bool {
    prefix
        .strip_prefix(package)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && rest.len() > 1))
}

/// The service (or other unit) that a timer, path or socket starts.
pub(crate) fn triggered(name: &UnitName, file: &UnitFile) -> Option<(Option<&'static str>, UnitName)> {
    let (section, key) = match name.kind() {
        UnitKind::Timer => ("Timer", "Unit"),
        UnitKind::Path => ("Path", "Unit"),
        UnitKind::Socket => ("Socket", "Service"),
        _ => return None,
    };
    if let Some(target) = file.get(section, key).filter(|value| !value.is_empty()) {
        // A name with specifiers is the template's business.
        let target = target.replace("%i", "").parse().ok()?;
        return Some((Some(key), target));
    }
    let accepts = file.get("Socket", "Accept").is_some_and(directives::is_yes);
    if accepts && name.kind() == UnitKind::Socket {
        return Some((None, format!("{}@.service", name.stem()).parse().ok()?));
    }
    Some((None, name.with_kind(UnitKind::Service)))
}

/// Checks that what a timer, path or socket starts is delivered.
pub(crate) fn check_trigger(
    name: &UnitName,
    file: &UnitFile,
    all: &BTreeMap<UnitName, UnitFile>,
    ctx: &Context,
    report: &mut Report,
) {
    let Some((key, target)) = triggered(name, file) else {
        return;
    };
    let delivered = all.contains_key(&target) || target.template().is_some_and(|template| all.contains_key(&template));
    if delivered || !is_own(target.prefix(), ctx.package.as_str()) {
        return;
    }
    let section = directives::own_section(name.kind()).unwrap_or("Unit");
    let hint = match directives::closest(
        target.as_str(),
        all.keys().map(UnitName::as_str).filter(|k| *k != name.as_str()),
    ) {
        Some(similar) if key.is_some() => format!("did you mean {similar:?}?"),
        _ => format!("add [units.\"{target}\"], or name another unit"),
    };
    let error = UnitError::of(
        &Origin::Unit(name.clone()),
        format!("{name} starts {target}, which is not a unit of this package"),
        hint,
    )
    .named(Lint::TriggerWithoutUnit);
    report.error(match key {
        Some(key) => error.at(section, key),
        None => error.in_section(section),
    });
}

/// Checks what systemd refuses when it loads the unit.
pub(crate) fn check_unit(name: &UnitName, file: &UnitFile, report: &mut Report) {
    let origin = Origin::Unit(name.clone());
    let mut fail = |section: &str, key: Option<&str>, message: &str, hint: &str| {
        let error = UnitError::of(&origin, message, hint);
        report.error(match key {
            Some(key) => error.at(section, key),
            None => error.in_section(section),
        });
    };
    match name.kind() {
        UnitKind::Service => check_service(file, &mut fail),
        UnitKind::Socket => {
            let listens = directives::of_section("Socket").filter(|d| d.name.starts_with("Listen"));
            if !any_set(file, "Socket", listens.map(|d| d.name)) {
                fail(
                    "Socket",
                    None,
                    "the socket listens nowhere",
                    "for example ListenStream = \"127.0.0.1:3000\"",
                );
            }
        }
        UnitKind::Timer => {
            let times = directives::of_section("Timer").filter(|d| d.name.starts_with("On"));
            if !any_set(file, "Timer", times.map(|d| d.name)) {
                fail(
                    "Timer",
                    None,
                    "the timer has no time",
                    "for example OnCalendar = \"daily\"",
                );
            }
        }
        UnitKind::Path => {
            let paths = [
                "PathExists",
                "PathExistsGlob",
                "PathChanged",
                "PathModified",
                "DirectoryNotEmpty",
            ];
            if !any_set(file, "Path", paths.into_iter()) {
                fail(
                    "Path",
                    None,
                    "the unit watches no path",
                    "for example PathChanged = \"{shared}/inbox\"",
                );
            }
        }
        UnitKind::Mount | UnitKind::Automount => check_mount(name, file, &mut fail),
        UnitKind::Swap => {
            if file.get("Swap", "What").is_none() {
                fail("Swap", None, "What= is missing", "name the swap file or device");
            }
        }
        UnitKind::Target | UnitKind::Slice => {}
    }
}

type Fail<'a> = &'a mut dyn FnMut(&str, Option<&str>, &str, &str);

fn any_set<'a>(file: &UnitFile, section: &str, mut keys: impl Iterator<Item = &'a str>) -> bool {
    keys.any(|key| !file.get_list(section, key).is_empty())
}

fn check_service(file: &UnitFile, fail: Fail<'_>) {
    let kind = file.get("Service", "Type").filter(|t| !t.is_empty());
    let starts = file.get_list("Service", "ExecStart").len();
    if is_oneshot(file) {
        if starts == 0 && file.get_list("Service", "ExecStop").is_empty() {
            fail("Service", None, "the service starts nothing", "give it ExecStart=");
        }
        if matches!(file.get("Service", "Restart"), Some("always" | "on-success")) {
            fail(
                "Service",
                Some("Restart"),
                "a oneshot service can't restart after success: systemd refuses the unit",
                "write \"on-failure\", or start it with a timer",
            );
        }
    } else if starts == 0 {
        fail("Service", None, "the service starts nothing", "give it ExecStart=");
    } else if starts > 1 {
        fail(
            "Service",
            Some("ExecStart"),
            "only a oneshot service can have several ExecStart=: systemd refuses the unit",
            "keep one, set Type = \"oneshot\", or use ExecStartPre=",
        );
    }
    if kind == Some("dbus") && file.get("Service", "BusName").is_none() {
        fail(
            "Service",
            Some("Type"),
            "Type=dbus needs BusName=",
            "name the service's bus name",
        );
    }
    check_capabilities(file, fail);
}

/// Ambient capabilities outside of the bounding set make the start fail.
fn check_capabilities(file: &UnitFile, fail: Fail<'_>) {
    if !file.has("Service", "CapabilityBoundingSet") {
        return;
    }
    let bounding = file.get_list("Service", "CapabilityBoundingSet");
    let ambient = file.get_list("Service", "AmbientCapabilities");
    if bounding.iter().chain(&ambient).any(|value| value.starts_with('~')) {
        return;
    }
    let has = |name: &str| {
        bounding
            .iter()
            .any(|line| line.split_whitespace().any(|w| w.eq_ignore_ascii_case(name)))
    };
    let missing: Vec<&str> = ambient
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter(|name| !has(name))
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(" ");
        fail(
            "Service",
            Some("AmbientCapabilities"),
            &format!("{missing} is not in CapabilityBoundingSet=, so the service can't start"),
            &format!("add Service.CapabilityBoundingSet = \"{missing}\""),
        );
    }
}

fn check_mount(name: &UnitName, file: &UnitFile, fail: Fail<'_>) {
    let section = directives::own_section(name.kind()).unwrap_or("Mount");
    let Some(place) = file.get(section, "Where") else {
        fail(section, None, "Where= is missing", "name the mount point");
        return;
    };
    if section == "Mount" && file.get(section, "What").is_none() {
        fail(section, None, "What= is missing", "name what to mount");
    }
    let expected = place.trim_matches('/').replace('/', "-");
    if place.contains('-') || expected != name.stem() {
        let hint = if place.contains('-') {
            "choose a mount point without '-', whose unit name needs no escape".to_owned()
        } else {
            format!("name the unit \"{expected}.{}\"", name.kind())
        };
        fail(
            section,
            Some("Where"),
            &format!("Where={place} does not fit the unit's name"),
            &hint,
        );
    }
}
