//! Finds the version that a git checkout is of: its newest tag, and how many commits it is behind that.
//!
//! | checkout | version |
//! |---|---|
//! | at the tag `v1.4.0` | `1.4.0` |
//! | at the tag `v1.4.0-rc1` | `1.4.0~rc1` |
//! | three commits later | `1.4.0+3.gabc1234`, `1.4.0~rc1+3.gabc1234` |
//! | with uncommitted changes | `1.4.0+0.gabc1234.dirty`, `1.4.0+3.gabc1234.dirty` |
//!
//! Each sorts after those above it of the same tag, and before the next tag. Uncommitted changes are no error, because that
//! is how people try things; their version can't be taken for that of a commit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::model::{DebVersion, PackageName};

/// Tags that name the version of all that a repository holds: `1.4.0`, `v1.4.0`, `release-1.4.0`, `release/1.4.0`.
const TAGS: [&str; 4] = ["[0-9]*", "v[0-9]*", "release-[0-9]*", "release/[0-9]*"];
/// Digits of the commit's hash: a fixed number, since git's own choice depends on how large the clone is.
const HASH: usize = 7;
/// Words behind a version that say "before it".
const BEFORE: [&str; 11] = [
    "alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "next", "canary", "a", "b",
];

/// What a checkout is of.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) version: DebVersion,
    /// Files that git knows differ from the commit.
    pub(super) dirty: bool,
}

/// Why a checkout tells no version.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("git can't be run: {0} (hint: install it, or write the version)")]
    NoGit(std::io::Error),
    #[error("this is no git checkout that can be read: {0} (hint: build in a checkout, or write the version)")]
    NoCheckout(String),
    #[error(
        "git reads no checkout of another user: {said} (hint: git config --global --add safe.directory {dir:?}; or write the version)"
    )]
    OtherOwner { said: String, dir: PathBuf },
    #[error("there is no commit yet (hint: git commit, and git tag v1.0.0; or write the version)")]
    NoCommit,
    #[error("no tag names a version before this commit (hint: git tag v1.0.0{0}, or git fetch --tags)")]
    NoTag(String),
    #[error(
        "this is a shallow clone without the commits down to the newest tag (hint: git fetch --unshallow --tags; in CI, fetch-depth: 0)"
    )]
    Shallow,
    #[error("the tag {tag:?} {problem} (hint: {hint})")]
    Tag { tag: String, problem: String, hint: String },
    #[error("git says something that relpack doesn't understand: {0:?} (hint: write the version)")]
    Unexpected(String),
}

/// The directory with `.git`, else this one.
fn checkout_of(dir: &Path) -> &Path {
    dir.ancestors().find(|above| above.join(".git").exists()).unwrap_or(dir)
}

/// The version of the checkout that `dir` lies in. Where a repository holds several packages, the tags that begin with the
/// name of another one are not this one's: of `acme` in `services/web` count `acme-v1.4.0`, `acme/v1.4.0`, `web-v1.4.0` and
/// `services/web/v1.4.0`.
pub(super) fn version(dir: &Path, package: Option<&PackageName>) -> Result<Found, GitError> {
    let shallow = asked(dir, &["rev-parse", "--is-shallow-repository"])?;
    let no_checkout = |said: String| match said.contains("dubious ownership") {
        // Git's own remedy, which stands behind the line that is shown, has the path of the whole checkout.
        true => GitError::OtherOwner {
            dir: checkout_of(dir).to_owned(),
            said,
        },
        false => GitError::NoCheckout(said),
    };
    let shallow = succeeded(&shallow).map_err(no_checkout)? == "true";
    let below = succeeded(&asked(dir, &["rev-parse", "--show-prefix"])?).map_err(GitError::NoCheckout)?;
    let own = own_tags(below.trim_end_matches('/'), package);
    let tags: Vec<&str> = TAGS.into_iter().chain(own.iter().map(String::as_str)).collect();
    let mut describe = vec!["describe", "--tags", "--long", "--dirty", "--abbrev=40"];
    tags.iter().for_each(|tag| describe.extend(["--match", tag]));
    let Ok(text) = succeeded(&asked(dir, &describe)?) else {
        let commit = asked(dir, &["rev-parse", "--verify", "HEAD"])?;
        succeeded(&commit).map_err(|_| GitError::NoCommit)?;
        let or = package.map_or_else(String::new, |package| format!(" or {package}-v1.0.0"));
        return Err(if shallow {
            GitError::Shallow
        } else {
            GitError::NoTag(or)
        });
    };
    let described = Described::parse(&text).ok_or_else(|| GitError::Unexpected(text.clone()))?;
    // In a shallow clone, the way to the tag may be cut off in places, and then the number differs from clone to clone.
    if shallow && described.commits > 0 {
        return Err(GitError::Shallow);
    }
    let commit = format!("{}^{{commit}}", described.tag);
    let mut at_commit = vec!["tag", "--points-at", &commit, "--list"];
    at_commit.extend(&tags);
    let tags = succeeded(&asked(dir, &at_commit)?).map_err(GitError::Unexpected)?;
    let version = described.version(&tags)?;
    Ok(Found {
        version,
        dirty: described.dirty,
    })
}

