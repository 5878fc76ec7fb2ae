//! What a Rust project tells: where its program is built, and what may not be packed with it.

use super::cargo::{self, Project};
use super::look::{Dir, LookError};
use super::{Runtime, Seen, description, exec_word, package_name, shown, version};

/// What cargo leaves beside programs.
const BESIDE: &str = "build,deps,examples,incremental,.fingerprint,.cargo-lock,*.d,*.rlib,*.rmeta";

pub(super) fn look(dir: &Dir) -> Result<Seen, LookError> {
    let mut seen = Seen::new(Runtime::Rust);
    let project = Project::read(dir)?.ok_or_else(|| {
        let hint = "start where the Cargo.toml with the program's [package] lies";
        dir.nothing(Runtime::Rust, hint)
    })?;
    let package = project.manifest.get("package").and_then(|package| package.as_table());
    let package = package.ok_or_else(|| no_package(dir, &project))?;
    let text = |key: &str| package.get(key).and_then(|value| value.as_str());
    seen.name = text("name").and_then(package_name);
    seen.version = text("version").and_then(version);
    seen.description = text("description").and_then(description);
    let programs = project.programs(dir);
    let Some((program, more)) = programs.split_first() else {
        let (problem, hint) = match text("name") {
            Some(_) => (
                "its package is a library, without a program",
                "start where the Cargo.toml of the program lies, or write src/main.rs",
            ),
            None => ("it has no package.name", "write name = \"…\" below [package]"),
        };
        return Err(dir.silent("Cargo.toml", problem, hint));
    };
    seen.source = project.target();
    seen.exec = exec_word(program);
    let built = format!("{}/{program}", seen.source);
    if !dir.is_program(&built) {
        seen.notes.push(format!(
            "{} is not there yet: run `cargo build --release` before `relpack build`",
            shown(&built)
        ));
    }
    seen.cargo = cargo::package(&project.manifest, program);
    match &seen.cargo {
        Some(package) => {
            seen.name = package.name.clone().or(seen.name);
            seen.exec = exec_word(&package.program);
        }
        None => {
            leave_out(&mut seen, project.others(dir));
            super::left_behind(dir, &mut seen);
            let told = text("default-run").is_some() || text("name") == Some(program);
            say_others(&mut seen, program, if told { &[] } else { more });
        }
    }
    Ok(seen)
}

fn no_package(dir: &Dir, project: &Project) -> LookError {
    let members = project.members_with_programs(dir);
    let hint = match members.as_slice() {
        [] => "start where the Cargo.toml of the program lies".to_owned(),
        members => format!(
            "start in the directory of the program: {}",
            shown(&members.join(" or "))
        ),
    };
    dir.silent("Cargo.toml", "it has no [package]", hint)
}

/// One pattern, so that it is no warning when a part of it matches nothing.
fn leave_out(seen: &mut Seen, mut others: Vec<String>) {
    // Cargo takes no other names; in a pattern they would mean something else.
    others.retain(|name| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    });
    let mut all = vec![BESIDE.to_owned()];
    if !others.is_empty() {
        seen.left_out = Some(
            "The programs of the workspace's other members are left out by their names: add those that come later."
                .to_owned(),
        );
        all.extend(others);
    }
    seen.exclude = vec![format!("{{{}}}", all.join(","))];
}

/// Where nothing tells which program is the service.
fn say_others(seen: &mut Seen, program: &str, others: &[String]) {
    if others.is_empty() {
        return;
    }
    let said = format!(
        "the package has other programs too ({}): guessed that the service is {program}; default-run of Cargo.toml tells",
        others.join(", ")
    );
    seen.remark(&said);
}
