//! Presets, with programs that use what the preset has to leave to their runtime: they start, serve under load, migrate, reload
//! where they can, stop in order, and what of the host they could reach is as little as promised. Their files: `programs/`. What
//! other runtimes need is shown by the programs of `start_*`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::Suite;
use crate::support::{sample, sandbox};

on_each_suite![rotated: python, rust, node];

/// A program and how it is packed.
struct Program {
    preset: &'static str,
    /// Debian packages that the host has.
    packages: &'static [&'static str],
    /// Lines of `[units."acme.service"]`.
    unit: &'static str,
    /// What runs before `bin/migrate` has written its line.
    migrate: &'static str,
    url: &'static str,
    /// What the answer holds.
    says: &'static str,
    reloads: bool,
}

/// Long, and its packages are large.
fn in_full(suite: Suite, program: &Program, files: fn(&Path)) {
    if sample::full() {
        proves(suite, program, files);
    } else {
        eprintln!("{suite}: the preset {} is proved with RELPACK_FULL=1", program.preset);
    }
}

fn node(suite: Suite) {
    let program = Program {
        preset: "node",
        packages: &["nodejs"],
        unit: "Service.ExecStart = \"/usr/bin/node server.js\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
Service.Environment.PORT = \"3000\"
Service.EnvironmentFile = \"{app}/acme.env\"
Service.MemoryMax = \"300M\"",
        migrate: "/usr/bin/node --eval 'require(\"fs\").accessSync(\"/opt/acme/shared/data\", 2)'",
        url: "http://127.0.0.1:3000/",
        says: "{\"mode\":\"production\",\"greeting\":\"for $5\",",
        reloads: true,
    };
    proves(suite, &program, |dir| {
        put(dir, "server.js", include_str!("programs/server.js"), 0o644);
        put(dir, "acme.env", "GREETING='for $5'\n", 0o644);
    });
}

fn python(suite: Suite) {
    let program = Program {
        preset: "python",
        packages: &["gunicorn"],
        unit: "Service.Type = \"notify\"
Service.ExecStart = \"/usr/bin/gunicorn --bind 127.0.0.1:8000 --workers 2 wsgi:application\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"",
        migrate: "/usr/bin/python3 -c 'import sqlite3; sqlite3.connect(\"/opt/acme/shared/data/db\").execute(\"create table if not exists t (x)\")'",
        url: "http://127.0.0.1:8000/",
        says: "all is well",
        reloads: true,
    };
    in_full(suite, &program, |dir| {
        put(dir, "wsgi.py", include_str!("programs/wsgi.py"), 0o644);
    });
}

fn rust(suite: Suite) {
    let program = Program {
        preset: "rust",
        packages: &[],
        unit: "Service.ExecStart = \"bin/pagefind_extended --site site --output-path {shared}/data/index --serve\"
X-Relpack.Health = \"http://127.0.0.1:1414/\"",
        migrate: "bin/pagefind_extended --site site --output-path /opt/acme/shared/data/index",
        url: "http://127.0.0.1:1414/",
        says: "hello",
        reloads: false,
    };
    in_full(suite, &program, |dir| {
        put(
            dir,
            "site/index.html",
            "<html><body><p>hello</p></body></html>\n",
            0o644,
        );
        let temp = tempfile::tempdir().expect("a temporary directory can be made");
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let script = format!("npm pack --silent @pagefind/linux-{arch}@1.6.0 && tar -xzf *.tgz");
        run(Command::new("sh").args(["-ec", &script]).current_dir(temp.path()));
        let from = temp.path().join("package/bin/pagefind_extended");
        fs::copy(from, dir.join("bin/pagefind_extended")).expect("the package brings it");
    });
}

fn put(dir: &Path, path: &str, text: &str, mode: u32) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("it lies in the directory")).expect("the directory can be made");
    fs::write(&path, text).expect("the file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Versions 1.0 and 1.1, which differ in one file.
fn packages(program: &Program, files: fn(&Path), dir: &Path) -> [PathBuf; 2] {
    let build = dir.join("build");
    fs::create_dir_all(build.join("bin")).expect("the directory can be made");
    files(&build);
    let migrate = format!(
        "#!/bin/sh\nset -eu\n{}\ncat VERSION >>/opt/acme/shared/data/migrations\n",
        program.migrate
    );
    put(&build, "bin/migrate", &migrate, 0o755);
    let health = match program.unit.contains("X-Relpack.Health") {
        true => String::new(),
        false => format!("X-Relpack.Health = \"{}\"\n", program.url),
    };
    let config = format!(
        "[package]\nname = \"acme\"\nmaintainer = \"Acme Ops <ops@acme.example>\"\ndescription = \"A server\"\n\
         [release]\nsource = \"build\"\n[defaults]\npreset = \"{}\"\n[directories]\n\"data\" = {{}}\n\
         [units.\"acme.service\"]\n{}\n{health}[migrate]\nexec = \"bin/migrate\"\nlike = \"acme.service\"\n\
         [deploy]\nsettle = \"2s\"\n",
        program.preset, program.unit
    );
    put(dir, "relpack.toml", &config, 0o644);
    let shown = dir.display().to_string();
    ["1.0", "1.1"].map(|version| {
        put(&build, "VERSION", &format!("{version}\n"), 0o644);
        artifact(&relpack(&["build", "--json", "-C", &shown, "--version", version]).expect_ok()).0
    })
}

fn proves(suite: Suite, program: &Program, files: fn(&Path)) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let [first, second] = packages(program, files, temp.path());
    let m = Machine::boot_with(suite, program.packages);
    // As on a host that was installed and not unpacked.
    m.ok("echo \"127.0.0.1 localhost $(cat /proc/sys/kernel/hostname)\" >/etc/hosts");
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[&first]);
    m.ok("apt-get install -y -q acme");
    serves(&m, program);
    sandbox::expect_exposure(&m, "acme");
    under_load(&m, program);
    if program.reloads {
        let pid = m.ok("systemctl show -p MainPID --value acme.service");
        m.ok("systemctl reload acme.service");
        under_load(&m, program);
        let after = m.ok("systemctl show -p MainPID --value acme.service");
        assert_eq!(pid.text(), after.text(), "it was reloaded, not restarted");
    }
    repo.add(&m, &[&second]);
    m.sh_within("apt-get upgrade -y -q", Duration::from_secs(180))
        .expect_ok();
    serves(&m, program);
    under_load(&m, program);
    assert_eq!(m.read("/opt/acme/shared/data/migrations"), "1.0\n1.1\n");
    m.ok("acme-release status && acme-release verify");
    sandbox::expect_orderly_stop(&m, "acme.service");
    sandbox::expect_nothing_denied(&m, "acme*");
}

fn serves(m: &Machine, program: &Program) {
    m.ok(&format!("curl -sSf --retry 5 --retry-connrefused {}", program.url))
        .expect_says(program.says);
}

/// 120 requests, eight at a time: none fails.
fn under_load(m: &Machine, program: &Program) {
    let one = format!("curl -sSf -o /dev/null {}", program.url);
    m.ok(&format!("seq 120 | xargs -P 8 -I{{}} {one}"));
}
