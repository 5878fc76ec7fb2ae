//! What a person sees of a deploy that can't keep its promise: strategies, instances, proxies and migrations.

use crate::config_errors::{NEXT, check, plus};

/// Where what is added to [`two`] begins.
const AFTER_TWO: usize = NEXT + 6;

/// The base with two instances, and more.
fn two(more: &str) -> String {
    plus(&format!(
        "[units.\"acme@.service\"]\nService.ExecStart = \"bin/acme\"\n[instances.blue]\nEnvironment.PORT = \"1\"\n\
         [instances.green]\nEnvironment.PORT = \"2\"\n{more}"
    ))
}

/// The base with two instances that have one port, a line in their template, and more from line 13 on.
fn one_port(line: &str, more: &str) -> String {
    plus(&format!(
        "[units.\"acme@.service\"]\nService.ExecStart = \"bin/acme\"\nService.Environment.PORT = \"3000\"\n{line}\n\
         [instances.blue]\n[instances.green]\n{more}"
    ))
}

/// The base with one instance and a strategy that needs more.
fn one(strategy: &str, more: &str) -> String {
    plus(&format!(
        "[units.\"acme@.service\"]\nService.ExecStart = \"bin/acme\"\n[instances.blue]\nEnvironment.PORT = \"1\"\n\
         [deploy]\nstrategy = \"{strategy}\"\n{more}"
    ))
}

/// The base with two instances on ports of their own, and a health check that asks a third one.
fn written_out(strategy: &str) -> String {
    plus(&format!(
        "[units.\"acme@.service\"]\nService.ExecStart = \"bin/acme\"\nX-Relpack.Health = \"http://127.0.0.1:3000/\"\n\
         [instances.blue]\nEnvironment.PORT = \"1\"\n[instances.green]\nEnvironment.PORT = \"2\"\n\
         [deploy]\nstrategy = \"{strategy}\"\nproxy = \"nginx\""
    ))
}

