//! `relpack lock`: resolves what a release needs to Debian packages and writes that beside the configuration.

use std::io::Write;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::config::{self, Lock, Overrides, Version};
use crate::lock::{self, Root};
use crate::output::{self, OutputDir};
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
    json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let file = args.directory.join(&args.config);
    // A lock is of no version, and one that can't be read is replaced.
    let version = Some(Version::Exactly("0".parse().expect("a number is a version")));
    let config = config::load_without_lock(&file, Overrides { version })?;
    report::warn_config(&config.warnings);
    let (tree, warnings) = inputs::scan(&config).map_err(Failure::inputs)?;
    warnings.iter().for_each(report::warn);
    let (arch, needs) = plan::needs(&config, &tree).map_err(Failure::inputs)?;
    let root = Root::open(&args.root, arch).map_err(|error| Failure::input(&error))?;
    let resolved = lock::resolve(&needs, arch, &root).map_err(Failure::inputs)?;
    resolved.warnings.iter().for_each(report::warn);
    let path = Lock::path_of(&file);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = path.parent().unwrap_or(&args.directory);
    let dir = if dir.as_os_str().is_empty() {
        std::path::Path::new(".")
    } else {
        dir
    };
    let mut out = OutputDir::create(dir)
        .and_then(|dir| dir.begin(&name))
        .map_err(|error| Failure::environment(&error))?;
    out.write_all(resolved.lock.render().as_bytes())
        .map_err(|error| Failure::environment(&error))?;
    output::commit(vec![out]).map_err(|error| Failure::environment(&error))?;
    if args.json {
        report::out(&format!("{:#}\n", report::lock_json(&path, &resolved.lock)))
    } else {
        report::out(&report::lock_text(&path, &resolved.lock))
    }
}
