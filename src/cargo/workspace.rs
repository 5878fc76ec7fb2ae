//! Asks `cargo metadata` where a project builds to, which packages it has, and what cargo-deb's library keeps to itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{CargoError, Request};
use crate::systemd::directives::closest;

/// What `systemd-units` says of one unit or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSettings {
    /// The name without its suffix; `None`: every unit.
    pub name: Option<String>,
    /// Whether a boot starts it.
    pub enable: Option<bool>,
    /// Whether the installation starts it.
    pub start: Option<bool>,
    /// Whether an upgrade restarts it.
    pub restart: Option<bool>,
}

/// What `cargo metadata` tells.
pub(super) struct Workspace {
    json: Value,
}

impl Workspace {
    /// Asks in the directory of a `Cargo.toml`. Nothing is built, looked up or downloaded.
    pub(super) fn ask(dir: &Path) -> Result<Self, CargoError> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
            .arg(dir.join("Cargo.toml"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) if dir.is_dir() => return Err(CargoError::Tool(error)),
            Err(source) => return Err(CargoError::io("find the project", dir)(source)),
        };
        if !output.status.success() {
            return Err(CargoError::Refused {
                dir: dir.to_owned(),
                said: one_line(&String::from_utf8_lossy(&output.stderr)),
            });
        }
        let json = serde_json::from_slice(&output.stdout).map_err(|source| CargoError::NotCargo {
            dir: dir.to_owned(),
            source,
        })?;
        Ok(Self { json })
    }

    /// Where builds go, without profile and target.
    pub(super) fn target_dir(&self) -> PathBuf {
        self.json["target_directory"].as_str().unwrap_or_default().into()
    }

    fn members(&self) -> impl Iterator<Item = &Value> {
        let packages = self.json["packages"].as_array();
        packages.into_iter().flatten()
    }

    /// Looks for what is asked for, before the library does: it says less where something is not there.
    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), CargoError> {
        let names: Vec<&str> = self.members().filter_map(|package| package["name"].as_str()).collect();
        if let Some(name) = request.package
            && !names.contains(&name)
        {
            return Err(CargoError::NoMember {
                name: name.to_owned(),
                hint: meant(name, &names),
            });
        }
        let Some(deb) = self.deb(&self.manifest(request)) else {
            return Ok(());
        };
        let own = request.variant.map(|variant| &deb["variants"][variant]["assets"]);
        let lists = [Some(&deb["assets"]), own];
        for asset in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let source = asset["source"].as_str().or(asset[0].as_str()).unwrap_or_default();
            if source.trim_end_matches('/') == "target/release" {
                return Err(CargoError::Asset {
                    path: source.to_owned(),
                    problem: "is the whole directory of a build (hint: name the programs in it)",
                });
            }
        }
        Ok(())
    }

    /// The manifest of the package that is asked for, as far as its name tells.
    pub(super) fn manifest(&self, request: &Request<'_>) -> PathBuf {
        let named = self
            .members()
            .find(|package| package["name"].as_str() == request.package && request.package.is_some());
        let path = named.and_then(|package| package["manifest_path"].as_str());
        path.map_or_else(|| request.dir.join("Cargo.toml"), PathBuf::from)
    }

    /// The names of the members, for a hint.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.members().filter_map(|package| package["name"].as_str()).collect();
        names.join(", ")
    }

    fn deb(&self, manifest: &Path) -> Option<&Value> {
        let member = self
            .members()
            .find(|package| package["manifest_path"].as_str().map(Path::new) == Some(manifest))?;
        Some(&member["metadata"]["deb"])
    }

    /// Why there is no such variant.
    pub(super) fn no_variant(&self, manifest: &Path, name: &str) -> CargoError {
        let variants = self.deb(manifest).and_then(|deb| deb["variants"].as_object());
        let names: Vec<&str> = variants
            .into_iter()
            .flat_map(|all| all.keys())
            .map(String::as_str)
            .collect();
        CargoError::NoVariant {
            manifest: manifest.to_owned(),
            name: name.to_owned(),
            hint: meant(name, &names),
        }
    }

    /// What `systemd-units` says, which the library tells nobody.
    pub(super) fn unit_settings(&self, manifest: &Path, variant: Option<&str>) -> Vec<UnitSettings> {
        let Some(deb) = self.deb(manifest) else {
            return Vec::new();
        };
        let own = variant.map(|variant| &deb["variants"][variant]["systemd-units"]);
        let units = own.filter(|units| !units.is_null()).unwrap_or(&deb["systemd-units"]);
        let settings = |unit: &Value| UnitSettings {
            name: unit["unit-name"].as_str().map(str::to_owned),
            enable: unit["enable"].as_bool(),
            start: unit["start"].as_bool(),
            restart: unit["restart-after-upgrade"].as_bool(),
        };
        match units {
            Value::Array(list) => list.iter().map(settings).collect(),
            Value::Object(_) => vec![settings(units)],
            _ => Vec::new(),
        }
    }
}

fn meant(name: &str, known: &[&str]) -> String {
    match closest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None if known.is_empty() => "it has none".to_owned(),
        None => format!("it has {}", known.join(", ")),
    }
}

/// A message of another program, without its line breaks, its word for an error, and the lines that show a file.
pub(super) fn one_line(text: &str) -> String {
    let shows = |line: &&str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
            .starts_with('|')
    };
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !shows(line));
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variants_units_replace_the_packages() {
        let json = serde_json::json!({"packages": [{"name": "api", "manifest_path": "/w/api/Cargo.toml", "metadata": {"deb": {
            "systemd-units": {"unit-name": "api", "enable": false},
            "variants": {"two": {"systemd-units": [{"start": false}, {"restart-after-upgrade": true}]}, "none": {}}
        }}}]});
        let workspace = Workspace { json };
        let manifest = Path::new("/w/api/Cargo.toml");
        let of = |variant| workspace.unit_settings(manifest, variant);
        let named = UnitSettings {
            name: Some("api".to_owned()),
            enable: Some(false),
            ..UnitSettings::default()
        };
        assert_eq!(of(None), of(Some("none")));
        assert_eq!(of(None), [named]);
        let two = of(Some("two"));
        assert_eq!((two[0].start, two[1].restart), (Some(false), Some(true)));
        assert!(workspace.unit_settings(Path::new("/w/Cargo.toml"), None).is_empty());
        let said = workspace.no_variant(manifest, "tow").to_string();
        assert!(said.contains("did you mean \"two\"?"), "{said}");
    }

    #[test]
    fn what_other_programs_say_is_one_line() {
        assert_eq!(one_line("error: no\n\n  because of it\n"), "no because of it");
        assert_eq!(
            one_line("at line 3\n  |\n3 | a = [\n  |     ^\nnot that\n"),
            "at line 3 not that"
        );
    }
}
