//! Load on a service while something is done to it: commands that each make one request, over and over, and what they saw.

use std::time::Duration;

use super::machine::Machine;

/// Four lanes of quick requests and three of slow ones, until /run/load.stop is there. A line each: which, begin, exit code, end.
const LOAD: &str = r#"
lane() {
  while [ ! -e /run/load.stop ]; do
    read -r began rest </proc/uptime
    code=0
    sh -c "$2" >/dev/null 2>>/run/load.said || code=$?
    read -r ended rest </proc/uptime
    echo "$1 $began $code $ended"
    sleep 0.02
  done >/run/load.$1.$3
}
for number in 1 2 3 4; do lane quick "$QUICK" $number & done
if [ -n "$SLOW" ]; then
  for number in 1 2 3; do lane slow "$SLOW" $number & sleep 0.3; done
fi
wait
cat /run/load.*.[1-4]
"#;

/// So many quick requests have to be answered, however slow the machine is.
const LEAST: usize = 120;

/// How curl ends where nobody listens.
const REFUSED: &str = "7";
/// How it ends where its connection is closed without an answer, or in the middle of one.
const CUT: &[&str] = &["52", "56"];
/// How it ends where an error is the answer.
const ERRED: &str = "22";
/// The first and the last of a moment's errors are no further apart, in seconds.
const ERRORS_MAX: f64 = 5.0;
/// Nobody may be without an answer for longer, in seconds; machines that run tests are busy.
const GAP_MAX: f64 = 30.0;

/// What those are promised who ask meanwhile.
#[derive(Debug, Clone, Copy)]
pub enum Promise {
    /// Nobody is refused, and nothing under way is cut.
    NoGap,
    /// For a while nobody listens. What is under way is finished: `slow` is a command that makes one request of a second or more.
    Finishes { slow: &'static str },
    /// For a while nobody listens, and what is under way may be cut.
    Cuts,
    /// As that; and a reload has errors for an answer, for a moment.
    Errs,
}

/// Runs `script` while `quick`, a command that makes one request, is run over and over; fails the test unless both do
/// what they have to, and the promise is kept.
#[track_caller]
pub fn during(host: &Machine, quick: &str, promise: Promise, script: &str, limit: Duration) {
    let slow = match promise {
        Promise::Finishes { slow } => slow,
        Promise::NoGap | Promise::Cuts | Promise::Errs => "",
    };
    host.put("/root/load.sh", LOAD);
    host.put(
        "/root/load.env",
        format!("QUICK={}\nSLOW={}\n", quoted(quick), quoted(slow)),
    );
    // The slow ones that are under way at the end are waited for.
    let done = host
        .sh_within(
            &format!(
                "rm -f /run/load.*; (set -a; . /root/load.env; exec sh /root/load.sh) >/run/load.log & load=$!; sleep 2; \
                 ({script}\n); rc=$?; \
                 until [ \"$(cat /run/load.quick.* | grep -c ' 0 ')\" -ge {LEAST} ]; do sleep 0.2; done; \
                 touch /run/load.stop; wait $load; exit $rc"
            ),
            limit,
        )
        .expect_ok();
    let seen = Seen::read(&host.read("/run/load.log"));
    eprintln!("{}: {:.1} s, {seen:?}", host.suite(), done.took.as_secs_f64());
    let context = || format!("{seen:?}\n{}\n{done}", host.read("/run/load.said"));
    assert!(seen.answered >= LEAST, "too little load: {}", context());
    assert!(seen.failed.is_empty(), "{}", context());
    let moment = match promise {
        Promise::Errs => ERRORS_MAX,
        Promise::NoGap | Promise::Finishes { .. } | Promise::Cuts => 0.0,
    };
    let last = seen.erred.last().copied().unwrap_or(0.0);
    assert!(seen.erred.iter().all(|time| last - time < moment), "{}", context());
    match promise {
        Promise::NoGap => assert_eq!((seen.refused, seen.cut), (0, 0), "{}", context()),
        Promise::Finishes { .. } => {
            assert!(seen.slow >= 3, "too few slow ones: {}", context());
            assert_eq!(seen.cut, 0, "{}", context());
        }
        Promise::Cuts | Promise::Errs => {}
    }
    assert!(seen.gap < GAP_MAX, "{}", context());
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What the load saw.
#[derive(Debug)]
struct Seen {
    answered: usize,
    /// Of these, the slow ones.
    slow: usize,
    refused: usize,
    cut: usize,
    /// When errors were the answer, in order.
    erred: Vec<f64>,
    /// All others, as they stand in the log.
    failed: Vec<String>,
    /// The longest time without an answer, in seconds.
    gap: f64,
}

impl Seen {
    fn read(log: &str) -> Seen {
        let mut seen = Seen {
            answered: 0,
            slow: 0,
            refused: 0,
            cut: 0,
            erred: Vec::new(),
            failed: Vec::new(),
            gap: 0.0,
        };
        let seconds = |word: &str| word.parse::<f64>().unwrap_or_else(|e| panic!("{log}: {e}"));
        let mut ends = Vec::new();
        for line in log.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                [lane, _, "0", ended] => {
                    ends.push(seconds(ended));
                    seen.slow += usize::from(lane == "slow");
                }
                [_, _, REFUSED, _] => seen.refused += 1,
                [_, _, ERRED, ended] => seen.erred.push(seconds(ended)),
                [_, _, code, _] if CUT.contains(&code) => seen.cut += 1,
                _ => seen.failed.push(line.to_owned()),
            }
        }
        ends.sort_by(f64::total_cmp);
        seen.erred.sort_by(f64::total_cmp);
        seen.answered = ends.len();
        seen.gap = ends.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        seen
    }
}
