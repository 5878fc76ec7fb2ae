//! Owns the `.deb`: its control and data archives inside the ar container (deb(5)).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::compress::Compressor;
use super::digest::{ArtifactDigest, ArtifactState, Hashing as _, State};
use super::tar::{END, TarWriter, entry_len};
use super::{ArchiveError, DigestWriter, Digests, Md5, Progress, ar, check_mtime, gzip, zst};
use crate::model::{AbsPath, Packing, Sha256, TreePath};
use crate::tree::{FileNode, ReadError};

/// A file of the control archive: `control`, `postinst`, ….
#[derive(Debug, Clone)]
pub struct ControlFile {
    /// Its name, without a directory.
    pub name: String,
    /// 0644, or 0755 for a script.
    pub mode: u32,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Something that dpkg installs.
#[derive(Debug, Clone)]
pub struct DataEntry {
    /// Where.
    pub path: AbsPath,
    /// What.
    pub kind: DataKind,
}

/// What is installed at a path.
#[derive(Debug, Clone)]
pub enum DataKind {
    /// A directory with mode 0755.
    Dir,
    /// A symlink with its target.
    Symlink(String),
    /// A file from memory.
    Bytes {
        /// Permission bits.
        mode: u32,
        /// Its content.
        bytes: Arc<[u8]>,
    },
    /// A file of the release, read when it is written.
    Release {
        /// Its place in the release.
        path: TreePath,
        /// Where its content comes from, and its mode.
        file: FileNode,
        /// What the content was when the release got its name.
        sha256: Sha256,
    },
    /// A file from the disk, such as the payload.
    Stored {
        /// Permission bits.
        mode: u32,
        /// Where its content is.
        file: StoredFile,
    },
}

/// Content that was written to a (temporary) file before, with its digests.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Read from its start; its position doesn't matter.
    pub file: Arc<File>,
    /// Of the content.
    pub digests: Digests,
}

/// Everything in a `.deb`.
#[derive(Debug, Clone)]
pub struct DebParts {
    /// The control archive's files; `md5sums` is added.
    pub control_files: Vec<ControlFile>,
    /// What is installed, in any order; parents are added.
    pub data: Vec<DataEntry>,
    /// The time of every entry, in seconds since 1970.
    pub mtime: u64,
    /// How the payload is compressed, or the data archive where it holds none that already is.
    pub packing: Packing,
}

