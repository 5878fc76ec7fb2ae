//! Reads what dpkg recorded in a root: installed packages, who owns a file, which library has which symbols.
//!
//! Only files are read, below the root: nothing of it is run, and its own symlinks lead nowhere else.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Relation;
use crate::model::{Arch, DebVersion, link_target};

use super::symbols::{self, Library};

/// Why a root can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Something in it can't be read.
    #[error("can't read {path:?} (hint: name the root of an installed Debian with --root)")]
    Io {
        /// What.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It isn't said what it is.
    #[error("{path:?} names no VERSION_CODENAME (hint: name the root of a Debian or Ubuntu release with --root)")]
    NoCodename {
        /// os-release.
        path: PathBuf,
    },
}

struct Package {
    version: DebVersion,
    essential: bool,
}

/// The root of an installed Debian.
pub struct Root {
    path: PathBuf,
    suite: String,
    packages: HashMap<String, Package>,
    /// `symbols` files by soname.
    symbols: BTreeMap<String, PathBuf>,
    shlibs: String,
    /// Packages by the path of each of their files, and by the name of each library; read when it is asked for.
    owners: OnceCell<Owners>,
    info: PathBuf,
    /// Of the packages that count.
    arch: Arch,
}

#[derive(Default)]
struct Owners {
    by_path: HashMap<String, String>,
    by_soname: HashMap<String, String>,
}

/// Symlinks that are followed before giving up, as the kernel does.
const MAX_HOPS: usize = 40;

impl Root {
    /// Reads the records of a root for packages of `arch`.
    pub fn open(path: &Path, arch: Arch) -> Result<Self, RootError> {
        let suite = suite_of(path)?;
        let packages = packages(&read(&path.join("var/lib/dpkg/status"))?, arch);
        let info = path.join("var/lib/dpkg/info");
        let mut root = Self {
            path: path.to_owned(),
            suite,
            packages,
            symbols: BTreeMap::new(),
            shlibs: String::new(),
            owners: OnceCell::new(),
            info,
            arch,
        };
        for (package, file) in root.records("symbols")? {
            if root.packages.contains_key(&package) {
                let text = read(&file)?;
                root.symbols
                    .extend(Library::sonames(&text).map(|soname| (soname.to_owned(), file.clone())));
            }
        }
        for (package, file) in root.records("shlibs")? {
            if root.packages.contains_key(&package) {
                root.shlibs.push_str(&read(&file)?);
                root.shlibs.push('\n');
            }
        }
        Ok(root)
    }

    /// The root itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Codename of its Debian release.
    pub fn suite(&self) -> &str {
        &self.suite
    }

    /// The version of an installed package.
    pub fn version(&self, package: &str) -> Option<&DebVersion> {
        self.packages.get(package).map(|package| &package.version)
    }

    /// Whether every Debian host has it.
    pub fn is_essential(&self, package: &str) -> bool {
        self.packages.get(package).is_some_and(|package| package.essential)
    }

    /// What the `symbols` file of an installed package says of a library.
    pub fn symbols(&self, soname: &str) -> Result<Option<Library>, RootError> {
        match self.symbols.get(soname) {
            Some(file) => Ok(Library::parse(&read(file)?, soname)),
            None => Ok(None),
        }
    }

    /// What the `shlibs` of the installed packages say of a library.
    pub fn shlibs(&self, soname: &str) -> Option<Vec<Relation>> {
        symbols::shlibs(&self.shlibs, soname).filter(|relations| !relations.is_empty())
    }

    /// The package that has a library of this name.
    pub fn owner_of_library(&self, soname: &str) -> Result<Option<String>, RootError> {
        Ok(self.owners()?.by_soname.get(soname).cloned())
    }

