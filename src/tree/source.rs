//! Owns reading one file's content, and noticing that it changed meanwhile.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::FileNode;
use crate::model::TreePath;

/// Where a file's content comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file on this machine, as it was when the tree was scanned.
    Disk {
        /// The directory that was scanned: the file stands there under its path in the release. Shared, since there may
        /// be a hundred thousand of them in memory.
        root: Arc<Path>,
        /// What it looked like.
        fingerprint: Fingerprint,
    },
    /// Content that was made in memory.
    Bytes(Arc<[u8]>),
}

/// What tells that a file is still the same and unchanged: a hash of its device, inode, size and times, since there may be
/// a hundred thousand of them in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint in a file's metadata.
    pub fn of(meta: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        (meta.dev(), meta.ino(), meta.len()).hash(&mut hasher);
        (meta.mtime(), meta.mtime_nsec()).hash(&mut hasher);
        (meta.ctime(), meta.ctime_nsec()).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Why a file of the tree can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no.
    #[error("can't {action} {path:?} (hint: check that it is still there and readable, and build again)")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file on disk.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It isn't the file that was scanned any more.
    #[error(
        "{path:?} changed while it was being packed (hint: let the build finish before packing it, and build again)"
    )]
    Changed {
        /// The file in the release.
        path: String,
    },
}

/// Reads a file once from start to end.
#[derive(Debug)]
pub struct FileReader<'a> {
    path: String,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Disk {
        file: File,
        left: u64,
        on_disk: PathBuf,
        fingerprint: Fingerprint,
    },
    Bytes(&'a [u8]),
}

impl<'a> FileReader<'a> {
    pub(super) fn open(node: &'a FileNode, path: &TreePath) -> Result<Self, ReadError> {
        let reader = match &node.source {
            Source::Bytes(bytes) => Self {
                path: path.to_string(),
                content: Content::Bytes(bytes),
            },
            Source::Disk { root, fingerprint } => {
                let (file, on_disk) = open_on_disk(root, path)?;
                Self::of_file(path, file, on_disk, node.size, *fingerprint)
            }
        };
        reader.check_unchanged()?;
        Ok(reader)
    }

    /// Of a file that is open already.
    pub(super) fn of_file(path: &TreePath, file: File, on_disk: PathBuf, size: u64, fingerprint: Fingerprint) -> Self {
        Self {
            path: path.to_string(),
            content: Content::Disk {
                file,
                left: size,
                on_disk,
                fingerprint,
            },
        }
    }

    /// At most `max` bytes from here on.
    pub(super) fn head(mut self, max: u64) -> Result<Vec<u8>, ReadError> {
        let left = match &self.content {
            Content::Disk { left, .. } => *left,
            Content::Bytes(bytes) => bytes.len() as u64,
        };
        let mut bytes = vec![0; usize::try_from(left.min(max)).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read(&mut bytes[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Reads into `buffer`; 0 is the end, and says that the file was unchanged up to it.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let got = match &mut self.content {
            Content::Bytes(bytes) => {
                let (head, rest) = bytes.split_at(bytes.len().min(buffer.len()));
                buffer[..head.len()].copy_from_slice(head);
                *bytes = rest;
                return Ok(head.len());
            }
            Content::Disk { left: 0, .. } => 0,
            Content::Disk {
                file, left, on_disk, ..
            } => {
                let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let got = loop {
                    match file.read(&mut buffer[..want]) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(source) => {
                            return Err(ReadError::Io {
                                action: "read",
                                path: on_disk.clone(),
                                source,
                            });
                        }
                        Ok(got) => break got,
                    }
                };
                if got == 0 {
                    return Err(ReadError::Changed {
                        path: self.path.clone(),
                    });
                }
                *left -= got as u64;
                got
            }
        };
        if got == 0 {
            self.check_unchanged()?;
        }
        Ok(got)
    }

    fn check_unchanged(&self) -> Result<(), ReadError> {
        let Content::Disk {
            file,
            on_disk,
            fingerprint,
            ..
        } = &self.content
        else {
            return Ok(());
        };
        let meta = file.metadata().map_err(|source| ReadError::Io {
            action: "stat",
            path: on_disk.clone(),
            source,
        })?;
        if Fingerprint::of(&meta) == *fingerprint {
            Ok(())
        } else {
            Err(ReadError::Changed {
                path: self.path.clone(),
            })
        }
    }
}

fn open_on_disk(root: &Path, path: &TreePath) -> Result<(File, PathBuf), ReadError> {
    let on_disk = root.join(path.as_str());
    match open_file(CWD, &on_disk) {
        Ok(file) => Ok((file, on_disk)),
        Err(source) => Err(ReadError::Io {
            action: "open",
            path: on_disk,
            source,
        }),
    }
}

/// Opens a file for reading; `name` is relative to the directory.
pub(super) fn open_file(dir: impl AsFd, name: impl rustix::path::Arg) -> io::Result<File> {
    // Without NONBLOCK, a FIFO put in the file's place would hang the build.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?))
}

/// A file's content, read here and there.
#[derive(Debug)]
pub enum Seekable {
    /// On the disk.
    Disk(File),
    /// In memory.
    Bytes(io::Cursor<Arc<[u8]>>),
}

impl Seekable {
    /// Opens the content; that it stays the same until it is packed is seen when it is packed.
    pub(super) fn open(node: &FileNode, path: &TreePath) -> Result<Self, ReadError> {
        match &node.source {
            Source::Bytes(bytes) => Ok(Self::Bytes(io::Cursor::new(Arc::clone(bytes)))),
            Source::Disk { root, .. } => open_on_disk(root, path).map(|(file, _)| Self::Disk(file)),
        }
    }
}

impl Read for Seekable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Disk(file) => file.read(buffer),
            Self::Bytes(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Seekable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Disk(file) => file.seek(to),
            Self::Bytes(bytes) => bytes.seek(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn node(root: &Path, on_disk: &Path) -> FileNode {
        let meta = fs::symlink_metadata(on_disk).unwrap();
        let source = Source::Disk {
            root: root.into(),
            fingerprint: Fingerprint::of(&meta),
        };
        FileNode {
            executable: false,
            size: meta.len(),
            is_elf: false,
            source,
        }
    }

    #[test]
    fn a_file_that_changes_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let on_disk = dir.path().join("sub/f");
        fs::create_dir(dir.path().join("sub")).unwrap();
        let path: TreePath = "sub/f".parse().unwrap();
        for (change, new) in [
            ("shrinks", &b"01"[..]),
            ("grows", b"01234567890"),
            ("same size", b"abcdefghij"),
        ] {
            fs::write(&on_disk, b"0123456789").unwrap();
            let node = node(dir.path(), &on_disk);
            let mut reader = node.open(&path).unwrap();
            let mut buffer = [0; 4];
            assert_eq!(reader.read(&mut buffer).unwrap(), 4);
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(&on_disk, new).unwrap();
            let error = loop {
                match reader.read(&mut buffer) {
                    Ok(0) => panic!("{change}: not noticed"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(
                matches!(&error, ReadError::Changed { path } if path == "sub/f"),
                "{change}: {error}"
            );
            assert!(
                matches!(node.open(&path), Err(ReadError::Changed { .. })),
                "{change}: open"
            );
        }
        let node = node(dir.path(), &on_disk);
        fs::remove_file(&on_disk).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &on_disk).unwrap();
        assert!(matches!(node.open(&path), Err(ReadError::Io { .. })));
    }
}