/// Patterns of the tags that name the version of this package alone, in the directory `below` the checkout's top.
fn own_tags(below: &str, package: Option<&PackageName>) -> Vec<String> {
    let last = below.rsplit('/').next().unwrap_or_default();
    let mut names: Vec<&str> = package
        .map(PackageName::as_str)
        .into_iter()
        .chain([last, below])
        .collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    // A directory's name may hold what git would take for a pattern.
    let literal = |name: &str| -> String {
        name.chars()
            .flat_map(|c| {
                ['*', '?', '[', ']', '\\']
                    .contains(&c)
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect()
    };
    let both = |name: &str| ["-v", "/v"].map(|mark| format!("{}{mark}[0-9]*", literal(name)));
    names.into_iter().flat_map(both).collect()
}

fn asked(dir: &Path, arguments: &[&str]) -> Result<Output, GitError> {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(arguments).env("LC_ALL", "C");
    git.output().map_err(GitError::NoGit)
}

/// What was printed, or else what was complained about.
fn succeeded(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let said = text(&output.stderr);
        Err(said
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("fatal: ")
            .to_owned())
    }
}

/// `v1.4.0-3-gabc…-dirty`, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Described<'a> {
    tag: &'a str,
    commits: u32,
    hash: &'a str,
    dirty: bool,
}

impl<'a> Described<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (clean, dirty) = match text.strip_suffix("-dirty") {
            Some(clean) => (clean, true),
            None => (text, false),
        };
        let (rest, hash) = clean.rsplit_once("-g")?;
        let (tag, commits) = rest.rsplit_once('-')?;
        let is_hash = hash.len() >= HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self {
            tag,
            commits: commits.parse().ok()?,
            hash: is_hash.then(|| &hash[..HASH])?,
            dirty,
        })
    }

    /// Where several tags name the commit (a release candidate that became the release), the highest counts.
    fn version(&self, tags: &str) -> Result<DebVersion, GitError> {
        let own = of_tag(self.tag);
        let highest = tags
            .lines()
            .filter_map(|tag| of_tag(tag).ok())
            .chain(own.as_ref().ok().cloned())
            .max();
        let Some(base) = highest else {
            return own;
        };
        let mut text = base.to_string();
        if self.commits > 0 || self.dirty {
            text.push_str(&format!("+{}.g{}", self.commits, self.hash));
        }
        if self.dirty {
            text.push_str(".dirty");
        }
        text.parse().map_err(|_| GitError::Unexpected(text.clone()))
    }
}

/// What somebody has meant who wrote a pre-release as semantic versioning or Python does: `1.4.0~rc.1` for `1.4.0-rc.1`, which
/// dpkg has behind 1.4.0.
pub(super) fn pre_release_meant(version: &DebVersion) -> Option<DebVersion> {
    let text = version.as_str();
    let without_epoch = version.without_epoch();
    let meant = of_tag(without_epoch).ok()?;
    let (_, word) = meant.as_str().split_once('~')?;
    // 1.0.2a comes after 1.0.2 where it has no number of its own.
    let is_letter = matches!(word.get(..2), None | Some("a." | "b."));
    if without_epoch.contains('~') || is_letter {
        return None;
    }
    let epoch = &text[..text.len() - without_epoch.len()];
    format!("{epoch}{meant}").parse().ok()
}

