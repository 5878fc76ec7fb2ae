//! Owns what counts as a secret in a release: kinds that are known by their name, by how they begin, or by a token inside.

mod kinds;
#[cfg(test)]
mod samples;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use regex::bytes::{Regex, RegexSet};

use crate::model::TreePath;

use kinds::Sign;
pub use kinds::{KINDS, Kind};

/// Endings of names that say: nothing real in here.
const EXAMPLES: &[&str] = &[
    ".example",
    ".sample",
    ".template",
    ".tmpl",
    ".dist",
    ".defaults",
    ".schema",
    "-example",
    "-sample",
];
/// Below these, files come from a registry: what their name says is of their author, and their tests bring keys.
const THIRD_PARTY: &[&str] = &["node_modules", "site-packages", "dist-packages"];
/// Directories of third-party code that hold what no host uses.
const TESTS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "testing",
    "testdata",
    "test-data",
    "spec",
    "fixtures",
    "fixture",
    "example",
    "examples",
    "demo",
    "docs",
];
/// A file that people write settings into, or a key: looked into as a whole.
const SETTINGS: &str = "**/{.*,*.{env,json,json5,jsonc,yml,yaml,toml,ini,conf,config,cfg,cnf,properties,xml,txt,pem,key,crt,cer,cert,ppk,asc,age,service,sh},*rc,config,credentials,kubeconfig}";
/// Bytes that are looked at of such a file, and of any other.
const SETTINGS_MAX: u64 = 64 * 1024;
const START: u64 = 256;

/// A word that providers put into the keys of their documentation, which libraries bring along: `AKIAIOSFODNN7EXAMPLE`.
const EXAMPLE: &str = "EXAMPLE";

struct Rules {
    dirs: Vec<(&'static str, usize)>,
    named: GlobSet,
    /// Which kind, and what the content has to be too.
    named_of: Vec<(usize, Option<Regex>)>,
    content: RegexSet,
    content_of: Vec<usize>,
    settings: globset::GlobMatcher,
    example: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let glob = |text: &str| -> Glob {
        let built = GlobBuilder::new(text)
            .literal_separator(true)
            .empty_alternates(true)
            .build();
        built.expect("the table's globs are right, a test builds them")
    };
    let mut rules = Rules {
        dirs: Vec::new(),
        named: GlobSet::empty(),
        named_of: Vec::new(),
        content: RegexSet::empty(),
        content_of: Vec::new(),
        settings: glob(SETTINGS).compile_matcher(),
        example: Regex::new(EXAMPLE).expect("a word is a pattern"),
    };
    let mut globs = GlobSetBuilder::new();
    let mut contents = Vec::new();
    let regex = |text: &str| Regex::new(&ascii(text)).expect("the table's patterns are right, a test builds them");
    for (index, kind) in KINDS.iter().enumerate() {
        for sign in kind.signs {
            let (names, content) = match sign {
                Sign::Dir(names) => {
                    rules.dirs.extend(names.iter().map(|name| (*name, index)));
                    continue;
                }
                Sign::Content(patterns) => {
                    contents.extend(patterns.iter().map(|pattern| ascii(pattern)));
                    rules.content_of.extend(patterns.iter().map(|_| index));
                    continue;
                }
                Sign::Named(names) => (names, None),
                Sign::NamedWith(names, pattern) => (names, Some(*pattern)),
            };
            for name in *names {
                globs.add(glob(name));
                rules.named_of.push((index, content.map(regex)));
            }
        }
    }
    rules.named = globs.build().expect("the table's globs are right, a test builds them");
    rules.content = RegexSet::new(contents).expect("the table's patterns are right, a test builds them");
    rules
});

/// Secrets are ASCII, and classes of Unicode make tables large and searches slow.
fn ascii(pattern: &str) -> String {
    format!("(?-u){pattern}")
}

