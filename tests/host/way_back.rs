//! A revert in which not all goes well: whatever one unit does on the way back, the others come back to the release before.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::site::Site;
use crate::support::{App, Behaviour, Host, Suite};
use crate::unit_changes::{code, service};

on_each_suite![
    rotated:
    a_port_is_taken_meanwhile,
    calls_come_while_a_socket_goes_back,
    systemd_has_closed_a_socket,
    an_instance_stays_sick,
    the_colour_that_serves_has_crashed,
];

/// Answers on the socket that systemd hands over; gone at once where it is told so.
const TAKER: &str = r#"
import os, socket, sys
if os.path.exists("leave"):
    sys.exit(0)
server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    client.sendall(open("body").read().encode())
    client.close()
"#;

/// With a worker, and a socket with this service, which no health is asked of.
fn app(version: &str, socket: &str, taker: &str) -> App {
    App::new(version)
        .settle("0s")
        .file("taker.py", TAKER)
        .extra(&service(
            "acme-worker.service",
            "Service.ExecStart = \"/usr/bin/sleep infinity\"",
        ))
        .extra(&service(
            "acme-in.service",
            &format!("Service.ExecStart = \"/usr/bin/python3 taker.py\"\n{taker}"),
        ))
        .extra(&service("acme-in.socket", socket))
}

const USUAL: &str = "Socket.ListenStream = \"127.0.0.1:3002\"";

const ASK: &str = "timeout 5 bash -c 'cat </dev/tcp/127.0.0.1/3002'";

fn a_port_is_taken_meanwhile(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    host.deploy(&app("1.0", USUAL, ""));
    assert_eq!(m.ok(ASK).text(), "1.0");
    // Gets the port in the moment in which the failed release has another.
    m.put(
        "/root/squat.py",
        "import socket, time\nwhile True:\n    try:\n        taken = socket.create_server((\"127.0.0.1\", 3002))\n        break\n    \
         except OSError:\n        time.sleep(0.01)\nopen(\"/run/squatted\", \"w\").close()\ntime.sleep(1000)\n",
    );
    let squatter = m.spawn("exec python3 /root/squat.py");
    let elsewhere = "Socket.ListenStream = \"127.0.0.1:3005\"";
    host.publish(&[app("2.0", elsewhere, "").behaviour(Behaviour::ExitAtOnce)]);
    host.install("2.0")
        .expect_failure()
        .expect_says("AND acme 1.0 is not healthy either");
    m.ok("[ -e /run/squatted ]");
    host.serves("1.0");
    assert_eq!(code(m, "acme-worker.service"), "1.0");
    m.sh("systemctl is-active acme-in.socket").expect_failure();
    // Where the port is free again, the next activation of the release brings the socket back.
    squatter.kill();
    m.healing_has_ended();
    m.ok("apt-get install -y -q --reinstall --allow-downgrades acme=1.0");
    assert_eq!(m.ok(ASK).text(), "1.0");
    host.expect_healed("1.0");
}

fn calls_come_while_a_socket_goes_back(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    // Each call may start it, however often it has left.
    let lines = "Service.Restart = \"no\"\nUnit.StartLimitIntervalSec = 0";
    host.deploy(&app("1.0", USUAL, lines));
    m.put(
        "/root/call.sh",
        "while [ ! -e /run/called ]; do timeout 2 bash -c 'cat </dev/tcp/127.0.0.1/3002' >>/run/calls 2>/dev/null; sleep 0.02; done\n",
    );
    let caller = m.spawn("sh /root/call.sh");
    m.wait_for("grep -q 1.0 /run/calls", Duration::from_secs(10));
    let changed = format!("{USUAL}\nSocket.Backlog = 17\nSocket.TriggerLimitBurst = 0");
    let sick = app("2.0", &changed, lines)
        .file("leave", "")
        .behaviour(Behaviour::ExitAtOnce);
    host.publish(&[sick]);
    host.install("2.0")
        .expect_failure()
        .expect_says("acme 1.0 serves, as before.");
    m.ok("touch /run/called");
    caller.wait(Duration::from_secs(20)).expect_ok();
    assert_eq!(m.ok(ASK).text(), "1.0");
    assert_eq!(code(m, "acme-worker.service"), "1.0");
    host.serves("1.0");
    host.expect_healed("1.0");
    host.no_unit_failed();
}

