//! Owns the JSON schema of `relpack.toml` for editors: its keys stand in a file, words and directives come from where they are read.

use serde_json::{Map, Value, json};

use crate::config::{PRIORITIES, Payload, Strategy};
use crate::model::{Arch, Compression, Lint, Suite, UnitKind};
use crate::systemd::{OnUpgrade, directives, presets};

const KEYS: &str = include_str!("../pkg-templates/schema/relpack.json");

/// The sections that `[units]` can have, beside `X-Relpack`.
const SECTIONS: &[&str] = &[
    "Unit",
    "Install",
    "Service",
    "Socket",
    "Timer",
    "Path",
    "Slice",
    "Mount",
    "Automount",
    "Swap",
];

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema: Value = serde_json::from_str(KEYS).expect("the embedded file is JSON");
    let mut words = |pointer: &str, words: Vec<&str>| {
        let key = schema.pointer_mut(pointer).and_then(Value::as_object_mut);
        key.expect("the embedded file has the key")
            .insert("enum".into(), json!(words));
    };
    words("/properties/package/properties/priority", PRIORITIES.to_vec());
    words(
        "/properties/package/properties/architecture",
        Arch::ALL.iter().map(|arch| arch.as_str()).collect(),
    );
    words(
        "/properties/package/properties/target",
        Suite::ALL.iter().map(|suite| suite.as_str()).collect(),
    );
    words("/properties/release/properties/payload", firsts(Payload::WORDS));
    words("/properties/release/properties/compression", firsts(Compression::WORDS));
    words("/properties/deploy/properties/strategy", firsts(Strategy::WORDS));
    words("/properties/defaults/properties/preset", presets::names().collect());
    words(
        "/$defs/X-Relpack/properties/OnUpgrade",
        OnUpgrade::ALL.iter().map(|choice| choice.word()).collect(),
    );
    let lints = Lint::ALL.iter().filter(|lint| lint.may_be_allowed());
    schema["properties"]["lints"]["properties"]["allow"]["propertyNames"] =
        json!({"enum": lints.map(|lint| lint.name()).collect::<Vec<_>>()});
    for section in SECTIONS {
        schema["$defs"][*section] = directives_of(section);
    }
    let units = UnitKind::ALL.iter().map(|kind| unit(*kind));
    schema["properties"]["units"]["patternProperties"] = Value::Object(units.collect());
    schema
}

fn firsts<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}

/// Units whose name ends like this, and their sections.
fn unit(kind: UnitKind) -> (String, Value) {
    let sections: Map<String, Value> = directives::sections(kind)
        .into_iter()
        .chain(["X-Relpack"])
        .map(|section| (section.to_owned(), json!({"$ref": format!("#/$defs/{section}")})))
        .collect();
    let unit = json!({
        "type": "object",
        "properties": sections,
        // systemd ignores what begins with X-.
        "patternProperties": {"^X-": {"type": "object"}},
        "additionalProperties": false,
    });
    (format!("\\.{}$", kind.suffix()), unit)
}

fn directives_of(section: &str) -> Value {
    let value = |name: &str| match name {
        "Environment" => json!({"$ref": "#/$defs/environment"}),
        _ => json!({"$ref": "#/$defs/value"}),
    };
    let directives: Map<String, Value> = directives::of_section(section)
        .map(|directive| (directive.name.to_owned(), value(directive.name)))
        .collect();
    json!({"type": "object", "properties": directives, "additionalProperties": false})
}
