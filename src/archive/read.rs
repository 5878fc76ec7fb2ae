//! Owns reading artifacts back, for `inspect` and `verify`: bounded in memory and time, whatever the file holds.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::ar::{self, Member};
use super::compress::decoder;
use super::control::parse_paragraph;
use super::digest::DigestReader;
use super::limit::{Bounded, is_limit};
use super::release::ReleaseBuilder;
use super::tarball;
use super::untar::{TarError, TarReader};
use super::{ControlFile, Digests, Md5};
use crate::model::{Compression, ReleaseId, TreePath};

pub use super::artifact_error::ArtifactError;
pub use super::control::{Control, Paragraph};
pub use super::limit::Limits;
pub use super::release::Release;
pub use super::untar::{EntryInfo, InfoKind};

/// What kind of artifact it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A Debian package.
    Deb,
    /// A tarball compressed with zstd.
    TarZst,
    /// A tarball compressed with xz.
    TarXz,
    /// A tarball compressed with gzip.
    TarGz,
}

impl Format {
    /// As the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::TarZst => "tar.zst",
            Format::TarXz => "tar.xz",
            Format::TarGz => "tar.gz",
        }
    }
}

/// An artifact on the disk, its outer structure checked.
#[derive(Debug)]
pub struct Artifact {
    path: PathBuf,
    size: u64,
    format: Format,
    pub(super) limits: Limits,
    control: Option<Control>,
    data: Member,
}

impl Artifact {
    /// Opens an artifact and reads its control part.
    pub fn open(path: &Path) -> Result<Self, ArtifactError> {
        Self::open_with(path, Limits::default())
    }

    /// The same with other limits.
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self, ArtifactError> {
        let io = |action| {
            move |source| ArtifactError::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = open(path).map_err(io("open"))?;
        let meta = file.metadata().map_err(io("stat"))?;
        if !meta.is_file() {
            return Err(ArtifactError::Irregular { path: path.to_owned() });
        }
        let size = meta.len();
        let mut magic = [0; 8];
        let got = read_up_to(&mut file, &mut magic).map_err(io("read"))?;
        let format = match &magic[..got] {
            head if head == ar::MAGIC => Format::Deb,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::TarZst,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::TarXz,
            [0x1f, 0x8b, ..] => Format::TarGz,
            _ => {
                return Err(bad(
                    path,
                    "the file",
                    "is neither a .deb nor a tar.zst, tar.xz or tar.gz",
                ));
            }
        };
        let whole = Member {
            name: "the tarball".into(),
            offset: 0,
            size,
        };
        let mut artifact = Self {
            path: path.to_owned(),
            size,
            format,
            limits,
            control: None,
            data: whole,
        };
        if format == Format::Deb {
            artifact.open_deb(&mut file)?;
        }
        Ok(artifact)
    }

    fn open_deb(&mut self, file: &mut File) -> Result<(), ArtifactError> {
        let mut members = Vec::new();
        let mut at = ar::MAGIC.len() as u64;
        while at < self.size {
            file.seek(SeekFrom::Start(at))
                .map_err(|source| self.io("read", source))?;
            let member = match ar::read_member(file, at, self.size) {
                Ok(Ok(member)) => member,
                Ok(Err(problem)) => return Err(self.bad("the ar container", problem)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.bad("the ar container", "is cut off"));
                }
                Err(source) => return Err(self.io("read", source)),
            };
            at = member.offset + member.size;
            if member.size % 2 == 1 {
                // dpkg-deb pads the last member as well.
                if at >= self.size {
                    return Err(self.bad("the ar container", "is cut off"));
                }
                at += 1;
            }
            members.push(member);
            if members.len() > 16 {
                return Err(self.bad("the ar container", "has more than 16 members"));
            }
        }
        let [version, control, data] = members.as_slice() else {
            let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
            return Err(self.bad(
                "the ar container",
                format!("has the members {names:?} instead of debian-binary, control and data"),
            ));
        };
        let mut text = [0; 4];
        file.seek(SeekFrom::Start(version.offset))
            .and_then(|_| file.read_exact(&mut text))
            .map_err(|source| self.io("read", source))?;
        if version.name != "debian-binary" || version.size != 4 || &text != b"2.0\n" {
            return Err(self.bad("debian-binary", "doesn't say 2.0"));
        }
        if !control.name.starts_with("control.tar") || !data.name.starts_with("data.tar") {
            return Err(self.bad(
                "the ar container",
                format!(
                    "has {:?} and {:?} instead of control.tar and data.tar",
                    control.name, data.name
                ),
            ));
        }
        self.control = Some(self.read_control(control)?);
        self.data = data.clone();
        Ok(())
    }

