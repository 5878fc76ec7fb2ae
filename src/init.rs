//! Owns `init`: what a directory tells of its application becomes a commented `relpack.toml`.

mod cargo;
mod go;
mod jar;
mod java;
mod look;
mod node;
mod npm;
mod pyproject;
mod python;
mod rust;
mod served;
mod site;
mod start;
mod venv;

use std::path::Path;

use crate::config;
use crate::model::{DebVersion, EnvName, PackageName, UserName};
use crate::scripts::{self, ScriptError, Template, Tokens, template};

pub use look::{LookError, look};

/// What an application is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Runtime {
    /// Node.js
    Node,
    /// Python
    Python,
    /// Go
    Go,
    /// Rust
    Rust,
    /// Java
    Java,
    /// Files for a web server.
    Static,
}

impl Runtime {
    /// Every runtime, in the order in which a directory is asked for them.
    pub const ALL: &'static [Runtime] = &[
        Runtime::Node,
        Runtime::Python,
        Runtime::Go,
        Runtime::Rust,
        Runtime::Java,
        Runtime::Static,
    ];

    /// The word of `--runtime` and of `[defaults] preset`.
    pub fn word(self) -> &'static str {
        match self {
            Runtime::Node => "node",
            Runtime::Python => "python",
            Runtime::Go => "go",
            Runtime::Rust => "rust",
            Runtime::Java => "java",
            Runtime::Static => "static",
        }
    }

    /// What is described as such where nobody says more.
    pub fn application(self) -> &'static str {
        match self {
            Runtime::Node => "Node.js application",
            Runtime::Python => "Python application",
            Runtime::Go => "Go program",
            Runtime::Rust => "Rust program",
            Runtime::Java => "Java application",
            Runtime::Static => "Static site",
        }
    }

    fn template(self) -> Template {
        match self {
            Runtime::Node => template::INIT_NODE,
            Runtime::Python => template::INIT_PYTHON,
            Runtime::Go => template::INIT_GO,
            Runtime::Rust => template::INIT_RUST,
            Runtime::Java => template::INIT_JAVA,
            Runtime::Static => template::INIT_STATIC,
        }
    }
}

/// What a directory tells.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it is written in.
    pub runtime: Runtime,
    /// What else it could be.
    pub also: Vec<Runtime>,
    /// What it calls itself, as a package may be called.
    pub name: Option<PackageName>,
    /// Its version, as dpkg reads it.
    pub version: Option<DebVersion>,
    /// In one line of at most 80 characters.
    pub description: Option<String>,
    /// Debian packages that it needs.
    pub depends: Vec<String>,
    /// The finished build, relative to the directory.
    pub source: String,
    /// What of the build does not belong into a release.
    pub exclude: Vec<String>,
    /// Where more is left out than what a build needs for itself: why, in one line.
    pub left_out: Option<String>,
    /// The command line of the service, in systemd's words.
    pub exec: String,
    /// What to know of `exec`, a line each: what was guessed or left out.
    pub remarks: Vec<String>,
    /// What it is started with, besides its port.
    pub environment: Vec<(EnvName, String)>,
    /// Where Python's modules lie below a directory of the release and not at its top: that directory.
    pub modules: Option<&'static str>,
    /// The port that it listens on unless told otherwise, where that could be read.
    pub port: Option<u16>,
    /// What migrates its data, where its framework tells.
    pub migrate: Option<String>,
    /// It answers on `/` for certain.
    pub answers: bool,
    /// What has to be done before a build, or is better looked at.
    pub notes: Vec<String>,
    /// A Cargo project that says itself how it is packed.
    pub cargo: Option<CargoPackage>,
}

/// A package with `[package.metadata.deb]`.
#[derive(Debug, Clone)]
pub struct CargoPackage {
    /// Its name in the workspace.
    pub package: String,
    /// The Debian package's name.
    pub name: Option<PackageName>,
    /// Who maintains it, where that is said.
    pub maintainer: Option<String>,
    /// Whether it has a description.
    pub has_description: bool,
    /// Whether it brings unit files.
    pub has_units: bool,
    /// Its program, as a path in the release.
    pub program: String,
}

impl Seen {
    fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            also: Vec::new(),
            name: None,
            version: None,
            description: None,
            depends: Vec::new(),
            source: ".".to_owned(),
            exclude: Vec::new(),
            left_out: None,
            exec: String::new(),
            remarks: Vec::new(),
            environment: Vec::new(),
            modules: None,
            port: None,
            migrate: None,
            answers: false,
            notes: Vec::new(),
            cargo: None,
        }
    }

    /// Said at once, and above the command line for whoever reads the configuration later.
    fn remark(&mut self, text: &str) {
        let text = shown(text);
        self.notes.push(text.clone());
        self.remarks.push(text);
    }
}

