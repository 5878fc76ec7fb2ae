//! Owns the plan: config + tree → all that will be built, decided before anything is written.

mod architecture;
mod below_prefix;
mod control;
mod documents;
mod elf_needs;
mod executed;
mod form;
mod host_files;
mod links;
mod needs;
mod settings;
mod shebang;
mod surroundings;

use std::collections::BTreeSet;

use crate::config::{Config, HostLink};
use crate::model::{AbsPath, Arch, Compression, DebVersion, PackageName, Packing, ReleaseId, Suite, TreePath};
use crate::scripts::{Packager, ScriptError};
use crate::systemd::{DropIn, RELEASE_PLACEHOLDER, Unit, UnitError};
use crate::tree::{Led, Manifest, ReadError, Source, Tree, TreeError, Warning, secrets};

use below_prefix::BelowPrefix;

pub use control::Control;
pub use form::Form;
pub use host_files::{HostFile, HostFileKind};
pub use needs::{Need, Needs};

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Neither the configuration nor the command line gives a version.
    #[error("no version is given (hint: set package.version, or pass --version)")]
    NoVersion,
    /// ELF files disagree.
    #[error("the units execute ELF files of several architectures: {0} (hint: set package.architecture)")]
    SeveralArchitectures(String),
    /// The package's declared architecture isn't that of what it executes.
    #[error(
        "package.architecture is {declared}, but {path}, which a unit executes, is built for {found} (hint: build it for {declared}, or change package.architecture)"
    )]
    WrongArchitecture {
        /// As configured.
        declared: Arch,
        /// The file.
        path: TreePath,
        /// Its architecture.
        found: Arch,
    },
    /// A unit executes something that the release doesn't hold, or that is not executable.
    #[error(transparent)]
    Unit(Box<UnitError>),
    /// An ELF file needs a library, and there is no lock file.
    #[error(
        "\"{path}\" needs {library}{}, and there is no lock file that says which packages bring it (hint: run `relpack lock` on a host of the target's Debian, or with --root, and commit relpack.lock)",
        match .others { 0 => String::new(), 1 => " (and 1 more library is needed)".to_owned(), more => format!(" (and {more} more libraries are needed)") }
    )]
    NoLock {
        /// Path in the release.
        path: String,
        /// Its soname.
        library: String,
        /// How many more.
        others: usize,
    },
    /// A file needs what the lock file doesn't have.
    #[error(
        "\"{path}\" needs {what}, which the lock file does not cover (hint: run `relpack lock`, and commit relpack.lock)"
    )]
    NotLocked {
        /// Path in the release.
        path: String,
        /// The library or the Python.
        what: String,
    },
    /// The lock file is for another architecture.
    #[error(
        "the lock file is for {locked}, and this package is for {arch} (hint: run `relpack lock`, and commit relpack.lock)"
    )]
    LockOfOther {
        /// In the lock file.
        locked: Arch,
        /// Of the package.
        arch: Arch,
    },
    /// The lock file is for another Debian release.
    #[error(
        "package.target is {target}, and the lock file was made for {locked}, which has other versions of the packages (hint: run `relpack lock` on {target}, or with --root, and commit relpack.lock)"
    )]
    LockOfSuite {
        /// In the lock file.
        locked: String,
        /// Of the package.
        target: Suite,
    },
    /// A unit or a configuration file holds a secret.
    #[error("\"{path}\" {problem} (hint: {hint})")]
    Secret {
        /// Path in the release.
        path: TreePath,
        /// What it holds.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// dpkg can't unpack the release as files.
    #[error(
        "release.payload is \"files\", but dpkg needs the name of {path} for itself while it unpacks (hint: write payload = \"archive\", or rename it)"
    )]
    NotAsFiles {
        /// Path in the release.
        path: TreePath,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tree refuses an entry.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A template is broken.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

/// Everything that will be in the artifact, but for the release id.
#[derive(Debug)]
pub struct Plan {
    /// Package name.
    pub name: PackageName,
    /// Version.
    pub version: DebVersion,
    /// Architecture of the package.
    pub arch: Arch,
    /// Where it lives on a host.
    pub prefix: AbsPath,
    /// Time of every entry, in seconds since 1970.
    pub source_date: u64,
    /// The release: application, `.relpack/units`, `.relpack/settings`.
    pub tree: Tree,
    /// Its units, with the placeholder.
    pub units: Vec<Unit>,
    /// Drop-ins of these units.
    pub drop_ins: Vec<DropIn>,
    /// Configuration files: path and mode.
    pub files: Vec<(AbsPath, u32)>,
    /// Links outside of the release: path and what is written into it.
    pub links: Vec<(AbsPath, String)>,
    /// Text of `.relpack/settings`.
    pub settings: String,
    /// Control fields, but for `Installed-Size`.
    pub control: Control,
    /// What the user may want to know.
    pub warnings: Vec<String>,
    /// How the release travels in the package.
    pub form: Form,
    /// How archives are compressed.
    pub packing: Packing,
    host: host_files::Inputs,
}

/// Size of what is delivered, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// What dpkg unpacks of the release: its archive or files, and the manifest.
    pub payload: u64,
    /// What staging adds to that.
    pub staged: u64,
}

