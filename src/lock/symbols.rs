//! Reads `symbols` and `shlibs` of installed packages (deb-symbols(5), deb-shlibs(5)): which symbol needs which version.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::Relation;
use crate::model::DebVersion;

/// What one library's `symbols` says.
#[derive(Debug)]
pub struct Library {
    /// Dependency templates; symbols name theirs by its place.
    templates: Vec<String>,
    /// `name@version` → the lowest version of the package that has it, and the template.
    symbols: HashMap<String, (DebVersion, usize)>,
}

impl Library {
    /// The sonames that a `symbols` file is about.
    pub(super) fn sonames(text: &str) -> impl Iterator<Item = &str> {
        text.lines()
            .filter(|line| is_head(line))
            .filter_map(|line| line.split(' ').next())
    }

    /// The part of a `symbols` file that is about one library.
    pub(super) fn parse(text: &str, soname: &str) -> Option<Library> {
        let mut lines = text
            .lines()
            .skip_while(|line| !is_head(line) || line.split(' ').next() != Some(soname));
        let (_, template) = lines.next()?.split_once(' ')?;
        let mut library = Library {
            templates: vec![template.to_owned()],
            symbols: HashMap::new(),
        };
        for line in lines.take_while(|line| !is_head(line)) {
            if let Some(template) = line.strip_prefix('|') {
                library.templates.push(template.trim().to_owned());
            } else if let Some(symbol) = line.strip_prefix(' ') {
                library.add(symbol);
            }
        }
        Some(library)
    }

    /// ` name@version lowest [template]`; tags in front are for building the package.
    fn add(&mut self, line: &str) {
        let line = match line.strip_prefix('(') {
            Some(tagged) => tagged.split_once(')').map_or("", |(_, rest)| rest),
            None => line,
        };
        let mut words = line.split_ascii_whitespace();
        let (Some(symbol), Some(lowest)) = (words.next(), words.next()) else {
            return;
        };
        let template = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        if let Ok(lowest) = lowest.parse() {
            self.symbols
                .insert(symbol.trim_matches('"').to_owned(), (lowest, template));
        }
    }

    /// Whether any symbol has this version.
    pub fn has_version(&self, version: &str) -> bool {
        self.symbols
            .keys()
            .any(|symbol| symbol.rsplit_once('@').is_some_and(|(_, own)| own == version))
    }

    /// The dependency of a program that uses these symbols. As dpkg-shlibdeps(1) does it, the library's own template has at
    /// least its oldest symbol's version: also of a program that is linked with it and calls nothing of it.
    pub fn relations(&self, used: &BTreeSet<(String, Option<String>)>) -> Vec<Relation> {
        let of_library = self.symbols.values().filter(|(_, template)| *template == 0);
        let oldest = of_library.map(|(lowest, _)| lowest).min();
        let mut lowest: BTreeMap<usize, &DebVersion> = oldest.map(|oldest| (0, oldest)).into_iter().collect();
        for (name, version) in used {
            let key = format!("{name}@{}", version.as_deref().unwrap_or("Base"));
            if let Some((needed, template)) = self.symbols.get(&key) {
                let known = lowest.entry(*template).or_insert(needed);
                if needed > *known {
                    *known = needed;
                }
            }
        }
        if lowest.is_empty() {
            return self.filled(0, None);
        }
        let filled = lowest
            .into_iter()
            .flat_map(|(template, needed)| self.filled(template, Some(needed)));
        filled.collect()
    }

    fn filled(&self, template: usize, needed: Option<&DebVersion>) -> Vec<Relation> {
        let bound = needed
            .filter(|needed| needed.as_str() != "0")
            .map_or(String::new(), |needed| format!("(>= {needed})"));
        let text = self.templates.get(template).map_or("", String::as_str);
        relations(&text.replace("#MINVER#", &bound))
    }
}

/// The line that begins a library: `libc.so.6 libc6 #MINVER#`.
fn is_head(line: &str) -> bool {
    !line.is_empty() && !line.starts_with([' ', '|', '*', '#'])
}

