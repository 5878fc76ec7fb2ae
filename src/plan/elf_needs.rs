//! Reads what an ELF file asks of the dynamic linker, without loading more of it than its tables.

use elf::ElfStream;
use elf::abi;
use elf::endian::AnyEndian;
use elf::file::Class;

use crate::model::{Arch, TreePath};
use crate::tree::{FileNode, ReadError};

/// What one file needs.
#[derive(Debug, Default)]
pub(super) struct ElfNeeds {
    /// `None` when Debian has no such architecture.
    pub(super) arch: Option<Arch>,
    /// `DT_SONAME`
    pub(super) soname: Option<String>,
    /// `DT_NEEDED`, without directories.
    pub(super) needed: Vec<String>,
    /// Undefined symbols: name, version, and the library that the version is of.
    pub(super) symbols: Vec<(String, Option<String>, Option<String>)>,
    /// `PT_INTERP`
    interpreter: Option<String>,
}

impl ElfNeeds {
    /// Built for Alpine's C library and not for Debian's.
    pub(super) fn is_musl(&self) -> bool {
        let interpreter = self.interpreter.as_deref().unwrap_or_default();
        interpreter.contains("/ld-musl-") || self.needed.iter().any(|soname| soname.starts_with("libc.musl-"))
    }
}

/// Looks into a file; the inner error says why it is no ELF file after all.
pub(super) fn read(path: &TreePath, file: &FileNode) -> Result<Result<ElfNeeds, elf::ParseError>, ReadError> {
    Ok(parse(file.seekable(path)?))
}

fn parse(content: crate::tree::Seekable) -> Result<ElfNeeds, elf::ParseError> {
    let mut file = ElfStream::<AnyEndian, _>::open_stream(content)?;
    let header = file.ehdr;
    let little = matches!(header.endianness, AnyEndian::Little);
    let mut found = ElfNeeds {
        arch: Arch::from_elf(header.e_machine, header.class == Class::ELF64, little, header.e_flags),
        ..ElfNeeds::default()
    };
    let interpreter = file
        .segments()
        .iter()
        .find(|segment| segment.p_type == abi::PT_INTERP)
        .copied();
    if let Some(segment) = interpreter {
        let bytes = file.segment_data(&segment)?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        found.interpreter = Some(String::from_utf8_lossy(text).into_owned());
    }
    let mut names = Vec::new();
    let mut strings = None;
    if let Some(dynamic) = file.dynamic()? {
        for entry in dynamic.iter() {
            match entry.d_tag {
                abi::DT_NULL => break,
                abi::DT_NEEDED | abi::DT_SONAME => names.push((entry.d_tag, entry.d_val())),
                abi::DT_STRTAB => strings = Some(entry.d_ptr()),
                _ => {}
            }
        }
    }
    if names.is_empty() {
        return Ok(found);
    }
    // The string table is named by its address in memory.
    let holds = |address: u64| {
        move |segment: &&elf::segment::ProgramHeader| {
            segment.p_type == abi::PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz
        }
    };
    let Some((address, segment)) =
        strings.and_then(|address| Some((address, *file.segments().iter().find(holds(address))?)))
    else {
        return Err(elf::ParseError::BadOffset(strings.unwrap_or(0)));
    };
    let loaded = file.segment_data(&segment)?;
    let table = usize::try_from(address - segment.p_vaddr)
        .ok()
        .and_then(|start| loaded.get(start..));
    for (tag, offset) in names {
        let text = table
            .zip(usize::try_from(offset).ok())
            .and_then(|(table, offset)| table.get(offset..))
            .and_then(|rest| rest.split(|byte| *byte == 0).next())
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or(elf::ParseError::BadOffset(offset))?
            .to_owned();
        match tag {
            abi::DT_SONAME => found.soname = Some(text),
            _ => found
                .needed
                .push(text.rsplit('/').next().unwrap_or_default().to_owned()),
        }
    }
    found.symbols = undefined(&mut file)?;
    Ok(found)
}

type Symbols = Vec<(String, Option<String>, Option<String>)>;

fn undefined<S: std::io::Read + std::io::Seek>(file: &mut ElfStream<AnyEndian, S>) -> Result<Symbols, elf::ParseError> {
    let mut wanted = Vec::new();
    if let Some((symbols, strings)) = file.dynamic_symbol_table()? {
        for (index, symbol) in symbols.iter().enumerate() {
            if index > 0 && symbol.is_undefined() && symbol.st_name != 0 {
                wanted.push((index, strings.get(symbol.st_name as usize)?.to_owned()));
            }
        }
    }
    let mut found = Vec::with_capacity(wanted.len());
    let versions = file.symbol_version_table()?;
    for (index, name) in wanted {
        let requirement = match &versions {
            Some(versions) => versions.get_requirement(index)?,
            None => None,
        };
        let (version, of) = match requirement {
            Some(requirement) => (Some(requirement.name.to_owned()), Some(requirement.file.to_owned())),
            None => (None, None),
        };
        found.push((name, version, of));
    }
    Ok(found)
}