/// What is known once the release has its id.
#[derive(Debug)]
pub struct Bound {
    /// The release.
    pub id: ReleaseId,
    /// `control`, `preinst`, `postinst`, `prerm`, `postrm` with their modes.
    pub control_files: Vec<(&'static str, u32, Vec<u8>)>,
    /// What dpkg puts on the host beside the payload.
    pub host_files: Vec<HostFile>,
    /// Where the payload lies: `…/payload/<id>`, a directory of files or with a suffix the archive; and `<id>.manifest`.
    pub payload: AbsPath,
}

impl Plan {
    /// Decides everything. All mistakes are returned at once.
    pub fn new(config: &Config, mut tree: Tree, source_date: u64) -> Result<Self, Vec<PlanError>> {
        let version = config.package.version.clone();
        let (programs, mut errors) = programs(config, &tree);
        let mut warnings = Vec::new();
        let arch = match architecture::detect(config.package.architecture, &programs, &tree, &mut warnings) {
            Ok(arch) => arch,
            Err(error) => {
                errors.push(error);
                Arch::All
            }
        };
        if errors.is_empty() {
            match Needs::find(config, &programs, &tree, arch) {
                Ok(needs) => {
                    errors.extend(needs.check(config.lock.as_ref(), arch));
                    errors.extend(lock_of_other_suite(config));
                    warnings.extend(needs.stale(config.lock.as_ref()));
                    warnings.extend(lock_of_unknown_suite(config));
                    warnings.extend(needs.warnings);
                }
                Err(error) => errors.push(error),
            }
        }
        let version = match version {
            Some(version) if errors.is_empty() => version,
            Some(_) => return Err(errors),
            None => {
                errors.insert(0, PlanError::NoVersion);
                return Err(errors);
            }
        };
        let settings = settings::render(config);
        put_metadata(&mut tree, config, &settings).map_err(|error| vec![error])?;
        check_own_secrets(&tree, config, &mut errors, &mut warnings);
        if !errors.is_empty() {
            return Err(errors);
        }
        let packing = config.release.packing;
        let form = Form::of(config.release.payload, packing.compression(), &tree).map_err(|error| vec![error])?;
        Ok(Self {
            name: config.package.name.clone(),
            control: Control::new(config, &version, arch, form),
            version,
            arch,
            prefix: config.release.prefix.clone(),
            source_date,
            tree,
            units: config.units.clone(),
            drop_ins: config.drop_ins.clone(),
            files: config.files.iter().map(|file| (file.path.clone(), file.mode)).collect(),
            links: host_links(config),
            settings,
            warnings,
            form,
            packing,
            host: host_files::Inputs::new(config),
        })
    }

    /// What is delivered, with the length of the archive where the release travels as one.
    pub fn sizes(&self, archive: u64, manifest: &Manifest) -> Sizes {
        let manifest = manifest.as_str().len() as u64;
        let unpacked = self.tree.file_bytes();
        match self.form {
            Form::Archive(_) => Sizes {
                payload: archive + manifest,
                staged: unpacked,
            },
            // Staging makes hardlinks of them.
            Form::Files => Sizes {
                payload: unpacked + manifest,
                staged: 0,
            },
        }
    }

    /// How an archive of this compression is made: at the configured level, where that is the configured compression.
    pub fn packing_as(&self, compression: Compression) -> Packing {
        if self.packing.compression() == compression {
            self.packing
        } else {
            Packing::of(compression)
        }
    }