/// What can't be read from the files, settled.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The package's name.
    pub name: PackageName,
    /// `Name <address>`
    pub maintainer: String,
    /// One line.
    pub description: String,
    /// Where somebody said that it listens: then a deploy asks there.
    pub port: Option<u16>,
}

/// The configuration's text.
pub fn render(seen: &Seen, answers: &Answers) -> Result<String, ScriptError> {
    let name = answers.name.as_str();
    let port = answers.port.or(seen.port).unwrap_or(default_port(seen.runtime));
    let asked = seen.answers || answers.port.is_some();
    let health = "X-Relpack.Health = \"http://127.0.0.1:{env.PORT}/\"";
    let health = match asked {
        true => format!("{health} # a release that does not get healthy is reverted"),
        false => format!(
            "# A release that does not get healthy is reverted. Without a check it only has to stay up for some seconds.\n# {health}"
        ),
    };
    let exclude = match seen.exclude.is_empty() {
        true => String::new(),
        false => format!(
            "{}exclude = {}\n",
            comment(seen.left_out.as_deref()),
            list(&seen.exclude)
        ),
    };
    let environment: String = seen
        .environment
        .iter()
        .map(|(name, value)| format!("Service.Environment.{name} = {}\n", quoted(value)))
        .collect();
    let modules = seen.modules.map_or(String::new(), |place| {
        let value = quoted(&format!("{{app}}/{place}"));
        format!("# The modules lie in {place}/, where Python does not look by itself.\nService.Environment.PYTHONPATH = {value}\n")
    });
    let remarks: String = seen.remarks.iter().map(|remark| comment(Some(remark))).collect();
    let version = seen.version.as_ref().map_or("0.1.0", |version| version.as_str());
    let tokens = Tokens::default()
        .raw("NAME", quoted(name))
        .raw("PLAIN_NAME", name)
        .raw("UNIT", quoted(&format!("{name}.service")))
        .raw("VERSION", quoted(version))
        .raw("MAINTAINER", quoted(&answers.maintainer))
        .raw("DESCRIPTION", quoted(&answers.description))
        .raw("DEPENDS", list(&seen.depends))
        .raw("SOURCE", quoted(&seen.source))
        .raw("EXCLUDE", exclude)
        .raw("USER", user(&answers.name))
        .raw("REMARKS", remarks)
        .raw("MIGRATE", quoted(seen.migrate.as_deref().unwrap_or("bin/migrate")))
        .raw("EXEC", quoted(&seen.exec))
        .raw("ENVIRONMENT", environment)
        .raw("MODULES", modules)
        .raw("PORT", quoted(&port.to_string()))
        .raw("HEALTH", health);
    match &seen.cargo {
        Some(package) => render_cargo(package, answers, &tokens, port),
        None => scripts::render(seen.runtime.template(), &tokens),
    }
}

/// Of a Cargo project only what it doesn't say itself.
fn render_cargo(package: &CargoPackage, answers: &Answers, tokens: &Tokens, port: u16) -> Result<String, ScriptError> {
    let mut own = String::new();
    let own_name = package.name.as_ref() != Some(&answers.name);
    for (key, text, wanted) in [
        ("name", answers.name.as_str(), own_name),
        ("maintainer", &answers.maintainer, package.maintainer.is_none()),
        ("description", &answers.description, !package.has_description),
    ] {
        if wanted {
            own.push_str(&format!("{key} = {}\n", quoted(text)));
        }
    }
    if !own.is_empty() {
        own.insert_str(0, "\n[package]\n");
    }
    let tokens = tokens
        .clone()
        .raw("QUOTED_PORT", quoted(&port.to_string()))
        .raw("PORT", port);
    let units = match package.has_units {
        true => template::INIT_CARGO_UNITS,
        false => template::INIT_CARGO_SERVICE,
    };
    let units = scripts::render(units, &tokens)?;
    let tokens = tokens
        .raw("PACKAGE", own)
        .raw("CARGO", quoted(&package.package))
        .raw("UNITS", units.trim_end());
    scripts::render(template::INIT_CARGO, &tokens)
}

fn comment(text: Option<&str>) -> String {
    text.map_or(String::new(), |text| format!("# {text}\n"))
}

