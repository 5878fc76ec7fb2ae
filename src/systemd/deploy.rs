//! Owns the deploy keys of `[X-Relpack]`: what a change of the release does with a unit, and how its health is asked.

use std::collections::BTreeMap;

use crate::model::{AbsPath, EnvName, Lint, Seconds, TimeSpan, UnitKind, UnitName};

use super::check::X_RELPACK;
use super::directives::{closest, is_yes};
use super::exec::{resolve_command_line, shell_message, shell_word};
use super::input::{Context, Origin, Report, UnitError};
use super::placeholders::env_names;
use super::quote::words;
use super::trial;
use super::unit::{Health, OnUpgrade, UnitSettings};
use super::unit_file::UnitFile;

/// systemd's `DefaultTimeoutStopSec=` (systemd-system.conf(5)).
const DEFAULT_TIMEOUT_STOP: Seconds = Seconds(90);

/// Reads the settings of a unit whose directives are complete.
pub(crate) fn settings(
    name: &UnitName,
    file: &UnitFile,
    job: bool,
    ctx: &Context,
    report: &mut Report,
) -> UnitSettings {
    let origin = Origin::Unit(name.clone());
    let mut fail = |key: &str, message: String, hint: String| {
        report.error(UnitError::of(&origin, message, hint).at(X_RELPACK, key));
    };
    let is_service = name.kind() == UnitKind::Service;
    let get = |key: &str| file.get(X_RELPACK, key).filter(|value| !value.is_empty());
    if !is_service {
        for key in ["Health", "HealthTimeout", "Drain", "Trial"] {
            if get(key).is_some() {
                let kind = name.kind();
                fail(
                    key,
                    format!("a {kind} has no {key}"),
                    "write it into the service".into(),
                );
            }
        }
    }
    let seconds = |key: &str, fail: &mut dyn FnMut(&str, String, String)| {
        let parsed = get(key)?.parse::<Seconds>();
        parsed.map_err(|e| fail(key, e.message(), e.hint().to_owned())).ok()
    };
    let drain = seconds("Drain", &mut fail);
    let health_timeout = seconds("HealthTimeout", &mut fail);
    if health_timeout.is_some_and(|seconds| !(Seconds(1)..=Seconds::DAY).contains(&seconds)) {
        fail(
            "HealthTimeout",
            "the time is out of range".into(),
            "write a time from 1 s to 1 day".into(),
        );
    } else if let Some(seconds) = health_timeout.filter(|seconds| is_service && *seconds >= ctx.deploy.timeout) {
        fail(
            "HealthTimeout",
            format!("{seconds} s leave nothing of deploy.timeout ({} s)", ctx.deploy.timeout),
            "the timeout covers the whole activation: make it longer, or this one shorter".into(),
        );
    }
    let trial = get("Trial").filter(|_| is_service).and_then(|text| {
        let parsed = trial::parse_address(text);
        parsed.map_err(|(message, hint)| fail("Trial", message, hint)).ok()
    });
    let chosen = get("OnUpgrade").and_then(|word| {
        let found = OnUpgrade::ALL.iter().find(|choice| choice.word() == word);
        if found.is_none() {
            let words = || OnUpgrade::ALL.iter().map(|choice| choice.word());
            let hint = match closest(word, words()) {
                Some(similar) => format!("did you mean {similar:?}?"),
                None => format!("one of {}", words().collect::<Vec<_>>().join(", ")),
            };
            fail("OnUpgrade", format!("{word:?} is not known"), hint);
        }
        found.copied()
    });
    let on_upgrade = chosen.unwrap_or_else(|| default_on_upgrade(name, file, job));
    if on_upgrade == OnUpgrade::Reload
        && is_service
        && file.get_list("Service", "ExecReload").is_empty()
        && file.get("Service", "Type") != Some("notify-reload")
    {
        fail(
            "OnUpgrade",
            "the unit can't be reloaded".into(),
            "give it ExecReload=, or choose \"restart\"".into(),
        );
    }
    let too_long = drain.filter(|_| is_service).and_then(|drain| check_drain(drain, file));
    let mut unset = None;
    let mut health_env = BTreeMap::new();
    let health = get("Health").and_then(|text| {
        let app = if on_upgrade == OnUpgrade::Reload {
            ctx.current()
        } else {
            ctx.app()
        };
        let parsed = parse_health(text, &app)
            .map_err(|problem| (None, problem))
            .and_then(|health| health_environment(name, text, file, ctx).map(|env| (health, env)));
        match parsed {
            Ok((health, env)) => {
                health_env = env;
                Some(health)
            }
            Err((Some(lint), problem)) => {
                unset = Some((lint, problem));
                None
            }
            Err((None, (message, hint))) => {
                fail("Health", message, hint);
                None
            }
        }
    });
    let mut named = |lint: Lint, key: &str, (message, hint): Problem| {
        report.error(UnitError::of(&origin, message, hint).at(X_RELPACK, key).named(lint));
    };
    if let Some(problem) = too_long {
        named(Lint::DrainTooLong, "Drain", problem);
    }
    if let Some((lint, problem)) = unset {
        named(lint, "Health", problem);
    }
    for (key, text) in &ctx.deploy.addresses {
        if !is_service || !ctx.is_instances_template(name) {
            continue;
        }
        match health_environment(name, text, file, ctx) {
            Ok(env) => health_env.extend(env),
            Err((lint, (message, hint))) => {
                let error = UnitError::of(&Origin::Deploy, message, hint).at_key(key);
                report.error(UnitError { lint, ..error });
            }
        }
    }
    if let Some(Health::Exec { command }) = &health
        && let Some(word) = shell_word(command)
    {
        // A host splits it at spaces, so it can't be quoted for a shell either.
        let hint = "write it into a script of the release, and name that";
        let doubt = UnitError::of(&origin, shell_message(word), hint).at(X_RELPACK, "Health");
        report.warning(doubt.named(Lint::ExecShellSyntax));
    }
    let gated = is_service
        && !is_oneshot(file)
        && matches!(
            on_upgrade,
            OnUpgrade::Restart | OnUpgrade::Reload | OnUpgrade::TryRestart
        );
    if is_service && health.is_some() && !gated {
        report.warning(
            UnitError::of(
                &origin,
                "the health check is never asked",
                "a deploy waits only for long-running services that it restarts or reloads",
            )
            .at(X_RELPACK, "Health")
            .named(Lint::HealthNeverAsked),
        );
    }
    if on_upgrade != OnUpgrade::None && (gated || name.kind() != UnitKind::Service) {
        for key in ["RefuseManualStart", "RefuseManualStop"] {
            if is_true(file, "Unit", key) {
                report.error(
                    UnitError::of(
                        &origin,
                        format!("with {key}= a deploy can't restart the unit"),
                        "remove it, or leave the unit alone with X-Relpack.OnUpgrade = \"none\"",
                    )
                    .at("Unit", key),
                );
            }
        }
    }
    UnitSettings {
        health,
        health_timeout,
        health_env,
        on_upgrade,
        trial,
        drain,
        enable: file.section("Install").is_some_and(|s| !s.entries.is_empty())
            && (!name.is_template() || file.has("Install", "DefaultInstance")),
        gated,
    }
}

