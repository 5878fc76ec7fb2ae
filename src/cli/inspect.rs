//! `relpack inspect`: what is in an artifact, for a person or a program.

use std::io;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::archive::read::{Artifact, ArtifactError};
use crate::report::{self, Failure};

/// Which artifact, and how to show it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A .deb, tar.zst, tar.xz or tar.gz that relpack built.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "manifest")]
    pub(super) json: bool,
    /// Print the release's manifest, as `sha256sum -c --strict` reads it.
    #[arg(long)]
    manifest: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let artifact = Artifact::open(&args.file).map_err(failure)?;
    let release = artifact.release().map_err(failure)?;
    if args.manifest {
        return report::out(release.manifest.as_str());
    }
    let contents = report::Contents::new(&artifact, &release);
    if args.json {
        report::out(&format!("{:#}\n", contents.json()))
    } else {
        report::out(&contents.text())
    }
}

/// A damaged artifact is wrong input, and so is a path that leads to none; a disk that can't be read is the machine.
pub fn failure(error: ArtifactError) -> Failure {
    let failure = match &error {
        ArtifactError::Io { source, .. } if !is_wrong_path(source) => Failure::environment(&error),
        _ => Failure::input(&error),
    };
    failure.of_file(error.path())
}

fn is_wrong_path(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | PermissionDenied)
}