/// The kind of a directory by its name.
pub(super) fn of_dir(path: &TreePath) -> Option<&'static Kind> {
    let name = path.file_name();
    let found = RULES.dirs.iter().find(|(dir, _)| *dir == name);
    found.map(|(_, index)| &KINDS[*index])
}

/// How many bytes of a file [`of_file`] wants to see.
pub(super) fn wanted(path: &TreePath) -> u64 {
    let candidate = Candidate::new(path.as_str());
    let rules = &*RULES;
    if rules.settings.is_match_candidate(&candidate) || rules.named.is_match_candidate(&candidate) {
        SETTINGS_MAX
    } else {
        START
    }
}

/// The kind of a file by its path and how it begins.
pub fn of_file(path: &TreePath, start: &[u8]) -> Option<&'static Kind> {
    let rules = &*RULES;
    let mut third_party = false;
    let mut before = "";
    let dirs = path.as_str().rsplit_once('/').map_or("", |(dirs, _)| dirs);
    for part in dirs.split('/') {
        // Behind node_modules stands the name of a package, which may be "test".
        if third_party && !THIRD_PARTY.contains(&before) && TESTS.contains(&part) {
            return None;
        }
        third_party |= THIRD_PARTY.contains(&part);
        before = part;
    }
    // Without the word, such a key is too short to be one.
    let start = &*rules.example.replace_all(start, &b""[..]);
    let example = EXAMPLES.iter().any(|ending| path.file_name().ends_with(ending));
    let trust = path.file_name().contains("trust");
    let named = rules.named.matches(path.as_str()).into_iter().filter_map(|at| {
        let (kind, content) = &rules.named_of[at];
        let fits = match content {
            Some(regex) => regex.is_match(start),
            None => !third_party && !example && !trust,
        };
        fits.then_some(*kind)
    });
    let inside = rules.content.matches(start).into_iter().map(|at| rules.content_of[at]);
    named.chain(inside).min().map(|index| &KINDS[index])
}

/// What an error says of a secret: the problem and what to do.
pub fn refusal(path: &TreePath, kind: &Kind) -> (String, String) {
    (
        format!("holds {}", kind.name),
        format!(
            "everybody who gets the package reads it: exclude it and put it into shared/ on the host, or say why it may be packed: [secrets] allow = {{ {:?} = \"…\" }}",
            path.as_str()
        ),
    )
}

/// The paths that the configuration allows, which remember whether there was anything to allow.
pub(super) struct Allowed<'a> {
    paths: BTreeMap<&'a TreePath, AtomicBool>,
}

impl<'a> Allowed<'a> {
    pub(super) fn new(allow: &'a BTreeMap<TreePath, String>) -> Self {
        Self {
            paths: allow.keys().map(|path| (path, AtomicBool::new(false))).collect(),
        }
    }

    /// Whether a path, or a directory that it lies in, is allowed.
    pub(super) fn covers(&self, path: &TreePath) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(used) = self.paths.get(&path) {
                used.store(true, Ordering::Relaxed);
                return true;
            }
            at = path.parent();
        }
        false
    }

    /// Those that allowed nothing, in their order.
    pub(super) fn unused(&self) -> impl Iterator<Item = &TreePath> {
        self.paths
            .iter()
            .filter(|(_, used)| !used.load(Ordering::Relaxed))
            .map(|(path, _)| *path)
    }
}

#[cfg(test)]
mod tests {
    use super::samples::token;
    use super::*;

