//! Owns the rule where a release's symlinks may lead: inside the release, or to `/usr` and `/bin`.

use std::collections::BTreeMap;

use super::{Node, Tree};
use crate::model::{AbsPath, TreePath};

/// Hops after which the kernel gives up too (path_resolution(7)).
pub(super) const MAX_HOPS: u32 = 40;
/// Longest target that symlink(2) takes.
const TARGET_MAX: usize = 4095;

/// What is wrong with the text of a target, whatever it points to.
pub(super) fn bad_target(target: &str) -> Option<String> {
    if target.is_empty() {
        return Some("is empty".into());
    }
    if target.len() > TARGET_MAX {
        return Some(format!("has {} bytes, more than {TARGET_MAX}", target.len()));
    }
    let bad = target.chars().find(|&c| c.is_control() || c == '\\')?;
    Some(format!("contains {bad:?}"))
}

/// Why a symlink is refused: the problem and what to do.
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) hint: String,
    /// The path that is missing, when that is the problem.
    pub(super) dangling: Option<String>,
}

/// What the check of a link has to know.
pub(super) struct Checker<'a> {
    pub(super) tree: &'a Tree,
    /// Links into `shared/`, which lead out on purpose.
    pub(super) shared: &'a BTreeMap<TreePath, String>,
    pub(super) prefix: &'a AbsPath,
    /// The source directory, to recognise links that name it.
    pub(super) root: &'a str,
}

