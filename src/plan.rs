//! Owns the plan: config + tree → all that will be built, decided before anything is written.

mod architecture;
mod control;
mod documents;
mod executed;
mod host_files;
mod settings;

use crate::config::Config;
use crate::model::{AbsPath, Arch, DebVersion, PackageName, ReleaseId, TreePath};
use crate::scripts::ScriptError;
use crate::systemd::{DropIn, RELEASE_PLACEHOLDER, Unit, UnitError};
use crate::tree::{ReadError, Tree, TreeError};

pub use control::Control;
pub use host_files::{HostFile, HostFileKind};

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
    /// Text of `.relpack/settings`.
    pub settings: String,
    /// Control fields, but for `Installed-Size`.
    pub control: Control,
    /// What the user may want to know.
    pub warnings: Vec<String>,
    /// zstd level of the payload; `None`: the archive's default.
    pub level: Option<i32>,
    host: host_files::Inputs,
}

/// Size of what is delivered, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The payload archive and its manifest.
    pub payload: u64,
    /// The release on disk.
    pub unpacked: u64,
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
    /// Where the payload lies: `…/payload/<id>`; suffixes are `.tar.zst` and `.manifest`.
    pub payload: AbsPath,
}

impl Plan {
    /// Decides everything. All mistakes are returned at once.
    pub fn new(config: &Config, mut tree: Tree, source_date: u64) -> Result<Self, Vec<PlanError>> {
        let version = config.package.version.clone();
        let executed = executed::executed(&config.units, &config.drop_ins, &config.release.prefix);
        let mut errors = executed::check(&executed, &tree);
        let mut warnings = Vec::new();
        let arch = match architecture::detect(config.package.architecture, &executed, &tree, &mut warnings) {
            Ok(arch) => arch,
            Err(error) => {
                errors.push(error);
                Arch::All
            }
        };
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
        Ok(Self {
            name: config.package.name.clone(),
            control: Control::new(config, &version, arch),
            version,
            arch,
            prefix: config.release.prefix.clone(),
            source_date,
            tree,
            units: config.units.clone(),
            drop_ins: config.drop_ins.clone(),
            files: config.files.iter().map(|file| (file.path.clone(), file.mode)).collect(),
            settings,
            warnings,
            level: config.release.compression_level,
            host: host_files::Inputs::new(config),
        })
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
            host_files: self.host.files(self, id, &tokens)?,
            payload: host_files::below(&self.prefix, &format!("payload/{id}")),
        })
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

/// The text of a unit as it is delivered.
pub fn bound_text(unit: &Unit, id: &ReleaseId) -> String {
    unit.file.render().replace(RELEASE_PLACEHOLDER, id.as_str())
}

/// Where the payload (`tar.zst`) or its manifest (`manifest`) lies on a host.
pub fn payload_path(bound: &Bound, suffix: &str) -> AbsPath {
    format!("{}.{suffix}", bound.payload)
        .parse()
        .expect("a suffix keeps the path valid")
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