    pub(super) fn kind(path: &str, content: &str) -> Option<&'static str> {
        let path: TreePath = path.parse().unwrap();
        let seen = usize::try_from(wanted(&path)).unwrap().min(content.len());
        of_file(&path, &content.as_bytes()[..seen]).map(|kind| kind.name)
    }

    pub(super) fn pem(what: &str) -> String {
        format!("-----BEGIN {what}-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END {what}-----\n")
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for (path, content) in [
            (".env.example", "DATABASE_URL=".to_owned()),
            ("env", "A=1".into()),
            ("app/environment.js", "x".into()),
            (".npmrc", "engine-strict=true\n//r/:_authToken=${NPM_TOKEN}".into()),
            ("pip.conf", "index-url = https://${USER}:${TOKEN}@pypi.example/".into()),
            (
                "pip.conf",
                "index-url = https://VssSessionToken@pkgs.example/\nextra-index-url = https://oauth2accesstoken@pkgs.example/".into(),
            ),
            ("requirements.txt", "a @ git+ssh://git@git.example/a.git@0123456789abcdef0123\nb\n".into()),
            ("requirements.txt", "a @ https://files.example/a@1234/a-1.2.3.whl".into()),
            (
                "aws/examples.json",
                "{\"AccessKeyId\": \"AKIAIOSFODNN7EXAMPLE\", \"AWS_SECRET_ACCESS_KEY\": \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"}".into(),
            ),
            ("defaults.env", "A=1".into()),
            ("nonprod.env", "A=1".into()),
            ("app.json", token("AIza", 34)),
            ("app.json", token("AIza", 36)),
            ("tls/ca.pem", pem("CERTIFICATE")),
            ("tls/public.pem", pem("PUBLIC KEY")),
            (
                "docs/keys.txt",
                "begins with -----BEGIN PRIVATE KEY----- and so on".into(),
            ),
            (
                "lib/pem.js",
                "if (text.startsWith('-----BEGIN RSA PRIVATE KEY-----')) parse(text)".into(),
            ),
            ("lib/key.js", format!("// {}\n{}", "x".repeat(300), pem("PRIVATE KEY"))),
            ("truststore.jks", String::new()),
            ("settings.xml", "<password>${env.PASS}</password>".into()),
            ("public.jwk.json", token("{\"kty\": \"EC\", \"x\": \"", 43)),
            ("compose.json", "{\"auths\": {}}".into()),
            ("node_modules/bottleneck/.env", "REDIS_HOST=".into()),
            ("node_modules/tls/test/key.pem", pem("PRIVATE KEY")),
            (
                "venv/lib/python3.11/site-packages/tornado/test/test.key",
                pem("PRIVATE KEY"),
            ),
        ] {
            assert_eq!(kind(path, &content), None, "{path}: {content}");
        }
        // The name of a package, and what is not third-party code, say nothing.
        for path in [
            "node_modules/test/key.pem",
            "test/key.pem",
            "node_modules/tls/lib/key.pem",
        ] {
            assert_eq!(kind(path, &pem("PRIVATE KEY")), Some("a private key in PEM"), "{path}");
        }
    }

    #[test]
    fn what_is_allowed_covers_what_is_below() {
        let allow = ["test/keys", "a.pem", "unused"].map(|path| (path.parse().unwrap(), "why".to_owned()));
        let allow = BTreeMap::from(allow);
        let allowed = Allowed::new(&allow);
        let covers = |path: &str| allowed.covers(&path.parse().unwrap());
        assert!(covers("test/keys/x/y.pem") && covers("a.pem"));
        assert!(!covers("test") && !covers("test/keys2") && !covers("b/a.pem"));
        let unused: Vec<&str> = allowed.unused().map(TreePath::as_str).collect();
        assert_eq!(unused, ["unused"]);
    }

    #[test]
    fn the_documentation_has_this_table() {
        let page = include_str!("../../../docs/secrets.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        let table: Vec<String> = KINDS
            .iter()
            .map(|kind| format!("| {} | {} |", kind.name, kind.known_by))
            .collect();
        let table: Vec<&str> = table.iter().map(String::as_str).collect();
        assert_eq!(rows, table);
        for directory in THIRD_PARTY.iter().chain(TESTS).chain(EXAMPLES) {
            assert!(page.contains(&format!("`{directory}`")), "{directory}");
        }
    }
}
