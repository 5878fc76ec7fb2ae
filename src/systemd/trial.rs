//! Owns the units that relpack makes for `X-Relpack.Trial`: the new release beside the one that serves, on a socket of its own.

use std::net::SocketAddr;

use crate::model::{UnitKind, UnitName};

use super::check::X_RELPACK;
use super::complete::documentation;
use super::input::{Context, Origin, Report, UnitError};
use super::migrate::{append_surroundings, at_own_release, close, generated, set_description};
use super::semantics::triggered;
use super::specifiers::written_out;
use super::unit::{Health, OnUpgrade, Unit};
use super::unit_file::UnitFile;

/// What of the service does not hold for its trial: nobody restarts it, all of it ends, none of it leaves anything with systemd,
/// and a command that stops by a name would find the process that serves.
const NOT_OF_A_TRIAL: &[&str] = &[
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "KillMode",
    "SendSIGKILL",
    "RestartForceExitStatus",
    "Restart",
    "RestartSec",
    "RestartSteps",
    "RestartMaxDelaySec",
    "RuntimeMaxSec",
    "RuntimeRandomizedExtraSec",
    "FileDescriptorStoreMax",
    "FileDescriptorStorePreserve",
    "Sockets",
];

/// What a process can only have alone.
const ALONE: &[&str] = &["PIDFile", "BusName"];

/// What of the socket does not hold for that of a trial.
const NOT_OF_ITS_SOCKET: &[&str] = &["BindToDevice", "FileDescriptorName", "Service", "Symlinks"];

/// The service that a trial of this one starts: `acme-trial.service` of `acme.service`.
pub fn trial_name(service: &UnitName) -> UnitName {
    service.suffixed("-trial")
}

/// Reads `127.0.0.1:3001`.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, (String, String)> {
    let hint =
        || "an address and a port of this host that nothing else uses, for example \"127.0.0.1:3001\"".to_owned();
    let address: SocketAddr = text
        .parse()
        .map_err(|_| (format!("{text:?} is no address with a port"), hint()))?;
    if !address.ip().is_loopback() {
        return Err((
            format!(
                "{} is open to others, who would reach a release that nobody has tried",
                address.ip()
            ),
            hint(),
        ));
    }
    if address.port() == 0 {
        return Err(("port 0 is none".into(), hint()));
    }
    Ok(address)
}

/// Appends a service and a socket for each service that is to be tried.
pub(crate) fn add_units(units: &mut Vec<Unit>, ctx: &Context, report: &mut Report) {
    let mut made = Vec::new();
    let mut taken: Vec<(SocketAddr, &UnitName)> = Vec::new();
    for unit in units.iter() {
        let Some(address) = unit.relpack.trial else { continue };
        let free = match taken.iter().find(|(other, _)| *other == address) {
            Some((_, other)) => Err((
                format!("{other} is tried at the same address"),
                "give each a port of its own".to_owned(),
            )),
            None => Ok(()),
        };
        taken.push((address, &unit.name));
        match free.and_then(|()| units_of(unit, address, units, ctx)) {
            Ok(both) => made.extend(both),
            Err((message, hint)) => {
                let origin = Origin::Unit(unit.name.clone());
                report.error(UnitError::of(&origin, message, hint).at(X_RELPACK, "Trial"));
            }
        }
    }
    units.append(&mut made);
}

fn units_of(unit: &Unit, address: SocketAddr, units: &[Unit], ctx: &Context) -> Result<[Unit; 2], (String, String)> {
    if unit.name.is_template() {
        return Err((
            "instances are not tried".into(),
            "remove it: strategy = \"blue-green\" starts the new release beside the one that serves".into(),
        ));
    }
    if !unit.relpack.gated || unit.relpack.on_upgrade == OnUpgrade::Reload {
        return Err((
            "a deploy neither restarts the service nor waits for it".into(),
            "remove it, or set X-Relpack.OnUpgrade = \"restart\"".into(),
        ));
    }
    let socket = its_socket(unit, units)?;
    let health = health_at(unit, socket, address)?;
    let port = address.port().to_string();
    let sockets = units.iter().filter(|unit| unit.name.kind() == UnitKind::Socket);
    if let Some(other) = sockets.into_iter().find(|socket| listens_at(socket, &port)) {
        return Err((
            format!("{} listens there for what serves", other.name),
            "give the trial a port of its own".into(),
        ));
    }
    if let Some(key) = ALONE.iter().find(|key| unit.file.has("Service", key)) {
        return Err((
            format!("with {key}= a second process would take the place of the one that serves"),
            format!("remove {key}=, or this"),
        ));
    }
    let name = trial_name(&unit.name);
    if let Some(taken) = units.iter().find(|unit| unit.name.stem() == name.stem()) {
        return Err((
            format!("{} is the name of what relpack makes for it", taken.name),
            "give that unit another name".into(),
        ));
    }
    if name.as_str().parse::<UnitName>().is_err() {
        return Err((
            "the service's name is too long for a trial of it".into(),
            "shorten it".into(),
        ));
    }
    let socket_name = name.with_kind(UnitKind::Socket);
    let mut service = generated(name, service_file(unit, &socket_name, units, ctx)?);
    service.relpack.health = Some(health);
    service.relpack.health_timeout = unit.relpack.health_timeout;
    service.relpack.health_env = unit.relpack.health_env.clone();
    let socket = generated(socket_name, socket_file(socket, &service.name, address, ctx));
    Ok([service, socket])
}

