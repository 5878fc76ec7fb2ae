"""Every way to deploy under the same load: what is lost, how long it takes, what it costs in memory.

A web service with two seconds of start-up behind nginx, which repeats nothing (`proxy_next_upstream off`). Open-loop load of 16
kept and 16 short connections, with slow answers and uploads among them. Once a good release is deployed, once one that starts
and answers everything with an error.
"""

import json
import time

from .common import REPO, log, run_quiet
from .machine import INCLUDE, Machine, base_system

RATE = 250
BEFORE, AFTER = 8, 8  # seconds of load
SUPPORT = REPO / "tests/host/support"
GOOD, BAD = "2.0", "2.1"
BEHAVIOUR = {"1.0": "serve", GOOD: "serve", BAD: "broken"}

SITE = """
server {
    listen 127.0.0.1:8080;
    client_max_body_size 0;
    location / {
        proxy_pass http://acme;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_request_buffering off;
        proxy_next_upstream off;
    }
}
"""

# One upstream server, for what brings no proxy configuration of its own.
UPSTREAM = "upstream acme { server 127.0.0.1:3000; keepalive 16; }\n"

UNIT = """
[Unit]
Description=test application
[Service]
ExecStart=/usr/bin/python3 server.py
WorkingDirectory=/srv/acme/current
Environment=PORT=3000
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""

# As the tools do it that link a release and restart the service, over SSH or in a pipeline.
SCRIPT = """
set -e
cp -r /srv/in/{version} /srv/acme/releases/{version}
ln -sfn /srv/acme/releases/{version} /srv/acme/current
systemctl restart acme.service
"""

# As packages do it whose files lie at one place, with the restart in postinst.
POSTINST = """#!/bin/sh
set -e
systemctl daemon-reload
systemctl enable --quiet acme.service
systemctl restart acme.service
"""

RELPACK = """
[package]
name = "acme"
version = "{version}"
maintainer = "Acme Ops <ops@acme.example>"
description = "test application"
depends = ["python3"]
[release]
source = "build"
{units}
[deploy]
settle = "1s"
health_timeout = "8s"
{deploy}
"""
ONE = """
[units."acme.service"]
Service.ExecStart = "/usr/bin/python3 server.py"
Service.Environment.PORT = "3000"
Service.TimeoutStopSec = "30s"
Service.LimitNOFILE = 8192
X-Relpack.Health = "http://127.0.0.1:3000/healthz"
"""
LISTENING = """
[units."acme.socket"]
Socket.ListenStream = "127.0.0.1:3000"
Socket.Backlog = 4096
"""
SOCKET = ONE + LISTENING
TRIED = ONE + 'X-Relpack.Trial = "127.0.0.1:3001"\n' + LISTENING
TWO = """
[units."acme@.service"]
Service.ExecStart = "/usr/bin/python3 server.py"
Service.TimeoutStopSec = "30s"
X-Relpack.Health = "http://127.0.0.1:{env.PORT}/healthz"
[instances.blue]
Environment.PORT = "3000"
[instances.green]
Environment.PORT = "3001"
"""


class Way:
    """How a version gets onto the host: `bring` lays it there, unmeasured; `deploy` is the command."""

    def __init__(self, name, note):
        self.name = name
        self.note = note

    def bring(self, work, host, version):
        raise NotImplementedError

    def deploy(self, version):
        return f"dpkg -i /srv/{self.name}-{version}.deb"


class Script(Way):
    def bring(self, work, host, version):
        place = host.root / "srv/in" / version
        application(place, version)
        (host.root / "srv/acme/releases").mkdir(parents=True, exist_ok=True)
        (host.root / "etc/systemd/system/acme.service").write_text(UNIT)

    def deploy(self, version):
        return SCRIPT.format(version=version)


class Package(Way):
    def bring(self, work, host, version):
        root = work.dir / f"{self.name}-{version}"
        application(root / "srv/acme/current", version)
        (root / "usr/lib/systemd/system").mkdir(parents=True)
        (root / "usr/lib/systemd/system/acme.service").write_text(UNIT)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: acme\nVersion: {version}\nArchitecture: all\nMaintainer: Acme Ops <ops@acme.example>\n"
            "Depends: python3\nDescription: test application\n"
        )
        (root / "DEBIAN/postinst").write_text(POSTINST)
        (root / "DEBIAN/postinst").chmod(0o755)
        run_quiet(["dpkg-deb", "--root-owner-group", "-b", str(root), str(host.root / f"srv/{self.name}-{version}.deb")])


class Relpack(Way):
    def __init__(self, name, note, units, deploy):
        super().__init__(name, note)
        self.units, self.settings = units, deploy

    def bring(self, work, host, version):
        directory = work.dir / f"{self.name}-{version}"
        if not directory.exists():
            application(directory / "build", version)
            config = RELPACK.format(version=version, units=self.units, deploy=self.settings)
            (directory / "relpack.toml").write_text(config)
            run_quiet([str(work.relpack()), "build", "-C", str(directory), "--out", str(directory / "dist")])
        package = next((directory / "dist").glob("*.deb"))
        (host.root / f"srv/{self.name}-{version}.deb").write_bytes(package.read_bytes())


WAYS = [
    Script("script", "ln -sfn && systemctl restart"),
    Package("package", "a package that restarts in its postinst"),
    Relpack("recreate", "relpack, strategy recreate", ONE, ""),
    Relpack("socket", "relpack, recreate with a socket unit", SOCKET, ""),
    Relpack("trial", "relpack, recreate with a socket unit, each release tried first", TRIED, ""),
    Relpack("rolling", "relpack, two instances behind nginx", TWO, 'strategy = "rolling"\nproxy = "nginx"'),
    Relpack("canary", "relpack, one of two instances watched first", TWO, 'strategy = "canary"\nsoak = "5s"\nproxy = "nginx"'),
    Relpack("blue-green", "relpack, two colours behind nginx", TWO, 'strategy = "blue-green"\nproxy = "nginx"'),
]


def application(place, version):
    place.mkdir(parents=True)
    (place / "server.py").write_bytes((SUPPORT / "slow_server.py").read_bytes())
    (place / "body").write_text(version)
    (place / "behaviour").write_text(BEHAVIOUR[version])


def run(work):
    archive = base_system(work.cache, work.args.suite, f"{INCLUDE},python3,nginx-light")
    results = []
    for way in WAYS:
        if work.args.only and way.name not in work.args.only.split(","):
            continue
        with Machine(archive, work.dir / f"host-{way.name}" / "root") as host:
            results.append({"name": way.name, "note": way.note, **one_way(work, host, way)})
    return {"suite": work.args.suite, "rate": RATE, "ways": results}


def one_way(work, host, way):
    for version in BEHAVIOUR:
        way.bring(work, host, version)
    etc = host.root / "etc/nginx"
    (etc / "sites-enabled/default").unlink(missing_ok=True)
    (etc / "sites-enabled/acme").write_text(SITE)
    (etc / "conf.d/relpack-acme.conf").write_text(UPSTREAM)
    (host.root / "root/load.py").write_bytes((SUPPORT / "load.py").read_bytes())
    host.boot()
    host.shell("sed -i 's/worker_connections.*/worker_connections 4096;/' /etc/nginx/nginx.conf; systemctl restart nginx")
    host.shell(way.deploy("1.0"))
    host.shell("systemctl enable -q --now acme.service 2>/dev/null || :")
    host.shell("for i in $(seq 100); do curl -sf http://127.0.0.1:8080/ && exit; sleep 0.2; done; exit 1")
    measured = {}
    for what, version in (("good", GOOD), ("bad", BAD)):
        measured[what] = under_load(host, way.deploy(version))
        log(f"{way.name}, {what}: {told(measured[what])}")
        settle(host)
    return measured


def settle(host):
    """Until nothing of the deploy goes on: the healing of a failed one, the drain of an old colour."""
    deadline = time.monotonic() + 90
    busy = "systemctl is-active -q relpack-heal-acme.service || systemctl is-active -q relpack-drain-acme.service"
    while time.monotonic() < deadline and host.shell(f"if {busy}; then echo busy; fi"):
        time.sleep(0.5)


def under_load(host, command):
    """The load before, during and after the command: what it lost, and when."""
    (host.root / "root/deploy.sh").write_text(command)
    host.shell(
        f"""
