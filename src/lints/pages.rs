//! Owns the pages of `docs/lints.md`, one section a lint.

use crate::model::Lint;

const PAGES: &str = include_str!("../../docs/lints.md");

/// A section of the document.
#[derive(Debug)]
pub struct Page {
    /// The lint that the section is named after.
    pub lint: Lint,
    /// All below its heading.
    pub text: &'static str,
}

impl Page {
    /// Its first sentence.
    pub fn title(&self) -> &'static str {
        self.text.trim_start().lines().next().unwrap_or_default()
    }
}

/// Every section that is named like a lint, in the order of the document.
pub fn all() -> impl Iterator<Item = Page> {
    PAGES.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let lint = Lint::find(heading.trim().trim_matches('`'))?;
        Some(Page { lint, text })
    })
}

/// A lint's own page.
pub fn find(lint: Lint) -> Option<Page> {
    all().find(|page| page.lint == lint)
}