/// Writes a `.deb`.
///
/// With a stored file in it, the data archive gets only the fastest compression: the payload already has its own, and passes
/// through as raw blocks, but its manifest (6 % of a package of `node_modules`) shrinks to a third. The control archive is
/// gzip, which every tool that ever read a `.deb` takes.
///
/// `spool` is an empty file beside the output; it takes the data archive until its length is known.
///
/// `progress` is told of the release's files where they are written one by one.
pub fn write_deb(
    parts: &DebParts,
    spool: File,
    progress: &dyn Progress,
    out: impl Write,
) -> Result<ArtifactDigest, ArchiveError> {
    let failed = ArchiveError::write("package");
    check_mtime(parts.mtime)?;
    let data = sorted(&parts.data)?;
    // The control archive stands first and wants the checksums; the container wants each length before the bytes.
    let (sums, suffix, mut spool) = spooled_data(parts, &data, spool, progress)?;
    let packed = spool.seek(SeekFrom::End(0)).map_err(&failed)?;
    spool.rewind().map_err(&failed)?;
    let control = control_tar(parts, sums)?;
    let control = gzip::compress(&control, 9).map_err(&failed)?;

    let mut out = DigestWriter::<_, ArtifactState>::new(out);
    let mtime = parts.mtime;
    let small = |out: &mut DigestWriter<_, _>, name: &str, bytes: &[u8]| {
        ar::member(out, name, mtime, bytes.len() as u64)?;
        out.write_all(bytes)?;
        ar::end_member(out, bytes.len() as u64)
    };
    ar::start(&mut out).map_err(&failed)?;
    small(&mut out, "debian-binary", b"2.0\n").map_err(&failed)?;
    small(&mut out, "control.tar.gz", &control).map_err(&failed)?;
    let name = format!("data.tar.{suffix}");
    ar::member(&mut out, &name, mtime, packed).map_err(&failed)?;
    let copied = io::copy(&mut io::BufReader::with_capacity(COPY, spool), &mut out).map_err(&failed)?;
    if copied != packed {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    ar::end_member(&mut out, packed).map_err(&failed)?;
    out.finish().map(|(_, digests)| digests).map_err(&failed)
}

/// The data archive, compressed, in `spool`; its checksums, and what its name ends with.
fn spooled_data(
    parts: &DebParts,
    data: &Sorted<'_>,
    spool: File,
    progress: &dyn Progress,
) -> Result<(String, &'static str, File), ArchiveError> {
    let failed = ArchiveError::write("package");
    let size = data_len(data);
    let packing = parts.packing;
    let spool = io::BufWriter::with_capacity(COPY, spool);
    let (out, used) = if data.values().any(|kind| matches!(kind, DataKind::Stored { .. })) {
        Compressor::fast(spool, packing.compression(), size).map_err(&failed)?
    } else {
        let out = Compressor::new(spool, packing, zst::Length::Exact(size), zst::workers());
        (out.map_err(&failed)?, packing.compression())
    };
    let (sums, out) = write_data(data, parts.mtime, progress, out)?;
    let spool = out.finish().map_err(&failed)?;
    let spool = spool.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok((sums, used.suffix(), spool))
}

/// Bytes that are copied at once.
const COPY: usize = 256 * 1024;

/// `Installed-Size` in KiB of what dpkg itself installs, parents included: content rounded up to whole KiB, 1 KiB for
/// everything else (Policy 5.6.20, deb-substvars(5)).
pub fn installed_kib(data: &[DataEntry]) -> Result<u64, ArchiveError> {
    Ok(sorted(data)?
        .values()
        .map(|kind| match kind {
            DataKind::Dir | DataKind::Symlink(_) => 1,
            DataKind::Bytes { bytes, .. } => (bytes.len() as u64).div_ceil(1024),
            DataKind::Release { file, .. } => file.size.div_ceil(1024),
            DataKind::Stored { file, .. } => file.digests.size.div_ceil(1024),
        })
        .sum())
}

type Sorted<'a> = BTreeMap<String, &'a DataKind>;

/// The entries by path (without the leading slash), with their parents; wrong ones are refused.
fn sorted(data: &[DataEntry]) -> Result<Sorted<'_>, ArchiveError> {
    let invalid = |path: &AbsPath, problem: &str, hint| ArchiveError::Invalid {
        what: format!("{path:?}"),
        problem: problem.to_owned(),
        hint,
    };
    let mut sorted: Sorted<'_> = BTreeMap::new();
    for entry in data {
        let path = &entry.path;
        match &entry.kind {
            DataKind::Bytes { mode, .. } | DataKind::Stored { mode, .. } if mode & !0o777 != 0 || mode & 0o022 != 0 => {
                return Err(invalid(
                    path,
                    &format!("mode {mode:o} is not allowed"),
                    "files are root's, without setuid, and nobody else writes them",
                ));
            }
            DataKind::Symlink(target) if target.is_empty() || target.chars().any(char::is_control) => {
                return Err(invalid(
                    path,
                    &format!("its target {target:?} can't be written"),
                    "make the link again with a plain target",
                ));
            }
            _ => {}
        }
        let Some(name) = path.as_str().strip_prefix('/').filter(|name| !name.is_empty()) else {
            continue;
        };
        match (sorted.insert(name.to_owned(), &entry.kind), &entry.kind) {
            (None, _) | (Some(DataKind::Dir), DataKind::Dir) => {}
            _ => {
                return Err(invalid(
                    path,
                    "it is there twice",
                    "two parts of the package have the same path",
                ));
            }
        }
    }
    for entry in data {
        let mut parent = entry.path.parent();
        while let Some(dir) = parent {
            if let Some(name) = dir.as_str().strip_prefix('/').filter(|name| !name.is_empty()) {
                match sorted.get(name) {
                    None => drop(sorted.insert(name.to_owned(), &DataKind::Dir)),
                    Some(DataKind::Dir) => {}
                    Some(_) => {
                        return Err(invalid(
                            &entry.path,
                            &format!("{dir} is no directory"),
                            "two parts of the package have the same path",
                        ));
                    }
                }
            }
            parent = dir.parent();
        }
    }
    Ok(sorted)
}

