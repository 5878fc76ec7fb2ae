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
use crate::support::load::{self, Promise};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::{self, Suite};
use crate::support::{sample, sandbox};

on_each_suite![rotated: go, python, rust, node, aardvark_dns, service_runner];

/// A program and how it is packed.
struct Program {
    preset: &'static str,
    /// Debian packages that the host has.
    packages: &'static [&'static str],
    /// Lines of `[units."acme.service"]`.
    unit: &'static str,
    /// What runs before `bin/migrate` has written its line.
    migrate: &'static str,
    /// A command that makes one request and prints the answer.
    ask: &'static str,
    /// What the answer holds.
    says: &'static str,
    reload: Option<Reload>,
    /// What those are promised who ask during the upgrade.
    upgrade: Promise,
}

/// How a reload is seen, and what those are promised who ask meanwhile.
struct Reload {
    /// What somebody does on the host before it.
    after: &'static str,
    /// What the answer holds then.
    says: &'static str,
    promise: Promise,
}

/// Long, and its packages are large.
fn in_full(suite: Suite, program: &Program, files: fn(&Path, Suite)) {
    if sample::full() {
        proves(suite, program, files);
    } else {
        eprintln!("{suite}: the preset {} is proved with RELPACK_FULL=1", program.preset);
    }
}

/// The signal that ends it is not for the programs that a request runs: it would be answered with an error.
fn node(suite: Suite) {
    let program = Program {
        preset: "node",
        packages: &["nodejs"],
        unit: "Service.ExecStart = \"/usr/bin/node server.js\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
Service.Environment.PORT = \"3000\"
Service.EnvironmentFile = \"{app}/acme.env\"
Service.KillMode = \"mixed\"
Service.MemoryMax = \"300M\"
X-Relpack.Health = \"http://127.0.0.1:3000/\"",
        migrate: "/usr/bin/node --eval 'require(\"fs\").accessSync(\"/opt/acme/shared/data\", 2)'",
        ask: "curl -sSf http://127.0.0.1:3000/",
        says: "{\"mode\":\"production\",\"greeting\":\"for $5\",",
        reload: Some(Reload {
            after: "true",
            says: "\"reloads\":1}",
            promise: Promise::NoGap,
        }),
        upgrade: Promise::Cuts,
    };
    proves(suite, &program, |dir, _| {
        put(dir, "server.js", include_str!("programs/server.js"), 0o644);
        put(dir, "acme.env", "GREETING='for $5'\n", 0o644);
    });
}

/// Wikimedia's supervisor of workers: on SIGHUP it replaces them, one after the other.
fn service_runner(suite: Suite) {
    let program = Program {
        preset: "node",
        packages: &["nodejs"],
        unit: "Service.ExecStart = \"/usr/bin/node node_modules/service-runner/service-runner.js -c config.yaml\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
Service.KillMode = \"mixed\"
X-Relpack.Health = \"http://127.0.0.1:3000/\"",
        migrate: "echo one >/opt/acme/shared/data/greeting",
        ask: "curl -sSf -D - http://127.0.0.1:3000/",
        says: "<p>hello</p>",
        reload: Some(Reload {
            after: "echo two >/opt/acme/shared/data/greeting",
            says: "X-Greeting: two",
            promise: Promise::NoGap,
        }),
        upgrade: Promise::Cuts,
    };
    in_full(suite, &program, |dir, _| {
        put(dir, "site.js", include_str!("programs/site.js"), 0o644);
        put(dir, "site/index.html", "<p>hello</p>\n", 0o644);
        let config =
            "num_workers: 2\nlogging: { level: warn }\nservices: [{ name: site, module: ./site.js, conf: {} }]\n";
        put(dir, "config.yaml", config, 0o644);
        let script = "npm init --yes >/dev/null && npm install --silent --omit=optional --ignore-scripts --no-audit --no-fund \
                      service-runner@6.0.0 serve-handler@6.1.8";
        run(Command::new("sh").args(["-ec", script]).current_dir(dir));
    });
}

