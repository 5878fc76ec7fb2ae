//! `relpack check`: all that `build` refuses or warns about, and the lints, without writing anything.

use clap::Args as ClapArgs;

use crate::config::{Config, Diagnostics, Problem};
use crate::lints::{self, analyze};
use crate::plan::{Plan, PlanError};
use crate::report::{self, Failure};

use super::inputs::{self, Inputs};

/// What to check, and how to say it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Print one JSON list of findings.
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut exposures = Vec::new();
    let found = match args.inputs.load() {
        Ok(mut config) => {
            let found = problems(&mut config, &mut exposures);
            Diagnostics::new(found)
        }
        Err(found) if found.is_environment() => {
            if args.json {
                report::out(&format!("{:#}\n", found.to_json()))?;
            }
            return Err(Failure::from(found).with_result());
        }
        Err(found) => found,
    };
    if args.json {
        report::out(&format!("{:#}\n", found.to_json()))?;
    } else {
        report::out(&report::findings(&found, &exposures))?;
    }
    match found.errors() {
        0 => Ok(()),
        _ => Err(Failure::refused()),
    }
}

/// All that is wrong or doubtful beyond the configuration's text.
fn problems(config: &mut Config, exposures: &mut Vec<(String, f64, String)>) -> Vec<Problem> {
    let mut found = std::mem::take(&mut config.warnings);
    let tree = match inputs::scan(config) {
        Ok((tree, warnings)) => {
            found.extend(warnings.iter().map(|w| inputs::scan_warning(w, config)));
            Some(tree)
        }
        Err(errors) => {
            found.extend(errors.iter().map(|error| inputs::scan_problem(error, config)));
            None
        }
    };
    let input = lints::Input {
        config,
        tree: tree.as_ref(),
    };
    let mut lints = lints::find(&input);
    let analysis = analyze::analyze(config);
    lints.extend(analysis.problems);
    *exposures = analysis.exposures;
    found.extend(config.lints.filter(lints));
    if let Some(tree) = tree {
        let date = inputs::source_date(config, &tree);
        match date {
            Ok((date, guessed)) => {
                found.extend(guessed.map(|text| Problem::of_file(&config.file, text).warning()));
                found.extend(planned(Plan::new(config, tree, date), config));
            }
            Err(error) => found.push(Problem::of_error(&config.file, &error)),
        }
    }
    found.extend(config.lints.unused());
    let asked = match analysis.asked {
        Ok(version) => format!("systemd-analyze of {version} was asked"),
        Err(reason) => format!(
            "systemd-analyze was not asked: {reason} (hint: install systemd to have its verify and security here too)"
        ),
    };
    found.push(Problem::of_file(&config.file, asked).note());
    found
}

fn planned(plan: Result<Plan, Vec<PlanError>>, config: &Config) -> Vec<Problem> {
    match plan {
        Ok(plan) => plan
            .warnings
            .iter()
            .map(|text| Problem::of_file(&config.file, text).warning())
            .collect(),
        Err(errors) => {
            let (mut found, others) = inputs::placed(errors, config);
            found.extend(others.iter().map(|error| Problem::of_error(&config.file, error)));
            found
        }
    }
}
