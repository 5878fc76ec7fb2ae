//! `relpack lock`: resolves what a release needs to Debian packages and writes that beside the configuration.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::config::{self, Config, Diagnostics, Lock, NeedKind, Overrides, Version};
use crate::lock::{self, Root};
use crate::model::Suite;
use crate::output;
use crate::plan;
use crate::report::{self, Failure};

use super::inputs;

/// What to resolve, and where.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Work as if started in DIR.
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The configuration, relative to DIR; the lock file lies beside it.
    #[arg(long, value_name = "FILE", default_value = "relpack.toml")]
    config: PathBuf,
    /// The root of a Debian release whose packages count; nothing in it is run.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let file = args.directory.join(&args.config);
    let suite = lock::suite_of(&args.root).map_err(|error| Failure::input(&error))?;
    let config = load(&file, &suite)?;
    report::warn_config(&config.warnings);
    let tree = inputs::files(&config)?;
    let (arch, needs) = plan::needs(&config, &tree).map_err(Failure::inputs)?;
    let root = Root::open(&args.root, arch).map_err(|error| Failure::input(&error))?;
    let target = config.package.target;
    if config.package.target_is_given && root.suite() != target.as_str() {
        return Err(Failure::input(&OtherSuite {
            target,
            root: args.root.clone(),
            suite: root.suite().to_owned(),
        }));
    }
    let resolved = lock::resolve(&needs, arch, &root).map_err(Failure::inputs)?;
    resolved.warnings.iter().for_each(report::warn);
    let path = write(&file, &resolved.lock)?;
    if args.json {
        report::out(&format!("{:#}\n", report::lock_json(&path, &resolved.lock)))
    } else {
        report::out(&report::lock_text(&path, &resolved.lock))
    }
}

/// Writes the lock of a new configuration, by this machine's packages, where a build would want one. `None` where it
/// would not, and where the application is not built yet or can't be packed, which a build says better.
pub fn write_first(file: &Path) -> Option<Result<PathBuf, Failure>> {
    let config = load(file, &lock::suite_of(Path::new("/")).ok()?).ok()?;
    let (tree, _) = inputs::scan(&config).ok()?;
    let (arch, needs) = plan::needs(&config, &tree).ok()?;
    if !needs.needed.keys().any(|(kind, _)| *kind == NeedKind::Library) {
        return None;
    }
    let resolved = Root::open(Path::new("/"), arch)
        .map_err(|error| Failure::input(&error))
        .and_then(|root| lock::resolve(&needs, arch, &root).map_err(Failure::inputs));
    Some(resolved.and_then(|resolved| write(file, &resolved.lock)))
}

/// A lock is of no version, and one that can't be read is replaced. Without a target the package is for the suite that it is
/// locked for.
fn load(file: &Path, suite: &str) -> Result<Config, Diagnostics> {
    let overrides = Overrides {
        version: Some(Version::Exactly("0".parse().expect("a number is a version"))),
        locked_on: suite.parse().ok(),
    };
    config::load_without_lock(file, overrides)
}

/// Puts it beside the configuration.
fn write(file: &Path, lock: &Lock) -> Result<PathBuf, Failure> {
    let path = Lock::path_of(file);
    output::write(&path, lock.render().as_bytes()).map_err(|error| Failure::environment(&error))?;
    Ok(path)
}

/// What hosts of the target would not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "package.target is {target}, and {root:?} is {suite} (hint: give the root of a {target} with --root: mmdebstrap {target} DIR makes one; or correct package.target)"
)]
struct OtherSuite {
    target: Suite,
    root: PathBuf,
    suite: String,
}
