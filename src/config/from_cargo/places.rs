//! Decides where a Cargo project's assets go: into the release, beside it, or nowhere.

use super::super::documents::SHELLS;
use super::super::places::MERGED;
use crate::model::TreePath;

/// Where an asset goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A unit file; its name.
    Unit(String),
    /// A configuration file of a host; its path there.
    Etc(String),
    /// Into the release, by this path; and where on a host a link leads to it.
    Release(String, Option<String>),
    /// What `package.man` names.
    Man,
    /// What `[completions]` names: the shell and the command.
    Completion(&'static str, String),
    /// Nowhere, since relpack makes such a file itself; what to write instead, if something.
    LeftOut(Option<&'static str>),
    /// Nowhere at all: the problem and what to do.
    Refused(&'static str, String),
}

/// Where unit files of packages lie.
const UNITS: &[&str] = &["usr/lib/systemd/system/", "etc/systemd/system/"];

/// What relpack says to systemd in other ways, and how.
const OTHERWISE: &[(&str, &str)] = &[
    ("usr/lib/systemd/", "relpack takes system units only"),
    ("etc/systemd/", "relpack takes system units only"),
    ("usr/lib/sysusers.d/", "write [user]"),
    ("usr/lib/tmpfiles.d/", "write [directories]"),
];

/// The path that a host really has: `/bin` is a link to `/usr/bin`.
pub(super) fn merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        Some((top, _)) if MERGED.contains(&top) => format!("usr/{path}"),
        _ => path.to_owned(),
    }
}

/// Where an asset goes; `path` has no leading slash, `prefix` is where releases live.
pub(super) fn place(path: &str, package: &str, prefix: &str) -> Place {
    let path = merged(path);
    let own = format!("{}/", prefix.trim_start_matches('/'));
    if let Some(name) = UNITS.iter().find_map(|dir| path.strip_prefix(dir)) {
        return match name.contains('/') {
            false => Place::Unit(name.to_owned()),
            true => Place::Refused(
                "is a drop-in or a link of systemd's",
                "write what it says into the unit, or into [units]".to_owned(),
            ),
        };
    }
    if let Some((_, instead)) = OTHERWISE.iter().find(|(dir, _)| path.starts_with(dir)) {
        return Place::LeftOut(Some(instead));
    }
    if let Some(page) = path.strip_prefix("usr/share/man/") {
        return match page.split('/').count() {
            2 if page.starts_with("man") => Place::Man,
            _ => Place::LeftOut(Some("relpack takes pages in man1 to man8 only")),
        };
    }
    for shell in SHELLS {
        if let Some(command) = shell.command(&path) {
            return Place::Completion(shell.name, command.to_owned());
        }
    }
    if is_document(&path, package) {
        return Place::LeftOut(None);
    }
    if path.starts_with("etc/") {
        return Place::Etc(format!("/{path}"));
    }
    if let Some(below) = path.strip_prefix(&own) {
        return Place::Release(below.to_owned(), None);
    }
    match path.strip_prefix("usr/") {
        Some(below) if below.parse::<TreePath>().is_ok() => {
            Place::Release(below.to_owned(), Some(format!("/usr/{below}")))
        }
        _ => Place::Refused(
            "is neither below /usr nor /etc",
            format!("put it below usr/share/{package}; directories that the application fills are for [directories]"),
        ),
    }
}

/// Changelog and copyright are made of the configuration.
fn is_document(path: &str, package: &str) -> bool {
    let below = path
        .strip_prefix("usr/share/doc/")
        .and_then(|rest| rest.strip_prefix(package));
    matches!(below, Some("/copyright" | "/changelog.gz" | "/changelog.Debian.gz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &str) -> Place {
        place(path, "acme", "/opt/acme")
    }

    #[test]
    fn each_kind_has_its_place() {
        let release = |path: &str, link: &str| Place::Release(path.to_owned(), Some(link.to_owned()));
        assert_eq!(to("usr/bin/acme"), release("bin/acme", "/usr/bin/acme"));
        assert_eq!(to("bin/acme"), release("bin/acme", "/usr/bin/acme"));
        assert_eq!(
            to("usr/share/acme/a/b"),
            release("share/acme/a/b", "/usr/share/acme/a/b")
        );
        assert_eq!(to("opt/acme/web/a"), Place::Release("web/a".to_owned(), None));
        assert_eq!(to("etc/acme/acme.toml"), Place::Etc("/etc/acme/acme.toml".to_owned()));
        for dir in ["lib", "usr/lib", "etc"] {
            let path = format!("{dir}/systemd/system/acme.service");
            assert_eq!(to(&path), Place::Unit("acme.service".to_owned()));
        }
        for path in ["usr/share/doc/acme/copyright", "usr/share/doc/acme/changelog.Debian.gz"] {
            assert_eq!(to(path), Place::LeftOut(None));
        }
        assert_eq!(to("usr/share/man/man1/acme.1"), Place::Man);
        for (shell, path) in [
            ("bash", "bash-completion/completions/acme"),
            ("zsh", "zsh/vendor-completions/_acme"),
            ("fish", "fish/vendor_completions.d/acme.fish"),
        ] {
            let place = Place::Completion(shell, "acme".to_owned());
            assert_eq!(to(&format!("usr/share/{path}")), place);
        }
        let readme = "share/doc/acme/README.md";
        assert_eq!(to(&format!("usr/{readme}")), release(readme, &format!("/usr/{readme}")));
        for path in [
            "lib/systemd/system-preset/50-acme.preset",
            "usr/lib/sysusers.d/acme.conf",
            "usr/lib/tmpfiles.d/acme.conf",
            "usr/lib/systemd/user/acme.service",
            "usr/share/man/de/man1/acme.1",
        ] {
            assert!(matches!(to(path), Place::LeftOut(Some(_))), "{path}");
        }
        for path in [
            "var/lib/acme/db",
            "opt/other/a",
            "opt/acme",
            "srv/a",
            "usr",
            "lib/systemd/system/acme.service.d/a.conf",
        ] {
            assert!(matches!(to(path), Place::Refused(..)), "{path}");
        }
    }
}
