//! Tests of the units of a package together: names, triggers, upgrades, health, migration.

use super::test_support::*;
use super::*;
use crate::model::{Seconds, UnitKind, UnitName};

#[test]
fn names_of_others_are_refused() {
    for (name, ok) in [
        ("acme.service", true),
        ("acme-web.service", true),
        ("acme-web@.service", true),
        ("acme@.service", true),
        ("acme@blue.service", false),
        ("acmeweb.service", false),
        ("ssh.service", false),
        ("acme-.service", false),
        ("acme-migrate.service", false),
        ("acme-first-start.service", false),
    ] {
        let result = resolve(input(&[(name, SERVICE)]), &context());
        assert_eq!(result.is_ok(), ok, "{name}: {result:?}");
    }
    let twice = errors(&[("acme.service", SERVICE), ("acme.service", SERVICE)], &context());
    assert!(twice[0].message.contains("twice"));
}

#[test]
fn mounts_lie_below_the_prefix() {
    let text = "[Mount]\nWhat=/dev/vdb\nWhere=/opt/acme/data\n";
    assert_eq!(one("opt-acme-data.mount", text).relpack.on_upgrade, OnUpgrade::None);
    assert!(
        errors(&[("home.mount", text)], &context())[0]
            .message
            .contains("below /opt/acme")
    );
    let other = errors(&[("opt-acme-x.mount", text)], &context());
    assert_eq!(other[0].hint, "name the unit \"opt-acme-data.mount\"");
}