#[test]
#[rustfmt::skip]
fn bad_deploy() {
    let service = "[units.\"acme.service\"]\nService.ExecStart = \"bin/acme\"\n";
    let migrate = |lines: &str| plus(&format!("{service}[migrate]\n{lines}"));
    check(&[
        (plus("[deploy]\nstrategy = \"reload\""), NEXT + 1, "none of them can be reloaded", "ExecReload"),
        (plus(&format!("{service}[deploy]\nstrategy = \"reload\"")), NEXT + 3, "none of them can be reloaded", "give acme.service"),
        (plus(&format!("{service}Service.ExecReload = \"/bin/true\"\n[deploy]\nstrategy = \"reload\"\nlame_duck = \"1s\"")), NEXT + 5, "means nothing", "recreate"),
        (plus("[deploy]\nstrategy = \"rolling\""), NEXT + 1, "there are none", "at least two"),
        (one("rolling", ""), NEXT + 5, "there is only 1", "at least two"),
        (one("canary", ""), NEXT + 5, "there is only 1", "at least two"),
        (one("blue-green", "proxy = \"nginx\""), NEXT + 5, "there is only 1", "at least two"),
        (plus("[deploy]\nproxy = \"ngnix\""), NEXT + 1, "not a proxy", "did you mean \"nginx\""),
        (plus("[deploy]\nserver = \"127.0.0.1:1\""), NEXT + 1, "there is none", "proxy = \"nginx\""),
        (two("[deploy]\nproxy = \"nginx\"\nserver = \"a;{env.PORT}\""), AFTER_TWO + 2, "is no address", "127.0.0.1"),
        (plus(&format!("{service}[deploy]\nproxy = \"nginx\"")), NEXT + 3, "instances of acme@.service", "rename"),
        (plus("[deploy]\nmax_parallel = 2"), NEXT + 1, "means nothing", "rolling"),
        (plus("[deploy]\nweight = 10"), NEXT + 1, "means nothing", "canary"),
        (plus("[deploy]\ncheck = \"bin/x\""), NEXT + 1, "means nothing", "canary"),
        (two("[deploy]\nstrategy = \"canary\"\nweight = 10"), AFTER_TWO + 2, "it is the proxy's", "nginx"),
        (two("[deploy]\nstrategy = \"canary\"\nproxy = \"nginx\"\nweight = 100"), AFTER_TWO + 3, "out of range", "99"),
        (two("[deploy]\nstrategy = \"canary\"\nsoak = \"10m\""), AFTER_TWO + 2, "leaves nothing", "longer"),
        (two("[deploy]\nstrategy = \"canary\"\nsoak = \"9m 50s\""), AFTER_TWO, "can be over before a healthy deploy is: soak 590 s, settle 2 × 5 s", "longer than 600s"),
        (two("[migrate]\nexec = \"bin/migrate\"\nlike = \"acme@.service\"\n[deploy]\nstrategy = \"canary\"\nsoak = \"9m\"\ntimeout = \"10m\""), AFTER_TWO + 6, "migrate.timeout 300 s, soak 540 s, settle 2 × 5 s", "longer than 850s"),
        (two("[deploy]\nstrategy = \"rolling\"\nlame_duck = \"40s\"\ntimeout = \"90s\""), AFTER_TWO + 3, "lame_duck 2 × 40 s, settle 2 × 5 s", "longer than 90s"),
        (two("[deploy]\nstrategy = \"rolling\"\nmax_parallel = 2"), AFTER_TWO + 2, "none of the 2 instances would serve", "at most 1"),
        (two("[deploy]\nstrategy = \"rolling\"\nmax_parallel = 0"), AFTER_TWO + 2, "out of range", "from 1"),
        (two("[deploy]\nstrategy = \"rolling\"\nproxy = \"nginx\"\nlame_duck = \"5s\""), AFTER_TWO + 3, "nginx knows", "none"),
        (two("[deploy]\nstrategy = \"rolling\"\nproxy = \"nginx\"\ndrain = \"10m\""), AFTER_TWO + 3, "leaves nothing", "longer"),
        (two("[deploy]\nstrategy = \"rolling\"\ndrain = \"5s\""), AFTER_TWO + 2, "there is none", "X-Relpack.Drain"),
        (two("[deploy]\nlame_duck = \"10m\""), AFTER_TWO + 1, "leaves nothing", "longer"),
        (two("[deploy]\nstrategy = \"blue-green\""), AFTER_TWO + 1, "by the proxy", "nginx"),
        (two("[instances.red]\nEnvironment.PORT = \"3\"\n[deploy]\nstrategy = \"blue-green\"\nproxy = \"nginx\""), AFTER_TWO + 3, "there are 3", "rolling"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \" \""), AFTER_TWO + 2, "it is empty", "200ms"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http:///x\""), AFTER_TWO + 2, "names no host", "127.0.0.1"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http://a/ whithin 1s\""), AFTER_TWO + 2, "is no bound", "within"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http://a/ within soon\""), AFTER_TWO + 2, "time span \"soon\"", "200ms"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http://a/ within 5m\""), AFTER_TWO + 2, "out of range", "60s"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http://a/ status 399-200\""), AFTER_TWO + 2, "neither a status", "200-399"),
        (two("[deploy]\nstrategy = \"rolling\"\ncheck = \"http://a:{env.ADMIN}/\""), AFTER_TWO + 2, "is set nowhere", "ADMIN"),
        (two("[deploy]\nstrategy = \"rolling\"\nproxy = \"nginx\"\nserver = \"a:{env.ADMIN}\""), AFTER_TWO + 3, "is set nowhere", "ADMIN"),
        (two("[deploy]\nstrategy = \"rolling\"\nproxy = \"nginx\"\nserver = \"a:1\""), AFTER_TWO + 3, "blue and green have the same address", "instances.blue"),
        (one_port("", "[deploy]\nstrategy = \"blue-green\"\nproxy = \"nginx\""), NEXT + 8, "have the same address, 127.0.0.1:3000", "a port of its own"),
        (two("[deploy]\nstrategy = \"blue-green\"\nproxy = \"nginx\"").replace("Environment.PORT", "Environment.OTHER"), AFTER_TWO + 2, "{env.PORT} is set nowhere", "Environment.PORT"),
        (one_port("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/\"", ""), NEXT + 4, "have the same health check", "a port of its own"),
        (written_out("recreate"), NEXT + 3, "have the same health check, http://127.0.0.1:3000/", "a port of its own"),
        (written_out("rolling"), NEXT + 3, "have the same health check", "{env.PORT}"),
        (written_out("canary"), NEXT + 3, "have the same health check", "{env.PORT}"),
        (written_out("blue-green"), NEXT + 3, "have the same health check", "{env.PORT}"),
        (plus("[units.\"acme@.service\"]\nService.ExecStart = \"bin/acme\"\nService.TimeoutStopSec = \"10s\"\nX-Relpack.Drain = \"20s\""), NEXT + 3, "does not end before TimeoutStopSec=10s", "25s"),
        (plus("[deploy]\nsoak = \"5s\""), NEXT + 1, "means nothing", "canary"),
        (plus("[instances.\"a/b\"]"), NEXT, "instance name", "letters"),
        (plus("[instances.blue]\nEnvironment.PORT = \"1\""), NEXT, "there is no acme@.service", "rename"),
        (plus("[deploy]\nstrategy = \"recraete\""), NEXT + 1, "is not a strategy", "did you mean \"recreate\""),
        (plus("[deploy]\ntimeout = \"soon\""), NEXT + 1, "time span \"soon\"", "30s"),
        (plus("[deploy]\ntimeout = 0"), NEXT + 1, "out of range", "from 1 s"),
        (plus("[deploy]\ntimeout = \"infinity\""), NEXT + 1, "has no end", "10min"),
        (plus("[deploy]\nhealth_timeout = \"20m\""), NEXT + 1, "leaves nothing", "longer"),
        (migrate("exec = \"bin/migrate\"\nlike = \"acme-web.service\""), NEXT + 4, "not a service of this package", ""),
        (migrate("exec = \"bin/migrate\"\nlike = \"acmee.service\""), NEXT + 4, "not a service of this package", "\"acme.service\""),
        (migrate("exec = \" \""), NEXT + 3, "the command is empty", "remove [migrate]"),
        (migrate("like = \"acme.service\""), NEXT + 2, "needs the key \"exec\"", "bin/migrate"),
        (migrate("exec = \"bin/migrate\"\ntimeout = \"10m\""), NEXT + 4, "leaves nothing", "[deploy]"),
    ]);
}
