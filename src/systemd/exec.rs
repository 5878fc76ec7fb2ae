//! Owns the command lines of `Exec…=`: their first words and quoting.

use crate::model::AbsPath;

use super::quote::words;
use super::unit_file::UnitFile;

/// What may stand before the program's path (systemd.service(5), "Command lines"; `|` since 258).
const PREFIXES: &[char] = &['@', '-', ':', '+', '!', '|'];

/// Words by which a shell joins commands, redirects them or puts them into the background.
const SHELL_WORDS: &[&str] = &[
    "&&", "||", "|", "|&", "&", ">", ">>", "<", "<<", "&>", "2>", "2>>", "2>&1", "1>&2", ">&2",
];

/// How a redirection begins that no space parts from its file.
const REDIRECTIONS: &[&str] = &[">/", ">>/", "</", "&>/", "1>/", "2>/", "2>>/"];

/// Programs that are shells, or hand their words to one.
const SHELLS: &[&str] = &[
    "sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "mksh", "zsh", "ssh",
];

/// Programs to which such a word is an operator of their own.
const COMPARING: &[&str] = &["[", "expr", "test"];

/// The command line with each program's relative path made absolute below `app`; later words are untouched.
///
/// An `Err` holds a message and a hint.
pub(crate) fn resolve_command_line(value: &str, app: &str) -> Result<String, (String, String)> {
    let mut resolved = String::with_capacity(value.len() + app.len() + 1);
    let mut copied = 0;
    for (start, program) in programs_of(value)? {
        if program.starts_with('/') {
            continue;
        }
        let Some(relative) = relative_program(&program)? else {
            continue;
        };
        // The place of the path itself: after the quote and the special prefixes, in either order.
        let raw = &value[start..];
        let skip = raw
            .find(|c: char| !PREFIXES.contains(&c) && c != '"' && c != '\'')
            .unwrap_or(raw.len());
        let cut = raw[skip..].len() - raw[skip..].trim_start_matches("./").len();
        resolved.push_str(&value[copied..start + skip]);
        resolved.push_str(app);
        resolved.push('/');
        copied = start + skip + cut;
        debug_assert!(!relative.is_empty());
    }
    resolved.push_str(&value[copied..]);
    Ok(resolved)
}

/// The programs that a unit's command lines start, without prefixes; absolute once the unit is resolved.
pub fn programs(file: &UnitFile) -> Vec<String> {
    let mut found = Vec::new();
    for section in file.sections() {
        for entry in section
            .entries
            .iter()
            .filter(|entry| entry.key.starts_with("Exec") && !entry.value.is_empty())
        {
            let is_command = super::directives::find(&section.name, &entry.key)
                .is_some_and(|d| d.kind == super::directives::ValueKind::Exec);
            if is_command && let Ok(programs) = programs_of(&entry.value) {
                found.extend(programs.into_iter().map(|(_, program)| program));
            }
        }
    }
    found
}

/// The first word of a command line that only a shell would understand, and that no shell reads there.
pub(crate) fn shell_word(value: &str) -> Option<&str> {
    let (mut is_first, mut is_read) = (true, false);
    for word in words(value).unwrap_or_default() {
        // As it is written: in quotes it is meant for the program.
        let raw = &value[word.range];
        if raw == ";" {
            (is_first, is_read) = (true, false);
            continue;
        }
        if !is_read && (SHELL_WORDS.contains(&raw) || REDIRECTIONS.iter().any(|begin| raw.starts_with(begin))) {
            return Some(raw);
        }
        // A shell may stand behind env or timeout.
        let name = word
            .text
            .trim_start_matches(PREFIXES)
            .rsplit('/')
            .next()
            .unwrap_or_default();
        is_read |= SHELLS.contains(&name) || (is_first && COMPARING.contains(&name));
        is_first = false;
    }
    None
}

/// What to say of a line of systemd's that holds such a word: the message and the hint.
pub(crate) fn shell_doubt(value: &str) -> Option<(String, String)> {
    let word = shell_word(value)?;
    let shell = "/bin/sh -c \"exec …\"";
    let hint = match word {
        "&" => "remove it: systemd keeps the program, and starts other units meanwhile".to_owned(),
        word if word.contains(['>', '<']) => {
            format!("write Service.StandardOutput = \"append:/path\" or \"null\" (systemd.exec(5)), or {shell}")
        }
        _ => format!("write {shell}, or one Exec…= for each command"),
    };
    Some((shell_message(word), hint))
}

pub(crate) fn shell_message(word: &str) -> String {
    format!("the program gets {word:?} as an argument: no shell reads the line")
}

/// The path in the release of a program that a unit starts from there, by either of the places where units see it.
pub fn in_release<'a>(program: &'a str, prefix: &AbsPath) -> Option<&'a str> {
    let below = program.strip_prefix(prefix.as_str())?;
    below.strip_prefix("/app/").or_else(|| below.strip_prefix("/current/"))
}

/// The command line with each program replaced that `other` has another path for. One that can't be read stays as it is: what is
/// wrong is said when the unit is resolved.
pub fn with_programs(value: &str, other: &dyn Fn(&str) -> Option<String>) -> String {
    let mut written = String::with_capacity(value.len());
    let mut copied = 0;
    for (start, program) in programs_of(value).unwrap_or_default() {
        let at = value[start..].find(&program).map(|at| start + at);
        if let (Some(at), Some(path)) = (at, other(&program)) {
            written.push_str(&value[copied..at]);
            written.push_str(&path);
            copied = at + program.len();
        }
    }
    written.push_str(&value[copied..]);
    written
}

