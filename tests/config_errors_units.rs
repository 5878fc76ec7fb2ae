//! What a person sees of wrong units: those of `relpack.toml`, ready-made files and drop-ins.

use std::fs;

use crate::config_errors::{BASE, NEXT, check, errors, handler, plus};
use relpack::config::{self, Overrides};

/// The base with a unit: its table on line 7, `line` on line 8.
fn unit(line: &str) -> String {
    plus(&format!(
        "[units.\"acme.service\"]\n{line}\nService.ExecStart = \"bin/acme\""
    ))
}

#[test]
#[rustfmt::skip]
fn bad_units() {
    check(&[
        (unit("ExecStart = \"x\""), NEXT + 1, "outside of a section", "Service.ExecStart"),
        (unit("Service.Exec Start = \"x\""), NEXT + 1, "TOML:", "quotes"),
        (unit("Service.\"User\\nGroup\" = \"x\""), NEXT + 1, "not the name of a directive", "letters"),
        (unit("Service.ProtectSystem = \"strct\""), NEXT + 1, "ProtectSystem=strct is not known, and systemd would ignore", "did you mean \"strict\"? It is one of true, false"),
        (unit("Service.Type = \"Notify\""), NEXT + 1, "Type=Notify is not known", "did you mean \"notify\""),
        (unit("Service.Restart = true"), NEXT + 1, "Restart=yes is not known", "one of no, on-success"),
        (unit("Service.KillSignal = \"SIGTREM\""), NEXT + 1, "KillSignal=SIGTREM is not known", "SIGTERM"),
        (unit("Unit.CollectMode = \"never\""), NEXT + 1, "CollectMode=never is not known", "inactive-or-failed"),
        (unit("Service.UMask = 0o027"), NEXT + 1, "TOML's", "quotes"),
        (unit("Service.MemoryMax = inf"), NEXT + 1, "TOML's", "infinity"),
        (unit("Service.Nice = { a = 1 }"), NEXT + 1, "found a table", "Environment"),
        (unit("Unit.After = []"), NEXT + 1, "the list is empty", "After = \"\""),
        (unit("Unit.After = [[\"a\"]]"), NEXT + 1, "found a list", "not a list"),
        (unit("Service.User = \"a\\nExecStartPre=/bin/evil\""), NEXT + 1, "a line break", "one line"),
        (unit("Service.Environment.\"A B\" = \"x\""), NEXT + 1, "environment variable name", "letters"),
        (unit("Service.Environment.A = \"x\\ny\""), NEXT + 1, "a line break", "one line"),
        (unit("Service.Usr = \"x\""), NEXT + 1, "Usr", "User"),
        (unit("Serivce.User = \"x\""), NEXT + 1, "Serivce", "Service"),
        (unit("X-Relpack.Helth = \"exec:bin/x\""), NEXT + 1, "Helth", "Health"),
        (unit("X-Relpack.OnUpgrade = \"reboot\""), NEXT + 1, "reboot", "restart"),
        (unit("Unit.RefuseManualStop = true"), NEXT + 1, "can't restart", "OnUpgrade"),
        (unit("X-Relpack.Drain = \"long\""), NEXT + 1, "long", "30s"),
        (unit("X-Relpack.Trial = \"127.0.0.1:3001\""), NEXT + 1, "has no socket unit", "acme.socket"),
        (plus("[units.\"acme.socket\"]\nSocket.ListenStream = \"3000\"\n[units.\"acme.service\"]\nService.ExecStart = \"bin/acme\"\nX-Relpack.Health = \"http://127.0.0.1:3000/\"\nX-Relpack.Trial = \"127.0.0.1:3001\"\n[deploy]\nsettle = \"40s\"\ntimeout = \"70s\""), NEXT + 8, "settle 2 × 40 s", "longer than 80s"),
        (unit("X-Relpack.Trial = \"10.0.0.1:3001\""), NEXT + 1, "open to others", "127.0.0.1:3001"),
        (unit("X-Relpack.Health = \"ftp://x\""), NEXT + 1, "neither http", "http"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{port}/\""), NEXT + 1, "{port}", "{env.PORT}"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{env.PORT/x\""), NEXT + 1, "{env.PORT", "{env.PORT}"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:3000/a}b\""), NEXT + 1, "}b", "%7D"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:99999/\""), NEXT + 1, "port \"99999\"", "65535"),
        (unit("X-Relpack.Health = \"http://[::1]:99999/\""), NEXT + 1, "port \"99999\"", "65535"),
        (unit("X-Relpack.HealthTimeout = \"0\""), NEXT + 1, "out of range", "1 s to 1 day"),
        (unit("X-Relpack.HealthTimeout = \"2d\""), NEXT + 1, "out of range", "1 s to 1 day"),
        (
            unit("X-Relpack.HealthTimeout = \"10min\""),
            NEXT + 1,
            "600 s leave nothing of deploy.timeout (600 s)",
            "make it longer",
        ),
        (unit("Service.EnvironmentFile = \"shared/env\""), NEXT + 1, "not absolute", "write \"{shared}/env\""),
        // What follows from a mistake is not told besides.
        (plus("[units.\"acme.service\"]\nService.ExecStart = \"bin/acme {env.PORT}\""), NEXT + 1, "outside of Health", "${PORT}"),
        (plus("[units.\"acme-x.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"bin/x\"\n[units.\"acme-x.timer\"]\nTimer.OnCalender = \"daily\""), NEXT + 4, "OnCalender", "OnCalendar"),
        (BASE.replace("[release]", "[relase]"), 5, "relase", "release"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/\""), NEXT + 1, "PORT", "Environment"),
        (unit("Service.Environment = \"A=@RELPACK_RELEASE@\""), NEXT + 1, "@RELPACK_", ""),
        (plus("[units.\"ssh.service\"]\nService.ExecStart = \"bin/x\""), NEXT, "ssh.service", "acme"),
        (plus("[units.acme]\nService.ExecStart = \"bin/x\""), NEXT, "no unit suffix", ".service"),
        (plus("[units.\"acme.service\"]"), NEXT, "starts nothing", "ExecStart"),
        (plus("[units]\n\"acme.service\" = \"x\""), NEXT + 1, "expected a table", "table"),
        (plus("[defaults]\npreset = \"nodejs\""), NEXT + 1, "nodejs", "node"),
        (plus("[defaults]\nService.Usr = \"x\""), NEXT + 1, "Usr", "User"),
    ]);
}

