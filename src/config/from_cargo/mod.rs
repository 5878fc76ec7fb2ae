//! Takes what a Cargo project says where `relpack.toml` says nothing: the file is read as if all of it stood there, and what it
//! says itself wins, key by key.

mod assets;
mod overlay;
mod package;
mod places;
mod units;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Problem, printable_path};
use super::reader::{At, Doc, Table};
use crate::cargo::{self, Request};
use overlay::Overlay;

/// The configuration with what a Cargo project says.
pub(super) struct FromCargo<'i> {
    /// All of it.
    pub(super) root: DeTable<'i>,
    pub(super) taken: Taken,
}

/// The files of a Cargo project.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its `Cargo.toml`, as messages name it.
    pub manifest: PathBuf,
    /// Holds the files of the release; removed with the last copy.
    _staging: Arc<TempDir>,
}

/// What `[release] cargo` asks for.
struct Asked {
    /// Relative to the configuration.
    path: Option<String>,
    package: Option<String>,
    variant: Option<String>,
    target: Option<String>,
    at: Range<usize>,
}

/// Reads the project that `[release] cargo` names; `Ok(None)` without it, `Err` when something is wrong (then it was
/// reported). `dir` is where paths start from, `shown` the same as messages name it.
pub(super) fn take<'i>(
    doc: &Doc,
    root: &DeTable<'i>,
    dir: &Path,
    shown: &Path,
) -> Result<Option<FromCargo<'i>>, FoundWrong> {
    let Some(asked) = asked(doc, root)? else {
        return Ok(None);
    };
    let below = Path::new(asked.path.as_deref().unwrap_or(""));
    let at = dir.join(below).components().collect::<PathBuf>();
    let request = Request {
        dir: &at,
        package: asked.package.as_deref(),
        variant: asked.variant.as_deref(),
        target: asked.target.as_deref(),
    };
    let project = match cargo::read(&request) {
        Ok(project) => project,
        Err(error) => {
            let problem = Problem::of_error(&shown.join("relpack.toml"), &error);
            let said = Problem::new(asked.at, format!("release.cargo: {}", problem.message()));
            doc.push(match problem.hint() {
                Some(hint) => said.help(hint),
                None => said,
            });
            return Err(FoundWrong {
                environment: error.is_environment(),
            });
        }
    };
    let manifest = match project.manifest.strip_prefix(dir) {
        Ok(below) => shown.join(below),
        Err(_) => project.manifest.clone(),
    };
    let overlay = Overlay {
        doc,
        at: asked.at,
        manifest: printable_path(&manifest),
    };
    for warning in &project.warnings {
        overlay.warn(warning.clone());
    }
    let mut root = root.clone();
    overlay.package(&mut root, &project);
    overlay
        .assets(&mut root, &project)
        .ok_or(FoundWrong { environment: false })?;
    doc.set_elsewhere(overlay.at, overlay.manifest);
    let staging = Arc::new(project.staging);
    let taken = Taken {
        manifest,
        _staging: staging,
    };
    Ok(Some(FromCargo { root, taken }))
}

/// Something is wrong with the project.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundWrong {
    /// The machine is at fault.
    pub(super) environment: bool,
}

fn asked(doc: &Doc, root: &DeTable<'_>) -> Result<Option<Asked>, FoundWrong> {
    let wrong = FoundWrong { environment: false };
    let root = Table::new(doc, root, String::new(), 0..0);
    let Some(release) = root.table("release") else {
        return Ok(None);
    };
    let Some((key, value)) = release.entries().into_iter().find(|(key, _)| key.value == "cargo") else {
        return Ok(None);
    };
    let refuse = |span: Range<usize>, problem: &str, help: &str| {
        doc.push(Problem::new(span, format!("release.cargo: {problem}")).help(help));
        wrong
    };
    let whole = At::new((), value.span()).with_key(&key).span;
    let mut asked = Asked {
        path: None,
        package: None,
        variant: None,
        target: None,
        at: whole.clone(),
    };
    if let DeValue::Table(_) = value.get_ref() {
        let table = release.entry_table(&key, value).ok_or(wrong)?;
        let read = |name: &'static str| -> Result<Option<String>, FoundWrong> {
            match (table.has(name), table.string(name)) {
                (false, _) => Ok(None),
                (true, None) => Err(wrong),
                (true, Some(text)) if text.value.is_empty() => Err(refuse(
                    text.span,
                    &format!("{name} is empty"),
                    "fill it in, or remove the key",
                )),
                (true, Some(text)) => Ok(Some(text.value)),
            }
        };
        (asked.path, asked.package) = (read("path")?, read("package")?);
        (asked.variant, asked.target) = (read("variant")?, read("target")?);
        table.finish();
    } else {
        let text = release.entry_string(&key, value).ok_or(wrong)?;
        if text.value.is_empty() {
            return Err(refuse(text.span, "the name is empty", "name the package of Cargo.toml"));
        }
        asked.package = Some(text.value);
    }
    if release.has("source") {
        let help = "with cargo, the release is made of the project's assets: remove source, or name it as an asset";
        return Err(refuse(release.span_of("source"), "there is a source as well", help));
    }
    Ok(Some(asked))
}
