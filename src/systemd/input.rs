//! Owns what goes into the resolution of units, and the errors that come out of it.

use std::collections::BTreeMap;

use crate::model::{AbsPath, EnvName, InstanceName, Lint, PackageName, Seconds, UnitName, UserName};

use super::unit_file::{Entry, UnitFile};

/// A unit as the user wrote it.
#[derive(Debug, Clone)]
pub struct UnitInput {
    /// Its file name.
    pub name: UnitName,
    /// Its directives in the order written; deploy keys stand in the section `X-Relpack`.
    pub file: UnitFile,
}

/// `[defaults]` as the user wrote it.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The name of a preset.
    pub preset: Option<String>,
    /// Directives for every service: sections `Unit`, `Service`, `X-Relpack`.
    pub file: UnitFile,
}

/// `[migrate]` as the user wrote it.
#[derive(Debug, Clone)]
pub struct MigrateInput {
    /// The command line.
    pub exec: String,
    /// The service whose user, environment and sandbox it has.
    pub like: UnitName,
    /// How long it may take.
    pub timeout: Seconds,
}

/// What `[deploy]` asks of the units.
#[derive(Debug, Clone)]
pub struct DeployInput {
    /// How long all of an activation may take.
    pub timeout: Seconds,
    /// Whether only one of the instances serves at a time.
    pub one_at_a_time: bool,
    /// Whether the services that can be reloaded are.
    pub reload: bool,
    /// Whether a service is told before it is stopped.
    pub lame_duck: bool,
    /// The keys of `[deploy]` that hold an address of an instance, with their text; it may hold `{env.NAME}`.
    pub addresses: Vec<(&'static str, String)>,
}

/// Instances of the template that is named like the package, with the environment that each has of its own.
pub type Instances = BTreeMap<InstanceName, BTreeMap<EnvName, String>>;

/// What of the package the units depend on.
#[derive(Debug, Clone)]
pub struct Context {
    /// Owner of the units.
    pub package: PackageName,
    /// The package's one-line description: default of `Description=`.
    pub synopsis: String,
    /// `{prefix}`; `{app}` and `{shared}` lie below it.
    pub prefix: AbsPath,
    /// Default of `User=`.
    pub user: UserName,
    /// Default of `Group=`.
    pub group: UserName,
    /// Default of `EnvironmentFile=`; `Some` when `[env]` is present.
    pub env_file: Option<AbsPath>,
    /// Variables that the host checks to be set.
    pub env_required: Vec<EnvName>,
    /// Directories that the services may write although the system is read-only to them.
    pub writable: Vec<AbsPath>,
    /// `[instances]`, of the template named like the package.
    pub instances: Instances,
    /// `[deploy]`
    pub deploy: DeployInput,
    /// `[defaults]`
    pub defaults: Defaults,
    /// `[migrate]`
    pub migrate: Option<MigrateInput>,
    /// The target suite's systemd version, for example 252 for Debian 12.
    pub systemd: u32,
}

/// Where a unit error's text was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `[units."<name>"]`, or the ready-made file of this name.
    Unit(UnitName),
    /// A ready-made drop-in: `acme.service.d/10-x.conf`.
    DropIn(String),
    /// `[defaults]`
    Defaults,
    /// `[migrate]`
    Migrate,
    /// `[instances.<name>]`
    Instance(InstanceName),
    /// `[deploy]`
    Deploy,
    /// `[files]`
    Files,
}

/// What is wrong with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (hint: {hint})")]
pub struct UnitError {
    /// Which table or file.
    pub origin: Origin,
    /// The section, for example `Service`.
    pub section: Option<String>,
    /// The directive; for `Origin::Migrate`, `Origin::Deploy`, `Origin::Files` and for `preset` in `Origin::Defaults` the key of that table.
    pub key: Option<String>,
    /// Which of several assignments of the key, from 0.
    pub index: usize,
    /// Line of the file in which it was written, from 1.
    pub line: Option<usize>,
    /// A lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Its name, where it is a known mistake.
    pub lint: Option<Lint>,
}

/// What is suspicious about a unit; the same fields as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitWarning(pub UnitError);

impl Context {
    /// `{app}`: inside of a unit, its release.
    pub(crate) fn app(&self) -> String {
        format!("{}/app", self.prefix)
    }

    /// `{app}` of a unit that is reloaded: its mounts don't change then, so it follows the live release's link.
    pub(crate) fn current(&self) -> String {
        format!("{}/current", self.prefix)
    }

    /// `{shared}`: state that outlives releases.
    pub(crate) fn shared(&self) -> String {
        format!("{}/shared", self.prefix)
    }

    /// Whether this unit is the template of the package's instances.
    pub(crate) fn is_instances_template(&self, name: &UnitName) -> bool {
        !self.instances.is_empty() && name.is_template() && name.prefix() == self.package.as_str()
    }

    /// The generated unit that migrates before the switch.
    pub(crate) fn migrate_unit(&self) -> String {
        format!("{}-migrate.service", self.package)
    }

    /// The generated unit that migrates before the first start.
    pub(crate) fn first_start_unit(&self) -> String {
        format!("{}-first-start.service", self.package)
    }
}

/// Collects errors and warnings, each once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub errors: Vec<UnitError>,
    pub warnings: Vec<UnitWarning>,
}

impl Report {
    pub fn error(&mut self, error: UnitError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// That a section lacks something says nothing new where one of its directives could not be read.
    pub fn drop_what_follows(&mut self) {
        let unread: Vec<(Origin, Option<String>)> = self
            .errors
            .iter()
            .filter(|error| error.key.is_some())
            .map(|error| (error.origin.clone(), error.section.clone()))
            .collect();
        self.errors.retain(|error| {
            let lacks = error.key.is_none() && error.section.is_some();
            !lacks || !unread.contains(&(error.origin.clone(), error.section.clone()))
        });
    }

    pub fn warning(&mut self, warning: UnitError) {
        let warning = UnitWarning(warning);
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

impl UnitError {
    /// About a table or file as a whole.
    pub(crate) fn of(origin: &Origin, message: impl Into<String>, hint: impl Into<String>) -> UnitError {
        UnitError {
            origin: origin.clone(),
            section: None,
            key: None,
            index: 0,
            line: None,
            message: message.into(),
            hint: hint.into(),
            lint: None,
        }
    }

    /// About a section.
    pub(crate) fn in_section(mut self, section: &str) -> UnitError {
        self.section = Some(section.to_owned());
        self
    }

    /// About a directive of a section.
    pub(crate) fn at(mut self, section: &str, key: &str) -> UnitError {
        self.section = Some(section.to_owned());
        self.key = Some(key.to_owned());
        self
    }

    /// By name.
    pub(crate) fn named(mut self, lint: Lint) -> UnitError {
        self.lint = Some(lint);
        self
    }

    /// About one assignment, the `index`th of its directive.
    pub(crate) fn at_entry(mut self, section: &str, entry: &Entry, index: usize) -> UnitError {
        self.line = entry.line;
        self.index = index;
        self.at(section, &entry.key)
    }

    /// About a key of the origin's own table.
    pub(crate) fn at_key(mut self, key: &str) -> UnitError {
        self.key = Some(key.to_owned());
        self
    }
}
