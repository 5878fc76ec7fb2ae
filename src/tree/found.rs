//! Collects what a scan finds in each directory: nodes, errors and warnings.

use std::io;

use super::Node;
use super::scan::{ScanError, Warning};
use crate::model::TreePath;

/// Errors shown at once; more are counted.
const MAX_ERRORS: usize = 50;

/// The first of them, and how many more there are.
pub(super) fn capped(mut errors: Vec<(String, ScanError)>) -> Vec<ScanError> {
    errors.sort_by(|a, b| a.0.cmp(&b.0));
    let more = errors.len().saturating_sub(MAX_ERRORS);
    let mut errors: Vec<ScanError> = errors.into_iter().take(MAX_ERRORS).map(|(_, error)| error).collect();
    if more > 0 {
        errors.push(ScanError::More { count: more });
    }
    errors
}

/// Errors and warnings carry the path they are sorted by.
#[derive(Default)]
pub(super) struct Found {
    pub(super) nodes: Vec<(TreePath, Node)>,
    pub(super) subdirs: Vec<TreePath>,
    /// Directories of which nothing is packed, and that hold artifacts of this package: a build has made them.
    pub(super) made: Vec<TreePath>,
    pub(super) errors: Vec<(String, ScanError)>,
    pub(super) warnings: Vec<(String, Warning)>,
}

impl Found {
    pub(super) fn refuse(&mut self, path: &str, problem: impl Into<String>, hint: impl Into<String>) {
        let error = ScanError::Refused {
            path: path.to_owned(),
            problem: problem.into(),
            hint: hint.into(),
        };
        self.errors.push((path.to_owned(), error));
    }

    pub(super) fn fail(&mut self, action: &'static str, path: &str, source: io::Error) {
        let error = ScanError::Io {
            action,
            path: path.to_owned(),
            source,
        };
        self.errors.push((path.to_owned(), error));
    }
}
