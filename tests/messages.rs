//! What the scripts say on hosts and docs/operations.md explain each other: no message without its explanation, and none
//! explained that nobody says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Stands for what the shell fills in.
const HOLE: char = '\u{1}';

/// A message of the scripts, with holes, and where it stands.
struct Template {
    at: String,
    pieces: Vec<String>,
}

impl Template {
    /// Nothing where there are hardly any words of its own.
    fn new(at: String, text: &str) -> Option<Template> {
        let letters = text.chars().filter(|c| c.is_ascii_alphabetic()).count();
        let pieces = text.split(HOLE).map(str::to_owned).collect();
        (letters >= 6).then_some(Template { at, pieces })
    }

    fn fits(&self, line: &str) -> bool {
        let (Some((first, rest)), true) = (self.pieces.split_first(), !self.pieces.is_empty()) else {
            return false;
        };
        let Some(mut left) = line.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return left.is_empty();
        };
        for piece in middle {
            let Some(at) = left.find(piece.as_str()) else {
                return false;
            };
            left = &left[at + piece.len()..];
        }
        left.ends_with(last.as_str())
    }
}

/// The shell's double-quoted string that `text` begins with (after its opening quote), expansions as holes.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let hole = |out: &mut String| {
        if !out.ends_with(HOLE) {
            out.push(HOLE);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            '$' => match chars.peek() {
                Some('(') => {
                    // Quotes and parentheses inside come in pairs in our scripts.
                    let mut depth = 0;
                    for inner in chars.by_ref() {
                        depth += i32::from(inner == '(') - i32::from(inner == ')');
                        if depth == 0 {
                            break;
                        }
                    }
                    hole(&mut out);
                }
                Some('{') => {
                    chars.by_ref().find(|inner| *inner == '}');
                    hole(&mut out);
                }
                Some(next) if next.is_ascii_alphabetic() || *next == '_' => {
                    while chars
                        .next_if(|inner| inner.is_ascii_alphanumeric() || *inner == '_')
                        .is_some()
                    {}
                    hole(&mut out);
                }
                Some(_) => {
                    chars.next();
                    hole(&mut out);
                }
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// How a line of the scripts says something to a person, and what surrounds it there.
const SAYING: &[(&str, &str, &str)] = &[
    ("say ", "", ""),
    ("more ", "", ""),
    ("die ", "", ""),
    ("wrong_use ", "", ""),
    ("health_failed ", "", ""),
    ("activation_failed ", "\u{1} was not activated: ", "\u{1}"),
    ("step ", "\u{1} was not activated: ", "\u{1}"),
];

fn templates() -> Vec<Template> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("maintainer-scripts");
    let mut found = Vec::new();
    for directory in [scripts.join("lib"), scripts] {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "sh") {
                continue;
            }
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let at = format!("{file}:{}", number + 1);
                found.extend(
                    said_by(&file, line)
                        .into_iter()
                        .filter_map(|text| Template::new(at.clone(), &text)),
                );
            }
        }
    }
    found
}

fn said_by(file: &str, line: &str) -> Vec<String> {
    let mut texts = Vec::new();
    if line.trim_start().starts_with('#') {
        return texts;
    }
    for (verb, before, after) in SAYING {
        for (at, _) in line.match_indices(verb) {
            let begins = line[..at].chars().next_back().is_none_or(|c| " ;({|&".contains(c));
            // "health_failed UNIT TEXT", "step NAME TEXT FUNCTION": the text is the last that is quoted.
            let arguments = &line[at + verb.len()..];
            let quote = match *verb {
                "health_failed " => arguments.match_indices(" \"").next().map(|(at, _)| at + 1),
                "step " => arguments.find('"'),
                _ => arguments.starts_with('"').then_some(0),
            };
            // That step is only taken with what serves already.
            let before = match line.ends_with(" activation_same \"$1\"") {
                true => "\u{1} is live, but: ",
                false => before,
            };
            if let (true, Some(quote)) = (begins, quote) {
                texts.push(format!("{before}{}{after}", quoted(&arguments[quote + 1..])));
            }
        }
    }
    // A script that has none of the others' functions.
    if let Some(at) = line.find("echo \"relpack: ") {
        texts.push(quoted(&line[at + "echo \"relpack: ".len()..]));
    }
    // What "status" lists as problems, and why a unit is not alive.
    if file == "status.sh" && line.contains("echo \"") && line.contains("hint:") {
        let at = line.find("echo \"").unwrap_or_default();
        texts.push(quoted(&line[at + "echo \"".len()..]));
    }
    if let ("health.sh", Some(at)) = (file, line.find("printf '%s ")) {
        let text = line[at + "printf '".len()..].split('\'').next().unwrap_or_default();
        texts.push(format!("{}\u{1}", text.trim_end_matches("\\n").replace("%s", "\u{1}")));
    }
    texts
}

/// The lines of the document's blocks of messages, as they are without what `say` and `more` put before them.
fn explained() -> Vec<String> {
    let text = include_str!("../docs/operations.md");
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(words) => inside = words == "said",
            None if inside => {
                let said = line.strip_prefix("relpack: ").or_else(|| line.strip_prefix("  "));
                lines.push(said.unwrap_or_else(|| panic!("no message of ours: {line}")).to_owned());
            }
            None => {}
        }
    }
    lines
}

