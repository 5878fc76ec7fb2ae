//! Owns reading tar archives that may be damaged or hostile: every entry is checked, and nothing is believed.

use std::io::{self, Read};

use tar::EntryType as TarType;
use tar::Header;

use super::limit::Bounded;
use crate::model::TreePath;

const BLOCK: usize = 512;
/// Longest name or link target in an `L` or `K` record, with its NUL.
const LONG_MAX: u64 = 4200;
/// Most bytes of zeros behind the end: tar fills up a record, of 10 KiB unless somebody asked for another length.
const FILL_MAX: usize = 16 << 20;

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryInfo {
    /// Where it is, without `./` and without a trailing slash.
    pub path: TreePath,
    /// What it is.
    pub kind: InfoKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of content.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Owner and group.
    pub owner: (u64, u64),
}

/// What an entry of an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InfoKind {
    /// A directory.
    Dir,
    /// A symlink with its target.
    Symlink(String),
    /// A regular file.
    File,
}

/// Why an archive can't be read further. An `Io` error comes from below: the compression, or a limit.
#[derive(Debug)]
pub(super) enum TarError {
    Io(io::Error),
    Bad(String),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the entries one after the other.
pub(super) struct TarReader<R> {
    inner: Bounded<R>,
    left: u64,
    padding: usize,
    entries: u64,
    max_entries: u64,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(inner: Bounded<R>, max_entries: u64) -> Self {
        Self {
            inner,
            left: 0,
            padding: 0,
            entries: 0,
            max_entries,
        }
    }

    /// The next entry, past what is left of the one before; `None` at the end, which must be one.
    pub(super) fn next(&mut self) -> Result<Option<EntryInfo>, TarError> {
        let (mut long_name, mut long_target) = (None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if long_name.is_some() || long_target.is_some() {
                    return Err(TarError::Bad("ends after a long name".into()));
                }
                self.check_rest()?;
                return Ok(None);
            };
            let bad = |problem: &str| {
                TarError::Bad(format!(
                    "has an entry {:?} {problem}",
                    String::from_utf8_lossy(&header.path_bytes())
                ))
            };
            let size = header.entry_size().map_err(|_| bad("with an unreadable size"))?;
            self.left = size;
            self.padding = ((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64) as usize;
            let slot = match header.entry_type() {
                TarType::GNULongName => &mut long_name,
                TarType::GNULongLink => &mut long_target,
                _ => match self.entry(&header, size, long_name.take(), long_target.take())? {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue,
                },
            };
            if slot.is_some() || size > LONG_MAX {
                return Err(bad("that is no proper long name"));
            }
            let mut bytes = vec![0; size as usize];
            self.body().read_exact(&mut bytes).map_err(eof)?;
            if bytes.pop() != Some(0) {
                return Err(bad("that is no proper long name"));
            }
            *slot = Some(bytes);
        }
    }

    /// `None` is the top directory itself.
    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        long_name: Option<Vec<u8>>,
        long_target: Option<Vec<u8>>,
    ) -> Result<Option<EntryInfo>, TarError> {
        let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&name).into_owned();
        let bad = |problem: &str| TarError::Bad(format!("has an entry {shown:?} {problem}"));
        self.entries += 1;
        if self.entries > self.max_entries {
            return Err(TarError::Bad(format!("has more than {} entries", self.max_entries)));
        }
        self.inner.has_room(size)?;
        let kind = match header.entry_type() {
            TarType::Regular => InfoKind::File,
            TarType::Directory => InfoKind::Dir,
            TarType::Symlink => {
                let raw = long_target.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
                let target = String::from_utf8(raw)
                    .ok()
                    .filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
                InfoKind::Symlink(target.ok_or_else(|| bad("with a link target that can't be"))?)
            }
            other => {
                return Err(bad(&format!(
                    "of type {:?}, which is no file, directory or symlink",
                    char::from(other.as_byte())
                )));
            }
        };
        if kind != InfoKind::File && size != 0 {
            return Err(bad("with content where none can be"));
        }
        let field = |value: io::Result<u64>| value.map_err(|_| bad("with an unreadable number"));
        let (mtime, owner) = (field(header.mtime())?, (field(header.uid())?, field(header.gid())?));
        let mode = header.mode().map_err(|_| bad("with an unreadable mode"))?;
        let text = std::str::from_utf8(&name).map_err(|_| bad("whose name isn't UTF-8"))?;
        let text = text.strip_prefix("./").unwrap_or(text);
        let text = if kind == InfoKind::Dir {
            text.strip_suffix('/').unwrap_or(text)
        } else {
            text
        };
        if (text.is_empty() || text == ".") && kind == InfoKind::Dir {
            return Ok(None);
        }
        let path = text.parse().map_err(|_| bad("whose name can't be"))?;
        Ok(Some(EntryInfo {
            path,
            kind,
            mode,
            size,
            mtime,
            owner,
        }))
    }

    /// The current entry's content.
    pub(super) fn body(&mut self) -> Body<'_, R> {
        Body(self)
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let mut buffer = [0; 16 * 1024];
        while self.left > 0 {
            if self.body().read(&mut buffer)? == 0 {
                break;
            }
        }
        self.inner
            .read_exact(&mut buffer[..std::mem::take(&mut self.padding)])
            .map_err(eof)
    }

    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut block = [0; BLOCK];
        self.inner.read_exact(&mut block).map_err(eof)?;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) })
            .sum::<u32>();
        if header.cksum().ok() != Some(sum) {
            return Err(TarError::Bad("has a damaged header".into()));
        }
        Ok(Some(header))
    }

    /// After the first block of zeros there is a second, and nothing but more of them.
    fn check_rest(&mut self) -> Result<(), TarError> {
        let mut buffer = [0; 16 * 1024];
        let mut zeros = 0;
        loop {
            match self.inner.read(&mut buffer)? {
                0 if zeros >= BLOCK => return Ok(()),
                0 => return Err(TarError::Bad("is cut off at its end".into())),
                got if buffer[..got].iter().any(|&byte| byte != 0) => {
                    return Err(TarError::Bad("has something behind its end".into()));
                }
                got if zeros + got > FILL_MAX => {
                    return Err(TarError::Bad(format!(
                        "has more than {FILL_MAX} bytes of nothing behind its end"
                    )));
                }
                got => zeros += got,
            }
        }
    }
}

fn eof(error: io::Error) -> TarError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        TarError::Bad("is cut off".into())
    } else {
        TarError::Io(error)
    }
}

/// The content of one entry.
pub(super) struct Body<'a, R>(&'a mut TarReader<R>);

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.0.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let got = self.0.inner.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.0.left -= got as u64;
        Ok(got)
    }
}
