//! Reads the links of `[files]`: a name below `/usr` that leads into the live release, or to another place of a host.

use super::diagnostics::Problem;
use super::documents::SHELLS;
use super::places::{Layout, MERGED, PLAIN, is_plain};
use super::reader::{At, Doc, Table};
use super::{HostLink, LinkTarget};
use crate::model::{AbsPath, TreePath};

/// What dpkg's packages share; everything else below `/usr` is not a package's.
const SHARED: &[&str] = &["bin", "games", "include", "lib", "libexec", "sbin", "share"];

/// Directories below `/usr` where systemd or relpack read what a package says in other ways.
const NOT_HERE: &[(&[&str], &str)] = &[
    (
        &["lib", "systemd"],
        "write units and their drop-ins into the directory of release.units",
    ),
    (&["lib", "sysusers.d"], "write [user]"),
    (&["lib", "tmpfiles.d"], "write [directories]"),
    (&["lib", "relpack"], "what lies there is relpack's own"),
    (&["share", "lintian"], "what lies there is relpack's own"),
    (&["share", "man"], "write package.man"),
];

/// Where nothing is that a package could rely on.
const FLEETING: &[&str] = &[
    "/dev", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/var/run", "/var/tmp",
];

/// One link; `key` is its place on the host.
pub(super) fn link(entry: &Table<'_>, what: &str, key: &At<String>, layout: &Layout) -> Option<HostLink> {
    let path = place(entry.doc, what, key, layout);
    let text = entry.string("link");
    let to = text
        .as_ref()
        .and_then(|text| target(entry.doc, &format!("{what}.link"), text, layout));
    let (path, to) = (path?, to?);
    if let (LinkTarget::Host(to), Some(text)) = (&to, text)
        && to.starts_with(&path)
    {
        let problem = Problem::new(text.span, format!("{what}.link: it leads to itself"));
        entry.doc.push(problem.help("name what it is a link to"));
        return None;
    }
    Some(HostLink { path, to })
}

fn place(doc: &Doc, what: &str, key: &At<String>, layout: &Layout) -> Option<AbsPath> {
    let path: At<AbsPath> = doc.parse(what, key)?;
    let name = layout.own_name();
    let own = format!("choose for example \"/usr/bin/{name}\"");
    let (problem, help) = match path.value.components().collect::<Vec<_>>().as_slice() {
        [top, ..] if MERGED.contains(top) => (
            format!("on a host /{top} is itself a link into /usr"),
            format!("write \"/usr{}\"", path.value),
        ),
        ["etc", ..] => (
            "a link can't be a configuration file".to_owned(),
            "name a source for a host's admin to edit, or put the link below /usr".to_owned(),
        ),
        ["usr", "local", ..] => ("/usr/local is the admin's own".to_owned(), own),
        ["usr", below @ ..] if below.len() > 1 && SHARED.contains(&below[0]) => {
            if !path.value.as_str().chars().all(is_plain) {
                (
                    "the path holds a character that shells would misread".to_owned(),
                    format!("use {PLAIN}"),
                )
            } else if let Some(help) = instead(&path.value, below) {
                (
                    "this directory is not for a package's links".to_owned(),
                    help.to_owned(),
                )
            } else if own_file(below, name) {
                (
                    "the package has a file of relpack's there".to_owned(),
                    "choose another name".to_owned(),
                )
            } else {
                return Some(path.value);
            }
        }
        _ => ("links lie below /usr".to_owned(), own),
    };
    doc.push(Problem::new(key.span.clone(), format!("{what}: {problem}")).help(help));
    None
}

/// What to write instead of a link in a directory that is for something else; `below` is the path below `/usr`.
fn instead(path: &AbsPath, below: &[&str]) -> Option<&'static str> {
    let is_in = |dir: &str| {
        format!("/{dir}")
            .parse()
            .is_ok_and(|dir: AbsPath| path.starts_with(&dir))
    };
    let other = NOT_HERE.iter().find(|(dir, _)| below.starts_with(dir));
    other.map(|(_, help)| *help).or_else(|| {
        SHELLS
            .iter()
            .any(|shell| is_in(shell.dir))
            .then_some("write [completions]")
    })
}

