//! One file a verb: arguments → library → report. The only wiring.

mod build;
mod check;
mod diff;
mod explain;
mod init;
mod inputs;
mod inspect;
mod lock;
mod schema;
mod shell;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Failure;

/// Turns an application build into a versioned .deb that deploys itself.
#[derive(Debug, Parser)]
#[command(name = "relpack", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit status:
  0  done; check: nothing is refused (there may be warnings)
  1  the input is wrong: configuration, files or artifact
  2  wrong use of the command line
  3  verify: the artifact is not what it says it is, or is damaged
  4  the machine: a file can't be written, a disk is full

With --json, what fails prints {\"status\": N, \"errors\": […]} on stdout: each
error with lint, severity, file, line, column, message and hint, null where it
isn't known. What check finds and verify compares has its usual form.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the artifacts of an application.
    Build(build::Args),
    /// Find what a build would refuse or warn about, and what is known to go wrong, without writing anything.
    Check(check::Args),
    /// Say why a preset is as it is, or what a lint means.
    Explain(explain::Args),
    /// Resolve the libraries and interpreters that the application needs to Debian packages, into relpack.lock.
    Lock(lock::Args),
    /// Look at an application and write a commented relpack.toml for it.
    Init(init::Args),
    /// Show what is in an artifact.
    Inspect(inspect::Args),
    /// Recompute an artifact's release id, checksums and sizes.
    Verify(verify::Args),
    /// Show what differs between two artifacts, and what an upgrade will do on a host.
    Diff(diff::Args),
    /// Print the JSON schema of relpack.toml, for editors.
    Schema,
    /// Print the script that completes relpack's command line in a shell.
    Completions(shell::Completions),
    /// Write relpack's own manual pages.
    Man(shell::Man),
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.verb.json();
    let done = match cli.verb {
        Verb::Build(args) => build::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Lock(args) => lock::run(&args),
        Verb::Init(args) => init::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::Schema => schema::run(),
        Verb::Completions(args) => shell::completions(&args),
        Verb::Man(args) => shell::man(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(report_failure(&failure, json)),
    }
}

impl Verb {
    /// Whether a program reads the result.
    fn json(&self) -> bool {
        match self {
            Verb::Build(args) => args.json,
            Verb::Check(args) => args.json,
            Verb::Explain(args) => args.json(),
            Verb::Lock(args) => args.json,
            Verb::Init(args) => args.json,
            Verb::Inspect(args) => args.json,
            Verb::Verify(args) => args.json,
            Verb::Diff(args) => args.json,
            Verb::Schema | Verb::Completions(_) | Verb::Man(_) => false,
        }
    }
}

fn report_failure(failure: &Failure, json: bool) -> u8 {
    failure.print();
    if json {
        failure.print_json();
    }
    failure.exit_code()
}
