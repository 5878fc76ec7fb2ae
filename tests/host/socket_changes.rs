//! Sockets that come, change and go with their service: who calls meanwhile gets the old code before the new one, never after it.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::{App, Behaviour, Host, Suite};
use crate::unit_changes::{app, expect_gone, service};

on_each_suite![
    rotated:
    sockets_come_and_go,
];

/// Takes its port from systemd where that holds it, else binds it; answers with its code.
const TAKER: &str = r#"
import os, socket
if os.environ.get("LISTEN_FDS"):
    server, how = socket.socket(fileno=3), "passed"
else:
    server, how = socket.create_server(("127.0.0.1", 3002)), "bound"
body = open("body").read()
while True:
    client, _ = server.accept()
    client.sendall(f"{body} {how}\n".encode())
    client.close()
"#;

/// Asks it again and again, and writes down what it says.
const CALLER: &str = r#"
import os, socket, time
with open("/run/calls", "w", buffering=1) as log:
    while not os.path.exists("/run/called"):
        try:
            with socket.create_connection(("127.0.0.1", 3002), 10) as peer:
                said = peer.recv(64).decode().strip() or "- hung up"
        except OSError as error:
            said = f"- {error}"
        log.write(said + "\n")
        time.sleep(0.005)
"#;

fn listening(version: &str, socket: Option<&str>) -> App {
    let app = app(version).file("taker.py", TAKER).extra(&service(
        "acme-in.service",
        "Service.ExecStart = \"/usr/bin/python3 taker.py\"",
    ));
    match socket {
        Some(lines) => app.extra("Install.WantedBy = \"multi-user.target\"").extra(&format!(
            "[units.\"acme-in.socket\"]\nSocket.ListenStream = \"127.0.0.1:3002\"\n{lines}"
        )),
        None => app,
    }
}

fn sockets_come_and_go(suite: Suite) {
    let host = Host::boot(suite);
    let said = || {
        host.m.wait_for(
            "echo | timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/3002'",
            Duration::from_secs(10),
        );
        host.m
            .ok("timeout 5 bash -c 'cat </dev/tcp/127.0.0.1/3002'")
            .text()
            .to_owned()
    };
    let with = |version: &str, lines: &str| listening(version, Some(lines));
    host.deploy(&listening("1.0", None));
    assert_eq!(said(), "1.0 bound");
    host.deploy(&with("2.0", ""));
    assert_eq!(said(), "2.0 passed");
    assert_eq!(host.enabled("acme-in.socket"), "enabled");
    let socket = || {
        host.m
            .ok("systemctl show -p InvocationID --value acme-in.socket")
            .stdout
    };
    let before = socket();
    // Its own text is the same: it holds the port meanwhile.
    host.deploy(&with("3.0", ""));
    assert_eq!((said().as_str(), socket()), ("3.0 passed", before));
    // Both change, and somebody calls all the time.
    let starts = || -> u32 {
        let count = host
            .m
            .ok("journalctl --sync; journalctl -q -o cat _PID=1 -u acme-in.service | grep -c '^Started '");
        count.text().parse().expect("a number")
    };
    let started = starts();
    host.m.put("/root/caller.py", CALLER);
    let caller = host.m.spawn("python3 /root/caller.py");
    host.m.wait_for("grep -q 3.0 /run/calls", Duration::from_secs(10));
    host.deploy(&with("4.0", "Socket.Backlog = 17"));
    host.m.wait_for("grep -q 4.0 /run/calls", Duration::from_secs(10));
    let calls = host.m.read("/run/calls");
    let (before, after) = calls.split_once("4.0 passed").expect("it was just there");
    assert!(
        !before.contains("4.0 bound") && !after.contains("3.0"),
        "old code was activated\n{calls}"
    );
    eprintln!(
        "{suite}: {} calls, {} of them in vain",
        calls.lines().count(),
        calls.lines().filter(|line| line.starts_with('-')).count()
    );
    assert_eq!(starts(), started + 1, "it was started more than once");
    // And back, where nobody may start the failed one's.
    host.publish(&[with("4.1", "Socket.Backlog = 18").behaviour(Behaviour::ExitAtOnce)]);
    host.install("4.1")
        .expect_failure()
        .expect_says("acme 4.0 serves, as before.");
    host.m.ok("touch /run/called");
    caller.wait(Duration::from_secs(20)).expect_ok();
    host.expect_healed("4.0");
    assert_eq!(said(), "4.0 passed");
    host.m
        .ok("systemctl show -p Backlog acme-in.socket")
        .expect_says("Backlog=17");
    // One that does not get healthy drops the socket, and gives it back.
    host.publish(&[listening("5.0", None).behaviour(Behaviour::ExitAtOnce)]);
    host.install("5.0").expect_failure();
    assert_eq!(said(), "4.0 passed");
    host.expect_healed("4.0");
    host.deploy(&listening("6.0", None));
    assert_eq!(said(), "6.0 bound");
    expect_gone(&host, "acme-in.socket");
    // And one that brings it back, and fails.
    host.publish(&[with("7.0", "").behaviour(Behaviour::ExitAtOnce)]);
    host.install("7.0").expect_failure();
    assert_eq!(said(), "6.0 bound");
    expect_gone(&host, "acme-in.socket");
    host.no_unit_failed();

    // systemd starts no socket whose service runs, and this one goes on through a deploy.
    let alone = |version: &str, lines: &str| {
        with(
            version,
            &format!("{lines}\n[units.\"acme-in.service\".X-Relpack]\nOnUpgrade = \"none\""),
        )
    };
    host.expect_healed("6.0");
    host.deploy(&with("7.1", ""));
    host.deploy(&alone("8.0", ""));
    assert_eq!(said(), "7.1 passed");
    let (pid, before) = (host.pid("acme-in.service"), socket());
    host.publish(&[alone("9.0", "Socket.Backlog = 18")]);
    host.install("9.0")
        .expect_ok()
        .expect_says("acme-in.socket is left as it is: acme-in.service, which it starts, runs on");
    assert_eq!((host.pid("acme-in.service"), socket()), (pid, before));
    host.m
        .ok("systemctl stop acme-in.service && systemctl restart acme-in.socket && systemctl start acme-in.service");
    assert_eq!(said(), "9.0 passed");
    host.m
        .ok("systemctl show -p Backlog acme-in.socket")
        .expect_says("Backlog=18");
}
