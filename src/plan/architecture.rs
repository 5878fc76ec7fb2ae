//! Decides the package's architecture from the ELF files that it holds.

use std::collections::BTreeSet;

use elf::endian::AnyEndian;
use elf::file::Class;
use rayon::prelude::*;

use crate::model::{Arch, TreePath};
use crate::tree::{FileNode, Tree};

use super::PlanError;

/// The configured one, else that of the programs that are run, else the only one found, else `all`.
pub fn detect(
    declared: Option<Arch>,
    run: &BTreeSet<String>,
    tree: &Tree,
    warnings: &mut Vec<String>,
) -> Result<Arch, PlanError> {
    let found = elf_files(tree)?;
    let own: Vec<&(TreePath, Arch)> = found.iter().filter(|(path, _)| run.contains(path.as_str())).collect();
    let arch = match declared {
        Some(declared) => match own.iter().find(|(_, arch)| *arch != declared) {
            None => declared,
            Some((path, found)) => {
                return Err(PlanError::WrongArchitecture {
                    declared,
                    path: path.clone(),
                    found: *found,
                });
            }
        },
        None => found_out(&own, &found, warnings)?,
    };
    let foreign: Vec<&(TreePath, Arch)> = found
        .iter()
        .filter(|(_, other)| *other != arch && arch != Arch::All)
        .collect();
    if let Some((path, other)) = foreign.first() {
        warnings.push(format!(
            "{} ELF file(s) are for another architecture than {arch}: {path} ({other}) is the first (hint: leave them out with release.exclude if nothing loads them)",
            foreign.len()
        ));
    }
    Ok(arch)
}

/// That of `own`, the ELF files which units execute, else the only one of all.
fn found_out(
    own: &[&(TreePath, Arch)],
    found: &[(TreePath, Arch)],
    warnings: &mut Vec<String>,
) -> Result<Arch, PlanError> {
    let own: BTreeSet<Arch> = own.iter().map(|(_, arch)| *arch).collect();
    let all: BTreeSet<Arch> = found.iter().map(|(_, arch)| *arch).collect();
    match (own.len(), all.len()) {
        (1, _) => Ok(own.first().copied().unwrap_or(Arch::All)),
        (0, 0) => Ok(Arch::All),
        (0, 1) => Ok(all.first().copied().unwrap_or(Arch::All)),
        (0, _) => {
            warnings.push(format!(
                "the release holds ELF files for {} and no unit executes one: the package is for all architectures (hint: set package.architecture if it is not)",
                list(&all)
            ));
            Ok(Arch::All)
        }
        _ => Err(PlanError::SeveralArchitectures(list(&own))),
    }
}

fn list(architectures: &BTreeSet<Arch>) -> String {
    architectures
        .iter()
        .map(|arch| arch.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Size of an ELF64 header; an ELF32 header has 52 bytes.
const HEADER: u64 = 64;

/// Every ELF file of a known architecture, in the tree's order.
fn elf_files(tree: &Tree) -> Result<Vec<(TreePath, Arch)>, PlanError> {
    let files: Vec<(&TreePath, &FileNode)> = tree.files().filter(|(_, file)| file.is_elf).collect();
    let found: Result<Vec<Option<(TreePath, Arch)>>, PlanError> = files
        .into_par_iter()
        .map(|(path, file)| Ok(elf_arch(&file.head(path, HEADER)?).map(|arch| (path.clone(), arch))))
        .collect();
    Ok(found?.into_iter().flatten().collect())
}

/// What an ELF header says; `None` when it isn't one, or not one of a machine that Debian has.
fn elf_arch(header: &[u8]) -> Option<Arch> {
    if header.len() < 52 || !header.starts_with(b"\x7fELF") {
        return None;
    }
    let ident = elf::file::parse_ident::<AnyEndian>(&header[..16]).ok()?;
    let (little, is_64) = (header[5] == 1, matches!(ident.1, Class::ELF64));
    let parsed = elf::file::FileHeader::parse_tail(ident, &header[16..]).ok()?;
    Arch::from_elf(parsed.e_machine, is_64, little, parsed.e_flags)
}
