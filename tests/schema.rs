//! `relpack schema` against what `relpack.toml` is read by: no key, word or section is known to one of the two alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{CONFIG, ok, relpack};
use relpack::config::{self, Overrides, Problem};
use serde_json::{Value, json};

const BASE: &str = "[package]\nname = \"acme\"\nversion = \"1\"\nmaintainer = \"A <a@b.example>\"\ndescription = \"x\"\n\
                    [release]\nsource = \"build\"\n[units.\"acme.service\"]\nService.ExecStart = \"bin/acme\"\n";

fn schema() -> Value {
    serde_json::from_str(&ok(relpack().arg("schema"))).unwrap()
}

/// Errors and warnings of a configuration, with their hints.
fn problems(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    fs::write(&file, text).unwrap();
    let shown = |problem: &Problem| format!("{problem} {:?}", problem.hint());
    match config::load(&file, Overrides::default()) {
        Ok(config) => config.warnings.iter().map(shown).collect(),
        Err(found) => found.problems().iter().map(shown).collect(),
    }
}

/// The keys that the reader of a table knows: it lists them where one is like none of them.
fn keys_read(text: &str) -> BTreeSet<String> {
    let found = problems(text);
    let list = found
        .iter()
        .find(|problem| problem.contains("\"qqqqqqqq\""))
        .and_then(|problem| {
            let (_, list) = problem.split_once(" knows: ")?;
            Some(list.trim_end_matches(['"', ')']).to_owned())
        });
    let list = list.unwrap_or_else(|| panic!("{text}: {found:?}"));
    list.split(", ").map(str::to_owned).collect()
}

