//! Owns the plan: config + tree → all that will be built, decided before anything is written.

mod architecture;
mod control;
mod documents;
mod executed;
mod form;
mod host_files;
mod settings;

use crate::config::Config;
use crate::model::{AbsPath, Arch, Compression, DebVersion, PackageName, Packing, ReleaseId, TreePath};
use crate::scripts::{Packager, ScriptError};
use crate::systemd::{DropIn, RELEASE_PLACEHOLDER, Unit};
use crate::tree::{Manifest, ReadError, Tree, TreeError};

pub use control::Control;
pub use form::Form;
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
    /// A unit executes something that the release doesn't hold.
    #[error(
        "{unit}: {directive} runs {path}, which is not in the release (hint: build it first, or check release.source and release.exclude)"
    )]
    NotInRelease {
        /// The unit's name.
        unit: String,
        /// `ExecStart`, …
        directive: String,
        /// Path in the release.
        path: String,
    },
    /// A unit executes a file without the executable bit.
    #[error("{unit}: {directive} runs {path}, which is not executable (hint: chmod +x {path})")]
    NotExecutable {
        /// The unit's name.
        unit: String,
        /// `ExecStart`, …
        directive: String,
        /// Path in the release.
        path: String,
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
        let Some(version) = config.package.version.clone() else {
            return Err(vec![PlanError::NoVersion]);
        };
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
        if !errors.is_empty() {
            return Err(errors);
        }
        let settings = settings::render(config);
        put_metadata(&mut tree, config, &settings).map_err(|error| vec![error])?;
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