/// Where each command of the line starts, and its program without prefixes.
fn programs_of(value: &str) -> Result<Vec<(usize, String)>, (String, String)> {
    let words = words(value).map_err(|problem| (problem, "close it, or escape it with '\\'".into()))?;
    let mut programs = Vec::new();
    let mut at_start = true;
    for word in words {
        if &value[word.range.clone()] == ";" {
            at_start = true;
            continue;
        }
        if at_start {
            let program = word.text.trim_start_matches(PREFIXES);
            if program.is_empty() {
                return Err((
                    format!("{:?} names no program", &value[word.range]),
                    "write the program's path right after the prefix".into(),
                ));
            }
            programs.push((word.range.start, program.to_owned()));
            at_start = false;
        }
    }
    if programs.is_empty() {
        return Err((
            "the command line is empty".into(),
            "write the program and its arguments".into(),
        ));
    }
    Ok(programs)
}

/// The program relative to the release; `None` when systemd's specifiers make its path.
fn relative_program(program: &str) -> Result<Option<&str>, (String, String)> {
    if program.starts_with('%') {
        return Ok(None);
    }
    if program.starts_with('$') {
        return Err((
            format!("the program {program:?} is a variable, which systemd does not expand there"),
            "name the program, or start it with /bin/sh -c".into(),
        ));
    }
    let relative = program.trim_start_matches("./");
    if relative.split('/').any(|part| part == "..") {
        return Err((
            format!("the program {program:?} leaves the release"),
            "write its path below {app}, or an absolute one".into(),
        ));
    }
    if relative.is_empty() || relative.ends_with('/') {
        return Err((
            format!("the program {program:?} is a directory"),
            "name the file to execute".into(),
        ));
    }
    Ok(Some(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(value: &str) -> String {
        resolve_command_line(value, "/opt/acme/app").unwrap()
    }

    #[test]
    fn programs_are_replaced_where_there_is_another() {
        let other = |program: &str| (program == "/usr/bin/a").then(|| "bin/a".to_owned());
        for (line, expected) in [
            ("/usr/bin/a --web /usr/bin/a", "bin/a --web /usr/bin/a"),
            (
                "-/usr/bin/a ; +/usr/bin/b ; @\"/usr/bin/a\" x",
                "-bin/a ; +/usr/bin/b ; @\"bin/a\" x",
            ),
            ("/usr/bin/ab", "/usr/bin/ab"),
            ("", ""),
            ("\"/usr/bin/a", "\"/usr/bin/a"),
        ] {
            assert_eq!(with_programs(line, &other), expected, "{line}");
        }
    }

    #[test]
    fn the_first_word_is_below_the_app() {
        for (value, expected) in [
            ("bin/a x/y", "/opt/acme/app/bin/a x/y"),
            ("./bin/a ./x", "/opt/acme/app/bin/a ./x"),
            ("/usr/bin/node server.js", "/usr/bin/node server.js"),
            ("-@bin/a argv0", "-@/opt/acme/app/bin/a argv0"),
            ("+!!/bin/a", "+!!/bin/a"),
            ("\"bin/my app\" 'x y'", "\"/opt/acme/app/bin/my app\" 'x y'"),
            ("-\"bin/my app\"", "-\"/opt/acme/app/bin/my app\""),
            ("\"-bin/my app\"", "\"-/opt/acme/app/bin/my app\""),
            ("a ; b c ; /d", "/opt/acme/app/a ; /opt/acme/app/b c ; /d"),
            ("a \\; b", "/opt/acme/app/a \\; b"),
            ("a ';' b", "/opt/acme/app/a ';' b"),
            ("%h/bin/a", "%h/bin/a"),
            (
                "/bin/sh -c 'exec bin/a $PORT 100%%'",
                "/bin/sh -c 'exec bin/a $PORT 100%%'",
            ),
        ] {
            assert_eq!(resolve(value), expected);
        }
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            "  ",
            "- x",
            "$BIN x",
            "../x",
            "bin/",
            "./",
            "a \"b",
            "a/../../b",
            ";",
        ] {
            assert!(resolve_command_line(bad, "/app").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_that_only_a_shell_understands() {
        for (line, word) in [
            ("/bin/a && echo x", Some("&&")),
            ("/bin/a | tee x", Some("|")),
            ("/bin/a > /var/log/x 2>&1", Some(">")),
            ("/bin/a 2>/dev/null", Some("2>/dev/null")),
            ("/bin/a &", Some("&")),
            ("-/bin/sh -c x ; /bin/a | /bin/b", Some("|")),
            ("/bin/a test > x", Some(">")),
            ("/bin/a '&&' \"|\" \\x26 >=1 a>b a|b x&y", None),
            ("/bin/a ; /bin/b", None),
            ("/bin/sh -c 'a && b > c'", None),
            ("/usr/bin/env -i sh -c a && b", None),
            ("@/bin/bash bash -c a | b", None),
            ("/usr/bin/test 2 > 1", None),
            ("/bin/a \"", None),
        ] {
            assert_eq!(shell_word(line), word, "{line}");
        }
    }

    #[test]
    fn programs_of_a_unit() {
        let file = UnitFile::parse(
            "[Service]\nExecStart=@/bin/a x ; -/bin/b\nExecStartPre=+\"/bin/c d\"\nExecPaths=/x\nExecStop=\n",
        )
        .unwrap();
        assert_eq!(programs(&file), ["/bin/a", "/bin/b", "/bin/c d"]);
    }
}