/// `[user]`, where the name that the user has without it is none that a build takes.
fn user(package: &PackageName) -> String {
    let name = package.as_str();
    if name.parse::<UserName>().is_ok() && !UserName::ON_EVERY_HOST.contains(&name) {
        return String::new();
    }
    format!(
        "\n# The services' user: the package's name can't be one. A better name is best chosen before the first installation.\n[user]\nname = {}\n",
        quoted(&user_name(name))
    )
}

/// The nearest name that a user may have.
fn user_name(package: &str) -> String {
    let plain = package.replace(['.', '+'], "-");
    let fits = plain.starts_with(|c: char| c.is_ascii_alphabetic()) && !UserName::ON_EVERY_HOST.contains(&package);
    let whole = if fits { plain } else { format!("app-{plain}") };
    let cut: String = whole.chars().take(UserName::MAX).collect();
    cut.trim_end_matches('-').to_owned()
}

fn default_port(runtime: Runtime) -> u16 {
    match runtime {
        Runtime::Node => 3000,
        Runtime::Python => 8000,
        Runtime::Go | Runtime::Rust | Runtime::Java | Runtime::Static => 8080,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(items: &[String]) -> String {
    toml::Value::from(items.to_vec()).to_string()
}

/// A word of a command line that systemd hands over as it is.
fn exec_word(word: &str) -> String {
    match !word.is_empty() && is_plain(word) {
        true => escaped(word),
        false => format!("\"{}\"", escaped(word)),
    }
}

/// Whether it needs no quotes in a command line.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    text.chars().all(plain)
}

/// Text for a quoted word: neither systemd's specifiers and variables, nor placeholders.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('{', "\\x7b");
    text.replace('%', "%%").replace('$', "$$")
}

/// Text of a project on one line of a comment or a terminal.
fn shown(text: &str) -> String {
    let keep = |c: char| matches!(c, '"' | '\'' | '\\');
    text.chars()
        .map(|c| {
            if keep(c) {
                c.to_string()
            } else {
                c.escape_debug().to_string()
            }
        })
        .collect()
}

/// The nearest name that a package may have whose unit is named like it: a unit's name holds no '+'.
fn package_name(text: &str) -> Option<PackageName> {
    // "@acme/web" is an npm scope and a name.
    let text = text.rsplit('/').next().unwrap_or(text).to_lowercase();
    let fixed: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    fixed.trim_matches(|c: char| !c.is_ascii_alphanumeric()).parse().ok()
}

/// The name that the directory itself suggests.
pub fn name_of(dir: &Path) -> Option<PackageName> {
    let full = std::path::absolute(dir).ok()?;
    package_name(&full.file_name()?.to_string_lossy())
}

/// A version as dpkg orders it: `1.0.0-rc.1` and `1.0.0rc1` come before `1.0.0`.
fn version(text: &str) -> Option<DebVersion> {
    let text = text.trim_start_matches('v');
    // In a tag a number behind a hyphen is a revision; to npm and Cargo it comes before, as all behind a hyphen does.
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let before = text.split_once('-').is_some_and(|(_, rest)| number(rest));
    match config::version_of_tag(text) {
        Some(version) if number(text) && !before => Some(version),
        // A word that no tag has: "1.0.0-final" comes before to them too, "1.0.0.post1" after to Python and to dpkg.
        _ => text.replace('-', "~").parse().ok(),
    }
}

