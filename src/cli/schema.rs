//! `relpack schema`: what an editor has to know of `relpack.toml`.

use crate::report::{self, Failure};
use crate::schema;

/// Prints it.
pub fn run() -> Result<(), Failure> {
    report::out(&format!("{:#}\n", schema::schema()))
}
