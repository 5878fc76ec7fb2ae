//! The presets, each with a real program of its runtime: it starts, serves under load, migrates, reloads where it can, stops in
//! order, and what of the host it could reach is as little as promised. Their files: `programs/`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{artifact, relpack};
use crate::support::machine::Machine;
use crate::support::repo::{Repo, Transport};
use crate::support::root::{self, Suite};
use crate::support::{sample, sandbox};

on_each_suite![python, go, rust, java, static_site, what_init_writes_for_a_site; sampled: node];

/// One root for all that the machines run besides Node.js.
const SERVERS: &[&str] = &[
    "busybox",
    "default-jre-headless",
    "gunicorn",
    "libh2-java",
    "nginx-light",
    "prometheus-node-exporter",
];

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
    /// Its program loads libraries of the host.
    links: bool,
}

/// Long, and its packages are large.
fn in_full(suite: Suite, program: &Program, files: fn(Suite, &Path)) {
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
        links: false,
    };
    proves(suite, &program, |_, dir| {
        put(dir, "server.js", include_str!("programs/server.js"), 0o644);
        put(dir, "acme.env", "GREETING='for $5'\n", 0o644);
    });
}

fn python(suite: Suite) {
    let program = Program {
        preset: "python",
        packages: SERVERS,
        unit: "Service.Type = \"notify\"
Service.ExecStart = \"/usr/bin/gunicorn --bind 127.0.0.1:8000 --workers 2 wsgi:application\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"",
        migrate: "/usr/bin/python3 -c 'import sqlite3; sqlite3.connect(\"/opt/acme/shared/data/db\").execute(\"create table if not exists t (x)\")'",
        url: "http://127.0.0.1:8000/",
        says: "all is well",
        reloads: true,
        links: false,
    };
    in_full(suite, &program, |_, dir| {
        put(dir, "wsgi.py", include_str!("programs/wsgi.py"), 0o644);
    });
}

fn go(suite: Suite) {
    let program = Program {
        preset: "go",
        packages: SERVERS,
        unit: "Service.ExecStart = \"bin/prometheus-node-exporter --web.listen-address=127.0.0.1:9200\"",
        migrate: "bin/prometheus-node-exporter --version",
        url: "http://127.0.0.1:9200/metrics",
        says: "node_memory_MemTotal_bytes",
        reloads: false,
        links: true,
    };
    in_full(suite, &program, |suite, dir| {
        let from = root::cached(suite, SERVERS).join("usr/bin/prometheus-node-exporter");
        fs::copy(from, dir.join("bin/prometheus-node-exporter")).expect("the package brings it");
    });
}

fn rust(suite: Suite) {
    let program = Program {
        preset: "rust",
        packages: SERVERS,
        unit: "Service.ExecStart = \"bin/pagefind_extended --site site --output-path {shared}/data/index --serve\"
X-Relpack.Health = \"http://127.0.0.1:1414/\"",
        migrate: "bin/pagefind_extended --site site --output-path /opt/acme/shared/data/index",
        url: "http://127.0.0.1:1414/",
        says: "hello",
        reloads: false,
        links: false,
    };
    in_full(suite, &program, |_, dir| {
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

fn java(suite: Suite) {
    let program = Program {
        preset: "java",
        packages: SERVERS,
        unit: "Service.ExecStart = \"/usr/bin/java -Xmx128m -cp lib/h2.jar org.h2.tools.Server -web -webPort 8082\"",
        migrate: "/usr/bin/java -cp lib/h2.jar org.h2.tools.Shell -url jdbc:h2:/opt/acme/shared/data/db -user sa -sql 'create table if not exists t (x int)'",
        url: "http://127.0.0.1:8082/",
        says: "H2",
        reloads: false,
        links: false,
    };
    in_full(suite, &program, |suite, dir| {
        fs::create_dir(dir.join("lib")).expect("the directory can be made");
        let from = root::cached(suite, SERVERS).join("usr/share/java/h2.jar");
        fs::copy(from, dir.join("lib/h2.jar")).expect("the package brings it");
    });
}

fn static_site(suite: Suite) {
    let program = Program {
        preset: "static",
        packages: SERVERS,
        unit: "Service.ExecStart = \"/usr/sbin/nginx -e stderr -c {app}/nginx.conf\"
Service.ExecReload = \"/bin/kill -HUP $MAINPID\"
Service.KillSignal = \"SIGQUIT\"
Service.RuntimeDirectory = \"acme\"",
        migrate: "/usr/sbin/nginx -e stderr -v",
        url: "http://127.0.0.1:8080/",
        says: "hello",
        reloads: true,
        links: false,
    };
    in_full(suite, &program, |_, dir| {
        put(dir, "site/index.html", "<p>hello</p>\n", 0o644);
        put(dir, "nginx.conf", include_str!("programs/nginx.conf"), 0o644);
    });
}

/// From an index.html to a site that is served, with what `init` decides.
fn what_init_writes_for_a_site(suite: Suite) {
    if !sample::full() {
        eprintln!("{suite}: a site by init is served with RELPACK_FULL=1");
        return;
    }
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let dir = temp.path().display().to_string();
    put(temp.path(), "public/index.html", "<p>hello</p>\n", 0o644);
    relpack(&["init", "-C", &dir, "--name", "acme"]).expect_ok();
    let (deb, _) = artifact(&relpack(&["build", "--json", "-C", &dir]).expect_ok());
    let m = Machine::boot_with(suite, SERVERS);
    Repo::new(&m, Transport::File).add(&m, &[&deb]);
    m.ok("apt-get install -y -q acme");
    m.ok("curl -sSf http://127.0.0.1:8080/").expect_says("hello");
    sandbox::expect_exposure(&m, "acme.service");
    m.ok("systemctl stop acme.service && ! systemctl -q is-failed acme.service");
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
fn packages(suite: Suite, program: &Program, files: fn(Suite, &Path), dir: &Path) -> [PathBuf; 2] {
    let build = dir.join("build");
    fs::create_dir_all(build.join("bin")).expect("the directory can be made");
    files(suite, &build);
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
    if program.links {
        let root = root::cached(suite, program.packages).display().to_string();
        relpack(&["lock", "-C", &shown, "--root", &root]).expect_ok();
    }
    ["1.0", "1.1"].map(|version| {
        put(&build, "VERSION", &format!("{version}\n"), 0o644);
        artifact(&relpack(&["build", "--json", "-C", &shown, "--version", version]).expect_ok()).0
    })
}

fn proves(suite: Suite, program: &Program, files: fn(Suite, &Path)) {
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let [first, second] = packages(suite, program, files, temp.path());
    let m = Machine::boot_with(suite, program.packages);
    // As on a host that was installed and not unpacked.
    m.ok("echo \"127.0.0.1 localhost $(cat /proc/sys/kernel/hostname)\" >/etc/hosts");
    let repo = Repo::new(&m, Transport::File);
    repo.add(&m, &[&first]);
    m.ok("apt-get install -y -q acme");
    serves(&m, program);
    sandbox::expect_exposure(&m, "acme.service");
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
