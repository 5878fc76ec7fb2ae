//! Owns `Relation`: one entry of a dependency field (Debian Policy 7.1), checked and written in dpkg's own form.

use std::str::FromStr;

use super::reader::suggest;
use crate::model::{Arch, DebVersion, PackageName};

/// One entry of a dependency field: `nodejs (>= 18) | bun`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    package: PackageName,
    /// `any` or an architecture's name.
    qualifier: Option<String>,
    bound: Option<(&'static str, DebVersion)>,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (hint: {hint})")]
pub struct RelationError {
    problem: String,
    hint: String,
}

const OPERATORS: [&str; 5] = ["<<", "<=", "=", ">=", ">>"];

impl Relation {
    /// The packages that it names.
    pub(super) fn packages(&self) -> impl Iterator<Item = &PackageName> {
        self.alternatives.iter().map(|a| &a.package)
    }

    /// The package and the lowest version that will do, of a relation that says nothing else.
    fn lower_bound(&self) -> Option<(&PackageName, Option<&DebVersion>)> {
        match self.alternatives.as_slice() {
            [
                Alternative {
                    package,
                    qualifier: None,
                    bound,
                },
            ] => match bound {
                None => Some((package, None)),
                Some((">=", version)) => Some((package, Some(version))),
                Some(_) => None,
            },
            _ => None,
        }
    }

    /// Whether every host that fulfils this one fulfils the other, too, as far as can be told without a repository.
    pub fn implies(&self, other: &Relation) -> bool {
        self == other
            || match (self.lower_bound(), other.lower_bound()) {
                (Some((ours, version)), Some((theirs, least))) => ours == theirs && version >= least,
                _ => false,
            }
    }

    /// Fields that say what can't be installed together take no alternatives (Policy 7.1).
    pub(super) fn has_alternatives(&self) -> bool {
        self.alternatives.len() > 1
    }

    /// Whether each bound is exact, which is all that `Provides` takes (Policy 7.5).
    pub(super) fn is_exact(&self) -> bool {
        self.alternatives
            .iter()
            .all(|a| a.bound.as_ref().is_none_or(|(op, _)| *op == "="))
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, alternative) in self.alternatives.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(alternative.package.as_str())?;
            if let Some(qualifier) = &alternative.qualifier {
                write!(f, ":{qualifier}")?;
            }
            if let Some((op, version)) = &alternative.bound {
                write!(f, " ({op} {version})")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Relation {
    type Err = RelationError;

    fn from_str(text: &str) -> Result<Self, RelationError> {
        if text.contains(',') {
            let parts: Vec<_> = text.split(',').map(|part| format!("{:?}", part.trim())).collect();
            return Err(error(
                format!("{text:?} holds several relations"),
                format!("make them entries of the list: [{}]", parts.join(", ")),
            ));
        }
        let alternatives = text
            .split('|')
            .map(|part| alternative(part.trim(), text))
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }
}

fn error(problem: impl Into<String>, hint: impl Into<String>) -> RelationError {
    RelationError {
        problem: problem.into(),
        hint: hint.into(),
    }
}

fn alternative(text: &str, whole: &str) -> Result<Alternative, RelationError> {
    const FORM: &str = "write a package and perhaps a version, for example \"nodejs\" or \"nodejs (>= 18)\"";
    if text.is_empty() {
        return Err(error(format!("{whole:?} lacks a package name"), FORM));
    }
    if text.contains("${") {
        return Err(error(
            format!("{text:?} holds a substitution variable"),
            "relpack has none: name the package",
        ));
    }
    if let Some(bad) = text.chars().find(|c| matches!(c, '[' | ']')) {
        return Err(error(
            format!("{text:?} holds {bad:?}: a binary package takes no architecture list"),
            "remove what stands in [ ]",
        ));
    }
    let name_end = text.find(|c: char| c.is_whitespace() || matches!(c, '(' | ':' | '<' | '>' | '='));
    let (name, rest) = text.split_at(name_end.unwrap_or(text.len()));
    let package: PackageName = name
        .parse()
        .map_err(|e: crate::model::ValueError| error(e.message(), e.hint()))?;
    let (qualifier, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let end = rest.find(|c: char| c.is_whitespace() || c == '(');
            let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
            (Some(qualifier(word, text)?), rest)
        }
        None => (None, rest),
    };
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Alternative {
            package,
            qualifier,
            bound: None,
        });
    }
    let Some(inner) = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) else {
        let bare = rest.trim_matches(['(', ')', ' ']);
        let (op, version) = split_operator(bare);
        let hint = if OPERATORS.contains(&op) && version.parse::<DebVersion>().is_ok() {
            format!("write \"{name} ({op} {version})\"")
        } else {
            FORM.to_owned()
        };
        return Err(error(
            format!("{text:?}: {rest:?} is not a version bound in parentheses"),
            hint,
        ));
    };
    let (op, version) = split_operator(inner.trim());
    let Some(op) = OPERATORS.into_iter().find(|known| *known == op) else {
        let meant = match op {
            "<" => "\"<<\" (earlier) or \"<=\" (earlier or equal)",
            ">" => "\">>\" (later) or \">=\" (later or equal)",
            "==" => "\"=\"",
            "=>" => "\">=\"",
            "=<" => "\"<=\"",
            _ => "one of <<, <=, =, >=, >>",
        };
        return Err(error(
            format!("{text:?}: {op:?} is not a version operator"),
            format!("write {meant}"),
        ));
    };
    let version: DebVersion = version
        .parse()
        .map_err(|e: crate::model::ValueError| error(e.message(), e.hint()))?;
    Ok(Alternative {
        package,
        qualifier,
        bound: Some((op, version)),
    })
}

