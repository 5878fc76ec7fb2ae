//! `relpack build`: configuration + files → artifacts, or with `--plan` only what they would be.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, ValueEnum};

use crate::archive::{
    self, ArchiveError, ArtifactDigest, ControlFile, DataEntry, DataKind, DebParts, Progress, StoredFile, TarballParts,
    TrailingFile,
};
use crate::config::Config;
use crate::model::{Compression, ReleaseId};
use crate::output::{self, Output, OutputDir};
use crate::plan::{Bound, Form, HostFile, HostFileKind, Plan};
use crate::report::{self, Bar, Built, Failure};
use crate::tree::{self, EntryKind, Manifest, Node};

use super::inputs::{self, Inputs};

/// What to build, and how.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Where the artifacts go, relative to DIR; made when absent.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// What to write; may be given several times.
    #[arg(long, value_name = "FORMAT", default_value = "deb")]
    format: Vec<Format>,
    /// Print all that would be built, and write nothing.
    #[arg(long)]
    plan: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

/// An artifact's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Format {
    /// A Debian package.
    Deb,
    /// The release, its units and settings, as a tarball compressed with zstd.
    #[value(name = "tar.zst")]
    TarZst,
    /// The same, compressed with xz.
    #[value(name = "tar.xz")]
    TarXz,
    /// The same, compressed with gzip.
    #[value(name = "tar.gz")]
    TarGz,
}

impl Format {
    fn suffix(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::TarZst => "tar.zst",
            Format::TarXz => "tar.xz",
            Format::TarGz => "tar.gz",
        }
    }
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.inputs.load()?;
    report::warn_config(&config.warnings);
    let plan = make_plan(&config)?;
    if args.plan {
        print_plan(&plan, args.json)
    } else {
        write(args, &plan)
    }
}

fn make_plan(config: &Config) -> Result<Plan, Failure> {
    let tree = inputs::files(config)?;
    let (date, guessed) = inputs::source_date(config, &tree).map_err(|error| Failure::input(&error))?;
    guessed.into_iter().for_each(report::warn);
    let plan = Plan::new(config, tree, date).map_err(|errors| {
        let (placed, others) = inputs::placed(errors, config);
        Failure::problems(placed, others)
    })?;
    plan.warnings.iter().for_each(report::warn);
    Ok(plan)
}

fn print_plan(plan: &Plan, json: bool) -> Result<(), Failure> {
    let manifest = tree::digest(&plan.tree).map_err(|error| Failure::input(&error))?;
    // What an archive will have isn't known without making it.
    let bound = plan
        .bind(&manifest.id(), plan.sizes(0, &manifest))
        .map_err(|error| Failure::input(&error))?;
    if json {
        report::out(&format!("{:#}\n", report::plan_json(plan, &bound)))
    } else {
        report::out(&report::plan_text(plan, &bound))
    }
}

fn write(args: &Args, plan: &Plan) -> Result<(), Failure> {
    let dir =
        OutputDir::create(&args.inputs.directory.join(&args.out)).map_err(|error| Failure::environment(&error))?;
    let mut formats = args.format.clone();
    formats.sort();
    formats.dedup();
    let mut build = Build { plan, dir, id: None };
    let mut outputs = Vec::new();
    let mut made = Vec::new();
    for format in formats {
        let (output, digest) = match format {
            Format::Deb => build.deb()?,
            Format::TarZst => build.tarball(format, Compression::Zstd)?,
            Format::TarXz => build.tarball(format, Compression::Xz)?,
            Format::TarGz => build.tarball(format, Compression::Gzip)?,
        };
        outputs.push(output);
        made.push((format, digest));
    }
    // All or none: a name is given only once everything is written.
    let paths = output::commit(outputs).map_err(|error| Failure::environment(&error))?;
    let artifacts: Vec<Built> = paths
        .into_iter()
        .zip(made)
        .map(|(path, (format, digest))| Built {
            format: format.suffix(),
            path,
            size: digest.size,
            sha256: digest.sha256,
        })
        .collect();
    let id = build.id.as_ref().expect("there is always at least one format");
    if args.json {
        report::out(&format!("{:#}\n", report::built_json(plan, id, &artifacts)))
    } else {
        report::out(&report::built_text(id, &artifacts))
    }
}

/// What the formats of one build share.
struct Build<'a> {
    plan: &'a Plan,
    dir: OutputDir,
    id: Option<ReleaseId>,
}