/// The only socket that the service gets.
fn its_socket<'a>(service: &Unit, units: &'a [Unit]) -> Result<&'a Unit, (String, String)> {
    let names = |unit: &&Unit| {
        let named = service.file.get_list("Service", "Sockets");
        unit.name.kind() == UnitKind::Socket
            && (triggered(&unit.name, &unit.file).is_some_and(|(_, target)| target == service.name)
                || named
                    .iter()
                    .any(|line| line.split_whitespace().any(|name| name == unit.name.as_str())))
    };
    let found: Vec<&Unit> = units.iter().filter(names).collect();
    match found[..] {
        [socket] if listens(socket).len() == 1 => Ok(socket),
        [] => Err((
            "the service has no socket unit, so a second process would want the port of the one that serves".into(),
            format!(
                "add [units.\"{}\"], from which it takes its socket",
                service.name.with_kind(UnitKind::Socket)
            ),
        )),
        _ => Err((
            "the service has several sockets, and a trial has one".into(),
            "remove it, or all but one ListenStream=".into(),
        )),
    }
}

fn listens(socket: &Unit) -> Vec<&str> {
    let entries = socket
        .file
        .section("Socket")
        .map_or(&[][..], |section| &section.entries);
    let listening = entries
        .iter()
        .filter(|entry| entry.key.starts_with("Listen") && !entry.value.is_empty());
    listening.map(|entry| entry.value.as_str()).collect()
}

fn listens_at(socket: &Unit, port: &str) -> bool {
    let of = |listen: &&str| {
        listen
            .rsplit_once(':')
            .map_or(**listen == *port, |(_, last)| last == port)
    };
    listens(socket).iter().any(of)
}

/// The service's check, asked at the trial's address.
fn health_at(service: &Unit, socket: &Unit, address: SocketAddr) -> Result<Health, (String, String)> {
    let Some(Health::Http { url }) = &service.relpack.health else {
        return Err((
            "a trial is asked for its health over HTTP, and the service is not".into(),
            "set X-Relpack.Health = \"http://127.0.0.1:…\", through the socket".into(),
        ));
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let usual = if scheme == "https" { "443" } else { "80" };
    let port = authority.rsplit_once(':').map_or(usual, |(_, port)| port);
    let port = match port.strip_prefix("{env.").and_then(|name| name.strip_suffix('}')) {
        Some(name) => service
            .relpack
            .health_env
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, value)| value.as_str()),
        None => Some(port),
    };
    if let Some(port) = port
        && !listens_at(socket, port)
    {
        return Err((
            format!(
                "the health check asks port {port}, where {} does not listen: a trial would be taken for what serves",
                socket.name
            ),
            "ask through the socket, or remove it".into(),
        ));
    }
    // By the name that the application may want in the request.
    let host = match authority.split(':').next() {
        Some("localhost") => format!("localhost:{}", address.port()),
        _ => address.to_string(),
    };
    Ok(Health::Http {
        url: format!("{scheme}://{host}{path}"),
    })
}

fn service_file(like: &Unit, socket: &UnitName, units: &[Unit], ctx: &Context) -> Result<UnitFile, (String, String)> {
    let mut file = UnitFile::new();
    set_description(&mut file, "trial of the next release", ctx);
    file.append("Unit", "Documentation", documentation(ctx));
    append_surroundings(&mut file, like, units, ctx);
    file.append("Unit", "Requires", socket.as_str());
    file.append("Unit", "After", socket.as_str());
    let copied = like.file.section("Service").map_or(&[][..], |section| &section.entries);
    for entry in copied
        .iter()
        .filter(|entry| !NOT_OF_A_TRIAL.contains(&entry.key.as_str()))
    {
        let value = written_out(&entry.value, &like.name).map_err(|_| {
            (
                format!("{}={} is of an instance", entry.key, entry.value),
                "write it without".to_owned(),
            )
        })?;
        file.append("Service", &entry.key, at_own_release(&value, ctx));
    }
    file.append("Service", "Sockets", socket.as_str());
    file.append("Service", "Restart", "no");
    // Also where nobody is left to stop it.
    file.append("Service", "RuntimeMaxSec", format!("{}s", ctx.deploy.timeout));
    close(&mut file, like, ctx)?;
    Ok(file)
}

