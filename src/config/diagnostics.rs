//! What is wrong with a configuration: problems with their place in a file, collected and shown together.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, Severity};
use serde::Serialize;

use crate::model::Lint;

/// A file that problems point into. Its text is fit for a terminal: a control character is shown as `?`, so that a
/// hostile file can't send escape sequences through an error message.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: NamedSource<String>,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Arc<Self> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Arc::new(Self {
            path: path.to_owned(),
            lines: std::iter::once(0).chain(breaks).collect(),
            text: NamedSource::new(printable_path(path), printable(text)),
        })
    }

    pub(super) fn text(&self) -> &str {
        self.text.inner()
    }

    /// Byte range of a line (counted from 1) without its line break; the end of the text when there is no such line.
    pub(super) fn line_span(&self, line: usize) -> Range<usize> {
        let text = self.text();
        let start_of = |line: usize| self.lines.get(line).copied().unwrap_or(text.len());
        let start = start_of(line.saturating_sub(1));
        let content = &text[start..start_of(line.max(1))];
        start..start + content.trim_end_matches(['\n', '\r']).len()
    }

    /// The letters and digits around a byte offset.
    pub(super) fn word_at(&self, offset: usize) -> &str {
        let (before, after) = self.text().split_at_checked(offset).unwrap_or_default();
        let is_part = |c: char| c.is_alphanumeric();
        let start = before.trim_end_matches(is_part).len();
        let rest = after.trim_start_matches(is_part).len();
        &self.text()[start..self.text().len() - rest]
    }

    /// Line (from 1) of a byte offset.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }

    /// Line and column of a byte offset, both counted from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let text = self.text();
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_of(offset);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, text[start..offset].chars().count() + 1)
    }
}

/// The text with each control character replaced by as many `?` as it has bytes, so that offsets stay right.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => out.push(c),
            c if is_unprintable(c) => (0..c.len_utf8()).for_each(|_| out.push('?')),
            c => out.push(c),
        }
    }
    out
}

/// A path for a message, without control characters.
pub(super) fn printable_path(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .map(|c| if is_unprintable(c) { '?' } else { c })
        .collect()
}

/// Control characters and the marks that reorder the text around them.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// One thing that is wrong (or, as a warning, doubtful), where it stands and what to do about it.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    label: Option<String>,
    help: Option<String>,
    severity: Severity,
    source: Option<Arc<Source>>,
    path: PathBuf,
    span: Range<usize>,
    file_rank: usize,
    contextual: bool,
    lint: Option<Lint>,
}

