//! Owns where the configuration says what the release is made of, so that what the disk makes of it is shown there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::diagnostics::{Problem, Source};
use super::reader::{Doc, Table};

/// What the scan of the source and the plan go by; the texts are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanKey<'a> {
    /// `[release] source`
    Source,
    /// One of `[release] exclude`.
    Exclude(&'a str),
    /// A path of `[shared] links`.
    Link(&'a str),
    /// A path of `[secrets] allow`.
    Secret(&'a str),
    /// `[package]`, where a version could stand.
    Package,
}

impl<'a> ScanKey<'a> {
    fn parts(self) -> (&'static str, &'a str) {
        match self {
            ScanKey::Source => ("source", ""),
            ScanKey::Exclude(text) => ("exclude", text),
            ScanKey::Link(text) => ("links", text),
            ScanKey::Secret(text) => ("allow", text),
            ScanKey::Package => ("package", ""),
        }
    }
}

/// The places of those keys.
#[derive(Debug, Clone)]
pub(super) struct ScanPlaces {
    main: Arc<Source>,
    of: BTreeMap<(&'static str, String), Range<usize>>,
}

impl ScanPlaces {
    /// The tables `[package]`, `[release]`, `[shared]` and `[secrets]`, where there are such.
    pub(super) fn new(doc: &Doc, [package, release, shared, secrets]: [Option<&Table<'_>>; 4]) -> Self {
        let mut of = BTreeMap::new();
        of.extend(package.map(|table| (("package", String::new()), table.span.clone())));
        let keys = [
            (release, "source"),
            (release, "exclude"),
            (shared, "links"),
            (secrets, "allow"),
        ];
        for (table, key) in keys {
            let mut entries = table.map(Table::entries).unwrap_or_default().into_iter();
            let Some((_, value)) = entries.find(|(name, _)| name.value == key) else {
                continue;
            };
            match value.get_ref() {
                DeValue::String(_) => drop(of.insert((key, String::new()), value.span())),
                DeValue::Array(items) => of.extend(items.iter().filter_map(|item| {
                    let text = item.get_ref().as_str()?;
                    Some(((key, text.to_owned()), item.span()))
                })),
                DeValue::Table(entries) => {
                    of.extend(
                        entries
                            .keys()
                            .map(|name| ((key, name.get_ref().to_string()), name.span())),
                    );
                }
                _ => {}
            }
        }
        let main = Arc::clone(&doc.source);
        Self { main, of }
    }

    /// The problem where the key's value stands; as it is where that isn't known.
    pub(super) fn place(&self, key: ScanKey<'_>, problem: Problem) -> Problem {
        let (name, text) = key.parts();
        match self.of.get(&(name, text.to_owned())) {
            Some(span) => problem.moved(span.clone()).placed(&self.main, 0),
            None => problem,
        }
    }
}
