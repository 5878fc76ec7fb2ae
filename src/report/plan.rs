//! Prints a plan: all that would be in the artifact, and what each unit does on a host.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::plan::{Bound, Form, HostFileKind, Plan};
use crate::systemd::{OnUpgrade, Unit};
use crate::tree::Node;

use super::human;

/// For a person.
pub fn plan_text(plan: &Plan, bound: &Bound) -> String {
    let mut text = String::new();
    put(
        &mut text,
        format_args!("{} {} ({}), release {}\n", plan.name, plan.version, plan.arch, bound.id),
    );
    put(
        &mut text,
        format_args!("\nunits (on an upgrade whose release differs):\n"),
    );
    for unit in &plan.units {
        put(
            &mut text,
            format_args!("  {:<36} {}\n", unit.name.to_string(), on_upgrade(unit)),
        );
    }
    for drop_in in &plan.drop_ins {
        put(&mut text, format_args!("  {:<36} drop-in\n", drop_in.path()));
    }
    put(&mut text, format_args!("\ncontrol fields:\n"));
    for (name, value) in plan.control.fields() {
        put(&mut text, format_args!("  {name}: {}\n", value.replace('\n', "\n  ")));
    }
    put(&mut text, format_args!("\nmaintainer scripts:\n"));
    for (name, _, body) in bound.control_files.iter().filter(|(_, mode, _)| *mode == 0o755) {
        put(
            &mut text,
            format_args!(
                "  {name:<36} {} lines\n",
                body.iter().filter(|byte| **byte == b'\n').count()
            ),
        );
    }
    put(
        &mut text,
        format_args!(
            "\non the host, owned by dpkg:\n  {}\n  {}\n",
            payload(plan, bound),
            bound.manifest_path()
        ),
    );
    for file in &bound.host_files {
        let about = match &file.kind {
            HostFileKind::Dir => "directory".to_owned(),
            HostFileKind::Symlink(target) => format!("-> {target}"),
            HostFileKind::File(mode, bytes) => format!("{mode:04o} {}", human(bytes.len() as u64)),
        };
        put(&mut text, format_args!("  {:<56} {about}\n", file.path.to_string()));
    }
    if !plan.files.is_empty() {
        put(&mut text, format_args!("\non the host, for its admin to edit:\n"));
    }
    for (path, mode) in &plan.files {
        put(&mut text, format_args!("  {:<56} {mode:04o}\n", path.to_string()));
    }
    let (files, bytes) = totals(plan);
    put(
        &mut text,
        format_args!("\nrelease {} ({} files, {}):\n", bound.id, files, human(bytes)),
    );
    for (path, node) in plan.tree.iter() {
        match node {
            Node::Dir => put(&mut text, format_args!("  {path}/\n")),
            Node::Symlink(target) => put(&mut text, format_args!("  {path} -> {target}\n")),
            Node::File(file) => {
                let mark = if file.executable { "*" } else { "" };
                put(&mut text, format_args!("  {path}{mark} {}\n", human(file.size)));
            }
        }
    }
    text
}

/// For a program.
pub fn plan_json(plan: &Plan, bound: &Bound) -> Value {
    let units: Vec<Value> = plan
        .units
        .iter()
        .map(|unit| {
            json!({
                "name": unit.name.as_str(),
                "on_upgrade": unit.relpack.on_upgrade.word(),
                "enabled": unit.relpack.enable,
                "gated": unit.relpack.gated,
                "generated": unit.generated,
                "text": crate::plan::bound_text(unit, &bound.id),
            })
        })
        .collect();
    let entries: Vec<Value> = plan
        .tree
        .iter()
        .map(|(path, node)| match node {
            Node::Dir => json!({"path": path.as_str(), "type": "directory"}),
            Node::Symlink(target) => json!({"path": path.as_str(), "type": "link", "target": target}),
            Node::File(file) => {
                json!({"path": path.as_str(), "type": "file", "executable": file.executable, "size": file.size})
            }
        })
        .collect();
    let control: serde_json::Map<String, Value> = plan
        .control
        .fields()
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let scripts: serde_json::Map<String, Value> = bound
        .control_files
        .iter()
        .filter(|(_, mode, _)| *mode == 0o755)
        .map(|(name, _, body)| ((*name).to_owned(), json!(String::from_utf8_lossy(body))))
        .collect();
    let host_files: Vec<&str> = bound.host_files.iter().map(|file| file.path.as_str()).collect();
    json!({
        "name": plan.name.as_str(),
        "version": plan.version.as_str(),
        "architecture": plan.arch.as_str(),
        "release_id": bound.id.as_str(),
        "source_date": plan.source_date,
        "payload": plan.form.to_string(),
        "control": control,
        "units": units,
        "files": plan.files.iter().map(|(path, mode)| json!({
            "path": path.as_str(),
            "mode": format!("{mode:04o}"),
        })).collect::<Vec<_>>(),
        "links": plan.links.iter().map(|(path, target)| json!({
            "path": path.as_str(),
            "target": target,
        })).collect::<Vec<_>>(),
        "drop_ins": plan.drop_ins.iter().map(|drop_in| json!({
            "path": drop_in.path(),
            "text": drop_in.file.render(),
        })).collect::<Vec<_>>(),
        "scripts": scripts,
        "host_files": host_files,
        "release": entries,
        "settings": plan.settings,
    })
}

/// Where dpkg puts the release.
fn payload(plan: &Plan, bound: &Bound) -> String {
    match plan.form {
        Form::Files => format!("{}/ (the release's files)", bound.payload),
        Form::Archive(compression) => bound.archive_path(compression).to_string(),
    }
}

/// What a deploy does with a unit, in words.
fn on_upgrade(unit: &Unit) -> String {
    let relpack = &unit.relpack;
    let service = unit.name.as_str().ends_with(".service");
    let what = match relpack.on_upgrade {
        OnUpgrade::Restart if service => "restart",
        OnUpgrade::Restart => "restart, if its own text changed",
        OnUpgrade::Reload => "reload",
        OnUpgrade::TryRestart => "restart, if it runs",
        OnUpgrade::NoBlock => "restart without waiting",
        OnUpgrade::None => "nothing",
    };
    let gate = match (&relpack.health, relpack.gated) {
        (Some(health), true) => format!(", gated by {} {}", health.word(), health.target()),
        (None, true) => ", gated: it has to stay up".to_owned(),
        _ => String::new(),
    };
    let tried = match relpack.trial {
        Some(address) => format!(", after a trial at {address}"),
        None => String::new(),
    };
    let made = if unit.generated { " (made by relpack)" } else { "" };
    format!("{what}{gate}{tried}{made}")
}

fn totals(plan: &Plan) -> (usize, u64) {
    plan.tree.iter().fold((0, 0), |(files, bytes), (_, node)| match node {
        Node::File(file) => (files + 1, bytes + file.size),
        _ => (files, bytes),
    })
}

fn put(text: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