fn socket_file(like: &Unit, service: &UnitName, address: SocketAddr, ctx: &Context) -> UnitFile {
    let mut file = UnitFile::new();
    set_description(&mut file, "socket of a trial", ctx);
    // It ends with the service, else whoever calls would start that once more.
    file.append("Unit", "BindsTo", service.as_str());
    file.append("Socket", "ListenStream", address.to_string());
    let copied = like.file.section("Socket").map_or(&[][..], |section| &section.entries);
    let is_of_it =
        |key: &str| !key.starts_with("Listen") && !key.starts_with("Exec") && !NOT_OF_ITS_SOCKET.contains(&key);
    let here = |value: &str| written_out(value, &like.name).unwrap_or_else(|_| value.to_owned());
    for entry in copied.iter().filter(|entry| is_of_it(&entry.key)) {
        file.append("Socket", &entry.key, here(&entry.value));
    }
    file.append("Socket", "Service", service.as_str());
    // By which the application knows it.
    let known = like
        .file
        .get("Socket", "FileDescriptorName")
        .unwrap_or(like.name.as_str());
    file.append("Socket", "FileDescriptorName", here(known));
    file.append(X_RELPACK, "Package", ctx.package.as_str());
    file.append(X_RELPACK, "OnUpgrade", OnUpgrade::None.word());
    file
}

#[cfg(test)]
mod tests {
    use super::super::resolve;
    use super::super::test_support::*;
    use super::super::unit::RELEASE_PLACEHOLDER;
    use super::*;

    const SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:3000\nBacklog=64\nListenStream=\nListenStream=3000\n";
    const TRIED: &str = "[Unit]\nWants=postgresql.service acme-b.service\n[Service]\nExecStart=a\nEnvironment=PORT=3000\n\
        RuntimeDirectory=%N\nRestartSec=5s\nFileDescriptorStoreMax=4\n\
        [X-Relpack]\nHealth=http://127.0.0.1:{env.PORT}/healthz?a=1\nHealthTimeout=7s\nTrial=127.0.0.1:3001\n";

    #[test]
    fn the_next_release_gets_a_socket_of_its_own() {
        let units = good(
            &[
                ("acme.service", TRIED),
                ("acme-b.service", SERVICE),
                ("acme.socket", SOCKET),
            ],
            &context(),
        );
        let of = |name: &str| units.iter().find(|unit| unit.name.as_str() == name).unwrap();
        let (service, socket) = (of("acme-trial.service"), of("acme-trial.socket"));
        assert!(service.generated && !service.relpack.gated && !service.relpack.enable && !socket.relpack.enable);
        assert_eq!(service.relpack.on_upgrade, OnUpgrade::None);
        assert_eq!(
            service.relpack.health,
            Some(Health::Http {
                url: "http://127.0.0.1:3001/healthz?a=1".into()
            })
        );
        assert_eq!(
            service.relpack.health_timeout,
            of("acme.service").relpack.health_timeout
        );
        let said = |key: &str| service.file.get_list("Service", key);
        assert_eq!(said("ExecStart"), ["/opt/acme/app/a"]);
        assert_eq!(said("Restart"), ["no"]);
        assert_eq!(said("RuntimeDirectory"), ["acme"]);
        assert_eq!(said("RuntimeDirectoryPreserve"), ["yes"]);
        assert_eq!(said("RuntimeMaxSec"), ["600s"]);
        assert_eq!(said("Sockets"), ["acme-trial.socket"]);
        assert_eq!(
            said("BindReadOnlyPaths"),
            [format!("/opt/acme/releases/{RELEASE_PLACEHOLDER}:/opt/acme/app")]
        );
        assert!(said("FileDescriptorStoreMax").is_empty() && said("RestartSec").is_empty());
        assert_eq!(service.file.get_list("Unit", "Wants"), ["postgresql.service"]);
        assert_eq!(
            socket.file.render(),
            "[Unit]\nDescription=100%% Acme (socket of a trial)\nBindsTo=acme-trial.service\n\n[Socket]\n\
             ListenStream=127.0.0.1:3001\nBacklog=64\nService=acme-trial.service\nFileDescriptorName=acme.socket\n\n\
             [X-Relpack]\nPackage=acme\nOnUpgrade=none\n"
        );
    }

