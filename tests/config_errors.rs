//! What a person sees of a wrong `relpack.toml`: place, message and hint of each mistake, all at once.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};
use relpack::config::{self, Config, Diagnostics, Overrides, Problem};

const GOLDEN: &str = "tests/golden/config";

const BASE: &str = "\
[package]
name = \"acme\"
maintainer = \"Acme Ops <ops@acme.example>\"
description = \"Acme web app\"
[release]
source = \"build\"
";
/// The line after the base.
const NEXT: usize = 7;

fn load(text: impl AsRef<[u8]>) -> Result<Config, Diagnostics> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    fs::write(&file, text).unwrap();
    config::load(&file, Overrides::default())
}

fn handler() -> GraphicalReportHandler {
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100)
}

/// The base with the line that starts with `key` replaced.
fn with(key: &str, line: &str) -> String {
    assert!(BASE.lines().any(|old| old.starts_with(key)), "{key}");
    BASE.lines()
        .map(|old| if old.starts_with(key) { line } else { old })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The base with a further line of `[package]`, as line 5.
fn package(line: &str) -> String {
    with("description", &format!("description = \"Acme web app\"\n{line}"))
}

/// The base and more, from line 7 on.
fn plus(more: &str) -> String {
    format!("{BASE}{more}\n")
}

/// The base with a unit: its table on line 7, `line` on line 8.
fn unit(line: &str) -> String {
    plus(&format!(
        "[units.\"acme.service\"]\n{line}\nService.ExecStart = \"bin/acme\""
    ))
}

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

fn errors(result: &Result<Config, Diagnostics>) -> Vec<&Problem> {
    match result {
        Ok(_) => Vec::new(),
        Err(problems) => problems.problems().iter().collect(),
    }
}

#[track_caller]
fn check(cases: &[(String, usize, &str, &str)]) {
    let mut wrong = String::new();
    for (text, line, message, hint) in cases {
        let result = load(text);
        let errors = errors(&result);
        let fits = match errors.as_slice() {
            [one] => {
                one.position().map(|p| p.0) == Some(*line)
                    && one.message().contains(message)
                    && one.hint().is_some_and(|h| h.contains(hint))
            }
            _ => false,
        };
        if !fits {
            wrong.push_str(&format!(
                "\n── expected line {line}: {message:?}, hint {hint:?} of\n{text}── found {}\n",
                match &result {
                    Ok(_) => "no error".to_owned(),
                    Err(e) => e.render(&handler()),
                }
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_base_is_good() {
    let config = load(BASE).unwrap();
    assert_eq!(config.release.prefix.as_str(), "/opt/acme");
    assert_eq!(config.release.keep, 5);
    assert_eq!(config.user.name.as_str(), "acme");
    assert_eq!(config.user.home.as_str(), "/opt/acme/shared");
    assert_eq!(config.env.file.as_str(), "/opt/acme/shared/env");
    assert!(!config.env.present);
    assert_eq!(config.deploy.timeout.get(), 600);
    assert_eq!(config.package.version, None);
    assert_eq!(config.warnings.len(), 1, "no units is worth a word");
}

#[test]
#[rustfmt::skip]
fn bad_package() {
    check(&[
        (with("name", ""), 1, "needs the key \"name\"", "name = "),
        (with("maintainer", ""), 1, "needs the key \"maintainer\"", "<ops@"),
        (with("description", ""), 1, "needs the key \"description\"", "description ="),
        (with("name", "name = \"Acme\""), 2, "contains 'A'", "\"acme\""),
        (with("name", "name = \"a\""), 2, "shorter than two", "lower-case"),
        (with("name", "name = 5"), 2, "expected a string, found a number", "\"5\""),
        (with("name", "name = [\"acme\"]"), 2, "expected a string, found a list", "not a list"),
        (with("name", "name = \"acme\\nEssential: yes\""), 2, "package.name: a line break", "one line"),
        (with("maintainer", "maintainer = \"Acme\""), 3, "no address in < >", "Acme Ops <"),
        (with("maintainer", "maintainer = \"A <a@b>\\nDepends: evil\""), 3, "a line break", "one line"),
        (with("maintainer", "maintainer = \"A \\u001b[31m <a@b>\""), 3, "control character", "one line"),
        (with("description", "description = \"\""), 4, "the first line is empty", "few words"),
        (with("description", &format!("description = \"{}\"", "x".repeat(81))), 4, "81 characters", "80 characters"),
        (with("description", "description = \"a\\r\\nb\""), 4, "a line break", "LF"),
        (with("description", "description = \"a\\n.b\""), 4, "starts with a dot", "another character"),
        (package("version = \"v1.0\""), 5, "\"v1.0\"", "1.0"),
        (package("version = \"1_0;rm\""), 5, "\"1_0;rm\"", ""),
        (package("version = 1.4"), 5, "expected a string", "\"1.4\""),
        (package("version = \"git\""), 5, "no git checkout", "write the version"),
        (package("depnds = []"), 5, "unknown key \"depnds\" in [package]", "\"depends\""),
        (package("zzz = 1"), 5, "unknown key \"zzz\"", "knows: architecture"),
        (package("depends = \"nodejs\""), 5, "expected a list of strings", "depends = [\"nodejs\"]"),
        (package("depends = [18]"), 5, "found a number", "\"18\""),
        (package("depends = [\"nodejs >= 18\"]"), 5, "version bound in parentheses", "nodejs (>= 18)"),
        (package("depends = [\"a1, b1\"]"), 5, "several relations", "[\"a1\", \"b1\"]"),
        (package("depends = [\"a1\\nEssential: yes\"]"), 5, "a line break", "one line"),
        (package("depends = [\"nodejs\", \"nodejs\"]"), 5, "is given twice", "remove"),
        (package("depends = [\"acme (>= 1)\"]"), 5, "this package itself", "remove"),
        (package("conflicts = [\"a1 | b1\"]"), 5, "alternatives", "entries of the list"),
        (package("provides = [\"a1 (>= 2)\"]"), 5, "provides a range", "\"=\""),
        (package("architecture = \"x86_64\""), 5, "\"x86_64\"", "amd64"),
        (package("architecture = \"any\""), 5, "\"any\"", "leave it out"),
        (package("section = \"Web Apps\""), 5, "not a section", "\"web\""),
        (package("priority = \"extra\""), 5, "not a priority", "optional"),
        (package("homepage = \"acme.example\""), 5, "not a web address", "https://"),
        (package("license = \" \""), 5, "the text is empty", "remove"),
        (package("purge_shared = \"yes\""), 5, "expected true or false", "write true"),
    ]);
}

#[test]
#[rustfmt::skip]
fn bad_places() {
    check(&[
        (with("source", ""), 5, "needs the key \"source\"", "\"build\""),
        (with("source", "source = \"\""), 6, "the path is empty", "relative to this file"),
        (plus("prefix = \"/usr/lib/acme\""), NEXT, "place of the system", "/opt/acme"),
        (plus("prefix = \"/opt\""), NEXT, "place of the system", "/opt/acme"),
        (plus("prefix = \"/opt/../etc\""), NEXT, "contains \"..\"", "without '.'"),
        (plus("prefix = \"opt/acme\""), NEXT, "not absolute", "/"),
        (plus("prefix = \"/opt/a c\""), NEXT, "misread", "letters"),
        (plus("prefix = \"/opt/acme/%i\""), NEXT, "misread", "letters"),
        (plus("keep = 1"), NEXT, "out of range", "from 2"),
        (plus("keep = \"5\""), NEXT, "expected a whole number", "without quotes"),
        (plus("compression_level = 22"), NEXT, "out of range", "1 to 19"),
        (plus("exclude = [\"a[b\"]"), NEXT, "is not a valid glob", "[[]"),
        (plus("exclude = [\"../x\"]"), NEXT, "holds \".\" or \"..\"", "relative"),
        (plus("exclude = [\"/x\"]"), NEXT, "is absolute", "relative"),
        (plus("units = \"none\""), NEXT, "cannot read the directory", "relative to this file"),
        (plus("[user]\nname = \"a b\""), NEXT + 1, "user name \"a b\"", "letters"),
        (plus("[user]\nname = \"root\""), NEXT + 1, "exists on every host", "create = false"),
        (plus("[user]\nhome = \"home\""), NEXT + 1, "not absolute", "{shared}/home"),
        (plus("[user]\nhome = \"{sharde}/x\""), NEXT + 1, "unknown placeholder", "{shared}"),
        (plus("[directories]\n\"../x\" = {}"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[directories]\n\"/etc\" = {}"), NEXT + 1, "not this package's own", "/var/lib/acme"),
        (plus("[directories]\n\"/var/lib/dpkg\" = {}"), NEXT + 1, "not this package's own", "/var/lib/acme"),
        (plus("[directories]\n\"/opt/acme/releases/x\" = {}"), NEXT + 1, "belongs to the releases", "uploads"),
        (plus("[directories]\n\"/run/acme\" = {}"), NEXT + 1, "gone after a reboot", "RuntimeDirectory"),
        (plus("[directories]\n\"{shared}\" = {}"), NEXT + 1, "stays root's", "below it"),
        (plus("[directories]\nuploads = { mode = \"4755\" }"), NEXT + 1, "setuid", "0750"),
        (plus("[directories]\nuploads = { mode = \"0777\" }"), NEXT + 1, "everybody write", "0750"),
        (plus("[directories]\nuploads = { mode = \"rwx\" }"), NEXT + 1, "is not a mode", "octal"),
        (plus("[directories]\nuploads = { mode = 750 }"), NEXT + 1, "expected a string", "\"0750\""),
        (plus("[directories]\nuploads = { owner = \"x\" }"), NEXT + 1, "unknown key \"owner\"", "user"),
        (plus("[directories]\nuploads = \"0750\""), NEXT + 1, "expected a table", "table"),
        (plus("[directories]\nuploads = {}\n\"{shared}/uploads\" = {}"), NEXT + 2, "is given twice", "remove"),
        (plus("[env]\nrequired = [\"A-B\"]"), NEXT + 1, "environment variable name", "letters"),
        (plus("[env]\nrequired = [\"A\", \"A\"]"), NEXT + 1, "is given twice", "remove"),
        (plus("[env]\nfile = \"/etc/passwd\""), NEXT + 1, "not this package's own file", "/etc/default/acme"),
        (plus("[shared]\nlinks = { \"../x\" = \"x\" }"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[shared]\nlinks = { \"x\" = \"/etc\" }"), NEXT + 1, "is absolute", "relative"),
        (plus("[shared]\nlinks = { \"a\" = \"x\", \"a/b\" = \"y\" }"), NEXT + 1, "lies in the link \"a\"", "outer"),
        (plus("[shared]\nlink = {}"), NEXT + 1, "unknown key \"link\"", "\"links\""),
        (plus("[files]\n\"/etc/acme/a\" = {}"), NEXT + 1, "needs the key \"source\"", "deploy/acme.ini"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \"none\" }"), NEXT + 1, "cannot read", "relative to this one"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \".\" }"), NEXT + 1, "not a regular file", "relative to this one"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \"relpack.toml\", mode = \"4755\" }"), NEXT + 1, "is not the mode", "0640"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \"relpack.toml\", sorce = 1 }"), NEXT + 1, "unknown key \"sorce\"", "source"),
        (plus("[files]\n\"/etc/acme/../passwd\" = { source = \"relpack.toml\" }"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[files]\n\"etc/acme/a\" = { source = \"relpack.toml\" }"), NEXT + 1, "not absolute", "/"),
        (plus("[files]\n\"/etc/acme/a b\" = { source = \"relpack.toml\" }"), NEXT + 1, "misread", "letters"),
        (plus("[files]\n\"/etc/passwd\" = { source = \"relpack.toml\" }"), NEXT + 1, "not this package's own", "/etc/acme/acme.ini"),
        (plus("[files]\n\"/opt/acme/app/a\" = { source = \"relpack.toml\" }"), NEXT + 1, "only files below /etc", "into the release"),
        (plus("[files]\n\"/etc/acme/a\" = { link = \"current/a\" }"), NEXT + 1, "can't be a configuration file", "below /usr"),
        (plus("[files]\n\"/bin/acme\" = { link = \"current/a\" }"), NEXT + 1, "/bin is itself a link", "/usr/bin/acme"),
        (plus("[files]\n\"/lib64/a/b\" = { link = \"current/a\" }"), NEXT + 1, "/lib64 is itself a link", "/usr/lib64/a/b"),
        (plus("[files]\n\"/opt/acme/bin/a\" = { link = \"current/a\" }"), NEXT + 1, "links lie below /usr", "/usr/bin/acme"),
        (plus("[files]\n\"/usr/bin\" = { link = \"current/a\" }"), NEXT + 1, "links lie below /usr", "/usr/bin/acme"),
        (plus("[files]\n\"/usr/local/bin/a\" = { link = \"current/a\" }"), NEXT + 1, "the admin's own", "/usr/bin/acme"),
        (plus("[files]\n\"/usr/bin/../../etc/a\" = { link = \"current/a\" }"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[files]\n\"/usr/bin/a b\" = { link = \"current/a\" }"), NEXT + 1, "misread", "letters"),
        (plus("[files]\n\"/usr/lib/systemd/system/x.service\" = { link = \"current/a\" }"), NEXT + 1, "not for a package's links", "release.units"),
        (plus("[files]\n\"/usr/bin/acme-release\" = { link = \"current/a\" }"), NEXT + 1, "a file of relpack's", "another name"),
        (plus("[files]\n\"/usr/share/doc\" = { link = \"current/a\" }"), NEXT + 1, "a file of relpack's", "another name"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"current/../../etc/passwd\" }"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"../a\" }"), NEXT + 1, "neither in the release nor absolute", "current/"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"bin/a\" }"), NEXT + 1, "neither in the release nor absolute", "current/"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"{app}/bin/a\" }"), NEXT + 1, "only inside of a unit", "current/"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"/opt/acme/releases/x/a\" }"), NEXT + 1, "changes with each release", "current/"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"/tmp/a\" }"), NEXT + 1, "can rely on nothing", "current/"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"/bin/sh\" }"), NEXT + 1, "goes through a link", "/usr/bin/sh"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"/usr/bin/a\" }"), NEXT + 1, "leads to itself", "name what"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"current/.relpack/settings\" }"), NEXT + 1, "relpack's own", "another path"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"current/a\", mode = \"0755\" }"), NEXT + 1, "a link has no mode", "one of the two"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"current/a\", source = \"a\" }"), NEXT + 1, "a link has no source", "one of the two"),
        (plus("[files]\n\"/usr/bin/a\" = { link = \"current/a\", conffile = true }"), NEXT + 1, "a link has no conffile", "one of the two"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \"relpack.toml\", conffile = \"no\" }"), NEXT + 1, "expected true or false", "write false"),
        (plus("[files]\n\"/usr/share/a/b\" = { link = \"current/a\" }\n\"/usr/share/a\" = { link = \"current/a\" }"), NEXT + 2, "lies in the link", "outer one"),
        (plus("[files]\n\"/etc/relpack/acme.conf\" = { source = \"relpack.toml\" }"), NEXT + 1, "not for a package's files", "facts"),
        (plus("[files]\n\"/etc/systemd/system/acme.service\" = { source = \"relpack.toml\" }"), NEXT + 1, "not for a package's files", "release.units"),
        (plus("[env]\nfile = \"/etc/acme/env\"\n[files]\n\"/etc/acme/env\" = { source = \"relpack.toml\" }"), NEXT + 3, "the environment file", "another name"),
        (plus("[secrets]\nallow = { \"a.pem\" = \"\" }"), NEXT + 1, "secrets.allow.\"a.pem\": the reason is empty", "why everybody"),
        (plus("[secrets]\nallow = { \"../a.pem\" = \"x\" }"), NEXT + 1, "contains \"..\"", "without '.'"),
        (plus("[secrets]\nallow = { \"a.pem\" = true }"), NEXT + 1, "expected a string", "\"true\""),
        (plus("[secrets]\nallow = [\"a.pem\"]"), NEXT + 1, "expected a table", "allow = { \"a.pem\" = \"why\" }"),
        (plus("[lints]\nallow = [\"service-as-root\"]"), NEXT + 1, "expected a table", "allow = { \"service-as-root\" = \"why\" }"),
        (plus("[lints]\nallow = []"), NEXT + 1, "expected a table", "allow = { \"…\" = \"why\" }"),
        (plus("[shared]\nlinks = [\"a\"]"), NEXT + 1, "expected a table", "give a table"),
        (plus("[files]\n\"/etc/acme/a\" = { source = \"relpack.toml\", mode = 0644 }"), NEXT + 1, "leading zero", "put it in quotes: \"0644\""),
        (plus("[lock]\noptional = { \"libx.so.1\" = \" \" }"), NEXT + 1, "lock.optional.\"libx.so.1\": the reason is empty", "do without it"),
        (plus("[lock]\noptional = { \"/usr/lib/libx.so.1\" = \"x\" }"), NEXT + 1, "is not the name of a library", "libfoo.so.1"),
        (plus("[lock]\noptional = [\"libx.so.1\"]"), NEXT + 1, "expected a table", "optional = { \"libx.so.1\" = \"why\" }"),
        (plus("[secrets]\nalow = {}"), NEXT + 1, "unknown key \"alow\"", "\"allow\""),
        (plus("[releese]\nsource = \"x\""), NEXT, "unknown table or key \"releese\"", "\"release\""),
    ]);
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

