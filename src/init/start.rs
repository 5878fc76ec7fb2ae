//! What `scripts.start` of a package.json says, as far as systemd can say it without a shell.

use super::look::Dir;
use super::{escaped, is_plain};
use crate::model::EnvName;

/// What the script starts.
#[derive(Debug)]
pub(super) struct Start {
    /// In systemd's words.
    pub(super) exec: String,
    /// The file of the project that is run.
    pub(super) script: String,
    /// What it sets before.
    pub(super) environment: Vec<(EnvName, String)>,
    /// The options left out of `exec`, since their files stay on the build machine.
    pub(super) env_files: Vec<String>,
}

/// They run other commands, of a shell or of npm, which a host doesn't have.
const RUNNERS: &[&str] = &[
    "npm",
    "npx",
    "pnpm",
    "yarn",
    "npm-run-all",
    "run-s",
    "run-p",
    "concurrently",
    "cross-env",
    "cross-env-shell",
    "dotenv",
    "dotenvx",
    "env-cmd",
];

/// They compile or watch sources: for whoever develops.
const DEVELOPMENT: &[&str] = &["nodemon", "nest", "ts-node-dev", "tsnd", "webpack", "rollup", "tsc"];

/// Options of node whose value may be the next word.
const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--title",
];

/// Options of node that name a file of settings.
const ENV_FILES: &[&str] = &["--env-file", "--env-file-if-exists"];

/// `node …`, or a program of node_modules. The error says what stands in the way.
pub(super) fn understand(dir: &Dir, main: Option<&str>, text: &str) -> Result<Start, String> {
    let Split { words, mut defaults } = split(text)?;
    let mut words = words.as_slice();
    let mut environment = Vec::new();
    while let Some((name, value)) = words.first().and_then(Word::assignment) {
        let value = match value.as_slice() {
            [] => String::new(),
            [Part::Text(text)] => text.clone(),
            // What a variable has from outside stays, as with Environment= and the host's own file.
            [Part::Variable(other)] if *other == name => {
                words = &words[1..];
                continue;
            }
            _ => return Err(format!("{name} is made of another variable")),
        };
        for known in [&mut defaults, &mut environment] {
            known.retain(|(other, _)| *other != name);
        }
        environment.push((name, value));
        words = &words[1..];
    }
    environment.extend(defaults);
    if words.first().is_some_and(|word| word.text() == Some("exec")) {
        words = &words[1..];
    }
    let (program, rest) = words.split_first().ok_or("it starts nothing")?;
    let program = program.text().ok_or("the program is a variable")?;
    if RUNNERS.contains(&program) {
        return Err(format!("{program} runs other commands: write the last one here"));
    }
    let is_node = matches!(program, "node" | "nodejs" | "/usr/bin/node");
    let develops = !is_node && rest.first().and_then(Word::text) == Some("dev");
    if develops || DEVELOPMENT.contains(&program) || super::site::tool(program).is_some() {
        return Err(format!(
            "{program} is for development: build first, and write here what starts the result"
        ));
    }
    let mut rest: Vec<&Word> = rest.iter().collect();
    let env_files = match is_node {
        true => take_env_files(&mut rest),
        false => Vec::new(),
    };
    if let Some(text) = rest.iter().find_map(|word| word.leaves()) {
        return Err(format!("{text} leads out of the directory, and so out of the release"));
    }
    let (program, script) = if is_node {
        ("/usr/bin/node".to_owned(), script_of_node(dir, main, &rest)?)
    } else {
        let installed = format!("node_modules/.bin/{program}");
        if program.contains('/') || !dir.has_file(&installed) {
            return Err(format!("{program} is neither node nor in node_modules/.bin"));
        }
        (installed.clone(), installed)
    };
    let line: Vec<String> = std::iter::once(super::exec_word(&program))
        .chain(rest.iter().map(|word| word.exec()))
        .collect();
    Ok(Start {
        exec: line.join(" "),
        script,
        environment,
        env_files,
    })
}

/// Takes the options out that name files of settings; those behind the script are its own.
fn take_env_files(rest: &mut Vec<&Word>) -> Vec<String> {
    let mut taken = Vec::new();
    let mut at = 0;
    while let Some(word) = rest.get(at).filter(|word| word.is_option()) {
        let text = word.text().unwrap_or_default();
        let (name, joined) = text.split_once('=').map_or((text, false), |(name, _)| (name, true));
        if !ENV_FILES.contains(&name) {
            at += if WITH_VALUE.contains(&text) { 2 } else { 1 };
            continue;
        }
        let end = (at + if joined { 1 } else { 2 }).min(rest.len());
        let words: Vec<&str> = rest.drain(at..end).filter_map(|word| word.text()).collect();
        taken.push(words.join(" "));
    }
    taken
}

