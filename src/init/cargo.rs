//! What `[package.metadata.deb]` tells of a Rust project: then the configuration only names it.

use toml::Table;

use super::look::{Dir, LookError};
use super::{CargoPackage, package_name};

/// Whether a package has metadata for cargo-deb.
pub(super) fn has_metadata(manifest: &Table) -> bool {
    deb(manifest).is_some()
}

fn deb(manifest: &Table) -> Option<&Table> {
    let package = manifest.get("package")?.as_table()?;
    package.get("metadata")?.as_table()?.get("deb")?.as_table()
}

/// The manifest of the only member of a workspace that has such metadata.
pub(super) fn of_workspace(dir: &Dir, root: &Table) -> Result<Option<Table>, LookError> {
    let members = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array());
    let mut found = Vec::new();
    for member in members.into_iter().flatten().filter_map(|member| member.as_str()) {
        let places = match member.strip_suffix("/*") {
            Some(parent) => dir
                .names(parent)
                .into_iter()
                .map(|name| format!("{parent}/{name}"))
                .collect(),
            None => vec![member.to_owned()],
        };
        for place in places {
            let manifest = dir.toml(&format!("{place}/Cargo.toml"))?;
            found.extend(manifest.filter(has_metadata));
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(dir.silent(
            "Cargo.toml",
            "several members of the workspace have [package.metadata.deb]",
            "write a relpack.toml with [release] cargo = \"…\" for each",
        )),
    }
}

/// What it tells; `program` is the name of the first program.
pub(super) fn package(manifest: &Table, program: &str) -> Option<CargoPackage> {
    let deb = deb(manifest)?;
    let package = manifest.get("package")?.as_table()?;
    let name = package.get("name")?.as_str()?;
    let author = || package.get("authors")?.as_array()?.first()?.as_str();
    let maintainer = deb.get("maintainer").and_then(|text| text.as_str()).or_else(author);
    let assets: Vec<(String, String)> = deb
        .get("assets")
        .and_then(|assets| assets.as_array())
        .map(|assets| assets.iter().filter_map(asset).collect())
        .unwrap_or_default();
    let built = assets
        .iter()
        .find(|(source, _)| source.strip_prefix("target/release/") == Some(program));
    let place = match built {
        Some((_, dest)) if dest.ends_with('/') => format!("{dest}{program}"),
        Some((_, dest)) => dest.clone(),
        None => format!("usr/bin/{program}"),
    };
    let place = place.trim_start_matches('/');
    let is_unit = |(_, dest): &(String, String)| dest.contains("systemd/system/");
    Some(CargoPackage {
        package: name.to_owned(),
        name: deb
            .get("name")
            .and_then(|name| name.as_str())
            .unwrap_or(name)
            .parse()
            .ok()
            .or_else(|| package_name(name)),
        maintainer: maintainer.map(str::to_owned),
        has_description: package.contains_key("description"),
        has_units: deb.contains_key("systemd-units") || assets.iter().any(is_unit),
        program: place.strip_prefix("usr/").unwrap_or(place).to_owned(),
    })
}

/// Source and destination, in either of their two spellings.
fn asset(asset: &toml::Value) -> Option<(String, String)> {
    let (source, dest) = match asset {
        toml::Value::Array(parts) => (parts.first()?, parts.get(1)?),
        toml::Value::Table(parts) => (parts.get("source")?, parts.get("dest")?),
        _ => return None,
    };
    Some((source.as_str()?.to_owned(), dest.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(deb: &str) -> CargoPackage {
        let text = format!("[package]\nname = \"acme_api\"\nauthors = [\"A <a@b>\"]\n[package.metadata.deb]\n{deb}");
        package(&text.parse().unwrap(), "acme_api").unwrap()
    }

    #[test]
    fn what_metadata_tells() {
        let plain = told("");
        assert_eq!((plain.program.as_str(), plain.has_units), ("bin/acme_api", false));
        assert_eq!(plain.name.unwrap().as_str(), "acme-api");
        assert_eq!(plain.maintainer.as_deref(), Some("A <a@b>"));
        let named = told("name = \"acme\"\nmaintainer = \"B <b@c>\"\nsystemd-units = {}\n");
        assert_eq!(named.name.unwrap().as_str(), "acme");
        assert!(named.has_units && named.maintainer.as_deref() == Some("B <b@c>"));
        let moved = told(
            "assets = [[\"a.service\", \"lib/systemd/system/\", \"644\"], {source = \"target/release/acme_api\", dest = \"/usr/libexec/acme/api\", mode = \"755\"}]",
        );
        assert_eq!((moved.program.as_str(), moved.has_units), ("libexec/acme/api", true));
        assert!(package(&"[package]\nname = \"a\"".parse().unwrap(), "a").is_none());
    }
}
