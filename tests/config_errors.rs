//! What a person sees of a wrong `relpack.toml`: place, message and hint of each mistake, all at once.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};
use relpack::config::{self, Config, Diagnostics, Overrides, Problem};

const GOLDEN: &str = "tests/golden/config";

pub(crate) const BASE: &str = "\
[package]
name = \"acme\"
maintainer = \"Acme Ops <ops@acme.example>\"
description = \"Acme web app\"
[release]
source = \"build\"
";

/// The line after the base.
pub(crate) const NEXT: usize = 7;

fn load(text: impl AsRef<[u8]>) -> Result<Config, Diagnostics> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    fs::write(&file, text).unwrap();
    config::load(&file, Overrides::default())
}

pub(crate) fn handler() -> GraphicalReportHandler {
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
pub(crate) fn plus(more: &str) -> String {
    format!("{BASE}{more}\n")
}

pub(crate) fn errors(result: &Result<Config, Diagnostics>) -> Vec<&Problem> {
    match result {
        Ok(_) => Vec::new(),
        Err(problems) => problems.problems().iter().collect(),
    }
}

#[track_caller]
pub(crate) fn check(cases: &[(String, usize, &str, &str)]) {
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
