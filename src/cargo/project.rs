//! Reads a project through cargo-deb's library: its fields, and its assets as `cargo deb` would pack them.

use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use cargo_deb::compress::{CompressConfig, Format};
use cargo_deb::config::{BuildOptions, DebugSymbolOptions, ExtendedDescription};
use cargo_deb::listener::Listener;
use cargo_deb::{BuildEnvironment, CargoDebError, PackageConfig};
use tempfile::TempDir;

use super::staged::{self, Asset};
use super::workspace::{UnitSettings, Workspace, one_line, printable};
use super::{CargoError, Request};

/// What the library makes of a project. Texts are as they were written.
#[derive(Debug)]
pub struct Project {
    /// The package's `Cargo.toml`.
    pub manifest: PathBuf,
    /// The Debian package's name.
    pub name: String,
    /// Its version, as `cargo deb` writes it.
    pub version: String,
    /// `maintainer`, else the first of the authors.
    pub maintainer: Option<String>,
    /// The package's description.
    pub description: String,
    /// `extended-description`, or the text of its file.
    pub extended: Option<String>,
    /// `section`
    pub section: Option<String>,
    /// `priority`
    pub priority: String,
    /// `homepage`, else where its documentation or its repository is.
    pub homepage: Option<String>,
    /// `license`
    pub license: Option<String>,
    /// `copyright`, else the authors.
    pub copyright: Option<String>,
    /// The licence's text, without the lines that are to be skipped.
    pub license_text: Option<String>,
    /// The application's changelog.
    pub changelog: Option<PathBuf>,
    /// Relations to other packages: each field by its name in lower case, and its entries; a field without any is left out. So is
    /// `$auto`, since the lock file says what ELF files need.
    pub relations: Vec<(&'static str, Vec<String>)>,
    /// What `cargo deb` would put on a host, by path.
    pub assets: Vec<Asset>,
    /// `systemd-units`
    pub units: Vec<UnitSettings>,
    /// What is doubtful, or not taken.
    pub warnings: Vec<String>,
    /// The assets' files, laid out as on a host; removed with the value.
    pub staging: TempDir,
}

const AUTO: &str = "$auto";

/// Reads a project whose programs are built. Builds and strips nothing.
pub fn read(request: &Request<'_>) -> Result<Project, CargoError> {
    let workspace = Workspace::ask(request.dir)?;
    workspace.check(request)?;
    let manifest = request.dir.join("Cargo.toml");
    let made_before = MadeBefore::save(&workspace.target_dir())?;
    // It expects what a manifest need not hold, such as an asset's file name.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let reading = Reading::of(request, &workspace)?;
        let scratch = reading.scratch();
        let project = reading.finish(request);
        // They are empty, and not always removed.
        let _ = fs::remove_dir(&scratch);
        if let Some(parent) = scratch.parent().filter(|_| request.target.is_some()) {
            let _ = fs::remove_dir(parent);
        }
        project
    }));
    let restored = made_before.restore();
    let project = read.unwrap_or(Err(CargoError::Panicked { manifest }))?;
    restored?;
    Ok(project)
}

/// The library removes what `cargo deb` packed before, as if it were about to pack it anew.
struct MadeBefore {
    dir: PathBuf,
    saved: Option<TempDir>,
}

impl MadeBefore {
    fn save(target_dir: &Path) -> Result<Self, CargoError> {
        let dir = target_dir.join("debian");
        let names = packages(&dir);
        let saved = match names.is_empty() {
            true => None,
            false => {
                let saved = tempfile::tempdir_in(&dir).map_err(CargoError::io("write into", &dir))?;
                for name in names {
                    let path = dir.join(&name);
                    fs::hard_link(&path, saved.path().join(&name)).map_err(CargoError::io("link", &path))?;
                }
                Some(saved)
            }
        };
        Ok(Self { dir, saved })
    }

    fn restore(self) -> Result<(), CargoError> {
        let Some(saved) = &self.saved else { return Ok(()) };
        for name in packages(saved.path()) {
            let path = self.dir.join(&name);
            if path.symlink_metadata().is_err() {
                fs::rename(saved.path().join(&name), &path).map_err(CargoError::io("bring back", &path))?;
            }
        }
        Ok(())
    }
}

/// The names of the packages in a directory; none where there is no such directory.
fn packages(dir: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .filter(|name| matches!(Path::new(name).extension(), Some(end) if end == "deb" || end == "ddeb"))
        .collect()
}

/// The project as the library holds it.
struct Reading<'a> {
    workspace: &'a Workspace,
    build: BuildEnvironment,
    package: PackageConfig,
    listener: Collect,
    /// What builds what is packed.
    command: String,
    /// The target's directory of builds; empty without one.
    below: PathBuf,
}