impl Problem {
    /// A problem of the bytes `span`. A message that ends with `(hint: …)` has it moved to the help.
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        let (message, help) = split_hint(message.into());
        Self {
            message,
            label: None,
            help,
            severity: Severity::Error,
            source: None,
            path: PathBuf::new(),
            span,
            file_rank: 0,
            contextual: false,
            lint: None,
        }
    }

    /// What to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A few words under the caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The build goes on all the same.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Worth knowing, and nothing to do.
    pub fn note(mut self) -> Self {
        self.severity = Severity::Advice;
        self
    }

    /// By name.
    pub(super) fn named(mut self, lint: Lint) -> Self {
        self.lint = Some(lint);
        self
    }

    /// Follows from something that may be elsewhere in the file (a missing key, a reference): not to be believed while the
    /// file has syntax errors, since what it misses may stand where the parser gave up.
    pub(super) fn contextual(mut self) -> Self {
        self.contextual = true;
        self
    }

    pub(super) fn is_contextual(&self) -> bool {
        self.contextual
    }

    pub(super) fn is_in(&self, source: &Arc<Source>) -> bool {
        self.source.as_ref().is_some_and(|own| Arc::ptr_eq(own, source))
    }

    /// Whether this is its place, exactly.
    pub(super) fn is_at(&self, place: &Range<usize>) -> bool {
        self.span == *place
    }

    pub(super) fn start(&self) -> usize {
        self.span.start
    }

    /// The same of other bytes.
    pub(super) fn moved(mut self, span: Range<usize>) -> Self {
        self.span = span;
        self
    }

    pub(super) fn placed(mut self, source: &Arc<Source>, rank: usize) -> Self {
        let length = source.text().len();
        self.span.start = self.span.start.min(length);
        self.span.end = self.span.end.clamp(self.span.start, length);
        self.path = source.path.clone();
        self.source = Some(Arc::clone(source));
        self.file_rank = rank;
        self
    }

    /// A problem of a file as a whole, which can't be shown. A message that ends with `(hint: …)` has it moved to the help.
    pub fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::new(0..0, message)
        }
    }

    /// The same, of this file as a whole.
    pub fn in_file(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }

    /// An error of a file as a whole, with what caused it.
    pub fn of_error(path: &Path, error: &dyn std::error::Error) -> Self {
        let mut problem = Self::of_file(path, error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !problem.message.contains(&text) {
                problem.message.push_str(": ");
                problem.message.push_str(&text);
            }
            cause = error.source();
        }
        problem
    }

    /// The file, as it was named by the user.
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// Line (from 1) and column (from 1, in characters), unless the file as a whole is meant.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.source.as_ref().map(|source| source.position(self.span.start))
    }

    /// What is wrong: a lowercase fragment.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether the build goes on all the same.
    pub fn is_warning(&self) -> bool {
        self.severity != Severity::Error
    }

    /// `error`, `warning` or `note`.
    pub fn severity_word(&self) -> &'static str {
        match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "note",
        }
    }

    /// Its name, where it is a known mistake.
    pub fn lint(&self) -> Option<Lint> {
        self.lint
    }

    fn order(&self) -> (usize, &Path, usize, &str) {
        (self.file_rank, &self.path, self.span.start, &self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.lint.map(|lint| Box::new(lint) as Box<dyn fmt::Display>)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source
            .as_ref()
            .map(|source| &source.text as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        let span = LabeledSpan::new_primary_with_span(self.label.clone(), self.span.clone());
        Some(Box::new(std::iter::once(span)))
    }
}

/// Moves a trailing `(hint: …)` of a message out of it.
fn split_hint(message: String) -> (String, Option<String>) {
    let Some(at) = message.rfind("(hint: ") else {
        return (message, None);
    };
    match message[at..].strip_prefix("(hint: ").and_then(|h| h.strip_suffix(')')) {
        Some(hint) => (message[..at].trim_end().to_owned(), Some(hint.to_owned())),
        None => (message, None),
    }
}

/// Nobody reads more at once, and a file of nothing but errors would take minutes to show.
const SHOWN_MAX: usize = 100;

/// All problems of a configuration, in the order of their place; of very many, the first hundred.
#[derive(Debug)]
pub struct Diagnostics {
    problems: Vec<Problem>,
    left_out: usize,
    environment: bool,
}

impl Diagnostics {
    /// Problems from anywhere, put in order.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        problems.dedup_by(|a, b| a.order() == b.order());
        let left_out = problems.len().saturating_sub(SHOWN_MAX);
        problems.truncate(SHOWN_MAX);
        Self {
            problems,
            left_out,
            environment: false,
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// One problem of a file as a whole.
    pub(super) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Self::new(vec![Problem::of_file(path, message)])
    }

    /// The machine is at fault (a read error), not what the user wrote.
    pub(super) fn environment(mut self) -> Self {
        self.environment = true;
        self
    }

    /// Whether the machine (a read error) is at fault and not what the user wrote.
    pub fn is_environment(&self) -> bool {
        self.environment
    }

    /// The problems in the order of their place.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many of them refuse a build.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| !p.is_warning()).count() + self.left_out
    }

    /// How many are doubtful.
    pub fn warnings(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Warning).count()
    }

    /// Whether `relpack explain lint` has more to say of any.
    pub fn has_lints(&self) -> bool {
        self.problems.iter().any(|problem| problem.lint.is_some())
    }

    /// All problems for a person, by miette's graphical handler (`GraphicalReportHandler::new()` asks the terminal and
    /// `NO_COLOR`), one below the other.
    pub fn render(&self, handler: &GraphicalReportHandler) -> String {
        let mut out = render(&self.problems, handler);
        if self.left_out > 0 {
            out.push_str(&format!("\n… and {} more\n", self.left_out));
        }
        out
    }

    /// All problems for a program: a list of `{lint, severity, file, line, column, message, hint}`; `line` and `column` (from 1, in
    /// characters) are null for a file as a whole, and `file` where none is meant.
    pub fn to_json(&self) -> serde_json::Value {
        to_json(&self.problems)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self
            .problems
            .first()
            .map(|p| printable_path(p.file()))
            .unwrap_or_default();
        match self.problems.len() + self.left_out {
            1 => write!(f, "the configuration has an error ({file})"),
            n => write!(f, "the configuration has {n} errors ({file})"),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic for Diagnostics {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic)))
    }
}

