//! What strategies do besides: lame ducks for a balancer that only looks, several instances at a time, instances that a host
//! names, reloads.

use std::time::Duration;

use crate::on_each_suite;
use crate::support::Suite;
use crate::support::site::{Site, head};

on_each_suite![
    rotated:
    a_lame_duck_says_so_before_it_stops,
    who_ends_for_good_says_so,
    a_host_names_instances,
    the_strategy_reload,
];

/// Three instances, no proxy.
fn ducks(r: &Site, version: &str, behaviour: &str) {
    let rolling = "strategy = \"rolling\"\nmax_parallel = 2\nsettle = \"1s\"";
    ducks_of(r, version, behaviour, RED, rolling);
}

const RED: &str = "[instances.red]\nEnvironment.PORT = \"3002\"\n";

/// With other instances than blue and green, or other units.
fn ducks_of(r: &Site, version: &str, behaviour: &str, more: &str, deploy: &str) {
    let config = format!(
        "{}[units.\"acme@.service\"]\nService.ExecStart = \"/usr/bin/python3 server.py\"\n\
         Service.Environment.START_UP = \"0.3\"\nX-Relpack.Health = \"http://127.0.0.1:{{env.PORT}}/healthz\"\n\
         [instances.blue]\nEnvironment.PORT = \"3000\"\n[instances.green]\nEnvironment.PORT = \"3001\"\n\
         {more}\n[deploy]\nlame_duck = \"6s\"\nhealth_timeout = \"4s\"\n{deploy}\n",
        head(version)
    );
    r.add(&r.build_of(version, &config, &[("behaviour", behaviour)]));
}

/// What a balancer sees of each instance, ten times a second: the time, health and code of all four, of which the last is the host's.
const BALANCER: &str = "while [ ! -e /run/watched ]; do
    line=$(cut -d ' ' -f 1 /proc/uptime)
    for p in 3000 3001 3002 3003; do
        line=\"$line $(curl -s -o /dev/null --max-time 2 -w '%{http_code}' http://127.0.0.1:$p/healthz)=$(curl -s --max-time 2 http://127.0.0.1:$p/ | cut -d ' ' -f 1)\"
    done
    echo \"$line\" >>/run/watch
    sleep 0.1
done";

/// This instance had that code, told the balancer that it ends, was still there for who hadn't looked yet, and did not stop before.
#[track_caller]
fn says_that_it_stops(watched: &str, instance: usize, code: &str) {
    let seen: Vec<(f64, &str)> = watched
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.parse().ok()?, words.nth(instance - 1)?))
        })
        .collect();
    let lame = format!("503={code}");
    let begun = seen
        .iter()
        .skip_while(|(_, s)| *s != format!("200={code}") && *s != lame);
    let lame: Vec<f64> = seen.iter().filter(|(_, s)| *s == lame).map(|(at, _)| *at).collect();
    let (Some(first), Some(last)) = (lame.first(), lame.last()) else {
        panic!("{instance} never said that it would stop\n{watched}");
    };
    assert!(
        (3.0..11.0).contains(&(last - first)),
        "{instance}: {first} to {last}\n{watched}"
    );
    let gone = begun.clone().find(|(_, s)| s.starts_with("000")).map(|(at, _)| *at);
    assert!(gone.is_none_or(|gone| gone > *first), "{instance}\n{watched}");
}

