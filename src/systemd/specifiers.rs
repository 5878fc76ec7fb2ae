//! Owns the specifiers that stand for a unit's own name (systemd.unit(5)), where directives move to a unit of another name.

use crate::model::UnitName;

/// A specifier of a template that only an instance gives a value: `%i` in `acme@.service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfInstance(pub char);

/// The value with what stands for the name of `unit` written out, so that it says the same in another unit.
pub(super) fn written_out(value: &str, unit: &UnitName) -> Result<String, OfInstance> {
    let full = unit.as_str();
    let stem = full.rsplit_once('.').map_or(full, |(stem, _)| stem);
    let prefix = unit.prefix();
    let last = prefix.rsplit_once('-').map_or(prefix, |(_, last)| last);
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(c @ ('i' | 'I' | 'n' | 'N' | 'f')) if unit.is_template() => return Err(OfInstance(c)),
            Some('n') => out.push_str(full),
            Some('N') => out.push_str(stem),
            Some('p') => out.push_str(prefix),
            Some('j') => out.push_str(last),
            // Unescaped, a dash is a slash.
            Some('P') => out.push_str(&prefix.replace('-', "/")),
            Some('J') => out.push_str(&last.replace('-', "/")),
            Some('f') => {
                out.push('/');
                out.push_str(&prefix.replace('-', "/"));
            }
            // Empty in a plain unit, there as here.
            Some('i' | 'I') => {}
            other => {
                out.push('%');
                out.extend(other);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_out() {
        let plain: UnitName = "acme-web.service".parse().unwrap();
        for (value, expected) in [
            ("%n %N %p %j", "acme-web.service acme-web acme-web web"),
            ("%P %J %f", "acme/web web /acme/web"),
            ("a%i%Ib", "ab"),
            ("100%% %t/%h %%n", "100%% %t/%h %%n"),
            ("%", "%"),
        ] {
            assert_eq!(written_out(value, &plain).unwrap(), expected, "{value}");
        }
        let template: UnitName = "acme@.service".parse().unwrap();
        assert_eq!(written_out("%p %t %%i", &template).unwrap(), "acme %t %%i");
        for c in ['i', 'I', 'n', 'N', 'f'] {
            assert_eq!(written_out(&format!("x %{c}"), &template), Err(OfInstance(c)));
        }
    }
}
