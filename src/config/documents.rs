//! Reads what the application brings for people to read: changelog, licence, manual pages and shell completions.

use super::diagnostics::Problem;
use super::files::{Place, read_source};
use super::reader::{At, Table, shown_key};
use crate::model::AbsPath;

/// Written by people, if over many years.
const SIZE_MAX: u64 = 8 * 1024 * 1024;

/// How a finished copyright file begins (Debian's copyright-format 1.0).
const FINISHED: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/";

/// What is read on a host.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// The name that the application's own changelog can have beside the package's (without `.gz`), and its text.
    pub changelog: Option<(String, String)>,
    /// The text of the licence.
    pub license: Option<License>,
    /// Manual pages: their place on a host without `.gz`, and their text.
    pub man: Vec<(AbsPath, String)>,
    /// Shell completions: their place on a host, and their text.
    pub completions: Vec<(AbsPath, String)>,
}

/// What `license_file` holds.
#[derive(Debug, Clone)]
pub enum License {
    /// The whole copyright file, in Debian's format.
    Finished(String),
    /// The licence itself.
    Text(String),
}

/// The keys of `[package]`, and `[completions]`.
pub(super) fn documents(
    package: Option<&Table<'_>>,
    completions: Option<&Table<'_>>,
    name: &str,
    place: Place<'_>,
) -> Documents {
    let mut documents = Documents::default();
    if let Some(table) = package {
        documents.changelog = changelog(table, place);
        documents.license = license(table, place);
        documents.man = man(table, name, place);
    }
    if let Some(table) = completions {
        for (key, value) in table.entries() {
            if let Some(of_one) = table.entry_table(&key, value) {
                of_command(&of_one, &key, place, &mut documents.completions);
                of_one.finish();
            }
        }
    }
    documents
}

