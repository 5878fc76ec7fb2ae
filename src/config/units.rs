//! Reads `[units."…"]`, `[defaults]` and the ready-made unit files, and shows what systemd's rules say about them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostics::{Problem, Source};
use super::reader::{At, Doc, Table, shown_key, suggest};
use super::ready_made::ReadyMadeFiles;
use crate::model::{EnvName, UnitName};
use crate::systemd::{self, Defaults, DropIn, Origin, UnitError, UnitFile, UnitInput};

/// Units as written, with the place of everything in them.
#[derive(Default)]
pub(super) struct Written {
    pub(super) inputs: Vec<UnitInput>,
    pub(super) drop_ins: Vec<DropIn>,
    pub(super) defaults: Defaults,
    /// Every unit that is named, also where its text could not be read.
    pub(super) names: Vec<UnitName>,
    places: BTreeMap<String, Places>,
}

/// Where the parts of one unit (or of `[defaults]`) stand.
struct Places {
    /// The ready-made file; `None` for `relpack.toml` itself.
    file: Option<Arc<Source>>,
    whole: Range<usize>,
    sections: BTreeMap<String, Range<usize>>,
    /// The assignments of a key in their order.
    keys: BTreeMap<(String, String), Vec<Range<usize>>>,
    /// Something in it could not be read, so what is missing may only have been misspelt.
    incomplete: bool,
}

impl Places {
    fn new(whole: Range<usize>) -> Self {
        Self {
            file: None,
            whole,
            sections: BTreeMap::new(),
            keys: BTreeMap::new(),
            incomplete: false,
        }
    }

    fn of_file(file: &UnitFile, source: Arc<Source>) -> Self {
        let mut places = Self::new(source.line_span(1));
        for section in file.sections() {
            for entry in &section.entries {
                let span = source.line_span(entry.line.unwrap_or(1));
                let name = (section.name.clone(), entry.key.clone());
                places.keys.entry(name).or_default().push(span.clone());
                places.sections.entry(section.name.clone()).or_insert(span);
            }
        }
        places.file = Some(source);
        places
    }
}

const DEFAULTS: &str = "";

impl Written {
    /// Takes `[defaults]`.
    pub(super) fn add_defaults(&mut self, table: Table<'_>) {
        let preset = table.string("preset");
        let mut places = Places::new(table.span.clone());
        let mut file = UnitFile::new();
        for (key, value) in table.entries() {
            if key.value == "preset" {
                continue;
            }
            section(&table, "[defaults]", &key, value, &mut file, &mut places);
        }
        if let Some(preset) = preset {
            let name = (String::new(), "preset".to_owned());
            places.keys.insert(name, vec![preset.span]);
            self.defaults.preset = Some(preset.value);
        }
        self.defaults.file = file;
        self.places.insert(DEFAULTS.to_owned(), places);
    }

    /// Takes `[units]`, each table in it a unit.
    pub(super) fn add_units(&mut self, table: Table<'_>) {
        for (key, value) in table.entries() {
            let name = table
                .doc
                .parse::<UnitName>(&format!("units.{}", shown_key(&key.value)), &key);
            let unit = table.entry_table(&key, value);
            self.names.extend(name.as_ref().map(|n| n.value.clone()));
            let (Some(name), Some(unit)) = (name, unit) else {
                continue;
            };
            let mut file = UnitFile::new();
            let mut places = Places::new(key.span.clone());
            for (key, value) in unit.entries() {
                let title = name.value.as_str();
                section(&unit, title, &key, value, &mut file, &mut places);
            }
            self.places.insert(name.value.as_str().to_owned(), places);
            self.inputs.push(UnitInput { name: name.value, file });
        }
    }

    /// Takes the ready-made files; a unit that stands in the TOML too is refused.
    pub(super) fn add_ready_made(&mut self, doc: &Doc, files: ReadyMadeFiles) {
        self.names.extend(files.names);
        for unit in files.units {
            if let Some(places) = self.places.get(unit.name.as_str()) {
                doc.push(
                    Problem::new(
                        places.whole.clone(),
                        format!("{} is both here and a ready-made file of release.units", unit.name),
                    )
                    .help("keep one of the two"),
                );
                continue;
            }
            let places = Places::of_file(&unit.file, unit.source);
            self.places.insert(unit.name.as_str().to_owned(), places);
            self.inputs.push(UnitInput {
                name: unit.name,
                file: unit.file,
            });
        }
        for (drop_in, source) in files.drop_ins {
            self.places
                .insert(drop_in.path(), Places::of_file(&drop_in.file, source));
            self.drop_ins.push(drop_in);
        }
    }

