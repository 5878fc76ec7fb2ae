//! Reads `[migrate]` and `[deploy]`: how a host changes from one release to the next.

use super::diagnostics::Problem;
use super::reader::{At, Table, suggest};
use super::{Deploy, Migrate, Proxy, Strategy};
use crate::model::{PackageName, Seconds, UnitKind, UnitName};

/// The strategies of the design that this version can't carry out yet.
const LATER: [&str; 1] = ["reload"];

const STRATEGIES: [(&str, Strategy); 4] = [
    ("recreate", Strategy::Recreate),
    ("rolling", Strategy::Rolling),
    ("blue-green", Strategy::BlueGreen),
    ("canary", Strategy::Canary),
];

/// The longest time that a host's package manager may be kept waiting.
const TIMEOUT_MAX: u64 = 86_400;

pub(super) fn deploy(table: &Table<'_>) -> Deploy {
    let time = |key, default| time(table, key, 1).map_or(Seconds(default), |seconds| seconds.value);
    let read = Deploy {
        strategy: strategy(table),
        timeout: time("timeout", 600),
        health_timeout: time("health_timeout", 60),
        settle: self::time(table, "settle", 0).map_or(Seconds(5), |seconds| seconds.value),
        proxy: proxy(table),
        drain: self::time(table, "drain", 0).map_or(Seconds(30), |seconds| seconds.value),
        successes: table
            .integer("successes", 1..101)
            .and_then(|number| u32::try_from(number.value).ok())
            .unwrap_or(1),
        check: table.string("check").map(|text| text.value),
        soak: self::time(table, "soak", 1).map_or(Seconds(60), |seconds| seconds.value),
    };
    for (key, seconds) in [("settle", read.settle), ("health_timeout", read.health_timeout)] {
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
    if let Some((_, strategy)) = STRATEGIES.iter().find(|(name, _)| *name == word) {
        return *strategy;
    }
    let problem = if LATER.contains(&word) {
        Problem::new(
            text.span,
            format!("deploy.strategy: this version of relpack does not carry out {word:?}"),
        )
        .help("X-Relpack.OnUpgrade = \"reload\" of a unit reloads it where everything else is restarted")
    } else {
        let known = STRATEGIES.map(|(name, _)| name);
        let problem = Problem::new(text.span, format!("deploy.strategy: {word:?} is not a strategy"));
        match suggest(word, known) {
            Some(meant) => problem.help(format!("did you mean {meant:?}?")),
            None => problem.help("write \"recreate\", \"rolling\", \"blue-green\" or \"canary\", or remove the key"),
        }
    };
    table.doc.push(problem);
    Strategy::Recreate
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
            let literal = text.replace("{env.", "").replace('}', "");
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
    if (least..=TIMEOUT_MAX).contains(&seconds.value.get()) {
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