/// Whether the service runs to its end and is then done.
pub(crate) fn is_oneshot(file: &UnitFile) -> bool {
    file.get("Service", "Type") == Some("oneshot")
}

fn is_true(file: &UnitFile, section: &str, key: &str) -> bool {
    file.get(section, key).is_some_and(is_yes)
}

fn default_on_upgrade(name: &UnitName, file: &UnitFile, job: bool) -> OnUpgrade {
    match name.kind() {
        UnitKind::Service if is_oneshot(file) => {
            if !job && is_true(file, "Service", "RemainAfterExit") {
                OnUpgrade::Restart
            } else {
                OnUpgrade::None
            }
        }
        UnitKind::Service if job => OnUpgrade::None,
        UnitKind::Service | UnitKind::Timer | UnitKind::Path | UnitKind::Socket => OnUpgrade::Restart,
        _ => OnUpgrade::None,
    }
}

/// What is wrong with a drain that systemd would cut short.
fn check_drain(drain: Seconds, file: &UnitFile) -> Option<Problem> {
    let written = ["TimeoutStopSec", "TimeoutSec"]
        .into_iter()
        .find_map(|key| Some((key, file.get("Service", key)?)));
    let (named, limit) = match written {
        // 0 turns the limit off, as "infinity" does.
        Some((key, text)) => match text.parse::<TimeSpan>() {
            Ok(TimeSpan::Micros(0)) | Err(_) => return None,
            Ok(limit) => (format!("{key}={text}"), limit),
        },
        None => (
            format!("systemd's default of {DEFAULT_TIMEOUT_STOP} s"),
            TimeSpan::from(DEFAULT_TIMEOUT_STOP),
        ),
    };
    (TimeSpan::from(drain) >= limit).then(|| {
        (
            format!("the drain of {drain} s does not end before {named} kills the service"),
            format!(
                "set Service.TimeoutStopSec to more than {drain} s, for example \"{}s\"",
                drain.get() + 5
            ),
        )
    })
}

type Problem = (String, String);

