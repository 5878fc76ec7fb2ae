//! Tests of how units are completed, and of the errors in their directives.

use super::test_support::*;
use super::*;
use crate::model::Seconds;

#[test]
fn a_bare_service_gets_the_defaults() {
    assert_eq!(
        one("acme.service", SERVICE).file.render(),
        "\
[Unit]
Description=100%% Acme
Documentation=man:acme-release(1)
RequiresMountsFor=/opt/acme

[Service]
ExecStart=/opt/acme/app/bin/a
User=acme
Group=acme
WorkingDirectory=/opt/acme/app
BindReadOnlyPaths=/opt/acme/releases/@RELPACK_RELEASE@:/opt/acme/app
Restart=on-failure
RestartSec=1s

[Install]
WantedBy=multi-user.target

[X-Relpack]
Package=acme
Release=@RELPACK_RELEASE@
"
    );
}

#[test]
fn what_the_user_set_stands() {
    let unit = one(
        "acme.service",
        "[Unit]\nDescription=Mine\nRequiresMountsFor=/opt/acme /srv\n[Service]\nExecStart=/bin/a\nUser=root\n\
         WorkingDirectory={shared}\nRestart=no\n[Install]\nWantedBy=graphical.target\n[X-Other]\nKey=a b\n",
    );
    assert_eq!(
        unit.file.render(),
        "\
[Unit]
Description=Mine
RequiresMountsFor=/opt/acme /srv
Documentation=man:acme-release(1)

[Service]
ExecStart=/bin/a
User=root
WorkingDirectory=/opt/acme/shared
Restart=no
BindReadOnlyPaths=/opt/acme/releases/@RELPACK_RELEASE@:/opt/acme/app

[Install]
WantedBy=graphical.target

[X-Other]
Key=a b

[X-Relpack]
Package=acme
Release=@RELPACK_RELEASE@
"
    );
    let dynamic = one("acme.service", "[Service]\nExecStart=a\nDynamicUser=yes\n");
    assert!(!dynamic.file.has("Service", "User") && !dynamic.file.has("Service", "Group"));
}

#[test]
fn an_empty_install_section_means_static() {
    for text in ["[Install]\n", "[Install]\nWantedBy=\n"] {
        let unit = one("acme.service", &format!("{SERVICE}{text}"));
        assert!(!unit.relpack.enable);
        assert!(!unit.file.render().contains("Install"));
    }
}

#[test]
fn templates_take_instances() {
    let text = "[Service]\nExecStart=bin/a --name {instance}\n";
    let unit = one("acme@.service", text);
    assert_eq!(
        unit.file.get("Service", "ExecStart"),
        Some("/opt/acme/app/bin/a --name %i")
    );
    assert_eq!(unit.file.get("Unit", "Description"), Some("100%% Acme (%i)"));
    // `systemctl enable acme@.service` needs to know which instance.
    assert!(!unit.relpack.enable && unit.relpack.gated);
    assert!(unit.file.has("Install", "WantedBy"));
    let named = one(
        "acme@.service",
        &format!("{text}[Install]\nWantedBy=a.target\nDefaultInstance=x\n"),
    );
    assert!(named.relpack.enable);
    assert!(error("SyslogIdentifier={instance}\n").message.contains("no instances"));
}

#[test]
fn a_presets_placeholders_are_filled_in_as_a_units_own() {
    let mut ctx = context();
    ctx.defaults.preset = Some("static".into());
    let units = good(
        &[
            ("acme.service", SERVICE),
            (
                "acme-b.service",
                "[Service]\nExecStart=/bin/b\nExecReload=/bin/c\n[X-Relpack]\nOnUpgrade=reload\n",
            ),
        ],
        &ctx,
    );
    let hidden = |name: &str| {
        let unit = units.iter().find(|unit| unit.name.as_str() == name).unwrap();
        unit.file.get("Service", "InaccessiblePaths").unwrap()
    };
    assert_eq!(hidden("acme.service"), "-/opt/acme/app/.relpack");
    assert_eq!(hidden("acme-b.service"), "-/opt/acme/current/.relpack");
}

