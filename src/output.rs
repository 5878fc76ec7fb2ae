//! Owns putting artifacts in place: written beside, synced, renamed, so that a name never holds half an artifact.
//!
//! While an artifact is written it has no name at all (`O_TMPFILE`), so nothing is left behind however the build ends;
//! where the file system lacks that, a hidden temporary file is used, and removed unless the process is killed.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::NamedTempFile;

/// Why an artifact can't be put in place.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {path:?} (hint: {})", self.hint())]
pub struct OutputError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl OutputError {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    fn hint(&self) -> &'static str {
        match self.source.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                "a file is in its place: move it away, or name another directory"
            }
            ErrorKind::IsADirectory => "a directory is in its place: move it away, or name another directory",
            ErrorKind::InvalidFilename => "the name is too long for this file system",
            _ => "check the space and the permissions there",
        }
    }
}

/// The directory that artifacts are written to.
#[derive(Debug, Clone)]
pub struct OutputDir {
    path: PathBuf,
}

impl OutputDir {
    /// Makes the directory, with its parents, if it isn't there.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        fs::create_dir_all(path).map_err(OutputError::new("create the output directory", path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where artifacts end up.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file without a name for what is only needed during the build.
    pub fn scratch(&self) -> Result<File, OutputError> {
        tempfile::tempfile_in(&self.path).map_err(OutputError::new("create a temporary file in", &self.path))
    }

    /// Begins an artifact; it gets its name in [`commit`].
    ///
    /// # Errors
    /// `name` must be one plain file name.
    pub fn begin(&self, name: &str) -> Result<Output, OutputError> {
        let target = self.path.join(name);
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(OutputError::new("write to the file name", &target)(
                io::ErrorKind::InvalidFilename.into(),
            ));
        }
        let pending = match unnamed(&self.path) {
            Ok(file) => Pending::Unnamed(file),
            Err(_) => Pending::Named(
                tempfile::Builder::new()
                    .prefix(".relpack-")
                    .tempfile_in(&self.path)
                    .map_err(OutputError::new("create a temporary file in", &self.path))?,
            ),
        };
        Ok(Output {
            dir: self.path.clone(),
            target,
            pending,
        })
    }
}

fn unnamed(dir: &Path) -> io::Result<File> {
    let fd = rustix::fs::open(
        dir,
        OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )?;
    Ok(fd.into())
}

#[derive(Debug)]
enum Pending {
    Unnamed(File),
    Named(NamedTempFile),
}

/// An artifact being written. Dropped without [`commit`], it vanishes.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    target: PathBuf,
    pending: Pending,
}

impl Output {
    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.target
    }

    fn file(&self) -> &File {
        match &self.pending {
            Pending::Unnamed(file) => file,
            Pending::Named(named) => named.as_file(),
        }
    }

    /// Mode 0644 whatever the umask, and on the disk.
    fn settle(&self) -> io::Result<()> {
        self.file().set_permissions(Permissions::from_mode(0o644))?;
        self.file().sync_all()
    }

    fn put_in_place(self) -> io::Result<()> {
        match self.pending {
            Pending::Named(named) => named.persist(&self.target).map(drop).map_err(|error| error.error),
            Pending::Unnamed(file) => {
                if self.target.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                // A link can't replace a file: give it a name of its own first, then rename.
                let name = self.target.file_name().unwrap_or_default().to_string_lossy();
                let beside = self.dir.join(format!(".{name}.{}", std::process::id()));
                let in_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
                let link = || rustix::fs::linkat(CWD, &in_proc, CWD, &beside, AtFlags::SYMLINK_FOLLOW);
                match link() {
                    Ok(()) => {}
                    Err(rustix::io::Errno::EXIST) => {
                        fs::remove_file(&beside)?;
                        link()?;
                    }
                    // No /proc, or a file system without links.
                    Err(_) => return copy_in_place(&file, &self.dir, &self.target),
                }
                fs::rename(&beside, &self.target).inspect_err(|_| {
                    let _ = fs::remove_file(&beside);
                })
            }
        }
    }
}

fn copy_in_place(file: &File, dir: &Path, target: &Path) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    let mut from = file.try_clone()?;
    from.seek(SeekFrom::Start(0))?;
    let mut named = tempfile::Builder::new().prefix(".relpack-").tempfile_in(dir)?;
    io::copy(&mut from, &mut named)?;
    named.as_file().set_permissions(Permissions::from_mode(0o644))?;
    named.as_file().sync_all()?;
    named.persist(target).map(drop).map_err(|error| error.error)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// Puts artifacts in place: all are on the disk before the first gets its name. Gives their paths.
