//! Owns asking systemd-analyze, where it is there: `verify` for all units, `security` for each service.
//!
//! What it says is systemd's word on the version of this machine, so nothing of it refuses a build.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::{Config, Problem};
use crate::model::{Lint, UnitKind};
use crate::systemd::{Origin, RELEASE_PLACEHOLDER, Unit, UnitError, UnitFile};

/// Longer than it takes on a busy machine; it can hang where it asks a bus that doesn't answer.
const LIMIT: Duration = Duration::from_secs(30);

/// From here on systemd itself calls a service more than "OK".
const EXPOSED: f64 = 5.0;

/// The first systemd whose `security` reads unit files instead of asking the running one.
const OFFLINE_SINCE: u32 = 250;

/// What systemd-analyze found, and which one was asked.
#[derive(Debug)]
pub struct Analysis {
    /// `systemd 252 (252.39-1~deb12u2)`; or why it was not asked.
    pub asked: Result<String, String>,
    /// What it found, at its place.
    pub problems: Vec<Problem>,
    /// The exposure of each service, 0 (none) to 10, and systemd's word for it.
    pub exposures: Vec<(String, f64, String)>,
}

/// Why it gave no answer.
#[derive(Debug, thiserror::Error)]
enum AnalyzeError {
    #[error("it is not here")]
    Absent,
    #[error("it did not answer within {} s", LIMIT.as_secs())]
    Slow,
    #[error("it can't be run: {0}")]
    Run(#[source] io::Error),
    #[error("its units can't be written: {0}")]
    Write(#[source] io::Error),
    #[error("it does not say its version: {0:?}")]
    Version(String),
}

/// Asks about the units of a configuration; never fails, since a build does not depend on it.
pub fn analyze(config: &Config) -> Analysis {
    let mut analysis = Analysis {
        asked: Ok(String::new()),
        problems: Vec::new(),
        exposures: Vec::new(),
    };
    analysis.asked = ask(config, &mut analysis).map_err(|error| error.to_string());
    analysis
}

fn ask(config: &Config, analysis: &mut Analysis) -> Result<String, AnalyzeError> {
    let version = run(&["--version"], None)?;
    let version = version.lines().next().unwrap_or_default().to_owned();
    let number: u32 = version
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.split('.').next()?.parse().ok())
        .ok_or_else(|| AnalyzeError::Version(version.clone()))?;
    let units = Rendered::write(config).map_err(AnalyzeError::Write)?;
    verify(config, &units, analysis)?;
    if number >= OFFLINE_SINCE {
        for (unit, path) in units
            .files
            .iter()
            .filter(|(unit, _)| unit.name.kind() == UnitKind::Service)
        {
            security(config, unit, path, analysis)?;
        }
    }
    Ok(version)
}

/// The units as they would be delivered, in a directory of their own.
struct Rendered<'a> {
    dir: tempfile::TempDir,
    files: Vec<(&'a Unit, PathBuf)>,
}

impl<'a> Rendered<'a> {
    fn write(config: &'a Config) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let bound = |file: &UnitFile| file.render().replace(RELEASE_PLACEHOLDER, &"0".repeat(40));
        let mut files = Vec::new();
        for unit in &config.units {
            let path = dir.path().join(unit.name.as_str());
            fs::write(&path, bound(&unit.file))?;
            files.push((unit, path));
        }
        for drop_in in &config.drop_ins {
            let path = dir.path().join(drop_in.path());
            fs::create_dir_all(path.parent().unwrap_or(dir.path()))?;
            fs::write(&path, bound(&drop_in.file))?;
        }
        Ok(Self { dir, files })
    }
}

fn verify(config: &Config, units: &Rendered<'_>, analysis: &mut Analysis) -> Result<(), AnalyzeError> {
    if units.files.is_empty() {
        return Ok(());
    }
    let mut args = vec!["verify".to_owned(), "--man=no".to_owned()];
    for (unit, path) in &units.files {
        // A template is looked at by one of its instances.
        let path = match unit.name.is_template() {
            true => units
                .dir
                .path()
                .join(unit.name.as_str().replacen("@.", "@instance.", 1)),
            false => path.clone(),
        };
        args.push(path.display().to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = run(&args, Some(units.dir.path()))?;
    for line in said.lines() {
        if let Some(error) = remark(line, units) {
            analysis
                .problems
                .extend(config.problem(&error.named(Lint::SystemdVerify), true));
        }
    }
    Ok(())
}

/// What depends on this machine and not on the target. Programs of the release and the directives that the target's
/// systemd knows are checked without systemd-analyze.
const TOLD_BETTER: &[&str] = &[
    "is not executable",
    "Failed to execute",
    "command cannot be executed",
    "Unknown key",
    "Unknown lvalue",
    "Unknown section",
];

/// A line that is about one of our units: `/tmp/x/acme.service:12: …` or `acme.service: …`.
fn remark(line: &str, units: &Rendered<'_>) -> Option<UnitError> {
    if TOLD_BETTER.iter().any(|words| line.contains(words)) {
        return None;
    }
    let dir = format!("{}/", units.dir.path().display());
    let line = line.trim().replace(&dir, "");
    let (name, rest) = line.split_once(':')?;
    let name = name.replacen("@instance.", "@.", 1);
    let (unit, _) = units.files.iter().find(|(unit, _)| unit.name.as_str() == name)?;
    if unit.is_trial() {
        return None;
    }
    let origin = match unit.generated {
        true => Origin::Migrate,
        false => Origin::Unit(unit.name.clone()),
    };
    let (number, message) = match rest.split_once(':') {
        Some((number, message)) if number.parse::<usize>().is_ok() => (number.parse().ok(), message),
        _ => (None, rest),
    };
    let error = UnitError::of(
        &origin,
        format!("systemd-analyze says: {}", message.trim()),
        "correct the line: systemd on a host would say the same, and leave it out or refuse the unit",
    );
    Some(match number.and_then(|number: usize| directive(&unit.file, number)) {
        Some((section, key)) if !unit.generated => error.at(&section, &key),
        _ => error,
    })
}

/// Section and directive of a line of a rendered unit.
fn directive(file: &UnitFile, number: usize) -> Option<(String, String)> {
    let text = file.render();
    let lines: Vec<&str> = text.lines().take(number).collect();
    let (key, _) = lines.last()?.split_once('=')?;
    let section = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix('[')?.strip_suffix(']'))?;
    Some((section.to_owned(), key.to_owned()))
}

fn security(config: &Config, unit: &Unit, path: &Path, analysis: &mut Analysis) -> Result<(), AnalyzeError> {
    let path = match unit.name.is_template() {
        true => path.with_file_name(unit.name.as_str().replacen("@.", "@instance.", 1)),
        false => path.to_owned(),
    };
    if unit.name.is_template() {
        // It takes the name of an instance only where such a file is.
        fs::copy(path.with_file_name(unit.name.as_str()), &path).map_err(AnalyzeError::Write)?;
    }
    let said = run(
        &["security", "--offline=true", "--no-pager", &path.display().to_string()],
        path.parent(),
    )?;
    let Some((exposure, word)) = exposure(&said) else {
        return Ok(());
    };
    analysis.exposures.push((unit.name.to_string(), exposure, word.clone()));
    if exposure >= EXPOSED && !unit.generated {
        let presets: Vec<&str> = crate::systemd::presets::names().collect();
        let error = UnitError::of(
            &Origin::Unit(unit.name.clone()),
            format!("the exposure of {} is {exposure:.1} of 10 ({word})", unit.name),
            format!(
                "add [defaults] preset = \"…\" ({}), or see `systemd-analyze security`",
                presets.join(", ")
            ),
        );
        analysis
            .problems
            .extend(config.problem(&error.named(Lint::Exposure), true));
    }
    Ok(())
}

/// `→ Overall exposure level for acme.service: 1.9 OK :-)`
fn exposure(said: &str) -> Option<(f64, String)> {
    let line = said
        .lines()
        .rev()
        .find(|line| line.contains("Overall exposure level"))?;
    let mut words = line.rsplit_once(": ")?.1.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
}

/// Runs it to its end, whatever its exit status: what it has to say is in what it prints.
fn run(args: &[&str], units: Option<&Path>) -> Result<String, AnalyzeError> {
    let mut said = tempfile::tempfile().map_err(AnalyzeError::Run)?;
    let out = |file: &fs::File| file.try_clone().map_err(AnalyzeError::Run);
    let mut command = Command::new("systemd-analyze");
    command
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_EMOJI", "0")
        .env_remove("SYSTEMD_LOG_LEVEL")
        .stdin(Stdio::null())
        .stdout(out(&said)?)
        .stderr(out(&said)?);
    if let Some(units) = units {
        // The trailing colon: and the system's own.
        command.env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()));
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AnalyzeError::Absent,
        _ => AnalyzeError::Run(error),
    })?;
    wait(&mut child, LIMIT)?;
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut said).map_err(AnalyzeError::Run)?;
    said.read_to_end(&mut bytes).map_err(AnalyzeError::Run)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for its end; at the limit it is killed.
fn wait(child: &mut Child, limit: Duration) -> Result<(), AnalyzeError> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if started.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(AnalyzeError::Slow);
            }
            Err(error) => return Err(AnalyzeError::Run(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let waited = wait(&mut child, Duration::from_millis(50));
        assert!(matches!(waited, Err(AnalyzeError::Slow)), "{waited:?}");
        assert!(child.try_wait().unwrap().is_some(), "it is gone");
    }

    #[test]
    fn the_exposure_is_in_the_last_line() {
        let said = "  NAME  DESCRIPTION\n→ Overall exposure level for acme.service: 9.2 UNSAFE :-(\n";
        assert_eq!(exposure(said), Some((9.2, "UNSAFE".to_owned())));
        assert_eq!(exposure("Failed to load"), None);
    }

    #[test]
    fn the_directive_of_a_rendered_line() {
        let file = UnitFile::parse("[Unit]\nAfter=a.target\n[Service]\nType=simple\nExecStart=/bin/a\n").unwrap();
        assert_eq!(directive(&file, 2), Some(("Unit".into(), "After".into())));
        assert_eq!(directive(&file, 6), Some(("Service".into(), "ExecStart".into())));
        assert_eq!(directive(&file, 1), None);
    }
}