fn control_tar(parts: &DebParts, sums: String) -> Result<Vec<u8>, ArchiveError> {
    let sums = sums.into_bytes();
    let mut files: BTreeMap<&str, (u32, &[u8])> = BTreeMap::from([("md5sums", (0o644, sums.as_slice()))]);
    for file in &parts.control_files {
        let plain = !file.name.is_empty()
            && file
                .name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let new = files.insert(&file.name, (file.mode, &file.bytes)).is_none();
        if !plain || !new || !matches!(file.mode, 0o644 | 0o755) {
            return Err(ArchiveError::Invalid {
                what: format!("the control file {:?} with mode {:o}", file.name, file.mode),
                problem: if new {
                    "it has no plain name and mode".into()
                } else {
                    "it is there twice".into()
                },
                hint: "control files are called like postinst and have mode 644 or 755",
            });
        }
    }
    let failed = ArchiveError::write("control archive");
    let mut tar = TarWriter::new(Vec::new(), parts.mtime);
    tar.dir(".").map_err(&failed)?;
    for (name, (mode, bytes)) in files {
        tar.file(&format!("./{name}"), mode, bytes).map_err(&failed)?;
    }
    tar.finish().map_err(&failed)
}

fn data_len(data: &Sorted<'_>) -> u64 {
    let entries: u64 = data
        .iter()
        .map(|(path, kind)| {
            let path = format!("./{path}");
            match kind {
                DataKind::Dir => entry_len(&path, true, "", 0),
                DataKind::Symlink(target) => entry_len(&path, false, target, 0),
                DataKind::Bytes { bytes, .. } => entry_len(&path, false, "", bytes.len() as u64),
                DataKind::Release { file, .. } => entry_len(&path, false, "", file.size),
                DataKind::Stored { file, .. } => entry_len(&path, false, "", file.digests.size),
            }
        })
        .sum();
    entries + entry_len(".", true, "", 0) + END
}

/// Writes the data archive; gives the list that `dpkg -V` checks, of every regular file by path.
fn write_data<W: Write>(
    data: &Sorted<'_>,
    mtime: u64,
    progress: &dyn Progress,
    out: W,
) -> Result<(String, W), ArchiveError> {
    let failed = ArchiveError::write("data archive");
    let mut tar = TarWriter::new(out, mtime);
    let mut sums = String::new();
    tar.dir(".").map_err(&failed)?;
    for (name, kind) in data {
        let path = format!("./{name}");
        let md5 = match kind {
            DataKind::Dir => tar.dir(&path).map(|()| None).map_err(&failed)?,
            DataKind::Symlink(target) => tar.symlink(&path, target).map(|()| None).map_err(&failed)?,
            DataKind::Bytes { mode, bytes } => {
                tar.file(&path, *mode, bytes).map_err(&failed)?;
                Some(Digests::of(bytes).md5)
            }
            DataKind::Release {
                path: inside,
                file,
                sha256,
            } => {
                let mode = if file.executable { 0o755 } else { 0o644 };
                tar.begin_file(&path, mode, file.size).map_err(&failed)?;
                Some(read_into(&mut tar, inside, file, sha256, progress, &failed)?)
            }
            DataKind::Stored { mode, file } => {
                tar.begin_file(&path, *mode, file.digests.size)
                    .and_then(|()| copy(&mut tar, file))
                    .map_err(&failed)?;
                Some(file.digests.md5)
            }
        };
        if let Some(md5) = md5 {
            sums.push_str(&format!("{md5}  {name}\n"));
        }
    }
    Ok((sums, tar.finish().map_err(&failed)?))
}

/// A file of the release, which still has to be what the release's name says.
fn read_into<W: Write>(
    tar: &mut TarWriter<W>,
    path: &TreePath,
    file: &FileNode,
    sha256: &Sha256,
    progress: &dyn Progress,
    failed: &impl Fn(io::Error) -> ArchiveError,
) -> Result<Md5, ArchiveError> {
    let mut reader = file.open(path)?;
    let mut state = State::default();
    let mut buffer = vec![0; COPY.min(usize::try_from(file.size).unwrap_or(COPY).max(1))];
    if file.size == 0 {
        tar.content(&[]).map_err(failed)?;
    }
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            got => {
                state.update(&buffer[..got]);
                tar.content(&buffer[..got]).map_err(failed)?;
                progress.advance(got as u64);
            }
        }
    }
    let digests = state.finish();
    if digests.sha256 != *sha256 {
        return Err(ReadError::Changed { path: path.to_string() }.into());
    }
    Ok(digests.md5)
}