pub fn commit(outputs: Vec<Output>) -> Result<Vec<PathBuf>, OutputError> {
    for output in &outputs {
        output.settle().map_err(OutputError::new("write", &output.target))?;
    }
    let mut paths = Vec::with_capacity(outputs.len());
    let mut dirs = Vec::new();
    for output in outputs {
        let (dir, target) = (output.dir.clone(), output.target.clone());
        output
            .put_in_place()
            .map_err(OutputError::new("put in place", &target))?;
        paths.push(target);
        dirs.push(dir);
    }
    dirs.dedup();
    for dir in dirs {
        File::open(&dir)
            .and_then(|file| file.sync_all())
            .map_err(OutputError::new("sync", &dir))?;
    }
    Ok(paths)
}

/// Writes a file that isn't there yet, whole or not at all.
///
/// # Errors
/// Where there is already something of this name, whatever it is; that stays as it is.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    written_beside(path, bytes)?
        .persist_noclobber(path)
        .map(drop)
        .map_err(|error| OutputError::new("put in place", path)(error.error))
}

/// The same in the place of what there was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    written_beside(path, bytes)?
        .persist(path)
        .map(drop)
        .map_err(|error| OutputError::new("put in place", path)(error.error))
}

fn written_beside(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, OutputError> {
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let mut named = tempfile::Builder::new()
        .prefix(".relpack-")
        .tempfile_in(dir)
        .map_err(OutputError::new("create a temporary file in", dir))?;
    named
        .write_all(bytes)
        .and_then(|()| named.as_file().set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| named.as_file().sync_all())
        .map_err(OutputError::new("write", path))?;
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_appear_at_the_end_and_replace_old_ones() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/dist");
        let dir = OutputDir::create(&path).unwrap();
        fs::write(path.join("x.deb"), "old").unwrap();
        let mut x = dir.begin("x.deb").unwrap();
        let mut y = dir.begin("y.deb").unwrap();
        x.write_all(b"new").unwrap();
        y.write_all(b"y").unwrap();
        let mut scratch = dir.scratch().unwrap();
        scratch.write_all(b"s").unwrap();
        assert_eq!(names(&path), ["x.deb"]);
        assert_eq!(fs::read(path.join("x.deb")).unwrap(), b"old");
        assert_eq!(commit(vec![x, y]).unwrap(), [path.join("x.deb"), path.join("y.deb")]);
        assert_eq!(names(&path), ["x.deb", "y.deb"]);
        assert_eq!(fs::read(path.join("x.deb")).unwrap(), b"new");
        for name in ["x.deb", "y.deb"] {
            assert_eq!(
                fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777,
                0o644
            );
        }
    }

    #[test]
    fn a_dropped_output_leaves_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(temp.path()).unwrap();
        let mut output = dir.begin("x.deb").unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert!(names(temp.path()).is_empty());
        for bad in ["", ".", "..", "a/b"] {
            assert!(dir.begin(bad).is_err());
        }
    }

    #[test]
    fn a_directory_in_the_way_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(temp.path()).unwrap();
        fs::create_dir(temp.path().join("x.deb")).unwrap();
        let error = commit(vec![dir.begin("x.deb").unwrap()]).unwrap_err();
        assert!(error.to_string().contains("put in place"), "{error}");
        assert_eq!(names(temp.path()), ["x.deb"]);
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.toml");
        write_new(&path, b"1").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert!(write_new(&path, b"2").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"1");
        let link = temp.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(write_new(&link, b"2").is_err());
        assert_eq!(names(temp.path()), ["link", "x.toml"]);
    }

    #[test]
    fn the_fallbacks_work() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("x");
        let mut named = tempfile::Builder::new().tempfile_in(temp.path()).unwrap();
        named.write_all(b"1").unwrap();
        commit(vec![Output {
            dir: temp.path().into(),
            target: target.clone(),
            pending: Pending::Named(named),
        }])
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"1");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"2").unwrap();
        copy_in_place(&file, temp.path(), &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"2");
        assert_eq!(names(temp.path()), ["x"]);
    }
}