/// `>= 18` → (`>=`, `18`)
fn split_operator(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !matches!(c, '<' | '>' | '=' | '!' | '~' | '^'));
    let (op, version) = text.split_at(end.unwrap_or(text.len()));
    (op, version.trim())
}

fn qualifier(word: &str, text: &str) -> Result<String, RelationError> {
    if word == "any" || word.parse::<Arch>().is_ok_and(|arch| arch.as_str() != "all") {
        return Ok(word.to_owned());
    }
    let known = Arch::ALL.iter().filter(|arch| **arch != Arch::All);
    let known = known.map(|arch| arch.as_str());
    Err(error(
        format!("{text:?}: {word:?} is not an architecture"),
        match suggest(word, known.chain(["any"])) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "write \":any\" or an architecture such as \":amd64\"".to_owned(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_in_dpkgs_form() {
        for (text, shown) in [
            ("nodejs", "nodejs"),
            ("nodejs(>=18)", "nodejs (>= 18)"),
            ("nodejs ( >= 1:18~rc1 )", "nodejs (>= 1:18~rc1)"),
            ("a1|b2 (<< 3) |  c3:any", "a1 | b2 (<< 3) | c3:any"),
            ("libc6:amd64 (= 2.36-9)", "libc6:amd64 (= 2.36-9)"),
        ] {
            assert_eq!(text.parse::<Relation>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (text, hint) in [
            ("", "for example"),
            ("a1 | ", "for example"),
            ("a1, b2", "[\"a1\", \"b2\"]"),
            ("Node", "\"node\""),
            ("nodejs >= 18", "\"nodejs (>= 18)\""),
            ("nodejs>=18", "\"nodejs (>= 18)\""),
            ("nodejs (> 18)", "\">>\""),
            ("nodejs (== 18)", "\"=\""),
            ("nodejs (18)", "<<, <="),
            ("nodejs (>= v18)", "18"),
            ("nodejs (>= 18", "\"nodejs (>= 18)\""),
            ("a1 [amd64]", "[ ]"),
            ("${shlibs:Depends}", "name the package"),
            ("a1:amd46", "\"amd64\""),
            ("a1:all", ":any"),
            ("a1 <!nocheck>", "for example"),
        ] {
            let error = text.parse::<Relation>().unwrap_err();
            assert!(error.hint.contains(hint), "{text:?}: {error}");
        }
    }
}