impl Build<'_> {
    fn deb(&mut self) -> Result<(Output, ArtifactDigest), Failure> {
        let plan = self.plan;
        let (bound, mut data) = match plan.form {
            Form::Archive(compression) => self.as_archive(compression)?,
            Form::Files => self.as_files()?,
        };
        data.extend(bound.host_files.iter().map(data_entry));
        let control_files = bound
            .control_files
            .into_iter()
            .map(|(name, mode, bytes)| ControlFile {
                name: name.to_owned(),
                mode,
                bytes,
            })
            .collect();
        let parts = DebParts {
            control_files,
            data,
            mtime: plan.source_date,
            packing: plan.packing,
        };
        let mut output = self.begin(&plan.deb_name())?;
        let spool = self.dir.scratch().map_err(|error| Failure::environment(&error))?;
        // An archive has had its bar.
        let bar = matches!(plan.form, Form::Files).then(|| Bar::new("packing", plan.tree.file_bytes()));
        let progress: &dyn Progress = bar.as_ref().map_or(&(), |bar| bar);
        let digest = archive::write_deb(&parts, spool, progress, &mut output).map_err(archive_failure)?;
        Ok((output, digest))
    }

    /// The release as one archive, and its manifest.
    fn as_archive(&mut self, compression: Compression) -> Result<(Bound, Vec<DataEntry>), Failure> {
        let plan = self.plan;
        let mut file = self.dir.scratch().map_err(|error| Failure::environment(&error))?;
        let bar = Bar::new("packing", plan.tree.file_bytes());
        let payload = archive::write_payload(&plan.tree, plan.source_date, plan.packing, &bar, &mut file)
            .map_err(archive_failure)?;
        drop(bar);
        let bound = self.bind(&payload.manifest, payload.compressed.size)?;
        let stored = StoredFile {
            file: Arc::new(file),
            digests: payload.compressed,
        };
        let archive = DataEntry {
            path: bound.archive_path(compression),
            kind: DataKind::Stored {
                mode: 0o644,
                file: stored,
            },
        };
        let data = vec![archive, manifest_entry(&bound, &payload.manifest)];
        Ok((bound, data))
    }

    /// The release as files, and its manifest. They are read twice, since their paths hold the hash of all of them.
    fn as_files(&mut self) -> Result<(Bound, Vec<DataEntry>), Failure> {
        let plan = self.plan;
        let manifest = tree::digest(&plan.tree).map_err(|error| Failure::input(&error))?;
        let bound = self.bind(&manifest, 0)?;
        let mut data = vec![manifest_entry(&bound, &manifest)];
        for ((path, node), entry) in plan.tree.iter().zip(manifest.entries()) {
            let kind = match (node, entry.kind) {
                (Node::Symlink(target), _) => DataKind::Symlink(target.clone()),
                (Node::File(file), EntryKind::File { sha256, .. }) => DataKind::Release {
                    path: path.clone(),
                    file: file.clone(),
                    sha256,
                },
                _ => DataKind::Dir,
            };
            let path = bound.file_path(path);
            data.push(DataEntry { path, kind });
        }
        Ok((bound, data))
    }

    fn tarball(&mut self, format: Format, compression: Compression) -> Result<(Output, ArtifactDigest), Failure> {
        let plan = self.plan;
        let stem = plan.tarball_stem();
        let top = stem.parse().expect("names and versions are path components");
        let mut output = self.begin(&format!("{stem}.{}", format.suffix()))?;
        let parts = TarballParts {
            top: &top,
            tree: &plan.tree,
            mtime: plan.source_date,
            packing: plan.packing_as(compression),
        };
        let bar = Bar::new("packing", plan.tree.file_bytes());
        let mut broken = None;
        let mut trailing = |manifest: &Manifest| {
            let files = plan.beside_release(&manifest.id()).unwrap_or_else(|error| {
                broken = Some(error);
                Vec::new()
            });
            let trailing = |(path, executable, bytes): (_, _, Vec<u8>)| TrailingFile {
                path,
                executable,
                bytes: bytes.into(),
            };
            files.into_iter().map(trailing).collect()
        };
        let summary = archive::write_tarball(&parts, &mut trailing, &bar, &mut output).map_err(archive_failure)?;
        drop(bar);
        if let Some(error) = broken {
            return Err(Failure::input(&error));
        }
        self.bind(&summary.manifest, summary.digest.size)?;
        Ok((output, summary.digest))
    }

    fn begin(&self, name: &str) -> Result<Output, Failure> {
        self.dir.begin(name).map_err(|error| Failure::environment(&error))
    }

    /// Every format of one build has to be of one release. `archive` is the length of the packed release.
    fn bind(&mut self, manifest: &Manifest, archive: u64) -> Result<Bound, Failure> {
        let id = manifest.id();
        if self.id.as_ref().is_some_and(|first| *first != id) {
            return Err(Failure::input(&ChangedMeanwhile));
        }
        let sizes = self.plan.sizes(archive, manifest);
        let bound = self.plan.bind(&id, sizes).map_err(|error| Failure::input(&error))?;
        self.id = Some(id);
        Ok(bound)
    }
}

/// The files are not what they were when the first format was written.
#[derive(Debug, thiserror::Error)]
#[error("the files changed while they were packed (hint: build again when nothing writes to them)")]
struct ChangedMeanwhile;

fn manifest_entry(bound: &Bound, manifest: &Manifest) -> DataEntry {
    DataEntry {
        path: bound.manifest_path(),
        kind: DataKind::Bytes {
            mode: 0o644,
            bytes: manifest.as_str().as_bytes().into(),
        },
    }
}

fn data_entry(file: &HostFile) -> DataEntry {
    let kind = match &file.kind {
        HostFileKind::Dir => DataKind::Dir,
        HostFileKind::Symlink(target) => DataKind::Symlink(target.clone()),
        HostFileKind::File(mode, bytes) => DataKind::Bytes {
            mode: *mode,
            bytes: bytes.as_slice().into(),
        },
    };
    DataEntry {
        path: file.path.clone(),
        kind,
    }
}

/// A full disk is the machine's fault, a file that can't be read the input's.
fn archive_failure(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Write { .. } => Failure::environment(&error),
        _ => Failure::input(&error),
    }
}
