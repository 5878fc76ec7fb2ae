//! Owns `TreePath` and `AbsPath`: paths that dpkg, tar, the manifest and a shell can all carry unchanged.

use std::str::FromStr;

use super::{ValueError, string_like};

/// Longest component: dpkg appends `.dpkg-new` while it unpacks, and a file name has at most 255 bytes.
const COMPONENT_MAX: usize = 246;
/// Longest path: below `PATH_MAX` (4096) with room for the prefix.
const PATH_MAX: usize = 4000;

/// A path inside a release: relative, `/`-separated, without empty, `.` or `..` components.
///
/// Ordered by bytes, as the manifest is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);
string_like!(TreePath);

impl TreePath {
    /// This path with further components: `a` and `b/c` give `a/b/c`.
    pub fn join(&self, below: &str) -> Result<TreePath, ValueError> {
        format!("{}/{}", self.0, below).parse()
    }

    /// The directory that holds this path; `None` at the top of the tree.
    pub fn parent(&self) -> Option<TreePath> {
        self.0.rsplit_once('/').map(|(dir, _)| TreePath(dir.to_owned()))
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The components from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether this path is `dir` or lies below it, by whole components.
    pub fn starts_with(&self, dir: &TreePath) -> bool {
        below(&self.0, &dir.0)
    }
}

impl FromStr for TreePath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |problem: String, hint: &str| ValueError::new("path", text, problem, hint);
        if text.is_empty() {
            return Err(error("is empty".into(), "write a path such as \"bin/app\""));
        }
        if text.starts_with('/') {
            return Err(error(
                "is absolute".into(),
                "write it relative, without the leading '/'",
            ));
        }
        check(text, text).map_err(|(problem, hint)| error(problem, hint))?;
        Ok(Self(text.to_owned()))
    }
}

/// An absolute path without empty, `.` or `..` components and without a trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(String);
string_like!(AbsPath);

impl AbsPath {
    /// This path with further components: `/opt/acme` and `app/bin` give `/opt/acme/app/bin`.
    pub fn join(&self, below: &str) -> Result<AbsPath, ValueError> {
        if self.0 == "/" {
            return format!("/{below}").parse();
        }
        format!("{}/{}", self.0, below).parse()
    }

    /// The directory that holds this path; `None` for `/`.
    pub fn parent(&self) -> Option<AbsPath> {
        match self.0.rsplit_once('/') {
            _ if self.0 == "/" => None,
            Some(("", _)) => Some(AbsPath("/".to_owned())),
            Some((dir, _)) => Some(AbsPath(dir.to_owned())),
            None => None,
        }
    }

    /// The last component; empty for `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The components from the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// Whether this path is `dir` or lies below it, by whole components.
    pub fn starts_with(&self, dir: &AbsPath) -> bool {
        dir.0 == "/" || below(&self.0, &dir.0)
    }

    /// The same path relative to the root; `None` for `/`.
    pub fn to_tree_path(&self) -> Option<TreePath> {
        let relative = self.0.strip_prefix('/')?;
        (!relative.is_empty()).then(|| TreePath(relative.to_owned()))
    }
}

impl FromStr for AbsPath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = |problem: String, hint: &str| ValueError::new("path", text, problem, hint);
        let Some(relative) = text.strip_prefix('/') else {
            return Err(error(
                "is not absolute".into(),
                "start it with '/', for example \"/opt/acme\"",
            ));
        };
        if !relative.is_empty() {
            check(relative, text).map_err(|(problem, hint)| error(problem, hint))?;
        }
        Ok(Self(text.to_owned()))
    }
}