fn systemd_has_closed_a_socket(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let lines = "Service.ExecStartPre = \"/usr/bin/test ! -e /etc/broken\"\nService.RestartSec = \"100ms\"\n\
                 Install.WantedBy = \"multi-user.target\"";
    host.deploy(&app("1.0", USUAL, lines));
    m.ok("touch /etc/broken && systemctl kill -s KILL acme-in.service");
    m.wait_for(
        "timeout 1 bash -c 'cat </dev/tcp/127.0.0.1/3002'; systemctl is-failed acme-in.service && systemctl is-failed acme-in.socket",
        Duration::from_secs(30),
    );
    m.ok("rm /etc/broken");
    let two = host.deploy(&app("2.0", USUAL, lines));
    assert_eq!(m.ok(ASK).text(), "2.0");
    host.all_well(&two, "2.0");
}

fn an_instance_stays_sick(suite: Suite) {
    let service = "Service.ExecStartPre = \"/usr/bin/test ! -e /etc/sick\"\nService.RestartSec = \"1s\"";
    let r = Site::boot_with(
        suite,
        "strategy = \"rolling\"\nhealth_timeout = \"6s\"\nsettle = \"0s\"",
        service,
        crate::support::site::Upstream::Once,
    );
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    let version = |version: &str, more: &str| {
        let config = r.config_with(
            version,
            "strategy = \"rolling\"\nhealth_timeout = \"6s\"\nsettle = \"0s\"",
        );
        r.add(&r.build_of(version, &format!("{config}\n{worker}{more}"), &[("behaviour", "serve")]));
    };
    version("1.0", "");
    r.m.ok("apt-get install -y -q acme=1.0");
    // From when its worker starts, no instance can.
    version(
        "2.0",
        "Service.ExecStartPre = \"+/usr/bin/touch /etc/sick\"\nX-Relpack.Health = \"exec:/usr/bin/test -e never\"\n",
    );
    r.m.sh("apt-get install -y -q acme=2.0")
        .expect_failure()
        .expect_says("AND acme 1.0 is not healthy either");
    assert_eq!(code(&r.m, "acme-worker.service"), "1.0");
    r.m.ok("rm /etc/sick");
    r.m.healing_has_ended();
    r.m.ok("apt-get install -y -q --reinstall --allow-downgrades acme=1.0");
    // systemd may have brought them back by itself before that, and then nobody waits for their start.
    let answers = |port: &str| format!("curl -sSf --max-time 5 http://127.0.0.1:{port}/");
    r.m.wait_for(
        &format!("{} && {}", answers("3000"), answers("3001")),
        Duration::from_secs(20),
    );
    r.settled("1.0");
}

fn the_colour_that_serves_has_crashed(suite: Suite) {
    let r = Site::boot_with(
        suite,
        "strategy = \"blue-green\"\nhealth_timeout = \"8s\"\nsettle = \"0s\"",
        "Service.RestartSec = \"20s\"",
        crate::support::site::Upstream::Once,
    );
    r.publish("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    let serves = r.one_serves("1.0");
    r.publish("2.0", "never-healthy");
    let apt = r.m.spawn("apt-get install -y -q acme=2.0");
    let other = if serves == "blue" { "green" } else { "blue" };
    r.m.wait_for(
        &format!("systemctl -q is-active acme@{other}.service"),
        Duration::from_secs(20),
    );
    r.m.ok(&format!("systemctl kill -s KILL acme@{serves}.service"));
    apt.wait(Duration::from_secs(120))
        .expect_failure()
        .expect_says("acme 1.0 serves, as before.");
    r.healed("1.0");
    assert_eq!(r.one_serves("1.0"), serves);
}
