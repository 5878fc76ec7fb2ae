//! Owns `DebVersion`: a Debian version, refused and ordered exactly as dpkg does it.

use std::cmp::Ordering;
use std::str::FromStr;

use super::{ValueError, string_like};

/// A Debian version `[epoch:]upstream[-revision]` (Debian Policy 5.6.12).
///
/// Equality and order are those of `dpkg --compare-versions`, so `1.0`, `0:1.0` and `1.0-0` are equal although their
/// texts differ; compare `as_str()` where the text counts.
#[derive(Debug, Clone)]
pub struct DebVersion(String);
string_like!(DebVersion);

/// dpkg keeps the epoch in a C `int`.
const EPOCH_MAX: u64 = i32::MAX as u64;

struct Parts<'a> {
    epoch: u64,
    upstream: &'a str,
    revision: &'a str,
}

impl DebVersion {
    /// The version as file names carry it: `1:2.0-1` gives `2.0-1`.
    pub fn without_epoch(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(_, rest)| rest)
    }

    fn parts(&self) -> Parts<'_> {
        let (epoch, rest) = self.0.split_once(':').unwrap_or(("0", &self.0));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts {
            epoch: epoch.parse().unwrap_or(0),
            upstream,
            revision,
        }
    }
}

impl FromStr for DebVersion {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match check(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(problem) => {
                let hint = match suggest(text) {
                    Some(better) => format!("did you mean {better:?}?"),
                    None => "write [epoch:]upstream[-revision] with letters, digits and '.', '+', '~', for example \"1.4.0\"".to_owned(),
                };
                Err(ValueError::new("version", text, problem, hint))
            }
        }
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    let rest = match text.split_once(':') {
        None => text,
        Some((epoch, rest)) => {
            if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
                return Err("has an epoch that is not a number".into());
            }
            if !epoch.parse::<u64>().is_ok_and(|n| n <= EPOCH_MAX) {
                return Err(format!("has an epoch above {EPOCH_MAX}"));
            }
            if rest.is_empty() {
                return Err("has nothing after the epoch's colon".into());
            }
            rest
        }
    };
    let (upstream, revision) = match rest.rsplit_once('-') {
        None => (rest, None),
        Some((upstream, revision)) => (upstream, Some(revision)),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~');
    if let Some(bad) = upstream.chars().find(|&c| !plain(c) && !matches!(c, '-' | ':')) {
        return Err(format!("contains {bad:?}"));
    }
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("does not start with a digit".into());
    }
    match revision {
        Some("") => Err("has nothing after the revision's '-'".into()),
        Some(revision) => match revision.chars().find(|&c| !plain(c)) {
            Some(bad) => Err(format!("contains {bad:?} in its revision")),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn suggest(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let start = trimmed.find(|c: char| c.is_ascii_digit())?;
    let prefix = &trimmed[..start];
    let separator = |c: char| matches!(c, '-' | '_' | '.' | '/' | ' ');
    // Only a word in front (a tag's prefix) is cut away: in "1:…" or "…:1" a guess would change the epoch.
    if !prefix.chars().all(|c| c.is_alphanumeric() || separator(c)) {
        return None;
    }
    let replaced: String = trimmed[start..]
        .chars()
        .map(|c| match c {
            '_' | '/' | ' ' => '-',
            c => c,
        })
        .collect();
    let better = replaced.trim_end_matches(separator).to_owned();
    (better != text && check(&better).is_ok()).then_some(better)
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.parts(), other.parts());
        a.epoch
            .cmp(&b.epoch)
            .then_with(|| compare(a.upstream.as_bytes(), b.upstream.as_bytes()))
            .then_with(|| compare(a.revision.as_bytes(), b.revision.as_bytes()))
    }
}

/// dpkg's `verrevcmp`: non-digits by `weight`, then numbers by value, in turns.
///
/// A missing number is zero: `1.0~rc` equals `1.0~rc0`.
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (non_digit(a), non_digit(b));
            if x.is_none() && y.is_none() {
                break;
            }
            match weight(x).cmp(&weight(y)) {
                Ordering::Equal => {
                    a = &a[1..];
                    b = &b[1..];
                }
                decided => return decided,
            }
        }
        let (x, y) = (take_number(&mut a), take_number(&mut b));
        match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
    Ordering::Equal
}

fn non_digit(text: &[u8]) -> Option<u8> {
    text.first().copied().filter(|b| !b.is_ascii_digit())
}

/// The order of a character that is not a digit: `~` before the end, before letters, before all else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