    /// Shows an error or a warning where its text was written.
    pub(super) fn report(
        &self,
        doc: &Doc,
        error: &UnitError,
        migrate: Option<&Table<'_>>,
        deploy: Option<&Table<'_>>,
        warning: bool,
    ) {
        let (name, title) = match &error.origin {
            Origin::Unit(name) => (name.as_str(), name.to_string()),
            Origin::DropIn(path) => (path.as_str(), path.clone()),
            Origin::Defaults => (DEFAULTS, "[defaults]".to_owned()),
            Origin::Migrate | Origin::Deploy => {
                let (table, title, known) = match error.origin {
                    Origin::Deploy => (deploy, "deploy", &["server", "check"][..]),
                    _ => (migrate, "migrate", &["exec", "like", "timeout"][..]),
                };
                let key = known.iter().copied().find(|k| Some(*k) == error.key.as_deref());
                let span = table.map_or(0..0, |table| match key {
                    // What is left out has its default by the proxy.
                    Some("server") if !table.has("server") => table.span_of("proxy"),
                    Some(key) => table.span_of(key),
                    None => table.span.clone(),
                });
                let field = key.map_or(title.to_owned(), |key| format!("{title}.{key}"));
                doc.push(problem(span, &field, error, warning));
                return;
            }
        };
        let Some(places) = self.places.get(name) else {
            doc.push(problem(0..0, &title, error, warning));
            return;
        };
        let section = error.section.clone().unwrap_or_default();
        let exact = error.key.as_ref().and_then(|key| {
            let spans = places.keys.get(&(section.clone(), key.clone()))?;
            spans.get(error.index).or_else(|| spans.first())
        });
        if exact.is_none() && places.incomplete {
            return;
        }
        let by_line = match (&places.file, error.line) {
            (Some(source), Some(line)) => Some(source.line_span(line)),
            _ => None,
        };
        let span = by_line
            .or_else(|| exact.cloned())
            .or_else(|| places.sections.get(&section).cloned())
            .unwrap_or_else(|| places.whole.clone());
        let part = match (&error.section, &error.key) {
            (Some(section), Some(key)) => format!("{section}.{key}"),
            (Some(section), None) => format!("[{section}]"),
            (None, Some(key)) => key.clone(),
            (None, None) => String::new(),
        };
        // A message that names its subject itself needs no second name.
        let named = |word: &str| word.is_empty() || error.message.contains(word);
        let key = error.key.as_deref().map(|key| format!("{key}="));
        let field = if part.is_empty() && named(&title) {
            String::new()
        } else if named(&part) || key.as_deref().is_some_and(named) {
            title
        } else {
            format!("{title}: {part}")
        };
        let problem = problem(span, &field, error, warning);
        match &places.file {
            Some(source) => doc.push_all_in(source, [problem]),
            None => doc.push(problem),
        }
    }
}

fn problem(span: Range<usize>, field: &str, error: &UnitError, warning: bool) -> Problem {
    let message = match field {
        "" => error.message.clone(),
        field => format!("{field}: {}", error.message),
    };
    let problem = Problem::new(span, message).help(&error.hint);
    if warning { problem.warning() } else { problem }
}

/// One section of a unit: `Service = { … }`, or dotted keys.
fn section<'d>(
    unit: &Table<'d>,
    title: &str,
    key: &At<String>,
    value: &'d Spanned<DeValue<'d>>,
    file: &mut UnitFile,
    places: &mut Places,
) {
    let DeValue::Table(_) = value.get_ref() else {
        unit.doc.push(
            Problem::new(
                key.span.clone(),
                format!("{:?} stands in {} outside of a section", key.value, unit.title()),
            )
            .help(format!(
                "write it in its section of the unit file, for example Service.{} = …",
                shown_key(&key.value)
            )),
        );
        places.incomplete = true;
        return;
    };
    let Some(section) = unit.entry_table(key, value) else {
        return;
    };
    if !is_word(&key.value) {
        refuse_word(unit.doc, key, "section");
        places.incomplete = true;
        return;
    }
    places.sections.insert(key.value.clone(), key.span.clone());
    file.section_mut(&key.value);
    for (directive, value) in section.entries() {
        if !is_word(&directive.value) {
            refuse_word(unit.doc, &directive, "directive");
            places.incomplete = true;
            continue;
        }
        let what = format!("{title}: {}.{}", key.value, directive.value);
        let Some(lines) = directive_lines(&section, &what, &directive, value) else {
            places.incomplete = true;
            continue;
        };
        let spans = places
            .keys
            .entry((key.value.clone(), directive.value.clone()))
            .or_default();
        for line in lines {
            file.append(&key.value, &directive.value, line.value);
            spans.push(line.span);
        }
    }
}

