//! Checks the links that lead into the release from outside of it, and finds the programs that they name.

use crate::config::{Config, HostLink, LinkTarget};
use crate::model::TreePath;
use crate::systemd::{Origin, UnitError};
use crate::tree::{Node, Tree, link_problem};

use super::PlanError;

/// Directories of programs, in which people look by name.
const PROGRAMS: &[&str] = &["bin", "games", "sbin"];

/// What is not there, or can't be executed where programs are looked for.
pub fn check(config: &Config, tree: &Tree) -> Vec<PlanError> {
    let problems = inside(config).filter_map(|(link, path)| {
        let (problem, hint) = problem(config, tree, link, path)?;
        let message = format!("it leads to {path}, which {problem}");
        let error = UnitError::of(&Origin::Files, message, hint).at_key(link.path.as_str());
        Some(PlanError::Unit(Box::new(error)))
    });
    problems.collect()
}

fn problem(config: &Config, tree: &Tree, link: &HostLink, path: &TreePath) -> Option<(String, String)> {
    if let Some(problem) = link_problem(tree, &config.shared.links, &config.release.prefix, path) {
        return Some(problem);
    }
    let programs = || "name a program of the release".to_owned();
    match tree.get(path) {
        Some(Node::Dir) if is_program(link) => Some(("is a directory".to_owned(), programs())),
        Some(Node::File(file)) if is_program(link) && !file.executable => {
            Some(("is not executable".to_owned(), format!("chmod +x {path}")))
        }
        _ => None,
    }
}

/// The programs of the release that people run by a link, as paths in it.
pub fn programs(config: &Config) -> impl Iterator<Item = &TreePath> {
    inside(config)
        .filter(|(link, _)| is_program(link))
        .map(|(_, path)| path)
}

fn inside(config: &Config) -> impl Iterator<Item = (&HostLink, &TreePath)> {
    config.links.iter().filter_map(|link| match &link.to {
        LinkTarget::Release(path) => Some((link, path)),
        LinkTarget::Host(_) => None,
    })
}

fn is_program(link: &HostLink) -> bool {
    link.path.components().nth(1).is_some_and(|dir| PROGRAMS.contains(&dir))
}