    fn read_control(&self, member: &Member) -> Result<Control, ArtifactError> {
        let mut files = BTreeMap::new();
        let mut tar = TarReader::new(self.decompressed(member, self.limits.control_bytes)?, 1000);
        while let Some(entry) = tar.next().map_err(|error| self.tar_error(&member.name, error))? {
            if entry.kind != InfoKind::File || entry.path.as_str().contains('/') {
                return Err(self.bad(
                    &member.name,
                    format!("has an entry {:?} that is no plain file", entry.path.as_str()),
                ));
            }
            let mut bytes = Vec::new();
            tar.body()
                .read_to_end(&mut bytes)
                .map_err(|error| self.tar_error(&member.name, error.into()))?;
            let name = entry.path.to_string();
            if files
                .insert(
                    name.clone(),
                    ControlFile {
                        name,
                        mode: entry.mode,
                        bytes,
                    },
                )
                .is_some()
            {
                return Err(self.bad(&member.name, format!("has {:?} twice", entry.path.as_str())));
            }
        }
        let Some(control) = files.get("control") else {
            return Err(self.bad(&member.name, "has no control file"));
        };
        let fields: Paragraph = parse_paragraph(&control.bytes).map_err(|problem| self.bad("control", problem))?;
        Ok(Control { fields, files })
    }

    /// What kind of artifact it is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the artifact itself.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The control part of a `.deb`.
    pub fn control(&self) -> Option<&Control> {
        self.control.as_ref()
    }

    /// Bytes that the package says it has on a host (Policy 5.6.20); a tarball says nothing.
    fn installed_size(&self) -> Option<u64> {
        let kib: u64 = self.control.as_ref()?.fields.get("Installed-Size")?.parse().ok()?;
        Some(kib.saturating_mul(1024))
    }

    /// Size and hashes of the artifact itself.
    pub fn digests(&self) -> Result<Digests, ArtifactError> {
        let mut file = open(&self.path).map_err(|source| self.io("open", source))?;
        Digests::of_all(&mut file).map_err(|source| self.io("read", source))
    }

    /// Goes through the data archive of a `.deb`, or the whole tarball, once.
    pub fn walk(
        &self,
        visit: &mut dyn FnMut(&EntryInfo, &mut dyn Read) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let max = self.limits.unpacked(self.size, self.installed_size());
        let mut tar = TarReader::new(self.decompressed(&self.data, max)?, self.limits.entries);
        let mut seen = HashSet::new();
        while let Some(entry) = tar.next().map_err(|error| self.tar_error(&self.data.name, error))? {
            visit(&entry, &mut tar.body())?;
            if let Some(twice) = seen.replace(entry.path) {
                return Err(self.bad(&self.data.name, format!("has {:?} twice", twice.as_str())));
            }
        }
        Ok(())
    }

    /// All entries of the data archive or the tarball.
    pub fn entries(&self) -> Result<Vec<EntryInfo>, ArtifactError> {
        let mut entries = Vec::new();
        self.walk(&mut |entry, _| {
            entries.push(entry.clone());
            Ok(())
        })?;
        Ok(entries)
    }