fn below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn check(relative: &str, whole: &str) -> Result<(), (String, &'static str)> {
    if let Some(bad) = relative.chars().find(|&c| c.is_control() || c == '\\') {
        return Err((
            format!("contains {bad:?}"),
            "rename it: checksum lists and dpkg can't carry backslashes and control characters",
        ));
    }
    for component in relative.split('/') {
        match component {
            "" => {
                return Err(("has an empty component".into(), "remove the doubled or trailing '/'"));
            }
            "." | ".." => {
                return Err((
                    format!("contains {component:?}"),
                    "write the path out without '.' and '..'",
                ));
            }
            long if long.len() > COMPONENT_MAX => {
                return Err((
                    format!("has a name of {} bytes", long.len()),
                    "shorten it: dpkg can't install names over 246 bytes",
                ));
            }
            _ => {}
        }
    }
    if whole.len() > PATH_MAX {
        return Err((
            format!("is {} bytes long", whole.len()),
            "shorten it to at most 4000 bytes",
        ));
    }
    Ok(())
}

/// Where a symlink leads, as a path from the root without a leading slash; never above the root. Links on the way are not
/// followed.
pub fn link_target(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => link.split('/').filter(|part| !part.is_empty()).collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_paths() {
        let path: TreePath = "a/b.c/d e".parse().unwrap();
        assert_eq!(path.parent().unwrap().as_str(), "a/b.c");
        assert_eq!(path.file_name(), "d e");
        assert_eq!(path.join("x").unwrap().as_str(), "a/b.c/d e/x");
        assert!(path.join("../x").is_err());
        assert!(path.starts_with(&"a/b.c".parse().unwrap()));
        assert!(!path.starts_with(&"a/b".parse().unwrap()));
        assert_eq!("a".parse::<TreePath>().unwrap().parent(), None);
        for bad in [
            "", "/a", "a/", "a//b", "./a", "a/./b", "a/../b", "..", "a\\b", "a\nb", "a\u{85}b", "a\u{7f}",
        ] {
            assert!(bad.parse::<TreePath>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(246).parse::<TreePath>().is_ok());
        assert!("a".repeat(247).parse::<TreePath>().is_err());
        assert!(vec!["a".repeat(200); 20].join("/").parse::<TreePath>().is_err());
    }

    #[test]
    fn tree_paths_sort_by_bytes() {
        let mut paths: Vec<TreePath> = ["b", "a/x", "a-b", "a", "B", "é", "a.b"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        paths.sort();
        let texts: Vec<&str> = paths.iter().map(TreePath::as_str).collect();
        assert_eq!(texts, ["B", "a", "a-b", "a.b", "a/x", "b", "é"]);
    }

    #[test]
    fn absolute_paths() {
        let path: AbsPath = "/opt/acme".parse().unwrap();
        assert_eq!(path.join("app").unwrap().as_str(), "/opt/acme/app");
        assert_eq!(path.parent().unwrap().as_str(), "/opt");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(path.to_tree_path().unwrap().as_str(), "opt/acme");
        assert!(path.starts_with(&"/opt".parse().unwrap()));
        assert!(path.starts_with(&"/".parse().unwrap()));
        assert!(!path.starts_with(&"/op".parse().unwrap()));
        assert_eq!(path.components().collect::<Vec<_>>(), ["opt", "acme"]);
        let root: AbsPath = "/".parse().unwrap();
        assert_eq!((root.parent(), root.to_tree_path()), (None, None));
        assert_eq!(root.join("a").unwrap().as_str(), "/a");
        for bad in ["", "opt", "/opt/", "//opt", "/opt/../etc", "/a\nb"] {
            assert!(bad.parse::<AbsPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_lead_where_a_host_leads_them() {
        assert_eq!(link_target("usr/bin/a", "b"), "usr/bin/b");
        assert_eq!(link_target("/usr/bin/a", "b"), "usr/bin/b");
        assert_eq!(link_target("usr/bin/a", "../share/./x//b"), "usr/share/x/b");
        assert_eq!(link_target("usr/bin/a", "/opt/b"), "opt/b");
        assert_eq!(link_target("a", "../../b"), "b");
    }
}
