//! What ends a verb: the messages and the exit code.

use std::error::Error;
use std::io::{IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::config::{self, Diagnostics};

/// A verb that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    messages: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Input,
    Mismatch,
    Environment,
}

impl Failure {
    /// The user's input is wrong: exit status 1.
    pub fn input(error: &dyn Error) -> Self {
        Self {
            kind: Kind::Input,
            messages: vec![line("error", with_causes(error))],
        }
    }

    /// Several mistakes in the input.
    pub fn inputs<E: Error>(errors: impl IntoIterator<Item = E>) -> Self {
        Self {
            kind: Kind::Input,
            messages: errors
                .into_iter()
                .map(|error| line("error", with_causes(&error)))
                .collect(),
        }
    }

    /// An artifact is not what it says: exit status 3.
    pub fn mismatch<E: std::fmt::Display>(errors: impl IntoIterator<Item = E>) -> Self {
        Self {
            kind: Kind::Mismatch,
            messages: errors.into_iter().map(|error| line("mismatch", error)).collect(),
        }
    }

    /// An artifact can't be read as one, so it is not what it says: exit status 3.
    pub fn damaged(error: &dyn Error) -> Self {
        Self {
            kind: Kind::Mismatch,
            messages: vec![line("error", with_causes(error))],
        }
    }

    /// The machine is at fault: exit status 4.
    pub fn environment(error: &dyn Error) -> Self {
        Self {
            kind: Kind::Environment,
            messages: vec![line("error", with_causes(error))],
        }
    }

    /// A configuration that cannot be used.
    pub fn config(diagnostics: &Diagnostics) -> Self {
        let kind = if diagnostics.is_environment() {
            Kind::Environment
        } else {
            Kind::Input
        };
        Self {
            kind,
            messages: vec![diagnostics.render(&handler())],
        }
    }

    /// What is wrong was printed already, as the verb's result: exit status 1.
    pub fn refused() -> Self {
        Self {
            kind: Kind::Input,
            messages: Vec::new(),
        }
    }

    /// Mistakes that are shown at their place in the configuration, and others.
    pub fn problems<E: Error>(problems: Vec<config::Problem>, errors: impl IntoIterator<Item = E>) -> Self {
        let mut failure = Self::inputs(errors);
        if !problems.is_empty() {
            failure
                .messages
                .insert(0, Diagnostics::new(problems).render(&handler()));
        }
        failure
    }

    /// Prints the messages to stderr.
    pub fn print(&self) {
        let mut stderr = std::io::stderr().lock();
        for message in &self.messages {
            // There is nowhere left to say that stderr is closed.
            let _ = writeln!(stderr, "{}", message.trim_end());
        }
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
pub fn warn_config(warnings: &[config::Problem]) {
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