#[test]
#[rustfmt::skip]
fn bad_units() {
    check(&[
        (unit("ExecStart = \"x\""), NEXT + 1, "outside of a section", "Service.ExecStart"),
        (unit("Service.Exec Start = \"x\""), NEXT + 1, "TOML:", "quotes"),
        (unit("Service.\"User\\nGroup\" = \"x\""), NEXT + 1, "not the name of a directive", "letters"),
        (unit("Service.ProtectSystem = \"strct\""), NEXT + 1, "ProtectSystem=strct is not known, and systemd would ignore", "did you mean \"strict\"? It is one of true, false"),
        (unit("Service.Type = \"Notify\""), NEXT + 1, "Type=Notify is not known", "did you mean \"notify\""),
        (unit("Service.Restart = true"), NEXT + 1, "Restart=yes is not known", "one of no, on-success"),
        (unit("Service.KillSignal = \"SIGTREM\""), NEXT + 1, "KillSignal=SIGTREM is not known", "SIGTERM"),
        (unit("Unit.CollectMode = \"never\""), NEXT + 1, "CollectMode=never is not known", "inactive-or-failed"),
        (unit("Service.UMask = 0o027"), NEXT + 1, "TOML's", "quotes"),
        (unit("Service.MemoryMax = inf"), NEXT + 1, "TOML's", "infinity"),
        (unit("Service.Nice = { a = 1 }"), NEXT + 1, "found a table", "Environment"),
        (unit("Unit.After = []"), NEXT + 1, "the list is empty", "After = \"\""),
        (unit("Unit.After = [[\"a\"]]"), NEXT + 1, "found a list", "not a list"),
        (unit("Service.User = \"a\\nExecStartPre=/bin/evil\""), NEXT + 1, "a line break", "one line"),
        (unit("Service.Environment.\"A B\" = \"x\""), NEXT + 1, "environment variable name", "letters"),
        (unit("Service.Environment.A = \"x\\ny\""), NEXT + 1, "a line break", "one line"),
        (unit("Service.Usr = \"x\""), NEXT + 1, "Usr", "User"),
        (unit("Serivce.User = \"x\""), NEXT + 1, "Serivce", "Service"),
        (unit("X-Relpack.Helth = \"exec:bin/x\""), NEXT + 1, "Helth", "Health"),
        (unit("X-Relpack.OnUpgrade = \"reboot\""), NEXT + 1, "reboot", "restart"),
        (unit("Unit.RefuseManualStop = true"), NEXT + 1, "can't restart", "OnUpgrade"),
        (unit("X-Relpack.Drain = \"long\""), NEXT + 1, "long", "30s"),
        (unit("X-Relpack.Trial = \"127.0.0.1:3001\""), NEXT + 1, "has no socket unit", "acme.socket"),
        (plus("[units.\"acme.socket\"]\nSocket.ListenStream = \"3000\"\n[units.\"acme.service\"]\nService.ExecStart = \"bin/acme\"\nX-Relpack.Health = \"http://127.0.0.1:3000/\"\nX-Relpack.Trial = \"127.0.0.1:3001\"\n[deploy]\nsettle = \"40s\"\ntimeout = \"70s\""), NEXT + 8, "settle 2 × 40 s", "longer than 80s"),
        (unit("X-Relpack.Trial = \"10.0.0.1:3001\""), NEXT + 1, "open to others", "127.0.0.1:3001"),
        (unit("X-Relpack.Health = \"ftp://x\""), NEXT + 1, "neither http", "http"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{port}/\""), NEXT + 1, "{port}", "{env.PORT}"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{env.PORT/x\""), NEXT + 1, "{env.PORT", "{env.PORT}"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:3000/a}b\""), NEXT + 1, "}b", "%7D"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:99999/\""), NEXT + 1, "port \"99999\"", "65535"),
        (unit("X-Relpack.Health = \"http://[::1]:99999/\""), NEXT + 1, "port \"99999\"", "65535"),
        (unit("X-Relpack.HealthTimeout = \"0\""), NEXT + 1, "out of range", "1 s to 1 day"),
        (unit("X-Relpack.HealthTimeout = \"2d\""), NEXT + 1, "out of range", "1 s to 1 day"),
        (
            unit("X-Relpack.HealthTimeout = \"10min\""),
            NEXT + 1,
            "600 s leave nothing of deploy.timeout (600 s)",
            "make it longer",
        ),
        (unit("Service.EnvironmentFile = \"shared/env\""), NEXT + 1, "not absolute", "write \"{shared}/env\""),
        // What follows from a mistake is not told besides.
        (plus("[units.\"acme.service\"]\nService.ExecStart = \"bin/acme {env.PORT}\""), NEXT + 1, "outside of Health", "${PORT}"),
        (plus("[units.\"acme-x.service\"]\nService.Type = \"oneshot\"\nService.ExecStart = \"bin/x\"\n[units.\"acme-x.timer\"]\nTimer.OnCalender = \"daily\""), NEXT + 4, "OnCalender", "OnCalendar"),
        (BASE.replace("[release]", "[relase]"), 5, "relase", "release"),
        (unit("X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/\""), NEXT + 1, "PORT", "Environment"),
        (unit("Service.Environment = \"A=@RELPACK_RELEASE@\""), NEXT + 1, "@RELPACK_", ""),
        (plus("[units.\"ssh.service\"]\nService.ExecStart = \"bin/x\""), NEXT, "ssh.service", "acme"),
        (plus("[units.acme]\nService.ExecStart = \"bin/x\""), NEXT, "no unit suffix", ".service"),
        (plus("[units.\"acme.service\"]"), NEXT, "starts nothing", "ExecStart"),
        (plus("[units]\n\"acme.service\" = \"x\""), NEXT + 1, "expected a table", "table"),
        (plus("[defaults]\npreset = \"nodejs\""), NEXT + 1, "nodejs", "node"),
        (plus("[defaults]\nService.Usr = \"x\""), NEXT + 1, "Usr", "User"),
    ]);
}