impl<'a> Reading<'a> {
    fn of(request: &Request<'_>, workspace: &'a Workspace) -> Result<Self, CargoError> {
        let manifest = request.dir.join("Cargo.toml");
        let member = workspace.manifest(request);
        let listener = Collect::default();
        let options = BuildOptions {
            manifest_path: Some(&manifest),
            selected_package_name: request.package,
            rust_target_triples: request.target.into_iter().collect(),
            config_variant: request.variant,
            // What is built is packed as it is: which `strip` a machine has must not tell in the bytes.
            debug: DebugSymbolOptions {
                generate_dbgsym_package: Some(false),
                separate_debug_symbols: Some(false),
                compress_debug_symbols: None,
                strip_override: Some(false),
            },
            ..BuildOptions::default()
        };
        let (build, packages) = BuildEnvironment::from_manifest(options, &listener).map_err(|error| match &error {
            CargoDebError::NoRootFoundInWorkspace(_) => CargoError::WhichMember {
                known: workspace.names(),
            },
            CargoDebError::VariantNotFound(name) => workspace.no_variant(&member, name),
            _ => refused(&error, &member),
        })?;
        let package = packages.into_iter().next().ok_or(CargoError::Panicked { manifest })?;
        if build.target_dir_base != workspace.target_dir() {
            return Err(CargoError::TargetDir {
                dir: request.dir.to_owned(),
                there: workspace.target_dir(),
                here: build.target_dir_base,
            });
        }
        let packages = [package];
        let command = build_command(&build, &packages);
        let [package] = packages;
        Ok(Self {
            workspace,
            build,
            package,
            listener,
            command,
            below: request.target.unwrap_or_default().into(),
        })
    }

    /// Where the library makes a directory for what it doesn't keep here.
    fn scratch(&self) -> PathBuf {
        let build = self
            .build
            .build_dir_base
            .as_ref()
            .unwrap_or(&self.build.target_dir_base);
        build.join(&self.below).join(&self.package.cargo_crate_name)
    }

    fn manifest(&self) -> PathBuf {
        self.build.package_manifest_dir.join("Cargo.toml")
    }

    fn finish(mut self, request: &Request<'_>) -> Result<Project, CargoError> {
        let extended = self.extended_description()?;
        let license_text = self.license_text()?;
        let left_out = self.leave_out_scripts();
        let resolved = self.package.resolve_assets(&self.listener);
        resolved.map_err(|error| self.failure(&error))?;
        let relations = self.relations()?;
        let staging = tempfile::tempdir().map_err(CargoError::io("write into", &std::env::temp_dir()))?;
        let assets = self.stage(staging.path())?;
        let manifest = self.manifest();
        let changelog = self.package.changelog.as_ref();
        let changelog = changelog.map(|path| self.build.package_manifest_dir.join(path));
        let units = self.workspace.unit_settings(&manifest, request.variant);
        let mut warnings = self.listener.into_warnings();
        warnings.extend(left_out);
        let package = self.package;
        Ok(Project {
            name: package.deb_name,
            version: package.deb_version,
            maintainer: package.maintainer,
            description: package.description,
            extended,
            section: package.section,
            priority: package.priority,
            homepage: package.homepage.or(package.documentation).or(package.repository),
            license: package.license_identifier,
            copyright: package.copyright,
            license_text,
            changelog,
            relations,
            assets,
            units,
            warnings,
            staging,
            manifest,
        })
    }

    /// What is written for it; `cargo deb` takes the whole README where nothing is.
    fn extended_description(&mut self) -> Result<Option<String>, CargoError> {
        match std::mem::replace(&mut self.package.extended_description, ExtendedDescription::None) {
            ExtendedDescription::String(text) => Ok(Some(text)),
            ExtendedDescription::File(path) => {
                let path = self.build.package_manifest_dir.join(path);
                let text = fs::read_to_string(&path).map_err(CargoError::io("read the extended description", &path))?;
                Ok(Some(text))
            }
            ExtendedDescription::None | ExtendedDescription::ReadmeFallback(_) => Ok(None),
        }
    }

    fn license_text(&self) -> Result<Option<String>, CargoError> {
        let Some(path) = &self.package.license_file_rel_path else {
            return Ok(None);
        };
        let path = self.build.package_manifest_dir.join(path);
        let text = fs::read_to_string(&path).map_err(CargoError::io("read the licence", &path))?;
        let lines = text.lines().skip(self.package.license_file_skip_lines);
        Ok(Some(lines.map(|line| format!("{line}\n")).collect()))
    }

    /// Maintainer scripts and triggers are relpack's own.
    fn leave_out_scripts(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(dir) = self.package.maintainer_scripts_rel_path.take() {
            let scripts = ["config", "preinst", "postinst", "prerm", "postrm", "templates"];
            let there = |name: &&str| self.build.package_manifest_dir.join(&dir).join(name).is_file();
            let there: Vec<&str> = scripts.into_iter().filter(there).collect();
            if !there.is_empty() {
                said.push(format!(
                    "the maintainer scripts in {dir:?} are not taken ({}): what they do for accounts, directories and units relpack does (hint: see [user], [directories] and [migrate])",
                    there.join(", ")
                ));
            }
        }
        if let Some(file) = self.package.triggers_file_rel_path.take() {
            said.push(format!("the triggers in {file:?} are not taken"));
        }
        if self.package.enhances.is_some() {
            said.push("enhances is not taken".to_owned());
        }
        said
    }