fn keys_of(object: &Value) -> BTreeSet<String> {
    let properties = object["properties"].as_object();
    properties.into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// In every table: what is read is in the schema, and the other way round.
#[test]
fn every_key_is_known_to_both() {
    let schema = schema();
    let top = keys_read(&format!("qqqqqqqq = 1\n{BASE}"));
    assert_eq!(keys_of(&schema), top);
    // Tables whose keys are names of the user: one such name, and what makes it complete.
    let named = BTreeMap::from([
        ("directories", vec!["uploads"]),
        ("files", vec!["\"/etc/acme/a\"", "\"/usr/bin/a\""]),
        ("completions", vec!["acme"]),
        ("instances", vec!["blue"]),
    ]);
    for table in &top {
        let properties = &schema["properties"][table];
        assert!(properties["description"].is_string(), "{table} has no description");
        let (entry, headers) = match named.get(table.as_str()) {
            Some(names) => (
                &properties["additionalProperties"],
                names.iter().map(|name| format!("{table}.{name}")).collect(),
            ),
            None if matches!(table.as_str(), "units" | "defaults") => continue,
            None => (properties, vec![table.clone()]),
        };
        let mut read = BTreeSet::new();
        for header in headers {
            let link = if header.contains("/usr/") {
                "link = \"current/a\"\n"
            } else {
                ""
            };
            let line = format!("[{header}]\n");
            let more = format!("{line}qqqqqqqq = 1\n{link}");
            let text = if BASE.contains(&line) {
                BASE.replace(&line, &more)
            } else {
                format!("{BASE}{more}")
            };
            read.extend(keys_read(&text));
        }
        assert_eq!(keys_of(entry), read, "[{table}]");
        assert_eq!(entry["additionalProperties"], false, "[{table}]");
        if table == "release" {
            let cargo = keys_read(&BASE.replace("source = \"build\"", "cargo = { qqqqqqqq = 1 }"));
            assert_eq!(keys_of(&entry["properties"]["cargo"]), cargo);
        }
        for (key, value) in entry["properties"].as_object().unwrap() {
            assert!(value["description"].is_string(), "{table}.{key} has no description");
        }
    }
}

/// Sections and deploy keys of units, and of the defaults.
#[test]
fn units_have_the_sections_and_directives_that_are_read() {
    let schema = schema();
    let sections = |kind: &str| keys_of(&schema["properties"]["units"]["patternProperties"][format!("\\.{kind}$")]);
    for (kind, own) in [
        ("service", Some("Service")),
        ("timer", Some("Timer")),
        ("socket", Some("Socket")),
        ("target", None),
    ] {
        let wanted = ["Unit", "Install", "X-Relpack"]
            .into_iter()
            .chain(own)
            .map(str::to_owned)
            .collect();
        assert_eq!(sections(kind), wanted, "{kind}");
    }
    let unknown = |text: &str| problems(&BASE.replace("Service.ExecStart", text)).join("\n");
    assert!(unknown("Timer.OnCalendar = \"daily\"\nService.ExecStart").contains("a service has no section [Timer]"));
    let refused = unknown("X-Relpack.Qqqqqqqq = 1\nService.ExecStart");
    let keys = keys_of(&schema["$defs"]["X-Relpack"]);
    for key in &keys {
        assert!(refused.contains(key.as_str()), "{key}: {refused}");
    }
    assert_eq!(
        refused.split("one of ").nth(1).map(|list| list.split(',').count()),
        Some(keys.len()),
        "{refused}"
    );
    let defaults = ["preset", "Unit", "Service", "X-Relpack"].map(str::to_owned);
    assert_eq!(keys_of(&schema["properties"]["defaults"]), defaults.into());
    let in_defaults = |line: &str| problems(&format!("{BASE}[defaults]\n{line}\n")).join("\n");
    assert!(in_defaults("qqqqqqqq = 1").contains("outside of a section"));
    assert!(in_defaults("Install.Alias = \"x\"").contains("can't have defaults"));
    assert_eq!(
        in_defaults("Unit.After = \"a.service\"\nX-Relpack.HealthTimeout = \"5s\""),
        ""
    );
    for (section, directive) in [
        ("Service", "ExecStart"),
        ("Service", "MemoryMax"),
        ("Unit", "After"),
        ("Timer", "OnCalendar"),
        ("Install", "WantedBy"),
    ] {
        assert!(
            keys_of(&schema["$defs"][section]).contains(directive),
            "{section}.{directive}"
        );
    }
}

/// Each word that the schema lists is read, and another one isn't.
#[test]
fn words_are_those_that_are_read() {
    let schema = schema();
    let mut asked = 0;
    let tables = schema["properties"].as_object().unwrap();
    for (table, keys) in tables {
        for (key, value) in keys["properties"].as_object().into_iter().flatten() {
            let Some(words) = value["enum"].as_array() else {
                continue;
            };
            asked += 1;
            let text = |word: &str| {
                let (line, more) = (format!("[{table}]\n"), format!("[{table}]\n{key} = {word:?}\n"));
                if BASE.contains(&line) {
                    BASE.replace(&line, &more)
                } else {
                    format!("{BASE}{more}")
                }
            };
            // What a word lacks in this configuration is another matter than whether it is known.
            let unknown = |word: &str| {
                let all = problems(&text(word));
                all.iter().any(|said| {
                    said.contains(&format!("{word:?}"))
                        && ["not known", "is not a", "no preset", "Debian", "is no "]
                            .iter()
                            .any(|part| said.contains(part))
                })
            };
            for word in words {
                assert!(
                    !unknown(word.as_str().unwrap()),
                    "{table}.{key} = {word}: {:?}",
                    problems(&text(word.as_str().unwrap()))
                );
            }
            assert!(unknown("qqqqqqqq"), "{table}.{key}: {:?}", problems(&text("qqqqqqqq")));
        }
    }
    assert!(asked >= 8, "{asked}");
}

/// What a validator that knows draft 2020-12 says of documents: for each the first error, or nothing.
fn validate(schema: &Value, documents: &[Value]) -> Vec<Option<String>> {
    const SCRIPT: &str = "
import json, sys
from jsonschema import Draft202012Validator as Validator
given = json.load(sys.stdin)
Validator.check_schema(given['schema'])
validator = Validator(given['schema'])
def first(document):
    found = sorted(validator.iter_errors(document), key=lambda e: list(map(str, e.path)))
    return '/'.join(map(str, found[0].path)) + ': ' + found[0].message[:300] if found else None
json.dump([first(document) for document in given['documents']], sys.stdout)
";
    // A Python that is not Debian's need not have the module.
    let has = |python: &str| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| has(python));
    let mut child = Command::new(python.expect("python3-jsonschema is installed (hint: tests/setup)"))
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({"schema": schema, "documents": documents}).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// TOML as an editor sees it.
fn document(text: &str) -> Option<Value> {
    serde_json::to_value(text.parse::<toml::Table>().ok()?).ok()
}

/// With what a part lacks to be a whole.
fn whole(mut document: Value) -> Value {
    let base = self::document(BASE).unwrap();
    for table in ["package", "release"] {
        for (key, value) in base[table].as_object().unwrap() {
            let instead = key == "source" && !document[table]["cargo"].is_null();
            if document[table][key].is_null() && !instead {
                document[table][key] = value.clone();
            }
        }
    }
    document
}

/// The configurations in the tests' sources, and those of the examples and of `init`.
fn written_ones() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![("CONFIG".to_owned(), CONFIG.to_owned())];
    for path in crate::common::names(&root.join("examples"))
        .into_iter()
        .chain(crate::common::names(&root.join("tests")))
    {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if name.ends_with("relpack.toml") || name.ends_with("example.toml") {
            found.push((name, text));
        } else if name.ends_with(".rs") {
            let raw = text.split("r#\"").skip(1).filter_map(|rest| rest.split("\"#").next());
            found.extend(
                raw.filter(|raw| raw.contains("[package]") && raw.contains("[release]"))
                    .map(|raw| (name.clone(), raw.to_owned())),
            );
        }
    }
    // What the documents show are parts.
    for path in crate::common::names(&root.join("docs"))
        .into_iter()
        .chain([root.join("README.md")])
    {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let parts = text
            .split("```toml")
            .skip(1)
            .filter_map(|rest| rest.split_once('\n')?.1.split("```").next());
        found.extend(parts.map(|part| (path.display().to_string(), part.to_owned())));
    }
    for (runtime, file, text) in [
        ("node", "package.json", "{\"main\": \"server.js\"}"),
        ("static", "index.html", "<p>x</p>"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        crate::common::write(&dir.path().join(file), text, 0o644);
        crate::common::write(&dir.path().join("server.js"), "x", 0o644);
        ok(relpack().args(["init", "--runtime", runtime, "-C"]).arg(dir.path()));
        let text = fs::read_to_string(dir.path().join("relpack.toml")).unwrap();
        found.push((format!("init --runtime {runtime}"), text));
    }
    found
}

#[test]
fn what_is_read_is_valid() {
    let written: Vec<(String, Value)> = written_ones()
        .into_iter()
        .filter_map(|(name, text)| Some((name, whole(document(&text)?))))
        .collect();
    assert!(
        written.len() >= 40,
        "{:?}",
        written.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let documents: Vec<Value> = written.iter().map(|(_, document)| document.clone()).collect();
    for ((name, _), error) in written.iter().zip(validate(&schema(), &documents)) {
        assert_eq!(error, None, "{name}");
    }
}

#[test]
fn typical_mistakes_are_not() {
    let cases: &[(&str, &str, &str)] = &[
        ("name = \"acme\"\n", "", "'name' is a required property"),
        (
            "name = \"acme\"",
            "nmae = \"acme\"\nname = \"acme\"",
            "'nmae' was unexpected",
        ),
        (
            "[release]",
            "[releese]\nsource = \"x\"\n[release]",
            "'releese' was unexpected",
        ),
        ("source = \"build\"", "", "is not valid under any of the given schemas"),
        ("source = \"build\"", "source = 1", "1 is not of type 'string'"),
        (
            "source = \"build\"",
            "source = \"build\"\nkeep = 1",
            "1 is less than the minimum",
        ),
        (
            "source = \"build\"",
            "source = \"build\"\nkeep = \"5\"",
            "'5' is not of type 'integer'",
        ),
        (
            "source = \"build\"",
            "source = \"build\"\nexclude = \"*.map\"",
            "'*.map' is not of type 'array'",
        ),
        (
            "source = \"build\"",
            "source = \"build\"\ncompression = \"bzip2\"",
            "'bzip2' is not one of",
        ),
        (
            "description = \"x\"",
            "description = \"x\"\ntarget = \"stable\"",
            "'stable' is not one of",
        ),
        (
            "description = \"x\"",
            "description = \"x\"\npurge_shared = \"yes\"",
            "'yes' is not of type 'boolean'",
        ),
        (
            "Service.ExecStart",
            "Service.ExceStart = \"a\"\nService.ExecStart",
            "'ExceStart' was unexpected",
        ),
        (
            "Service.ExecStart",
            "Timer.OnCalendar = \"daily\"\nService.ExecStart",
            "'Timer' does not match",
        ),
        (
            "Service.ExecStart",
            "ExecStart = \"a\"\nService.ExecStart",
            "'ExecStart' does not match",
        ),
        (
            "Service.ExecStart",
            "X-Relpack.OnUpgrade = \"never\"\nService.ExecStart",
            "'never' is not one of",
        ),
        ("acme.service", "acme", "'acme' does not match any of the regexes"),
        (
            "[release]",
            "[deploy]\nstrategy = \"bluegreen\"\n[release]",
            "'bluegreen' is not one of",
        ),
        (
            "[release]",
            "[files]\n\"/etc/acme/a\" = { mode = \"0644\" }\n[release]",
            "is not valid under any of the given schemas",
        ),
        (
            "[release]",
            "[lints]\nallow = { \"service-as-rot\" = \"x\" }\n[release]",
            "'service-as-rot' is not one of",
        ),
        ("[release]", "[shared]\nlink = {}\n[release]", "'link' was unexpected"),
    ];
    let documents: Vec<Value> = cases
        .iter()
        .map(|(from, to, _)| {
            assert!(BASE.contains(from), "{from}");
            document(&BASE.replacen(from, to, 1)).unwrap_or_else(|| panic!("{to} is no TOML"))
        })
        .collect();
    for ((_, to, expected), error) in cases.iter().zip(validate(&schema(), &documents)) {
        assert!(
            error.as_deref().is_some_and(|error| error.contains(expected)),
            "{to}: {error:?}"
        );
    }
    assert_eq!(validate(&schema(), &[document(BASE).unwrap()]), [None]);
}
