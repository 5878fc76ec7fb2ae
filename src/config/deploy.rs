//! Reads `[migrate]` and `[deploy]`: how a host changes from one release to the next.

use std::ops::{Range, RangeInclusive};

use super::diagnostics::Problem;
use super::reader::{At, Table, suggest};
use super::{Check, Deploy, Migrate, Proxy, Strategy};
use crate::model::{PackageName, Seconds, TimeSpan, UnitKind, UnitName};
use crate::systemd;

impl Strategy {
    /// The word of each.
    pub const WORDS: &'static [(&'static str, Strategy)] = &[
        ("recreate", Strategy::Recreate),
        ("rolling", Strategy::Rolling),
        ("blue-green", Strategy::BlueGreen),
        ("canary", Strategy::Canary),
        ("reload", Strategy::Reload),
    ];
}

pub(super) fn deploy(table: &Table<'_>) -> Deploy {
    let time = |key, default| time(table, key, 1).map_or(Seconds(default), |seconds| seconds.value);
    let read = Deploy {
        strategy: strategy(table),
        timeout: time("timeout", 600),
        health_timeout: time("health_timeout", 60),
        settle: self::time(table, "settle", 0).map_or(Seconds(5), |seconds| seconds.value),
        proxy: proxy(table),
        drain: self::time(table, "drain", 0).map_or(Seconds(30), |seconds| seconds.value),
        successes: number(table, "successes", 1..101).unwrap_or(1),
        check: check(table),
        soak: self::time(table, "soak", 1).map_or(Seconds(60), |seconds| seconds.value),
        weight: number(table, "weight", 1..100),
        lame_duck: self::time(table, "lame_duck", 1).map(|seconds| seconds.value),
        max_parallel: number(table, "max_parallel", 1..1001).unwrap_or(1),
    };
    let mut parts = vec![("settle", read.settle), ("health_timeout", read.health_timeout)];
    parts.extend(read.lame_duck.map(|notice| ("lame_duck", notice)));
    if read.strategy == Strategy::Canary {
        parts.push(("soak", read.soak));
    }
    // The other strategies don't wait for it in an activation.
    if read.proxy != Proxy::None && matches!(read.strategy, Strategy::Rolling | Strategy::Canary) {
        parts.push(("drain", read.drain));
    }
    for (key, seconds) in parts {
        if seconds >= read.timeout {
            table.doc.push(
                Problem::new(
                    table.span_of(if table.has(key) { key } else { "timeout" }),
                    format!(
                        "deploy.{key} ({seconds} s) leaves nothing of deploy.timeout ({} s)",
                        read.timeout
                    ),
                )
                .help("the timeout covers the whole activation: make it longer than its parts"),
            );
        }
    }
    read
}

fn strategy(table: &Table<'_>) -> Strategy {
    let Some(text) = table.string("strategy") else {
        return Strategy::Recreate;
    };
    let word = text.value.as_str();
    if let Some((_, strategy)) = Strategy::WORDS.iter().find(|(name, _)| *name == word) {
        return *strategy;
    }
    let known = Strategy::WORDS.iter().map(|(name, _)| *name);
    let problem = Problem::new(text.span, format!("deploy.strategy: {word:?} is not a strategy"));
    table.doc.push(match suggest(word, known) {
        Some(meant) => problem.help(format!("did you mean {meant:?}?")),
        None => {
            problem.help("write \"recreate\", \"rolling\", \"blue-green\", \"canary\" or \"reload\", or remove the key")
        }
    });
    Strategy::Recreate
}

fn number(table: &Table<'_>, key: &'static str, allowed: Range<i64>) -> Option<u32> {
    u32::try_from(table.integer(key, allowed)?.value).ok()
}

/// How long a request of a check may take where it doesn't say so: as long as one of a health check.
const CHECK_WITHIN: u64 = 3_000;

/// `check = "bin/smoke"`, or `check = "http://127.0.0.1:{env.PORT}/ status 200-299 within 200ms"`.
fn check(table: &Table<'_>) -> Option<Check> {
    let text = table.string("check")?;
    let mut words = text.value.split_ascii_whitespace();
    let refuse = |message: String, hint: &str| {
        let problem = Problem::new(text.span.clone(), format!("deploy.check: {message}"));
        table.doc.push(problem.help(hint));
        None
    };
    let example =
        "write a command of the release, or for example \"http://127.0.0.1:{env.PORT}/ status 200-399 within 200ms\"";
    let Some(first) = words.next() else {
        return refuse("it is empty".to_owned(), example);
    };
    if !first.starts_with("http://") && !first.starts_with("https://") {
        return Some(Check::Command(text.value.clone()));
    }
    if let Err((message, hint)) = systemd::check_url(first) {
        return refuse(message, &hint);
    }
    let (mut status, mut within) = (200..=299, CHECK_WITHIN);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word {
            "status" => match statuses(value) {
                Some(range) => status = range,
                None => {
                    return refuse(
                        format!("{value:?} is neither a status nor a range of them"),
                        "write for example 200 or 200-399",
                    );
                }
            },
            "within" => match value.parse() {
                Ok(TimeSpan::Micros(micros)) if (1_000..=60_000_000).contains(&micros) => within = micros / 1_000,
                Ok(_) => return refuse(format!("{value} is out of range"), "write a time from 1ms to 60s"),
                Err(error) => return refuse(error.to_string(), "write for example \"within 200ms\""),
            },
            other => return refuse(format!("{other:?} is no bound of a request"), example),
        }
    }
    Some(Check::Http {
        url: first.to_owned(),
        status,
        within,
    })
}