#[test]
fn presets_defaults_and_units_are_laid_over_each_other() {
    let ctx = Context {
        defaults: Defaults {
            preset: Some("python".into()),
            file: UnitFile::parse(
                "[Service]\nEnvironment=A=1\nProtectHome=read-only\nUser=www-data\n[X-Relpack]\nDrain=5s\n",
            )
            .unwrap(),
        },
        writable: vec![parse("/opt/acme/shared/up"), parse("/var/lib/x")],
        ..context()
    };
    let units = good(
        &[
            (
                "acme.service",
                "[Service]\nExecStart=a\nEnvironment=B=2\nPrivateTmp=no\nReadWritePaths=/var/lib/x\n",
            ),
            (
                "acme-x.service",
                "[Service]\nExecStart=a\nEnvironment=\nProtectSystem=full\n",
            ),
            ("acme.target", "[Unit]\nWants=acme.service\n"),
        ],
        &ctx,
    );
    let [other, main, target] = &units[..] else {
        panic!("{units:?}")
    };
    assert_eq!(
        main.file.get_list("Service", "Environment"),
        ["PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "A=1", "B=2"]
    );
    assert_eq!(main.file.get("Service", "PrivateTmp"), Some("no"));
    assert_eq!(main.file.get("Service", "ProtectHome"), Some("read-only"));
    assert_eq!(main.file.get("Service", "User"), Some("www-data"));
    assert!(!main.file.has("Service", "Group"));
    assert_eq!(main.relpack.drain, Some(Seconds(5)));
    assert_eq!(
        main.file.get_list("Service", "ReadWritePaths"),
        ["/var/lib/x", "-/opt/acme/shared/up"]
    );
    assert_eq!(main.file.get_list("Service", "CapabilityBoundingSet"), [""; 0]);
    assert!(main.file.has("Service", "CapabilityBoundingSet"));
    assert!(other.file.get_list("Service", "Environment").is_empty());
    assert!(!other.file.has("Service", "ReadWritePaths"));
    assert_eq!(
        target.file.render(),
        "[Unit]\nDescription=100%% Acme (target)\nWants=acme.service\nRequiresMountsFor=/opt/acme\n\n[X-Relpack]\nPackage=acme\n"
    );
}

#[test]
fn faulty_defaults_are_told_once() {
    let ctx = Context {
        defaults: Defaults {
            preset: Some("nod".into()),
            file: UnitFile::parse("[Service]\nExecStrat=a\n[Install]\nWantedBy=x\n[Timer]\nOnBootSec=1\n").unwrap(),
        },
        ..context()
    };
    let found = errors(&[("acme.service", SERVICE), ("acme-b.service", SERVICE)], &ctx);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|e| e.origin == Origin::Defaults));
    assert_eq!(found[0].key.as_deref(), Some("preset"));
    assert_eq!(found[0].hint, "did you mean \"node\"?");
    assert_eq!(found[1].hint, "did you mean ExecStart=?");
}

#[test]
fn errors_say_where_and_what_instead() {
    let found = error("Environment=A=1\nEnviroment=B=2\n");
    assert_eq!(found.origin, Origin::Unit(parse("acme.service")));
    assert_eq!(
        (found.section.as_deref(), found.key.as_deref(), found.line),
        (Some("Service"), Some("Enviroment"), Some(4))
    );
    assert_eq!(found.message, "Enviroment= is not a directive of systemd");
    assert_eq!(found.hint, "did you mean Environment=?");
    assert_eq!(error("After=x.target\n").hint, "it belongs to [Unit]");
    assert_eq!(error("[service]\nType=simple\n").hint, "did you mean [Service]?");
    assert_eq!(
        error("[Timer]\nOnBootSec=1\n").hint,
        "a service has the sections Unit, Service, Install"
    );
    assert_eq!(error("[Unit]\nRefuseManualStart=ja\n").hint, "write true or false");
    assert_eq!(error("PrivateTmp=ja\n").hint, "one of true, false, disconnected");
    assert!(error("Type=simpel\n").hint.starts_with("did you mean \"simple\"? "));
    // What a default of ours says is taken away; a default of systemd's is not.
    assert_eq!(
        one("acme.service", &format!("{SERVICE}PrivateTmp=\n"))
            .file
            .get("Service", "PrivateTmp"),
        Some("")
    );
    assert_eq!(error("RestartSec=5 parsecs\n").key.as_deref(), Some("RestartSec"));
    assert_eq!(
        error("WorkingDirectory=sub\n").hint,
        "write \"{app}/sub\" or \"{shared}/sub\""
    );
    assert_eq!(error("SyslogIdentifier={shard}\n").hint, "did you mean {shared}?");
    assert_eq!(
        error("SyslogIdentifier=@RELPACK_X@\n").key.as_deref(),
        Some("SyslogIdentifier")
    );
    assert_eq!(error("ExecStartPre=a 'b\n").hint, "close it, or escape it with '\\'");
    assert!(error("ExecStart=b\n").message.contains("only a oneshot"));
    assert!(
        error("AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=\n")
            .hint
            .contains("CAP_NET_BIND_SERVICE")
    );
    let second = error("EnvironmentFile=/a\nEnvironmentFile=b\n");
    assert_eq!(second.index, 1);
}

