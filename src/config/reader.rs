//! Reads typed values out of the TOML tree and collects what is wrong instead of stopping at the first mistake.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostics::{Problem, Source};
use crate::systemd::directives::closest;

/// Tables in which each name has its reason.
const REASONED: &[&str] = &["lints.allow", "secrets.allow", "lock.optional"];

/// A value and the bytes of the file that it was read from.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> At<T> {
    pub(super) fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// The same with the key before it: what is wrong may be either.
    pub(super) fn with_key<K>(mut self, key: &At<K>) -> Self {
        self.span.start = self.span.start.min(key.span.start);
        self
    }
}

/// The file being read and what was found wrong in it so far.
pub(super) struct Doc {
    pub(super) source: Arc<Source>,
    problems: RefCell<Vec<Problem>>,
    /// Where another file is named whose values are read as if they stood here, and which.
    elsewhere: RefCell<Option<(Range<usize>, String)>>,
}

impl Doc {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            problems: RefCell::default(),
            elsewhere: RefCell::default(),
        }
    }

    /// From now on, problems at this place are of values that the file `named` holds.
    pub(super) fn set_elsewhere(&self, place: Range<usize>, named: String) {
        *self.elsewhere.borrow_mut() = Some((place, named));
    }

    /// Records a problem of this file.
    pub(super) fn push(&self, problem: Problem) {
        self.push_placed(problem.placed(&self.source, 0));
    }

    /// Records a problem that has its place already.
    pub(super) fn push_placed(&self, mut problem: Problem) {
        if let Some((place, named)) = self.elsewhere.borrow().as_ref()
            && problem.is_in(&self.source)
            && problem.is_at(place)
        {
            problem = problem.label(format!("by what {named} says"));
        }
        self.problems.borrow_mut().push(problem);
    }

    /// Records problems of another file that belongs to the configuration (shown after this file's own).
    pub(super) fn push_all_in(&self, source: &Arc<Source>, problems: impl IntoIterator<Item = Problem>) {
        let placed = problems.into_iter().map(|p| p.placed(source, 1));
        self.problems.borrow_mut().extend(placed);
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Parses a string with its type's own rules; `what` names the value in the message.
    pub(super) fn parse<T>(&self, what: &str, text: &At<String>) -> Option<At<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        match text.value.parse() {
            Ok(value) => Some(At::new(value, text.span.clone())),
            Err(error) => {
                let error: T::Err = error;
                self.push(Problem::new(text.span.clone(), format!("{what}: {error}")));
                None
            }
        }
    }
}

