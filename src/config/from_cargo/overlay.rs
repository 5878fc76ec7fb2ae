//! Puts values into the tables of `relpack.toml` that do not stand there.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::diagnostics::{Problem, printable_path};
use super::super::reader::Doc;

/// Puts what is not there into the tables of the file, at the place of `cargo`.
pub(super) struct Overlay<'a> {
    pub(super) doc: &'a Doc,
    pub(super) at: Range<usize>,
    /// For messages.
    pub(super) manifest: String,
}

impl Overlay<'_> {
    pub(super) fn warn(&self, message: String) {
        let problem = Problem::new(self.at.clone(), format!("{}: {message}", self.manifest));
        self.doc.push(problem.warning());
    }

    pub(super) fn refuse(&self, message: String, help: impl Into<String>) {
        let problem = Problem::new(self.at.clone(), format!("{}: {message}", self.manifest));
        self.doc.push(problem.help(help));
    }

    fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.at.clone(), value)
    }

    pub(super) fn text<'i>(&self, text: impl Into<String>) -> DeValue<'i> {
        DeValue::String(text.into().into())
    }

    pub(super) fn list<'i>(&self, items: Vec<String>) -> DeValue<'i> {
        let items = items.into_iter().map(|item| self.spanned(self.text(item)));
        DeValue::Array(items.collect::<DeArray<'i>>())
    }

    /// A value, unless the file has one.
    pub(super) fn put<'i>(&self, table: &mut DeTable<'i>, key: &str, value: DeValue<'i>) {
        if !table.contains_key(key) {
            table.insert(self.spanned(key.to_owned().into()), self.spanned(value));
        }
    }

    /// A table, made where there is none; `None` where the file has something else, which is said when it is read.
    pub(super) fn table<'t, 'i>(&self, table: &'t mut DeTable<'i>, key: &str) -> Option<&'t mut DeTable<'i>> {
        self.put(table, key, DeValue::Table(DeTable::new()));
        match table.get_mut(key)?.get_mut() {
            DeValue::Table(found) => Some(found),
            _ => None,
        }
    }

    /// A file that can't be worked with.
    pub(super) fn io(&self, action: &str, path: &Path, error: &std::io::Error) {
        self.refuse(
            format!("can't {action} {}: {error}", printable_path(path)),
            "see that no two assets have one place, and that TMPDIR has room",
        );
    }
}

/// The text at a key of a table of the file.
pub(super) fn text_of(root: &DeTable<'_>, table: &str, key: &str) -> Option<String> {
    root.get(table)?
        .get_ref()
        .get(key)?
        .get_ref()
        .as_str()
        .map(str::to_owned)
}
