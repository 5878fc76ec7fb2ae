//! Owns `Arch`: Debian's architecture names and how an ELF header maps to them.

use std::fmt;
use std::str::FromStr;

use super::ValueError;

macro_rules! architectures {
    ($($variant:ident => $name:literal,)*) => {
        /// A Debian architecture that a package can be built for (Debian Policy 5.6.8).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Arch {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Arch {
            /// Every architecture, `all` first.
            pub const ALL: &'static [Arch] = &[$(Arch::$variant,)*];

            /// The name that dpkg uses.
            pub fn as_str(self) -> &'static str {
                match self { $(Arch::$variant => $name,)* }
            }
        }
    };
}

architectures! {
    All => "all",
    Amd64 => "amd64",
    Arm64 => "arm64",
    Armel => "armel",
    Armhf => "armhf",
    I386 => "i386",
    Loong64 => "loong64",
    Mips64el => "mips64el",
    Mipsel => "mipsel",
    Ppc64el => "ppc64el",
    Riscv64 => "riscv64",
    S390x => "s390x",
    X32 => "x32",
}

/// `EF_ARM_ABI_FLOAT_HARD` of the ARM ELF supplement.
const ARM_HARD_FLOAT: u32 = 0x400;

impl Arch {
    /// The architecture of an ELF file by its header: `e_machine`, 64-bit class, little-endian data, `e_flags`.
    ///
    /// `None` for a machine that Debian has no release architecture for.
    pub fn from_elf(machine: u16, is_64: bool, little_endian: bool, flags: u32) -> Option<Arch> {
        Some(match (machine, is_64, little_endian) {
            (3, false, true) => Arch::I386,
            (8, false, true) => Arch::Mipsel,
            (8, true, true) => Arch::Mips64el,
            (21, true, true) => Arch::Ppc64el,
            (22, true, false) => Arch::S390x,
            (40, false, true) if flags & ARM_HARD_FLOAT != 0 => Arch::Armhf,
            (40, false, true) => Arch::Armel,
            (62, true, true) => Arch::Amd64,
            (62, false, true) => Arch::X32,
            (183, true, true) => Arch::Arm64,
            (243, true, true) => Arch::Riscv64,
            (258, true, true) => Arch::Loong64,
            _ => return None,
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names that other tools use for Debian's architectures.
const ALIASES: &[(&str, Arch)] = &[
    ("x86_64", Arch::Amd64),
    ("x86-64", Arch::Amd64),
    ("x64", Arch::Amd64),
    ("aarch64", Arch::Arm64),
    ("armv7", Arch::Armhf),
    ("armv7l", Arch::Armhf),
    ("arm", Arch::Armhf),
    ("x86", Arch::I386),
    ("i686", Arch::I386),
    ("ia32", Arch::I386),
    ("ppc64le", Arch::Ppc64el),
    ("riscv64gc", Arch::Riscv64),
    ("noarch", Arch::All),
];

impl FromStr for Arch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(arch) = Arch::ALL.iter().find(|arch| arch.as_str() == text) {
            return Ok(*arch);
        }
        let lower = text.to_lowercase();
        let alias = ALIASES
            .iter()
            .find(|(name, _)| *name == lower)
            .map(|(_, arch)| *arch)
            .or_else(|| Arch::ALL.iter().copied().find(|a| a.as_str() == lower));
        let hint = match alias {
            // Elsewhere in Debian that means: once for each.
            _ if lower == "any" => "leave it out: the programs of the release tell it".to_owned(),
            Some(arch) => format!("Debian calls it {:?}", arch.as_str()),
            None => {
                let names: Vec<&str> = Arch::ALL.iter().map(|arch| arch.as_str()).collect();
                format!("one of {}", names.join(", "))
            }
        };
        Err(ValueError::new("architecture", text, "is not known", hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_aliases_are_explained() {
        for arch in Arch::ALL {
            assert_eq!(arch.as_str().parse::<Arch>().unwrap(), *arch);
        }
        let error = "x86_64".parse::<Arch>().unwrap_err();
        assert_eq!(error.hint(), "Debian calls it \"amd64\"");
        assert!("".parse::<Arch>().is_err());
    }

    #[test]
    fn elf_headers() {
        assert_eq!(Arch::from_elf(62, true, true, 0), Some(Arch::Amd64));
        assert_eq!(Arch::from_elf(183, true, true, 0), Some(Arch::Arm64));
        assert_eq!(Arch::from_elf(40, false, true, 0x0500_0400), Some(Arch::Armhf));
        assert_eq!(Arch::from_elf(40, false, true, 0x0500_0200), Some(Arch::Armel));
        assert_eq!(Arch::from_elf(2, false, false, 0), None);
    }
}