impl Checker<'_> {
    /// Follows a link as the kernel would on the host.
    pub(super) fn check(&self, link: &TreePath, target: &str) -> Result<(), Refusal> {
        let mut at: Vec<String> = link.components().map(String::from).collect();
        at.pop();
        let mut todo: Vec<String> = Vec::new();
        let mut hops = 0;
        self.follow(link, target, &mut todo)?;
        if target.starts_with('/') {
            return Ok(());
        }
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if at.pop().is_none() {
                        return Err(refuse(
                            "leads out of the release",
                            "a release can't reach what is beside it: put the target into the source directory, or make it an absolute link below /usr",
                        ));
                    }
                    continue;
                }
                _ => at.push(part),
            }
            let path = at.join("/");
            let Ok(path) = path.parse::<TreePath>() else {
                return Err(dangling(&path));
            };
            match self.tree.get(&path) {
                None => return Err(dangling(path.as_str())),
                Some(Node::Dir) => {}
                Some(Node::File(_)) if todo.is_empty() => {}
                Some(Node::File(_)) => {
                    return Err(refuse(
                        format!("goes through {:?}, which is a file", path.as_str()),
                        "point it to something that exists",
                    ));
                }
                Some(Node::Symlink(_)) if self.shared.contains_key(&path) => return Ok(()),
                Some(Node::Symlink(next)) => {
                    hops += 1;
                    if hops > MAX_HOPS {
                        return Err(refuse(
                            "never ends: it leads through itself",
                            "point it to something that exists",
                        ));
                    }
                    at.pop();
                    self.follow(link, next, &mut todo)?;
                    if next.starts_with('/') {
                        return outside_stays(&todo);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a target's components on the stack of those still to walk, if it may be followed.
    fn follow(&self, link: &TreePath, target: &str, todo: &mut Vec<String>) -> Result<(), Refusal> {
        if target.starts_with('/') {
            self.check_absolute(link, target)?;
        } else {
            todo.extend(target.split('/').rev().map(String::from));
        }
        Ok(())
    }

    fn check_absolute(&self, link: &TreePath, target: &str) -> Result<(), Refusal> {
        let under = |dir: &str| {
            target
                .strip_prefix(dir)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let shared = format!("{}/shared", self.prefix);
        if target.split('/').any(|part| part == "..") {
            Err(refuse("is absolute and contains \"..\"", "write the path out"))
        } else if under("/usr") || under("/bin") {
            Ok(())
        } else if under(&shared) {
            Err(refuse(
                "leads into shared/",
                "name it in [shared] links instead of packing the link",
            ))
        } else if under(self.root) {
            Err(refuse(
                "names the build machine's source directory",
                "make it relative: `ln -sr`",
            ))
        } else if self.is_of_environment(link) {
            Err(refuse(
                "leads to a Python that no host has",
                "make the virtual environment anew with Debian's: `/usr/bin/python3 -m venv --clear`",
            ))
        } else {
            Err(refuse(
                "leads out of the release",
                "only /usr and /bin may be linked to: copy the target into the release, or make the link relative",
            ))
        }
    }

    /// Whether it is an interpreter of a virtual environment: they are `bin/python*` beside its `pyvenv.cfg`.
    fn is_of_environment(&self, link: &TreePath) -> bool {
        let mut parts: Vec<&str> = link.components().collect();
        let (name, place) = (parts.pop(), parts.pop());
        parts.push("pyvenv.cfg");
        let config = parts.join("/").parse::<TreePath>().ok();
        place == Some("bin")
            && name.is_some_and(|name| name.starts_with("python") || name.starts_with("pypy"))
            && config.is_some_and(|config| matches!(self.tree.get(&config), Some(Node::File(_))))
    }
}

/// Why a path of a release leads nowhere on a host, and what to do; `None` where it is there.
pub fn link_problem(
    tree: &Tree,
    shared: &BTreeMap<TreePath, String>,
    prefix: &AbsPath,
    path: &TreePath,
) -> Option<(String, String)> {
    // The scan has refused links that name the source directory.
    let root = prefix.as_str();
    let checker = Checker {
        tree,
        shared,
        prefix,
        root,
    };
    let top = path.components().next()?.parse().ok()?;
    let refusal = checker.check(&top, path.as_str()).err()?;
    Some(match refusal.dangling {
        Some(_) => (
            "is not in the release".to_owned(),
            "build it first, or check release.source and release.exclude".to_owned(),
        ),
        None => (refusal.problem, refusal.hint),
    })
}

/// Past an absolute link, what remains must not climb back up.
fn outside_stays(todo: &[String]) -> Result<(), Refusal> {
    if todo.iter().any(|part| part == "..") {
        return Err(refuse(
            "leaves the release and climbs up again",
            "point it to its target directly",
        ));
    }
    Ok(())
}

fn dangling(path: &str) -> Refusal {
    Refusal {
        dangling: Some(path.to_owned()),
        ..refuse(
            format!("dangles: {path:?} is not in the release"),
            "remove the link or exclude it too; an absolute link below /usr may name what only the host has",
        )
    }
}

fn refuse(problem: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal {
        problem: problem.into(),
        hint: hint.into(),
        dangling: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(links: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for file in ["bin/app", "a/b/file", "top"] {
            tree.insert_bytes(file.parse().unwrap(), false, *b"x").unwrap();
        }
        for (link, target) in links {
            tree.insert_symlink(link.parse().unwrap(), *target).unwrap();
        }
        tree
    }

    fn problem(link: &str, target: &str, others: &[(&str, &str)]) -> Option<String> {
        let tree = tree(others);
        let shared = BTreeMap::from([("up".parse().unwrap(), "up".to_owned())]);
        let prefix = "/opt/acme".parse().unwrap();
        let checker = Checker {
            tree: &tree,
            shared: &shared,
            prefix: &prefix,
            root: "/home/ci/build",
        };
        checker
            .check(&link.parse().unwrap(), target)
            .err()
            .map(|refusal| refusal.problem)
    }

    #[test]
    fn links_inside_and_to_usr_are_fine() {
        for (link, target) in [
            ("l", "top"),
            ("l", "./bin//app"),
            ("a/b/l", "../../bin/app"),
            ("a/b/l", "."),
            ("a/l", "b/"),
            ("l", "/usr/bin/python3"),
            ("l", "/bin/sh"),
            ("a/l", "../bin/../top"),
        ] {
            assert_eq!(problem(link, target, &[]), None, "{link} -> {target}");
        }
        assert_eq!(problem("l", "d/b/file", &[("d", "a")]), None);
        assert_eq!(problem("l", "up/pic.png", &[("up", "/opt/acme/shared/up")]), None);
        assert_eq!(problem("l", "py/python3", &[("py", "/usr/bin")]), None);
        assert_eq!(problem("l", "a/../top", &[]), None);
    }

    #[test]
    fn others_are_refused() {
        for (link, target, others, expected) in [
            ("l", "../x", &[][..], "leads out"),
            ("a/l", "../../x", &[], "leads out"),
            ("l", "/etc/passwd", &[], "leads out"),
            ("l", "/usrlocal", &[], "leads out"),
            ("l", "/usr/../etc/passwd", &[], "contains \"..\""),
            ("l", "/opt/acme/shared/x", &[], "leads into shared/"),
            ("l", "/home/ci/build/top", &[], "source directory"),
            ("l", "missing", &[], "dangles"),
            ("l", "top/", &[], "which is a file"),
            ("l", "l", &[("l", "l")], "never ends"),
            // The kernel resolves `..` after the link, so this is not `top`'s neighbour.
            ("l", "d/../../x", &[("d", "a/b")], "dangles"),
            ("l", "d/../../../x", &[("d", "a/b")], "leads out"),
            ("l", "py/../../etc", &[("py", "/usr/bin")], "climbs up"),
        ] {
            let found = problem(link, target, others);
            assert!(
                found.as_deref().is_some_and(|p| p.contains(expected)),
                "{link} -> {target}: {found:?}"
            );
        }
    }

    #[test]
    fn targets_that_no_manifest_can_hold() {
        for bad in ["", "a\tb", "a\nb", "a\\b", &"x".repeat(4096)] {
            assert!(bad_target(bad).is_some(), "{bad:?}");
        }
        assert!(bad_target(&"x".repeat(4095)).is_none());
    }
}