/// Problems for a person, one below the other: see [`Diagnostics::render`].
pub fn render(problems: &[Problem], handler: &GraphicalReportHandler) -> String {
    let mut out = String::new();
    for (index, problem) in problems.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if handler.render_report(&mut out, problem).is_err() {
            out.push_str(&plain(problem));
        }
    }
    out
}

/// The fallback when the handler can't show a problem.
fn plain(problem: &Problem) -> String {
    let place = problem
        .position()
        .map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
    format!("{}{place}: {}\n", printable_path(problem.file()), problem.message())
}

/// Problems for a program: see [`Diagnostics::to_json`].
pub fn to_json(problems: &[Problem]) -> serde_json::Value {
    #[derive(Serialize)]
    struct Entry<'a> {
        lint: Option<&'static str>,
        severity: &'static str,
        file: Option<std::borrow::Cow<'a, str>>,
        line: Option<usize>,
        column: Option<usize>,
        message: &'a str,
        hint: Option<&'a str>,
    }
    let entries = problems.iter().map(|problem| {
        let position = problem.position();
        Entry {
            lint: problem.lint().map(Lint::name),
            severity: problem.severity_word(),
            file: Some(problem.file().to_string_lossy()).filter(|path| !path.is_empty()),
            line: position.map(|p| p.0),
            column: position.map(|p| p.1),
            message: problem.message(),
            hint: problem.hint(),
        }
    });
    entries
        .map(|entry| serde_json::to_value(entry).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_control_characters_as_question_marks_and_keeps_offsets() {
        let text = "a = \"\u{1b}[31m\" # \u{9b}é\r\nb\rc\u{202e}\n";
        let shown = printable(text);
        assert_eq!(shown.len(), text.len());
        assert_eq!(shown, "a = \"?[31m\" # ??é\r\nb?c???\n");
    }

    #[test]
    fn counts_lines_and_characters_from_one() {
        let source = Source::new(Path::new("x"), "é = 1\nab\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (1, 3));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(999), (3, 1));
        assert_eq!(source.line_span(2), 7..9);
        assert_eq!(source.line_span(9), 10..10);
    }

    #[test]
    fn takes_the_hint_out_of_a_message() {
        let problem = Problem::new(0..1, "\"v1\" is no version (hint: write \"1\")");
        assert_eq!(problem.message(), "\"v1\" is no version");
        assert_eq!(problem.hint(), Some("write \"1\""));
        assert_eq!(Problem::new(0..1, "plain (as is)").hint(), None);
    }

    #[test]
    fn orders_by_place_and_drops_doubles() {
        let source = Source::new(Path::new("x"), "abcdef");
        let at = |start: usize, message: &str| Problem::new(start..start + 1, message).placed(&source, 0);
        let list = Diagnostics::new(vec![at(3, "c"), at(1, "b"), at(3, "c"), at(1, "a")]);
        let messages: Vec<_> = list.problems().iter().map(Problem::message).collect();
        assert_eq!(messages, ["a", "b", "c"]);
    }
}
