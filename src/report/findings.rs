//! Prints what `check` found.

use std::io::IsTerminal;

use crate::config::Diagnostics;

use super::failure::handler_for;

/// For a person: each finding at its place, the exposure of each service, and the sum.
pub fn findings(found: &Diagnostics, exposures: &[(String, f64, String)]) -> String {
    let mut text = found.render(&handler_for(std::io::stdout().is_terminal()));
    if !text.is_empty() {
        text.push('\n');
    }
    for (unit, exposure, word) in exposures {
        text.push_str(&format!("{unit}: exposure {exposure:.1} of 10 ({word})\n"));
    }
    let (errors, warnings) = (found.errors(), found.warnings());
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    text.push_str(&match (errors, warnings) {
        (0, 0) => "nothing is wrong\n".to_owned(),
        _ => format!(
            "{}, {}{}\n",
            count(errors, "error"),
            count(warnings, "warning"),
            if found.has_lints() {
                " (`relpack explain lint NAME` tells more)"
            } else {
                ""
            }
        ),
    });
    text
}
