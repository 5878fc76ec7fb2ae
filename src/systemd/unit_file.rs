//! Owns the text model of a unit file: parsing of ready-made files, edits, and a deterministic rendering.

use std::fmt::Write as _;

/// A unit file: sections in order, each with its assignments in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    sections: Vec<Section>,
}

/// `[name]` and its assignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Without the brackets.
    pub name: String,
    /// In the order written.
    pub entries: Vec<Entry>,
}

/// One `key=value`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Left of the `=`.
    pub key: String,
    /// Right of the `=`, trimmed, continuation lines joined.
    pub value: String,
    /// Line of the file in which it was written, from 1.
    pub line: Option<usize>,
}

/// The line says where a text came from, not what it says.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Entry {}

/// Why a text is not a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message} (hint: {hint})")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// A lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl UnitFile {
    /// An empty unit file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a ready-made unit file; all errors at once.
    pub fn parse(text: &str) -> Result<Self, Vec<ParseError>> {
        parse(text)
    }

    /// The sections in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section of this name, made at the end when it is missing.
    pub fn section_mut(&mut self, name: &str) -> &mut Section {
        let index = match self.sections.iter().position(|s| s.name == name) {
            Some(index) => index,
            None => {
                self.sections.push(Section {
                    name: name.to_owned(),
                    entries: Vec::new(),
                });
                self.sections.len() - 1
            }
        };
        &mut self.sections[index]
    }

    /// Removes a section and returns it.
    pub fn take_section(&mut self, name: &str) -> Option<Section> {
        let index = self.sections.iter().position(|s| s.name == name)?;
        Some(self.sections.remove(index))
    }

    /// The value that counts of a directive that takes one: the last.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.section(section)?
            .entries
            .iter()
            .rev()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    }

    /// The values that count of a directive that is a list: those after the last empty one.
    pub fn get_list(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for entry in self.section(section).map_or(&[][..], |s| &s.entries) {
            if entry.key == key {
                if entry.value.is_empty() {
                    values.clear();
                } else {
                    values.push(entry.value.as_str());
                }
            }
        }
        values
    }

    /// Whether the directive is assigned at all, even to nothing.
    pub fn has(&self, section: &str, key: &str) -> bool {
        self.section(section)
            .is_some_and(|s| s.entries.iter().any(|entry| entry.key == key))
    }

    /// Replaces all assignments of the directive by one, in the place of the first.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<String>) {
        let entries = &mut self.section_mut(section).entries;
        let place = entries.iter().position(|entry| entry.key == key);
        entries.retain(|entry| entry.key != key);
        let place = place.unwrap_or(entries.len());
        entries.insert(place, Entry::new(key, value));
    }

    /// Adds an assignment at the section's end.
    pub fn append(&mut self, section: &str, key: &str, value: impl Into<String>) {
        self.section_mut(section).entries.push(Entry::new(key, value));
    }

    /// Removes all assignments of the directive.
    pub fn remove(&mut self, section: &str, key: &str) {
        if let Some(section) = self.sections.iter_mut().find(|s| s.name == section) {
            section.entries.retain(|entry| entry.key != key);
        }
    }

    /// The text: sections and assignments as they stand, LF, one empty line between sections, empty sections left out.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for section in self.sections.iter().filter(|s| !s.entries.is_empty()) {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "[{}]", section.name);
            for entry in &section.entries {
                let _ = writeln!(text, "{}={}", entry.key, entry.value);
            }
        }
        text
    }
}

impl Entry {
    /// An assignment that comes from no file's line.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            line: None,
        }
    }
}

/// systemd's `LONG_LINE_MAX`, by which it refuses a file.
const LINE_MAX: usize = 1024 * 1024;

fn parse(text: &str) -> Result<UnitFile, Vec<ParseError>> {
    let mut errors = Vec::new();
    let mut file = UnitFile::new();
    let mut section: Option<String> = None;
    // The line where an assignment began and what of it was read.
    let mut pending: Option<(usize, String)> = None;
    let mut fail = |line: usize, message: String, hint: &str| {
        errors.push(ParseError {
            line,
            message,
            hint: hint.to_owned(),
        });
    };
    if text.starts_with('\u{feff}') {
        fail(
            1,
            "the file starts with a byte order mark".into(),
            "save it as UTF-8 without BOM",
        );
    }
    if let Some(at) = text.find('\r') {
        fail(
            line_of(text, at),
            "the line ends with CR LF".into(),
            "save the file with Unix line ends (LF)",
        );
    }
    let lines = text.trim_start_matches('\u{feff}').lines();
    for (number, line) in lines.enumerate().map(|(i, line)| (i + 1, line)) {
        if let Some(bad) = line.chars().find(|&c| c.is_control() && c != '\t' && c != '\r') {
            fail(
                number,
                format!("the line contains the control character {bad:?}"),
                "remove it",
            );
            continue;
        }
        if line.len() > LINE_MAX {
            fail(
                number,
                "the line is longer than 1 MiB".into(),
                "systemd refuses such a file",
            );
            continue;
        }
        let trimmed = line.trim_ascii();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let (begun, mut joined) = pending.take().unwrap_or((number, String::new()));
        if continues(line.trim_end_matches('\r')) {
            let kept = line.trim_end_matches('\r');
            joined.push_str(&kept[..kept.len() - 1]);
            joined.push(' ');
            pending = Some((begun, joined));
            continue;
        }
        joined.push_str(line);
        if let Err((message, hint)) = take_line(&mut file, &mut section, begun, joined.trim_ascii()) {
            fail(begun, message, hint);
        }
    }
    if let Some((begun, joined)) = pending
        && let Err((message, hint)) = take_line(&mut file, &mut section, begun, joined.trim_ascii())
    {
        fail(begun, message, hint);
    }
    if errors.is_empty() { Ok(file) } else { Err(errors) }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1
}

