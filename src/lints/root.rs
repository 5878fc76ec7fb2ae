//! `service-as-root`: whoever takes the service over has the host.

use crate::model::UnitKind;
use crate::systemd::directives::is_yes;
use crate::systemd::{Origin, UnitError, UnitFile, exec};

use super::{Input, assignments};

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let is_root = |user: &str| matches!(user, "" | "root" | "0");
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        found.extend(by_prefix(&origin, file));
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

/// Main programs whose prefix takes User= from them. `!!` does so only where the kernel has no ambient capabilities, which is none
/// that these systemd versions run on.
fn by_prefix(origin: &Origin, file: &UnitFile) -> Vec<UnitError> {
    let mut found = Vec::new();
    let Some(service) = file.section("Service") else {
        return found;
    };
    let commands = exec::commands(service);
    for (index, entry) in assignments(file, "Service", &["ExecStart"]) {
        let of_entry = |command: &&(usize, _, exec::Command)| std::ptr::eq(&service.entries[command.0], entry);
        for (_, _, command) in commands.iter().filter(of_entry) {
            let sandbox = match command.prefixes.trim_matches(|c| !matches!(c, '+' | '!')) {
                "+" => ", and without its sandbox",
                "!" => "",
                _ => continue,
            };
            found.push(
                UnitError::of(
                    origin,
                    format!(
                        "{:?} lets {} run as root{sandbox}: who takes it over has the whole host",
                        command.prefixes, command.program
                    ),
                    "write it without the prefix; what has to be done as root once goes into ExecStartPre = \"+…\", a low port needs only AmbientCapabilities and CapabilityBoundingSet = \"CAP_NET_BIND_SERVICE\"",
                )
                .at_entry("Service", entry, index),
            );
        }
    }
    found
}