    /// The package that a program is of: found as the kernel would find it, through alternatives and a merged `/usr`.
    pub fn owner(&self, program: &str) -> Result<Option<String>, RootError> {
        let owners = self.owners()?;
        let mut path = program.to_owned();
        for _ in 0..MAX_HOPS {
            for spelling in spellings(&path) {
                if let Some(package) = owners.by_path.get(&spelling) {
                    return Ok(Some(package.clone()));
                }
            }
            let on_disk = self.path.join(path.trim_start_matches('/'));
            let Ok(target) = fs::read_link(&on_disk) else {
                return Ok(None);
            };
            let Some(target) = target.to_str() else {
                return Ok(None);
            };
            path = format!("/{}", link_target(&path, target));
        }
        Ok(None)
    }

    fn owners(&self) -> Result<&Owners, RootError> {
        if let Some(owners) = self.owners.get() {
            return Ok(owners);
        }
        let mut owners = Owners::default();
        let mut files = self.records("list")?;
        files.sort();
        for (package, file) in files {
            if !self.packages.contains_key(&package) {
                continue;
            }
            for line in read(&file)?.lines() {
                let name = line.rsplit('/').next().unwrap_or_default();
                if may_run(line) {
                    owners.by_path.entry(line.to_owned()).or_insert_with(|| package.clone());
                }
                if name.contains(".so") && (line.starts_with("/usr/lib") || line.starts_with("/lib")) {
                    owners
                        .by_soname
                        .entry(name.to_owned())
                        .or_insert_with(|| package.clone());
                }
            }
        }
        Ok(self.owners.get_or_init(|| owners))
    }

