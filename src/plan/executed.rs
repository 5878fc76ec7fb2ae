//! Finds the files of the release that units execute, and checks that they are there.

use crate::config::{Check, Config};
use crate::model::{AbsPath, Lint, TreePath};
use crate::systemd::{DropIn, Entry, Health, Origin, Section, Unit, UnitError, UnitFile, exec, quoted_words};
use crate::tree::{Led, Node, Tree};

use super::below_prefix::{BelowPrefix, meant};
use super::{PlanError, shebang};

/// One command of a unit.
#[derive(PartialEq)]
pub struct Executed {
    /// Where it is said.
    found: UnitError,
    /// The program, as a path in the release.
    pub path: String,
}

/// Every program below `{app}` that a unit executes, by itself or with `env`.
pub fn executed(units: &[Unit], drop_ins: &[DropIn], prefix: &AbsPath) -> Vec<Executed> {
    let mut found = Vec::new();
    for command in commands(units, drop_ins) {
        let Some(program) = command.program() else { continue };
        let Some(path) = exec::in_release(&program, prefix) else {
            continue;
        };
        if path.contains('%') {
            continue; // only the host knows what a specifier becomes
        }
        let command = Executed {
            path: path.to_owned(),
            found: command.place,
        };
        // A migration has two units.
        if !found.contains(&command) {
            found.push(command);
        }
    }
    found
}

/// One command of an `Exec…=` line.
struct Command<'a> {
    /// Where it is said.
    place: UnitError,
    /// The unit.
    unit: String,
    is_generated: bool,
    /// That of `ExecStart=`.
    is_main: bool,
    line: exec::Command,
    /// Whether the unit says itself where programs are looked up.
    has_own_path: bool,
    /// The unit's directory; a drop-in is not asked for that of its unit.
    work: Option<&'a str>,
}

impl Command<'_> {
    /// The whole path of what is started; `None` where only the host knows.
    fn program(&self) -> Option<String> {
        let (program, _) = self.line.started()?;
        match self.line.is_looked_up() {
            true => None,
            false => self.seen_from_work(program),
        }
    }

    /// A path as the program sees it that stands in the unit's directory.
    fn seen_from_work(&self, path: &str) -> Option<String> {
        if path.starts_with('/') || path.starts_with('%') {
            return Some(path.to_owned());
        }
        let work = self
            .work
            .filter(|work| work.starts_with('/') && !self.line.is_elsewhere())?;
        Some(format!(
            "{}/{}",
            work.trim_end_matches('/'),
            path.trim_start_matches("./")
        ))
    }
}

fn commands<'a>(units: &'a [Unit], drop_ins: &'a [DropIn]) -> Vec<Command<'a>> {
    let texts = units.iter().filter(|unit| !unit.is_trial()).map(|unit| {
        let (origin, file) = origin(unit);
        let work = file.get("Service", "WorkingDirectory");
        (origin, unit.name.to_string(), file, work)
    });
    let added = drop_ins
        .iter()
        .map(|drop_in| (Origin::DropIn(drop_in.path()), drop_in.path(), &drop_in.file, None));
    let mut found = Vec::new();
    for (origin, unit, file, work) in texts.chain(added) {
        let Some(service) = file.section("Service") else {
            continue;
        };
        found.extend(exec::commands(service).into_iter().map(|(at, entry, line)| Command {
            place: place(&origin, service, at, entry),
            unit: unit.clone(),
            is_generated: origin == Origin::Migrate,
            is_main: entry.key == "ExecStart",
            line,
            has_own_path: sets_path(file),
            work,
        }));
    }
    found
}

fn sets_path(file: &UnitFile) -> bool {
    let lines = file.get_list("Service", "Environment").into_iter();
    lines.flat_map(quoted_words).any(|word| word.starts_with("PATH="))
}

/// Where the entry, the section's `at`th, is said.
fn place(origin: &Origin, service: &Section, at: usize, entry: &Entry) -> UnitError {
    let place = UnitError::of(origin, "", "");
    if *origin == Origin::Migrate {
        return place.at_key("exec");
    }
    let before = service.entries[..at].iter();
    place.at_entry("Service", entry, before.filter(|other| other.key == entry.key).count())
}

fn origin(unit: &Unit) -> (Origin, &UnitFile) {
    let origin = if unit.generated {
        Origin::Migrate
    } else {
        Origin::Unit(unit.name.clone())
    };
    (origin, &unit.file)
}

