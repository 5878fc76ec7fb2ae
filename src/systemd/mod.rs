//! Owns systemd unit files: the text model, the directive tables, the presets and the resolution into complete units.

mod check;
mod complete;
mod deploy;
pub mod directives;
mod drop_in;
pub mod exec;
mod input;
mod layers;
mod migrate;
#[cfg(test)]
mod package_tests;
mod placeholders;
pub mod presets;
pub mod quote;
mod resolve;
#[cfg(test)]
mod resolve_tests;
mod semantics;
mod specifiers;
#[cfg(test)]
mod test_support;
mod trial;
mod unit;
pub mod unit_file;
mod values;

pub(crate) use deploy::check_url;
pub use drop_in::{DropIn, resolve_drop_ins};
pub use input::{Context, Defaults, DeployInput, Instances, MigrateInput, Origin, UnitError, UnitInput, UnitWarning};
pub(crate) use placeholders::env_names;
pub use quote::{environment_assignment, quoted_words};
pub use resolve::resolve;
pub use trial::trial_name;
pub use unit::{Health, OnUpgrade, RELEASE_PLACEHOLDER, Unit, UnitSettings};
pub use unit_file::{Entry, Section, UnitFile};