#[test]
fn the_example_of_the_design_is_accepted_as_it_is() {
    let config = config::load(&Path::new(GOLDEN).join("example.toml"), Overrides::default())
        .unwrap_or_else(|e| panic!("{}", e.render(&handler())));
    assert_eq!(config.package.version.unwrap().as_str(), "1.4.0");
    assert_eq!(config.package.depends, ["nodejs (>= 18)"]);
    assert!(config.release.source.is_absolute());
    assert!(config.release.source.ends_with("tests/golden/config/build"));
    assert!(config.env.present);
    let migrate = config.migrate.unwrap();
    assert_eq!((migrate.exec.as_str(), migrate.timeout.get()), ("bin/migrate up", 300));
    assert_eq!(config.shared.links.values().collect::<Vec<_>>(), ["uploads"]);
    let names: Vec<_> = config.units.iter().map(|u| u.name.as_str()).collect();
    for name in [
        "acme.service",
        "acme-backup.service",
        "acme-backup.timer",
        "acme-migrate.service",
        "acme-first-start.service",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let unit = |name: &str| config.units.iter().find(|u| u.name.as_str() == name).unwrap();
    let main = &unit("acme.service").file;
    assert_eq!(main.get_list("Unit", "Wants"), ["network-online.target"]);
    assert_eq!(main.get("Service", "EnvironmentFile"), Some("/opt/acme/shared/env"));
    assert!(main.get_list("Service", "Environment").contains(&"\"PORT=3000\""));
    assert_eq!(unit("acme-backup.timer").file.get("Timer", "Persistent"), Some("yes"));
    assert!(
        config.warnings.is_empty(),
        "{}",
        config::render(&config.warnings, &handler())
    );
}

#[test]
fn ready_made_units_are_taken_and_their_mistakes_shown_in_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    let units = dir.path().join("deploy");
    fs::create_dir_all(units.join("acme.service.d")).unwrap();
    fs::write(
        units.join("acme.service.d/10-x.conf"),
        "[Service]\nEnvironment=AT={app}\nExecStartPre=bin/before\n",
    )
    .unwrap();
    fs::write(units.join("README"), "no unit").unwrap();
    fs::write(&file, plus("units = \"deploy\"")).unwrap();
    let load = || config::load(&file, Overrides::default());

    let text = "[Unit]\nDescription=Acme\n\n[Service]\nExecStart=bin/acme \\\n  --port 1\n";
    fs::write(units.join("acme.service"), text).unwrap();
    let config = load().unwrap();
    assert_eq!(config.units[0].name.as_str(), "acme.service");
    assert_eq!(config.units[0].file.get("Unit", "Description"), Some("Acme"));
    let start = config.units[0].file.get("Service", "ExecStart").unwrap();
    assert!(start.starts_with("/opt/acme/app/bin/acme ") && start.ends_with("--port 1"));
    assert!(config.warnings.is_empty());
    let [drop_in] = config.drop_ins.as_slice() else {
        panic!("{:?}", config.drop_ins);
    };
    assert_eq!(drop_in.path(), "acme.service.d/10-x.conf");
    assert_eq!(
        drop_in.file.render(),
        "[Service]\nEnvironment=AT=/opt/acme/app\nExecStartPre=/opt/acme/app/bin/before\n\n[X-Relpack]\nPackage=acme\n"
    );

    let refused = |bytes: &[u8], line: usize, message: &str| {
        fs::write(units.join("acme.service"), bytes).unwrap();
        let error = load().unwrap_err();
        let shown = error.render(&handler());
        assert_eq!(error.problems().len(), 1, "{shown}");
        assert!(error.problems()[0].message().contains(message), "{shown}");
        assert_eq!(error.problems()[0].position().unwrap().0, line, "{shown}");
        error.problems()[0].file().to_owned()
    };
    let at = refused(b"[Service]\nExecStart=bin/a\nUsr=x\n", 3, "Usr");
    assert_eq!(at, units.join("acme.service"));
    refused(b"[Service]\nExecStart=bin/a\nUser=@RELPACK_RELEASE@\n", 3, "@RELPACK_");
    refused(b"[Service]\nnonsense\nExecStart=bin/a\n", 2, "nonsense");
    refused(b"[Service]\nExecStart=bin/\xe9\n", NEXT, "not UTF-8 in line 2");
    refused(&[b'#'; 300_000], NEXT, "larger than 256 KiB");
}

