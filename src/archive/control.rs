//! Owns a package's control part as it is read back: the control paragraph and the maintainer scripts.

use std::collections::BTreeMap;

use super::ControlFile;

/// The control archive of a `.deb`.
#[derive(Debug, Clone)]
pub struct Control {
    /// The fields of `control`.
    pub fields: Paragraph,
    /// All files by name: `control`, `md5sums`, `postinst`, ….
    pub files: BTreeMap<String, ControlFile>,
}

/// One paragraph of a control file (Policy 5.1), in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// A field's value; names are compared without case. Lines of a folded value are joined by LF, their leading space removed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Reads exactly one paragraph; the error says which line is wrong.
pub(super) fn parse_paragraph(bytes: &[u8]) -> Result<Paragraph, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "isn't UTF-8".to_owned())?;
    let mut paragraph = Paragraph::default();
    for (index, line) in text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate() {
        let bad = |problem: &str| Err(format!("has a line {} that {problem}", index + 1));
        if line.trim().is_empty() || line.chars().any(|c| c.is_control() && c != '\t') {
            return bad("is empty or holds control characters");
        }
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            let Some((_, value)) = paragraph.fields.last_mut() else {
                return bad("continues nothing");
            };
            value.push('\n');
            value.push_str(more);
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return bad("is no field");
        };
        let plain = !name.is_empty() && !name.starts_with('-') && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || paragraph.get(name).is_some() {
            return bad("has a wrong field name, or one that was there before");
        }
        paragraph.fields.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(paragraph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs() {
        let parsed = parse_paragraph(b"Package: acme\nDescription: web app\n long\n .\n more\nX-Empty:\n").unwrap();
        assert_eq!(parsed.get("package"), Some("acme"));
        assert_eq!(parsed.get("Description"), Some("web app\nlong\n.\nmore"));
        assert_eq!(
            (parsed.get("X-Empty"), parsed.get("Nope"), parsed.iter().count()),
            (Some(""), None, 3)
        );
        for bad in [
            &b""[..],
            b" x\n",
            b"a\n",
            b"a: 1\n\nb: 2\n",
            b"a: 1\nA: 2\n",
            b"a: \x01\n",
            b"a b: 1\n",
            b"a: \xff\n",
            b"a: 1\r\n",
        ] {
            assert!(parse_paragraph(bad).is_err(), "{bad:?}");
        }
    }
}
