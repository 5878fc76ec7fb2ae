//! `relpack build`: configuration + files → artifacts, or with `--plan` only what they would be.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, ValueEnum};

use crate::archive::{
    self, ArchiveError, ControlFile, DataEntry, DataKind, DebParts, Digests, StoredFile, TarballFormat, TarballParts,
    TrailingFile,
};
use crate::config::{self, Config, Overrides, Version};
use crate::model::ReleaseId;
use crate::output::{self, Output, OutputDir};
use crate::plan::{self, Bound, HostFile, HostFileKind, Plan, Sizes};
use crate::report::{self, Bar, Built, Failure};
use crate::source_date::{self, Origin};
use crate::tree::{self, Manifest, ScanOptions};

/// What to build, and how.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Work as if started in DIR.
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The configuration, relative to DIR.
    #[arg(long, value_name = "FILE", default_value = "relpack.toml")]
    config: PathBuf,
    /// The package's version, instead of the configuration's; `git` takes it from the newest tag.
    #[arg(long, value_name = "V")]
    version: Option<Version>,
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
    json: bool,
}

/// An artifact's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Format {
    /// A Debian package.
    Deb,
    /// The release, its units and settings, as a tarball compressed with zstd.
    #[value(name = "tar.zst")]
    TarZst,
    /// The same, compressed with gzip.
    #[value(name = "tar.gz")]
    TarGz,
}

impl Format {
    fn suffix(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::TarZst => "tar.zst",
            Format::TarGz => "tar.gz",
        }
    }
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let file = args.directory.join(&args.config);
    let config = config::load(
        &file,
        Overrides {
            version: args.version.clone(),
        },
    )?;
    report::warn_config(&config.warnings);
    let plan = make_plan(&config)?;
    if args.plan {
        print_plan(&plan, args.json)
    } else {
        write(args, &plan)
    }
}

/// Reads the release's files and says what deserves a look.
pub fn read_tree(config: &Config) -> Result<tree::Tree, Failure> {
    let options = ScanOptions {
        exclude: &config.release.exclude,
        shared_links: &config.shared.links,
        prefix: &config.release.prefix,
        allowed_secrets: &config.secrets.allow,
    };
    let (tree, warnings) = tree::scan(&config.release.source, &options).map_err(Failure::inputs)?;
    warnings.iter().for_each(report::warn);
    Ok(tree)
}

fn make_plan(config: &Config) -> Result<Plan, Failure> {
    let tree = read_tree(config)?;
    let date = source_date(config, &tree)?;
    let plan = Plan::new(config, tree, date).map_err(Failure::inputs)?;
    plan.warnings.iter().for_each(report::warn);
    Ok(plan)
}

fn source_date(config: &Config, tree: &tree::Tree) -> Result<u64, Failure> {
    let on_disk = tree.files().filter_map(|(path, file)| match &file.source {
        tree::Source::Disk { root, .. } => Some(root.join(path.as_str())),
        tree::Source::Bytes(_) => None,
    });
    let files = std::iter::once(config.file.clone()).chain(on_disk);
    let (date, origin) = source_date::find(&config.dir, files).map_err(|error| Failure::input(&error))?;
    if origin == Origin::Newest {
        report::warn(
            "neither SOURCE_DATE_EPOCH nor a commit tells the time of this build, so the newest file's time is taken (hint: set SOURCE_DATE_EPOCH, or build in a git checkout, to get the same bytes everywhere)",
        );
    }
    Ok(date)
}

fn print_plan(plan: &Plan, json: bool) -> Result<(), Failure> {
    let manifest = tree::digest(&plan.tree).map_err(|error| Failure::input(&error))?;
    let sizes = Sizes {
        payload: 0,
        unpacked: plan.tree.file_bytes(),
    };
    let bound = plan
        .bind(&manifest.id(), sizes)
        .map_err(|error| Failure::input(&error))?;
    if json {
        report::out(&format!("{:#}\n", report::plan_json(plan, &bound)))
    } else {
        report::out(&report::plan_text(plan, &bound))
    }
}

