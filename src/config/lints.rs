//! Reads `[lints]`: what `check` and `build` are told to be silent about, and why.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostics::{Problem, Source};
use super::reader::{Doc, Table, suggest};
use crate::model::Lint;

/// `[lints] allow = { "service-as-root" = "needs port 80" }`
#[derive(Debug, Clone)]
pub struct Lints {
    allow: BTreeMap<Lint, Allowed>,
    source: Arc<Source>,
}

#[derive(Debug, Clone)]
struct Allowed {
    span: Range<usize>,
    used: bool,
}

impl Lints {
    /// Nothing is allowed.
    pub(super) fn new(doc: &Doc) -> Self {
        Self {
            allow: BTreeMap::new(),
            source: Arc::clone(&doc.source),
        }
    }

    /// Leaves out what is allowed, and remembers that it was there.
    pub fn filter(&mut self, mut problems: Vec<Problem>) -> Vec<Problem> {
        problems.retain(|problem| {
            let allowed = problem.lint().and_then(|lint| self.allow.get_mut(&lint));
            match allowed {
                Some(allowed) if problem.is_warning() => {
                    allowed.used = true;
                    false
                }
                _ => true,
            }
        });
        problems
    }

    /// What is allowed and was never found, once everything has gone through [`Lints::filter`].
    pub fn unused(&self) -> Vec<Problem> {
        let unused = self.allow.iter().filter(|(_, allowed)| !allowed.used);
        unused
            .map(|(lint, allowed)| {
                Problem::new(allowed.span.clone(), format!("lints.allow: nothing triggers {lint}"))
                    .help("remove it, so that it is seen when it comes back")
                    .named(Lint::AllowUnused)
                    .warning()
                    .placed(&self.source, 0)
            })
            .collect()
    }
}

pub(super) fn lints(doc: &Doc, table: Table<'_>) -> Lints {
    let mut lints = Lints::new(doc);
    if let Some(allow) = table.table("allow") {
        for (key, value) in allow.entries() {
            let refuse = |message: String, help: String| {
                doc.push(Problem::new(key.span.clone(), format!("lints.allow: {message}")).help(help));
            };
            let reason = allow.entry_string(&key, value);
            let Some(lint) = Lint::find(&key.value) else {
                let known = || {
                    Lint::ALL
                        .iter()
                        .filter(|lint| lint.may_be_allowed())
                        .map(|lint| lint.name())
                };
                let help = match suggest(&key.value, known()) {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("one of {}", known().collect::<Vec<_>>().join(", ")),
                };
                refuse(format!("there is no lint {:?}", key.value), help);
                continue;
            };
            if !lint.may_be_allowed() {
                refuse(
                    format!("{lint} can't be allowed: what it finds could not work on a host"),
                    format!("remove it, and do what `relpack explain lint {lint}` says"),
                );
                continue;
            }
            let Some(reason) = reason else { continue };
            if reason.value.trim().is_empty() {
                refuse(
                    format!("{lint} is allowed without a reason"),
                    "say why it is right here".into(),
                );
                continue;
            }
            let span = key.span.clone();
            lints.allow.insert(lint, Allowed { span, used: false });
        }
    }
    table.finish();
    lints
}
