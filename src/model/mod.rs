//! Owns the validated leaf types: names, versions, paths, ids and time spans, each with one fallible constructor.

mod arch;
mod digest;
mod lint;
mod names;
mod packing;
mod paths;
mod suite;
mod time;
mod unit_name;
mod version;

pub use arch::Arch;
pub use digest::{ReleaseId, Sha256};
pub use lint::{Lint, Weight};
pub use names::{EnvName, InstanceName, PackageName, UserName};
pub use packing::{Compression, Packing};
pub use paths::{AbsPath, TreePath, link_target};
pub use suite::Suite;
pub use time::{Seconds, TimeSpan};
pub use unit_name::{UnitKind, UnitName};
pub use version::DebVersion;

/// Why a text is not a value of a leaf type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {problem} (hint: {hint})")]
pub struct ValueError {
    what: &'static str,
    value: String,
    problem: String,
    hint: String,
}

impl ValueError {
    pub(crate) fn new(what: &'static str, value: &str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what,
            value: value.to_owned(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// The message without its hint, for reports that show the hint on a line of its own.
    pub fn message(&self) -> String {
        format!("{} {:?} {}", self.what, self.value, self.problem)
    }

    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Implements what every string-like leaf type has: `as_str`, `Display`, `AsRef<str>` and `TryFrom<&str>`.
macro_rules! string_like {
    ($type:ty) => {
        impl $type {
            /// The text as it was validated.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $type {
            type Error = $crate::model::ValueError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}
pub(crate) use string_like;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_fragment_with_its_hint_last() {
        let error = "Acme".parse::<PackageName>().unwrap_err();
        assert!(error.to_string().starts_with("package name \"Acme\" "));
        assert!(error.to_string().ends_with(&format!(" (hint: {})", error.hint())));
        assert!(!error.message().contains("hint"));
    }
}