#[test]
fn every_message_is_explained() {
    let lines = explained();
    let missing: Vec<String> = templates()
        .iter()
        .filter(|template| !lines.iter().any(|line| template.fits(line)))
        .map(|template| format!("{}: {}", template.at, template.pieces.join("…")))
        .collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:#?}");
}

#[test]
fn every_explained_message_is_said() {
    let templates = templates();
    assert!(templates.len() > 100, "only {} messages were found", templates.len());
    let unknown: Vec<String> = explained()
        .into_iter()
        .filter(|line| !templates.iter().any(|template| template.fits(line)))
        .collect();
    assert!(unknown.is_empty(), "no script says this: {unknown:#?}");
}

/// A script that gives up tells what to type.
#[test]
fn giving_up_ends_with_a_hint() {
    let mut given_up = 0;
    for script in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("maintainer-scripts")).unwrap() {
        let path = script.unwrap().path();
        if path.is_dir() {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            for (at, verb) in line.match_indices("die \"") {
                let said = quoted(&line[at + verb.len()..]);
                assert!(
                    said.contains("(hint: ") && said.ends_with(')'),
                    "{}: {said}",
                    path.display()
                );
                given_up += 1;
            }
        }
    }
    assert!(given_up > 20, "only {given_up} were found");
}

/// Functions of a tarball's scripts that name dpkg all the same, and those that they don't come to.
const NAME_DPKG: [(&str, &str); 6] = [
    ("usr_merged", "the host's own package, on a host of Debian's"),
    ("refuse_package", "there, dpkg has the application"),
    ("uninstall", "there, dpkg may have it"),
    ("problems", "asked of dpkg alone"),
    ("status_text", "asked of dpkg alone"),
    ("status_json", "the name of a key"),
];
const NOT_OF_TARBALLS: [(&str, &str); 3] = [
    ("dpkg_hint", "asked of dpkg alone"),
    ("heal", "a unit's that only a package starts"),
    ("refuse_again", "what dpkg retries"),
];

/// Where no package manager has the application, nobody is told to type one's commands.
#[test]
fn tarballs_name_no_package_manager() {
    let temp = tempfile::tempdir().unwrap();
    let dir = crate::common::application(temp.path());
    crate::common::ok(
        crate::common::relpack()
            .args(["build", "--format", "tar.gz", "-C"])
            .arg(&dir),
    );
    let mut tar = std::process::Command::new("tar");
    crate::common::ok(tar.args(["-xzf", "dist/acme-1.4.0-all.tar.gz"]).current_dir(&dir));
    for script in ["install", "uninstall", "rollback", "host/usr/bin/acme-release"] {
        let text = fs::read_to_string(dir.join("acme-1.4.0-all").join(script)).unwrap();
        let functions = functions(&text);
        // What a call can come to, from the outside in.
        let mut todo = vec![""];
        let mut reached = BTreeSet::new();
        while let Some(name) = todo.pop() {
            let is_one_of = |list: &[(&str, &str)]| list.iter().any(|(known, _)| *known == name);
            if !reached.insert(name) || is_one_of(&NOT_OF_TARBALLS) {
                continue;
            }
            for line in functions[name]
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'))
            {
                let said = ["apt-get", "apt upgrade", "dpkg --", "dpkg's", "dpkg says"];
                let word = said.into_iter().find(|word| line.contains(word));
                assert!(word.is_none() || is_one_of(&NAME_DPKG), "{script}: {name}: {line}");
                let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                todo.extend(words.filter_map(|word| functions.get_key_value(word).map(|(name, _)| *name)));
            }
        }
        assert!(script == "rollback" || reached.len() > 20, "{script}: {reached:?}");
    }
}

/// The functions of a script, each as it is defined last; what stands outside of them has no name.
fn functions(text: &str) -> BTreeMap<&str, String> {
    let mut found = BTreeMap::from([("", String::new())]);
    let mut inside = "";
    for line in text.lines() {
        let begins = line.split_once("() {").filter(|(name, _)| !name.contains(' '));
        if let Some((name, rest)) = begins {
            found.insert(name, format!("{rest}\n"));
            inside = if rest.ends_with('}') { "" } else { name };
        } else if line == "}" {
            inside = "";
        } else {
            let body = found.entry(inside).or_default();
            body.push_str(line);
            body.push('\n');
        }
    }
    found
}

#[test]
fn strings_are_read_as_the_shell_does() {
    assert_eq!(quoted(r#"a $b c"#), "a \u{1} c");
    assert_eq!(quoted(r#"a ($(b "$c" | d ' ')) e" f"#), "a (\u{1}) e");
    assert_eq!(quoted(r#"\"${a:-b}\" $*x"#), "\"\u{1}\" \u{1}x");
    let template = Template::new(String::new(), "\u{1} is not here: \u{1}").unwrap();
    assert!(template.fits("acme is not here: why"));
    assert!(!template.fits("acme is here: why"));
}
