//! Finds the lowest version of Node.js that a range in `package.json` takes.

/// `18.5` of `>=18.5 <21 || ^22`, `0` when every version will do; `None` when it is no range.
pub(super) fn lowest(range: &str) -> Option<String> {
    let lows: Option<Vec<[u64; 3]>> = range.split("||").map(lowest_of_all).collect();
    let low = lows?.into_iter().min()?;
    let mut shown = low.to_vec();
    while shown.len() > 1 && shown.last() == Some(&0) {
        shown.pop();
    }
    Some(shown.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// Of comparators that all hold.
fn lowest_of_all(part: &str) -> Option<[u64; 3]> {
    // "1.2 - 2.3" is a range, too.
    let part = part.trim().split(" - ").next().unwrap_or_default();
    let mut low = [0; 3];
    let mut operator = String::new();
    for word in part.split_whitespace() {
        // The operator may stand alone: ">= 18".
        let end = word.find(|c: char| !matches!(c, '<' | '>' | '=' | '^' | '~'));
        let (own, version) = word.split_at(end.unwrap_or(word.len()));
        operator.push_str(own);
        if version.is_empty() {
            continue;
        }
        let (numbers, depth) = numbers(version)?;
        match operator.as_str() {
            "" | "=" | ">=" | "^" | "~" | "~>" => low = low.max(numbers),
            ">" => low = low.max(behind(numbers, depth)),
            "<" | "<=" => {}
            _ => return None,
        }
        operator.clear();
    }
    operator.is_empty().then_some(low)
}

/// `>18` begins with 19, `>18.5` with 18.6.
fn behind(mut numbers: [u64; 3], depth: usize) -> [u64; 3] {
    if let Some(last) = depth.checked_sub(1) {
        numbers[last] = numbers[last].saturating_add(1);
    }
    numbers
}

/// The numbers of `v18.5.x`, and how many there are.
fn numbers(version: &str) -> Option<([u64; 3], usize)> {
    let plain = version
        .trim_start_matches('v')
        .split(['-', '+'])
        .next()
        .unwrap_or_default();
    let mut found = [0; 3];
    let mut depth = 0;
    for (index, word) in plain.split('.').enumerate() {
        if matches!(word, "x" | "X" | "*") {
            break;
        }
        *found.get_mut(index)? = word.parse().ok()?;
        depth = index + 1;
    }
    Some((found, depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, low) in [
            (">=18", "18"),
            (">= 18.5.0", "18.5"),
            ("^18.17.1", "18.17.1"),
            ("~20.10", "20.10"),
            ("18.x", "18"),
            ("18", "18"),
            ("v18.1", "18.1"),
            ("*", "0"),
            ("x", "0"),
            (">=18 <21", "18"),
            ("<21 >=18.2", "18.2"),
            ("^20 || ^18.19 || >=22", "18.19"),
            (">18", "19"),
            (">18.5", "18.6"),
            ("18.5 - 21", "18.5"),
            ("<=20", "0"),
            (">=18.0.0-rc.1", "18"),
        ] {
            assert_eq!(lowest(range).as_deref(), Some(low), "{range}");
        }
        for range in ["lts", ">=", "18.a", "1.2.3.4", "><1", "99999999999999999999999"] {
            assert_eq!(lowest(range), None, "{range}");
        }
        assert_eq!(
            lowest(&format!(">{}", u64::MAX)).as_deref(),
            Some(u64::MAX.to_string().as_str())
        );
    }
}
