//! `service-as-root`: whoever takes the service over has the host.

use crate::model::UnitKind;
use crate::systemd::directives::is_yes;
use crate::systemd::{Origin, UnitError};

use super::{Input, assignments};

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let is_root = |user: &str| matches!(user, "" | "root" | "0");
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        let of_service = match &origin {
            Origin::Unit(name) => name.kind() == UnitKind::Service,
            _ => file.has("Service", "User"),
        };
        let dynamic = file.get("Service", "DynamicUser").is_some_and(is_yes);
        if !of_service || dynamic || !file.get("Service", "User").is_some_and(is_root) {
            continue;
        }
        if let Some((index, entry)) = assignments(file, "Service", &["User"]).last() {
            found.push(
                UnitError::of(
                    &origin,
                    "the service runs as root: who takes it over has the whole host",
                    "leave User= out for the package's own user; a low port needs only AmbientCapabilities and CapabilityBoundingSet = \"CAP_NET_BIND_SERVICE\"",
                )
                .at_entry("Service", entry, index),
            );
        }
    }
    found
}
