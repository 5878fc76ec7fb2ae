//! Owns systemd's quoting of words in a value (systemd.syntax(7), "Quoting").

use std::ops::Range;

use crate::model::EnvName;

/// The value of an `Environment=` line that sets one variable to exactly `value`, which is data: `%` becomes `%%`.
///
/// The caller refuses control characters; a newline can't be in a unit file's value.
pub fn environment_assignment(name: &EnvName, value: &str) -> String {
    let mut text = format!("\"{name}=");
    for c in value.chars() {
        match c {
            '\\' | '"' => {
                text.push('\\');
                text.push(c);
            }
            '%' => text.push_str("%%"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// A word of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it stands in the value, its quotes included.
    pub range: Range<usize>,
    /// Without quotes and escapes.
    pub text: String,
}

/// The words of a value without their quotes; none where a quote stays open.
pub fn quoted_words(value: &str) -> Vec<String> {
    let words = words(value).unwrap_or_default();
    words.into_iter().map(|word| word.text).collect()
}

/// Splits a value into words; the error says which quote stays open.
pub(crate) fn words(value: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut chars = value.char_indices().peekable();
    while let Some(&(start, first)) = chars.peek() {
        if first.is_ascii_whitespace() {
            chars.next();
            continue;
        }
        let mut text = String::new();
        let mut quote: Option<char> = None;
        let mut end = value.len();
        while let Some(&(at, c)) = chars.peek() {
            if quote.is_none() && c.is_ascii_whitespace() {
                end = at;
                break;
            }
            chars.next();
            match c {
                '\\' => unescape(&mut chars, &mut text),
                c if quote == Some(c) => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c => text.push(c),
            }
        }
        if let Some(open) = quote {
            return Err(format!("the quote {open} in {:?} is never closed", &value[start..]));
        }
        words.push(Word {
            range: start..end,
            text,
        });
    }
    Ok(words)
}

type Chars<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

/// Reads what follows a backslash; an escape that systemd doesn't know is kept as it is.
fn unescape(chars: &mut Chars<'_>, text: &mut String) {
    let Some((_, c)) = chars.next() else {
        text.push('\\');
        return;
    };
    let simple = match c {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        's' => Some(' '),
        '\\' | '"' | '\'' => Some(c),
        _ => None,
    };
    if let Some(simple) = simple {
        text.push(simple);
        return;
    }
    let (digits, radix) = match c {
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (2, 8),
        _ => (0, 10),
    };
    let mut number = c.to_digit(radix).filter(|_| radix == 8).unwrap_or(0);
    let mut seen = String::new();
    while seen.len() < digits {
        let Some(digit) = chars.peek().and_then(|(_, d)| d.to_digit(radix)) else {
            break;
        };
        if let Some((_, d)) = chars.next() {
            seen.push(d);
        }
        number = number.wrapping_mul(radix).wrapping_add(digit);
    }
    match char::from_u32(number) {
        Some(decoded) if digits > 0 && seen.len() == digits => text.push(decoded),
        _ => {
            text.push('\\');
            text.push(c);
            text.push_str(&seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<String> {
        words(value).unwrap().into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn words_as_systemd_splits_them() {
        assert_eq!(texts("  a  b\tc "), ["a", "b", "c"]);
        assert_eq!(texts(r#""a b" 'c "d' e"f g"h"#), ["a b", "c \"d", "ef gh"]);
        assert_eq!(texts(r"a\sb \x41\102 \q \\"), ["a b", "AB", "\\q", "\\"]);
        assert_eq!(texts(r#""A=b \"c\" d""#), ["A=b \"c\" d"]);
        assert_eq!(texts("''"), [""]);
        assert!(words("a \"b").unwrap_err().contains("never closed"));
        assert_eq!(words("a 'b c'").unwrap()[1].range, 2..7);
        assert_eq!(texts(r"\xZZ \"), ["\\xZZ", "\\"]);
    }

    #[test]
    fn an_assignment_is_read_back_as_it_was() {
        let name: EnvName = "X".parse().unwrap();
        for value in ["", "a b", "quote\" and 'single'", "back\\slash\\n", "$HOME", "é#;"] {
            let line = environment_assignment(&name, value);
            assert_eq!(texts(&line), [format!("X={value}")], "{value}");
        }
        assert_eq!(environment_assignment(&name, "50%"), "\"X=50%%\"");
    }
}
