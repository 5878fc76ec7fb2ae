//! Owns the lints that only `check` asks: mistakes known from the field, found in units and the files of the release.
//!
//! What can't work at all is refused by the build itself; it bears a lint's name where it is found.

pub mod analyze;
mod editable;
mod env_file;
mod health_port;
mod jit;
mod network;
pub mod pages;
mod root;
mod user;
mod writable;

use crate::config::{Config, Problem};
use crate::model::Lint;
use crate::systemd::{DropIn, Entry, Origin, Unit, UnitError, UnitFile};
use crate::tree::Tree;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The files of the release, where they could be read.
    pub tree: Option<&'a Tree>,
}

type Rule = fn(&Input<'_>) -> Vec<UnitError>;

const RULES: &[(Lint, Rule)] = &[
    (Lint::EnvFileDollar, env_file::find),
    (Lint::HealthPortUnset, health_port::find),
    (Lint::NetworkOnlineNotWanted, network::find),
    (Lint::PythonEditableInstall, editable::find),
    (Lint::ServiceAsRoot, root::find),
    (Lint::UserNotMade, user::find),
    (Lint::WritableElsewhere, writable::find),
    (Lint::WriteExecuteJit, jit::find),
];

/// All that is found, each at its place.
pub fn find(input: &Input<'_>) -> Vec<Problem> {
    let found = RULES.iter().flat_map(|(lint, rule)| {
        let found = rule(input).into_iter();
        found.map(|error| error.named(*lint))
    });
    found.filter_map(|error| input.config.problem(&error, true)).collect()
}

impl<'a> Input<'a> {
    /// The units that the user wrote.
    fn units(&self) -> impl Iterator<Item = &'a Unit> {
        self.config.units.iter().filter(|unit| !unit.generated)
    }

    /// The unit that a text is of; a drop-in may be of an instance, whose unit is the template.
    fn unit_of(&self, origin: &Origin) -> Option<&'a Unit> {
        let name = match origin {
            Origin::Unit(name) => name,
            Origin::DropIn(path) => {
                &self
                    .config
                    .drop_ins
                    .iter()
                    .find(|drop_in| drop_in.path() == *path)?
                    .unit
            }
            _ => return None,
        };
        let template = name.template();
        self.units()
            .find(|unit| unit.name == *name || Some(&unit.name) == template.as_ref())
    }

    /// The texts of units and drop-ins.
    fn texts(&self) -> impl Iterator<Item = (Origin, &'a UnitFile)> {
        let units = self.units().map(|unit| (Origin::Unit(unit.name.clone()), &unit.file));
        let drop_in = |drop_in: &'a DropIn| (Origin::DropIn(drop_in.path()), &drop_in.file);
        units.chain(self.config.drop_ins.iter().map(drop_in))
    }
}

/// The assignments of a directive, each with its number among those of its name.
fn assignments<'a>(
    file: &'a UnitFile,
    section: &str,
    keys: &'a [&'a str],
) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a> {
    let entries = file.section(section).map_or(&[][..], |section| &section.entries);
    keys.iter().flat_map(move |key| {
        let of_key = entries.iter().filter(move |entry| entry.key == *key);
        of_key.enumerate()
    })
}
