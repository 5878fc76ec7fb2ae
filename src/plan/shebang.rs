//! Owns the first bytes of programs: whether the kernel can execute what begins so, which interpreter a script names, and whether
//! that is one that a host has.

use crate::model::TreePath;
use crate::systemd::exec;
use crate::tree::{FileNode, ReadError, Tree};

/// Longest first line of a script that is looked at.
const LENGTH_MAX: u64 = 512;

/// Where interpreters of the system lie: what is called the same in the release's own `bin/` is another one.
const SYSTEM: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a host may have another program for (binfmt_misc): archives of Java, programs of .NET or Windows, WebAssembly.
const BY_OTHERS: &[&[u8]] = &[b"PK\x03\x04", b"MZ", b"\0asm"];

/// Programs of macOS, of one and of several architectures.
const MACH_O: &[&[u8]] = &[
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xcf",
    b"\xfe\xed\xfa\xce",
    b"\xca\xfe\xba\xbe",
];

/// Why the kernel can't execute the file, and what to do; `None` where its first bytes don't speak against it.
pub(super) fn refusal(path: &TreePath, file: &FileNode) -> Result<Option<(String, String)>, ReadError> {
    if file.is_elf {
        return Ok(None);
    }
    Ok(refusal_of(&file.head(path, LENGTH_MAX)?, path.as_str()))
}

fn refusal_of(start: &[u8], path: &str) -> Option<(String, String)> {
    let begins = |with: &[u8]| start.starts_with(with);
    if let Some(rest) = start.strip_prefix(b"#!") {
        // The kernel ends the line at \n alone, so the \r is of the interpreter's name, or of its argument.
        let line = rest.split(|byte| *byte == b'\n').next()?;
        let (problem, hint) = if line.contains(&b'\r') {
            (
                "has a first line that ends with \\r, which becomes part of the interpreter's name",
                format!("sed -i 's/\\r$//' {path}, or dos2unix {path}; git writes it where core.autocrlf is set"),
            )
        } else if line.trim_ascii().is_empty() {
            (
                "begins with #! and names no interpreter",
                "write for example #!/bin/sh".to_owned(),
            )
        } else {
            return None;
        };
        return Some((problem.to_owned(), hint));
    }
    if BY_OTHERS.iter().any(|format| begins(format)) {
        return None;
    }
    let (problem, hint) = if start.is_empty() {
        ("is empty", "look at what should have written it".to_owned())
    } else if begins(BYTE_ORDER_MARK) {
        (
            "begins with a byte order mark, behind which the kernel doesn't look for #!",
            format!("sed -i '1s/^\\xef\\xbb\\xbf//' {path}"),
        )
    } else if MACH_O.iter().any(|format| begins(format)) {
        ("is a program for macOS", "build it for Linux".to_owned())
    } else {
        (
            "is neither an ELF file nor a script that begins with #!",
            format!(
                "let it begin with its interpreter, such as #!/bin/sh, or name that in front of it: \"/bin/sh {path}\""
            ),
        )
    };
    Some((problem.to_owned(), hint))
}

/// The program that interprets a script; `None` where the file is none.
pub(super) fn interpreter(path: &TreePath, file: &FileNode) -> Result<Option<String>, ReadError> {
    Ok(program_of(&file.head(path, LENGTH_MAX)?))
}

/// The file of the release that `program` was where the script was made: a virtual environment's scripts name the Python beside
/// them by the place where both of them were built, and no host has that.
pub(super) fn moved(tree: &Tree, script: &TreePath, program: &str) -> Option<TreePath> {
    let (place, name) = program.rsplit_once('/')?;
    let beside = script.parent()?.join(name).ok()?;
    let was_there = program.ends_with(&format!("/{beside}")) && !SYSTEM.contains(&place);
    (was_there && tree.get(&beside).is_some()).then_some(beside)
}

/// The program that a script's first line names; of `/usr/bin/env` the word behind it.
fn program_of(start: &[u8]) -> Option<String> {
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (program, given) = words.split_first()?;
    if exec::is_env(program) {
        let word = *exec::behind_env(given)?.first()?;
        return Some(if word.contains('/') {
            word.to_owned()
        } else {
            format!("/usr/bin/{word}")
        });
    }
    program.starts_with('/').then(|| (*program).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_of_scripts() {
        for (line, program) in [
            ("#!/bin/sh\n", Some("/bin/sh")),
            ("#! /usr/bin/python3 -E\nx", Some("/usr/bin/python3")),
            ("#!/usr/bin/env node\n", Some("/usr/bin/node")),
            ("#!/usr/bin/env -S LC_ALL=C ruby -w\n", Some("/usr/bin/ruby")),
            ("#!/usr/bin/env\n", None),
            ("#!bin/tool\n", None),
            ("#!\n", None),
            ("text", None),
            ("#!/opt/é\n", Some("/opt/é")),
        ] {
            assert_eq!(program_of(line.as_bytes()).as_deref(), program, "{line:?}");
        }
        assert_eq!(program_of(b"#!/\xff\n"), None);
    }

    #[test]
    fn what_the_kernel_cannot_execute() {
        for (start, says) in [
            (&b""[..], "is empty"),
            (b"echo x\n", "neither an ELF file nor"),
            (b" #!/bin/sh\n", "neither an ELF file nor"),
            (b"#!/bin/sh\r\necho x\r\n", "\\r"),
            (b"#!/bin/sh -e\r\n", "\\r"),
            (b"#!/bin/sh\recho x\r", "\\r"),
            (b"#! \n", "no interpreter"),
            (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
            (b"\xcf\xfa\xed\xfe\x07\0", "macOS"),
        ] {
            let (problem, hint) = refusal_of(start, "run").unwrap_or_else(|| panic!("{start:?}"));
            assert!(problem.contains(says) && !hint.is_empty(), "{start:?}: {problem}");
        }
        for start in [
            &b"#!/bin/sh\necho x\r\n"[..],
            b"#!/usr/bin/env node\n",
            b"#! /opt/tools/run",
            b"PK\x03\x04\x0a",
            b"MZ\x90\0",
        ] {
            assert_eq!(refusal_of(start, "run"), None, "{start:?}");
        }
    }
}