    /// Fills the id in: the maintainer scripts, the delivered unit texts, the files on the host.
    pub fn bind(&self, id: &ReleaseId, sizes: Sizes) -> Result<Bound, ScriptError> {
        let tokens = self.host.tokens(self, id, sizes);
        let mut control_files = vec![("control", 0o644, self.control.render(sizes).into_bytes())];
        for (name, script) in host_files::maintainer_scripts(&tokens)? {
            control_files.push((name, 0o755, script.into_bytes()));
        }
        Ok(Bound {
            id: id.clone(),
            control_files,
            host_files: self.host.files(self, id, Packager::Dpkg, &tokens)?,
            payload: host_files::below(&self.prefix, &format!("payload/{id}")),
        })
    }

    /// What a tarball holds beside the release: units with the id filled in, settings, the scripts that install it, and
    /// below `host/` what they put on the host. Path, whether it is executable, content.
    pub fn beside_release(&self, id: &ReleaseId) -> Result<Vec<(TreePath, bool, Vec<u8>)>, ScriptError> {
        let sizes = Sizes {
            payload: 0,
            staged: self.tree.file_bytes(),
        };
        let tokens = self.host.tokens(self, id, sizes);
        let mut files = Vec::new();
        let mut put = |path: String, executable: bool, bytes: Vec<u8>| {
            let path = path.parse().expect("names of units and of our own files are paths");
            files.push((path, executable, bytes));
        };
        for unit in &self.units {
            put(format!("units/{}", unit.name), false, bound_text(unit, id).into_bytes());
        }
        for drop_in in &self.drop_ins {
            put(
                format!("units/{}", drop_in.path()),
                false,
                drop_in.file.render().into_bytes(),
            );
        }
        put("settings".to_owned(), false, self.settings.clone().into_bytes());
        for (name, script) in host_files::tarball_scripts(&tokens)? {
            put(name.to_owned(), true, script.into_bytes());
        }
        for file in self.host.files(self, id, Packager::Tarball, &tokens)? {
            let path = file.path.as_str();
            // The units are the release's, and lintian looks at packages.
            let left_out = ["/usr/lib/systemd/system/", "/usr/share/lintian/"];
            if let (HostFileKind::File(mode, bytes), false) =
                (file.kind, left_out.iter().any(|below| path.starts_with(below)))
            {
                put(format!("host{path}"), mode & 0o100 != 0, bytes);
            }
        }
        Ok(files)
    }

    /// `<name>_<version>_<arch>.deb`, without the epoch, as dpkg-deb names it.
    pub fn deb_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.without_epoch(), self.arch)
    }

    /// `<name>-<version>-<arch>`, the tarball's name and its only top directory.
    pub fn tarball_stem(&self) -> String {
        format!("{}-{}-{}", self.name, self.version.without_epoch(), self.arch)
    }
}

/// The programs of the release that units execute or links name, as paths in it; and what is wrong with them.
fn programs(config: &Config, tree: &Tree) -> (BTreeSet<String>, Vec<PlanError>) {
    let executed = executed::executed(&config.units, &config.drop_ins, &config.release.prefix);
    let places = BelowPrefix::of(config);
    let mut errors = executed::check(&executed, tree, &places);
    let judging = executed::judging(config);
    errors.extend(executed::check(&judging, tree, &places));
    errors.extend(executed::nowhere(config, tree));
    errors.extend(executed::missing(config, tree));
    errors.extend(surroundings::check(config, tree));
    errors.extend(links::check(config, tree));
    let linked = links::programs(config).map(TreePath::to_string);
    let named = executed
        .into_iter()
        .chain(judging)
        .map(|command| command.path)
        .chain(linked);
    let mut run = BTreeSet::new();
    for path in named {
        // What is run is what the links lead to.
        if let Ok(parsed) = path.parse::<TreePath>()
            && let Led::Here(end, _) = tree.follow(&parsed)
        {
            run.insert(end.to_string());
        }
        run.insert(path);
    }
    (run, errors)
}

/// A lock that binds nothing is of any suite.
fn lock_of_other_suite(config: &Config) -> Option<PlanError> {
    let package = &config.package;
    let lock = config.lock.as_ref().filter(|lock| lock.binds())?;
    (package.target_is_given && lock.suite != package.target.as_str()).then(|| PlanError::LockOfSuite {
        locked: lock.suite.clone(),
        target: package.target,
    })
}

/// Then the target is the default one, of which that suite may be far away.
fn lock_of_unknown_suite(config: &Config) -> Option<String> {
    let lock = config
        .lock
        .as_ref()
        .filter(|lock| lock.binds() && lock.binds_to().is_none())?;
    (!config.package.target_is_given).then(|| {
        format!(
            "the lock file was made for {}, a suite that relpack doesn't know: directives and compression are those of {} (hint: name the suite that is closest in package.target)",
            lock.suite, config.package.target
        )
    })
}

