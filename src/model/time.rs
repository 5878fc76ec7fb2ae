//! Owns time spans as systemd writes them (systemd.time(7)).

use std::fmt;
use std::str::FromStr;

use super::ValueError;

const SECOND: u64 = 1_000_000;

/// Unit names and their length in microseconds (systemd.time(7), "Parsing Time Spans").
const UNITS: &[(&[&str], u64)] = &[
    (&["usec", "us", "µs", "μs"], 1),
    (&["msec", "ms"], 1_000),
    (&["seconds", "second", "sec", "s", ""], SECOND),
    (&["minutes", "minute", "min", "m"], 60 * SECOND),
    (&["hours", "hour", "hr", "h"], 3_600 * SECOND),
    (&["days", "day", "d"], 86_400 * SECOND),
    (&["weeks", "week", "w"], 7 * 86_400 * SECOND),
    // A month is 30.44 and a year 365.25 days.
    (&["months", "month", "M"], 2_629_800 * SECOND),
    (&["years", "year", "y"], 31_557_600 * SECOND),
];

/// A time span of a unit's directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeSpan {
    /// Microseconds.
    Micros(u64),
    /// `infinity`: greater than every number.
    Infinity,
}

impl FromStr for TimeSpan {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.trim() == "infinity" {
            return Ok(TimeSpan::Infinity);
        }
        let error = |problem: &str| {
            ValueError::new(
                "time span",
                text,
                problem,
                "write for example \"30s\", \"5min\" or \"1h 30s\"",
            )
        };
        let mut rest = text.trim_ascii();
        if rest.is_empty() {
            return Err(error("is empty"));
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let after = after.trim_ascii_start();
            let unit_end = after
                .find(|c: char| !c.is_alphabetic() && c != 'µ')
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            rest = next.trim_ascii_start();
            let Some((_, factor)) = UNITS.iter().find(|(names, _)| names.contains(&unit)) else {
                return Err(error(&format!("has the unknown unit {unit:?}")));
            };
            let micros = scaled(number, *factor).ok_or_else(|| error("is not a number and a unit"))?;
            total = total.checked_add(micros).ok_or_else(|| error("is too large"))?;
        }
        Ok(TimeSpan::Micros(total))
    }
}

/// `number` (decimal, perhaps with a fraction) times `factor`, cut to whole microseconds.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(factor)?;
    let mut weight = factor;
    for digit in fraction.chars() {
        weight /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?).checked_mul(weight)?)?;
    }
    Some(total)
}

/// A number of whole seconds; displayed as the bare number, which both systemd and a shell read as seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

impl Seconds {
    /// The longest time that a host's package manager may be kept waiting.
    pub const DAY: Seconds = Seconds(86_400);

    /// The number of seconds.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<Seconds> for TimeSpan {
    fn from(seconds: Seconds) -> Self {
        TimeSpan::Micros(seconds.0.saturating_mul(SECOND))
    }
}

impl FromStr for Seconds {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |problem: &str, hint: &str| ValueError::new("time span", text, problem, hint);
        match text.parse::<TimeSpan>()? {
            TimeSpan::Infinity => Err(error("has no end", "write a limit, for example \"10min\"")),
            TimeSpan::Micros(micros) if micros % SECOND != 0 => {
                Err(error("is not a whole number of seconds", "write for example \"1s\""))
            }
            TimeSpan::Micros(micros) => Ok(Self(micros / SECOND)),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_the_man_page() {
        for (text, seconds) in [
            ("2 h", 7200),
            ("2hours", 7200),
            ("48hr", 172_800),
            ("55s500ms 500 ms", 56),
            ("300ms20s 5day 700ms", 432_021),
            ("1h 30s", 3630),
            ("1.5h", 5400),
            ("90", 90),
            ("5m", 300),
            ("1M", 2_629_800),
            ("0", 0),
            (".5min", 30),
            (" 1y 12month", 63_115_200),
        ] {
            assert_eq!(text.parse::<Seconds>().unwrap(), Seconds(seconds), "{text}");
        }
        assert_eq!("1.25ms".parse::<TimeSpan>().unwrap(), TimeSpan::Micros(1250));
        assert_eq!("infinity".parse::<TimeSpan>().unwrap(), TimeSpan::Infinity);
        assert!(TimeSpan::Infinity > TimeSpan::from(Seconds(u64::MAX)));
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            " ",
            "s",
            "-5s",
            "5 parsecs",
            "1.2.3s",
            "500ms",
            "infinity",
            "1,5s",
            ".",
            "99999999999999999999",
            "5s;",
            "5\u{a0}s",
        ] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad:?}");
        }
    }
}