/// Whether a path below `/usr` is one that relpack's packages have, or a directory of such.
fn own_file(below: &[&str], name: &str) -> bool {
    let below = below.join("/");
    let own = [
        format!("bin/{name}-release"),
        format!("share/doc/{name}/changelog.gz"),
        format!("share/doc/{name}/changelog.Debian.gz"),
        format!("share/doc/{name}/copyright"),
        format!("share/man/man1/{name}-release.1.gz"),
        format!("share/{name}/nginx.conf"),
    ];
    own.iter().any(|own| {
        own.strip_prefix(&below)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn target(doc: &Doc, what: &str, text: &At<String>, layout: &Layout) -> Option<LinkTarget> {
    let refuse = |problem: String, help: String| {
        doc.push(Problem::new(text.span.clone(), format!("{what}: {:?} {problem}", text.value)).help(help));
        None
    };
    let inside = || "write \"current/…\": a path of the release, whichever is live".to_owned();
    if text.value.starts_with("{app}") {
        return refuse("is there only inside of a unit".to_owned(), inside());
    }
    if let Some(path) = text.value.strip_prefix("current/") {
        return in_release(doc, what, &At::new(path.to_owned(), text.span.clone()));
    }
    if !text.value.starts_with(['/', '{']) {
        return refuse(
            "is neither in the release nor absolute".to_owned(),
            "write \"current/bin/…\", a path of the release, or an absolute path".to_owned(),
        );
    }
    let path = layout.path(doc, what, text)?;
    let below = |dir: &str| dir.parse().is_ok_and(|dir: AbsPath| path.value.starts_with(&dir));
    if path.value.starts_with(&layout.prefix) {
        let current = format!("{}/current/", layout.prefix);
        if let Some(inside) = path.value.as_str().strip_prefix(&current) {
            return in_release(doc, what, &At::new(inside.to_owned(), path.span));
        }
        if !path.value.starts_with(&layout.shared) {
            return refuse("names what changes with each release".to_owned(), inside());
        }
    } else if let Some(dir) = FLEETING.iter().find(|dir| below(dir)) {
        return refuse(
            format!("lies below {dir}, where a package can rely on nothing"),
            inside(),
        );
    } else if MERGED.iter().any(|top| below(&format!("/{top}"))) {
        return refuse(
            "goes through a link".to_owned(),
            format!("write \"/usr{}\"", path.value),
        );
    }
    Some(LinkTarget::Host(path.value))
}

fn in_release(doc: &Doc, what: &str, text: &At<String>) -> Option<LinkTarget> {
    let path: At<TreePath> = doc.parse(what, text)?;
    if path.value.components().next() == Some(".relpack") {
        doc.push(Problem::new(path.span, format!("{what}: .relpack/ is relpack's own")).help("choose another path"));
        return None;
    }
    Some(LinkTarget::Release(path.value))
}

impl HostLink {
    /// What is written into the link: relative within one directory of the root, as Debian has it (Policy 10.5).
    pub fn text(&self, prefix: &AbsPath) -> String {
        let target = match &self.to {
            LinkTarget::Release(path) => format!("{prefix}/current/{path}"),
            LinkTarget::Host(path) => path.to_string(),
        };
        let from: Vec<&str> = self.path.components().collect();
        let to: Vec<&str> = target.split('/').skip(1).collect();
        if from[0] != to[0] {
            return target;
        }
        // The names themselves are no steps.
        let steps = from[..from.len() - 1].iter().zip(&to[..to.len() - 1]);
        let common = steps.take_while(|(a, b)| a == b).count();
        let up = vec![".."; from.len() - 1 - common];
        [up, to[common..].to_vec()].concat().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, to: &str) -> String {
        let link = HostLink {
            path: path.parse().unwrap(),
            to: match to.strip_prefix('/') {
                Some(_) => LinkTarget::Host(to.parse().unwrap()),
                None => LinkTarget::Release(to.parse().unwrap()),
            },
        };
        link.text(&"/opt/acme".parse().unwrap())
    }

    #[test]
    fn what_is_written_into_a_link() {
        assert_eq!(text("/usr/bin/acme", "bin/acme"), "/opt/acme/current/bin/acme");
        assert_eq!(text("/usr/bin/acme", "/usr/bin/node"), "node");
        assert_eq!(text("/usr/bin/acme", "/usr/share/acme/run"), "../share/acme/run");
        assert_eq!(text("/usr/share/a/b/c", "/usr/lib/x"), "../../../lib/x");
        assert_eq!(text("/usr/share/doc/a", "/usr/share/doc"), "../doc");
        assert_eq!(text("/usr/bin/acme", "/opt/other/run"), "/opt/other/run");
    }
}
