//! Owns what a Cargo project says of its package: `[package.metadata.deb]`, read by cargo-deb's library, which no other module
//! knows. Its authors call it experimental, so its version is pinned.

mod project;
mod staged;
mod workspace;

use std::io;
use std::path::{Path, PathBuf};

pub use project::{Project, read};
pub use staged::{Asset, AssetKind};
pub use workspace::UnitSettings;

/// Which package of which project.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The directory of its `Cargo.toml`, absolute.
    pub dir: &'a Path,
    /// A member of the workspace; without it, the only one that can be meant.
    pub package: Option<&'a str>,
    /// One of `[package.metadata.deb.variants]`.
    pub variant: Option<&'a str>,
    /// What it was built for, in rustc's words (`cargo build --target`).
    pub target: Option<&'a str>,
}

/// Why a project tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// Cargo is not there.
    #[error(
        "cargo can't be run: {0} (hint: install Rust's cargo on this machine, or name the finished build with source)"
    )]
    Tool(io::Error),
    /// What cargo says itself.
    #[error("cargo can't read the project in {dir:?}: {said} (hint: see what `cargo metadata` says there)")]
    Refused {
        /// Where it was asked.
        dir: PathBuf,
        /// Its message.
        said: String,
    },
    /// It answers with something else than JSON.
    #[error(
        "what `cargo metadata` prints in {dir:?} is not what it is documented to be (hint: see which program cargo is)"
    )]
    NotCargo {
        /// Where it was asked.
        dir: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// No member of the workspace has this name.
    #[error("the workspace has no package {name:?} (hint: {hint})")]
    NoMember {
        /// As asked for.
        name: String,
        /// Which there are.
        hint: String,
    },
    /// Several could be meant.
    #[error("the workspace has several packages, and none is named (hint: write package = \"…\" with one of {known})")]
    WhichMember {
        /// Their names.
        known: String,
    },
    /// No such variant.
    #[error("[package.metadata.deb] of {manifest:?} has no variant {name:?} (hint: {hint})")]
    NoVariant {
        /// The manifest.
        manifest: PathBuf,
        /// As asked for.
        name: String,
        /// Which there are.
        hint: String,
    },
    /// Cargo finds another directory of builds from where relpack was started.
    #[error(
        "cargo builds into {there:?} when it is started in {dir:?}, and into {here:?} from here (hint: start relpack in {dir:?})"
    )]
    TargetDir {
        /// The project.
        dir: PathBuf,
        /// As told there.
        there: PathBuf,
        /// As told here.
        here: PathBuf,
    },
    /// Nothing was built yet.
    #[error("{path:?}, which becomes {target:?}, is not built (hint: run `{command}`)")]
    NotBuilt {
        /// What is missing.
        path: PathBuf,
        /// Where a package puts it.
        target: PathBuf,
        /// What builds it.
        command: String,
    },
    /// A file that is no build's product.
    #[error(
        "{path:?}, which becomes {target:?}, matches no file (hint: correct the assets of [package.metadata.deb] in {manifest:?})"
    )]
    NoAsset {
        /// What is missing; may be a pattern.
        path: PathBuf,
        /// Where a package puts it.
        target: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// The library refuses the project.
    #[error("{said} (hint: correct [package.metadata.deb] in {manifest:?})")]
    Metadata {
        /// What it says.
        said: String,
        /// The manifest.
        manifest: PathBuf,
    },
    /// The library gave up on the project.
    #[error(
        "cargo-deb's library stumbled over the project (hint: correct [package.metadata.deb] in {manifest:?}, or name the finished build with source)"
    )]
    Panicked {
        /// The manifest.
        manifest: PathBuf,
    },
    /// An asset that no host could take.
    #[error("the asset {path:?} {problem}")]
    Asset {
        /// Where a package puts it, or where it is; what isn't UTF-8 is replaced.
        path: String,
        /// What is wrong, with a hint.
        problem: &'static str,
    },
    /// A file can't be read or written.
    #[error("can't {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl CargoError {
    /// Whether the machine is at fault, and not what was written.
    pub fn is_environment(&self) -> bool {
        matches!(self, CargoError::Tool(_) | CargoError::Io { .. })
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| CargoError::Io { action, path, source }
    }
}