/// What a build needs of a host, and its architecture: what a lock file has to say.
pub fn needs(config: &Config, tree: &Tree) -> Result<(Arch, Needs), Vec<PlanError>> {
    let (programs, mut errors) = programs(config, tree);
    let found = architecture::detect(config.package.architecture, &programs, tree, &mut Vec::new())
        .and_then(|arch| Ok((arch, Needs::find(config, &programs, tree, arch)?)));
    match found {
        Ok(found) if errors.is_empty() => Ok(found),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.push(error);
            Err(errors)
        }
    }
}

/// The links of a host, with what is written into them.
fn host_links(config: &Config) -> Vec<(AbsPath, String)> {
    let written = |link: &HostLink| (link.path.clone(), link.text(&config.release.prefix));
    config.links.iter().map(written).collect()
}

/// The text of a unit as it is delivered.
pub fn bound_text(unit: &Unit, id: &ReleaseId) -> String {
    unit.file.render().replace(RELEASE_PLACEHOLDER, id.as_str())
}

impl Bound {
    /// The payload's archive, where it travels as one.
    pub fn archive_path(&self, compression: Compression) -> AbsPath {
        self.beside(&format!(".tar.{}", compression.suffix()))
    }

    /// The payload's manifest.
    pub fn manifest_path(&self) -> AbsPath {
        self.beside(".manifest")
    }

    /// Where a file of the release lies, where it travels as files.
    pub fn file_path(&self, path: &TreePath) -> AbsPath {
        self.beside(&format!("/{path}"))
    }

    fn beside(&self, rest: &str) -> AbsPath {
        let path = format!("{}{rest}", self.payload);
        path.parse().expect("what is added keeps the path valid")
    }
}

/// The scan has looked at what is on the disk; this looks at what the configuration says.
fn check_own_secrets(tree: &Tree, config: &Config, errors: &mut Vec<PlanError>, warnings: &mut Vec<String>) {
    let mut allowed: BTreeSet<&TreePath> = config.secrets.allow.keys().filter(|path| is_own(path)).collect();
    for (path, file) in tree.files().filter(|(path, _)| is_own(path)) {
        let Source::Bytes(bytes) = &file.source else { continue };
        let Some(kind) = secrets::of_file(path, bytes) else {
            continue;
        };
        if config.secrets.allow.contains_key(path) {
            allowed.remove(path);
            continue;
        }
        let (problem, _) = secrets::refusal(path, kind);
        let hint = format!(
            "everybody who gets the package reads it: take it out of {} or of the unit's own file, and let the environment file on the host say it, by [env] required; or say why it may be packed: [secrets] allow = {{ {:?} = \"…\" }}",
            config.file.file_name().unwrap_or_default().display(),
            path.as_str()
        );
        errors.push(PlanError::Secret {
            path: path.clone(),
            problem,
            hint,
        });
    }
    warnings.extend(
        allowed
            .into_iter()
            .map(|path| Warning::UnusedAllow(path.to_string()).to_string()),
    );
}

fn is_own(path: &TreePath) -> bool {
    path.as_str().starts_with(".relpack/")
}

/// What a release knows about itself travels in it, so that a rollback follows the old release's own rules.
fn put_metadata(tree: &mut Tree, config: &Config, settings: &str) -> Result<(), PlanError> {
    let below = |name: &str| {
        format!(".relpack/{name}")
            .parse::<TreePath>()
            .expect("unit names and paths below /etc are path components")
    };
    for file in &config.files {
        tree.insert_bytes(below(&format!("files{}", file.path)), false, file.bytes.clone())?;
    }
    for drop_in in &config.drop_ins {
        let path = below(&format!("units/{}", drop_in.path()));
        tree.insert_bytes(path, false, drop_in.file.render().into_bytes())?;
    }
    for unit in &config.units {
        tree.insert_bytes(
            below(&format!("units/{}", unit.name)),
            false,
            unit.file.render().into_bytes(),
        )?;
    }
    for (instance, environment) in &config.instances {
        let text = settings::environment_file(environment);
        tree.insert_bytes(below(&format!("instances/{instance}.env")), false, text.into_bytes())?;
    }
    tree.insert_bytes(below("settings"), false, settings.as_bytes().to_vec())?;
    Ok(())
}