/// Every program outside of the release that a unit executes, with the unit.
pub fn outside(units: &[Unit], drop_ins: &[DropIn]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // What a generated unit has beside its program is relpack's own.
    let of_user = |command: &Command<'_>| !command.is_generated || command.is_main;
    for command in commands(units, drop_ins).into_iter().filter(of_user) {
        let Some((started, _)) = command.line.started() else {
            continue;
        };
        let program = match command.line.is_looked_up() {
            true if command.has_own_path => continue,
            true => format!("/usr/bin/{started}"),
            false => started.to_owned(),
        };
        if ["/usr/", "/bin/", "/sbin/"].iter().any(|top| program.starts_with(top)) && !program.contains('%') {
            found.push((command.unit, program));
        }
    }
    found
}

/// The programs of the release by which a deploy judges a unit: `Health = "exec:…"` and `[deploy] check`.
pub fn judging(config: &Config) -> Vec<Executed> {
    let of_release = judges(config).into_iter().filter_map(|(found, word)| {
        let path = exec::in_release(&word, &config.release.prefix)?.to_owned();
        Some(Executed { found, path })
    });
    of_release.collect()
}

/// All such programs, wherever they lie: where each is said, and its absolute path.
fn judges(config: &Config) -> Vec<(UnitError, String)> {
    let mut found = Vec::new();
    for unit in &config.units {
        if let Some(Health::Exec { command }) = &unit.relpack.health
            && let Some(word) = quoted_words(command).into_iter().next()
        {
            let place = UnitError::of(&Origin::Unit(unit.name.clone()), "", "");
            found.push((place.at("X-Relpack", "Health"), word));
        }
    }
    if let Some(Check::Command(command)) = &config.deploy.check
        && let Some(word) = quoted_words(command).into_iter().next()
    {
        let path = match word.starts_with('/') {
            true => word,
            false => format!("{}/app/{}", config.release.prefix, word.trim_start_matches("./")),
        };
        found.push((UnitError::of(&Origin::Deploy, "", "").at_key("check"), path));
    }
    found
}

/// The programs, and what interpreters are given, that no host has.
pub fn nowhere(config: &Config, tree: &Tree) -> Vec<PlanError> {
    let places = BelowPrefix::of(config);
    let mut found: Vec<UnitError> = Vec::new();
    let mut program = |place: UnitError, path: &str| {
        let error = places.runs_nowhere(path).map(|below| {
            let app = format!("{}/app", places.prefix);
            let hint = match meant(tree, &below) {
                Some(own) => format!("write \"{own}\": units see the release at {app}"),
                None if places.holds(path) => {
                    format!("units see the release at {app}: write the program's path in it, without a leading \"/\"")
                }
                None => ELSEWHERE.to_owned(),
            };
            no_host_has(place, "runs", path, hint)
        });
        add(&mut found, error);
    };
    let commands = commands(&config.units, &config.drop_ins);
    for command in &commands {
        if let Some(path) = command.program() {
            program(command.place.clone(), &path);
        }
    }
    for (place, path) in judges(config) {
        program(place, &path);
    }
    for command in commands {
        let error = given(&command, &places, tree).and_then(|path| {
            let below = places.runs_nowhere(&path)?;
            let hint = match places.holds(&path) || meant(tree, &below).is_some() {
                true => in_app(tree, &below),
                false => ELSEWHERE.to_owned(),
            };
            Some(no_host_has(command.place, "runs", &path, hint))
        });
        add(&mut found, error);
    }
    plan_errors(found)
}

/// What to do about a program in somebody's home that the release doesn't have.
const ELSEWHERE: &str = "let the build put it into the release and write its path there, without a leading \"/\"; what hosts have of their own belongs below /usr/local";

/// The whole path of the file that a command's interpreter is given, where the unit's directory tells it.
fn given(command: &Command<'_>, places: &BelowPrefix<'_>, tree: &Tree) -> Option<String> {
    let path = command.seen_from_work(&script(&command.line)?)?;
    // What is wrong with the directory is said of the directory.
    let in_work = command
        .work
        .is_some_and(|work| path.starts_with(work) && places.nowhere(work).is_some());
    (!in_work).then(|| climbed(&path, places.prefix, tree)).flatten()
}