rm -f /run/load.stop; ulimit -n 8192
python3 /root/load.py 8080 {RATE} 16 16 /run/load.stop 0 >/run/load.json & load=$!
( while [ ! -e /run/load.stop ]; do
    # The service's processes; memory that they share counts once.
    for p in $(grep -sla 'server[.]py' /proc/[0-9]*/cmdline); do
        sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' "${{p%/cmdline}}/smaps_rollup"
    done 2>/dev/null | awk '{{ s += $1 }} END {{ print s * 1024 }}'
    sleep 0.2
  done >/run/memory ) & watch=$!
sleep {BEFORE}
cut -d ' ' -f 1 /proc/uptime >/run/load.marks
rc=0; sh /root/deploy.sh >/run/deploy.log 2>&1 || rc=$?
cut -d ' ' -f 1 /proc/uptime >>/run/load.marks
sleep {AFTER}
mv /run/load.marks /run/load.stop.part; cp /run/load.stop.part /run/marks; mv /run/load.stop.part /run/load.stop
wait $load; wait $watch
echo $rc >/run/rc
"""
    )
    load = json.loads((host.shell("cat /run/load.json")))
    began, ended = (float(line) for line in host.shell("cat /run/marks").split())
    memory = [int(line) for line in host.shell("cat /run/memory").split()]
    return {
        "status": int(host.shell("cat /run/rc")),
        "seconds": ended - began,
        "sent": load["sent"],
        "failed": load["sent"] - load["answered"],
        "failures": load["failures"],
        "gap_seconds": load["gap_s"],
        "p99_before_ms": load["p99_before_ms"],
        "p99_during_ms": load["p99_during_ms"],
        "memory_before_bytes": memory[0],
        "memory_peak_bytes": max(memory),
        "timeline": load["timeline"],
    }


def told(measured):
    return f"{measured['failed']} of {measured['sent']} failed, no answer for {measured['gap_seconds']:.1f} s, deploy {measured['seconds']:.1f} s, exit {measured['status']}"
