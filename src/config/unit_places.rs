//! Owns where the parts of the units stand, so that what is found in them, also later, is shown at its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostics::{Problem, Source};
use super::reader::{At, Table, shown_key};
use crate::systemd::{Origin, UnitError, UnitFile};

/// The places of all units, of `[defaults]`, `[migrate]`, `[deploy]`, `[files]` and `[instances]`.
#[derive(Debug, Clone)]
pub(super) struct UnitPlaces {
    /// `relpack.toml` itself.
    main: Arc<Source>,
    of: BTreeMap<String, Places>,
}

/// Where the parts of one unit (or of another table) stand.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The ready-made file; `None` for `relpack.toml` itself.
    file: Option<Arc<Source>>,
    whole: Range<usize>,
    sections: BTreeMap<String, Range<usize>>,
    /// The assignments of a key in their order.
    keys: BTreeMap<(String, String), Vec<Range<usize>>>,
    /// Something in it could not be read, so what is missing may only have been misspelt.
    pub(super) incomplete: bool,
}

impl Places {
    pub(super) fn new(whole: Range<usize>) -> Self {
        Self {
            file: None,
            whole,
            sections: BTreeMap::new(),
            keys: BTreeMap::new(),
            incomplete: false,
        }
    }

    pub(super) fn of_file(file: &UnitFile, source: Arc<Source>) -> Self {
        let mut places = Self::new(source.line_span(1));
        for section in file.sections() {
            for entry in &section.entries {
                let span = source.line_span(entry.line.unwrap_or(1));
                places.add(&section.name, &entry.key, span.clone());
                places.sections.entry(section.name.clone()).or_insert(span);
            }
        }
        places.file = Some(source);
        places
    }

    /// A table whose keys are no directives.
    pub(super) fn of_table(table: &Table<'_>) -> Self {
        let mut places = Self::new(table.span.clone());
        for (key, value) in table.entries() {
            let at = At::new((), value.span()).with_key(&key);
            places.add("", &key.value, at.span);
        }
        places
    }

    pub(super) fn add_section(&mut self, name: &str, span: Range<usize>) {
        self.sections.insert(name.to_owned(), span);
    }

    /// One more assignment of a key.
    pub(super) fn add(&mut self, section: &str, key: &str, span: Range<usize>) {
        let name = (section.to_owned(), key.to_owned());
        self.keys.entry(name).or_default().push(span);
    }

    /// Where the whole of it stands.
    pub(super) fn whole(&self) -> Range<usize> {
        self.whole.clone()
    }

    fn spans(&self, error: &UnitError) -> Option<&[Range<usize>]> {
        let section = error.section.clone().unwrap_or_default();
        self.keys.get(&(section, error.key.clone()?)).map(Vec::as_slice)
    }

    /// The assignment that is meant: its line tells, else its number.
    fn exact(&self, error: &UnitError, main: &Source) -> Option<Range<usize>> {
        let source = self.file.as_deref().unwrap_or(main);
        let fits = |span: &&Range<usize>| error.line.is_none_or(|line| source.line_of(span.start) == line);
        let spans = self.spans(error)?;
        let nth = spans.get(error.index).filter(fits);
        nth.or_else(|| spans.iter().find(fits)).cloned()
    }
}

const DEFAULTS: &str = "[defaults]";
const MIGRATE: &str = "[migrate]";
const DEPLOY: &str = "[deploy]";
const FILES: &str = "[files]";

/// The name under which an origin's places are kept, which is its title in messages too.
fn title(origin: &Origin) -> String {
    match origin {
        Origin::Unit(name) => name.to_string(),
        Origin::DropIn(path) => path.clone(),
        Origin::Defaults => DEFAULTS.to_owned(),
        Origin::Migrate => MIGRATE.to_owned(),
        Origin::Deploy => DEPLOY.to_owned(),
        Origin::Files => FILES.to_owned(),
        Origin::Instance(name) => format!("[instances.{name}]"),
    }
}

impl UnitPlaces {
    pub(super) fn new(main: &Arc<Source>) -> Self {
        Self {
            main: Arc::clone(main),
            of: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, origin: &Origin, places: Places) {
        self.of.insert(title(origin), places);
    }

    pub(super) fn get(&self, origin: &Origin) -> Option<&Places> {
        self.of.get(&title(origin))
    }

    /// An error or a warning where its text was written; `None` where it may be wrong, because not all could be read.
    pub(super) fn problem(&self, error: &UnitError, warning: bool) -> Option<Problem> {
        let title = title(&error.origin);
        let Some(places) = self.of.get(&title) else {
            return Some(problem(0..0, &title, error, warning).placed(&self.main, 0));
        };
        if matches!(error.origin, Origin::Migrate | Origin::Deploy | Origin::Files) {
            let table = title.trim_matches(['[', ']']);
            let field = error
                .key
                .as_ref()
                .map_or(table.to_owned(), |key| format!("{table}.{}", shown_key(key)));
            let span = places
                .exact(error, &self.main)
                .or_else(|| {
                    // What is left out has its default by the proxy.
                    let proxy = ("server" == error.key.as_deref()?).then_some("proxy")?;
                    places.exact(
                        &UnitError {
                            key: Some(proxy.to_owned()),
                            ..error.clone()
                        },
                        &self.main,
                    )
                })
                .unwrap_or_else(|| places.whole());
            return Some(problem(span, &field, error, warning).placed(&self.main, 0));
        }
        let exact = places.exact(error, &self.main);
        if exact.is_none() && places.incomplete {
            return None;
        }
        let field = field(&title, error);
        // What a unit says only by its defaults stands there.
        let of_defaults = self
            .of
            .get(DEFAULTS)
            .filter(|_| matches!(error.origin, Origin::Unit(_)));
        if exact.is_none()
            && let Some(span) = of_defaults.and_then(|defaults| defaults.exact(error, &self.main))
        {
            return Some(problem(span, &field, error, warning).placed(&self.main, 0));
        }
        let span = exact
            .or_else(|| places.spans(error)?.first().cloned())
            .or_else(|| places.sections.get(error.section.as_deref()?).cloned())
            .unwrap_or_else(|| places.whole());
        let problem = problem(span, &field, error, warning);
        Some(match &places.file {
            Some(source) => problem.placed(source, 1),
            None => problem.placed(&self.main, 0),
        })
    }
}

/// What a message starts with: the unit and the directive, unless it names them itself.
fn field(title: &str, error: &UnitError) -> String {
    let part = match (&error.section, &error.key) {
        (Some(section), Some(key)) => format!("{section}.{key}"),
        (Some(section), None) => format!("[{section}]"),
        (None, Some(key)) => key.clone(),
        (None, None) => String::new(),
    };
    let named = |word: &str| word.is_empty() || error.message.contains(word);
    let key = error.key.as_deref().map(|key| format!("{key}="));
    if part.is_empty() && named(title) {
        String::new()
    } else if named(&part) || key.as_deref().is_some_and(named) {
        title.to_owned()
    } else {
        format!("{title}: {part}")
    }
}

fn problem(span: Range<usize>, field: &str, error: &UnitError, warning: bool) -> Problem {
    let message = match field {
        "" => error.message.clone(),
        field => format!("{field}: {}", error.message),
    };
    let problem = Problem::new(span, message).help(&error.hint);
    let problem = match error.lint {
        Some(lint) => problem.named(lint),
        None => problem,
    };
    if warning { problem.warning() } else { problem }
}