fn copy<W: Write>(tar: &mut TarWriter<W>, stored: &StoredFile) -> io::Result<()> {
    let mut buffer = vec![0; COPY];
    let mut at = 0;
    if stored.digests.size == 0 {
        return tar.content(&[]);
    }
    while at < stored.digests.size {
        let want = usize::try_from(stored.digests.size - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match stored.file.read_at(&mut buffer[..want], at) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the stored payload is shorter than it was",
                ));
            }
            Ok(got) => {
                tar.content(&buffer[..got])?;
                at += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Compression;

    fn entry(path: &str, kind: DataKind) -> DataEntry {
        DataEntry {
            path: path.parse().unwrap(),
            kind,
        }
    }

    fn bytes(text: &str) -> DataKind {
        DataKind::Bytes {
            mode: 0o644,
            bytes: text.as_bytes().into(),
        }
    }

    fn parts(data: Vec<DataEntry>) -> DebParts {
        let control = ControlFile {
            name: "control".into(),
            mode: 0o644,
            bytes: b"Package: a\n".to_vec(),
        };
        DebParts {
            control_files: vec![control],
            data,
            mtime: 1,
            packing: Packing::new(Compression::Zstd, 3).unwrap(),
        }
    }

    fn spool() -> File {
        tempfile::tempfile().unwrap()
    }

    #[test]
    fn parents_are_added_and_sorted() {
        let data = [
            entry("/opt/a/b", bytes("x")),
            entry("/opt/a-b", DataKind::Dir),
            entry("/etc/l", DataKind::Symlink("/opt/a".into())),
        ];
        let sorted = sorted(&data).unwrap();
        assert_eq!(
            sorted.keys().map(String::as_str).collect::<Vec<_>>(),
            ["etc", "etc/l", "opt", "opt/a", "opt/a-b", "opt/a/b"]
        );
        let (sums, _) = write_data(&sorted, 1, &(), io::sink()).unwrap();
        assert_eq!(sums, "9dd4e461268c8034f5c8564e155c67a6  opt/a/b\n");
        assert_eq!(installed_kib(&data).unwrap(), 6);
    }

    #[test]
    fn wrong_entries_are_refused() {
        for data in [
            vec![entry("/a", bytes("x")), entry("/a", bytes("y"))],
            vec![entry("/a", bytes("x")), entry("/a", DataKind::Dir)],
            vec![entry("/a", bytes("x")), entry("/a/b", bytes("y"))],
            vec![entry("/a", DataKind::Symlink("b".into())), entry("/a/b", bytes("y"))],
            vec![entry("/a", DataKind::Symlink("x\ny".into()))],
            vec![entry(
                "/a",
                DataKind::Bytes {
                    mode: 0o4755,
                    bytes: b"".as_slice().into(),
                },
            )],
            vec![entry(
                "/a",
                DataKind::Bytes {
                    mode: 0o666,
                    bytes: b"".as_slice().into(),
                },
            )],
        ] {
            assert!(matches!(
                write_deb(&parts(data), spool(), &(), io::sink()),
                Err(ArchiveError::Invalid { .. })
            ));
        }
        for (name, mode) in [
            ("control", 0o644),
            ("md5sums", 0o644),
            ("../x", 0o644),
            ("postinst", 0o700),
        ] {
            let mut parts = parts(vec![]);
            parts.control_files.push(ControlFile {
                name: name.into(),
                mode,
                bytes: vec![],
            });
            assert!(write_deb(&parts, spool(), &(), io::sink()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_stored_file_passes_through_as_it_is() {
        let content: Vec<u8> = (0..300_000_u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).rotate_left(i % 31).to_le_bytes())
            .collect();
        let packed = zst::compress(&content, 19).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&packed).unwrap();
        let stored = StoredFile {
            file: Arc::new(file),
            digests: Digests::of(&packed),
        };
        let manifest = bytes(&"0123456789 some line\n".repeat(5000));
        let mut out = Vec::new();
        let data = vec![
            entry(
                "/opt/p",
                DataKind::Stored {
                    mode: 0o644,
                    file: stored,
                },
            ),
            entry("/opt/manifest", manifest),
        ];
        let digests = write_deb(&parts(data), spool(), &(), &mut out).unwrap();
        assert_eq!(digests, Digests::of(&out).into());
        assert!(out.len() < packed.len() + 2000, "{} for {}", out.len(), packed.len());
    }
}