    /// The content of the wanted files; one that is larger than `max` bytes is an error.
    pub fn read_files(
        &self,
        wanted: &dyn Fn(&TreePath) -> bool,
        max: u64,
    ) -> Result<BTreeMap<TreePath, Vec<u8>>, ArtifactError> {
        let mut files = BTreeMap::new();
        self.walk(&mut |entry, body| {
            if entry.kind == InfoKind::File && wanted(&entry.path) {
                files.insert(entry.path.clone(), self.small(entry, body, max)?);
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// The regular files whose MD5 differs from `md5sums`, or that only one of the two has; empty when all is well, and for a tarball.
    pub fn check_md5sums(&self) -> Result<Vec<String>, ArtifactError> {
        let Some(control) = &self.control else {
            return Ok(Vec::new());
        };
        let text = control.files.get("md5sums").map_or(&b""[..], |file| &file.bytes);
        let text = std::str::from_utf8(text).map_err(|_| self.bad("md5sums", "isn't UTF-8"))?;
        let mut listed = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let Some((sum, path)) = line.split_once("  ") else {
                return Err(self.bad("md5sums", format!("has a damaged line {}", index + 1)));
            };
            listed.insert(path, sum);
        }
        let mut wrong = Vec::new();
        self.walk(&mut |entry, body| {
            if entry.kind == InfoKind::File {
                let sum: Md5 = Digests::of_all(body)
                    .map_err(|error| self.tar_error(&self.data.name, error.into()))?
                    .md5;
                match listed.remove(entry.path.as_str()) {
                    None => wrong.push(format!("{} is not in md5sums", entry.path)),
                    Some(listed) if listed != sum.to_string() => {
                        wrong.push(format!("{} has the MD5 {sum}, md5sums says {listed}", entry.path))
                    }
                    Some(_) => {}
                }
            }
            Ok(())
        })?;
        wrong.extend(
            listed
                .keys()
                .map(|path| format!("{path} is in md5sums, but not in the package")),
        );
        Ok(wrong)
    }

    /// Unpacks the release in memory, file by file, and recomputes its manifest.
    pub fn release(&self) -> Result<Release, ArtifactError> {
        if self.format == Format::Deb {
            self.release_of_deb()
        } else {
            self.release_of_tarball()
        }
    }

    fn release_of_deb(&self) -> Result<Release, ArtifactError> {
        let mut archive: Option<Release> = None;
        let mut files: Option<(ReleaseId, ReleaseBuilder)> = None;
        let mut manifests = BTreeMap::new();
        let mut links = BTreeMap::new();
        let several = || self.bad(&self.data.name, "has more than one payload");
        self.walk(&mut |entry, body| {
            let Some((id, part)) = payload_part(&entry.path) else {
                if let (InfoKind::Symlink(target), true) = (&entry.kind, entry.path.as_str().starts_with("usr/")) {
                    links.insert(format!("/{}", entry.path), target.clone());
                }
                return Ok(());
            };
            if let PayloadPart::Inside(path) = part {
                let (of, builder) = files.get_or_insert_with(|| (id.clone(), ReleaseBuilder::default()));
                if *of != id {
                    return Err(several());
                }
                return match (path, &entry.kind) {
                    ("", InfoKind::Dir) => Ok(()),
                    _ => builder.add(self, "the payload", entry, path, body),
                };
            }
            if entry.kind != InfoKind::File {
                return Err(self.bad("the payload", "is no regular file"));
            }
            match part {
                PayloadPart::Archive(compression) => {
                    let found = self.release_of_archive(id, compression, entry, body)?;
                    match archive.replace(found) {
                        None => Ok(()),
                        Some(_) => Err(several()),
                    }
                }
                _ => {
                    manifests.insert(id, self.small(entry, body, self.limits.manifest_bytes)?);
                    Ok(())
                }
            }
        })?;
        let mut release = match (archive, files) {
            (Some(release), None) => release,
            (None, Some((id, builder))) => {
                let mut release = builder.finish(self, "the payload")?;
                release.named = Some(id);
                release
            }
            (None, None) => {
                return Err(ArtifactError::Foreign {
                    path: self.path.clone(),
                });
            }
            (Some(_), Some(_)) => return Err(several()),
        };
        release.delivered = release.named.as_ref().and_then(|id| manifests.remove(id));
        release.links = links;
        Ok(release)
    }

    fn release_of_archive(
        &self,
        id: ReleaseId,
        compression: Compression,
        entry: &EntryInfo,
        body: &mut dyn Read,
    ) -> Result<Release, ArtifactError> {
        let mut compressed = DigestReader::new(body);
        let mut found = {
            let plain = decoder(BufReader::with_capacity(128 * 1024, &mut compressed), compression)
                .map_err(|error| self.tar_error("the payload", error.into()))?;
            let bounded = Bounded::new(plain, self.limits.unpacked(entry.size, self.installed_size()));
            let mut tar = TarReader::new(bounded, self.limits.entries);
            let mut builder = ReleaseBuilder::default();
            while let Some(inner) = tar.next().map_err(|error| self.tar_error("the payload", error))? {
                builder.add(self, "the payload", &inner, inner.path.as_str(), &mut tar.body())?;
            }
            builder.finish(self, "the payload")?
        };
        // The decoder stops behind the stream's end; whatever follows counts for the digests.
        io::copy(&mut compressed, &mut io::sink()).map_err(|error| self.tar_error("the payload", error.into()))?;
        found.compressed = Some(compressed.finish());
        found.named = Some(id);
        Ok(found)
    }

    fn release_of_tarball(&self) -> Result<Release, ArtifactError> {
        let mut builder = ReleaseBuilder::default();
        let mut delivered = None;
        let mut identity = None;
        let mut top: Option<String> = None;
        self.walk(&mut |entry, body| {
            let (first, below) = entry.path.as_str().split_once('/').unwrap_or((entry.path.as_str(), ""));
            if top.get_or_insert_with(|| first.to_owned()) != first {
                return Err(self.bad(
                    "the tarball",
                    format!("has {:?} beside its top directory", entry.path.as_str()),
                ));
            }
            if let Some(inside) = below.strip_prefix("release/") {
                builder.add(self, "the tarball", entry, inside, body)?;
            } else if below == "release.manifest" && entry.kind == InfoKind::File {
                delivered = Some(self.small(entry, body, self.limits.manifest_bytes)?);
            } else if below == "install" && entry.kind == InfoKind::File {
                let script = self.small(entry, body, self.limits.control_bytes)?;
                identity = tarball::identity(first, &String::from_utf8_lossy(&script));
            }
            Ok(())
        })?;
        let mut release = builder.finish(self, "the tarball")?;
        if release.manifest.entries().next().is_none() {
            return Err(self.bad("the tarball", "has no release in it"));
        }
        release.delivered = delivered;
        release.identity = identity;
        Ok(release)
    }

    fn small(&self, entry: &EntryInfo, body: &mut dyn Read, max: u64) -> Result<Vec<u8>, ArtifactError> {
        if entry.size > max {
            return Err(self.bad(
                entry.path.as_str(),
                format!("has {} bytes, more than {max}", entry.size),
            ));
        }
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)
            .map_err(|error| self.tar_error(&self.data.name, error.into()))?;
        Ok(bytes)
    }

    fn decompressed(&self, member: &Member, max: u64) -> Result<Bounded<Box<dyn Read>>, ArtifactError> {
        let mut file = File::open(&self.path).map_err(|source| self.io("open", source))?;
        file.seek(SeekFrom::Start(member.offset))
            .map_err(|source| self.io("read", source))?;
        let raw = BufReader::with_capacity(128 * 1024, file.take(member.size));
        let suffix = match self.format {
            Format::Deb => member.name.rsplit_once(".tar").map_or("", |(_, suffix)| suffix),
            Format::TarZst => ".zst",
            Format::TarXz => ".xz",
            Format::TarGz => ".gz",
        };
        let plain: Box<dyn Read> = match suffix.strip_prefix('.').map(Compression::from_suffix) {
            None if suffix.is_empty() => Box::new(raw),
            Some(Some(compression)) => decoder(raw, compression).map_err(|source| self.io("decompress", source))?,
            _ => {
                return Err(self.bad(
                    &member.name,
                    format!("is compressed as {suffix:?}, which relpack doesn't write"),
                ));
            }
        };
        Ok(Bounded::new(plain, max))
    }

    fn io(&self, action: &'static str, source: io::Error) -> ArtifactError {
        ArtifactError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn bad(&self, part: &str, problem: impl Into<String>) -> ArtifactError {
        bad(&self.path, part, problem)
    }

    pub(super) fn tar_error(&self, part: &str, error: TarError) -> ArtifactError {
        match error {
            TarError::Bad(problem) => self.bad(part, problem),
            TarError::Io(error) if is_limit(&error) => self.bad(part, error.to_string()),
            // The operating system's errors have a number; those of the decoders don't.
            TarError::Io(error) if error.raw_os_error().is_some() => self.io("read", error),
            TarError::Io(error) => self.bad(part, format!("can't be unpacked: {error}")),
        }
    }
}

fn bad(path: &Path, part: &str, problem: impl Into<String>) -> ArtifactError {
    ArtifactError::Bad {
        path: path.to_owned(),
        part: part.to_owned(),
        problem: problem.into(),
    }
}

/// What an entry of a package is of the payload.
enum PayloadPart<'a> {
    /// `…/payload/<id>.manifest`
    Manifest,
    /// `…/payload/<id>.tar.zst`, …
    Archive(Compression),
    /// `…/payload/<id>/…`; nothing for the directory itself.
    Inside(&'a str),
}

fn payload_part(path: &TreePath) -> Option<(ReleaseId, PayloadPart<'_>)> {
    const DIR: &str = "payload/";
    let path = path.as_str();
    let starts = path.match_indices(DIR).map(|(at, _)| at);
    let whole = |at: &usize| *at == 0 || path.as_bytes()[at - 1] == b'/';
    starts.filter(whole).find_map(|at| {
        let rest = &path[at + DIR.len()..];
        let (name, inside) = rest
            .split_once('/')
            .map_or((rest, None), |(name, inside)| (name, Some(inside)));
        if let Ok(id) = name.parse() {
            return Some((id, PayloadPart::Inside(inside.unwrap_or(""))));
        }
        let (id, suffix) = name.split_once('.').filter(|_| inside.is_none())?;
        let part = match suffix.strip_prefix("tar.") {
            None if suffix == "manifest" => PayloadPart::Manifest,
            suffix => PayloadPart::Archive(suffix.and_then(Compression::from_suffix)?),
        };
        Some((id.parse().ok()?, part))
    })
}

/// Without NONBLOCK, a named pipe would wait for a writer for ever.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