#[test]
fn triggers_need_what_they_start() {
    let timer = "[Timer]\nOnCalendar=daily\n";
    let found = errors(&[("acme-job.timer", timer)], &context());
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("starts acme-job.service"));
    let named = format!("{timer}Unit=acme-jab.service\n");
    let found = errors(&[("acme.timer", &named), ("acme-job.service", SERVICE)], &context());
    assert_eq!(found[0].hint, "did you mean \"acme-job.service\"?");
    let foreign = format!("{timer}Unit=postgresql.service\n");
    assert!(resolve(input(&[("acme.timer", &foreign)]), &context()).is_ok());
    let accept = "[Socket]\nListenStream=80\nAccept=yes\n";
    assert!(
        errors(&[("acme.socket", accept), ("acme.service", SERVICE)], &context())[0]
            .message
            .contains("acme@.service")
    );
    let both = input(&[("acme.socket", accept), ("acme@.service", SERVICE)]);
    let (units, _) = resolve(both, &context()).unwrap();
    let connection = units.iter().find(|unit| unit.name.as_str() == "acme@.service").unwrap();
    assert_eq!(
        connection.relpack.on_upgrade,
        OnUpgrade::None,
        "a connection ends on the release on which it began"
    );
    for (name, text) in [
        ("acme.timer", "[Timer]\nPersistent=yes\n"),
        ("acme.socket", "[Socket]\nBacklog=5\n"),
        ("acme.path", "[Path]\nMakeDirectory=yes\n"),
    ] {
        assert_eq!(
            errors(&[(name, text), ("acme.service", SERVICE)], &context()).len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn what_an_upgrade_does_with_each_unit() {
    let job = "[Service]\nType=oneshot\nExecStart=a\n";
    let setup = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=a\n";
    let reload =
        "[Service]\nType=notify\nExecStart=a\nExecReload=/bin/kill -HUP $MAINPID\n[X-Relpack]\nOnUpgrade=reload\n";
    let units = good(
        &[
            ("acme.service", SERVICE),
            ("acme-job.service", job),
            ("acme-job.timer", "[Timer]\nOnCalendar=daily\n"),
            ("acme-once.service", job),
            ("acme-setup.service", setup),
            ("acme-lazy.service", SERVICE),
            ("acme-lazy.socket", "[Socket]\nListenStream=80\n"),
            ("acme-reload.service", reload),
            (
                "acme-stay.service",
                "[Service]\nExecStart=a\n[X-relpack]\nOnUpgrade=none\n",
            ),
            ("acme.slice", "[Slice]\nMemoryMax=1G\n"),
        ],
        &context(),
    );
    let table: Vec<String> = units
        .iter()
        .map(|u| {
            format!(
                "{} {} {} {}",
                u.name, u.relpack.on_upgrade, u.relpack.enable, u.relpack.gated
            )
        })
        .collect();
    assert_eq!(
        table,
        [
            "acme-job.service none false false",
            "acme-job.timer restart true false",
            "acme-lazy.service restart false true",
            "acme-lazy.socket restart true false",
            "acme-once.service none true false",
            "acme-reload.service reload true true",
            "acme-setup.service restart true false",
            "acme-stay.service none true false",
            "acme.service restart true true",
            "acme.slice none false false",
        ]
    );
    assert_eq!(units[7].file.get("X-Relpack", "OnUpgrade"), Some("none"));
    assert!(error("[X-Relpack]\nOnUpgrade=reload\n").hint.contains("ExecReload"));
    assert_eq!(
        error("[X-Relpack]\nOnUpgrade=restrat\n").hint,
        "did you mean \"restart\"?"
    );
    assert_eq!(error("[X-Relpack]\nOnUpgarde=none\n").hint, "did you mean OnUpgrade?");
    assert_eq!(error("[X-Relpack]\nPackage=x\n").hint, "remove it");
}

#[test]
fn the_drain_has_to_end_before_the_kill() {
    let service = |drain: &str, stop: &str| format!("[Service]\nExecStart=a\n{stop}[X-Relpack]\nDrain={drain}\n");
    for (drain, stop, ok) in [
        ("25s", "TimeoutStopSec=30s\n", true),
        ("30s", "TimeoutStopSec=30s\n", false),
        ("1min", "TimeoutStopSec=30\n", false),
        ("10min", "TimeoutStopSec=infinity\n", true),
        ("10min", "TimeoutStopSec=0\n", true),
        ("89s", "", true),
        ("90s", "", false),
        ("9s", "TimeoutSec=10\n", true),
        ("10s", "TimeoutSec=10\n", false),
    ] {
        let text = service(drain, stop);
        let result = resolve(input(&[("acme.service", &text)]), &context());
        assert_eq!(result.is_ok(), ok, "{drain} {stop}");
    }
}

#[test]
fn health_checks() {
    let health = |value: &str| {
        let text = format!(
            "[Service]\nExecStart=a\nEnvironment=\"PORT=80%%\" HOST=h X=%i\n[X-Relpack]\nHealthTimeout=2min\nHealth={value}\n"
        );
        let (mut units, _) = resolve(input(&[("acme.service", &text)]), &context()).map_err(|mut e| {
            assert_eq!(e.len(), 1, "{e:?}");
            e.remove(0).message
        })?;
        Ok::<_, String>(units.remove(0).relpack)
    };
    let http = health("http://{env.HOST}:{env.PORT}/{env.DATABASE_URL}").unwrap();
    assert_eq!(http.health_timeout, Some(Seconds(120)));
    let defaults: Vec<(String, String)> = http
        .health_env
        .iter()
        .map(|(k, v)| (k.to_string(), v.clone()))
        .collect();
    assert_eq!(defaults, [("HOST".into(), "h".into()), ("PORT".into(), "80%".into())]);
    let unix = health("unix:{shared}/sock:/up?x=1").unwrap().health.unwrap();
    assert_eq!(
        (unix.word(), unix.target().as_str()),
        ("unix", "/opt/acme/shared/sock:/up?x=1")
    );
    let exec = health("exec:bin/check --fast 'a b'").unwrap().health.unwrap();
    assert_eq!(
        (exec.word(), exec.target().as_str()),
        ("exec", "/opt/acme/app/bin/check --fast 'a b'")
    );
    for bad in [
        "",
        "localhost:80",
        "http://",
        "http://:80/",
        "http://h/a b",
        "http://h/\"x\"",
        "http://h/$(x)",
        "unix:sock",
        "unix:/a/../b",
        "unix:/sock:up",
        "exec:",
        "exec:-bin/x",
        "http://h:{env.NOPE}/",
        "http://h:{env.X}/",
        "http://h:{env.1}/",
        "http://h/`x`",
    ] {
        if bad.is_empty() {
            assert!(health(bad).unwrap().health.is_none());
        } else {
            assert!(health(bad).is_err(), "{bad}");
        }
    }
    let timer = errors(
        &[
            ("acme.timer", "[Timer]\nOnBootSec=1\n[X-Relpack]\nHealth=http://h/\n"),
            ("acme.service", SERVICE),
        ],
        &context(),
    );
    assert_eq!(timer[0].hint, "write it into the service");
}

#[test]
fn suspicious_things_are_warned_of() {
    let found = warnings(&[(
        "acme.service",
        "[Service]\nExecStart=a\nRestartSteps=3\nNice=1\nNice=2\n",
    )]);
    assert_eq!(
        found,
        [
            "RestartSteps= came with systemd 254, and the target has 252",
            "Nice= is set more than once"
        ]
    );
    let found = warnings(&[(
        "acme.service",
        "[Service]\nType=notify-reload\nExecStart=a\nCPUShares=5\n",
    )]);
    assert_eq!(found.len(), 2, "{found:?}");
    let found = warnings(&[("acme.service", SERVICE), ("acme.timer", "[Timer]\nOnBootSec=1\n")]);
    assert!(found[0].contains("not oneshot"), "{found:?}");
    let ctx = Context {
        systemd: 257,
        ..context()
    };
    let text = "[Service]\nExecStart=a\nRestartSteps=3\n";
    assert_eq!(resolve(input(&[("acme.service", text)]), &ctx).unwrap().1, []);
}

fn with_migration(like: &str, exec: &str) -> Context {
    Context {
        migrate: Some(MigrateInput {
            exec: exec.into(),
            like: parse(like),
            timeout: Seconds(60),
        }),
        ..context()
    }
}

#[test]
fn the_migration_runs_as_its_model_does() {
    let text = "\
[Unit]
After=db.service acme-x.service acme-w@1.service
Requires=acme-x.service
[Service]
Type=notify
ExecStart=a
ExecReload=b
Restart=always
TimeoutStopSec=5
WatchdogSec=5
KillSignal=SIGQUIT
SuccessExitStatus=7
User=u
RuntimeDirectory=acme
StandardInput=socket
StandardError=journal
Slice=acme.slice
Delegate=yes
LimitNOFILE=9
";
    let units = good(
        &[
            ("acme.service", text),
            ("acme-x.service", SERVICE),
            ("acme-w@.service", SERVICE),
        ],
        &with_migration("acme.service", "bin/migrate --to {shared}"),
    );
    let find = |name: &str| units.iter().find(|u| u.name.as_str() == name).unwrap();
    let first = &find("acme-first-start.service").file;
    assert_eq!(first.get("Unit", "Before"), Some("acme.service acme-x.service"));
    assert_eq!(
        first.get("Unit", "ConditionPathExists"),
        Some("/var/lib/relpack/acme/pending-migration")
    );
    let migrate = find("acme-migrate.service");
    assert_eq!(
        migrate.file.render(),
        "\
[Unit]
Description=100%% Acme (database migration)
Documentation=man:acme-release(1)
After=db.service
RequiresMountsFor=/opt/acme

[Service]
Type=oneshot
ExecStart=/opt/acme/app/bin/migrate --to /opt/acme/shared
ExecStartPost=+/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/acme-release _migrated @RELPACK_RELEASE@
UnsetEnvironment=LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH LD_DEBUG LD_DEBUG_OUTPUT LD_PROFILE LD_PROFILE_OUTPUT \
LD_ORIGIN_PATH GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH LANGUAGE
TimeoutStartSec=60s
User=u
RuntimeDirectory=acme
StandardError=journal
Slice=acme.slice
LimitNOFILE=9
WorkingDirectory=/opt/acme/app
BindReadOnlyPaths=/opt/acme/releases/@RELPACK_RELEASE@:/opt/acme/app
RuntimeDirectoryPreserve=yes

[X-Relpack]
Package=acme
Release=@RELPACK_RELEASE@
OnUpgrade=none
"
    );
    assert!(migrate.generated && !migrate.relpack.enable);
    for unit in ["acme.service", "acme-x.service", "acme-w@.service"] {
        for key in ["Requires", "After"] {
            let values = find(unit).file.get_list("Unit", key);
            assert!(values.contains(&"acme-first-start.service"), "{unit} {key}");
        }
    }
}

#[test]
fn a_migration_needs_a_service_to_be_like() {
    let units = [
        ("acme.service", SERVICE),
        ("acme-u@.service", "[Service]\nExecStart=a\nUser=acme-%i\n"),
        ("acme.target", "[Unit]\n"),
    ];
    for (like, exec, key) in [
        ("acme-w.service", "a", "like"),
        ("acme-u@.service", "a", "like"),
        ("acme.target", "a", "like"),
        ("acme.service", "", "exec"),
        ("acme.service", "a {ap}", "exec"),
        ("acme.service", "a\nUser=root", "exec"),
    ] {
        let found = errors(&units, &with_migration(like, exec));
        assert_eq!(found.len(), 1, "{like} {exec}");
        assert_eq!(
            (&found[0].origin, found[0].key.as_deref()),
            (&Origin::Migrate, Some(key))
        );
    }
}

#[test]
fn a_migration_like_a_template_is_of_no_instance() {
    let text = "[Unit]\nAfter=db@%i.service cache.service\n[Service]\nExecStart=a --port %i\nUser=u-%p\nSlice=%p.slice\n\
                Environment=DB=main\nEnvironment=PORT=%i\nEnvironmentFile=-/etc/acme-%I\nStateDirectory=acme acme-%i\nUMask=0027\n";
    let units = good(
        &[("acme@.service", text)],
        &with_migration("acme@.service", "bin/migrate"),
    );
    for name in ["acme-migrate.service", "acme-first-start.service"] {
        let file = &units.iter().find(|u| u.name.as_str() == name).unwrap().file;
        assert_eq!(file.get("Unit", "After"), Some("cache.service"), "{name}");
        assert_eq!(file.get_list("Service", "Environment"), ["DB=main"]);
        assert_eq!(file.get("Service", "User"), Some("u-acme"));
        assert_eq!(file.get("Service", "Slice"), Some("acme.slice"));
        assert_eq!(file.get("Service", "UMask"), Some("0027"));
        assert_eq!(file.get("Service", "EnvironmentFile"), None);
        assert_eq!(file.get("Service", "StateDirectory"), None);
    }
    let instances = &units.iter().find(|u| u.name.as_str() == "acme@.service").unwrap().file;
    assert!(
        instances
            .get_list("Unit", "Requires")
            .contains(&"acme-first-start.service")
    );
    let bad = [("acme@.service", "[Service]\nExecStart=a\nUser=acme-%i\n")];
    let found = errors(&bad, &with_migration("acme@.service", "a"));
    assert!(found[0].message.contains("User=acme-%i"), "{found:?}");
}

#[test]
fn the_programs_of_a_unit_are_absolute() {
    let unit = one("acme.service", "[Service]\nExecStart=bin/a x\nExecStartPre=-/bin/b\n");
    let commands = exec::commands(unit.file.section("Service").unwrap());
    let programs: Vec<String> = commands.into_iter().map(|(_, _, command)| command.program).collect();
    assert_eq!(programs, ["/opt/acme/app/bin/a", "/bin/b"]);
}

#[test]
fn the_same_input_gives_the_same_units_in_any_order() {
    let mut units = [
        ("acme.service", SERVICE),
        ("acme-b.service", SERVICE),
        ("acme-b.timer", "[Timer]\nOnBootSec=1\n"),
    ];
    let forward = good(&units, &context());
    units.reverse();
    assert_eq!(good(&units, &context()), forward);
    let names: Vec<&UnitName> = forward.iter().map(|u| &u.name).collect();
    assert!(names.is_sorted());
    assert_eq!(forward[0].name.kind(), UnitKind::Service);
}

#[test]
fn a_reloaded_service_follows_the_live_release() {
    let text = "[Service]\nExecStart=bin/a --at {app}\nExecReload=/bin/kill -HUP $MAINPID\nEnvironment=HOME={app}/x\n\
                [X-Relpack]\nOnUpgrade=reload\nHealth=exec:bin/check\n";
    let ctx = with_migration("acme.service", "bin/migrate");
    let units = good(&[("acme.service", text), ("acme-other.service", SERVICE)], &ctx);
    let unit = |name: &str| &units.iter().find(|u| u.name.as_str() == name).unwrap().file;
    let acme = unit("acme.service");
    assert_eq!(
        acme.get("Service", "ExecStart"),
        Some("/opt/acme/current/bin/a --at /opt/acme/current")
    );
    assert_eq!(acme.get("Service", "WorkingDirectory"), Some("/opt/acme/current"));
    assert_eq!(acme.get("Service", "BindReadOnlyPaths"), None);
    let health = units.iter().find_map(|u| u.relpack.health.as_ref()).unwrap();
    assert_eq!(health.target(), "/opt/acme/current/bin/check");
    let other = unit("acme-other.service");
    assert_eq!(other.get("Service", "WorkingDirectory"), Some("/opt/acme/app"));
    // The migration runs before the switch, so it has a release of its own.
    for name in ["acme-migrate.service", "acme-first-start.service"] {
        let file = unit(name);
        assert_eq!(file.get("Service", "ExecStart"), Some("/opt/acme/app/bin/migrate"));
        assert_eq!(file.get("Service", "WorkingDirectory"), Some("/opt/acme/app"));
        assert_eq!(file.get("Service", "Environment"), Some("HOME=/opt/acme/app/x"));
        let bind = file.get("Service", "BindReadOnlyPaths");
        assert_eq!(bind, Some("/opt/acme/releases/@RELPACK_RELEASE@:/opt/acme/app"));
    }
    // Where all services are reloaded by default, one that says otherwise is not.
    let mut ctx = context();
    ctx.defaults.file = UnitFile::parse("[X-Relpack]\nOnUpgrade=reload\n").unwrap();
    let units = good(
        &[
            ("acme.service", "[Service]\nExecStart=a\nExecReload=b\n"),
            (
                "acme-b.service",
                "[Service]\nExecStart=a\n[X-Relpack]\nOnUpgrade=restart\n",
            ),
        ],
        &ctx,
    );
    let starts: Vec<_> = units
        .iter()
        .map(|u| u.file.get("Service", "ExecStart").unwrap())
        .collect();
    assert_eq!(starts, ["/opt/acme/app/a", "/opt/acme/current/a"]);
}