#[test]
fn a_value_can_not_leave_its_line() {
    for value in ["a\nExecStart=/bin/evil", "a\r", "a\u{1b}", "a\\", "a\u{85}"] {
        let mut file = UnitFile::new();
        file.append("Service", "ExecStart", "a");
        file.append("Service", "SyslogIdentifier", value);
        let unit = UnitInput {
            name: parse("acme.service"),
            file,
        };
        assert!(resolve(vec![unit], &context()).is_err(), "{value:?}");
    }
}

#[test]
fn an_environment_file_of_the_release_is_read_at_its_place_on_the_host() {
    let text = format!("{SERVICE}EnvironmentFile=-{{app}}/conf/acme.env\nWorkingDirectory={{app}}/conf\n");
    let unit = one("acme.service", &text);
    // systemd reads it before the unit has mounts of its own.
    assert_eq!(
        unit.file.get_list("Service", "EnvironmentFile"),
        ["-/opt/acme/releases/@RELPACK_RELEASE@/conf/acme.env"]
    );
    assert_eq!(unit.file.get("Service", "WorkingDirectory"), Some("/opt/acme/app/conf"));
}

#[test]
fn the_strategy_reloads_what_can_be_reloaded() {
    let mut ctx = context();
    ctx.deploy.reload = true;
    let units = good(
        &[
            (
                "acme.service",
                "[Service]\nExecStart={app}/a\nExecReload=/bin/kill -HUP $MAINPID\n",
            ),
            ("acme-web.service", "[Service]\nType=notify-reload\nExecStart=web\n"),
            ("acme-plain.service", "[Service]\nExecStart=a\n"),
            (
                "acme-own.service",
                "[Service]\nExecStart=a\nExecReload=/bin/true\n[X-Relpack]\nOnUpgrade=restart\n",
            ),
            (
                "acme-job.service",
                "[Service]\nExecStart=a\nExecReload=/bin/true\n[X-Relpack]\n",
            ),
            ("acme-job.timer", "[Timer]\nOnCalendar=daily\n"),
        ],
        &ctx,
    );
    let of = |name: &str| {
        let unit = units.iter().find(|unit| unit.name.as_str() == name).unwrap();
        let start = unit.file.get("Service", "ExecStart").unwrap_or_default().to_owned();
        (unit.relpack.on_upgrade, start)
    };
    assert_eq!(
        of("acme.service"),
        (OnUpgrade::Reload, "/opt/acme/current/a".to_owned())
    );
    assert_eq!(
        of("acme-web.service"),
        (OnUpgrade::Reload, "/opt/acme/current/web".to_owned())
    );
    assert_eq!(
        of("acme-plain.service"),
        (OnUpgrade::Restart, "/opt/acme/app/a".to_owned())
    );
    assert_eq!(
        of("acme-own.service"),
        (OnUpgrade::Restart, "/opt/acme/app/a".to_owned())
    );
    assert_eq!(of("acme-job.service"), (OnUpgrade::None, "/opt/acme/app/a".to_owned()));
}

#[test]
fn a_service_finds_its_lame_duck() {
    let mut ctx = context();
    ctx.deploy.lame_duck = true;
    for unit in good(&[("acme.service", SERVICE), ("acme-web@.service", SERVICE)], &ctx) {
        let file = match unit.name.as_str() {
            "acme.service" => "acme.service",
            _ => "acme-web@%i.service",
        };
        assert_eq!(
            unit.file.get_list("Service", "Environment"),
            [format!("RELPACK_LAME_DUCK=/run/relpack/acme/lame-duck/{file}")]
        );
    }
}
