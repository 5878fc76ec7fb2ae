//! What ends a verb: the messages and the exit code.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::config::{self, Diagnostics, Problem};

/// A verb that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    /// For a person.
    messages: Vec<String>,
    /// The same for a program.
    problems: Vec<Problem>,
    /// What is wrong is the verb's result, which was printed already.
    is_in_result: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Input,
    Mismatch,
    Environment,
}

impl Failure {
    fn of(kind: Kind, messages: Vec<String>, problems: Vec<Problem>) -> Self {
        Self {
            kind,
            messages,
            problems,
            is_in_result: false,
        }
    }

    fn one(kind: Kind, error: &dyn Error) -> Self {
        Self::of(kind, vec![line("error", with_causes(error))], vec![problem(error)])
    }

    /// The user's input is wrong: exit status 1.
    pub fn input(error: &dyn Error) -> Self {
        Self::one(Kind::Input, error)
    }

    /// Several mistakes in the input.
    pub fn inputs<E: Error>(errors: impl IntoIterator<Item = E>) -> Self {
        let mut failure = Self::of(Kind::Input, Vec::new(), Vec::new());
        for error in errors {
            failure.messages.push(line("error", with_causes(&error)));
            failure.problems.push(problem(&error));
        }
        failure
    }

    /// An artifact is not what it says: exit status 3.
    pub fn mismatch<E: std::fmt::Display>(errors: impl IntoIterator<Item = E>) -> Self {
        let mut failure = Self::of(Kind::Mismatch, Vec::new(), Vec::new());
        for error in errors {
            failure
                .problems
                .push(Problem::of_file(Path::new(""), error.to_string()));
            failure.messages.push(line("mismatch", error));
        }
        failure
    }

    /// An artifact can't be read as one, so it is not what it says: exit status 3.
    pub fn damaged(error: &dyn Error) -> Self {
        Self::one(Kind::Mismatch, error)
    }

    /// The machine is at fault: exit status 4.
    pub fn environment(error: &dyn Error) -> Self {
        Self::one(Kind::Environment, error)
    }

    /// A configuration that cannot be used.
    pub fn config(diagnostics: &Diagnostics) -> Self {
        let kind = if diagnostics.is_environment() {
            Kind::Environment
        } else {
            Kind::Input
        };
        let messages = vec![diagnostics.render(&handler())];
        Self::of(kind, messages, diagnostics.problems().to_vec())
    }

    /// What is wrong was printed already, as the verb's result: exit status 1.
    pub fn refused() -> Self {
        Self::of(Kind::Input, Vec::new(), Vec::new()).with_result()
    }

    /// Mistakes that are shown at their place in the configuration, and others.
    pub fn problems<E: Error>(problems: Vec<Problem>, errors: impl IntoIterator<Item = E>) -> Self {
        let mut failure = Self::inputs(errors);
        if !problems.is_empty() {
            let placed = Diagnostics::new(problems);
            failure.messages.insert(0, placed.render(&handler()));
            failure.problems.splice(0..0, placed.problems().iter().cloned());
        }
        failure
    }

    /// The same after the verb has printed a result that holds it: a program reads one value.
    pub fn with_result(self) -> Self {
        Self {
            is_in_result: true,
            ..self
        }
    }

    /// For a program: what has no file of its own is of this one.
    pub fn of_file(mut self, path: &Path) -> Self {
        for problem in &mut self.problems {
            if problem.file().as_os_str().is_empty() {
                *problem = problem.clone().in_file(path);
            }
        }
        self
    }

    /// Prints the messages to stderr.
    pub fn print(&self) {
        let mut stderr = std::io::stderr().lock();
        for message in &self.messages {
            // There is nowhere left to say that stderr is closed.
            let _ = writeln!(stderr, "{}", message.trim_end());
        }
    }

    /// Prints one object to stdout, unless a result says it: `{status, errors}`, each error as in `check`'s list.
    pub fn print_json(&self) {
        if self.is_in_result {
            return;
        }
        let object = serde_json::json!({
            "status": self.exit_code(),
            "errors": config::to_json(&self.problems),
        });
        // The messages were said on stderr, and the exit status tells.
        let _ = writeln!(std::io::stdout().lock(), "{object:#}");
    }

    /// As the command line's help says.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 1,
            Kind::Mismatch => 3,
            Kind::Environment => 4,
        }
    }
}

/// An error that is of no file, or names it itself.
fn problem(error: &dyn Error) -> Problem {
    Problem::of_error(Path::new(""), error)
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::config(&diagnostics)
    }
}

/// Prints a warning to stderr.
pub fn warn(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line("warning", message));
}

/// Prints the warnings of a configuration with their places.
pub fn warn_config(warnings: &[Problem]) {
    if !warnings.is_empty() {
        let _ = write!(std::io::stderr().lock(), "{}", config::render(warnings, &handler()));
    }
}

/// The message with the causes below it that it does not already say.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str("\n  because: ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// A control character in a hostile name must not reach the terminal.
fn line(kind: &str, message: impl std::fmt::Display) -> String {
    let text: String = message
        .to_string()
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '?' } else { c })
        .collect();
    format!("{kind}: {text}")
}

fn handler() -> GraphicalReportHandler {
    handler_for(std::io::stderr().is_terminal())
}

/// For a terminal in its width and colours, unless `NO_COLOR` says otherwise; else for a log.
pub(super) fn handler_for(terminal: bool) -> GraphicalReportHandler {
    let handler = GraphicalReportHandler::new();
    if terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
        handler.with_theme(GraphicalTheme::unicode())
    } else {
        handler.with_theme(GraphicalTheme::unicode_nocolor()).with_width(100)
    }
}