/// The names of sections and directives: anything else could end the line or the header.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn refuse_word(doc: &Doc, key: &At<String>, what: &str) {
    doc.push(
        Problem::new(key.span.clone(), format!("{:?} is not the name of a {what}", key.value))
            .help("systemd's names are made of letters, digits and '-'"),
    );
}

/// The assignments that one directive of the TOML stands for; `None` when it can't be read.
fn directive_lines<'d>(
    section: &Table<'d>,
    what: &str,
    key: &At<String>,
    value: &'d Spanned<DeValue<'d>>,
) -> Option<Vec<At<String>>> {
    match value.get_ref() {
        DeValue::Array(items) => {
            if items.is_empty() {
                // An empty list would vanish, and with it the wish to reset a default.
                section.doc.push(
                    Problem::new(value.span(), format!("{what}: the list is empty")).help(format!(
                        "remove it, or write {} = \"\" to reset what the defaults set",
                        key.value
                    )),
                );
                return None;
            }
            let lines: Vec<_> = items.iter().map(|i| scalar(section, what, i)).collect();
            lines.into_iter().collect()
        }
        DeValue::Table(_) if key.value == "Environment" => environment(section, what, key, value),
        DeValue::Table(_) => {
            let problem = Problem::new(key.span.clone(), format!("{what}: expected a value, found a table"));
            section.doc.push(match suggest(&key.value, ["Environment"]) {
                Some(meant) => problem.help(format!("did you mean {meant:?}? Only that takes a table")),
                None => {
                    problem.help("give text, a number, true, false or a list of these (only Environment takes a table)")
                }
            });
            None
        }
        _ => Some(vec![scalar(section, what, value)?.with_key(key)]),
    }
}

/// A value in systemd's words.
fn scalar(section: &Table<'_>, what: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
    let text = match value.get_ref() {
        DeValue::Boolean(true) => "yes".to_owned(),
        DeValue::Boolean(false) => "no".to_owned(),
        _ => return plain(section, what, value),
    };
    Some(At::new(text, value.span()))
}

/// A text, or a number as it is written.
pub(super) fn plain(section: &Table<'_>, what: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
    let number = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number)
            if number
                .as_str()
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') =>
        {
            number.as_str()
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
            section.doc.push(
                Problem::new(value.span(), format!("{what}: this spelling is TOML's, not systemd's"))
                    .help("write the value in quotes, as systemd reads it (for example \"0027\", \"infinity\")"),
            );
            return None;
        }
        _ => return section.text_of(what, value),
    };
    Some(At::new(number.to_owned(), value.span()))
}

/// `Environment = { PORT = "3000" }`: the values are data.
fn environment<'d>(
    section: &Table<'d>,
    what: &str,
    key: &At<String>,
    value: &'d Spanned<DeValue<'d>>,
) -> Option<Vec<At<String>>> {
    let table = section.entry_table(key, value)?;
    let lines: Vec<_> = table
        .entries()
        .into_iter()
        .map(|(name, value)| {
            let what = format!("{what}.{}", shown_key(&name.value));
            let parsed = section.doc.parse::<EnvName>(&what, &name);
            let text = match value.get_ref() {
                DeValue::Boolean(flag) => Some(At::new(flag.to_string(), value.span())),
                _ => plain(&table, &what, value),
            };
            let (parsed, text) = (parsed?, text?);
            let line = systemd::environment_assignment(&parsed.value, &text.value);
            Some(At::new(line, text.span).with_key(&name))
        })
        .collect();
    lines.into_iter().collect()
}
