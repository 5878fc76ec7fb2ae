//! Other traffic, and other applications, than those of `rolling`: a socket that systemd holds, a server that nobody wrote for
//! us, a connection that lives long.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::site::{PORT, Site, Upstream, head, install};
use crate::support::{Suite, sample};

on_each_suite![
    rotated:
    a_socket_listens_through_everything,
    a_socket_behind_nginx,
    a_server_of_somebody_else,
    a_websocket_lives_until_the_drain,
];

/// One service behind a socket unit; without a proxy.
pub fn socketed(r: &Site, version: &str, behaviour: &str, more: &str) {
    let config = format!(
        "{}[units.\"acme.socket\"]\nSocket.ListenStream = \"127.0.0.1:3000\"\n\n\
         [units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\nService.TimeoutStopSec = \"30s\"\n\
         Service.LimitNOFILE = 8192\n\
         X-Relpack.Health = \"http://127.0.0.1:3000/healthz\"\n\n{more}\n\
         [deploy]\nsettle = \"{}\"\nhealth_timeout = \"8s\"\n",
        head(version),
        if behaviour == "die-after-5s" { "7s" } else { "1s" }
    );
    let migrate = "#!/bin/sh\nexit 3\n";
    r.add(&r.build_of(version, &config, &[("behaviour", behaviour), ("migrate.sh", migrate)]));
}

fn a_socket_listens_through_everything(suite: Suite) {
    let r = Site::boot(suite, "");
    let load = |command: &str, fails| r.under_load_on(3000, "", command, fails).1;
    let serves = |version: &str| {
        r.healed(version);
        let said = r.m.ok("curl -sS http://127.0.0.1:3000/ | cut -d ' ' -f 1");
        assert_eq!(said.text(), version);
        r.m.ok("acme-release status");
    };
    socketed(&r, "1.0", "serve", "");
    r.m.ok("apt-get install -y -q acme=1.0");
    serves("1.0");
    socketed(&r, "2.0", "serve", "");
    let upgrade = load("apt-get install -y -q acme=2.0", false);
    assert!(upgrade["codes"]["2.0"].as_u64() > Some(10), "{upgrade}");
    r.busy_at(&upgrade, &["current", "process acme.service"]);
    serves("2.0");
    load("apt-get install -y -q --allow-downgrades acme=1.0", false);
    serves("1.0");
    r.m.ok("apt-get install -y -q acme=2.0");
    load("acme-release rollback", false);
    serves("1.0");
    let migration = "[migrate]\nexec = \"/bin/sh migrate.sh\"\nlike = \"acme.service\"\n";
    for (version, behaviour, more) in [
        ("2.1", "never-healthy", ""),
        ("2.2", "exit-at-once", ""),
        ("2.3", "serve", migration),
    ] {
        socketed(&r, version, behaviour, more);
        load(&install(version), true);
        serves("1.0");
    }
    if sample::full() {
        // What a process had begun when it died is lost with it, and nothing else. A trial lets it die beforehand.
        socketed(&r, "2.4", "die-after-5s", "");
        let (_, crashed) = r.loaded(3000, "", &install("2.4"), true);
        let lost = crashed["sent"].as_u64().zip(crashed["answered"].as_u64());
        assert!(lost.is_some_and(|(sent, answered)| sent - answered < 64), "{crashed}");
        serves("1.0");
    }
}

/// The same behind a proxy of a site's own, which keeps its connections to it.
fn a_socket_behind_nginx(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let r = Site::boot_with(suite, "", "", upstream);
        // Who waits for the restart has two files open there.
        r.m.ok(
            "echo 'upstream acme { server 127.0.0.1:3000; keepalive 32; }' >/etc/nginx/conf.d/relpack-acme.conf && \
             sed -i '1i worker_rlimit_nofile 8192;' /etc/nginx/nginx.conf && systemctl restart nginx.service",
        );
        socketed(&r, "1.0", "serve", "");
        r.m.ok("apt-get install -y -q acme=1.0");
        socketed(&r, "2.0", "serve", "");
        let load = r.under_load("apt-get install -y -q acme=2.0", false);
        r.busy_at(&load, &["current", "process acme.service"]);
        r.under_load("acme-release rollback", false);
        socketed(&r, "3.0", "never-healthy", "");
        r.under_load(&install("3.0"), true);
        r.healed("1.0");
        r.m.ok("acme-release status");
    }
}