/// The path without "." and "..". `None` where these follow a link or a specifier, so that only the host knows.
fn climbed(path: &str, prefix: &AbsPath, tree: &Tree) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part != ".." {
            parts.push(part);
            continue;
        }
        let above = format!("/{}", parts.join("/"));
        let is_link = || {
            let own = exec::in_release(&above, prefix).and_then(|own| own.parse::<TreePath>().ok());
            own.is_some_and(|own| matches!(tree.get(&own), Some(Node::Symlink(_))))
        };
        if above.contains('%') || above == format!("{prefix}/current") || is_link() {
            return None;
        }
        parts.pop();
    }
    Some(format!("/{}", parts.join("/")))
}

/// That a directive names what no host has.
pub fn no_host_has(place: UnitError, verb: &str, path: &str, hint: String) -> UnitError {
    let key = place.key.as_deref().unwrap_or_default();
    UnitError {
        message: format!("{} {path}, which no host has", said(key, verb)),
        hint,
        ..place.named(Lint::ExecMissing)
    }
}

pub fn plan_errors(found: Vec<UnitError>) -> Vec<PlanError> {
    let errors = found.into_iter().map(|error| PlanError::Unit(Box::new(error)));
    errors.collect()
}

/// What interpreters are given to run, and the directories in which units run, where the release doesn't have them.
pub fn missing(config: &Config, tree: &Tree) -> Vec<PlanError> {
    let places = BelowPrefix::of(config);
    let prefix = places.prefix;
    let mut found: Vec<UnitError> = Vec::new();
    let is_missing =
        |directory: &str| below(directory, prefix).filter(|own| !own.is_empty() && !is_there(tree, own, &[""]));
    // That of a migration is the unit's that it is like.
    for unit in config.units.iter().filter(|unit| !unit.generated) {
        let (origin, file) = origin(unit);
        if let Some(work) = file.get("Service", "WorkingDirectory").and_then(is_missing) {
            let message = format!("WorkingDirectory= is {work}, which is not in the release");
            let place = UnitError::of(&origin, message, "").at("Service", "WorkingDirectory");
            found.push(not_there(place));
        }
    }
    for command in commands(&config.units, &config.drop_ins) {
        // One mistake, said above.
        if command.work.and_then(is_missing).is_some() {
            continue;
        }
        let Some(path) = given(&command, &places, tree).and_then(|path| below(&path, prefix)) else {
            continue;
        };
        // Node.js takes a module by its name alone.
        let program = command.line.started().map_or("", |(program, _)| program);
        let suffixes: &[&str] = if program.ends_with("node") || program.ends_with("nodejs") {
            &["", ".js", ".cjs", ".mjs", ".json"]
        } else {
            &[""]
        };
        if path.is_empty() || is_there(tree, &path, suffixes) {
            continue;
        }
        let place = command.place;
        let key = place.key.as_deref().unwrap_or_default();
        let error = UnitError {
            message: format!("{} {path}, which is not in the release", said(key, "runs")),
            ..place
        };
        add(&mut found, Some(not_there(error)));
    }
    plan_errors(found)
}

/// A directive is named before what it does; a key of the configuration is named before the whole message.
fn said(key: &str, verb: &str) -> String {
    match key.starts_with(char::is_uppercase) {
        true => format!("{key}= {verb}"),
        false => verb.to_owned(),
    }
}

/// Each once: a migration has two units.
fn add(found: &mut Vec<UnitError>, error: Option<UnitError>) {
    let new = error.filter(|error| !found.contains(error));
    found.extend(new);
}

/// What to write instead of a path that no host has, where only an absolute one will do.
pub fn in_app(tree: &Tree, below: &str) -> String {
    match meant(tree, below) {
        Some(own) => format!("write \"{{app}}/{own}\""),
        None => "write \"{app}/…\" for what is in the release, or \"{shared}/…\" for what outlives it".to_owned(),
    }
}

pub fn not_there(error: UnitError) -> UnitError {
    UnitError {
        hint: NOT_THERE.to_owned(),
        ..error.named(Lint::ExecMissing)
    }
}

const NOT_THERE: &str = "build it first, or check release.source and release.exclude";

/// The path in the release, where this is one of the places where units see it; empty for the release itself.
fn below(path: &str, prefix: &AbsPath) -> Option<String> {
    let path = format!("{}/", path.trim_end_matches('/'));
    exec::in_release(&path, prefix).map(|below| below.trim_end_matches('/').to_owned())
}