/// A text file with line breaks as Unix has them.
fn text(table: &Table<'_>, what: &str, source: &At<String>, place: Place<'_>) -> Option<String> {
    let bytes = read_source(table, what, source, place, SIZE_MAX)?;
    let refuse = |problem: &str, help: &str| {
        let problem = Problem::new(source.span.clone(), format!("{what}: {:?} {problem}", source.value));
        table.doc.push(problem.help(help));
        None
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return refuse("is not UTF-8", "save it as UTF-8, uncompressed");
    };
    let text = text.replace("\r\n", "\n");
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\x0c'))
    {
        return refuse("holds control characters", "name a text file, uncompressed");
    }
    if text.trim().is_empty() {
        return refuse("is empty", "fill it, or remove the key");
    }
    Some(text.trim_end().to_owned() + "\n")
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn changelog(table: &Table<'_>, place: Place<'_>) -> Option<(String, String)> {
    let source = table.string("changelog")?;
    let text = text(table, "package.changelog", &source, place)?;
    let name = file_name(&source.value);
    // The package's own changelog has this name.
    let fine = is_command(name) && name.len() <= 200 && !name.starts_with("changelog");
    Some((if fine { name } else { "CHANGELOG" }.to_owned(), text))
}

fn license(table: &Table<'_>, place: Place<'_>) -> Option<License> {
    let source = table.string("license_file")?;
    let text = text(table, "package.license_file", &source, place)?;
    if is_finished(&text) {
        for key in ["license", "copyright"] {
            if table.has(key) {
                table.doc.push(
                    Problem::new(
                        table.span_of(key),
                        format!(
                            "package.{key}: {:?} says it, as a finished copyright file",
                            source.value
                        ),
                    )
                    .help("remove the key, or name the licence's own text as license_file"),
                );
            }
        }
        return Some(License::Finished(text));
    }
    if !table.has("license") {
        let problem = Problem::new(source.span, "package.license_file: the licence has a text and no name");
        table.doc.push(problem.help("add for example license = \"MIT\""));
    }
    Some(License::Text(text))
}

/// Whether a text is a copyright file as Debian has it.
pub(super) fn is_finished(text: &str) -> bool {
    text.starts_with(FINISHED)
}

fn man(table: &Table<'_>, name: &str, place: Place<'_>) -> Vec<(AbsPath, String)> {
    let mut pages: Vec<(AbsPath, String)> = Vec::new();
    for source in table.strings("man") {
        let refuse = |problem: &str, help: &str| {
            let message = format!("package.man: {:?} {problem}", source.value);
            table.doc.push(Problem::new(source.span.clone(), message).help(help));
        };
        let file = file_name(&source.value);
        if file.ends_with(".gz") {
            refuse(
                "is compressed",
                "name the page itself: it is compressed the same way on every machine",
            );
            continue;
        }
        let Some(path) = man_path(file) else {
            refuse(
                "is not named like a manual page",
                "name a page such as \"docs/acme.1\": what follows the last dot is its section, 1 to 8",
            );
            continue;
        };
        if file == format!("{name}-release.1") || pages.iter().any(|(other, _)| *other == path) {
            refuse(
                "has the name of a page that is there already",
                "give it another name, or remove it",
            );
            continue;
        }
        let Some(text) = text(table, "package.man", &source, place) else {
            continue;
        };
        // man(7), mdoc(7), or the name of another page.
        if !text
            .lines()
            .any(|line| [".TH", ".Dd", ".so "].iter().any(|start| line.starts_with(start)))
        {
            refuse(
                "is no manual page: it has neither .TH nor .Dd",
                "name the page as man reads it; tools such as pandoc make one of Markdown",
            );
            continue;
        }
        pages.push((path, text));
    }
    pages
}

/// `acme.1` lies in `/usr/share/man/man1`.
fn man_path(file: &str) -> Option<AbsPath> {
    let (stem, section) = file.rsplit_once('.')?;
    let number = section.chars().next().filter(|c| ('1'..='8').contains(c))?;
    let fine = is_command(stem) && section[1..].chars().all(|c| c.is_ascii_lowercase());
    fine.then(|| format!("/usr/share/man/man{number}/{file}").parse().ok())?
}

fn is_command(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

/// Where a shell looks for what completes a command that Debian's packages bring.
pub(super) struct Shell {
    /// The key of `[completions.acme]`.
    pub(super) name: &'static str,
    /// The directory, without the leading slash.
    pub(super) dir: &'static str,
    /// What stands around the command in the file's name.
    around: [&'static str; 2],
}

/// Each of them.
pub(super) const SHELLS: &[Shell] = &[
    Shell {
        name: "bash",
        dir: "usr/share/bash-completion/completions",
        around: ["", ""],
    },
    Shell {
        name: "zsh",
        dir: "usr/share/zsh/vendor-completions",
        around: ["_", ""],
    },
    Shell {
        name: "fish",
        dir: "usr/share/fish/vendor_completions.d",
        around: ["", ".fish"],
    },
];

impl Shell {
    fn path(&self, command: &str) -> String {
        let [before, after] = self.around;
        format!("/{}/{before}{command}{after}", self.dir)
    }

    /// The command that a file of this shell's completes; `path` has no leading slash.
    pub(super) fn command<'a>(&self, path: &'a str) -> Option<&'a str> {
        let [before, after] = self.around;
        let name = path.strip_prefix(self.dir)?.strip_prefix('/')?;
        name.strip_prefix(before)?.strip_suffix(after)
    }
}

/// `[completions.acme]`
fn of_command(table: &Table<'_>, key: &At<String>, place: Place<'_>, found: &mut Vec<(AbsPath, String)>) {
    let what = format!("completions.{}", shown_key(&key.value));
    let command = &key.value;
    if !is_command(command) {
        let problem = Problem::new(
            key.span.clone(),
            format!("{what}: {command:?} is not the name of a command"),
        );
        table
            .doc
            .push(problem.help("write it as it is typed: letters, digits and . _ - +"));
    }
    for shell in SHELLS {
        let Some(source) = table.string(shell.name) else {
            continue;
        };
        let what = format!("{what}.{}", shell.name);
        let Some(text) = text(table, &what, &source, place) else {
            continue;
        };
        if shell.name == "zsh" && !text.starts_with("#compdef") {
            table.doc.push(
                Problem::new(
                    source.span,
                    format!("{what}: {:?} does not begin with #compdef", source.value),
                )
                .help(format!(
                    "begin it with \"#compdef {command}\": zsh does not load it otherwise"
                )),
            );
            continue;
        }
        found.extend(shell.path(command).parse().ok().map(|path| (path, text)));
    }
}

#[cfg(test)]
mod tests {
    use super::man_path;

    #[test]
    fn places_of_manual_pages() {
        let path = |file: &str| man_path(file).map(|path| path.to_string());
        assert_eq!(path("acme.1").as_deref(), Some("/usr/share/man/man1/acme.1"));
        assert_eq!(path("acme.conf.5").as_deref(), Some("/usr/share/man/man5/acme.conf.5"));
        assert_eq!(path("Acme.3pm").as_deref(), Some("/usr/share/man/man3/Acme.3pm"));
        for bad in [
            "acme",
            "acme.",
            "acme.9",
            "acme.md",
            ".1",
            "a b.1",
            "acme.1x/y",
            "-a.1",
            "acme.1X",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