#[test]
fn drop_ins_are_for_units_of_the_package() {
    let refused = |path: &str, text: &str, line: usize, message: &str, hint: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relpack.toml");
        let drop_in = dir.path().join("deploy").join(path);
        fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
        fs::write(&file, plus("units = \"deploy\"")).unwrap();
        fs::write(
            dir.path().join("deploy/acme@.service"),
            "[Service]\nExecStart=bin/acme %i\n",
        )
        .unwrap();
        fs::write(&drop_in, text).unwrap();
        let result = config::load(&file, Overrides::default());
        let errors = errors(&result);
        assert_eq!(errors.len(), 1, "{path}: {errors:?}");
        assert!(errors[0].message().contains(message), "{path}: {}", errors[0].message());
        assert!(
            errors[0].hint().unwrap_or_default().contains(hint),
            "{path}: {:?}",
            errors[0].hint()
        );
        assert_eq!(
            errors[0].position().map(|p| p.0),
            Some(line),
            "{path}: {}",
            errors[0].message()
        );
    };
    let good = "[Service]\nNice=5\n";
    refused(
        "nginx.service.d/10-x.conf",
        good,
        1,
        "nginx.service is not a unit of this package",
        "admin's",
    );
    refused(
        "acme.service.d/10-x.conf",
        good,
        1,
        "acme.service is not a unit of this package",
        "admin's",
    );
    refused("acme.d/10-x.conf", good, NEXT, "acme", "");
    refused("acme@a.service.d/10-x", good, NEXT, "is no drop-in", ".conf");
    refused("acme@a.service.d/1 x.conf", good, NEXT, "is no drop-in", "letters");
    refused("acme@a.service.d/10-x.conf", "[Service]\nNcie=5\n", 2, "Ncie", "Nice");
    refused(
        "acme@a.service.d/10-x.conf",
        "[X-Relpack]\nOnUpgrade=none\n",
        2,
        "can't hold [X-Relpack]",
        "unit itself",
    );
    refused(
        "acme@a.service.d/10-x.conf",
        "[Install]\nWantedBy=a.target\n",
        2,
        "can't hold [Install]",
        "unit itself",
    );
    refused(
        "acme@a.service.d/10-x.conf",
        "[Service]\nBindReadOnlyPaths=\n",
        2,
        "the mount of the release",
        "remove",
    );
}

