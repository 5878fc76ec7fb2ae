//! `relpack diff`: what differs between two artifacts, and what an upgrade from one to the other does.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::archive::read::Artifact;
use crate::compare::{Difference, Side};
use crate::report::{self, Failure};

use super::inspect::failure;

/// Which artifacts.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// What hosts have.
    old: PathBuf,
    /// What they will get.
    new: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let open = |path: &PathBuf| {
        let artifact = Artifact::open(path)?;
        let release = artifact.release()?;
        Ok((artifact, release))
    };
    let old = open(&args.old).map_err(failure)?;
    let new = open(&args.new).map_err(failure)?;
    let [old, new] = [&old, &new].map(|(artifact, release)| Side { artifact, release });
    if let [Some(first), Some(second)] = [old, new].map(Side::package)
        && first != second
    {
        return Err(Failure::input(&OtherPackage { first, second }));
    }
    let difference = Difference::of(old, new);
    if args.json {
        report::out(&format!("{:#}\n", report::difference_json(&difference)))
    } else {
        report::out(&report::difference_text(&difference))
    }
}

/// What hosts get of one is installed beside the other.
#[derive(Debug, thiserror::Error)]
#[error(
    "{first} and {second} are different packages, and no host goes from one to the other (hint: give two versions of one package)"
)]
struct OtherPackage {
    first: String,
    second: String,
}
