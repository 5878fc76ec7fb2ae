//! What `build` and `check` are given, and their common way from there to a plan.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Config, Diagnostics, Overrides, Problem, ScanKey, Version};
use crate::plan::PlanError;
use crate::report::{self, Failure};
use crate::source_date::{self, Origin, SourceDateError};
use crate::tree::{self, ScanError, ScanOptions, Tree};

/// Which application.
#[derive(Debug, Args)]
pub struct Inputs {
    /// Work as if started in DIR.
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// The configuration, relative to DIR.
    #[arg(long, value_name = "FILE", default_value = "relpack.toml")]
    pub config: PathBuf,
    /// The package's version, instead of the configuration's; `git` takes it from the newest tag.
    #[arg(long, value_name = "V")]
    pub version: Option<Version>,
}

impl Inputs {
    /// The configuration's path.
    pub fn file(&self) -> PathBuf {
        self.directory.join(&self.config)
    }

    /// The checked configuration.
    pub fn load(&self) -> Result<Config, Diagnostics> {
        let overrides = Overrides {
            version: self.version.clone(),
            ..Overrides::default()
        };
        config::load(&self.file(), overrides)
    }
}

/// What of a plan's errors has a place in the configuration, and the others.
pub fn placed(errors: Vec<PlanError>, config: &Config) -> (Vec<Problem>, Vec<PlanError>) {
    let (mut placed, mut others) = (Vec::new(), Vec::new());
    for error in errors {
        match &error {
            PlanError::Unit(found) => placed.extend(config.problem(found, false)),
            PlanError::NoVersion => {
                let problem = Problem::of_error(&config.file, &error);
                placed.push(config.at_key(ScanKey::Package, problem));
            }
            _ => others.push(error),
        }
    }
    (placed, others)
}

/// The files of the release.
pub fn scan(config: &Config) -> Result<(Tree, Vec<tree::Warning>), Vec<ScanError>> {
    let options = ScanOptions {
        package: &config.package.name,
        exclude: &config.release.exclude,
        shared_links: &config.shared.links,
        prefix: &config.release.prefix,
        allowed_secrets: &config.secrets.allow,
    };
    tree::scan(&config.release.source, &options)
}

/// What is wrong with the files, at the key that says so where one does.
pub fn scan_problem(error: &ScanError, config: &Config) -> Problem {
    let problem = Problem::of_error(config.release.shown(), error);
    let key = match error {
        ScanError::Root { .. } => ScanKey::Source,
        ScanError::Exclude { pattern, .. } => ScanKey::Exclude(pattern),
        ScanError::Link { path, .. } => ScanKey::Link(path.as_str()),
        _ => return problem,
    };
    config.at_key(key, problem)
}

/// What deserves a look, in the same way.
pub fn scan_warning(warning: &tree::Warning, config: &Config) -> Problem {
    let problem = Problem::of_file(config.release.shown(), warning.to_string()).warning();
    let key = match warning {
        tree::Warning::UnusedExclude(pattern) => ScanKey::Exclude(pattern),
        tree::Warning::UnusedAllow(path) => ScanKey::Secret(path),
        _ => return problem,
    };
    config.at_key(key, problem)
}

/// The files of the release, with the warnings printed.
pub fn files(config: &Config) -> Result<Tree, Failure> {
    let (tree, warnings) = scan(config).map_err(|errors| {
        let (placed, others): (Vec<_>, Vec<_>) = errors
            .into_iter()
            .map(|error| (scan_problem(&error, config), error))
            .partition(|(problem, _)| problem.position().is_some());
        let placed = placed.into_iter().map(|(problem, _)| problem).collect();
        Failure::problems(placed, others.into_iter().map(|(_, error)| error))
    })?;
    for warning in &warnings {
        let problem = scan_warning(warning, config);
        match problem.position() {
            Some(_) => report::warn_config(&[problem]),
            None => report::warn(warning),
        }
    }
    Ok(tree)
}

/// The time that all entries get, and a warning where it is a guess.
pub fn source_date(config: &Config, tree: &Tree) -> Result<(u64, Option<&'static str>), SourceDateError> {
    let on_disk = tree.files().filter_map(|(path, file)| match &file.source {
        tree::Source::Disk { root, .. } => Some(root.join(path.as_str())),
        tree::Source::Bytes(_) => None,
    });
    let files = std::iter::once(config.file.clone()).chain(on_disk);
    let (date, origin) = source_date::find(&config.dir, files)?;
    let guessed = (origin == Origin::Newest).then_some(
        "neither SOURCE_DATE_EPOCH nor a commit tells the time of this build, so the newest file's time is taken (hint: set SOURCE_DATE_EPOCH, or build in a git checkout, to get the same bytes everywhere)",
    );
    Ok((date, guessed))
}