/// One table of the file. Every key asked for counts as known; [`Table::finish`] refuses the others.
pub(super) struct Table<'d> {
    pub(super) doc: &'d Doc,
    entries: &'d DeTable<'d>,
    /// As written in a header: `package`, `units."acme.service"`; empty for the whole file.
    path: String,
    pub(super) span: Range<usize>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'d> Table<'d> {
    pub(super) fn new(doc: &'d Doc, entries: &'d DeTable<'d>, path: String, span: Range<usize>) -> Self {
        Self {
            doc,
            entries,
            path,
            span,
            known: RefCell::default(),
        }
    }

    /// The table's name in messages: `[package]`.
    pub(super) fn title(&self) -> String {
        if self.path.is_empty() {
            "the top of the file".to_owned()
        } else {
            format!("[{}]", self.path)
        }
    }

    fn full_name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{}", self.path, shown_key(key))
        }
    }

    fn get(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.borrow_mut().insert(key);
        self.entries.get(key)
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Where a key's value stands, else the table itself.
    pub(super) fn span_of(&self, key: &'static str) -> Range<usize> {
        self.get(key).map_or_else(|| self.span.clone(), |value| value.span())
    }

    /// All entries in the order of the file, for tables whose keys are names of the user.
    pub(super) fn entries(&self) -> Vec<(At<String>, &'d Spanned<DeValue<'d>>)> {
        let mut list: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| (At::new(key.get_ref().to_string(), key.span()), value))
            .collect();
        list.sort_by_key(|(key, value)| (key.span.start, value.span().start));
        list
    }

    /// The table of one of [`Self::entries`].
    pub(super) fn entry_table(&self, key: &At<String>, value: &'d Spanned<DeValue<'d>>) -> Option<Table<'d>> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(
                self.doc,
                entries,
                self.full_name(&key.value),
                key.span.clone(),
            )),
            other => {
                self.wrong_type(&self.full_name(&key.value), "a table", other, value.span());
                None
            }
        }
    }

    /// The string of one of [`Self::entries`]: one line without control characters.
    pub(super) fn entry_string(&self, key: &At<String>, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        self.one_line(&self.full_name(&key.value), value)
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Table<'d>> {
        self.known.borrow_mut().insert(key);
        let (name, value) = self.entries.get_key_value(key)?;
        self.entry_table(&At::new(key.to_owned(), name.span()), value)
    }

    /// A string of one line without control characters.
    pub(super) fn string(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        self.one_line(&self.full_name(key), value)
    }

    /// A string that may have several lines (LF), else without control characters.
    pub(super) fn multi_line(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        let name = self.full_name(key);
        let text = self.any_string(&name, value)?;
        self.check_control(&name, &text, true).then_some(text)
    }

    /// A string with the rules of its type.
    pub(super) fn parsed<T>(&self, key: &'static str) -> Option<At<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.string(key)?;
        self.doc.parse(&self.full_name(key), &text)
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.string(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let meant = suggest(&text.value, words.iter().map(|(word, _)| *word));
        let help = match meant {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("write one of {}, or remove the key", known.join(", ")),
        };
        let problem = format!("{}: {:?} is not known", self.full_name(key), text.value);
        self.doc.push(Problem::new(text.span, problem).help(help));
        None
    }

    /// A time span of systemd's kind: `"5m"`, or a number of seconds.
    pub(super) fn time<T>(&self, key: &'static str) -> Option<At<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) => At::new(number.to_string(), value.span()),
            _ => self.string(key)?,
        };
        self.doc.parse(&self.full_name(key), &text)
    }

    pub(super) fn bool(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(At::new(*flag, value.span())),
            other => {
                self.wrong_type(&self.full_name(key), "true or false", other, value.span());
                None
            }
        }
    }

    pub(super) fn integer(&self, key: &'static str, allowed: Range<i64>) -> Option<At<i64>> {
        let value = self.get(key)?;
        let name = self.full_name(key);
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(&name, "a whole number", value.get_ref(), value.span());
            return None;
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if allowed.contains(&number) => Some(At::new(number, value.span())),
            _ => {
                let (least, most) = (allowed.start, allowed.end - 1);
                self.doc.push(
                    Problem::new(value.span(), format!("{name}: {number} is out of range"))
                        .help(format!("give a number from {least} to {most}")),
                );
                None
            }
        }
    }

    /// A list of strings, each of one line; nothing when the key is missing.
    pub(super) fn strings(&self, key: &'static str) -> Vec<At<String>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let name = self.full_name(key);
        match value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(|item| self.one_line(&name, item)).collect(),
            other => {
                let text = other.as_str().map(|text| format!("[{text:?}]"));
                let hint = format!("write {key} = {}", text.as_deref().unwrap_or("[\"…\"]"));
                let problem = self.type_problem(&name, "a list of strings", other, value.span());
                self.doc.push(problem.help(hint));
                Vec::new()
            }
        }
    }

    /// A table of names, each with the reason why it is there; `why` says what a reason has to say.
    pub(super) fn reasons(&self, key: &'static str, why: &str) -> Vec<(At<String>, String)> {
        let Some(given) = self.table(key) else {
            return Vec::new();
        };
        let entry = |(name, value)| {
            let reason = given.entry_string(&name, value)?;
            if reason.value.trim().is_empty() {
                let problem = format!("{}: the reason is empty", given.full_name(&name.value));
                self.doc.push(Problem::new(reason.span, problem).help(why));
                return None;
            }
            Some((name, reason.value))
        };
        given.entries().into_iter().filter_map(entry).collect()
    }

    /// A list of strings with the rules of their type; a value that is given twice is refused.
    pub(super) fn parsed_list<T>(&self, key: &'static str) -> Vec<At<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let name = self.full_name(key);
        let mut seen = BTreeSet::new();
        self.strings(key)
            .into_iter()
            .filter(|text| self.refuse_double(&name, &mut seen, text))
            .filter_map(|text| self.doc.parse(&name, &text))
            .collect()
    }

    pub(super) fn refuse_double(&self, name: &str, seen: &mut BTreeSet<String>, text: &At<String>) -> bool {
        let new = seen.insert(text.value.clone());
        if !new {
            self.doc.push(
                Problem::new(text.span.clone(), format!("{name}: {:?} is given twice", text.value))
                    .help("remove one of them"),
            );
        }
        new
    }

    /// Says that a key is needed, unless it is there (then its own problem was said already).
    pub(super) fn need(&self, key: &'static str, example: &str) {
        if self.has(key) {
            return;
        }
        self.doc.push(
            Problem::new(self.span.clone(), format!("{} needs the key {key:?}", self.title()))
                .help(format!("add {key} = {example}"))
                .contextual(),
        );
    }

    /// Says that a table of the file is needed.
    pub(super) fn need_table(&self, key: &'static str, contents: &str) {
        // One that is only misspelt is told as that.
        let misspelt = || self.entries.keys().any(|name| suggest(name.get_ref(), [key]).is_some());
        if !self.has(key) && !misspelt() {
            self.doc.push(
                Problem::new(self.span.clone(), format!("the table [{key}] is missing"))
                    .help(format!("add [{key}] with {contents}"))
                    .contextual(),
            );
        }
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (key, _) in self
            .entries()
            .into_iter()
            .filter(|(key, _)| !known.contains(key.value.as_str()))
        {
            let what = if self.path.is_empty() {
                format!("unknown table or key {:?}", key.value)
            } else {
                format!("unknown key {:?} in {}", key.value, self.title())
            };
            let all: Vec<_> = known.iter().copied().collect();
            let problem = Problem::new(key.span, what);
            self.doc.push(match suggest(&key.value, all.iter().copied()) {
                Some(meant) => problem
                    .label(format!("did you mean {meant:?}?"))
                    .help(format!("write {meant:?}, or remove it")),
                None => problem.help(format!("{} knows: {}", self.title(), all.join(", "))),
            });
        }
    }

    /// A string outside of the fixed keys: one line without control characters; `what` names it in messages.
    pub(super) fn text_of(&self, what: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        self.one_line(what, value)
    }

    fn one_line(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        let text = self.any_string(name, value)?;
        self.check_control(name, &text, false).then_some(text)
    }

    fn any_string(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(At::new(text.to_string(), value.span())),
            other => {
                self.wrong_type(name, "a string", other, value.span());
                None
            }
        }
    }

    fn check_control(&self, name: &str, text: &At<String>, lines: bool) -> bool {
        let bad = text.value.chars().find(|&c| c.is_control() && !(lines && c == '\n'));
        if let Some(c) = bad {
            let what = match c {
                '\n' | '\r' => "a line break",
                '\t' => "a tab",
                _ => "a control character",
            };
            self.doc.push(
                Problem::new(text.span.clone(), format!("{name}: {what} is not allowed")).help(if lines {
                    "use spaces and plain line breaks (LF), no other control characters"
                } else {
                    "write the value in one line, without control characters"
                }),
            );
        }
        bad.is_none()
    }

    pub(super) fn wrong_type(&self, name: &str, wanted: &str, found: &DeValue<'_>, span: Range<usize>) {
        self.doc.push(self.type_problem(name, wanted, found, span.clone()));
    }

    fn type_problem(&self, name: &str, wanted: &str, found: &DeValue<'_>, span: Range<usize>) -> Problem {
        let problem = Problem::new(
            span.clone(),
            format!("{name}: expected {wanted}, found {}", type_name(found)),
        );
        let written = self
            .doc
            .source
            .text()
            .get(span)
            .filter(|text| text.len() <= 40 && !text.contains('\n'));
        match (wanted, found, written) {
            ("a string", DeValue::Integer(number), _) if number.radix() == 8 => {
                problem.help(format!("put it in quotes: \"0{}\"", number.as_str()))
            }
            ("a string", DeValue::Integer(_), Some(text)) if name.ends_with(".mode") && text.len() == 3 => {
                problem.help(format!("put it in quotes: \"0{text}\""))
            }
            (
                "a string",
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_),
                Some(text),
            ) => problem.help(format!("put it in quotes: \"{text}\"")),
            ("a table", DeValue::Array(items), _) if REASONED.contains(&name) => {
                let named = items.first().and_then(|item| item.get_ref().as_str()).unwrap_or("…");
                let key = name.rsplit('.').next().unwrap_or(name);
                problem.help(format!("say why, for each: {key} = {{ {named:?} = \"why\" }}"))
            }
            ("true or false", DeValue::String(text), _) if matches!(&**text, "true" | "yes" | "on" | "1") => {
                problem.help("write true, without quotes")
            }
            ("true or false", DeValue::String(text), _) if matches!(&**text, "false" | "no" | "off" | "0") => {
                problem.help("write false, without quotes")
            }
            ("a whole number", DeValue::String(_), _) => problem.help("write the number without quotes"),
            (_, DeValue::Array(_), _) if wanted == "a string" => problem.help("give one value, not a list"),
            _ => problem.help(format!("give {wanted}")),
        }
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A key as TOML wants it written: bare where that is possible.
pub(super) fn shown_key(key: &str) -> DeString<'_> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.into()
    } else {
        format!("{key:?}").into()
    }
}

/// The known word that was probably meant.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes time by the product of the lengths.
    let long = word.len() > 64;
    (!long).then(|| closest(word, known.into_iter())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant_and_nothing_far() {
        let known = ["name", "version", "purge_shared", "depends", "X-Relpack"];
        let suggest = |word| suggest(word, known);
        assert_eq!(suggest("nmae"), Some("name"));
        assert_eq!(suggest("Version"), Some("version"));
        assert_eq!(suggest("purge-shared"), Some("purge_shared"));
        assert_eq!(suggest("dependencies"), None);
        assert_eq!(suggest("x_relpack"), Some("X-Relpack"));
        assert_eq!(suggest("zzz"), None);
        assert_eq!(suggest(""), None);
    }

    #[test]
    fn keys_are_quoted_only_where_needed() {
        assert_eq!(shown_key("a-b_1"), "a-b_1");
        assert_eq!(shown_key("acme.service"), "\"acme.service\"");
        assert_eq!(shown_key(""), "\"\"");
    }
}