/// A tag as Debian orders it: what semantic versioning calls a pre-release sorts before the release.
pub(super) fn of_tag(tag: &str) -> Result<DebVersion, GitError> {
    let wrong = |problem: String, hint: String| GitError::Tag {
        tag: tag.to_owned(),
        problem,
        hint,
    };
    let name = tag.rsplit_once('/').map_or(tag, |(_, name)| name);
    let start = name
        .char_indices()
        .find(|&(at, c)| c.is_ascii_digit() && (at == 0 || name[..at].ends_with(['v', '-'])))
        .map_or(0, |(at, _)| at);
    let version = &name[start..];
    let numbers = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let (numbers, rest) = version.split_at(numbers);
    // "1.4.0.dev1": the dot belongs to the word.
    let (numbers, rest) = match numbers.strip_suffix('.') {
        Some(shorter) if !rest.is_empty() => (shorter, rest),
        _ => (numbers, rest),
    };
    if numbers.ends_with('.') {
        return Err(wrong(
            "is no version".to_owned(),
            "tag v1.4.0, or write the version".to_owned(),
        ));
    }
    let (behind, build) = rest
        .split_once('+')
        .map_or((rest, ""), |(behind, build)| (behind, build));
    let word = behind.trim_start_matches(['-', '.', '_', '~']);
    let letters: String = word.chars().take_while(char::is_ascii_alphabetic).collect();
    let mut text = numbers.to_owned();
    if !letters.is_empty() && BEFORE.contains(&letters.to_ascii_lowercase().as_str()) {
        text.push('~');
        text.push_str(&word.replace(['-', '_'], "."));
    } else if !letters.is_empty() {
        return Err(wrong(
            format!("ends in {word:?}, which says neither before nor after {numbers}"),
            format!(
                "tag {numbers}-rc1 for what comes before it and {numbers}+{word} for what comes after, or write the version"
            ),
        ));
    } else if !behind.is_empty() {
        if word.is_empty() {
            return Err(wrong(
                format!("ends in {behind:?}"),
                format!("tag {numbers}, or write the version"),
            ));
        }
        text.push_str(behind);
    }
    if !build.is_empty() {
        text.push('+');
        text.push_str(build);
    }
    text.parse().map_err(|error: crate::model::ValueError| {
        wrong(format!("is no version: {}", error.message()), error.hint().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_as_debian_orders_them() {
        for (tag, version) in [
            ("v1.4.0", "1.4.0"),
            ("1.4.0", "1.4.0"),
            ("release-1.4", "1.4"),
            ("release/2024.01.02", "2024.01.02"),
            ("acme-v1.4.0", "1.4.0"),
            ("acme/v1.4.0-rc.1", "1.4.0~rc.1"),
            ("h2o-v1.4.0", "1.4.0"),
            ("v1.4.0-rc1", "1.4.0~rc1"),
            ("v1.4.0-beta-2", "1.4.0~beta.2"),
            ("1.4.0rc1", "1.4.0~rc1"),
            ("1.4.0.dev3", "1.4.0~dev3"),
            ("1.4.0a1", "1.4.0~a1"),
            ("v1.4.0-RC2", "1.4.0~RC2"),
            ("v1.4.0-2", "1.4.0-2"),
            ("v1.4.0+hotfix1", "1.4.0+hotfix1"),
            ("v1.4.0-rc1+b7", "1.4.0~rc1+b7"),
            ("1.4.0~rc1", "1.4.0~rc1"),
        ] {
            assert_eq!(of_tag(tag).unwrap().as_str(), version, "{tag}");
        }
        for tag in [
            "v1.4.0-hotfix1",
            "v1.4.0-final",
            "v1.4.0_1",
            "v1.4.0-rc1#2",
            "v1..",
            "1.4.0-",
        ] {
            let error = of_tag(tag).unwrap_err().to_string();
            assert!(error.contains(tag) && error.contains("(hint: "), "{error}");
        }
    }

    #[test]
    fn a_pre_release_is_known_by_its_word() {
        for (text, meant) in [
            ("1.0.0-rc.1", Some("1.0.0~rc.1")),
            ("1.0.0rc1", Some("1.0.0~rc1")),
            ("2:1.0-beta2", Some("2:1.0~beta2")),
            ("1.0.dev3", Some("1.0~dev3")),
            ("1.0a1", Some("1.0~a1")),
            ("1.0.2a", None),
            ("1.0.2b.3", None),
            ("1.0.0~rc1", None),
            ("1.0.0~~rc1-2", None),
            ("1.0.0-1", None),
            ("1.0.0+git1", None),
            ("20240101", None),
            ("1.0-rcs1", None),
        ] {
            let version: DebVersion = text.parse().unwrap();
            assert_eq!(
                pre_release_meant(&version).as_ref().map(DebVersion::as_str),
                meant,
                "{text}"
            );
        }
    }

    #[test]
    fn tags_of_this_package_alone() {
        let name: PackageName = "acme".parse().unwrap();
        let all = own_tags("services/w*b", Some(&name));
        let expected = [
            "acme-v[0-9]*",
            "acme/v[0-9]*",
            "w\\*b-v[0-9]*",
            "w\\*b/v[0-9]*",
            "services/w\\*b-v[0-9]*",
            "services/w\\*b/v[0-9]*",
        ];
        assert_eq!(all, expected);
        assert_eq!(own_tags("acme", Some(&name)).len(), 2);
        assert!(own_tags("", None).is_empty());
    }

    #[test]
    fn what_git_describes_is_taken_apart() {
        let hash = "abc1234def0123456789abc1234def0123456789";
        let text = format!("acme-v1.4.0-rc1-3-g{hash}-dirty");
        let found = Described::parse(&text).unwrap();
        assert_eq!(
            found,
            Described {
                tag: "acme-v1.4.0-rc1",
                commits: 3,
                hash: "abc1234",
                dirty: true
            }
        );
        assert_eq!(found.version("").unwrap().as_str(), "1.4.0~rc1+3.gabc1234.dirty");
        assert_eq!(
            found.version("acme-v1.4.0-rc1\nacme-v1.4.0").unwrap().as_str(),
            "1.4.0+3.gabc1234.dirty"
        );
        for wrong in ["", "v1.0", "v1.0-3-gabc", "v1.0-x-gabc1234def", "v1.0-3-gxyz1234"] {
            assert_eq!(Described::parse(wrong), None, "{wrong}");
        }
    }
}
