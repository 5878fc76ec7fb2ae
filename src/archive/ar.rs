//! Owns the ar container of a `.deb`: the `ar` crate wants every member as a reader, and here members are written as they are made.

use std::io::{self, Read, Write};

pub(super) const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
/// Bytes of a member's name.
const NAME: usize = 16;

/// Writes the container's start.
pub(super) fn start(out: &mut impl Write) -> io::Result<()> {
    out.write_all(MAGIC)
}

/// Writes a member's header; exactly `size` bytes and then [`end_member`] have to follow.
pub(super) fn member(out: &mut impl Write, name: &str, mtime: u64, size: u64) -> io::Result<()> {
    let header = format!("{name:<16}{mtime:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 100644);
    if header.len() != HEADER || name.len() > NAME {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{name} has {size} bytes, more than an ar member can have"),
        ));
    }
    out.write_all(header.as_bytes())
}

/// Members begin at even offsets.
pub(super) fn end_member(out: &mut impl Write, size: u64) -> io::Result<()> {
    if size % 2 == 1 { out.write_all(b"\n") } else { Ok(()) }
}

/// A member as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its content begins.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Reads the header at `offset` of a file of `len` bytes; the error says what is wrong with it.
pub(super) fn read_member(from: &mut impl Read, offset: u64, len: u64) -> io::Result<Result<Member, String>> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    if !header.ends_with(b"`\n") {
        return Ok(Err("has no ar header".into()));
    }
    let field = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&header[range])
            .ok()
            .map(|text| text.trim_end_matches(' '))
    };
    let digits = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let (Some(name), Some(size)) = (field(0..NAME), field(48..58).and_then(digits)) else {
        return Ok(Err("has a damaged ar header".into()));
    };
    // GNU ar ends names with a slash.
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
    {
        return Ok(Err("has a damaged member name".into()));
    }
    let offset = offset + HEADER as u64;
    if size > len.saturating_sub(offset) {
        return Ok(Err(format!(
            "says {name} has {size} bytes, and {} are there",
            len.saturating_sub(offset)
        )));
    }
    Ok(Ok(Member {
        name: name.to_owned(),
        offset,
        size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ar_crate_reads_it() {
        let mut out = Vec::new();
        start(&mut out).unwrap();
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar", b"odd"), ("x", b"")] {
            member(&mut out, name, 1_700_000_000, bytes.len() as u64).unwrap();
            out.extend_from_slice(bytes);
            end_member(&mut out, bytes.len() as u64).unwrap();
        }
        let mut archive = ar::Archive::new(out.as_slice());
        let mut seen = Vec::new();
        while let Some(entry) = archive.next_entry() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            seen.push((
                String::from_utf8(header.identifier().to_vec()).unwrap(),
                header.mode(),
                header.mtime(),
                content,
            ));
        }
        let expected = |name: &str, bytes: &[u8]| (name.to_owned(), 0o100644, 1_700_000_000, bytes.to_vec());
        assert_eq!(
            seen,
            [
                expected("debian-binary", b"2.0\n"),
                expected("data.tar", b"odd"),
                expected("x", b"")
            ]
        );
        assert!(member(&mut out, "data.tar", 0, 10_000_000_000).is_err());
    }
}
