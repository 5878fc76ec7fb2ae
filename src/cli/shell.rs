//! `relpack completions` and `relpack man`: what a shell and a manual know of the command line.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

use crate::output::{self, OutputDir};
use crate::report::{self, Failure};

use super::Cli;

/// For which shell.
#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell, as it is named.
    shell: Shell,
}

/// Prints the script that the shell reads.
pub fn completions(args: &Completions) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "relpack", &mut text);
    report::out(&String::from_utf8_lossy(&text))
}

/// Where to.
#[derive(Debug, ClapArgs)]
pub struct Man {
    /// Directory for `relpack.1` and a page for each verb; made when absent.
    directory: PathBuf,
}

/// Writes the pages, all or none.
pub fn man(args: &Man) -> Result<(), Failure> {
    // `help` has no page: `--help` is in each.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut outputs = Vec::new();
    let dir = OutputDir::create(&args.directory).map_err(|error| Failure::environment(&error))?;
    pages(&dir, &command, "relpack", &mut outputs)?;
    output::commit(outputs)
        .map(drop)
        .map_err(|error| Failure::environment(&error))
}

/// The page of a command, and those of its verbs.
fn pages(
    dir: &OutputDir,
    command: &clap::Command,
    name: &str,
    outputs: &mut Vec<output::Output>,
) -> Result<(), Failure> {
    for verb in command.get_subcommands() {
        let with_exit_status = verb.clone().after_help(super::EXIT_CODES);
        pages(dir, &with_exit_status, &format!("{name}-{}", verb.get_name()), outputs)?;
    }
    page(dir, command, &format!("{name}.1"), outputs)
}

fn page(
    dir: &OutputDir,
    command: &clap::Command,
    name: &str,
    outputs: &mut Vec<output::Output>,
) -> Result<(), Failure> {
    let mut out = dir.begin(name).map_err(|error| Failure::environment(&error))?;
    let written = clap_mangen::Man::new(command.clone()).render(&mut out);
    written.map_err(|source| {
        Failure::environment(&PageError {
            path: dir.path().join(Path::new(name)),
            source,
        })
    })?;
    outputs.push(out);
    Ok(())
}

/// A page can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path:?} (hint: check the space and the permissions of its directory)")]
struct PageError {
    path: PathBuf,
    source: std::io::Error,
}