/// The file that node runs, after its own options.
fn script_of_node(dir: &Dir, main: Option<&str>, rest: &[&Word]) -> Result<String, String> {
    let mut words = rest.iter();
    let named = loop {
        let word = words.next().ok_or("node gets no file to run")?;
        let text = word.text().unwrap_or_default();
        if WITH_VALUE.contains(&text) {
            words.next();
        } else if matches!(text, "-e" | "--eval" | "-p" | "--print") {
            return Err(format!("node gets no file to run, but {text}"));
        } else if !word.is_option() {
            break word.text().ok_or("the file that node runs is a variable")?;
        }
    };
    if named.starts_with('/') && !named.starts_with("/usr/") {
        return Err(format!("{named} is a file of this machine"));
    }
    let named = named.trim_start_matches("./").trim_end_matches('/');
    let candidates = match named {
        "" | "." => [main.unwrap_or("index.js").to_owned(), "index.js".to_owned()].to_vec(),
        _ => [named.to_owned(), format!("{named}.js"), format!("{named}/index.js")].to_vec(),
    };
    candidates
        .into_iter()
        .find(|name| dir.has_file(name))
        .ok_or_else(|| format!("{named} is not there; is it built?"))
}

/// Whether a relative path leads above where it starts.
pub(super) fn leaves(path: &str) -> bool {
    let mut depth = 0;
    !path.starts_with('/')
        && path.split('/').any(|part| {
            depth += match part {
                "" | "." => 0,
                ".." => -1,
                _ => 1,
            };
            depth < 0
        })
}

/// A word of a shell's command line.
#[derive(Debug, Default)]
struct Word(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(EnvName),
}

impl Word {
    fn push(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.0.push(Part::Text(c.into())),
        }
    }

    /// The whole word, where it has no variables.
    fn text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn is_option(&self) -> bool {
        matches!(self.0.first(), Some(Part::Text(text)) if text.starts_with('-'))
    }

    /// What leads out of the directory: a path, or that of an option.
    fn leaves(&self) -> Option<&str> {
        let Some(Part::Text(text)) = self.0.first() else {
            return None;
        };
        let path = text.split_once('=').map_or(text.as_str(), |(_, value)| value);
        leaves(path).then_some(text)
    }

    /// `NAME=value`
    fn assignment(&self) -> Option<(EnvName, Vec<Part>)> {
        let Some(Part::Text(first)) = self.0.first() else {
            return None;
        };
        let (name, start) = first.split_once('=')?;
        let start = (!start.is_empty()).then(|| Part::Text(start.to_owned()));
        let value = start.into_iter().chain(self.0[1..].iter().cloned());
        Some((name.parse().ok()?, value.collect()))
    }

    /// As systemd writes it.
    fn exec(&self) -> String {
        let mut plain = !self.0.is_empty();
        let mut written = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    plain &= is_plain(text);
                    written.push_str(&escaped(text));
                }
                Part::Variable(name) => written.push_str(&format!("${{{name}}}")),
            }
        }
        if plain { written } else { format!("\"{written}\"") }
    }
}

struct Split {
    words: Vec<Word>,
    /// What `${NAME:-value}` says.
    defaults: Vec<(EnvName, String)>,
}

/// Splits as sh(1) does; what only a shell can do is an error.
fn split(text: &str) -> Result<Split, String> {
    let mut split = Split {
        words: Vec::new(),
        defaults: Vec::new(),
    };
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let starts = word.is_none();
        match (quote, c) {
            (None, ' ' | '\t') => {
                split.words.extend(word.take());
                continue;
            }
            (_, c) if c.is_control() => return Err("it has several lines or control characters".to_owned()),
            (None, '&' | '|' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[') | (None | Some('"'), '`') => {
                return Err(format!("{c} takes a shell"));
            }
            (None, '~' | '#') if starts => return Err(format!("{c} takes a shell")),
            _ => {}
        }
        let word = word.get_or_insert_default();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (_, '\\') => match chars.next_if(|next| quote.is_none() || "\"\\$`".contains(*next)) {
                Some(next) if !next.is_control() => word.push(next),
                None if quote.is_some() => word.push('\\'),
                _ => return Err("it ends a line with \\".to_owned()),
            },
            (_, '$') => {
                let name = variable(&mut chars, &mut split.defaults)?;
                word.0.push(Part::Variable(name));
            }
            (_, c) => word.push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is never closed"));
    }
    split.words.extend(word);
    Ok(split)
}

