//! `relpack explain`: why a preset says what it says, and what a lint means.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::lints::pages;
use crate::model::{Lint, Weight};
use crate::report::{self, Failure};
use crate::systemd::{directives, presets};

/// What to explain.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A preset of [defaults]: each directive with its reason. Without a name, all presets.
    Preset {
        /// node, python, …
        #[arg(value_parser = Suggested(preset_names), hide_possible_values = true)]
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// A lint of `check`: an example, the reason, and what to do. Without a name, all lints.
    Lint {
        /// As `check` prints it.
        #[arg(value_parser = Suggested(lint_names), hide_possible_values = true)]
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn preset_names() -> Vec<&'static str> {
    presets::names().collect()
}

fn lint_names() -> Vec<&'static str> {
    Lint::ALL.iter().map(|lint| lint.name()).collect()
}

impl Args {
    /// Whether a program reads the answer.
    pub(super) fn json(&self) -> bool {
        match self.what {
            What::Preset { json, .. } | What::Lint { json, .. } => json,
        }
    }
}

/// Names for the shells' completions. Others pass as well: what is said of them here knows what was meant.
#[derive(Clone)]
struct Suggested(fn() -> Vec<&'static str>);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Preset { name: None, json } => all_presets(*json),
        What::Preset { name: Some(name), json } => preset(name, *json),
        What::Lint { name: None, json: true } => {
            let all: Vec<Value> = pages::all().map(|page| about(page.lint, page.title())).collect();
            report::out(&format!("{:#}\n", json!(all)))
        }
        What::Lint {
            name: None,
            json: false,
        } => {
            let lines: Vec<String> = pages::all()
                .map(|page| format!("{:<26} {}\n", page.lint, page.title()))
                .collect();
            report::out(&lines.concat())
        }
        What::Lint { name: Some(name), json } => {
            let page = Lint::find(name).and_then(pages::find);
            let page = page.ok_or_else(|| unknown("lint", name, Lint::ALL.iter().map(|lint| lint.name())))?;
            if *json {
                let mut value = about(page.lint, page.title());
                value["text"] = json!(page.text.trim());
                return report::out(&format!("{value:#}\n"));
            }
            report::out(&format!("{}\n\n{}\n", page.lint, page.text.trim()))
        }
    }
}

/// A lint for a program.
fn about(lint: Lint, title: &str) -> Value {
    json!({
        "name": lint.name(),
        "title": title,
        "refused": lint.weight() == Weight::Refused,
        "may_be_allowed": lint.may_be_allowed(),
    })
}

fn all_presets(json: bool) -> Result<(), Failure> {
    if json {
        let names: Vec<&str> = presets::names().collect();
        return report::out(&format!("{:#}\n", json!(names)));
    }
    let lines: Vec<String> = presets::explained()
        .map(|preset| {
            format!(
                "{:<10} {}\n",
                preset.name,
                preset.about.split(';').next().unwrap_or_default()
            )
        })
        .collect();
    report::out(&lines.concat())
}

fn preset(name: &str, json: bool) -> Result<(), Failure> {
    let preset = presets::explained()
        .find(|preset| preset.name == name)
        .ok_or_else(|| unknown("preset", name, presets::names()))?;
    if json {
        let directives: Vec<_> = preset
            .lines
            .iter()
            .map(|line| json!({"directive": line.directive, "reason": line.reason}))
            .collect();
        let value = json!({
            "name": preset.name,
            "about": preset.about,
            "directives": directives,
            "left_out": preset.left_out,
        });
        return report::out(&format!("{value:#}\n"));
    }
    let mut text = format!("{}\n", preset.about);
    for line in &preset.lines {
        text.push_str(&format!("\n{}\n    {}\n", line.directive, line.reason));
    }
    text.push_str("\nLeft out on purpose:\n");
    for line in &preset.left_out {
        text.push_str(&format!("\n    {line}\n"));
    }
    report::out(&text)
}

fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let hint = match directives::closest(name, known.clone()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
    };
    Failure::input(&UnknownName {
        what,
        name: name.to_owned(),
        hint,
    })
}

/// There is nothing of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no {what} {name:?} (hint: {hint})")]
struct UnknownName {
    what: &'static str,
    name: String,
    hint: String,
}
