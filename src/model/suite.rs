//! Owns `Suite`: the distribution release that a package is built for, and what its tools can do.

use std::fmt;
use std::str::FromStr;

use super::ValueError;

macro_rules! suites {
    ($($(#[$default:ident])? $variant:ident => $name:literal, $systemd:literal, $zstd:literal;)*) => {
        /// A release of Debian or Ubuntu that hosts may run, by its codename.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Suite {
            $($(#[$default])? #[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Suite {
            /// Every suite.
            pub const ALL: &'static [Suite] = &[$(Suite::$variant,)*];

            /// The codename.
            pub fn as_str(self) -> &'static str {
                match self { $(Suite::$variant => $name,)* }
            }

            /// The version of its systemd.
            pub fn systemd(self) -> u32 {
                match self { $(Suite::$variant => $systemd,)* }
            }

            /// Whether its dpkg reads archive members that zstd compressed: since 1.21.18, in Ubuntu's earlier.
            pub fn dpkg_reads_zstd(self) -> bool {
                match self { $(Suite::$variant => $zstd,)* }
            }
        }
    };
}

suites! {
    Bullseye => "bullseye", 247, false;
    #[default]
    Bookworm => "bookworm", 252, true;
    Trixie => "trixie", 257, true;
    Jammy => "jammy", 249, true;
    Noble => "noble", 255, true;
}

/// What people call them instead: distribution and number.
const ALIASES: &[(&str, Suite)] = &[
    ("debian11", Suite::Bullseye),
    ("debian12", Suite::Bookworm),
    ("debian13", Suite::Trixie),
    ("ubuntu22.04", Suite::Jammy),
    ("ubuntu24.04", Suite::Noble),
];

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Suite {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(suite) = Suite::ALL.iter().find(|suite| suite.as_str() == text) {
            return Ok(*suite);
        }
        let plain: String = text.to_lowercase().split([' ', '-', '_', ':']).collect();
        let meant = Suite::ALL.iter().copied().find(|suite| suite.as_str() == plain);
        let numbered = || ALIASES.iter().find(|(name, _)| *name == plain).map(|(_, suite)| *suite);
        let hint = match meant.or_else(numbered) {
            Some(suite) => format!("write its codename, {:?}", suite.as_str()),
            None => {
                let names: Vec<&str> = Suite::ALL.iter().map(|suite| suite.as_str()).collect();
                format!("one of {}; take the oldest that your hosts run", names.join(", "))
            }
        };
        Err(ValueError::new("suite", text, "is not known", hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_other_names_are_explained() {
        for suite in Suite::ALL {
            assert_eq!(suite.as_str().parse::<Suite>().unwrap(), *suite);
        }
        for (text, meant) in [
            ("Debian 12", "bookworm"),
            ("ubuntu-24.04", "noble"),
            ("Trixie", "trixie"),
        ] {
            let error = text.parse::<Suite>().unwrap_err();
            assert_eq!(error.hint(), format!("write its codename, {meant:?}"), "{text}");
        }
        assert!("".parse::<Suite>().unwrap_err().hint().starts_with("one of bullseye, "));
    }

    #[test]
    fn the_default_is_the_oldest_debian_whose_dpkg_reads_zstd() {
        assert_eq!(Suite::default(), Suite::Bookworm);
        assert!(Suite::default().dpkg_reads_zstd() && !Suite::Bullseye.dpkg_reads_zstd());
    }
}
