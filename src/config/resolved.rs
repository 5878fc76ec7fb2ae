//! Owns the resolved configuration: what the rest of relpack sees of `relpack.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::diagnostics::Problem;
use super::documents::Documents;
use super::from_cargo::Taken;
use super::lints::Lints;
use super::lock_file::Lock;
use super::tree_places::{ScanKey, ScanPlaces};
use super::unit_places::UnitPlaces;
use crate::model::{
    AbsPath, Arch, DebVersion, EnvName, PackageName, Packing, Seconds, Suite, TreePath, UnitName, UserName,
};
use crate::systemd;

/// A checked configuration with every default filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file as it was named.
    pub file: PathBuf,
    /// Its directory, absolute: what relative paths of the file start from.
    pub dir: PathBuf,
    /// `[package]`
    pub package: Package,
    /// `[release]`
    pub release: Release,
    /// `[user]`
    pub user: User,
    /// `[directories]`
    pub directories: Vec<Directory>,
    /// `[env]`
    pub env: Env,
    /// `[shared]`
    pub shared: Shared,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[units."…"]`, the ready-made files and what the migration needs, complete but for the release id.
    pub units: Vec<systemd::Unit>,
    /// `[instances]`, of the template `<name>@.service`.
    pub instances: systemd::Instances,
    /// The ready-made drop-ins of these units.
    pub drop_ins: Vec<systemd::DropIn>,
    /// The files of `[files]`, by path.
    pub files: Vec<ConfigFile>,
    /// The links of `[files]`, by path; none lies in another.
    pub links: Vec<HostLink>,
    /// Changelog, licence, manual pages and completions.
    pub documents: Documents,
    /// `[migrate]`
    pub migrate: Option<Migrate>,
    /// `[deploy]`
    pub deploy: Deploy,
    /// `[lints]`
    pub lints: Lints,
    /// `[lock] optional`: libraries by soname that needn't be there, and why.
    pub optional: BTreeMap<String, String>,
    /// `relpack.lock`, where there is one.
    pub lock: Option<Lock>,
    /// What is doubtful but builds, and isn't allowed.
    pub warnings: Vec<Problem>,
    pub(super) places: UnitPlaces,
    pub(super) scan_places: ScanPlaces,
}

impl Config {
    /// What was found in a unit, at its place in the configuration.
    pub fn problem(&self, found: &systemd::UnitError, warning: bool) -> Option<Problem> {
        self.places.problem(found, warning)
    }

    /// What the disk makes of a key, at its place in the configuration.
    pub fn at_key(&self, key: ScanKey<'_>, problem: Problem) -> Problem {
        self.scan_places.place(key, problem)
    }
}

/// What the control file and the copyright file say.
#[derive(Debug, Clone)]
pub struct Package {
    /// The package's name.
    pub name: PackageName,
    /// The version; `None` when neither the file nor the command line gives one.
    pub version: Option<DebVersion>,
    /// `Name <address>`
    pub maintainer: String,
    /// The description's first line.
    pub synopsis: String,
    /// The description's further lines as written, without the leading space of the control file; empty for a blank line.
    pub description: Vec<String>,
    /// `misc` unless given.
    pub section: String,
    /// `optional` unless given.
    pub priority: String,
    /// A web address.
    pub homepage: Option<String>,
    /// The licence's name for the copyright file.
    pub license: Option<String>,
    /// Who holds the copyright.
    pub copyright: Option<String>,
    /// `None`: what the build's programs tell.
    pub architecture: Option<Arch>,
    /// The oldest distribution release that hosts run; `bookworm` unless given.
    pub target: Suite,
    /// Whether the configuration names it.
    pub target_is_given: bool,
    /// Relations in dpkg's form, in the order of the file; so the following.
    pub depends: Vec<String>,
    /// `Recommends`
    pub recommends: Vec<String>,
    /// `Suggests`
    pub suggests: Vec<String>,
    /// `Conflicts`
    pub conflicts: Vec<String>,
    /// `Breaks`
    pub breaks: Vec<String>,
    /// `Replaces`
    pub replaces: Vec<String>,
    /// `Provides`
    pub provides: Vec<String>,
    /// Whether purge removes a `shared/` that the user filled.
    pub purge_shared: bool,
}

/// What goes into a release and where it lives.
#[derive(Debug, Clone)]
pub struct Release {
    /// The finished build, absolute; not checked to exist.
    pub source: PathBuf,
    /// The Cargo project that it is made of, where `cargo` names one.
    pub cargo: Option<Taken>,
    /// Globs relative to the source, `*` not crossing `/`.
    pub exclude: Vec<String>,
    /// How many releases a host keeps (at least 2).
    pub keep: u32,
    /// `/opt/<name>` unless given: letters, digits and `. _ - + /` only.
    pub prefix: AbsPath,
    /// Directory of ready-made unit files, absolute.
    pub units_dir: Option<PathBuf>,
    /// How it travels in a package.
    pub payload: Payload,
    /// How its archives are compressed.
    pub packing: Packing,
}

impl Release {
    /// What messages name as the place of its files.
    pub fn shown(&self) -> &Path {
        match &self.cargo {
            Some(project) => &project.manifest,
            None => &self.source,
        }
    }
}

/// How a release travels in a package. It is the same release either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// As files where they are few, else as an archive.
    Auto,
    /// As files that dpkg lists and checks.
    Files,
    /// As one compressed archive.
    Archive,
}

/// Whom the services run as.
#[derive(Debug, Clone)]
pub struct User {
    /// The package's name unless given.
    pub name: UserName,
    /// The user's name unless given.
    pub group: UserName,
    /// Whether the package makes user and group.
    pub create: bool,
    /// `{prefix}/shared` unless given.
    pub home: AbsPath,
}

/// A directory that the package makes on a host.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where.
    pub path: AbsPath,
    /// Permission bits: the owner has all, others can't write, no setuid, setgid or sticky bit.
    pub mode: u32,
    /// Its owner.
    pub user: UserName,
    /// Its group.
    pub group: UserName,
}

/// A configuration file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Where, below `/etc`.
    pub path: AbsPath,
    /// Permission bits; it belongs to root and the service's group.
    pub mode: u32,
    /// Whether a host's admin may edit it; else it says always what the release that serves says.
    pub conffile: bool,
    /// What it is at first.
    pub bytes: Vec<u8>,
}

/// A link on a host, outside of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLink {
    /// Where, below `/usr`.
    pub path: AbsPath,
    /// What it leads to.
    pub to: LinkTarget,
}

/// What a link on a host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// A path of the release, whichever is live; not checked to be there.
    Release(TreePath),
    /// A place of the host.
    Host(AbsPath),
}

/// The environment file of the services.
#[derive(Debug, Clone)]
pub struct Env {
    /// Variables that must be set before anything changes on a host.
    pub required: Vec<EnvName>,
    /// `{shared}/env` unless given.
    pub file: AbsPath,
    /// Whether there is such a file: `[env]` is given or a unit names it.
    pub present: bool,
}

/// State that outlives releases.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// A path in the release → a path below `shared/`; no link lies in another.
    pub links: BTreeMap<TreePath, String>,
}

/// What may be packed although it looks like a secret.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// A path in the release, with all that is below it → the reason.
    pub allow: BTreeMap<TreePath, String>,
}

/// The migration before a switch.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// The command as written.
    pub exec: String,
    /// The service whose user, environment and sandbox it gets.
    pub like: UnitName,
    /// Shorter than the deploy's.
    pub timeout: Seconds,
}

/// How an activation goes.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// How instances change.
    pub strategy: Strategy,
    /// For the whole activation.
    pub timeout: Seconds,
    /// How long a service without a check has to stay up.
    pub settle: Seconds,
    /// For one health check that doesn't say its own.
    pub health_timeout: Seconds,
    /// Who spreads the requests over the instances.
    pub proxy: Proxy,
    /// How long requests that are under way keep an instance from being stopped.
    pub drain: Seconds,
    /// How many health checks in a row an instance has to pass before it counts.
    pub successes: u32,
    /// What has to hold of a new instance before the others follow.
    pub check: Option<Check>,
    /// How long the first instance of a canary is watched.
    pub soak: Seconds,
    /// Percent of the requests that it gets from the proxy meanwhile; `None`: as many as each other.
    pub weight: Option<u32>,
    /// How long an instance says that it is not ready before it is stopped.
    pub lame_duck: Option<Seconds>,
    /// How many instances a roll changes at a time; fewer than there are.
    pub max_parallel: u32,
}

/// What a release asks of a new instance, besides its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A command of the release, run as the instance is, that has to succeed.
    Command(String),
    /// A GET that has to be answered within bounds.
    Http {
        /// May hold `{env.NAME}` and `{instance}`.
        url: String,
        /// The statuses that are right.
        status: std::ops::RangeInclusive<u16>,
        /// Milliseconds until the answer is there.
        within: u64,
    },
}

/// Who spreads requests over the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Somebody that relpack doesn't know.
    None,
    /// The host's nginx: relpack owns one upstream of it, named like the package.
    Nginx {
        /// An instance's address; may hold `{env.NAME}`.
        server: String,
    },
}

/// How the instances of a service change to a new release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Switch, restart, health.
    Recreate,
    /// One instance after the other, each gated by its health; then the switch.
    Rolling,
    /// The instance that doesn't run starts on the new release, the proxy changes over, the other one stops.
    BlueGreen,
    /// Rolling, but the first instance is watched for a while before the others follow.
    Canary,
    /// Switch, reload, health.
    Reload,
}

impl Strategy {
    /// Whether one instance serves while another one changes.
    pub fn by_instances(self) -> bool {
        matches!(self, Strategy::Rolling | Strategy::BlueGreen | Strategy::Canary)
    }
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Recreate,
            timeout: Seconds(600),
            settle: Seconds(5),
            health_timeout: Seconds(60),
            proxy: Proxy::None,
            drain: Seconds(30),
            successes: 1,
            check: None,
            soak: Seconds(60),
            weight: None,
            lame_duck: None,
            max_parallel: 1,
        }
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Strategy::Recreate => "recreate",
            Strategy::Rolling => "rolling",
            Strategy::BlueGreen => "blue-green",
            Strategy::Canary => "canary",
            Strategy::Reload => "reload",
        })
    }
}
