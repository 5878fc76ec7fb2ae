//! Owns the command lines of `Exec…=`: their prefixes, words and quoting, and what `env` starts.

use crate::model::AbsPath;

use super::directives::{self, ValueKind};
use super::quote::words;
use super::unit_file::{Entry, Section};

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

/// One command of an `Exec…=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What stands before the program: `-`, `+`, …
    pub prefixes: String,
    /// The program, absolute once the unit is resolved.
    pub program: String,
    /// What it is given; not the name that `@` gives it.
    pub arguments: Vec<String>,
}

impl Command {
    /// The program that runs in the end, and what that is given: behind `env`, its options and variables.
    pub fn started(&self) -> Option<(&str, &[String])> {
        if !is_env(&self.program) {
            return Some((&self.program, &self.arguments));
        }
        let (program, arguments) = behind_env(&self.arguments)?.split_first()?;
        Some((program, arguments))
    }

    /// Whether `env` looks the program up in `PATH`.
    pub fn is_looked_up(&self) -> bool {
        is_env(&self.program) && self.started().is_some_and(|(program, _)| !program.contains('/'))
    }

    /// Whether `env` starts the program in another directory than the unit's.
    pub fn is_elsewhere(&self) -> bool {
        let options = || {
            self.arguments
                .iter()
                .take_while(|word| word.starts_with('-') || word.contains('='))
        };
        is_env(&self.program) && options().any(|word| word.starts_with("-C") || word.starts_with("--chdir"))
    }
}

/// Whether this is coreutils' env, by either of its places.
pub fn is_env(program: &str) -> bool {
    matches!(program, "/usr/bin/env" | "/bin/env")
}

/// What env(1) starts of the words behind it, with its own options and variables left out; `None` where it starts nothing.
pub fn behind_env<W: AsRef<str>>(words: &[W]) -> Option<&[W]> {
    let mut at = 0;
    loop {
        match words.get(at)?.as_ref() {
            "-u" | "--unset" | "-C" | "--chdir" => at += 2,
            word if word.starts_with('-') || word.contains('=') => at += 1,
            _ => return Some(&words[at..]),
        }
    }
}

/// The commands of a section's `Exec…=` lines, each with its entry and the place of that. A line that can't be read has none: what
/// is wrong is said when the unit is resolved.
pub fn commands(section: &Section) -> Vec<(usize, &Entry, Command)> {
    let lines = section.entries.iter().enumerate().filter(|(_, entry)| {
        directives::find(&section.name, &entry.key).is_some_and(|directive| directive.kind == ValueKind::Exec)
    });
    let found = lines.flat_map(|(at, entry)| {
        let commands = commands_of(&entry.value).unwrap_or_default();
        commands.into_iter().map(move |(_, command)| (at, entry, command))
    });
    found.collect()
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
    let commands = commands_of(value)?.into_iter();
    Ok(commands.map(|(start, command)| (start, command.program)).collect())
}

/// The commands of the line, each with the place where it starts.
fn commands_of(value: &str) -> Result<Vec<(usize, Command)>, (String, String)> {
    let words = words(value).map_err(|problem| (problem, "close it, or escape it with '\\'".into()))?;
    let mut commands: Vec<(usize, Command)> = Vec::new();
    let (mut at_start, mut is_name) = (true, false);
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
            let prefixes = word.text[..word.text.len() - program.len()].to_owned();
            (at_start, is_name) = (false, prefixes.contains('@'));
            let command = Command {
                prefixes,
                program: program.to_owned(),
                arguments: Vec::new(),
            };
            commands.push((word.range.start, command));
        } else if is_name {
            is_name = false;
        } else if let Some((_, command)) = commands.last_mut() {
            command.arguments.push(word.text);
        }
    }
    if commands.is_empty() {
        return Err((
            "the command line is empty".into(),
            "write the program and its arguments".into(),
        ));
    }
    Ok(commands)
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
    use super::super::unit_file::UnitFile;
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
    fn commands_of_a_unit() {
        let file = UnitFile::parse(
            "[Service]\nExecStart=@/bin/a x y ; -/bin/b\nExecStartPre=+\"/bin/c d\"\nExecPaths=/x\nExecStop=\n",
        )
        .unwrap();
        let found = commands(file.section("Service").unwrap());
        let shown = found.iter().map(|(at, entry, command)| {
            let Command {
                prefixes,
                program,
                arguments,
            } = command;
            format!("{at} {} {prefixes} {program} {arguments:?}", entry.key)
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "0 ExecStart @ /bin/a [\"y\"]",
                "0 ExecStart - /bin/b []",
                "1 ExecStartPre + /bin/c d []"
            ]
        );
    }

    #[test]
    fn what_env_starts() {
        for (line, started) in [
            ("/usr/bin/env node server.js", Some("node server.js")),
            (
                "-/bin/env -i A=1 -u B --unset=C /usr/bin/node x",
                Some("/usr/bin/node x"),
            ),
            ("/usr/bin/env -C /srv -- bin/a -x A=1", Some("bin/a -x A=1")),
            ("@/usr/bin/env env - A=1 java -jar x", Some("java -jar x")),
            ("/usr/bin/env -S node x", Some("node x")),
            ("/usr/bin/env A=1", None),
            ("/usr/bin/env -u", None),
            ("/opt/env node x", Some("/opt/env node x")),
        ] {
            let (_, command) = commands_of(line).unwrap().remove(0);
            let shown = command.started().map(|(program, arguments)| {
                let words: Vec<&str> = std::iter::once(program)
                    .chain(arguments.iter().map(String::as_str))
                    .collect();
                words.join(" ")
            });
            assert_eq!(shown.as_deref(), started, "{line}");
            let bare = matches!(started.map(|line| line.split(' ').next()), Some(Some("node" | "java")));
            assert_eq!(command.is_looked_up(), bare, "{line}");
            assert_eq!(command.is_elsewhere(), line.contains("-C"), "{line}");
        }
    }
}
