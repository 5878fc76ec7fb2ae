//! Sweeps: a command is broken at each of its mutating system calls in turn, on one host that is put back in between.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::app::Answer;
use super::machine::Machine;
use super::process::Output;
use super::root::say;
use super::sample;

/// Traces a command with its children and breaks it at a point; strace's counters are of one process each.
const TRACER: &str = include_str!("tracer.py");
const SCRIPT: &str = include_str!("sweep.sh");
/// A command under the tracer on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What is broken, and how.
#[derive(Debug, Clone, Copy)]
pub enum Break {
    /// SIGKILL to the command and all its children.
    Kill,
    /// They stop there until the host dies.
    Hold,
    /// A call of a maintainer script or its tools fails with this error, once.
    Once(&'static str),
    /// The same, and so do all calls after it.
    FromThenOn(&'static str),
}

/// One mutating system call of a command.
#[derive(Debug, Clone)]
pub struct Point {
    pub number: usize,
    /// Script, program, call and file.
    pub call: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "point {} ({})", self.number, self.call)
    }
}

/// What a host looks like: see `look` in sweep.sh.
#[derive(Debug, Default)]
pub struct Look {
    /// What dpkg or a tarball has recorded.
    pub record: String,
    /// Who answers.
    pub first: Option<Answer>,
    /// Who answers after a daemon-reload and a crash of the main process.
    pub second: Option<Answer>,
    /// That was tried.
    pub crashed: bool,
    pub current: String,
    /// Active and load state of a service that only the newer version has.
    pub worker: String,
    /// Of a timer that only the older version has.
    pub timer: String,
    pub files: BTreeSet<String>,
    /// The versions whose migration has ended, each time that it did.
    pub migrated: Vec<String>,
    /// All that nobody wants to see: a release that is not whole, failed units, …
    pub wrong: Vec<String>,
}

/// The points to run of `total`: `RELPACK_AT=216,217` names them (counted from 1), `RELPACK_POINTS` makes the sample
/// larger than `floor`.
pub fn pick(total: usize, floor: usize) -> Vec<usize> {
    let numbers = |name: &str| -> Vec<usize> {
        let text = std::env::var(name).unwrap_or_default();
        text.split(',').filter_map(|word| word.parse().ok()).collect()
    };
    let named = numbers("RELPACK_AT");
    if named.is_empty() {
        return sample::pick(
            total,
            numbers("RELPACK_POINTS").first().copied().unwrap_or(0).max(floor),
        );
    }
    named.iter().map(|number| (number - 1).min(total - 1)).collect()
}

/// Puts the tools into the machine.
pub fn prepare(m: &Machine) {
    m.put("/srv/tracer.py", TRACER);
    m.put("/srv/sweep.sh", SCRIPT);
}

/// Keeps the state of the application and of dpkg's record of it.
#[track_caller]
pub fn take(m: &Machine, name: &str) {
    m.ok(&format!("sh /srv/sweep.sh take {name}"));
}

/// Brings it back.
#[track_caller]
pub fn restore(m: &Machine, name: &str) {
    m.ok(&format!("sh /srv/sweep.sh restore {name}"));
}

/// Runs `command` to its end and lists its points: for a kill all of them, else those in maintainer scripts.
#[track_caller]
pub fn points(m: &Machine, how: Break, command: &str) -> Vec<Point> {
    let verb = match how {
        Break::Kill | Break::Hold => "count".to_owned(),
        Break::Once(error) | Break::FromThenOn(error) => format!("count-scripts {error}"),
    };
    m.sh_within(&format!("python3 /srv/tracer.py {verb} /tmp/points {command}"), LIMIT)
        .expect_ok();
    logged(m)
}

/// From the state `before`, runs `command` and breaks it at point `number`; at an earlier one where this run has fewer,
/// since no two runs are quite the same.
#[track_caller]
pub fn broken(m: &Machine, before: &str, how: Break, number: usize, command: &str) -> (Output, Point) {
    let mut number = number;
    loop {
        restore(m, before);
        let output = m.sh_within(&breaking(how, number, command), LIMIT);
        if let Some(point) = reached(m) {
            return (output, point);
        }
        assert!(number > 1, "no point was reached\n{output}");
        number -= number / 20 + 1;
    }
}

/// What runs `command` and breaks it at point `number`.
pub fn breaking(how: Break, number: usize, command: &str) -> String {
    let verb = match how {
        Break::Kill => format!("kill {number}"),
        Break::Hold => format!("hold {number}"),
        Break::Once(error) => format!("fault {number} once {error}"),
        Break::FromThenOn(error) => format!("fault {number} on {error}"),
    };
    format!("rm -f /tmp/points; python3 /srv/tracer.py {verb} /tmp/points {command}")
}

/// The point at which it was broken; nothing where the command did not come so far.
pub fn reached(m: &Machine) -> Option<Point> {
    logged(m).into_iter().next()
}

fn logged(m: &Machine) -> Vec<Point> {
    m.read("/tmp/points")
        .lines()
        .filter_map(|line| {
            let (number, call) = line.split_once(' ')?;
            Some(Point {
                number: number.parse().ok()?,
                call: call.to_owned(),
            })
        })
        .collect()
}

/// Looks at the host; `how` is `crash`, `start` or `end`.
#[track_caller]
pub fn look(m: &Machine, how: &str) -> Look {
    let said = m.ok(&format!("sh /srv/sweep.sh look {how}"));
    let mut look = Look::default();
    for line in said.stdout.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let value = value.trim().to_owned();
        match key {
            "record" => look.record = value,
            "first" => look.first = Answer::parse(&value),
            "second" => {
                look.crashed = true;
                look.second = Answer::parse(&value);
            }
            "current" => look.current = value,
            "acme-worker.service" => look.worker = value,
            "acme-report.timer" => look.timer = value,
            "file" => drop(look.files.insert(value)),
            "migrated" => look.migrated.push(value),
            _ => look.wrong.push(line.to_owned()),
        }
    }
    look
}

/// Runs a point that panics where it does not hold; the panic's text is what was wrong.
pub fn caught<T>(point: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(point)).map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "it panicked without a text".to_owned(),
        },
    })
}

/// How many points held, and what was wrong at the others.
#[derive(Debug, Default)]
pub struct Tally {
    held: usize,
    broken: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, point: &Point, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.held += 1;
                if self.held.is_multiple_of(20) {
                    eprintln!("{} held so far", self.held);
                }
            }
            Err(why) => {
                eprintln!("{point}: {why}");
                self.broken.push(format!("{point}: {why}"));
            }
        }
    }

    /// Nothing was wrong so far.
    pub fn has_held(&self) -> bool {
        self.broken.is_empty()
    }

    /// Prints `held N of M`; fails the test unless N is M, and M at least `floor`.
    #[track_caller]
    pub fn expect(self, what: &str, floor: usize) {
        let all = self.held + self.broken.len();
        say(&format!("{what}: held {} of {all}", self.held));
        assert!(self.broken.is_empty(), "{what}:\n{}", self.broken.join("\n"));
        assert!(
            all >= floor || std::env::var_os("RELPACK_AT").is_some(),
            "{what}: only {all} points, at least {floor} are asked for"
        );
    }
}

/// An `Err` with the text unless the condition holds.
#[macro_export]
macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}