    #[test]
    fn a_second_process_takes_nothing_from_the_first() {
        let dynamic = TRIED.replace(
            "RestartSec=5s",
            "DynamicUser=yes\nKillMode=process\nRestartForceExitStatus=4\nExecStop=a stop",
        );
        let socket = "[Socket]\nListenStream=3000\nBindToDevice=eth0\nFileDescriptorName=%p\n";
        let at_host = dynamic.replace("http://127.0.0.1:", "http://localhost:");
        let units = good(
            &[
                ("acme-web.service", &at_host),
                ("acme-web.socket", socket),
                ("acme-b.service", SERVICE),
            ],
            &context(),
        );
        let of = |name: &str| units.iter().find(|unit| unit.name.as_str() == name).unwrap();
        let service = of("acme-web-trial.service");
        assert_eq!(service.file.get("Service", "User"), Some("acme-web"));
        for key in ["KillMode", "RestartForceExitStatus", "ExecStop"] {
            assert!(!service.file.has("Service", key), "{key}");
        }
        assert_eq!(
            service.relpack.health.as_ref().unwrap().target(),
            "http://localhost:3001/healthz?a=1"
        );
        let socket = &of("acme-web-trial.socket").file;
        assert_eq!(socket.get("Socket", "FileDescriptorName"), Some("acme-web"));
        assert!(!socket.has("Socket", "BindToDevice"));
        assert!(service.is_trial() && !of("acme-web.service").is_trial());
    }

    #[test]
    fn what_cannot_be_tried_is_refused() {
        let socket = |lines: &str| format!("[Socket]\nListenStream=127.0.0.1:3000\n{lines}");
        let plain = socket("");
        let without = |what: &str, by: &str| TRIED.replace(what, by);
        for (service, socket, expected) in [
            (TRIED.to_owned(), "", "no socket unit"),
            (
                TRIED.to_owned(),
                &*socket("ListenStream=127.0.0.1:3002\n"),
                "several sockets",
            ),
            (
                without("Health=http://127.0.0.1:{env.PORT}/healthz?a=1\n", ""),
                &plain,
                "over HTTP",
            ),
            (without("Health=http", "Health=exec:a #"), &plain, "over HTTP"),
            (without("{env.PORT}", "9090"), &plain, "asks port 9090"),
            (
                without("Trial=127.0.0.1:3001", "Trial=127.0.0.1:3000"),
                &plain,
                "listens there",
            ),
            (
                without("Trial=127.0.0.1:3001", "Trial=0.0.0.0:3001"),
                &plain,
                "open to others",
            ),
            (without("Trial=127.0.0.1:3001", "Trial=127.0.0.1:0"), &plain, "port 0"),
            (
                without("Trial=127.0.0.1:3001", "Trial=3001"),
                &plain,
                "no address with a port",
            ),
            (without("RestartSec=5s", "PIDFile=/run/a"), &plain, "PIDFile="),
            (
                without("[X-Relpack]\n", "[X-Relpack]\nOnUpgrade=none\n"),
                &plain,
                "neither restarts",
            ),
        ] {
            let mut units = vec![("acme.service", &*service)];
            if !socket.is_empty() {
                units.push(("acme.socket", socket));
            }
            let found = errors(&units, &context());
            let told = found.iter().find(|error| error.key.as_deref() == Some("Trial"));
            assert!(
                told.is_some_and(|error| error.message.contains(expected)),
                "{expected}: {found:?}"
            );
        }
        let taken = [
            ("acme.service", TRIED),
            ("acme.socket", &*plain),
            ("acme-trial.service", SERVICE),
        ];
        assert!(
            errors(&taken, &context())[0]
                .message
                .contains("the name of what relpack makes")
        );
        let other = [
            ("acme.service", TRIED),
            ("acme.socket", &*plain),
            (
                "acme-b.service",
                &*without("3000", "3002").replace("{env.PORT}", "3002"),
            ),
            ("acme-b.socket", "[Socket]\nListenStream=3002\n"),
        ];
        assert!(
            errors(&other, &context())[0]
                .message
                .contains("is tried at the same address")
        );
        let template = [("acme@.service", TRIED), ("acme@.socket", &*plain)];
        let found = resolve(input(&template), &context()).unwrap_err();
        assert!(
            found
                .iter()
                .any(|error| error.message.contains("instances are not tried")),
            "{found:?}"
        );
        let timer = [
            ("acme.service", SERVICE),
            (
                "acme.timer",
                "[Timer]\nOnCalendar=daily\n[X-Relpack]\nTrial=127.0.0.1:1\n",
            ),
        ];
        assert!(errors(&timer, &context())[0].message.contains("a timer has no Trial"));
    }
}