/// nginx itself as the application: unmodified, and SIGTERM ends it at once, whatever is under way.
fn somebody_else(r: &Site, version: &str) {
    let config = format!(
        "{}[units.\"acme@.service\"]\nService.ExecStart = \"/usr/sbin/nginx -e stderr -c {{app}}/{{instance}}.conf\"\n\
         Service.ExecStartPre = \"/bin/sleep 2\"\n\
         X-Relpack.Health = \"http://127.0.0.1:{{env.PORT}}/\"\n\n\
         [instances.blue]\nEnvironment.PORT = \"3000\"\n[instances.green]\nEnvironment.PORT = \"3001\"\n\n\
         [deploy]\nstrategy = \"blue-green\"\nproxy = \"nginx\"\nsettle = \"1s\"\n",
        head(version)
    );
    let of = |port: u16| {
        format!(
            "daemon off;\npid /tmp/acme-{port}.pid;\nevents {{ worker_connections 2048; }}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path /tmp/{port}-a;\n  proxy_temp_path /tmp/{port}-b;\n  fastcgi_temp_path /tmp/{port}-c;\n  \
             uwsgi_temp_path /tmp/{port}-d;\n  scgi_temp_path /tmp/{port}-e;\n  server {{\n    listen 127.0.0.1:{port};\n    \
             root /opt/acme/app/pages;\n    location / {{ index index.html; }}\n    location = /slow {{ limit_rate 25k; }}\n  }}\n}}\n"
        )
    };
    // The first second's worth goes out at once, and the rest a second later.
    let slow = format!("{version} - 0 {}\n", "x".repeat(50_000));
    let page = format!("{version} - 0\n");
    let files = [
        ("blue.conf", of(3000)),
        ("green.conf", of(3001)),
        ("pages/index.html", page),
        ("pages/slow", slow),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    r.add(&r.build_of(version, &config, &files));
}

fn a_server_of_somebody_else(suite: Suite) {
    for upstream in Upstream::both(suite) {
        let r = Site::boot_with(suite, "", "", upstream);
        somebody_else(&r, "1.0");
        r.m.ok("apt-get install -y -q acme=1.0");
        assert_eq!(r.one_serves("1.0"), "blue");
        somebody_else(&r, "2.0");
        let (_, load) = r.under_load_on(PORT, "static", "apt-get install -y -q acme=2.0", false);
        assert!(load["codes"]["2.0"].as_u64() > Some(10), "{load}");
        r.not_slower(&load);
        r.busy_at(&load, &["process acme@green.service", "nginx", "current"]);
        assert_eq!(r.one_serves("2.0"), "green");
        let (_, load) = r.under_load_on(PORT, "static", "acme-release rollback", false);
        r.not_slower(&load);
        assert_eq!(r.one_serves("1.0"), "blue");
    }
}

/// What comes over a connection that was upgraded: the version once every fifth of a second, with the time on this side.
const LISTENER: &str = "
import socket, time
peer = socket.create_connection(('127.0.0.1', 8080))
peer.sendall(b'GET /live HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
with open('/run/ticks', 'w', buffering=1) as log:
    while part := peer.recv(4096):
        log.write(f'{time.monotonic():.2f} {part.split()[-1].decode()}\\n')
    log.write(f'{time.monotonic():.2f} ended\\n')
";

fn a_websocket_lives_until_the_drain(suite: Suite) {
    let r = Site::boot(suite, "strategy = \"blue-green\"\ndrain = \"25s\"");
    r.publish("1.0", "rude");
    r.m.ok("apt-get install -y -q acme=1.0");
    r.fronted_as_shipped();
    assert_eq!(r.one_serves("1.0"), "blue");
    r.publish("2.0", "rude");
    r.m.put("/root/listener.py", LISTENER);
    let listener = r.m.spawn("python3 /root/listener.py");
    r.m.wait_for("grep -q ' 1.0' /run/ticks", Duration::from_secs(10));
    let upgrade =
        r.m.ok("apt-get install -y -q acme=2.0 && cut -d ' ' -f 1 /proc/uptime && \
         curl -sS http://127.0.0.1:8080/ | cut -d ' ' -f 1 && systemctl is-active acme@blue.service");
    let lines: Vec<&str> = upgrade.text().lines().rev().take(3).collect();
    let [old, new, returned] = lines[..] else {
        panic!("{upgrade}")
    };
    // New requests go to the new one, while the old one still has its listener, and apt is done.
    assert_eq!((old, new), ("active", "2.0"), "{upgrade}");
    let returned: f64 = returned.parse().expect("a time");
    // What is activated meanwhile leaves that drain alone.
    let again = r.m.ok(
        "apt-get install -y -q --reinstall acme=2.0 && systemctl is-active acme@blue.service && \
         systemctl show -p ActiveState --value relpack-drain-acme.service",
    );
    assert!(again.text().ends_with("active\nactive"), "{again}");
    assert!(!again.both().contains("was left running"), "{again}");
    r.m.wait_for("grep -q ended /run/ticks", Duration::from_secs(40));
    listener.wait(Duration::from_secs(5));
    let ticks = r.m.read("/run/ticks");
    let at = |line: Option<&str>| -> f64 {
        let word = line.and_then(|line| line.split(' ').next());
        word.and_then(|word| word.parse().ok()).expect("a time")
    };
    assert!(!ticks.contains(" 2.0"), "{ticks}");
    let last = at(ticks.lines().rfind(|line| line.ends_with(" 1.0")));
    eprintln!(
        "{suite}: the websocket lived {:.1} s longer than apt ran",
        last - returned
    );
    // The drain began at the change of the proxy, before apt had ended.
    assert!(
        (15.0..29.0).contains(&(last - returned)),
        "it ended {:.1} s after apt\n{ticks}",
        last - returned
    );
    assert_eq!(r.one_serves("2.0"), "green");
}
