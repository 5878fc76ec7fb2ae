//! Owns `[release] exclude`: globs that leave entries of the source out of the release.
//!
//! A pattern is relative to the source directory and matches a whole path: `*.map` is a file at the top, `**/*.map` one anywhere,
//! `docs` the entry `docs` with all that is below it. `*` and `?` don't match `/`; `**`, `[a-z]` and `{a,b}` work as in
//! globset. A trailing `/` matches directories only. What is below an excluded directory is not read at all.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::{Arch, DebVersion, PackageName};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// The compiled patterns, which remember whether they ever matched.
pub(super) struct Excludes {
    set: GlobSet,
    patterns: Vec<Pattern>,
}

struct Pattern {
    text: String,
    dirs_only: bool,
    used: AtomicBool,
}

impl Excludes {
    /// Compiles the patterns; gives every wrong one with its problem.
    pub(super) fn new(texts: &[String]) -> Result<Self, Vec<(String, String)>> {
        let mut builder = GlobSetBuilder::new();
        let mut patterns = Vec::new();
        let mut errors = Vec::new();
        for text in texts {
            let (body, dirs_only) = match text.strip_suffix('/') {
                Some(body) => (body, true),
                None => (text.as_str(), false),
            };
            match compile(body) {
                Ok(glob) => {
                    builder.add(glob);
                    patterns.push(Pattern {
                        text: text.clone(),
                        dirs_only,
                        used: AtomicBool::new(false),
                    });
                }
                Err(problem) => errors.push((text.clone(), problem)),
            }
        }
        match builder.build() {
            Ok(set) if errors.is_empty() => Ok(Self { set, patterns }),
            Err(error) if errors.is_empty() => Err(vec![(texts.join(" "), error.to_string())]),
            _ => Err(errors),
        }
    }

    /// Whether an entry of the source is left out.
    pub(super) fn matches(&self, path: &OsStr, is_dir: bool) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let mut hit = false;
        for index in self.set.matches_candidate(&Candidate::new(path)) {
            let pattern = &self.patterns[index];
            if is_dir || !pattern.dirs_only {
                pattern.used.store(true, Ordering::Relaxed);
                hit = true;
            }
        }
        hit
    }

    /// The patterns that matched nothing, in their order.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        self.patterns
            .iter()
            .filter(|pattern| !pattern.used.load(Ordering::Relaxed))
            .map(|pattern| pattern.text.as_str())
    }
}

fn compile(body: &str) -> Result<globset::Glob, String> {
    if body.starts_with('/') {
        return Err("starts with '/' (hint: patterns are relative to the source directory)".into());
    }
    if body.starts_with('!') {
        return Err(
            "starts with '!' (hint: there is no negation; exclude less, or write [!]… for a name that starts so)"
                .into(),
        );
    }
    if body.is_empty() || body.split('/').any(|part| part == "." || part == "..") {
        return Err(
            "can never match (hint: write the path as it is below the source directory, without '.' and '..')".into(),
        );
    }
    GlobBuilder::new(body)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| {
            format!(
                "is no glob: {} (hint: escape a special character with a backslash)",
                error.kind()
            )
        })
}

/// Whether a file is named as `build` names what it makes of this package: else each build would pack the ones before,
/// where it writes into its own source.
pub(super) fn is_artifact(name: &str, package: &PackageName) -> bool {
    let Some(rest) = name.strip_prefix(package.as_str()) else {
        return false;
    };
    let between = rest
        .strip_prefix('_')
        .and_then(|rest| rest.strip_suffix(".deb")?.rsplit_once('_'))
        .or_else(|| {
            let rest = rest.strip_prefix('-')?;
            let stem = ["zst", "xz", "gz"]
                .iter()
                .find_map(|by| rest.strip_suffix(&format!(".tar.{by}")))?;
            stem.rsplit_once('-')
        });
    between.is_some_and(|(version, arch)| version.parse::<DebVersion>().is_ok() && arch.parse::<Arch>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, path: &str, is_dir: bool) -> bool {
        Excludes::new(&[pattern.to_owned()])
            .unwrap()
            .matches(OsStr::new(path), is_dir)
    }

    #[test]
    fn patterns_match_whole_paths() {
        assert!(hit("*.map", "a.map", false));
        assert!(!hit("*.map", "d/a.map", false));
        assert!(hit("**/*.map", "d/e/a.map", false));
        assert!(hit("**/*.map", "a.map", false));
        assert!(hit("docs", "docs", true));
        assert!(hit("docs/", "docs", true));
        assert!(!hit("docs/", "docs", false));
        assert!(!hit("docs", "a/docs", true));
        assert!(hit("**/.git", "a/.git", true));
        assert!(hit("*", ".hidden", false));
        assert!(hit("x.{js,css}", "x.css", false));
        assert!(hit("a\\[b", "a[b", false));
    }

    #[test]
    fn wrong_patterns_are_all_reported() {
        let texts: Vec<String> = ["/abs", "!no", "a[", "ok", "../x", ""].map(String::from).into();
        let errors = Excludes::new(&texts).err().unwrap();
        let named: Vec<&str> = errors.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(named, ["/abs", "!no", "a[", "../x", ""]);
        assert!(errors.iter().all(|(_, problem)| problem.contains("(hint: ")));
    }

    #[test]
    fn unused_patterns_are_known() {
        let texts: Vec<String> = ["a", "b", "c/"].map(String::from).into();
        let excludes = Excludes::new(&texts).unwrap();
        assert!(excludes.matches(OsStr::new("a"), false));
        assert!(!excludes.matches(OsStr::new("c"), false));
        assert_eq!(excludes.unused().collect::<Vec<_>>(), ["b", "c/"]);
    }

    #[test]
    fn own_artifacts() {
        let package = "acme".parse().unwrap();
        for name in [
            "acme_1.4.0_all.deb",
            "acme-1.4.0~rc1-amd64.tar.zst",
            "acme-1-2-all.tar.gz",
            "acme_1.0+3.gabc_arm64.deb",
        ] {
            assert!(is_artifact(name, &package), "{name}");
        }
        for name in [
            "acme.deb",
            "acme_all.deb",
            "acme_1.0_mips1.deb",
            "acme-web_1.0_all.deb",
            "acme-1.0.tar.gz",
            "acme-1.0-all.zip",
            "other_1.0_all.deb",
        ] {
            assert!(!is_artifact(name, &package), "{name}");
        }
    }
}