fn write(args: &Args, plan: &Plan) -> Result<(), Failure> {
    let dir = OutputDir::create(&args.directory.join(&args.out)).map_err(|error| Failure::environment(&error))?;
    let mut formats = args.format.clone();
    formats.sort();
    formats.dedup();
    let mut build = Build {
        plan,
        dir,
        level: plan.level.unwrap_or(archive::DEFAULT_LEVEL),
        id: None,
    };
    let mut outputs = Vec::new();
    let mut made = Vec::new();
    for format in formats {
        let (output, digests) = match format {
            Format::Deb => build.deb()?,
            Format::TarZst => build.tarball(format, TarballFormat::Zst)?,
            Format::TarGz => build.tarball(format, TarballFormat::Gz)?,
        };
        outputs.push(output);
        made.push((format, digests));
    }
    // All or none: a name is given only once everything is written.
    let paths = output::commit(outputs).map_err(|error| Failure::environment(&error))?;
    let artifacts: Vec<Built> = paths
        .into_iter()
        .zip(made)
        .map(|(path, (format, digests))| Built {
            format: format.suffix(),
            path,
            size: digests.size,
            sha256: digests.sha256,
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
    level: i32,
    id: Option<ReleaseId>,
}

impl Build<'_> {
    fn deb(&mut self) -> Result<(Output, Digests), Failure> {
        let plan = self.plan;
        let mut file = self.dir.scratch().map_err(|error| Failure::environment(&error))?;
        let bar = Bar::new("packing", plan.tree.file_bytes());
        let payload = archive::write_payload(&plan.tree, plan.source_date, self.level, &bar, &mut file)
            .map_err(archive_failure)?;
        drop(bar);
        let manifest = payload.manifest.as_str().as_bytes();
        let bound = self.bind(&payload.manifest, payload.compressed.size + manifest.len() as u64)?;
        let stored = StoredFile {
            file: Arc::new(file),
            digests: payload.compressed,
        };
        let mut data: Vec<DataEntry> = bound.host_files.iter().map(data_entry).collect();
        data.push(DataEntry {
            path: plan::payload_path(&bound, "tar.zst"),
            kind: DataKind::Stored {
                mode: 0o644,
                file: stored,
            },
        });
        data.push(DataEntry {
            path: plan::payload_path(&bound, "manifest"),
            kind: DataKind::Bytes {
                mode: 0o644,
                bytes: manifest.into(),
            },
        });
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
            level: self.level,
        };
        let mut output = self.begin(&plan.deb_name())?;
        let spool = self.dir.scratch().map_err(|error| Failure::environment(&error))?;
        let digests = archive::write_deb(&parts, spool, &mut output).map_err(archive_failure)?;
        Ok((output, digests))
    }

    fn tarball(&mut self, format: Format, kind: TarballFormat) -> Result<(Output, Digests), Failure> {
        let plan = self.plan;
        let stem = plan.tarball_stem();
        let top = stem.parse().expect("names and versions are path components");
        let mut output = self.begin(&format!("{stem}.{}", format.suffix()))?;
        let parts = TarballParts {
            top: &top,
            tree: &plan.tree,
            mtime: plan.source_date,
            level: self.level,
        };
        let bar = Bar::new("packing", plan.tree.file_bytes());
        let mut trailing = |manifest: &Manifest| beside_release(plan, &manifest.id());
        let summary =
            archive::write_tarball(kind, &parts, &mut trailing, &bar, &mut output).map_err(archive_failure)?;
        drop(bar);
        self.bind(&summary.manifest, summary.digests.size)?;
        Ok((output, summary.digests))
    }

    fn begin(&self, name: &str) -> Result<Output, Failure> {
        self.dir.begin(name).map_err(|error| Failure::environment(&error))
    }

    /// Every format of one build has to be of one release.
    fn bind(&mut self, manifest: &Manifest, payload: u64) -> Result<Bound, Failure> {
        let id = manifest.id();
        if self.id.as_ref().is_some_and(|first| *first != id) {
            return Err(Failure::input(&ChangedMeanwhile));
        }
        let sizes = Sizes {
            payload,
            unpacked: self.plan.tree.file_bytes(),
        };
        let bound = self.plan.bind(&id, sizes).map_err(|error| Failure::input(&error))?;
        self.id = Some(id);
        Ok(bound)
    }
}

/// The files are not what they were when the first format was written.
#[derive(Debug, thiserror::Error)]
#[error("the files changed while they were packed (hint: build again when nothing writes to them)")]
struct ChangedMeanwhile;

fn data_entry(file: &HostFile) -> DataEntry {
    let kind = match &file.kind {
        HostFileKind::Dir => DataKind::Dir,
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

/// What a tarball holds beside the release: the units with the id filled in, and the settings.
fn beside_release(plan: &Plan, id: &ReleaseId) -> Vec<TrailingFile> {
    let file = |path: String, text: String| TrailingFile {
        path: path.parse().expect("unit names are path components"),
        executable: false,
        bytes: text.into_bytes().into(),
    };
    let mut files: Vec<TrailingFile> = plan
        .units
        .iter()
        .map(|unit| file(format!("units/{}", unit.name), plan::bound_text(unit, id)))
        .collect();
    files.extend(
        plan.drop_ins
            .iter()
            .map(|drop_in| file(format!("units/{}", drop_in.path()), drop_in.file.render())),
    );
    files.push(file("settings".to_owned(), plan.settings.clone()));
    files
}

/// A full disk is the machine's fault, a file that can't be read the input's.
fn archive_failure(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Write { .. } => Failure::environment(&error),
        _ => Failure::input(&error),
    }
}