/// What a `shlibs` file says of a soname.
pub(super) fn shlibs(text: &str, soname: &str) -> Option<Vec<Relation>> {
    let (name, version) = split_soname(soname)?;
    text.lines().find_map(|line| {
        let mut words = line.splitn(3, ' ');
        let (own, number, depends) = (words.next()?, words.next()?, words.next()?);
        // A type in front is of other kinds of packages ("udeb: libz 1 …").
        (own == name && number == version).then(|| relations(depends))
    })
}

/// `libz.so.1` → `libz`, `1`; `libdb-5.3.so` → `libdb`, `5.3`; `libbfd-2.40-system.so` → `libbfd`, `2.40-system`.
fn split_soname(soname: &str) -> Option<(&str, &str)> {
    if let Some(split) = soname.split_once(".so.") {
        return Some(split);
    }
    let stem = soname.strip_suffix(".so")?;
    let numbered = stem
        .rmatch_indices('-')
        .find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    numbered.map(|(at, _)| (&stem[..at], &stem[at + 1..]))
}

/// Each relation of a dependency field; one that isn't proper is left out, since dpkg would not have installed it.
fn relations(field: &str) -> Vec<Relation> {
    field.split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "\
libacme.so.1 libacme1 #MINVER#
| libacme1 (>> 2.36), libacme1 (<< 2.37)
* Build-Depends-Package: libacme-dev
 a@Base 1.0
 b@Base 1.10
 c@ACME_2 2:1.0~rc1
 private@ACME_PRIVATE 0 1
 (optional)d@ACME_3 3
libother.so.2 libother2
 a@Base 9
";

    fn used(symbols: &[(&str, Option<&str>)]) -> BTreeSet<(String, Option<String>)> {
        let own = |(name, version): &(&str, Option<&str>)| (name.to_string(), version.map(String::from));
        symbols.iter().map(own).collect()
    }

    fn shown(relations: Vec<Relation>) -> Vec<String> {
        relations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_symbol_decides() {
        assert_eq!(
            Library::sonames(SYMBOLS).collect::<Vec<_>>(),
            ["libacme.so.1", "libother.so.2"]
        );
        let library = Library::parse(SYMBOLS, "libacme.so.1").unwrap();
        for (symbols, expected) in [
            (&[][..], &["libacme1 (>= 1.0)"][..]),
            (&[("a", None)], &["libacme1 (>= 1.0)"]),
            (&[("a", None), ("b", None)], &["libacme1 (>= 1.10)"]),
            (&[("a", None), ("c", Some("ACME_2"))], &["libacme1 (>= 2:1.0~rc1)"]),
            (&[("c", None), ("unknown", None)], &["libacme1 (>= 1.0)"]),
            (&[("d", Some("ACME_3"))], &["libacme1 (>= 3)"]),
            (
                &[("a", None), ("private", Some("ACME_PRIVATE"))],
                &["libacme1 (>= 1.0)", "libacme1 (>> 2.36)", "libacme1 (<< 2.37)"],
            ),
        ] {
            assert_eq!(shown(library.relations(&used(symbols))), expected, "{symbols:?}");
        }
        assert!(library.has_version("ACME_2") && !library.has_version("ACME_9"));
        let other = Library::parse(SYMBOLS, "libother.so.2").unwrap();
        assert_eq!(shown(other.relations(&used(&[("a", None)]))), ["libother2"]);
        assert!(Library::parse(SYMBOLS, "libc.so.6").is_none());
    }

    #[test]
    fn shlibs_are_by_name_and_number() {
        let text = "libz 1 zlib1g (>= 1:1.2)\nudeb: libz 1 zlib1g-udeb\nlibdb 5.3 libdb5.3, libx1\n";
        assert_eq!(shown(shlibs(text, "libz.so.1").unwrap()), ["zlib1g (>= 1:1.2)"]);
        assert_eq!(shown(shlibs(text, "libdb-5.3.so").unwrap()), ["libdb5.3", "libx1"]);
        let text = "libbfd 2.40-system libbinutils (>= 2.40), libbinutils (<< 2.40.1)\n";
        let bounds = ["libbinutils (>= 2.40)", "libbinutils (<< 2.40.1)"];
        assert_eq!(shown(shlibs(text, "libbfd-2.40-system.so").unwrap()), bounds);
        for soname in ["libz.so.2", "libz", "libz.so", ""] {
            assert!(shlibs(text, soname).is_none(), "{soname}");
        }
    }
}