/// Reads `http://…`, `unix:/socket[:/path]` or `exec:command`.
fn parse_health(text: &str, app: &str) -> Result<Health, Problem> {
    let examples = || {
        "for example \"http://127.0.0.1:{env.PORT}/healthz\", \"unix:/run/acme/sock:/healthz\" or \"exec:bin/check\""
            .to_owned()
    };
    if let Some(bad) = text.chars().find(|c| c.is_control()) {
        return Err((format!("it contains {bad:?}"), examples()));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        check_url(text)?;
        return Ok(Health::Http { url: text.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("unix:") {
        let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
        let literal = socket.replace("{instance}", "i");
        if let Err(error) = literal.parse::<AbsPath>() {
            return Err((error.message(), examples()));
        }
        if !path.starts_with('/') || path.chars().any(|c| !is_url_char(c)) {
            return Err((format!("the request's path {path:?} is not valid"), examples()));
        }
        return Ok(Health::Unix {
            socket: socket.to_owned(),
            path: path.to_owned(),
        });
    }
    if let Some(command) = text.strip_prefix("exec:") {
        let command = resolve_command_line(command.trim_ascii(), app)?;
        if !command.starts_with(['/', '"', '\'']) {
            return Err((
                "the command starts with a prefix or a specifier of systemd's".into(),
                "write the program's path first".into(),
            ));
        }
        return Ok(Health::Exec { command });
    }
    Err(("it is neither http, unix nor exec".into(), examples()))
}

/// Checks an `http://…` that a host will ask for, placeholders and all.
pub(crate) fn check_url(text: &str) -> Result<(), Problem> {
    let host = text.split('/').nth(2).unwrap_or("");
    if host.is_empty() || host.starts_with(':') {
        let hint = "for example \"http://127.0.0.1:{env.PORT}/healthz\"";
        return Err(("the URL names no host".into(), hint.into()));
    }
    if let Some(bad) = text.chars().find(|&c| !is_url_char(c)) {
        return Err((format!("the URL contains {bad:?}"), "write it percent-encoded".into()));
    }
    let literal = without_placeholders(text)?;
    let port = literal.split('/').nth(2).and_then(|host| host.rsplit_once(':'));
    if let Some((_, port)) = port
        && port.parse::<u16>().is_err()
        && !port.ends_with(']')
    {
        return Err((
            format!("the URL's port {port:?} is none"),
            "a port is a number from 1 to 65535, or {env.NAME}".into(),
        ));
    }
    Ok(())
}

/// The URL with `1` for each placeholder that a host fills in; what else stands in braces it would ask for as it is.
fn without_placeholders(url: &str) -> Result<String, Problem> {
    let mut literal = String::new();
    let mut rest = url;
    while let Some(open) = rest.find(['{', '}']) {
        let body = rest[open..].strip_prefix('{').and_then(|after| after.split_once('}'));
        let Some((name, after)) = body.filter(|(name, _)| name.starts_with("env.") || *name == "instance") else {
            let from = rest[open..].split(['/', ':']).next().unwrap_or_default();
            return Err((
                format!("{from:?} is no placeholder"),
                "write {env.PORT} for a variable of the service, or a brace as %7B or %7D".into(),
            ));
        };
        debug_assert!(!name.is_empty());
        literal.push_str(&rest[..open]);
        literal.push('1');
        rest = after;
    }
    literal.push_str(rest);
    Ok(literal)
}

fn is_url_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!&()*+,;=%{}".contains(c)
}

/// The default values of the variables in a health check; each has to be set by the unit or be required of the host.
fn health_environment(
    unit: &UnitName,
    text: &str,
    file: &UnitFile,
    ctx: &Context,
) -> Result<BTreeMap<EnvName, String>, (Option<Lint>, Problem)> {
    let known = environment(file);
    let mut defaults = BTreeMap::new();
    for name in env_names(text) {
        let name: EnvName = name
            .parse()
            .map_err(|e: crate::model::ValueError| (None, (e.message(), e.hint().to_owned())))?;
        match known.get(name.as_str()) {
            Some(value) => {
                let literal = value.replace("%%", "");
                if literal.contains('%') || value.chars().any(char::is_control) {
                    return Err((
                        None,
                        (
                            format!("{{env.{name}}} has the default {value:?}, which only systemd can fill in"),
                            "give it a plain value".into(),
                        ),
                    ));
                }
                defaults.insert(name, value.replace("%%", "%"));
            }
            None if ctx.env_required.contains(&name) => {}
            None if ctx.is_instances_template(unit) && ctx.instances.values().all(|set| set.contains_key(&name)) => {}
            None => {
                return Err((
                    Some(Lint::HealthVariableUnset),
                    (
                        format!("{{env.{name}}} is set nowhere"),
                        format!("set Service.Environment.{name}, or name it in [env] required = [\"{name}\"]"),
                    ),
                ));
            }
        }
    }
    Ok(defaults)
}

/// What the unit's `Environment=` lines set; the last assignment of a name counts.
pub(crate) fn environment(file: &UnitFile) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    for line in file.get_list("Service", "Environment") {
        for word in words(line).unwrap_or_default() {
            if let Some((name, value)) = word.text.split_once('=') {
                set.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    set
}
