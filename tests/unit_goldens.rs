//! The rendered units of the design's example, compared byte for byte.
//!
//! `RELPACK_BLESS=1 cargo test --test fast -- unit_goldens::` writes them anew; read the difference before it is committed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use relpack::model::Seconds;
use relpack::systemd::{
    Context, Defaults, DeployInput, Health, MigrateInput, OnUpgrade, RELEASE_PLACEHOLDER, Unit, UnitFile, UnitInput,
    resolve,
};

fn parse<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn example() -> (Vec<UnitInput>, Context) {
    let units = [
        (
            "acme.service",
            "[Unit]
Wants=network-online.target
After=network-online.target
After=postgresql.service
[Service]
ExecStart=/usr/bin/node server.js
Environment=\"PORT=3000\"
TimeoutStopSec=30s
MemoryMax=1G
[X-Relpack]
Drain=25s
Health=http://127.0.0.1:{env.PORT}/healthz
",
        ),
        (
            "acme-backup.service",
            "[Service]\nType=oneshot\nExecStart=scripts/backup.sh\n",
        ),
        (
            "acme-backup.timer",
            "[Timer]\nOnCalendar=*-*-* 03:30:00\nRandomizedDelaySec=15m\nPersistent=yes\n",
        ),
    ];
    let units = units
        .iter()
        .map(|(name, text)| UnitInput {
            name: parse(name),
            file: UnitFile::parse(text).unwrap(),
        })
        .collect();
    let context = Context {
        package: parse("acme"),
        synopsis: "Acme web app".into(),
        prefix: parse("/opt/acme"),
        user: parse("acme"),
        group: parse("acme"),
        env_file: Some(parse("/opt/acme/shared/env")),
        env_required: vec![parse("DATABASE_URL")],
        instances: Default::default(),
        deploy: DeployInput {
            timeout: Seconds(600),
            one_at_a_time: false,
            reload: false,
            lame_duck: false,
            addresses: vec![],
        },
        writable: vec![parse("/opt/acme/shared/uploads")],
        defaults: Defaults {
            preset: Some("node".into()),
            file: UnitFile::parse("[Service]\nEnvironmentFile={shared}/env\n").unwrap(),
        },
        migrate: Some(MigrateInput {
            exec: "bin/migrate up".into(),
            like: parse("acme.service"),
            timeout: Seconds(300),
        }),
        systemd: 252,
    };
    (units, context)
}

fn rendered() -> BTreeMap<String, Unit> {
    let (units, context) = example();
    let (units, warnings) = resolve(units, &context).unwrap();
    assert_eq!(warnings, []);
    units.into_iter().map(|unit| (unit.name.to_string(), unit)).collect()
}

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/units")
}

#[test]
fn the_example_renders_as_recorded() {
    let bless = std::env::var_os("RELPACK_BLESS").is_some();
    let units = rendered();
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "acme-backup.service",
            "acme-backup.timer",
            "acme-first-start.service",
            "acme-migrate.service",
            "acme.service",
        ]
    );
    for (name, unit) in &units {
        let path = golden_dir().join(name);
        let text = unit.file.render();
        if bless {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(text, golden, "{name} differs from {}", path.display());
    }
}

#[test]
fn the_example_is_deployed_as_designed() {
    let units = rendered();
    let settings = |name: &str| &units[name].relpack;
    let main = settings("acme.service");
    assert_eq!(main.on_upgrade, OnUpgrade::Restart);
    assert!(main.enable && main.gated);
    assert_eq!(main.drain, Some(Seconds(25)));
    assert_eq!(
        main.health,
        Some(Health::Http {
            url: "http://127.0.0.1:{env.PORT}/healthz".into()
        })
    );
    assert_eq!(main.health_env.get(&parse("PORT")).map(String::as_str), Some("3000"));
    let job = settings("acme-backup.service");
    assert_eq!((job.on_upgrade, job.enable, job.gated), (OnUpgrade::None, false, false));
    let timer = settings("acme-backup.timer");
    assert_eq!(
        (timer.on_upgrade, timer.enable, timer.gated),
        (OnUpgrade::Restart, true, false)
    );
    for name in ["acme-migrate.service", "acme-first-start.service"] {
        assert!(units[name].generated);
        assert_eq!(settings(name).on_upgrade, OnUpgrade::None);
        assert!(!settings(name).enable);
    }
}

/// The targets that the units name; systemd-analyze refuses a root without them.
const TARGETS: &[&str] = &[
    "sysinit.target",
    "basic.target",
    "shutdown.target",
    "multi-user.target",
    "network-online.target",
    "timers.target",
    "time-set.target",
    "time-sync.target",
];

#[test]
fn systemd_accepts_the_example_without_a_word() {
    let root = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str, mode: u32| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for program in [
        "usr/bin/node",
        "usr/bin/env",
        "usr/bin/test",
        "usr/bin/acme-release",
        "opt/acme/app/bin/migrate",
        "opt/acme/app/scripts/backup.sh",
    ] {
        file(program, "#!/bin/sh\n", 0o755);
    }
    for target in TARGETS {
        let text = "[Unit]\nDescription=Target\n";
        file(&format!("usr/lib/systemd/system/{target}"), text, 0o644);
    }
    let units = rendered();
    for (name, unit) in &units {
        let text = unit.file.render().replace(RELEASE_PLACEHOLDER, &"0".repeat(40));
        file(&format!("usr/lib/systemd/system/{name}"), &text, 0o644);
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--root"])
        .arg(root.path())
        .args(units.keys())
        .output()
        .expect("systemd-analyze has to be installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