/// The file that an interpreter is given as its first word; `None` where options or the host decide.
fn script(line: &exec::Command) -> Option<String> {
    const INTERPRETERS: &[&str] = &["node", "nodejs", "python", "ruby", "perl", "php", "sh", "bash", "dash"];
    let (program, words) = line.started()?;
    let name = program.rsplit('/').next()?;
    let first = if name == "java" {
        (words.first()? == "-jar").then(|| words.get(1)).flatten()?
    } else if INTERPRETERS.contains(&name) || name.starts_with("python3") {
        words.first()?
    } else {
        return None;
    };
    (!first.starts_with(['-', '$', '%']) && !first.contains(['$', '%'])).then(|| first.clone())
}

pub fn is_there(tree: &Tree, path: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        let path = format!("{path}{suffix}");
        let led = path.parse::<TreePath>().map(|path| tree.follow(&path));
        matches!(led, Ok(Led::Here(..) | Led::Outside))
    })
}

/// What is missing or not executable.
pub fn check(executed: &[Executed], tree: &Tree, places: &BelowPrefix<'_>) -> Vec<PlanError> {
    let found = executed.iter().map(|command| problem(command, tree, places));
    found.filter_map(|found| found.unwrap_or_else(Some)).collect()
}

/// A finding's name, what is wrong, and what to do.
type Finding = (Lint, String, String);

fn problem(command: &Executed, tree: &Tree, places: &BelowPrefix<'_>) -> Result<Option<PlanError>, PlanError> {
    let path = &command.path;
    let led = path.parse::<TreePath>().map_or(Led::Nowhere, |path| tree.follow(&path));
    let finding = match &led {
        Led::Outside => None,
        Led::Nowhere | Led::Here(_, Node::Dir) => Some((
            Lint::ExecMissing,
            "is not in the release".to_owned(),
            if path.contains('/') {
                NOT_THERE.to_owned()
            } else {
                format!(
                    "a program of the host needs its whole path, such as \"/usr/bin/{path}\"; one of the release: {NOT_THERE}"
                )
            },
        )),
        Led::Here(at, Node::File(file)) if !file.executable => Some((
            Lint::ExecNotExecutable,
            "is not executable".to_owned(),
            format!("chmod +x {at}"),
        )),
        Led::Here(at, Node::File(file)) => match shebang::refusal(at, file)? {
            Some((problem, hint)) => Some((Lint::ExecNotExecutable, problem, hint)),
            None => shebang::interpreter(at, file)?.and_then(|program| interpreted(at, &program, tree, places)),
        },
        Led::Here(_, Node::Symlink(_)) => None,
    };
    let Some((lint, problem, hint)) = finding else {
        return Ok(None);
    };
    let key = command.found.key.as_deref().unwrap_or_default();
    let found = UnitError {
        message: format!("{} {path}, which {problem}", said(key, "runs")),
        hint,
        ..command.found.clone()
    };
    Ok(Some(PlanError::Unit(Box::new(found.named(lint)))))
}

/// What is wrong with the interpreter that a script names.
fn interpreted(script: &TreePath, program: &str, tree: &Tree, places: &BelowPrefix<'_>) -> Option<Finding> {
    let prefix = places.prefix;
    // It is a script's word, which may hold anything.
    let shown = program.escape_debug();
    if let Some(own) = exec::in_release(program, prefix) {
        return (!is_there(tree, own, &[""])).then(|| {
            (
                Lint::ExecMissing,
                format!("begins with #!{shown}, which is not in the release"),
                NOT_THERE.to_owned(),
            )
        });
    }
    if let Some(own) = shebang::moved(tree, script, program) {
        return Some((
            Lint::ExecInterpreterMoved,
            format!("begins with #!{shown}: no host has that, the release has {own}"),
            format!(
                "name that one (\"{own} -m …\", \"{own} {script} …\"), or let the script begin with #!{prefix}/app/{own}"
            ),
        ));
    }
    places.runs_nowhere(program)?;
    let name = program.rsplit('/').next().unwrap_or_default().escape_debug();
    Some((
        Lint::ExecInterpreterMoved,
        format!("begins with #!{shown}: no host has that"),
        format!(
            "let it begin with one that hosts have, such as #!/usr/bin/env {name}, or name that in front of it: \"/usr/bin/{name} {script}\""
        ),
    ))
}
