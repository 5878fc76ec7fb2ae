//! Reads a configuration file's text: bounded, UTF-8 without a byte order mark.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::diagnostics::{Diagnostics, Problem, Source, printable_path};

/// A configuration is written by hand: more than this is something else.
const SIZE_MAX: u64 = 1024 * 1024;

pub(super) fn read_text(path: &Path) -> Result<String, Diagnostics> {
    let io = |action: &str, error: &std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotADirectory => "-C names a directory; a file is named by --config",
            _ => "check the path and its permissions",
        };
        let text = format!("cannot {action} {}: {error} (hint: {hint})", printable_path(path));
        let problem = Diagnostics::of_file(path, text);
        // A wrong path is the user's, as one that leads nowhere; so is a link that leads to itself (ELOOP, whose kind is not
        // stable yet).
        let is_loop = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::PermissionDenied => problem,
            _ if is_loop => problem,
            _ => problem.environment(),
        }
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Diagnostics::of_file(
                path,
                format!(
                    "{} does not exist (hint: `relpack init` writes one; or name the file with --config)",
                    printable_path(path)
                ),
            ));
        }
        Err(error) => return Err(io("find", &error)),
    };
    if !meta.is_file() {
        // Opening a FIFO would wait for a writer forever.
        return Err(Diagnostics::of_file(
            path,
            format!(
                "{} is not a regular file (hint: name the configuration file itself)",
                printable_path(path)
            ),
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| io("open", &error))?;
    file.take(SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io("read", &error))?;
    decode(path, bytes)
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    if bytes.len() as u64 > SIZE_MAX {
        return Err(Diagnostics::of_file(
            path,
            format!(
                "{} is larger than 1 MiB (hint: is it really the configuration?)",
                printable_path(path)
            ),
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Diagnostics::of_file(
            path,
            format!("{} is UTF-16 (hint: save it as UTF-8)", printable_path(path)),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let shown = String::from_utf8_lossy(error.as_bytes());
        let problem = Problem::new(
            at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
            "this byte is not UTF-8",
        )
        .help("save the file as UTF-8");
        Diagnostics::new(vec![problem.placed(&Source::new(path, &shown), 0)])
    })?;
    if text.starts_with('\u{feff}') {
        let problem = Problem::new(0..3, "the file starts with a byte order mark").help("save it as UTF-8 without BOM");
        return Err(Diagnostics::new(vec![problem.placed(&Source::new(path, &text), 0)]));
    }
    Ok(text)
}
