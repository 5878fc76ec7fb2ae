//! `relpack init`: looks at an application and writes a commented `relpack.toml`; asks on a terminal only what it can't see.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args as ClapArgs;
use serde_json::json;

use crate::config;
use crate::init::{self, Answers, Runtime, Seen};
use crate::model::PackageName;
use crate::output;
use crate::report::{self, Failure};

/// Which application.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Work as if started in DIR.
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// What it is written in, instead of what the directory tells.
    #[arg(long, value_enum)]
    runtime: Option<Runtime>,
    /// The package's name, instead of the application's own.
    #[arg(long)]
    name: Option<PackageName>,
    /// Print one JSON object, and ask nothing.
    #[arg(long)]
    pub(super) json: bool,
}

/// Carries the verb out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let file = args.directory.join("relpack.toml");
    if file.symlink_metadata().is_ok() {
        return Err(Failure::input(&InitError::Exists(file.clone())).of_file(&file));
    }
    let mut seen =
        init::look(&args.directory, args.runtime).map_err(|error| Failure::input(&error).of_file(&args.directory))?;
    let answers = answers(args, &mut seen)?;
    let text = init::render(&seen, &answers).map_err(|error| Failure::input(&error))?;
    output::write_new(&file, text.as_bytes()).map_err(|error| Failure::environment(&error))?;
    if !seen.also.is_empty() {
        let also: Vec<&str> = seen.also.iter().map(|runtime| runtime.word()).collect();
        report::warn(format!(
            "it looks like {} too (hint: `relpack init --runtime {}` takes it for that)",
            also.join(" and "),
            also[0]
        ));
    }
    seen.notes.iter().for_each(report::warn);
    let lock = match super::lock::write_first(&file) {
        Some(Ok(path)) => Some(path),
        Some(Err(failure)) => {
            failure.print();
            report::warn("so relpack.lock is not there yet, and a build wants it: `relpack lock` makes it");
            None
        }
        None => None,
    };
    if args.json {
        let object = json!({
            "path": file.display().to_string(),
            "lock": lock.map(|path| path.display().to_string()),
            "name": answers.name.as_str(),
            "runtime": seen.runtime.word(),
            "starts": seen.exec,
        });
        return report::out(&format!("{object:#}\n"));
    }
    let locked = lock.map_or(String::new(), |path| format!("  needs    {}\n", path.display()));
    let place = match args.directory.as_path() {
        dir if dir == Path::new(".") => String::new(),
        dir => format!(" -C {}", dir.display()),
    };
    report::out(&format!(
        "{}\n  runtime  {}\n  starts   {}\n{locked}next: relpack check{place}, then relpack build{place}\n",
        file.display(),
        seen.runtime.word(),
        seen.exec
    ))
}

/// Why there is no configuration afterwards.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{0:?} is there already (hint: edit it, or move it away first)")]
    Exists(PathBuf),
    #[error("nothing tells the package's name (hint: say --name, of lower-case letters, digits and '-')")]
    NoName,
    #[error("the terminal can't be read (hint: run it without one, as in `relpack init </dev/null`)")]
    Terminal(#[source] io::Error),
}

/// What the files don't tell: asked on a terminal, else guessed, and said.
fn answers(args: &Args, seen: &mut Seen) -> Result<Answers, Failure> {
    let terminal = !args.json && io::stdin().is_terminal() && io::stderr().is_terminal();
    let given = args.name.clone().or_else(|| seen.name.clone());
    let name = match given {
        Some(name) => name,
        None => {
            let guess = init::name_of(&args.directory);
            let shown = guess.as_ref().map_or("", |name| name.as_str());
            let asked = match terminal {
                true => ask("Name of the package", shown, |text| {
                    text.parse::<PackageName>().map_err(|error| error.to_string())
                })?,
                false => None,
            };
            asked.or(guess).ok_or_else(|| Failure::input(&InitError::NoName))?
        }
    };
    let description = match &seen.description {
        Some(text) => text.clone(),
        None => {
            // Developer's Reference 6.2.2: neither the name nor an article comes first.
            let guess = format!("{} {name}", seen.runtime.application());
            let asked = match terminal {
                true => ask("Description in one line", &guess, |text| {
                    init::description(text).ok_or_else(|| "it is empty".to_owned())
                })?,
                false => None,
            };
            asked.unwrap_or(guess)
        }
    };
    let said = seen.cargo.as_ref().and_then(|package| package.maintainer.clone());
    let maintainer = match said.or_else(|| maintainer(&args.directory)) {
        Some(known) => known,
        None => {
            let asked = match terminal {
                true => ask("Maintainer (Name <address>)", "", |text| {
                    as_maintainer(text).ok_or_else(|| "write it as Name <address>".to_owned())
                })?,
                false => None,
            };
            asked.unwrap_or_else(|| {
                seen.notes.push(
                    "neither DEBEMAIL nor git tells who you are, so package.maintainer is a guess: correct it"
                        .to_owned(),
                );
                format!("{name} <root@localhost>")
            })
        }
    };
    let port = match terminal && seen.port.is_none() && !seen.answers {
        true => ask("Port that it answers HTTP on (empty: none)", "", |text| {
            text.parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| "a number from 1 to 65535".to_owned())
        })?,
        false => None,
    };
    Ok(Answers {
        name,
        maintainer,
        description,
        port,
    })
}

/// Asks until the answer can be used; nothing said is `None`.
fn ask<T>(question: &str, guess: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
    let fail = |error| Failure::environment(&InitError::Terminal(error));
    loop {
        let shown = if guess.is_empty() {
            String::new()
        } else {
            format!(" [{guess}]")
        };
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}{shown}: ")
            .and_then(|()| stderr.flush())
            .map_err(fail)?;
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).map_err(fail)?;
        let text = line.trim();
        if read == 0 || text.is_empty() {
            return Ok(None);
        }
        match parse(text) {
            Ok(value) => return Ok(Some(value)),
            Err(problem) => writeln!(stderr, "  {problem}").map_err(fail)?,
        }
    }
}

/// Who makes packages here: Debian's own variables (debchange(1)), else git.
fn maintainer(dir: &Path) -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let git = |key: &str| {
        let output = Command::new("git")
            .args(["config", "--get", key])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let address = variable("DEBEMAIL")
        .or_else(|| variable("EMAIL"))
        .or_else(|| git("user.email"))?;
    if address.contains('<') {
        return as_maintainer(&address);
    }
    let name = variable("DEBFULLNAME")
        .or_else(|| variable("NAME"))
        .or_else(|| git("user.name"))?;
    as_maintainer(&format!("{name} <{address}>"))
}

/// `Name <address>`, as the control file takes it.
fn as_maintainer(text: &str) -> Option<String> {
    let (name, rest) = text.split_once('<')?;
    let address = rest.trim_end().strip_suffix('>')?.trim();
    // Mail programs quote names; the field takes no quotes.
    let name = name.replace('"', "");
    let whole = format!("{} <{address}>", name.trim());
    let fits = config::maintainer_problem(&whole).is_none() && !whole.chars().any(char::is_control);
    fits.then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintainers() {
        assert_eq!(
            as_maintainer(" A B  < a@b.example >").as_deref(),
            Some("A B <a@b.example>")
        );
        for bad in [
            "A B",
            "<a@b>",
            "A <a>",
            "A <a@b",
            "A\u{1b} <a@b>",
            "A <a b@c>",
            "\" <a@b>",
            "A <a@b>, B <c@d>",
        ] {
            assert_eq!(as_maintainer(bad), None, "{bad:?}");
        }
    }
}
