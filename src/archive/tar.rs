//! Owns tar headers: the same bytes for the same entries, in the one dialect that dpkg and every tar take.
//!
//! GNU format with `L` and `K` records for long names and link targets (dpkg refuses PAX), base-256 for sizes from 8 GiB,
//! owner `root` 0, modes and times as given.

use std::io::{self, Write};

use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// Bytes of a name or link field.
const FIELD: usize = 100;

/// Writes entries one after the other.
#[derive(Debug)]
pub(super) struct TarWriter<W> {
    out: W,
    mtime: u64,
    /// Content bytes still missing from the entry that was begun.
    left: u64,
    padding: usize,
}

impl<W: Write> TarWriter<W> {
    /// Every entry gets this time, in seconds since 1970.
    pub(super) fn new(out: W, mtime: u64) -> Self {
        Self {
            out,
            mtime,
            left: 0,
            padding: 0,
        }
    }

    /// A directory; `path` without a trailing slash, as it is to stand in the archive.
    pub(super) fn dir(&mut self, path: &str) -> io::Result<()> {
        self.header(&format!("{path}/"), "", EntryType::Directory, 0o755, 0)
    }

    /// A symlink.
    pub(super) fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.header(path, target, EntryType::Symlink, 0o777, 0)
    }

    /// A file in one piece.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.begin_file(path, mode, bytes.len() as u64)?;
        self.content(bytes)
    }

    /// A file whose content follows in [`content`](Self::content) calls of `size` bytes together.
    pub(super) fn begin_file(&mut self, path: &str, mode: u32, size: u64) -> io::Result<()> {
        self.header(path, "", EntryType::Regular, mode, size)?;
        self.left = size;
        self.padding = padding(size);
        Ok(())
    }

    /// Content of the file that was begun.
    pub(super) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::other("more content than the tar entry has room for"))?;
        self.out.write_all(bytes)?;
        if self.left == 0 {
            self.out
                .write_all(&[0; BLOCK as usize][..std::mem::take(&mut self.padding)])?;
        }
        Ok(())
    }

    /// Writes the end and gives the inner writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.between()?;
        self.out.write_all(&[0; END as usize])?;
        Ok(self.out)
    }

    fn between(&self) -> io::Result<()> {
        if self.left == 0 {
            Ok(())
        } else {
            Err(io::Error::other("content of a tar entry is missing"))
        }
    }

    fn header(&mut self, path: &str, target: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        self.between()?;
        if target.len() >= FIELD {
            self.long(EntryType::GNULongLink, target)?;
        }
        if path.len() >= FIELD {
            self.long(EntryType::GNULongName, path)?;
        }
        let mut header = base(kind, mode, size, self.mtime)?;
        put(&mut header.as_old_mut().name, path);
        put(&mut header.as_old_mut().linkname, target);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn long(&mut self, kind: EntryType, text: &str) -> io::Result<()> {
        let size = text.len() as u64 + 1;
        let mut header = base(kind, 0o644, size, 0)?;
        put(&mut header.as_old_mut().name, "././@LongLink");
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(&[0; BLOCK as usize + 1][..1 + padding(size)])
    }
}

/// Bytes at the end of an archive.
pub(super) const END: u64 = 2 * BLOCK;

/// Bytes that an entry takes: headers, and content rounded up to blocks.
pub(super) fn entry_len(path: &str, is_dir: bool, target: &str, size: u64) -> u64 {
    let long = |len: usize| {
        if len >= FIELD {
            BLOCK + (len as u64 + 1).next_multiple_of(BLOCK)
        } else {
            0
        }
    };
    BLOCK + long(path.len() + usize::from(is_dir)) + long(target.len()) + size.next_multiple_of(BLOCK)
}

fn base(kind: EntryType, mode: u32, size: u64, mtime: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_size(size);
    header.set_mtime(mtime);
    Ok(header)
}

fn put(field: &mut [u8; FIELD], text: &str) {
    // A long text stands in a record before; its start here is for readers that don't know those.
    let bytes = &text.as_bytes()[..text.len().min(FIELD)];
    field[..bytes.len()].copy_from_slice(bytes);
}

fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK) - size) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_known_before() {
        for name_len in [1, 99, 100, 101, 511, 512, 513, 4000] {
            for target_len in [0, 99, 100, 4000] {
                let (name, target) = ("n".repeat(name_len), "t".repeat(target_len));
                let mut tar = TarWriter::new(Vec::new(), 5);
                let mut expected = END;
                tar.dir(&name).unwrap();
                expected += entry_len(&name, true, "", 0);
                tar.symlink(&name, &target).unwrap();
                expected += entry_len(&name, false, &target, 0);
                tar.file(&name, 0o644, b"abc").unwrap();
                expected += entry_len(&name, false, "", 3);
                assert_eq!(tar.finish().unwrap().len() as u64, expected);
            }
        }
    }

    #[test]
    fn another_reader_sees_the_same() {
        let mut tar = TarWriter::new(Vec::new(), 1 << 33);
        let long = format!("./{}", ["d"; 60].join("/") + &"x".repeat(150));
        tar.dir("./a").unwrap();
        tar.symlink(&long, &"../t".repeat(40)).unwrap();
        tar.file("./a/b", 0o755, b"hello").unwrap();
        let bytes = tar.finish().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 1 << 33));
            assert_eq!(header.username().unwrap(), Some("root"));
            seen.push((
                String::from_utf8(entry.path_bytes().to_vec()).unwrap(),
                header.mode().unwrap(),
                entry.size(),
            ));
        }
        assert_eq!(
            seen,
            [
                ("./a/".to_owned(), 0o755, 0),
                (long, 0o777, 0),
                ("./a/b".to_owned(), 0o755, 5)
            ]
        );
    }

    #[test]
    fn sizes_from_8_gib_are_base_256() {
        let mut tar = TarWriter::new(Vec::new(), 0);
        tar.begin_file("./big", 0o644, 9 << 30).unwrap();
        let header = Header::from_byte_slice(&tar.out);
        assert_eq!(header.entry_size().unwrap(), 9 << 30);
        assert_eq!(header.as_old().size[0], 0x80);
        assert!(tar.finish().is_err(), "content is missing");
    }

    #[test]
    fn too_much_content_is_an_error() {
        let mut tar = TarWriter::new(Vec::new(), 0);
        tar.begin_file("./f", 0o644, 2).unwrap();
        assert!(tar.content(b"abc").is_err());
    }
}