/// Whether the line ends with a backslash that is not itself escaped, by which systemd joins the next line to it.
pub(crate) fn continues(line: &str) -> bool {
    line.bytes().fold(false, |escaped, byte| !escaped && byte == b'\\')
}

/// What is wrong with a value for which that holds, and what to do.
pub(crate) const JOINING: (&str, &str) = (
    "the value ends with a backslash, which would join the next line to it",
    "remove the backslash, or double it",
);

fn take_line(
    file: &mut UnitFile,
    section: &mut Option<String>,
    line: usize,
    text: &str,
) -> Result<(), (String, &'static str)> {
    if text.is_empty() {
        return Ok(());
    }
    if let Some(inner) = text.strip_prefix('[') {
        let Some(name) = inner.strip_suffix(']') else {
            return Err((
                format!("the section header {text:?} has no ']'"),
                "for example \"[Service]\"",
            ));
        };
        if name.is_empty() || name.contains(['[', ']', '\\']) {
            return Err((
                format!("the section name {name:?} is not valid"),
                "for example \"[Service]\"",
            ));
        }
        *section = Some(name.to_owned());
        file.section_mut(name);
        return Ok(());
    }
    let Some((key, value)) = text.split_once('=') else {
        return Err((
            format!("{text:?} is neither a section nor an assignment"),
            "write Key=value; a value that goes on ends its line with '\\'",
        ));
    };
    let key = key.trim_ascii();
    if key.is_empty() || !key.chars().all(is_key_char) {
        return Err((format!("{key:?} is not a directive's name"), "write Key=value"));
    }
    let Some(section) = section else {
        return Err((
            format!("{key}= stands before any section"),
            "put a header such as \"[Service]\" above it",
        ));
    };
    let value = value.trim_ascii();
    // Spaces behind the backslash kept it from joining lines, and they are gone now.
    if continues(value) {
        return Err((JOINING.0.to_owned(), JOINING.1));
    }
    file.section_mut(section).entries.push(Entry {
        key: key.to_owned(),
        value: value.to_owned(),
        line: Some(line),
    });
    Ok(())
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
[Unit]
Description = Two  words
; another

[Service]
ExecStart=/bin/a \\
# inside a continuation
   --flag \\
   x
Environment=A=b
Environment=
Environment=\"C=d e\"
[Unit]
After=x.target
";

    #[test]
    fn parses_as_systemd_does() {
        let file = UnitFile::parse(TEXT).unwrap();
        assert_eq!(file.get("Unit", "Description"), Some("Two  words"));
        assert_eq!(file.get("Service", "ExecStart"), Some("/bin/a     --flag     x"));
        assert_eq!(file.get_list("Service", "Environment"), ["\"C=d e\""]);
        assert_eq!(file.get("Unit", "After"), Some("x.target"));
        assert_eq!(file.sections().len(), 2);
        let exec = &file.section("Service").unwrap().entries[0];
        assert_eq!(exec.line, Some(7));
    }

    #[test]
    fn rendering_is_stable() {
        let file = UnitFile::parse(TEXT).unwrap();
        let text = file.render();
        assert_eq!(
            text,
            "[Unit]\nDescription=Two  words\nAfter=x.target\n\n[Service]\nExecStart=/bin/a     --flag     x\n\
             Environment=A=b\nEnvironment=\nEnvironment=\"C=d e\"\n"
        );
        assert_eq!(UnitFile::parse(&text).unwrap().render(), text);
    }

    #[test]
    fn refuses_with_the_line() {
        for (text, line) in [
            ("[Unit]\nWants=\\  \\", 2),
            ("[Service]\nExecStart=/bin/a \\ \nUser=root\n", 2),
            ("[Service]\nExecStart=/bin/a \\\n\\ \n", 2),
            ("\u{feff}[Unit]\n", 1),
            ("[Unit]\nA=b\r\n", 2),
            ("A=b\n", 1),
            ("[Unit\n", 1),
            ("[Unit]\n\nnonsense\n", 3),
            ("[Unit]\nA=b\u{0}\n", 2),
            ("[Unit]\nA=\u{1b}[0m\n", 2),
            ("[Unit]\n.include /etc/x\n", 2),
            ("[Unit]\nA B=c\n", 2),
        ] {
            let errors = UnitFile::parse(text).unwrap_err();
            assert_eq!(errors[0].line, line, "{text:?}");
        }
        assert_eq!(UnitFile::parse("x\ny\n").unwrap_err().len(), 2);
    }

    #[test]
    fn a_continuation_at_the_end_is_kept() {
        let file = UnitFile::parse("[Service]\nExecStart=/bin/a \\").unwrap();
        assert_eq!(file.get("Service", "ExecStart"), Some("/bin/a"));
        assert!(continues("a\\"));
        assert!(!continues("a\\\\"));
    }

    #[test]
    fn edits() {
        let mut file = UnitFile::new();
        file.append("Service", "A", "1");
        file.append("Service", "B", "2");
        file.append("Service", "A", "3");
        file.set("Service", "A", "4");
        assert_eq!(file.render(), "[Service]\nA=4\nB=2\n");
        file.remove("Service", "A");
        assert!(!file.has("Service", "A") && file.has("Service", "B"));
        assert!(file.take_section("Service").is_some());
        assert_eq!(file.render(), "");
    }
}