#[test]
fn the_command_line_overrides_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    for line in ["version = \"1.0\"", "version = \"git\"", ""] {
        fs::write(&file, package(line)).unwrap();
        let overrides = Overrides {
            version: Some("2.0".parse().unwrap()),
            ..Overrides::default()
        };
        let config = config::load(&file, overrides).unwrap();
        assert_eq!(config.package.version.unwrap().as_str(), "2.0");
    }
}

#[test]
fn files_that_are_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let missing = config::load(&dir.path().join("relpack.toml"), Overrides::default()).unwrap_err();
    assert!(missing.problems()[0].hint().unwrap().contains("--config"));
    assert!(!missing.is_environment());
    let directory = config::load(dir.path(), Overrides::default()).unwrap_err();
    assert!(directory.problems()[0].message().contains("not a regular file"));
    for (bytes, message) in [
        (&b"\xef\xbb\xbf[package]"[..], "byte order mark"),
        (b"\xff\xfe[\0p\0", "UTF-16"),
        (b"# \xe9t\xe9\n", "not UTF-8"),
        (b"a = \"\0\"", "TOML"),
        (&[b'#'; 1024 * 1024 + 1], "larger than 1 MiB"),
    ] {
        let error = load(bytes).err().unwrap();
        assert!(
            error.problems()[0].message().contains(message),
            "{}",
            error.render(&handler())
        );
        assert!(error.problems()[0].hint().is_some());
    }
    let latin1 = load(b"[package]\nname = \"caf\xe9\"\n").unwrap_err();
    assert_eq!(latin1.problems()[0].position(), Some((2, 12)));
}