    /// The files of one kind in dpkg's records of the packages that count, with these: `libc6:amd64.symbols`.
    fn records(&self, kind: &str) -> Result<Vec<(String, PathBuf)>, RootError> {
        let io = |source| RootError::Io {
            path: self.info.clone(),
            source,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.info).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = name.strip_suffix(kind).and_then(|stem| stem.strip_suffix('.'));
            if let Some(stem) = stem {
                let (package, of) = stem.split_once(':').unwrap_or((stem, ""));
                // Beside its own, a machine may have the packages of other architectures.
                if of.is_empty() || of == self.arch.as_str() || self.arch == Arch::All {
                    found.push((package.to_owned(), path.clone()));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The codename of the Debian release that a root is of, by its os-release(5).
pub fn suite_of(root: &Path) -> Result<String, RootError> {
    let release = root.join("usr/lib/os-release");
    let text = read(&release)?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches(['"', '\'']).to_owned())
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        .ok_or(RootError::NoCodename { path: release })
}

fn read(path: &Path) -> Result<String, RootError> {
    let bytes = fs::read(path).map_err(|source| RootError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The installed packages of an architecture, and those for all.
fn packages(status: &str, arch: Arch) -> HashMap<String, Package> {
    let mut found = HashMap::new();
    for paragraph in status.split("\n\n") {
        let field = |name: &str| {
            let line = paragraph
                .lines()
                .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
            Some(line[name.len() + 1..].trim())
        };
        let (Some(name), Some(Ok(version))) = (field("Package"), field("Version").map(str::parse)) else {
            continue;
        };
        let fits = match field("Architecture") {
            Some("all") => true,
            Some(own) => own == arch.as_str() || arch == Arch::All,
            None => false,
        };
        if fits && field("Status").is_some_and(|status| status.ends_with(" installed")) {
            let essential = field("Essential") == Some("yes");
            found.insert(name.to_owned(), Package { version, essential });
        }
    }
    found
}

/// Whether programs lie there: below `/usr`, but for what is only read.
fn may_run(path: &str) -> bool {
    let read = ["doc/", "doc-base/", "icons/", "info/", "lintian/", "locale/", "man/"];
    match path.strip_prefix("/usr/share/") {
        Some(rest) => !read.iter().any(|dir| rest.starts_with(dir)),
        None => {
            ["/usr/", "/bin/", "/sbin/"].iter().any(|dir| path.starts_with(dir)) && !path.starts_with("/usr/include/")
        }
    }
}

/// Where `/usr` is merged, dpkg may know a file by either name.
fn spellings(path: &str) -> [String; 2] {
    let other = match path.strip_prefix("/usr") {
        Some(rest) => rest.to_owned(),
        None => format!("/usr{path}"),
    };
    [path.to_owned(), other]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with what dpkg would have recorded.
    fn root(dir: &Path) -> Root {
        for (path, text) in [
            ("usr/lib/os-release", "NAME=x\nVERSION_CODENAME=bookworm\n"),
            (
                "var/lib/dpkg/status",
                "Package: libacme1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.5\n\n\
                 Package: libacme1\nStatus: install ok installed\nArchitecture: i386\nVersion: 9\n\n\
                 Package: dash\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                 Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n\
                 Package: tool\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n",
            ),
            (
                "var/lib/dpkg/info/libacme1:amd64.symbols",
                "libacme.so.1 libacme1 #MINVER#\n a@Base 1.0\n",
            ),
            (
                "var/lib/dpkg/info/libacme1:i386.symbols",
                "libacme.so.1 libacme1 #MINVER#\n b@Base 9.0\n",
            ),
            ("var/lib/dpkg/info/libacme1:i386.list", "/usr/bin/of-i386\n"),
            (
                "var/lib/dpkg/info/libacme1:amd64.list",
                "/.\n/usr/lib/x/libacme.so.1\n/usr/lib/x/libplugin.so\n",
            ),
            ("var/lib/dpkg/info/gone.list", "/usr/bin/gone\n"),
            ("var/lib/dpkg/info/dash.list", "/bin/sh\n"),
            ("var/lib/dpkg/info/tool.list", "/usr/bin/tool-2\n"),
            ("var/lib/dpkg/info/tool.shlibs", "libtool 3 tool (>= 2)\n"),
        ] {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(dir.join("usr/bin")).unwrap();
        fs::create_dir_all(dir.join("etc/alternatives")).unwrap();
        let link = |target: &str, path: &str| std::os::unix::fs::symlink(target, dir.join(path)).unwrap();
        link("/etc/alternatives/tool", "usr/bin/tool");
        link("../../usr/bin/tool-2", "etc/alternatives/tool");
        link("loop", "usr/bin/loop");
        link("../../../../usr/bin/tool-2", "usr/bin/climber");
        Root::open(dir, Arch::Amd64).unwrap()
    }

    #[test]
    fn owners_are_found_through_links_and_a_merged_usr() {
        let temp = tempfile::tempdir().unwrap();
        let root = root(temp.path());
        assert_eq!(root.suite(), "bookworm");
        for (program, package) in [
            ("/bin/sh", Some("dash")),
            ("/usr/bin/sh", Some("dash")),
            ("/usr/bin/tool-2", Some("tool")),
            ("/usr/bin/tool", Some("tool")),
            ("/usr/bin/climber", Some("tool")),
            ("/usr/bin/loop", None),
            ("/usr/bin/gone", None),
            ("/usr/bin/of-i386", None),
            ("/usr/bin/missing", None),
        ] {
            assert_eq!(root.owner(program).unwrap().as_deref(), package, "{program}");
        }
        assert!(root.is_essential("dash") && !root.is_essential("tool"));
        assert_eq!(
            root.version("libacme1").unwrap().as_str(),
            "1.5",
            "of the architecture asked for"
        );
        assert_eq!(root.version("gone"), None);
        assert_eq!(
            root.owner_of_library("libplugin.so").unwrap().as_deref(),
            Some("libacme1")
        );
        let library = root.symbols("libacme.so.1").unwrap().unwrap();
        let bound = library.relations(&[("a".to_owned(), None)].into());
        assert_eq!(bound[0].to_string(), "libacme1 (>= 1.0)", "not that of i386");
        assert!(root.symbols("libacme.so.2").unwrap().is_none());
        assert_eq!(root.shlibs("libtool.so.3").unwrap()[0].to_string(), "tool (>= 2)");
    }

    #[test]
    fn what_is_no_root_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let refused = || Root::open(temp.path(), Arch::Amd64).err().unwrap().to_string();
        assert!(refused().contains("os-release") && refused().contains("(hint: "));
        fs::create_dir_all(temp.path().join("usr/lib")).unwrap();
        fs::write(temp.path().join("usr/lib/os-release"), "NAME=x\n").unwrap();
        assert!(refused().contains("VERSION_CODENAME"), "{}", refused());
    }
}
