//! `network-online-not-wanted`: an order alone starts nothing, so the target may not even be in the boot.

use crate::systemd::{Origin, UnitError, UnitFile};

use super::{Input, assignments};

const TARGET: &str = "network-online.target";

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let pulls = |file: &UnitFile| {
        let keys = ["Wants", "Requires", "Requisite", "BindsTo", "Upholds"];
        keys.iter().any(|key| {
            let lists = file.get_list("Unit", key);
            lists
                .iter()
                .any(|list| list.split_whitespace().any(|name| name == TARGET))
        })
    };
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        let owner = match &origin {
            Origin::DropIn(path) => input
                .units()
                .find(|unit| path.starts_with(&format!("{}.d/", unit.name))),
            _ => None,
        };
        if pulls(file) || owner.is_some_and(|unit| pulls(&unit.file)) {
            continue;
        }
        for (index, entry) in assignments(file, "Unit", &["After"]) {
            if entry.value.split_whitespace().any(|name| name == TARGET) {
                found.push(
                    UnitError::of(
                        &origin,
                        format!("After={TARGET} without Wants={TARGET}: nothing may start the target, and then nothing waits"),
                        format!("add Unit.Wants = [\"{TARGET}\"]"),
                    )
                    .at_entry("Unit", entry, index),
                );
            }
        }
    }
    found
}