#[test]
fn ready_made_units_are_taken_and_their_mistakes_shown_in_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    let units = dir.path().join("deploy");
    fs::create_dir_all(units.join("acme.service.d")).unwrap();
    fs::write(
        units.join("acme.service.d/10-x.conf"),
        "[Service]\nEnvironment=AT={app}\nExecStartPre=bin/before\n",
    )
    .unwrap();
    fs::write(units.join("README"), "no unit").unwrap();
    fs::write(&file, plus("units = \"deploy\"")).unwrap();
    let load = || config::load(&file, Overrides::default());

    let text = "[Unit]\nDescription=Acme\n\n[Service]\nExecStart=bin/acme \\\n  --port 1\n";
    fs::write(units.join("acme.service"), text).unwrap();
    let config = load().unwrap();
    assert_eq!(config.units[0].name.as_str(), "acme.service");
    assert_eq!(config.units[0].file.get("Unit", "Description"), Some("Acme"));
    let start = config.units[0].file.get("Service", "ExecStart").unwrap();
    assert!(start.starts_with("/opt/acme/app/bin/acme ") && start.ends_with("--port 1"));
    assert!(config.warnings.is_empty());
    let [drop_in] = config.drop_ins.as_slice() else {
        panic!("{:?}", config.drop_ins);
    };
    assert_eq!(drop_in.path(), "acme.service.d/10-x.conf");
    assert_eq!(
        drop_in.file.render(),
        "[Service]\nEnvironment=AT=/opt/acme/app\nExecStartPre=/opt/acme/app/bin/before\n\n[X-Relpack]\nPackage=acme\n"
    );

    let refused = |bytes: &[u8], line: usize, message: &str| {
        fs::write(units.join("acme.service"), bytes).unwrap();
        let error = load().unwrap_err();
        let shown = error.render(&handler());
        assert_eq!(error.problems().len(), 1, "{shown}");
        assert!(error.problems()[0].message().contains(message), "{shown}");
        assert_eq!(error.problems()[0].position().unwrap().0, line, "{shown}");
        error.problems()[0].file().to_owned()
    };
    let at = refused(b"[Service]\nExecStart=bin/a\nUsr=x\n", 3, "Usr");
    assert_eq!(at, units.join("acme.service"));
    refused(b"[Service]\nExecStart=bin/a\nUser=@RELPACK_RELEASE@\n", 3, "@RELPACK_");
    refused(b"[Service]\nnonsense\nExecStart=bin/a\n", 2, "nonsense");
    refused(b"[Service]\nExecStart=bin/\xe9\n", NEXT, "not UTF-8 in line 2");
    refused(&[b'#'; 300_000], NEXT, "larger than 256 KiB");
}

#[test]
fn drop_ins_are_for_units_of_the_package() {
    let refused = |path: &str, text: &str, line: usize, message: &str, hint: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relpack.toml");
        let drop_in = dir.path().join("deploy").join(path);
        fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
        fs::write(&file, plus("units = \"deploy\"")).unwrap();
        fs::write(
            dir.path().join("deploy/acme@.service"),
            "[Service]\nExecStart=bin/acme %i\n",
        )
        .unwrap();
        fs::write(&drop_in, text).unwrap();
        let result = config::load(&file, Overrides::default());
        let errors = errors(&result);
        assert_eq!(errors.len(), 1, "{path}: {errors:?}");
        assert!(errors[0].message().contains(message), "{path}: {}", errors[0].message());
        assert!(
            errors[0].hint().unwrap_or_default().contains(hint),
            "{path}: {:?}",
            errors[0].hint()
        );
        assert_eq!(
            errors[0].position().map(|p| p.0),
            Some(line),
            "{path}: {}",
            errors[0].message()
        );
    };
    let good = "[Service]\nNice=5\n";
    refused(
        "nginx.service.d/10-x.conf",
        good,
        1,
        "nginx.service is not a unit of this package",
        "admin's",
    );
    refused(
        "acme.service.d/10-x.conf",
        good,
        1,
        "acme.service is not a unit of this package",
        "admin's",
    );
    refused("acme.d/10-x.conf", good, NEXT, "acme", "");
    refused("acme@a.service.d/10-x", good, NEXT, "is no drop-in", ".conf");
    refused("acme@a.service.d/1 x.conf", good, NEXT, "is no drop-in", "letters");
    refused("acme@a.service.d/10-x.conf", "[Service]\nNcie=5\n", 2, "Ncie", "Nice");
    refused(
        "acme@a.service.d/10-x.conf",
        "[X-Relpack]\nOnUpgrade=none\n",
        2,
        "can't hold [X-Relpack]",
        "unit itself",
    );
    refused(
        "acme@a.service.d/10-x.conf",
        "[Install]\nWantedBy=a.target\n",
        2,
        "can't hold [Install]",
        "unit itself",
    );
    refused(
        "acme@a.service.d/10-x.conf",
        "[Service]\nBindReadOnlyPaths=\n",
        2,
        "the mount of the release",
        "remove",
    );
}