/// Cuts the number that `text` starts with; without leading zeros, so that longer is larger.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    let zeros = number.iter().take_while(|&&b| b == b'0').count();
    &number[zeros..]
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DebVersion {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn version(text: &str) -> DebVersion {
        text.parse().unwrap()
    }

    #[test]
    fn the_parts() {
        assert_eq!(version("1:2.0-1").without_epoch(), "2.0-1");
        assert_eq!(version("2.0").without_epoch(), "2.0");
        assert_eq!(version("1:2:3-4-5").without_epoch(), "2:3-4-5");
    }

    #[test]
    fn refusals_suggest() {
        for (bad, better) in [
            ("v1.0", "1.0"),
            ("V1.0", "1.0"),
            ("release-1.2.3", "1.2.3"),
            ("acme/1.2.3", "1.2.3"),
            ("1_0", "1-0"),
            ("1.0-", "1.0"),
            (" 1.0\n", "1.0"),
        ] {
            let error = bad.parse::<DebVersion>().unwrap_err();
            assert_eq!(error.hint(), format!("did you mean {better:?}?"), "{bad}");
        }
        for bad in [
            "", "1_0;rm", "a:1", ":1", "1:", "-1:1", "1.0-1:2", "latest", "ü1", "1\u{0}",
        ] {
            assert!(bad.parse::<DebVersion>().is_err(), "{bad:?}");
        }
        assert!("2147483648:1".parse::<DebVersion>().is_err());
    }

    /// Each pair of these is compared by us and by dpkg.
    const TRICKY: &[&str] = &[
        "0",
        "0.0",
        "00",
        "0:0",
        "0-0",
        "1",
        "01",
        "1.",
        "1.0",
        "1.00",
        "1.0-0",
        "1.0-00",
        "1.0-0.0",
        "0:1.0",
        "1:0.1",
        "1:1.0",
        "2:0",
        "2147483647:1",
        "1.0~",
        "1.0~~",
        "1.0~~a",
        "1.0~rc",
        "1.0~rc0",
        "1.0~rc1",
        "1.0~rc10",
        "1.0~rc2",
        "1.0-1",
        "1.0-1~",
        "1.0-1~bpo12+1",
        "1.0-1+b1",
        "1.0-1.1",
        "1.0-10",
        "1.0-9",
        "1.0a",
        "1.0A",
        "1.0b",
        "1.0+",
        "1.0+a",
        "1.0.",
        "1.0..",
        "1.0.a",
        "1.0+git20240101",
        "1.0-a",
        "1.0-a-1",
        "1.0--1",
        "1:1.0:1",
        "1.10",
        "1.9",
        "1.09",
        "1a0",
        "1a00",
        "1a",
        "1a~",
        "1a0~",
        "1~0",
        "1~",
        "1.0.18446744073709551616",
        "1.0.18446744073709551617",
        "1.0.99999999999999999999999999",
        "1.0.099999999999999999999999999",
    ];

    #[test]
    fn order_is_that_of_dpkg() {
        let list = TRICKY;
        // One shell asks dpkg for all pairs, at most two processes each.
        let script = "while read a b; do if dpkg --compare-versions \"$a\" lt \"$b\"; then echo lt; \
                      elif dpkg --compare-versions \"$a\" eq \"$b\"; then echo eq; else echo gt; fi; done";
        let mut pairs = Vec::new();
        for (i, a) in list.iter().enumerate() {
            for b in &list[i..] {
                pairs.push((*a, *b));
            }
        }
        let input: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), input).unwrap();
        let output = Command::new("sh")
            .args(["-c", script])
            .stdin(std::fs::File::open(file.path()).unwrap())
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let answers = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<&str> = answers.lines().collect();
        assert_eq!(answers.len(), pairs.len(), "dpkg has to be installed");
        for ((a, b), theirs) in pairs.iter().zip(answers) {
            let ours = match version(a).cmp(&version(b)) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            assert_eq!(ours, theirs, "{a} against {b}");
            assert_eq!(version(a).cmp(&version(b)), version(b).cmp(&version(a)).reverse());
        }
    }

    #[test]
    fn what_dpkg_refuses_is_refused() {
        for text in ["1.0-", "a:1", "1:", "", "-1", "1.0_1", "1.0 1", "2147483648:1"] {
            assert!(text.parse::<DebVersion>().is_err(), "{text:?}");
            let status = Command::new("dpkg")
                .args(["--validate-version", text])
                .output()
                .unwrap()
                .status;
            assert!(!status.success(), "dpkg takes {text:?}");
        }
    }
}
