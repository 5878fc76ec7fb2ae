//! Owns which paths no host has. Nobody but relpack makes anything below the prefix, so the build can tell what isn't there; and
//! what lies in a home is one person's, or the building machine's.

use crate::config::Config;
use crate::model::{AbsPath, TreePath};
use crate::systemd::{RELEASE_PLACEHOLDER, UnitFile, quoted_words};
use crate::tree::Tree;

/// What has anything in it by a name that a unit can say: the release as units see it, and what the host's owner keeps.
const FILLED: &[&str] = &["app", "current", "shared"];

/// The directories beside these. What lies in them has the name of a release or of a deploy that goes on.
const OWN: &[&str] = &["instances", "payload", "releases"];

/// Homes and places for a while: what lies there is one person's, or of the machine that built the release.
const PERSONAL: &[&str] = &["/home/", "/root/", "/tmp/", "/var/tmp/", "/Users/"];

/// Directives that put something at a path which a unit sees.
const MOUNTING: &[&str] = &["BindPaths", "BindReadOnlyPaths", "MountImages", "TemporaryFileSystem"];

/// The prefix of a package, with what its units mount below it.
pub struct BelowPrefix<'a> {
    pub prefix: &'a AbsPath,
    mounted: Vec<String>,
}

impl<'a> BelowPrefix<'a> {
    pub fn of(config: &'a Config) -> Self {
        let prefix = &config.release.prefix;
        let units = config.units.iter().map(|unit| &unit.file);
        let files = units.chain(config.drop_ins.iter().map(|drop_in| &drop_in.file));
        let mounted = files.flat_map(mounted);
        Self {
            prefix,
            mounted: mounted.chain([config.user.home.to_string()]).collect(),
        }
    }

    /// What follows the prefix in a path that no host has; `None` where a host has it or may have it.
    pub fn nowhere(&self, path: &str) -> Option<String> {
        let path = plain(path)?;
        let below = path.strip_prefix(self.prefix.as_str())?.strip_prefix('/')?;
        let (top, rest) = below.split_once('/').unwrap_or((below, ""));
        let own = OWN.contains(&top) && (rest.is_empty() || rest.starts_with(RELEASE_PLACEHOLDER));
        let there = FILLED.contains(&top) || own || self.is_put(&path);
        (!there).then(|| below.to_owned())
    }

    /// The same of a program, or of what an interpreter is given: such a thing lies in no home. Data may: a host's owner can put it there.
    pub fn runs_nowhere(&self, path: &str) -> Option<String> {
        if self.holds(path) {
            return self.nowhere(path);
        }
        let path = plain(path)?;
        let personal = PERSONAL.iter().any(|place| path.starts_with(place)) && !self.is_put(&path);
        personal.then(|| path.trim_start_matches('/').to_owned())
    }

    /// Whether the package makes it, or a unit sees something else there.
    fn is_put(&self, path: &str) -> bool {
        self.mounted.iter().any(|mount| covers(mount, path))
    }

    /// Whether a path lies below the prefix.
    pub fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str())
            .is_some_and(|below| below.starts_with('/'))
    }
}

/// What of the release is meant by a path that no host has: people write it as it lay where it was built, or with a release's id.
pub fn meant(tree: &Tree, below: &str) -> Option<TreePath> {
    let ends = std::iter::successors(Some(below), |path| path.split_once('/').map(|(_, rest)| rest));
    let mut paths = ends.filter_map(|end| end.parse::<TreePath>().ok());
    paths.find(|path| tree.get(path).is_some())
}

/// An absolute path without empty parts and dots, as systemd takes it; `None` where only the host knows what it becomes.
fn plain(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?;
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!path.contains('%') && !parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}

/// Where a unit finds something that another directive or unit puts there.
fn mounted(file: &UnitFile) -> Vec<String> {
    let entries = file.sections().iter().flat_map(|section| &section.entries);
    let mut found = Vec::new();
    for entry in entries {
        match entry.key.as_str() {
            // What its whole file system holds is not known here.
            "RootDirectory" | "RootImage" => found.push("/".to_owned()),
            "Where" => found.push(entry.value.clone()),
            key if MOUNTING.contains(&key) => found.extend(absolute(&entry.value)),
            _ => {}
        }
    }
    found
}

