//! What a `Cargo.toml` tells with its workspace's, and `[package.metadata.deb]`: then the configuration only names the package.

use std::collections::BTreeSet;

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

/// A package, and what lies around it.
pub(super) struct Project {
    /// With what its workspace says for it.
    pub(super) manifest: Table,
    /// The directory of its manifest.
    place: String,
    workspace: Option<Workspace>,
}

/// What cargo builds together.
struct Workspace {
    /// The way to its directory: nothing, or "../" for each level.
    way: String,
    root: Table,
}

impl Project {
    /// The package of this directory; of a workspace the only member that has metadata for cargo-deb, or the only one with a program.
    pub(super) fn read(dir: &Dir) -> Result<Option<Self>, LookError> {
        let Some(root) = dir.toml("Cargo.toml")? else {
            return Ok(None);
        };
        let member = match has_metadata(&root) {
            true => None,
            false => with_metadata(dir, &root)?.or_else(|| only_program(dir, &root)),
        };
        let (place, mut manifest, workspace) = match member {
            Some((place, manifest)) => {
                let way = String::new();
                (place, manifest, Some(Workspace { way, root }))
            }
            None => {
                let workspace = Workspace::of(dir, &root)?;
                (".".to_owned(), root, workspace)
            }
        };
        if let Some(workspace) = &workspace {
            inherit(&mut manifest, &workspace.root);
        }
        Ok(Some(Self {
            manifest,
            place,
            workspace,
        }))
    }

    /// Where `cargo build --release` leaves programs: all of a workspace build into one directory.
    pub(super) fn target(&self) -> String {
        let way = self.workspace.as_ref().map_or("", |workspace| &workspace.way);
        format!("{way}target/release")
    }

    /// The package's programs; the first is what `cargo run` would start, or the likeliest.
    pub(super) fn programs(&self, dir: &Dir) -> Vec<String> {
        programs(dir, &self.place, &self.manifest)
    }

    /// The directories of the workspace's members that have programs.
    pub(super) fn members_with_programs(&self, dir: &Dir) -> Vec<String> {
        let Some(workspace) = &self.workspace else {
            return Vec::new();
        };
        let members = with_programs(dir, &workspace.root);
        members.into_iter().map(|(place, _)| place).collect()
    }

    /// The programs of the workspace's other members.
    pub(super) fn others(&self, dir: &Dir) -> Vec<String> {
        let Some(workspace) = &self.workspace else {
            return Vec::new();
        };
        let manifests = members(dir, &workspace.way, &workspace.root)
            .into_iter()
            .filter_map(|place| {
                // A member that can't be read has no part in this package.
                let manifest = dir.toml(&format!("{place}/Cargo.toml")).ok()??;
                Some((place, manifest))
            });
        let root = (format!("{}.", workspace.way), workspace.root.clone());
        let own = self.programs(dir);
        let mut others: Vec<String> = manifests
            .chain([root])
            .flat_map(|(place, manifest)| programs(dir, &place, &manifest))
            .filter(|name| !own.contains(name))
            .collect();
        others.sort();
        others.dedup();
        others
    }
}

impl Workspace {
    /// That of a package: it is the root itself, or names it, or lies below it.
    fn of(dir: &Dir, manifest: &Table) -> Result<Option<Self>, LookError> {
        let at = |way: String, root: Table| Some(Self { way, root });
        if manifest.contains_key("workspace") {
            return Ok(at(String::new(), manifest.clone()));
        }
        let package = manifest.get("package").and_then(|package| package.as_table());
        if let Some(named) = package.and_then(|package| package.get("workspace")?.as_str()) {
            let way = format!("{}/", named.trim_end_matches('/'));
            let root = dir.toml(&format!("{way}Cargo.toml"))?;
            return Ok(root.and_then(|root| at(way, root)));
        }
        let here = dir.way_here();
        for up in 1..=here.len() {
            let way = "../".repeat(up);
            let Some(root) = dir.toml(&format!("{way}Cargo.toml"))? else {
                continue;
            };
            let below = here[here.len() - up..].join("/");
            if root
                .get("workspace")
                .is_some_and(|workspace| !excludes(workspace, &below))
            {
                return Ok(at(way, root));
            }
        }
        Ok(None)
    }
}