    fn relations(&mut self) -> Result<Vec<(&'static str, Vec<String>)>, CargoError> {
        let package = &mut self.package;
        let written = package.wildcard_depends.split(',').map(str::trim);
        package.wildcard_depends = written
            .filter(|word| *word != AUTO && !word.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        // With `$auto` gone it only picks those of this architecture.
        let depends = match package.wildcard_depends.is_empty() {
            true => String::new(),
            false => package
                .resolved_binary_dependencies(&self.listener)
                .map_err(|error| self.failure(&error))?,
        };
        let package = &self.package;
        let mut depends = list(Some(&depends));
        for needed in list(package.pre_depends.as_deref()) {
            if !depends.contains(&needed) {
                depends.push(needed);
            }
        }
        let others = [
            ("recommends", &package.recommends),
            ("suggests", &package.suggests),
            ("conflicts", &package.conflicts),
            ("breaks", &package.breaks),
            ("replaces", &package.replaces),
            ("provides", &package.provides),
        ];
        let mut relations = vec![("depends", depends)];
        relations.extend(others.map(|(name, field)| (name, list(field.as_deref()))));
        relations.retain(|(_, entries)| !entries.is_empty());
        Ok(relations)
    }

    /// Lets the library pack its assets, and unpacks them below `root`.
    fn stage(&mut self, root: &Path) -> Result<Vec<Asset>, CargoError> {
        let deb = root.join("assets.deb");
        // gzip is on every machine that packs for Debian; the library's own would take a second for each megabyte.
        let fast = CompressConfig {
            fast: true,
            compress_type: Format::Gzip,
            compress_system: true,
            rsyncable: false,
        };
        self.package.sort_assets_by_type();
        let written = cargo_deb::write_deb(&self.build, deb.clone(), &self.package, &fast, &self.listener);
        written.map_err(|error| self.failure(&error))?;
        let assets = staged::unpack(&deb, &root.join("assets"))?;
        fs::remove_file(&deb).map_err(CargoError::io("remove", &deb))?;
        Ok(assets)
    }

    /// The library's error in our words: most of all, that something is not built yet.
    fn failure(&self, error: &CargoDebError) -> CargoError {
        let manifest = self.manifest();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            // What stands below a context is boxed.
            let boxed = error.downcast_ref::<Box<CargoDebError>>().map(Box::as_ref);
            let missing = match error.downcast_ref().or(boxed) {
                Some(CargoDebError::AssetFileNotFound(path, target, _, built)) => Some((path, target.clone(), *built)),
                Some(CargoDebError::IoFile(_, error, path)) if error.kind() == std::io::ErrorKind::NotFound => {
                    let target = Path::new("usr/bin").join(path.file_name().unwrap_or_default());
                    Some((path, target, path.starts_with(&self.build.target_dir_base)))
                }
                _ => None,
            };
            match missing {
                Some((path, target, true)) => {
                    return CargoError::NotBuilt {
                        path: path.clone(),
                        target: Path::new("/").join(target),
                        command: self.command.clone(),
                    };
                }
                Some((path, target, false)) => {
                    return CargoError::NoAsset {
                        path: path.clone(),
                        target: Path::new("/").join(target),
                        manifest,
                    };
                }
                None => cause = error.source(),
            }
        }
        refused(error, &manifest)
    }
}

/// What the library says, with what caused it.
fn refused(error: &CargoDebError, manifest: &Path) -> CargoError {
    let mut said = one_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = one_line(&error.to_string());
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    CargoError::Metadata {
        said,
        manifest: manifest.to_owned(),
    }
}

/// What `cargo deb` would run first, for a shell.
fn build_command(build: &BuildEnvironment, packages: &[PackageConfig]) -> String {
    let mut command = Command::new("cargo");
    command.arg("build");
    build.set_cargo_build_flags_for_packages(packages, &mut command);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+".contains(c);
    let words = command.get_args().map(|word| {
        let word = printable(&word.to_string_lossy());
        match !word.is_empty() && word.chars().all(plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    });
    std::iter::once("cargo".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The entries of a field.
fn list(field: Option<&str>) -> Vec<String> {
    let entries = field.unwrap_or_default().split(',').map(str::trim);
    entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// Keeps what the library warns about.
#[derive(Default)]
struct Collect(Mutex<Vec<String>>);

impl Collect {
    fn into_warnings(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn keep(&self, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.push(one_line(text));
    }
}

impl Listener for Collect {
    fn warning(&self, text: String) {
        self.keep(&text);
    }

    fn error(&self, error: &(dyn Error + 'static)) {
        self.keep(&error.to_string());
    }

    fn info(&self, _: String) {}

    fn progress(&self, _: &str, _: String) {}

    fn generated_archive(&self, _: &Path) {}
}
