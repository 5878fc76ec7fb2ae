//! Owns the drop-ins that a package ships for its own units: directives that hold for one instance, say.

use crate::model::{UnitKind, UnitName};

use super::check::{Layer, X_RELPACK, resolve_layer};
use super::input::{Context, Origin, Report, UnitError, UnitWarning};
use super::resolve::vars;
use super::unit::{OnUpgrade, Unit};
use super::unit_file::UnitFile;

/// A file of a unit's `.d` directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// The unit, or an instance of a template.
    pub unit: UnitName,
    /// The file's name, for example `10-port.conf`.
    pub name: String,
    /// Its directives.
    pub file: UnitFile,
}

impl DropIn {
    /// Where it lies beside the units: `acme@blue.service.d/10-port.conf`.
    pub fn path(&self) -> String {
        format!("{}.d/{}", self.unit, self.name)
    }
}

/// Completes drop-ins for `units`, which are complete already; all errors at once.
pub fn resolve_drop_ins(
    input: Vec<DropIn>,
    units: &[Unit],
    ctx: &Context,
) -> Result<(Vec<DropIn>, Vec<UnitWarning>), Vec<UnitError>> {
    let mut report = Report::default();
    let mut drop_ins = Vec::with_capacity(input.len());
    for drop_in in input {
        let origin = Origin::DropIn(drop_in.path());
        let template = drop_in.unit.template();
        let owner = units
            .iter()
            .filter(|unit| !unit.generated)
            .find(|unit| unit.name == drop_in.unit || Some(&unit.name) == template.as_ref());
        let Some(owner) = owner else {
            report.error(UnitError::of(
                &origin,
                format!("{} is not a unit of this package", drop_in.unit),
                "drop-ins for other packages' units are a host's admin's; remove the directory",
            ));
            continue;
        };
        for section in drop_in.file.sections() {
            if section.name.eq_ignore_ascii_case(X_RELPACK) || section.name == "Install" {
                let message = format!("a drop-in can't hold [{}]", section.name);
                report
                    .error(UnitError::of(&origin, message, "write it into the unit itself").in_section(&section.name));
            }
        }
        let reloaded = owner.name.kind() == UnitKind::Service && owner.relpack.on_upgrade == OnUpgrade::Reload;
        let mut vars = vars(Some(&owner.name), if reloaded { ctx.current() } else { ctx.app() }, ctx);
        if drop_in.unit.is_instance() {
            vars.instance = Some("%i");
        }
        let layer = Layer {
            origin: &origin,
            unit: &drop_in.unit,
            vars: &vars,
        };
        let mut file = resolve_layer(&drop_in.file, &layer, ctx, &mut report);
        let mut entries = file.section("Service").into_iter().flat_map(|section| &section.entries);
        if entries.any(|entry| entry.key == "BindReadOnlyPaths" && entry.value.is_empty()) {
            let error = UnitError::of(
                &origin,
                "the empty assignment takes away the mount of the release",
                "remove it",
            );
            report.error(error.at("Service", "BindReadOnlyPaths"));
        }
        file.append(X_RELPACK, "Package", ctx.package.as_str());
        drop_ins.push(DropIn { file, ..drop_in });
    }
    if report.errors.is_empty() {
        drop_ins.sort_by_key(DropIn::path);
        Ok((drop_ins, report.warnings))
    } else {
        Err(report.errors)
    }
}