#[test]
fn messages_carry_no_escape_sequences() {
    let error = load("# \u{1b}]0;owned\u{7}\n\u{9b}31m = 1\n[package]\nname = \"\\u001b[31m\"\n").unwrap_err();
    let shown = error.render(&handler());
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn json_has_the_same_in_fields() {
    let error = load(with("name", "name = \"acme\"\n\"é\" = 1")).unwrap_err();
    let json = error.to_json();
    let entry = &json[0];
    assert_eq!(entry["severity"], "error");
    assert!(entry["file"].as_str().unwrap().ends_with("relpack.toml"));
    assert_eq!((&entry["line"], &entry["column"]), (&3.into(), &1.into()));
    assert_eq!(entry["message"], "unknown key \"é\" in [package]");
    assert!(entry["hint"].as_str().unwrap().contains("knows"));
    assert_eq!(json.as_array().unwrap().len(), 1);
}

/// Every file of the golden directory: what is shown of it. `RELPACK_BLESS=1` writes what is shown now.
#[test]
fn golden() {
    let mut cases: Vec<PathBuf> = fs::read_dir(GOLDEN)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .filter(|path| !path.ends_with("example.toml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let shown = match config::load(&case, Overrides::default()) {
            Ok(config) => config::render(&config.warnings, &handler()),
            Err(error) => error.render(&handler()),
        };
        let shown: String = shown.lines().map(|l| format!("{}\n", l.trim_end())).collect();
        let golden = case.with_extension("txt");
        if std::env::var_os("RELPACK_BLESS").is_some() {
            fs::write(&golden, &shown).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(expected, shown, "{} (RELPACK_BLESS=1 updates it)", golden.display());
    }
}

/// No panic, and something to show, wherever the file ends and whichever byte is wrong.
#[test]
fn damaged_files_never_panic() {
    for name in ["example", "many", "syntax", "units"] {
        let text = fs::read(Path::new(GOLDEN).join(format!("{name}.toml"))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relpack.toml");
        let attempt = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            if let Err(error) = config::load(&file, Overrides::default()) {
                assert!(!error.problems().is_empty());
                assert!(!error.render(&handler()).is_empty());
                assert!(error.to_json().is_array());
            }
        };
        for end in (0..=text.len()).step_by(if name == "example" { 1 } else { 7 }) {
            attempt(&text[..end]);
        }
        for at in 0..text.len() {
            for byte in [b'"', b'[', b'\n', b'=', b'{', b'.', 0xc3, b'#', b'%'] {
                // A few of each: every combination takes minutes.
                if (at + usize::from(byte)) % 61 != 0 {
                    continue;
                }
                let mut bytes = text.clone();
                bytes[at] = byte;
                attempt(&bytes);
            }
        }
    }
}