/// What stands behind a `$`: `NAME`, `{NAME}` or `{NAME:-value}`.
fn variable(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    defaults: &mut Vec<(EnvName, String)>,
) -> Result<EnvName, String> {
    let mut body = String::new();
    if chars.next_if_eq(&'{').is_some() {
        loop {
            match chars.next() {
                Some('}') => break,
                Some(c) => body.push(c),
                None => return Err("${ is never closed".to_owned()),
            }
        }
    } else {
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            body.push(c);
        }
    }
    let unknown = || format!("${} takes a shell", if body.is_empty() { "(…)" } else { &body });
    let (name, default) = match body.split_once('-') {
        Some((name, default)) => (name.strip_suffix(':').unwrap_or(name), Some(default)),
        None => (body.as_str(), None),
    };
    let name: EnvName = name.parse().map_err(|_| unknown())?;
    if let Some(default) = default {
        if !default.chars().all(|c| is_plain(c.encode_utf8(&mut [0; 4]))) {
            return Err(unknown());
        }
        if !defaults.iter().any(|(known, _)| *known == name) {
            defaults.push((name.clone(), default.to_owned()));
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("node_modules/.bin")).unwrap();
        for name in [
            "server.js",
            "my server.js",
            "lib.js",
            "node_modules/.bin/next",
            "node_modules/.bin/cross-env",
        ] {
            std::fs::write(temp.path().join(name), "").unwrap();
        }
        temp
    }

    fn told(text: &str) -> Result<(String, String), String> {
        let temp = project();
        let start = understand(&Dir::open(temp.path()).unwrap(), Some("lib.js"), text)?;
        let set: Vec<String> = start
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok((start.exec, set.join(" ")))
    }

    #[test]
    fn what_systemd_can_say_is_kept() {
        for (text, exec, set) in [
            (
                "NODE_ENV=production PORT=4000 node --enable-source-maps server.js --flag",
                "/usr/bin/node --enable-source-maps server.js --flag",
                "NODE_ENV=production PORT=4000",
            ),
            (
                "node --max-old-space-size=512 \"my server.js\"",
                "/usr/bin/node --max-old-space-size=512 \"my server.js\"",
                "",
            ),
            (
                "node -r ./lib server '50% of $x' a\\ b \"\\\"q\\\" {app}\" ''",
                r#"/usr/bin/node -r ./lib server "50%% of $$x" "a b" "\"q\" \x7bapp}" """#,
                "",
            ),
            (
                "next start -p ${PORT} -H \"$HOST\"",
                "node_modules/.bin/next start -p ${PORT} -H ${HOST}",
                "",
            ),
            (
                "next start --url=http://${HOST:-127.0.0.1}:$PORT/a\"b c\"",
                "node_modules/.bin/next start \"--url=http://${HOST}:${PORT}/ab c\"",
                "HOST=127.0.0.1",
            ),
            (
                "PORT=${PORT:-4000} MSG=0 MSG='a b' exec node .",
                "/usr/bin/node .",
                "MSG=a b PORT=4000",
            ),
        ] {
            assert_eq!(told(text), Ok((exec.to_owned(), set.to_owned())), "{text}");
        }
    }

    #[test]
    fn files_of_settings_are_left_out_and_named() {
        let temp = project();
        let dir = Dir::open(temp.path()).unwrap();
        for (text, exec, left_out) in [
            ("node --env-file=.env server.js", "server.js", &["--env-file=.env"][..]),
            (
                "node --title a --env-file .env --env-file-if-exists=b --trace-warnings server.js --env-file=c",
                "--title a --trace-warnings server.js --env-file=c",
                &["--env-file .env", "--env-file-if-exists=b"],
            ),
            ("node server.js --env-file=c", "server.js --env-file=c", &[]),
        ] {
            let start = understand(&dir, None, text).unwrap();
            assert_eq!(start.exec, format!("/usr/bin/node {exec}"), "{text}");
            assert_eq!(start.env_files, left_out, "{text}");
            assert_eq!(start.script, "server.js", "{text}");
        }
        assert!(understand(&dir, None, "node --env-file").is_err());
    }

    #[test]
    fn what_takes_a_shell_is_said() {
        for (text, said) in [
            ("npm run build && node server.js", "& takes"),
            ("node server.js | pino", "| takes"),
            ("node ../server.js", "../server.js leads out"),
            ("node a/../../server.js", "leads out"),
            ("node -r ../x server.js", "../x leads out"),
            ("node --import=../x.mjs server.js", "../x.mjs leads out"),
            ("next start ../web", "../web leads out"),
            ("node /srv/server.js", "/srv/server.js is a file of this machine"),
            ("nodemon server.js", "nodemon is for development"),
            ("next dev", "next is for development"),
            ("vite preview", "vite is for development"),
            ("dotenv -- node server.js", "dotenv runs other"),
            ("node server.js $(hostname)", "$(…) takes"),
            ("node server.js `hostname`", "` takes"),
            ("node server.js \"`hostname`\"", "` takes"),
            ("node server.js ${A:?no}", "takes a shell"),
            ("node server.js *.json", "* takes"),
            ("node server.js ~/x", "~ takes"),
            ("node server.js\nnode lib.js", "lines"),
            ("cross-env A=1 node server.js", "cross-env runs other"),
            ("npm-run-all a b", "npm-run-all runs other"),
            ("A=$B node server.js", "A is made"),
            ("pm2-runtime server.js", "pm2-runtime is neither"),
            ("node dist/main.js", "dist/main.js is not there"),
            ("node $APP", "a variable"),
            ("$NODE server.js", "a variable"),
            ("node -e 1", "-e"),
            ("node --version", "no file"),
            ("node \"server.js", "never closed"),
            ("node ${X", "never closed"),
            ("node server.js \\", "\\"),
            ("A=1", "starts nothing"),
            ("", "starts nothing"),
        ] {
            let error = told(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
