//! All that is printed: tables, progress, JSON, errors with source spans. Results go to stdout, the rest to stderr.

mod artifact;
mod contents;
mod difference;
mod failure;
mod findings;
mod lock;
mod plan;
mod progress;
mod size;

pub use artifact::{Built, built_json, built_text};
pub use contents::Contents;
pub use difference::{difference_json, difference_text};
pub use failure::{Failure, warn, warn_config};
pub use findings::findings;
pub use lock::{lock_json, lock_text};
pub use plan::{plan_json, plan_text};
pub use progress::Bar;
pub use size::human;

use std::io::Write;

/// Prints to stdout. A reader that went away (`| head`) is not an error.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            // Nothing more arrives there.
            Err(Failure::environment(&StdoutError(error)).with_result())
        }
        _ => Ok(()),
    }
}

/// What was printed did not arrive.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the standard output (hint: is the disk full?)")]
struct StdoutError(#[source] std::io::Error);
