//! Owns the hashes: SHA-256 digests and the release id that is cut from one.

use std::fmt;
use std::str::FromStr;

use super::{ValueError, string_like};

/// A release's name: the first 40 lowercase hex digits of the SHA-256 of its manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId(String);
string_like!(ReleaseId);

/// Hex digits of a release id.
const RELEASE_ID_LEN: usize = 40;

impl ReleaseId {
    /// The id of a release whose manifest has this digest.
    pub fn of(manifest: &Sha256) -> Self {
        let mut hex = manifest.to_string();
        hex.truncate(RELEASE_ID_LEN);
        Self(hex)
    }
}

impl FromStr for ReleaseId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() == RELEASE_ID_LEN && is_lower_hex(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(ValueError::new(
            "release id",
            text,
            "is not 40 lowercase hex digits",
            "copy the whole id as `relpack inspect` prints it",
        ))
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        f.pad(&hex)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || {
            ValueError::new(
                "SHA-256",
                text,
                "is not 64 lowercase hex digits",
                "write it as sha256sum prints it",
            )
        };
        if text.len() != 64 || !is_lower_hex(text) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(error());
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip() {
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(i * 8).unwrap();
        }
        let text = Sha256(bytes).to_string();
        assert!(text.starts_with("000810182028"));
        assert_eq!(text.parse::<Sha256>().unwrap(), Sha256(bytes));
        assert_eq!(ReleaseId::of(&Sha256(bytes)).as_str(), &text[..40]);
        assert!(text.to_uppercase().parse::<Sha256>().is_err());
        assert!(text[1..].parse::<Sha256>().is_err());
    }

    #[test]
    fn release_ids() {
        let good = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(good.parse::<ReleaseId>().unwrap().to_string(), good);
        for bad in ["", &good[1..], "0123456789ABCDEF0123456789abcdef01234567"] {
            assert!(bad.parse::<ReleaseId>().is_err(), "{bad}");
        }
    }
}