fn a_lame_duck_says_so_before_it_stops(suite: Suite) {
    let r = Site::boot(suite, "");
    let all = |version: &str| {
        let said = r
            .m
            .ok("for p in 3000 3001 3002; do curl -sS http://127.0.0.1:$p/ | cut -d ' ' -f 1; done | paste -s -d ' '");
        assert_eq!(said.text(), format!("{version} {version} {version}"));
        r.m.ok("acme-release status && [ ! -e /run/relpack/acme/lame-duck ]");
    };
    ducks(&r, "1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    all("1.0");
    ducks(&r, "2.0", "serve");
    let balancer = r.m.spawn(BALANCER);
    r.m.ok("apt-get install -y -q acme=2.0");
    r.m.ok("touch /run/watched");
    balancer.wait(Duration::from_secs(20)).expect_ok();
    all("2.0");
    let watched = r.m.read("/run/watch");
    for instance in 1..=3 {
        says_that_it_stops(&watched, instance, "1.0");
    }
    // Never fewer than one that is ready, and two of them went at a time.
    let ready = |line: &str| line.matches("200=").count();
    let least = watched.lines().map(ready).min();
    assert_eq!(least, Some(1), "{watched}");

    ducks(&r, "3.0", "never-healthy");
    r.m.sh("apt-get install -y -q acme=3.0").expect_failure();
    r.healed("2.0");
    all("2.0");
}

/// What a release, a host or a revert drops, and what is restarted all at once.
fn who_ends_for_good_says_so(suite: Suite) {
    let r = Site::boot(suite, "");
    let rolling = "strategy = \"rolling\"\nsettle = \"0s\"";
    let watched = |command: &str, fails: bool| {
        r.m.ok("rm -f /run/watch /run/watched");
        let balancer = r.m.spawn(BALANCER);
        r.m.wait_for("[ -s /run/watch ]", Duration::from_secs(10));
        let run = r.m.sh(command);
        assert_eq!(run.succeeded(), !fails, "{run}");
        r.m.ok("touch /run/watched");
        balancer.wait(Duration::from_secs(20)).expect_ok();
        r.m.ok("[ ! -e /run/relpack/acme/lame-duck ]");
        r.m.read("/run/watch")
    };
    r.m.ok("mkdir -p /opt/acme/shared && echo PORT=3003 >/opt/acme/shared/env.fourth");
    r.m.put("/etc/relpack/acme.conf", "instances=fourth\n");
    ducks(&r, "1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    // The release no longer has it.
    ducks_of(&r, "2.0", "serve", "", rolling);
    let seen = watched("apt-get install -y -q acme=2.0", false);
    says_that_it_stops(&seen, 3, "1.0");
    r.m.sh("systemctl is-active acme@red.service").expect_failure();
    // The host no longer names it.
    r.m.put("/etc/relpack/acme.conf", "# none\n");
    let seen = watched("apt-get install -y -q --reinstall acme=2.0", false);
    says_that_it_stops(&seen, 4, "2.0");
    r.m.sh("systemctl is-active acme@fourth.service").expect_failure();
    // The release that had brought it has failed.
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n\
                  X-Relpack.Health = \"exec:/usr/bin/test -e never\"\n";
    ducks_of(&r, "3.0", "serve", &format!("{RED}{worker}"), rolling);
    let seen = watched("apt-get install -y -q acme=3.0", true);
    says_that_it_stops(&seen, 3, "3.0");
    r.healed("2.0");
    assert_eq!(r.instances(), "2.0 2.0");
    // All at once.
    ducks_of(&r, "4.0", "serve", "", "strategy = \"recreate\"\nsettle = \"0s\"");
    let seen = watched("apt-get install -y -q acme=4.0", false);
    says_that_it_stops(&seen, 1, "2.0");
    says_that_it_stops(&seen, 2, "2.0");
    assert_eq!(r.instances(), "4.0 4.0");
}

fn a_host_names_instances(suite: Suite) {
    let r = Site::boot(suite, "strategy = \"rolling\"");
    let facts = |text: &str| r.m.put("/etc/relpack/acme.conf", text);
    let upstream = || {
        r.m.ok("grep -o ':30[0-9]*;' /etc/nginx/conf.d/relpack-acme.conf | tr -d ':;\\n'")
            .text()
            .to_owned()
    };
    r.publish("1.0", "serve");
    facts("# ours\ninstances=third, a/b fourth\n");
    r.m.ok("mkdir -p /opt/acme/shared && echo PORT=3002 >/opt/acme/shared/env.third");
    let install = r.m.ok("apt-get install -y -q acme=1.0");
    let install = install
        .expect_says("'a/b' is no name of an instance")
        .expect_says("acme@fourth.service is not started: it has no PORT (hint: set it in /opt/acme/shared/env.fourth");
    assert!(!install.both().contains("acme@third.service"), "{install}");
    assert!(!install.both().contains("cannot enable"), "{install}");
    assert_eq!(upstream(), "300030013002");
    r.m.ok("systemctl is-active acme@third.service && systemctl is-enabled acme@third.service && acme-release status");
    let pid =
        r.m.ok("systemctl show -p MainPID --value acme@blue.service")
            .text()
            .to_owned();
    r.m.ok("echo PORT=3003 >/opt/acme/shared/env.fourth && apt-get install -y -q --reinstall acme=1.0");
    // In the order of their names.
    assert_eq!(upstream(), "3000300330013002");
    assert_eq!(
        r.m.ok("systemctl show -p MainPID --value acme@blue.service").text(),
        pid
    );

    r.publish("2.0", "serve");
    r.m.ok("apt-get install -y -q acme=2.0");
    let said =
        r.m.ok("for p in 3000 3001 3002 3003; do curl -sS http://127.0.0.1:$p/ | cut -d ' ' -f 1; done | sort -u");
    assert_eq!(said.text(), "2.0");

    // One has the port of another, and one can't run at all. No deploy fails by them.
    facts("instances=third twice bad\n");
    r.m.ok("cd /opt/acme/shared && echo PORT=3000 >env.twice && echo PORT=99999 >env.bad");
    r.publish("3.0", "serve");
    r.m.ok("apt-get install -y -q acme=3.0")
        .expect_says("acme@twice.service is not started: it has the address of acme@blue.service")
        .expect_says("acme@bad.service, which /etc/relpack/acme.conf names, is not healthy, so it is stopped");
    assert_eq!(upstream(), "300030013002");
    r.m.sh("systemctl is-active acme@fourth.service").expect_failure();
    r.m.sh("systemctl is-enabled acme@fourth.service").expect_failure();
    r.m.ok("acme-release status && ! systemctl -q is-enabled acme@twice.service && ! systemctl -q is-enabled acme@bad.service");
    // Back by command, the hints don't undo that.
    facts("instances=third twice bad lacking\n");
    let back = r.m.ok("acme-release rollback");
    for says in [
        "env.lacking, then: ",
        "env.twice, then: ",
        "journalctl -u acme@bad.service; then: ",
    ] {
        assert!(
            back.both()
                .contains(&format!("{says}apt-get install --reinstall acme=2.0)")),
            "{back}"
        );
    }
    r.healed("2.0");
    r.m.ok("apt-get install -y -q acme=3.0");
    // A release that names one of them as well has it from then on, and gives it back.
    let third = "\n[instances.third]\nEnvironment.PORT = \"3002\"\n";
    let named = r.config_with("4.0", "strategy = \"rolling\"") + third;
    r.add(&r.build_of("4.0", &named, &[("behaviour", "serve")]));
    let third_serves = |version: &str| {
        r.m.ok("systemctl -q is-enabled acme@third.service");
        let code = r.m.ok("curl -sS http://127.0.0.1:3002/ | cut -d ' ' -f 1");
        assert_eq!(code.text(), version);
    };
    r.m.ok("apt-get install -y -q acme=4.0");
    third_serves("4.0");
    r.m.ok("acme-release rollback");
    r.healed("3.0");
    third_serves("3.0");
    // What the admin disabled stays so, also across a removal.
    r.m.ok("systemctl disable -q --now acme@green.service && apt-get remove -y -q acme");
    r.m.ok("! ls /etc/systemd/system/*/acme* && apt-get install -y -q acme=3.0");
    r.m.ok("systemctl is-active acme@blue.service && systemctl is-enabled acme@blue.service");
    r.m.ok("! systemctl -q is-active acme@green.service && ! systemctl -q is-enabled acme@green.service");
    // Without the upstream that the site names, nginx would not start any more.
    let ours = "/etc/nginx/conf.d/relpack-acme.conf";
    r.m.ok("apt-get purge -y -q acme && ! ls /etc/systemd/system/*/acme* /var/lib/relpack")
        .expect_says(&format!("{ours} is kept: nginx's sites may name its upstream"));
    r.m.ok(&format!("nginx -t && [ -e {ours} ] && ! ls {ours}.*"));
    assert_eq!(r.m.sh("systemctl list-units --no-legend --plain 'acme*'").text(), "");
    r.m.ok("rm /etc/nginx/sites-enabled/acme && apt-get install -y -q acme=3.0 && apt-get purge -y -q acme");
    r.m.ok(&format!(
        "! ls {ours}* && nginx -t && systemctl is-active nginx.service"
    ));
}

/// Executes itself anew on SIGHUP, from the live release; where systemd wants to hear of it, it does.
const RELOADER: &str = "
import http.server, os, signal, socket, sys, threading, time
os.chdir('/opt/acme/current')
CODE = open('body').read().strip()
BEHAVIOUR = open('behaviour').read().strip()
def tell(text):
    if 'NOTIFY_SOCKET' in os.environ:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.sendto(text.encode(), os.environ['NOTIFY_SOCKET'].replace('@', '\\0'))
def again(*_):
    tell(f'RELOADING=1\\nMONOTONIC_USEC={time.monotonic_ns() // 1000}')
    os.execv('/usr/bin/python3', ['python3', '/opt/acme/current/reloader.py'])
signal.signal(signal.SIGHUP, again)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        bad = BEHAVIOUR == 'never-healthy' and self.path == '/healthz'
        self.send_response(503 if bad else 200)
        self.end_headers()
        self.wfile.write(CODE.encode())
server = http.server.HTTPServer(('127.0.0.1', 3000), Handler)
tell('READY=1')
server.serve_forever()
";

/// Leaves a file descriptor with systemd, for whoever is started after it.
const KEEPER: &str = "
import os, socket, time
code = open('body').read().strip()
if 'LISTEN_FDS' in os.environ:
    kept = 3
else:
    kept = os.memfd_create('kept')
    os.write(kept, code.encode())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.connect(os.environ['NOTIFY_SOCKET'].replace('@', '\\0'))
        socket.send_fds(peer, [b'FDSTORE=1'], [kept])
print(f'{code} has what {os.pread(kept, 64, 0).decode()} left', flush=True)
while True:
    time.sleep(60)
";

fn the_strategy_reload(suite: Suite) {
    let r = Site::boot(suite, "");
    // systemd knows the other way since 253.
    let (target, reloads) = match suite {
        Suite::Trixie => ("target = \"trixie\"\n", "Service.Type = \"notify-reload\""),
        _ => ("", "Service.ExecReload = \"/bin/kill -HUP $MAINPID\""),
    };
    let add = |version: &str, behaviour: &str| {
        let config = format!(
            "{}[units.\"acme.service\"]\nService.ExecStart = \"/usr/bin/python3 {{app}}/reloader.py\"\n\
             {reloads}\nX-Relpack.Health = \"http://127.0.0.1:3000/healthz\"\n\
             [units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/python3 keeper.py\"\n\
             Service.FileDescriptorStoreMax = 1\nService.NotifyAccess = \"main\"\n\n\
             [deploy]\nstrategy = \"reload\"\nsettle = \"1s\"\nhealth_timeout = \"4s\"\n",
            head(version).replacen("depends", &format!("{target}depends"), 1)
        );
        let files = [
            ("behaviour", behaviour),
            ("reloader.py", RELOADER),
            ("keeper.py", KEEPER),
        ];
        r.add(&r.build_of(version, &config, &files));
    };
    let pid = |unit: &str| {
        r.m.ok(&format!("systemctl show -p MainPID --value {unit}"))
            .text()
            .to_owned()
    };
    let serves = |version: &str| {
        r.m.wait_for(
            &format!("[ \"$(curl -s http://127.0.0.1:3000/)\" = {version} ]"),
            Duration::from_secs(10),
        );
        r.healed(version);
    };
    add("1.0", "serve");
    r.m.ok("apt-get install -y -q acme=1.0");
    serves("1.0");
    let (first, worker) = (pid("acme.service"), pid("acme-worker.service"));
    add("2.0", "serve");
    r.m.ok("apt-get install -y -q acme=2.0");
    serves("2.0");
    assert_eq!(pid("acme.service"), first, "it was restarted");
    // What can't be reloaded is restarted.
    assert_ne!(pid("acme-worker.service"), worker);
    // And gets what its predecessor had left with systemd.
    r.m.wait_for(
        "journalctl -q -o cat -u acme-worker.service | grep -qx '2.0 has what 1.0 left'",
        Duration::from_secs(10),
    );
    r.m.ok("acme-release rollback");
    serves("1.0");
    assert_eq!(pid("acme.service"), first);
    add("3.0", "never-healthy");
    r.m.sh("apt-get install -y -q acme=3.0").expect_failure();
    serves("1.0");
    r.m.ok("acme-release status");
}
