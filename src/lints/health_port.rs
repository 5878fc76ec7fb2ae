//! `health-port-unset`: a deploy asks a port of which nothing in the package says that the application listens on it.

use crate::model::TreePath;
use crate::systemd::{Health, Origin, RELEASE_PLACEHOLDER, Unit, UnitError, exec, quoted_words};
use crate::tree::Node;

use super::{Input, assignments};

/// A configuration or a script; a program is not searched.
const SIZE_MAX: u64 = 256 * 1024;

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let mut found = Vec::new();
    for unit in input.units() {
        let Some(Health::Http { url }) = &unit.relpack.health else {
            continue;
        };
        let Some(port) = own_port(url).filter(|port| !is_set(port, unit, input)) else {
            continue;
        };
        let error = UnitError::of(
            &Origin::Unit(unit.name.clone()),
            format!("the health check asks port {port}, and nothing here makes the application listen on it"),
            format!(
                "set Service.Environment.PORT = \"{port}\" (or the application's own name for it), and ask \"{}\"",
                url.replacen(port, "{env.PORT}", 1)
            ),
        );
        if let Some((index, entry)) = assignments(&unit.file, "X-Relpack", &["Health"]).last() {
            found.push(error.at_entry("X-Relpack", entry, index));
        }
    }
    found
}

/// The port of a URL of this machine, where it is written out.
fn own_port(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let own = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    (own && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(port)
}

fn is_set(port: &str, unit: &Unit, input: &Input<'_>) -> bool {
    let by_host = input
        .config
        .env
        .required
        .iter()
        .any(|name| name.as_str().contains("PORT"));
    let in_units = input.config.units.iter().any(|other| {
        let sections = other.file.sections().iter();
        sections
            .filter(|section| section.name == "Socket" || (section.name == "Service" && other.name == unit.name))
            .flat_map(|section| &section.entries)
            .any(|entry| mentions(&entry.value, port))
    });
    let in_drop_ins = input.config.drop_ins.iter().any(|drop_in| {
        let entries = drop_in
            .file
            .section("Service")
            .map_or(&[][..], |section| &section.entries);
        entries.iter().any(|entry| mentions(&entry.value, port))
    });
    let in_instances = input
        .config
        .instances
        .values()
        .flat_map(|environment| environment.values())
        .any(|value| mentions(value, port));
    let in_files = input
        .config
        .files
        .iter()
        .any(|file| mentions(&String::from_utf8_lossy(&file.bytes), port));
    by_host || in_units || in_drop_ins || in_instances || in_files || in_release(port, unit, input)
}

/// Whether a file of the release that the unit names says it: a script, or a configuration.
fn in_release(port: &str, unit: &Unit, input: &Input<'_>) -> bool {
    let prefix = &input.config.release.prefix;
    let own_place = format!("{prefix}/releases/{RELEASE_PLACEHOLDER}/");
    let Some(tree) = input.tree else { return true };
    let entries = unit.file.section("Service").map_or(&[][..], |section| &section.entries);
    let words = entries
        .iter()
        .filter(|entry| entry.key.starts_with("Exec") || entry.key == "EnvironmentFile")
        .flat_map(|entry| quoted_words(&entry.value));
    words.into_iter().any(|word| {
        let word = word.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let below = exec::in_release(word, prefix)
            .or_else(|| word.strip_prefix(own_place.as_str()))
            .unwrap_or(word);
        let Ok(path) = below.trim_start_matches("./").parse::<TreePath>() else {
            return false;
        };
        match tree.get(&path) {
            Some(Node::File(file)) if file.size <= SIZE_MAX => file
                .head(&path, SIZE_MAX)
                .is_ok_and(|bytes| mentions(&String::from_utf8_lossy(&bytes), port)),
            _ => false,
        }
    })
}

/// Whether the number stands in the text by itself.
fn mentions(text: &str, number: &str) -> bool {
    text.match_indices(number).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + number.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_digit()) && !after.is_some_and(|c| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_ports_that_are_written_out() {
        assert_eq!(own_port("http://127.0.0.1:3000/x"), Some("3000"));
        assert_eq!(own_port("https://[::1]:8443"), Some("8443"));
        assert_eq!(own_port("http://localhost:80/"), Some("80"));
        for other in [
            "http://127.0.0.1/",
            "http://127.0.0.1:{env.PORT}/",
            "http://db.example:80/",
        ] {
            assert_eq!(own_port(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_by_itself() {
        assert!(mentions("PORT=3000", "3000"));
        assert!(mentions("127.0.0.1:3000;", "3000"));
        assert!(!mentions("13000 30001", "3000"));
    }
}
