//! Owns the control file of the package (Debian Policy 5.3).

use crate::config::{Check, Config, Lock, Relation};
use crate::model::{Arch, Compression, DebVersion};
use crate::systemd::{Health, Unit};

use super::{Form, Sizes};

/// Control fields in Policy's order, but for `Installed-Size`.
#[derive(Debug, Clone)]
pub struct Control {
    fields: Vec<(&'static str, String)>,
}

/// What sysusers.d and tmpfiles.d need; containers have the standalone ones.
const SYSTEMD_NEEDS: [&str; 2] = [
    "systemd | systemd-standalone-sysusers | systemd-sysusers",
    "systemd | systemd-standalone-tmpfiles | systemd-tmpfiles",
];

impl Control {
    /// The fields of a package.
    pub fn new(config: &Config, version: &DebVersion, arch: Arch, form: Form) -> Self {
        let package = &config.package;
        let given = with_locked(&package.depends, config.lock.as_ref());
        let mut depends = given.clone();
        let mut need = |relation: &str| {
            let names = |name: &str| {
                given.iter().any(|given| {
                    given
                        .split([',', '|'])
                        .any(|r| r.split([' ', '(', ':']).find(|w| !w.is_empty()) == Some(name))
                })
            };
            if !names(relation) {
                depends.push(relation.to_owned());
            }
        };
        payload_needs(form).into_iter().for_each(&mut need);
        let asks = |unit: &Unit| matches!(unit.relpack.health, Some(Health::Http { .. } | Health::Unix { .. }));
        if config.units.iter().any(asks) || matches!(config.deploy.check, Some(Check::Http { .. })) {
            need("curl");
        }
        SYSTEMD_NEEDS.iter().for_each(|relation| need(relation));
        let mut fields = vec![
            ("Package", package.name.to_string()),
            ("Version", version.to_string()),
            ("Architecture", arch.to_string()),
            ("Maintainer", package.maintainer.clone()),
        ];
        let relations = [
            ("Depends", &depends),
            ("Recommends", &package.recommends),
            ("Suggests", &package.suggests),
            ("Conflicts", &package.conflicts),
            ("Breaks", &package.breaks),
            ("Replaces", &package.replaces),
            ("Provides", &package.provides),
        ];
        for (field, values) in relations {
            if !values.is_empty() {
                fields.push((field, values.join(", ")));
            }
        }
        fields.push(("Section", package.section.clone()));
        fields.push(("Priority", package.priority.clone()));
        if let Some(homepage) = &package.homepage {
            fields.push(("Homepage", homepage.clone()));
        }
        let about = [
            "It deploys itself: a new version is staged, migrated, switched to and".to_owned(),
            "checked, and the earlier one serves again where that fails.".to_owned(),
            format!("{}-release status tells what serves.", package.name),
        ];
        let extended = if package.description.is_empty() {
            &about[..]
        } else {
            &package.description
        };
        fields.push(("Description", description(&package.synopsis, extended)));
        Self { fields }
    }

    /// The fields, for reports.
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }

    /// The control file. `Installed-Size` (KiB, Policy 5.6.20) counts the release that the postinst stages, too.
    pub fn render(&self, sizes: Sizes) -> String {
        let mut text = String::new();
        for (name, value) in &self.fields {
            if *name == "Section" {
                let kib = (sizes.payload + sizes.staged).div_ceil(1024);
                text.push_str(&format!("Installed-Size: {kib}\n"));
            }
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }
}

/// The locked relations behind the written ones; of two of which one implies the other, the stronger stays.
fn with_locked(written: &[String], lock: Option<&Lock>) -> Vec<String> {
    let mut all: Vec<Relation> = written.iter().filter_map(|text| text.parse().ok()).collect();
    for locked in lock.map(Lock::depends).unwrap_or_default() {
        if all.iter().any(|relation| relation.implies(locked)) {
            continue;
        }
        match all.iter_mut().find(|relation| locked.implies(relation)) {
            Some(weaker) => *weaker = locked.clone(),
            None => all.push(locked.clone()),
        }
    }
    all.iter().map(ToString::to_string).collect()
}

/// What unpacks the payload on a host; gzip is essential, and files are unpacked by dpkg itself.
fn payload_needs(form: Form) -> Option<&'static str> {
    match form {
        Form::Archive(Compression::Zstd) => Some("zstd"),
        Form::Archive(Compression::Xz) => Some("xz-utils"),
        Form::Archive(Compression::Gzip) | Form::Files => None,
    }
}

/// Policy 5.6.13: continuation lines begin with a space, an empty one is a single dot.
fn description(synopsis: &str, extended: &[String]) -> String {
    let mut text = synopsis.to_owned();
    for line in extended {
        text.push_str("\n ");
        text.push_str(if line.trim().is_empty() { "." } else { line });
    }
    text
}