fn python(suite: Suite) {
    let program = Program {
        preset: "python",
        packages: &["gunicorn"],
        unit: "Service.Type = \"notify\"
Service.ExecStart = \"/usr/bin/gunicorn --bind 127.0.0.1:8000 --workers 2 wsgi:application\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
X-Relpack.Health = \"http://127.0.0.1:8000/\"",
        migrate: "/usr/bin/python3 -c 'import sqlite3; sqlite3.connect(\"/opt/acme/shared/data/db\").execute(\"create table if not exists t (x)\")'
echo well >/opt/acme/shared/data/greeting",
        ask: "curl -sSf http://127.0.0.1:8000/",
        says: "all is well",
        reload: Some(Reload {
            after: "echo better >/opt/acme/shared/data/greeting",
            says: "all is better",
            promise: Promise::NoGap,
        }),
        // Who waits for a worker when the listener goes has no request under way, and is cut.
        upgrade: Promise::Cuts,
    };
    in_full(suite, &program, |dir, _| {
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
        ask: "curl -sSf http://127.0.0.1:1414/",
        says: "hello",
        reload: None,
        upgrade: Promise::Cuts,
    };
    in_full(suite, &program, |dir, _| {
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

/// The name server of containers: a daemon that forks, and on SIGHUP reads its names again.
fn aardvark_dns(suite: Suite) {
    let program = Program {
        preset: "rust",
        packages: &[],
        unit: "Service.Type = \"forking\"
Service.PIDFile = \"{shared}/data/names/aardvark.pid\"
Service.ExecStart = \"bin/aardvark-dns --config {shared}/data/names --port 5353 run\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
X-Relpack.Health = \"exec:bin/ask\"",
        migrate: "mkdir -p /opt/acme/shared/data/names
printf '127.0.0.1\\n1 192.0.2.1  web\\n' >/opt/acme/shared/data/names/acme",
        ask: "/opt/acme/current/bin/ask",
        says: "192.0.2.1",
        reload: Some(Reload {
            after: "sed -i s/192.0.2.1/192.0.2.7/ /opt/acme/shared/data/names/acme",
            says: "192.0.2.7",
            // It opens its port anew, and promises nothing: who asks for a name asks again.
            promise: Promise::Cuts,
        }),
        upgrade: Promise::Cuts,
    };
    in_full(suite, &program, |dir, suite| {
        put(dir, "bin/ask", include_str!("programs/ask.py"), 0o755);
        of_debian(suite, "aardvark-dns", "usr/lib/podman/aardvark-dns", dir);
    });
}

/// A web server that takes another configuration while it runs.
fn go(suite: Suite) {
    let program = Program {
        preset: "go",
        packages: &[],
        unit: "Service.ExecStart = \"bin/caddy run --config Caddyfile --adapter caddyfile\"
Service.ExecReload = \"bin/caddy reload --config Caddyfile --adapter caddyfile --address unix//tmp/admin --force\"
Service.Environment.XDG_CONFIG_HOME = \"/tmp\"
Service.Environment.XDG_DATA_HOME = \"/tmp\"
X-Relpack.Health = \"http://127.0.0.1:8080/\"",
        migrate: "bin/caddy validate --config Caddyfile --adapter caddyfile",
        ask: "curl -sSf -D - http://127.0.0.1:8080/",
        says: "<p>hello</p>",
        reload: Some(Reload {
            after: "echo 'header X-Greeting two' >/opt/acme/shared/data/greeting",
            says: "X-Greeting: two",
            promise: Promise::NoGap,
        }),
        // More than the kernel takes at once, so that the server has work to the end.
        upgrade: Promise::Finishes {
            slow: "curl -sSf --limit-rate 10M http://127.0.0.1:8080/large",
        },
    };
    in_full(suite, &program, |dir, suite| {
        put(dir, "Caddyfile", include_str!("programs/Caddyfile"), 0o644);
        put(dir, "site/index.html", "<p>hello</p>\n", 0o644);
        let large = fs::File::create(dir.join("site/large")).expect("the file can be made");
        large.set_len(20 << 20).expect("it can be that large");
        of_debian(suite, "caddy", "usr/bin/caddy", dir);
    });
}

/// A program of a Debian package becomes the release's own.
fn of_debian(suite: Suite, package: &str, path: &str, dir: &Path) {
    let from = root::cached(suite, &[package]).join(path);
    let name = from.file_name().expect("a program has a name");
    fs::copy(&from, dir.join("bin").join(name)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
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
fn packages(suite: Suite, program: &Program, files: fn(&Path, Suite), dir: &Path) -> [PathBuf; 2] {
    let build = dir.join("build");
    fs::create_dir_all(build.join("bin")).expect("the directory can be made");
    files(&build, suite);
    let migrate = format!(
        "#!/bin/sh\nset -eu\n{}\ncat VERSION >>/opt/acme/shared/data/migrations\n",
        program.migrate
    );
    put(&build, "bin/migrate", &migrate, 0o755);
    let config = format!(
        "[package]\nname = \"acme\"\nmaintainer = \"Acme Ops <ops@acme.example>\"\ndescription = \"A server\"\n\
         [release]\nsource = \"build\"\n[defaults]\npreset = \"{}\"\n[directories]\n\"data\" = {{}}\n\
         [units.\"acme.service\"]\n{}\n[migrate]\nexec = \"bin/migrate\"\nlike = \"acme.service\"\n\
         [deploy]\nsettle = \"2s\"\n",
        program.preset, program.unit
    );
    put(dir, "relpack.toml", &config, 0o644);
    let shown = dir.display().to_string();
    let like_hosts = root::cached(suite, program.packages).display().to_string();
    relpack(&["lock", "-C", &shown, "--root", &like_hosts]).expect_ok();
    ["1.0", "1.1"].map(|version| {
        put(&build, "VERSION", &format!("{version}\n"), 0o644);
        artifact(&relpack(&["build", "--json", "-C", &shown, "--version", version]).expect_ok()).0
    })
}

fn proves(suite: Suite, program: &Program, files: fn(&Path, Suite)) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let [first, second] = packages(suite, program, files, temp.path());
    let m = Machine::boot_with(suite, program.packages);
    // As on a host that was installed and not unpacked.
    m.ok("echo \"127.0.0.1 localhost $(cat /proc/sys/kernel/hostname)\" >/etc/hosts");
    m.put("/etc/resolv.conf", "nameserver 127.0.0.53\n");
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[&first]);
    m.ok("apt-get install -y -q acme");
    m.ok(program.ask).expect_says(program.says);
    sandbox::expect_exposure(&m, "acme");
    let under_load = |promise, script: &str| load::during(&m, program.ask, promise, script, LIMIT);
    if let Some(reload) = &program.reload {
        let pid = m.ok("systemctl show -p MainPID --value acme.service");
        m.ok(reload.after);
        under_load(reload.promise, "systemctl reload acme.service; sleep 3");
        m.ok(program.ask).expect_says(reload.says);
        let after = m.ok("systemctl show -p MainPID --value acme.service");
        assert_eq!(pid.text(), after.text(), "it was reloaded, not restarted");
    }
    repo.add(&m, &[&second]);
    under_load(program.upgrade, "apt-get upgrade -y -q");
    m.ok(program.ask).expect_says(program.says);
    assert_eq!(m.read("/opt/acme/shared/data/migrations"), "1.0\n1.1\n");
    m.ok("acme-release status && acme-release verify");
    sandbox::expect_orderly_stop(&m, "acme.service");
    sandbox::expect_nothing_denied(&m, "acme*");
}

/// Longest that something may take that is done under load.
const LIMIT: Duration = Duration::from_secs(180);
