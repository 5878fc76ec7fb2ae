//! Owns `relpack.toml`: read with the place of every value, checked as a whole, resolved with all defaults applied last.

mod assemble;
mod deploy;
mod diagnostics;
mod documents;
mod file;
mod files;
mod from_cargo;
mod git;
mod host_links;
mod instances;
mod lints;
mod lock_file;
mod package;
mod places;
mod reader;
mod ready_made;
mod relation;
mod resolved;
mod strategies;
mod travel;
mod tree_places;
mod unit_places;
mod units;

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use toml::de::DeTable;

use crate::model::{DebVersion, Suite, ValueError};

pub use diagnostics::{Diagnostics, Problem, render, to_json};
pub use documents::{Documents, License};
pub use from_cargo::Taken;
pub use lints::Lints;
pub use lock_file::{Lock, Locked, NeedKind};
pub use package::{PRIORITIES, maintainer_problem};
pub use relation::Relation;
pub use resolved::{
    Check, Config, ConfigFile, Deploy, Directory, Env, HostLink, LinkTarget, Migrate, Package, Payload, Proxy, Release,
    Secrets, Shared, Strategy, User,
};

pub use tree_places::ScanKey;

use diagnostics::Source;
use reader::Doc;

/// The version that a tag of this name would give, where it gives one.
pub(crate) fn version_of_tag(tag: &str) -> Option<DebVersion> {
    git::of_tag(tag).ok()
}

/// What is said elsewhere than in the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--version`
    pub version: Option<Version>,
    /// What the lock file's packages are of: the target where the file has none.
    pub locked_on: Option<Suite>,
}

/// A version as it is asked for.
#[derive(Debug, Clone)]
pub enum Version {
    /// `git`: what the newest tag and the commits behind it say.
    Git,
    /// This one.
    Exactly(DebVersion),
}

impl FromStr for Version {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "git" => Ok(Version::Git),
            _ => text.parse().map(Version::Exactly),
        }
    }
}

/// Reads, checks and resolves a configuration and its lock file; on failure, all that is wrong with it at once.
pub fn load(path: &Path, mut overrides: Overrides) -> Result<Config, Diagnostics> {
    let lock = lock_file::read(&Lock::path_of(path));
    if let Ok(Some(lock)) = &lock {
        overrides.locked_on = lock.binds_to();
    }
    let mut config = load_without_lock(path, overrides)?;
    config.lock = lock?;
    Ok(config)
}

/// The same without the lock file, which may be about to be replaced.
pub fn load_without_lock(path: &Path, overrides: Overrides) -> Result<Config, Diagnostics> {
    let text = file::read_text(path)?;
    let dir = std::path::absolute(path)
        .ok()
        .and_then(|full| full.parent().map(Path::to_owned))
        .ok_or_else(|| Diagnostics::of_file(path, "the path names no file"))?;
    parse(path, &dir, &text, &overrides)
}

fn parse(path: &Path, dir: &Path, text: &str, overrides: &Overrides) -> Result<Config, Diagnostics> {
    let source = Source::new(path, text);
    let doc = Doc::new(Arc::clone(&source));
    let (root, errors) = DeTable::parse_recoverable(text);
    let broken = syntax_problems(&source, &errors);
    let intact = broken.is_empty();
    let taken = match intact {
        true => from_cargo::take(&doc, root.get_ref(), dir, path.parent().unwrap_or(Path::new(""))),
        false => Ok(None),
    };
    let config = taken.as_ref().ok().and_then(|cargo| {
        let root = cargo.as_ref().map_or(root.get_ref(), |cargo| &cargo.root);
        let mut config = assemble::config(&doc, root, path, dir, overrides, intact)?;
        config.release.cargo = cargo.as_ref().map(|cargo| cargo.taken.clone());
        Some(config)
    });
    let mut problems = doc.into_problems();
    if !intact {
        // What a broken line left behind is not what its author meant.
        let lines: BTreeSet<_> = broken.iter().map(|p| source.line_of(p.start())).collect();
        let behind = |p: &Problem| p.is_in(&source) && lines.contains(&source.line_of(p.start()));
        problems.retain(|p| !p.is_contextual() && !behind(p));
        problems.extend(broken.into_iter().map(|p| p.placed(&source, 0)));
    }
    let failed = problems.iter().any(|p| !p.is_warning());
    match config {
        Some(mut config) if !failed => {
            let warnings = Diagnostics::new(problems).into_problems();
            config.warnings = config.lints.filter(warnings);
            Ok(config)
        }
        _ if failed => {
            problems.retain(|p| !p.is_warning());
            let found = Diagnostics::new(problems);
            Err(match taken {
                Err(wrong) if wrong.environment => found.environment(),
                _ => found,
            })
        }
        _ => Err(Diagnostics::of_file(
            path,
            "the configuration could not be resolved, for no reason that relpack can name (hint: this is an error of relpack)",
        )),
    }
}

/// The parser's own errors, one a line: what follows on the same line is a consequence.
fn syntax_problems(source: &Source, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut lines = BTreeSet::new();
    let mut problems = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = source.line_of(span.start);
        if !lines.insert(line) {
            continue;
        }
        let message = error.message();
        // Where anything in quotes would do, the parser names one kind only.
        let message = message.strip_suffix(", expected literal string").unwrap_or(message);
        let number = source.word_at(span.start);
        let help = if message.contains("leading zero") && number.bytes().all(|b| b.is_ascii_digit()) {
            &format!("put it in quotes: \"{number}\"")
        } else if message.contains("duplicate key") {
            "a key or table stands only once: join the two, or remove one"
        } else if message.contains("quote") || message.contains("string") {
            "put text in quotes, and end it on the same line: key = \"value\""
        } else if message.contains('=') {
            "write key = value; a name with a dot or a space goes in quotes"
        } else {
            "TOML: key = value, text in quotes, lists in [ ], tables as [name] on a line of their own"
        };
        problems.push(Problem::new(span, format!("TOML: {message}")).help(help));
    }
    problems
}
