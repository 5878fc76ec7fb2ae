//! Owns the placeholders `{app} {shared} {prefix} {instance} {env.NAME}` of unit values.

use super::directives::closest;

const NAMES: &[&str] = &["app", "shared", "prefix", "instance"];

/// What the placeholders stand for in one unit.
#[derive(Debug, Clone)]
pub(crate) struct Vars {
    pub app: String,
    pub shared: String,
    pub prefix: String,
    /// Templates have one.
    pub instance: Option<&'static str>,
}

/// The value with its placeholders filled in; `{env.NAME}` is refused, or kept where `keep_env`.
///
/// An `Err` holds a message and a hint. Other braces are text: `${PORT}`, JSON, `{a,b}`.
pub(crate) fn expand(value: &str, vars: &Vars, keep_env: bool) -> Result<String, (String, String)> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        let is_variable = rest[..open].ends_with('$');
        let body = after
            .find('}')
            .map(|close| &after[..close])
            .filter(|body| !is_variable && !body.is_empty());
        let replacement = match body {
            Some("app") => Some(vars.app.as_str()),
            Some("shared") => Some(vars.shared.as_str()),
            Some("prefix") => Some(vars.prefix.as_str()),
            Some("instance") => Some(vars.instance.ok_or_else(|| {
                (
                    "{instance} stands in a unit that has no instances".to_owned(),
                    "only a template, for example \"acme@.service\", has instances".to_owned(),
                )
            })?),
            Some(body) => {
                check_unknown(body, keep_env)?;
                None
            }
            None => None,
        };
        match (replacement, body) {
            (Some(text), Some(body)) => {
                out.push_str(&rest[..open]);
                out.push_str(text);
                rest = &after[body.len() + 1..];
            }
            _ => {
                out.push_str(&rest[..=open]);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn check_unknown(body: &str, keep_env: bool) -> Result<(), (String, String)> {
    if let Some(name) = body.strip_prefix("env.") {
        if keep_env {
            return Ok(());
        }
        return Err((
            format!("{{{body}}} stands outside of Health"),
            format!("in a command line write ${{{name}}}, which systemd fills in from the environment"),
        ));
    }
    let is_word = body.bytes().all(|b| b.is_ascii_alphabetic());
    match closest(body, NAMES.iter().copied()).filter(|_| is_word) {
        Some(similar) => Err((
            format!("the placeholder {{{body}}} is not known"),
            format!("did you mean {{{similar}}}?"),
        )),
        None => Ok(()),
    }
}

/// The names in the `{env.NAME}` of a text.
pub(crate) fn env_names(value: &str) -> Vec<&str> {
    value
        .split("{env.")
        .skip(1)
        .filter_map(|part| part.split_once('}').map(|(name, _)| name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        Vars {
            app: "/opt/acme/app".into(),
            shared: "/opt/acme/shared".into(),
            prefix: "/opt/acme".into(),
            instance: None,
        }
    }

    #[test]
    fn filled_in() {
        let template = Vars {
            instance: Some("%i"),
            ..vars()
        };
        assert_eq!(
            expand("{app}/a {shared}:{prefix} {instance}", &template, false).unwrap(),
            "/opt/acme/app/a /opt/acme/shared:/opt/acme %i"
        );
        for text in [
            "${app} $PORT",
            "{\"a\": {\"b\": 1}}",
            "{a,b}",
            "{}",
            "{",
            "a}",
            "{{data}}",
            "{x y}",
        ] {
            assert_eq!(expand(text, &vars(), false).unwrap(), text);
        }
        assert_eq!(expand("{{app}}", &vars(), false).unwrap(), "{/opt/acme/app}");
    }

    #[test]
    fn refused() {
        assert!(expand("{instance}", &vars(), false).is_err());
        assert!(expand("{env.PORT}", &vars(), false).is_err());
        assert_eq!(expand("{env.PORT}", &vars(), true).unwrap(), "{env.PORT}");
        assert_eq!(
            expand("{shard}", &vars(), false).unwrap_err().1,
            "did you mean {shared}?"
        );
        assert_eq!(expand("{App}", &vars(), false).unwrap_err().1, "did you mean {app}?");
    }

    #[test]
    fn names_of_variables() {
        assert_eq!(env_names("http://{env.HOST}:{env.PORT}/x"), ["HOST", "PORT"]);
        assert!(env_names("{env.").is_empty());
    }
}