/// A description as the control file wants it.
pub fn description(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let mut line = String::new();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        if line.chars().count() + word.chars().count() + 1 > 80 {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let line = line.trim_matches('.').trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The number at the start of a version range: `>=18.5.0 <21` gives `18.5`.
fn least(range: &str) -> Option<String> {
    let start = range.find(|c: char| c.is_ascii_digit())?;
    let number: String = range[start..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let mut parts: Vec<&str> = number.split('.').filter(|part| !part.is_empty()).collect();
    while parts.len() > 1 && parts.last() == Some(&"0") {
        parts.pop();
    }
    (!range[..start].contains('<') && !parts.is_empty()).then(|| parts.join("."))
}

/// Directories that programs read while they run, unless they are compiled in.
const READ_BY_PROGRAMS: &[&str] = &[
    "assets",
    "config",
    "locales",
    "migrations",
    "public",
    "static",
    "templates",
];

/// Says what lies beside a program's code and not in its release.
fn left_behind(dir: &look::Dir, seen: &mut Seen) {
    let mut names = READ_BY_PROGRAMS.to_vec();
    names.retain(|name| dir.has_dir(name) && !dir.has_dir(&format!("{}/{name}", seen.source)));
    if !names.is_empty() {
        seen.notes.push(format!(
            "the release is {}/, without {}: what of them the program reads while it runs has to be copied there before `relpack build`",
            seen.source,
            names.join(", ")
        ));
    }
}

/// What never belongs into a release. One pattern, so that it is no warning when a part of it matches nothing yet.
fn leave_out(more: &[&str]) -> String {
    leave_out_but("", more)
}

/// The same, but for a directory that has a name of these and is the release's.
fn leave_out_but(own: &str, more: &[&str]) -> String {
    let common = [
        "relpack.toml",
        "relpack.lock",
        // Where the README has the schema for editors.
        ".relpack.schema.json",
        ".git",
        ".gitignore",
        ".github",
        ".env",
        ".env.*",
    ];
    let all = common.into_iter().chain(more.iter().copied());
    let all: Vec<&str> = all.filter(|name| *name != own).collect();
    format!("{{{}}}", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_versions_and_descriptions_become_what_debian_takes() {
        for (text, expected) in [
            ("@acme/Web_App", Some("web-app")),
            ("x", None),
            ("_a.b_", Some("a.b")),
            ("a+b", Some("a-b")),
        ] {
            assert_eq!(package_name(text).as_ref().map(PackageName::as_str), expected, "{text}");
        }
        for (text, expected) in [
            ("v1.0.0-rc.1", "1.0.0~rc.1"),
            ("1.0.0rc1", "1.0.0~rc1"),
            ("1.0.0a1", "1.0.0~a1"),
            ("1.0.0b2", "1.0.0~b2"),
            ("1.0.0.dev3", "1.0.0~dev3"),
            ("1.2-SNAPSHOT", "1.2~SNAPSHOT"),
            ("1.0.0-0", "1.0.0~0"),
            ("1.0.0-foo.3", "1.0.0~foo.3"),
            ("1.0.0.post1", "1.0.0.post1"),
            ("1.0.0+build.5", "1.0.0+build.5"),
            ("1.0.0", "1.0.0"),
        ] {
            assert_eq!(version(text).unwrap().as_str(), expected, "{text}");
        }
        for text in ["latest", "", "${revision}", "acme-1.0"] {
            assert!(version(text).is_none(), "{text}");
        }
        for (text, expected) in [
            ("chat.js", "chat-js"),
            ("1x", "app-1x"),
            ("0.a", "app-0-a"),
            ("root", "app-root"),
            (
                "customer-notification-preferences-service",
                "customer-notification-preferenc",
            ),
            ("a-service-whose-name-is-so-lon-g", "a-service-whose-name-is-so-lon"),
        ] {
            assert_eq!(user_name(text), expected);
            assert!(user_name(text).parse::<UserName>().is_ok());
            assert!(user(&text.parse().unwrap()).contains(expected));
        }
        assert_eq!(user(&"acme-web".parse().unwrap()), "");
        assert_eq!(description("  A\nweb \u{1b} app. ").as_deref(), Some("A web app"));
        assert_eq!(description(&"word ".repeat(40)).unwrap().len(), 79);
        assert_eq!(description(" . "), None);
        for (range, expected) in [
            (">=18.5.0 <21", Some("18.5")),
            ("^20", Some("20")),
            ("<21", None),
            ("*", None),
        ] {
            assert_eq!(least(range).as_deref(), expected, "{range}");
        }
    }

    #[test]
    fn words_reach_the_program_as_they_are() {
        assert_eq!(exec_word("server.js"), "server.js");
        assert_eq!(exec_word("a b"), "\"a b\"");
        assert_eq!(exec_word("100%$x\""), "\"100%%$$x\\\"\"");
        assert_eq!(exec_word(""), "\"\"");
    }

    #[test]
    fn hostile_texts_stay_values() {
        let mut seen = Seen::new(Runtime::Node);
        seen.exec = "/usr/bin/node \"a\\\" b\"".to_owned();
        seen.depends = vec!["nodejs".to_owned()];
        let answers = Answers {
            name: "acme".parse().unwrap(),
            maintainer: "A \"B\" @NAME@ <a@b.example>".to_owned(),
            description: "'''\"\"\" \\ [units]".to_owned(),
            port: None,
        };
        for runtime in Runtime::ALL {
            seen.runtime = *runtime;
            let text = render(&seen, &answers).unwrap();
            let table: toml::Table = text.parse().unwrap();
            assert_eq!(
                table["package"]["description"].as_str(),
                Some(answers.description.as_str())
            );
            assert_eq!(
                table["package"]["maintainer"].as_str(),
                Some(answers.maintainer.as_str())
            );
            let exec = table["units"]["acme.service"]["Service"]["ExecStart"].as_str();
            assert_eq!(exec, Some(seen.exec.as_str()));
        }
    }
}
