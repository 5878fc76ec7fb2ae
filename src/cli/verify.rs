//! `relpack verify`: recomputes what an artifact says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use crate::archive::read::{Artifact, ArtifactError, Release};
use crate::model::ReleaseId;
use crate::report::{self, Failure};
use crate::systemd::RELEASE_PLACEHOLDER;

use super::inspect;

/// Which artifact.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// A .deb, tar.zst, tar.xz or tar.gz that relpack built.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (release, wrong) = match look(&args.file) {
        Ok(found) => found,
        Err(error @ (ArtifactError::Io { .. } | ArtifactError::Irregular { .. })) => {
            return Err(inspect::failure(error));
        }
        // What can't be read as an artifact is not what it says it is either.
        Err(error) => {
            if args.json {
                print(None, None, None, &[error.to_string()])?;
            }
            return Err(Failure::damaged(&error).with_result());
        }
    };
    let (id, files) = (release.manifest.id(), release.sizes.len());
    if args.json {
        print(Some(id.as_str()), Some(files), Some(release.sizes.iter().sum()), &wrong)?;
    }
    if !wrong.is_empty() {
        return Err(Failure::mismatch(wrong).with_result());
    }
    if !args.json {
        report::out(&format!("release {id}: {files} files, all as the manifest says\n"))?;
    }
    Ok(())
}

/// The release of an artifact, and what in it is not as it says.
fn look(file: &Path) -> Result<(Release, Vec<String>), ArtifactError> {
    let artifact = Artifact::open(file)?;
    let release = artifact.release()?;
    let id = release.manifest.id();
    let mut wrong = mismatches(&release, &id);
    wrong.extend(artifact.check_md5sums()?);
    wrong.extend(units(&artifact, &release, &id)?);
    wrong.extend(links(&artifact, &release));
    wrong.extend(installed_size(&artifact, &release));
    Ok((release, wrong))
}

/// The object that machines read; without a release, where none could be read.
fn print(id: Option<&str>, files: Option<usize>, bytes: Option<u64>, wrong: &[String]) -> Result<(), Failure> {
    let object = json!({"release_id": id, "files": files, "bytes": bytes, "mismatches": wrong});
    report::out(&format!("{object:#}\n"))
}

fn mismatches(release: &Release, id: &ReleaseId) -> Vec<String> {
    let mut wrong = release.oddities.clone();
    if let Some(named) = release.named.as_ref().filter(|named| *named != id) {
        wrong.push(format!("the payload is named {named}, its content is {id}"));
    }
    match &release.delivered {
        None => wrong.push("the manifest is missing".to_owned()),
        Some(delivered) if delivered.as_slice() != release.manifest.as_str().as_bytes() => {
            wrong.push("the manifest beside the release is not that of its content".to_owned());
        }
        Some(_) => {}
    }
    wrong
}

/// The delivered unit files have to be the release's own, with the id filled in.
fn units(artifact: &Artifact, release: &Release, id: &ReleaseId) -> Result<Vec<String>, ArtifactError> {
    const LIMIT: u64 = 1 << 20;
    let unit_of = |path: &str| {
        let (dir, name) = path.rsplit_once('/')?;
        if let Some((above, unit)) = dir.rsplit_once('/')
            && unit.ends_with(".d")
        {
            let at = above == "usr/lib/systemd/system" || above.ends_with("/units") && !above.contains("/release/");
            return at.then(|| format!("{unit}/{name}"));
        }
        (dir == "usr/lib/systemd/system" || dir.ends_with("/units") && !dir.contains("/release/"))
            .then(|| name.to_owned())
    };
    let delivered = artifact.read_files(&|path| unit_of(path.as_str()).is_some(), LIMIT)?;
    let mut found: BTreeMap<String, Vec<u8>> = delivered
        .into_iter()
        .filter_map(|(path, bytes)| Some((unit_of(path.as_str())?, bytes)))
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in &release.metadata {
        let Some(name) = path.as_str().strip_prefix(".relpack/units/") else {
            continue;
        };
        let bound = String::from_utf8_lossy(text).replace(RELEASE_PLACEHOLDER, id.as_str());
        match found.remove(name) {
            None => wrong.push(format!("unit {name} is in the release, but is not delivered")),
            Some(bytes) if bytes != bound.as_bytes() => {
                wrong.push(format!("unit {name} is delivered with another text than the release's"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(
        found
            .into_keys()
            .map(|name| format!("unit {name} is delivered, but is not in the release")),
    );
    Ok(wrong)
}

/// A package's links on the host have to be those that the release's settings name, which a revert makes.
fn links(artifact: &Artifact, release: &Release) -> Vec<String> {
    if artifact.control().is_none() {
        return Vec::new();
    }
    let mut delivered = release.links.clone();
    let mut wrong = Vec::new();
    for (path, target) in release.host_links() {
        match delivered.remove(&path) {
            Some(found) if found == target => {}
            Some(found) => wrong.push(format!("the link {path} leads to {found}, the release says {target}")),
            None => wrong.push(format!("the link {path} is in the settings, but is not delivered")),
        }
    }
    let more = delivered.into_keys();
    wrong.extend(more.map(|path| format!("the link {path} is delivered, but is not in the settings")));
    wrong
}

/// `Installed-Size` counts payload and release in KiB (Debian Policy 5.6.20 leaves the estimate to the package).
fn installed_size(artifact: &Artifact, release: &Release) -> Option<String> {
    let control = artifact.control()?;
    let said = control.fields.get("Installed-Size")?;
    let archive = release.compressed.as_ref().map_or(0, |digests| digests.size);
    let payload = archive + release.manifest.as_str().len() as u64;
    let real = (payload + release.sizes.iter().sum::<u64>()).div_ceil(1024);
    (said != real.to_string()).then(|| format!("Installed-Size is {said}, the content has {real} KiB"))
}