/// As cargo has it: a member is one also where it lies in a directory that is excluded.
fn excludes(workspace: &toml::Value, below: &str) -> bool {
    let covers = |key: &str| {
        let places = workspace.get(key).and_then(|list| list.as_array());
        let mut places = places.into_iter().flatten().filter_map(|place| place.as_str());
        places.any(|place| {
            let place = place.trim_start_matches("./").trim_end_matches('/');
            below
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    covers("exclude") && !covers("members")
}

/// Fills in what `version.workspace = true` and its like refer to.
fn inherit(manifest: &mut Table, root: &Table) {
    let common = root
        .get("workspace")
        .and_then(|workspace| workspace.get("package")?.as_table());
    let package = manifest.get_mut("package").and_then(|package| package.as_table_mut());
    let (Some(common), Some(package)) = (common, package) else {
        return;
    };
    for (key, value) in package.iter_mut() {
        let inherits = value.get("workspace").and_then(|inherits| inherits.as_bool());
        if let (Some(true), Some(given)) = (inherits, common.get(key)) {
            *value = given.clone();
        }
    }
}

/// The directories of a workspace's members.
fn members(dir: &Dir, way: &str, root: &Table) -> Vec<String> {
    let members = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array());
    let named = members.into_iter().flatten().filter_map(|member| member.as_str());
    named
        .flat_map(|member| match member.strip_suffix("/*") {
            Some(parent) => {
                let parent = format!("{way}{parent}");
                let names = dir.names(&parent).into_iter();
                names.map(|name| format!("{parent}/{name}")).collect()
            }
            None => vec![format!("{way}{member}")],
        })
        .collect()
}

/// The members of a workspace that have programs; one that can't be read has no part in this package.
fn with_programs(dir: &Dir, root: &Table) -> Vec<(String, Table)> {
    let places = members(dir, "", root).into_iter();
    let manifests = places.filter_map(|place| Some((dir.toml(&format!("{place}/Cargo.toml")).ok()??, place)));
    manifests
        .filter(|(manifest, place)| !programs(dir, place, manifest).is_empty())
        .map(|(manifest, place)| (place, manifest))
        .collect()
}

/// The only one of them, where the workspace has no package of its own.
fn only_program(dir: &Dir, root: &Table) -> Option<(String, Table)> {
    if root.contains_key("package") {
        return None;
    }
    let mut found = with_programs(dir, root);
    match found.len() {
        1 => found.pop(),
        _ => None,
    }
}

/// The only member of a workspace that has metadata for cargo-deb: its directory and its manifest.
fn with_metadata(dir: &Dir, root: &Table) -> Result<Option<(String, Table)>, LookError> {
    let mut found = Vec::new();
    for place in members(dir, "", root) {
        let manifest = dir.toml(&format!("{place}/Cargo.toml"))?;
        found.extend(manifest.filter(has_metadata).map(|manifest| (place, manifest)));
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

/// The programs of a package: those that it lists, `src/main.rs`, and what lies in `src/bin`. First comes `default-run`, then
/// what is named like the package, then what is listed first.
fn programs(dir: &Dir, place: &str, manifest: &Table) -> Vec<String> {
    let package = manifest.get("package").and_then(|package| package.as_table());
    let text = |key: &str| {
        package
            .and_then(|package| package.get(key)?.as_str())
            .map(str::to_owned)
    };
    let bins = manifest.get("bin").and_then(|bins| bins.as_array());
    let listed: Vec<(String, String)> = bins
        .into_iter()
        .flatten()
        .filter_map(|bin| {
            let name = bin.get("name")?.as_str()?;
            let code = bin.get("path").and_then(|path| path.as_str());
            let code = code.map_or_else(|| code_of(dir, place, name), str::to_owned);
            Some((name.to_owned(), code))
        })
        .collect();
    let is_listed = |code: &str| listed.iter().any(|(_, known)| known == code);
    let own = text("name").filter(|_| !is_listed(MAIN));
    let mut names: Vec<String> = listed.iter().map(|(name, _)| name.clone()).collect();
    if dir.has_file(&format!("{place}/{MAIN}")) {
        names.extend(own.clone());
    }
    if package.and_then(|package| package.get("autobins")?.as_bool()) != Some(false) {
        let found = found_in_bin(dir, place).into_iter();
        names.extend(found.filter(|name| !is_listed(&code_of(dir, place, name))));
    }
    names.extend(text("default-run"));
    // A directory without any code may have the program as somebody else built it.
    if names.is_empty() && !dir.has_file(&format!("{place}/src/lib.rs")) && !package_is_library(manifest) {
        names.extend(own.clone());
    }
    // What is neither stays as it is listed, behind them.
    let first = [text("default-run"), own];
    let rank = |name: &String| first.iter().position(|first| first.as_ref() == Some(name));
    names.sort_by_key(|name| rank(name).unwrap_or(first.len()));
    let mut known = BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    names
}

fn package_is_library(manifest: &Table) -> bool {
    manifest.contains_key("lib") && !manifest.contains_key("bin")
}

const MAIN: &str = "src/main.rs";

/// The code of a program that doesn't say where it is.
fn code_of(dir: &Dir, place: &str, name: &str) -> String {
    let usual = [format!("src/bin/{name}.rs"), format!("src/bin/{name}/main.rs")];
    let mut usual = usual.into_iter();
    usual
        .find(|code| dir.has_file(&format!("{place}/{code}")))
        .unwrap_or_else(|| MAIN.to_owned())
}

/// What cargo makes a program without being told: `NAME.rs` and `NAME/main.rs`.
fn found_in_bin(dir: &Dir, place: &str) -> Vec<String> {
    let place = format!("{place}/src/bin");
    let names = dir.names(&place).into_iter();
    names
        .filter_map(|name| match name.strip_suffix(".rs") {
            Some(stem) => Some(stem.to_owned()),
            None => dir.has_file(&format!("{place}/{name}/main.rs")).then_some(name),
        })
        .collect()
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
