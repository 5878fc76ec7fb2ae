//! Reads `[units."…"]`, `[defaults]` and the ready-made unit files, and shows what systemd's rules say about them.

use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostics::{Problem, Source};
use super::reader::{At, Doc, Table, shown_key, suggest};
use super::ready_made::ReadyMadeFiles;
use super::unit_places::{Places, UnitPlaces};
use crate::model::{EnvName, UnitName};
use crate::systemd::{self, Defaults, DropIn, Entry, Origin, UnitError, UnitFile, UnitInput};

/// Units as written, with the place of everything in them.
pub(super) struct Written {
    pub(super) inputs: Vec<UnitInput>,
    pub(super) drop_ins: Vec<DropIn>,
    pub(super) defaults: Defaults,
    /// Every unit that is named, also where its text could not be read.
    pub(super) names: Vec<UnitName>,
    pub(super) places: UnitPlaces,
}

impl Written {
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Self {
            inputs: Vec::new(),
            drop_ins: Vec::new(),
            defaults: Defaults::default(),
            names: Vec::new(),
            places: UnitPlaces::new(source),
        }
    }

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
            places.add("", "preset", preset.span);
            self.defaults.preset = Some(preset.value);
        }
        self.defaults.file = file;
        self.places.insert(&Origin::Defaults, places);
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
            self.places.insert(&Origin::Unit(name.value.clone()), places);
            self.inputs.push(UnitInput { name: name.value, file });
        }
    }

    /// Takes the ready-made files; a unit that stands in the TOML too is refused.
    pub(super) fn add_ready_made(&mut self, doc: &Doc, files: ReadyMadeFiles) {
        self.names.extend(files.names);
        for unit in files.units {
            let origin = Origin::Unit(unit.name.clone());
            if let Some(places) = self.places.get(&origin) {
                doc.push(
                    Problem::new(
                        places.whole(),
                        format!("{} is both here and a ready-made file of release.units", unit.name),
                    )
                    .help("keep one of the two"),
                );
                continue;
            }
            let places = Places::of_file(&unit.file, unit.source);
            self.places.insert(&origin, places);
            self.inputs.push(UnitInput {
                name: unit.name,
                file: unit.file,
            });
        }
        for (drop_in, source) in files.drop_ins {
            self.places
                .insert(&Origin::DropIn(drop_in.path()), Places::of_file(&drop_in.file, source));
            self.drop_ins.push(drop_in);
        }
    }

    /// Shows an error or a warning where its text was written.
    pub(super) fn report(&self, doc: &Doc, error: &UnitError, warning: bool) {
        if let Some(problem) = self.places.problem(error, warning) {
            doc.push_placed(problem);
        }
    }
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
    places.add_section(&key.value, key.span.clone());
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
        for line in lines {
            file.section_mut(&key.value).entries.push(Entry {
                key: directive.value.clone(),
                value: line.value,
                line: Some(unit.doc.source.line_of(line.span.start)),
            });
            places.add(&key.value, &directive.value, line.span);
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