/// `200`, `200-399`
fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let range = least.parse().ok()?..=most.parse().ok()?;
    let known = |status: &u16| (100..=599).contains(status);
    (known(range.start()) && known(range.end()) && range.start() <= range.end()).then_some(range)
}

/// `proxy = "nginx"`, and which address of an instance it sends requests to.
fn proxy(table: &Table<'_>) -> Proxy {
    let server = table.string("server");
    let Some(kind) = table.string("proxy") else {
        if let Some(server) = server {
            table.doc.push(
                Problem::new(server.span, "deploy.server: it is the proxy's, and there is none")
                    .help("add proxy = \"nginx\", or remove the key"),
            );
        }
        return Proxy::None;
    };
    match kind.value.as_str() {
        "none" => Proxy::None,
        "nginx" => {
            let text = server
                .as_ref()
                .map_or("127.0.0.1:{env.PORT}", |server| server.value.as_str());
            // It stands in nginx's configuration, where ';' and '{' mean something.
            let literal = text.replace("{instance}", "").replace("{env.", "").replace('}', "");
            if literal.is_empty()
                || !literal
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._:/[]-".contains(c))
            {
                let span = server.as_ref().map_or(kind.span, |server| server.span.clone());
                table.doc.push(
                    Problem::new(span, format!("deploy.server: {text:?} is no address"))
                        .help("write for example \"127.0.0.1:{env.PORT}\" or \"unix:/run/acme/{env.SOCKET}\""),
                );
            }
            Proxy::Nginx {
                server: text.to_owned(),
            }
        }
        other => {
            let problem = Problem::new(
                kind.span,
                format!("deploy.proxy: {other:?} is not a proxy that relpack knows"),
            );
            table.doc.push(match suggest(other, ["nginx", "none"]) {
                Some(meant) => problem.help(format!("did you mean {meant:?}?")),
                None => problem.help("write \"nginx\", or \"none\" for a balancer that watches the health endpoint"),
            });
            Proxy::None
        }
    }
}

/// `[migrate]`; `units` are the names that the configuration defines.
pub(super) fn migrate(
    table: &Table<'_>,
    package: Option<&PackageName>,
    units: &[UnitName],
    deploy: &Deploy,
) -> Option<Migrate> {
    table.need("exec", "\"bin/migrate up\"");
    let exec = table.string("exec").filter(|exec| {
        let empty = exec.value.trim().is_empty();
        if empty {
            table.doc.push(
                Problem::new(exec.span.clone(), "migrate.exec: the command is empty")
                    .help("write the command, or remove [migrate]"),
            );
        }
        !empty
    });
    let timeout = time(table, "timeout", 1);
    let seconds = timeout.as_ref().map_or(Seconds(300), |t| t.value);
    if seconds >= deploy.timeout {
        let span = timeout.map_or_else(|| table.span.clone(), |t| t.span);
        table.doc.push(
            Problem::new(
                span,
                format!(
                    "migrate.timeout ({seconds} s) leaves nothing of deploy.timeout ({} s)",
                    deploy.timeout
                ),
            )
            .help("the timeout of [deploy] covers the migration too: make it longer")
            .contextual(),
        );
    }
    let like = like(table, package, units);
    Some(Migrate {
        exec: exec?.value,
        like: like?,
        timeout: seconds,
    })
}

fn like(table: &Table<'_>, package: Option<&PackageName>, units: &[UnitName]) -> Option<UnitName> {
    let services = || units.iter().filter(|u| u.kind() == UnitKind::Service);
    if !table.has("like") {
        let main = package.and_then(|name| services().find(|u| u.prefix() == name.as_str() && !u.is_instance()));
        if main.is_none() {
            let example = services().next().map_or("acme.service", UnitName::as_str);
            table.need("like", &format!("{example:?}"));
        }
        return main.cloned();
    }
    let name = table.parsed::<UnitName>("like")?;
    if services().any(|unit| *unit == name.value) {
        return Some(name.value);
    }
    let problem = Problem::new(
        name.span,
        format!(
            "migrate.like: {:?} is not a service of this package",
            name.value.as_str()
        ),
    )
    .contextual();
    table
        .doc
        .push(match suggest(name.value.as_str(), services().map(UnitName::as_str)) {
            Some(meant) => problem.help(format!("did you mean {meant:?}?")),
            None => problem.help("name the service whose user, environment and sandbox the migration gets"),
        });
    None
}

/// A time span within bounds that a host can keep.
fn time(table: &Table<'_>, key: &'static str, least: u64) -> Option<At<Seconds>> {
    let seconds = table.time::<Seconds>(key)?;
    if (Seconds(least)..=Seconds::DAY).contains(&seconds.value) {
        return Some(seconds);
    }
    table.doc.push(
        Problem::new(
            seconds.span,
            format!("{key}: {} s is out of range in {}", seconds.value, table.title()),
        )
        .help(format!("write a time from {least} s to 1 day")),
    );
    None
}
