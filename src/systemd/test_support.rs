//! What the tests of the resolution share: a package, and units from their texts.

use super::*;
use crate::model::Seconds;

pub(super) fn parse<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub(super) fn context() -> Context {
    Context {
        package: parse("acme"),
        synopsis: "100% Acme".into(),
        prefix: parse("/opt/acme"),
        user: parse("acme"),
        group: parse("acme"),
        env_file: None,
        env_required: vec![parse("DATABASE_URL")],
        instances: Default::default(),
        deploy: DeployInput {
            timeout: Seconds(600),
            one_at_a_time: false,
            reload: false,
            lame_duck: false,
            addresses: vec![],
        },
        writable: vec![],
        defaults: Defaults::default(),
        migrate: None,
        systemd: 252,
    }
}

pub(super) fn input(units: &[(&str, &str)]) -> Vec<UnitInput> {
    units
        .iter()
        .map(|(name, text)| UnitInput {
            name: parse(name),
            file: UnitFile::parse(text).unwrap(),
        })
        .collect()
}

pub(super) fn good(units: &[(&str, &str)], ctx: &Context) -> Vec<Unit> {
    resolve(input(units), ctx).unwrap().0
}

pub(super) fn one(name: &str, text: &str) -> Unit {
    good(&[(name, text)], &context()).remove(0)
}

pub(super) fn errors(units: &[(&str, &str)], ctx: &Context) -> Vec<UnitError> {
    resolve(input(units), ctx).unwrap_err()
}

/// The only error of a service that has `text` besides its `ExecStart=`.
pub(super) fn error(text: &str) -> UnitError {
    let text = format!("[Service]\nExecStart=a\n{text}");
    let mut errors = errors(&[("acme.service", &text)], &context());
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

pub(super) fn warnings(units: &[(&str, &str)]) -> Vec<String> {
    let (_, warnings) = resolve(input(units), &context()).unwrap();
    warnings.into_iter().map(|w| w.0.message).collect()
}

pub(super) const SERVICE: &str = "[Service]\nExecStart=bin/a\n";