/// The paths of `[-]/source:/destination:options …`.
fn absolute(value: &str) -> Vec<String> {
    let words = quoted_words(value);
    let paths = words
        .iter()
        .flat_map(|word| word.trim_start_matches(['-', '+']).split(':'));
    paths.filter(|path| path.starts_with('/')).map(str::to_owned).collect()
}

fn covers(mount: &str, path: &str) -> bool {
    match mount.split_once('%') {
        Some((known, _)) => path.starts_with(known),
        None => path
            .strip_prefix(mount.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(unit: &str, ask: impl Fn(&BelowPrefix<'_>) -> T) -> T {
        let prefix = "/opt/acme".parse().unwrap();
        let mounted = mounted(&UnitFile::parse(unit).unwrap());
        let prefix = &prefix;
        ask(&BelowPrefix { prefix, mounted })
    }

    fn nowhere(path: &str, unit: &str) -> Option<String> {
        with(unit, |places| places.nowhere(path))
    }

    #[test]
    fn what_lies_in_a_home() {
        let runs = |path: &str, unit: &str| with(unit, |places| places.runs_nowhere(path));
        for path in [
            "/home/ci/.nvm/versions/node/v20/bin/node",
            "//root/./go/bin/x",
            "/tmp/x",
            "/var/tmp/x",
            "/Users/me/x",
        ] {
            assert!(
                runs(path, "").is_some_and(|below| below.ends_with(path.rsplit('/').next().unwrap())),
                "{path}"
            );
            assert_eq!(nowhere(path, ""), None, "{path}: data");
            assert_eq!(runs(path, "[Service]\nRootDirectory=/srv/root\n"), None, "{path}");
        }
        for path in [
            "/homes/x",
            "/usr/bin/node",
            "/opt/home/x",
            "/home/%u/x",
            "home/x",
            "/home",
        ] {
            assert_eq!(runs(path, ""), None, "{path}");
        }
        assert_eq!(runs("/home/ci/x", "[Service]\nBindPaths=/srv/ci:/home/ci\n"), None);
        assert_eq!(runs("/opt/acme/run", "").as_deref(), Some("run"));
    }

    #[test]
    fn what_no_host_has() {
        for (path, below) in [
            ("/opt/acme/run", Some("run")),
            ("/opt//acme/./bin/run/", Some("bin/run")),
            ("/opt/acme/releases/1/run", Some("releases/1/run")),
            ("/opt/acme/appendix", Some("appendix")),
            ("/opt/acme", None),
            ("/opt/acme/releases", None),
            ("/opt/acme/releases/@RELPACK_RELEASE@/run", None),
            ("/opt/acme/app/run", None),
            ("/opt/acme/current", None),
            ("/opt/acme/shared/run", None),
            ("/opt/acmes/run", None),
            ("/opt/acme/%i/run", None),
            ("/opt/acme/../run", None),
            ("/usr/bin/run", None),
            ("run", None),
        ] {
            assert_eq!(nowhere(path, "").as_deref(), below, "{path}");
        }
    }

    #[test]
    fn what_a_unit_puts_there() {
        for unit in [
            "[Service]\nBindPaths=/srv/x -/srv/data:/opt/acme/data:rbind\n",
            "[Service]\nTemporaryFileSystem=/opt/acme/data:ro\n",
            "[Service]\nRootDirectory=/srv/root\n",
            "[Service]\nBindReadOnlyPaths=/srv/%i:/opt/acme/data/%i\n",
            "[Mount]\nWhere=/opt/acme/data\n",
        ] {
            assert_eq!(nowhere("/opt/acme/data/x", unit), None, "{unit}");
        }
        let beside = "[Service]\nBindPaths=/srv/data:/opt/acme/dat\n";
        assert_eq!(nowhere("/opt/acme/data/x", beside).as_deref(), Some("data/x"));
    }

    #[test]
    fn what_is_meant() {
        let mut tree = Tree::new();
        tree.insert_bytes("bin/run".parse().unwrap(), true, *b"x").unwrap();
        let meant = |below: &str| meant(&tree, below).map(|path| path.to_string());
        assert_eq!(meant("releases/1/bin/run").as_deref(), Some("bin/run"));
        assert_eq!((meant("run"), meant("bin/other")), (None, None));
    }
}
