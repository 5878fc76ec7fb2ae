//! Random input for all that reads what others wrote: no panic, no endless work, and the same answer as dpkg and sha256sum.
//! A short sample; `RELPACK_FULL=1` runs for a minute each, `RELPACK_SEED=n` repeats a run.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Random, application, full, ok, relpack};
use relpack::archive::read::{Artifact, Limits};
use relpack::config::{self, Overrides};
use relpack::model::DebVersion;
use relpack::systemd::UnitFile;
use relpack::tree::{EntryKind, Manifest};

/// Longest for one small input.
const ONE: Duration = Duration::from_secs(10);

/// Gives inputs one after the other, for about two seconds or a minute.
fn many(mut one: impl FnMut(&mut Random)) {
    let mut random = Random::new();
    let span = Duration::from_secs(if full() { 60 } else { 2 });
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < span {
        let before = Instant::now();
        one(&mut random);
        assert!(before.elapsed() < ONE, "one input took {:?}", before.elapsed());
        count += 1;
    }
    println!("{count} inputs");
}

const TOML_WORDS: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "\r\n",
    "#",
    ".",
    ",",
    "..",
    "%",
    "$",
    "\\u0000",
    "\u{feff}",
    "[units.\"acme@.service\"]",
    "[instances.blue]",
    "Service.",
    "X-Relpack.",
    "true",
    "1e999",
    "0x7fffffffffffffff",
    "1979-05-27",
    "inf",
    "{app}",
    "é",
];

#[test]
fn configurations() {
    let text = fs::read("tests/golden/config/example.toml").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relpack.toml");
    many(|random| {
        fs::write(&file, random.damaged(&text, TOML_WORDS)).unwrap();
        match config::load(&file, Overrides::default()) {
            Ok(config) => assert!(!config.package.name.as_str().is_empty()),
            Err(problems) => assert!(!problems.problems().is_empty()),
        }
    });
}

#[test]
fn lock_files() {
    let dir = tempfile::tempdir().unwrap();
    let text = "format = 1\nsuite = \"bookworm\"\narchitecture = \"amd64\"\n\n[library.\"libc.so.6\"]\ndepends = [\"libc6 (>= 2.34)\"]\n\
                versions = [\"GLIBC_2.34\"]\nby = \"bin/app\"\n";
    let file = dir.path().join("relpack.toml");
    fs::copy("tests/golden/config/example.toml", &file).unwrap();
    many(|random| {
        fs::write(
            dir.path().join("relpack.lock"),
            random.damaged(text.as_bytes(), TOML_WORDS),
        )
        .unwrap();
        match config::load(&file, Overrides::default()) {
            Ok(config) => {
                let lock = config.lock.expect("there is one");
                let shown: Vec<String> = lock.depends().iter().map(ToString::to_string).collect();
                assert!(!shown.join(", ").contains(['\n', '\r']), "{shown:?}");
            }
            Err(problems) => assert!(!problems.problems().is_empty()),
        }
    });
}

fn version(random: &mut Random) -> String {
    const PARTS: &[&str] = &[
        "0",
        "1",
        "2",
        "10",
        "00",
        "09",
        "9999999999",
        "~",
        "~~",
        "+",
        ".",
        "-",
        ":",
        "a",
        "b",
        "Z",
        "rc",
        "~rc1",
        "+deb12u1",
        "_",
        " ",
        "é",
        "1.0",
        "0:",
    ];
    let count = 1 + random.below(6);
    (0..count).map(|_| random.one_of(PARTS)).collect()
}

/// What is refused and which of two comes first, against dpkg.
#[test]
fn versions() {
    many(|random| {
        // One shell asks dpkg for many: most of the time goes into starting processes.
        let pairs: Vec<(String, String)> = (0..40).map(|_| (version(random), version(random))).collect();
        let script = "while IFS='|' read -r a b; do dpkg --validate-version \"$a\" 2>/dev/null && v=ok || v=no; \
                      dpkg --compare-versions \"$a\" lt \"$b\" 2>/dev/null && l=lt || l=-; \
                      dpkg --compare-versions \"$a\" eq \"$b\" 2>/dev/null && e=eq || e=-; echo $v $l $e; done";
        let input: String = pairs.iter().map(|(a, b)| format!("{a}|{b}\n")).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        let answers = ok(Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::from(fs::File::open(file.path()).unwrap())));
        for ((a, b), theirs) in pairs.iter().zip(answers.lines()) {
            let words: Vec<&str> = theirs.split(' ').collect();
            let (first, second) = (a.parse::<DebVersion>(), b.parse::<DebVersion>());
            // dpkg trims spaces around a version, and takes more in strange places than packages should have.
            if first.is_ok() {
                assert_eq!(words[0], "ok", "{a:?}");
            }
            if let (Ok(first), Ok(second)) = (first, second) {
                assert_eq!(first < second, words[1] == "lt", "{a:?} before {b:?}: {theirs}");
                assert_eq!(first == second, words[2] == "eq", "{a:?} the same as {b:?}: {theirs}");
            }
        }
    });
}

#[test]
fn unit_files() {
    let text = fs::read("tests/golden/units/acme.service").unwrap();
    let words = &[
        "\n",
        "\\\n",
        "[",
        "]",
        "=",
        ";",
        "#",
        "[Service]\n",
        "ExecStart=",
        "  ",
        "\t",
        "\r\n",
        "\0",
        "é",
        "%%",
        "%i",
    ];
    many(|random| {
        let damaged = random.damaged(&text, words);
        let Ok(damaged) = String::from_utf8(damaged) else {
            return;
        };
        if let Ok(unit) = UnitFile::parse(&damaged) {
            let rendered = unit.render();
            let again = UnitFile::parse(&rendered).unwrap_or_else(|errors| panic!("{errors:?}\n{rendered}"));
            assert_eq!(again.render(), rendered, "rendering is stable");
        }
    });
}

/// What our reader takes, `sha256sum -c --strict` has to take as a list, since a host verifies with it.
#[test]
fn manifests() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    ok(relpack().args(["build", "--format", "tar.gz", "-C"]).arg(&dir));
    let text = ok(relpack()
        .arg("inspect")
        .arg("--manifest")
        .arg(dir.join("dist/acme-1.4.0-all.tar.gz")));
    let words = &[
        "\n",
        "\t",
        "  ",
        " *",
        "./",
        "../",
        "#x\t./a\n",
        "#d\t./z\n",
        "\\",
        "\0",
        "\r",
        "#",
        "é",
    ];
    let file = dir.join("manifest");
    many(|random| {
        let damaged = random.damaged(text.as_bytes(), words);
        let Ok(damaged) = String::from_utf8(damaged) else {
            return;
        };
        let Ok(manifest) = Manifest::parse(&damaged) else {
            return;
        };
        assert_eq!(manifest.as_str(), damaged, "one content has one form");
        let is_file = |entry: relpack::tree::Entry<'_>| matches!(entry.kind, EntryKind::File { .. });
        if !manifest.entries().any(is_file) {
            return; // sha256sum wants to check something
        }
        fs::write(&file, &damaged).unwrap();
        let check = Command::new("sha256sum")
            .args(["-c", "--strict"])
            .arg(&file)
            .current_dir(&dir)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(!said.contains("improperly formatted"), "{said}\n{damaged}");
    });
}

#[test]
fn artifacts() {
    let temp = tempfile::tempdir().unwrap();
    let dir = application(temp.path());
    let formats = ["--format", "deb", "--format", "tar.zst", "--format", "tar.gz"];
    ok(relpack().arg("build").args(formats).arg("-C").arg(&dir));
    let all: Vec<Vec<u8>> = ["acme_1.4.0_all.deb", "acme-1.4.0-all.tar.zst", "acme-1.4.0-all.tar.gz"]
        .iter()
        .map(|name| fs::read(dir.join("dist").join(name)).unwrap())
        .collect();
    let words = &[
        "!<arch>\n",
        "debian-binary   ",
        "`\n",
        "\x28",
        "\0\0\0\0",
        "././@LongLink",
        "ustar  ",
        "data.tar.zst",
    ];
    let path = temp.path().join("damaged");
    let read = |path: &Path| -> Result<(), relpack::archive::read::ArtifactError> {
        let artifact = Artifact::open_with(path, Limits::default())?;
        artifact.entries()?;
        artifact.check_md5sums()?;
        artifact.release().map(drop)
    };
    many(|random| {
        let original = &all[random.below(all.len())];
        fs::write(&path, random.damaged(original, words)).unwrap();
        if let Err(error) = read(&path) {
            assert!(error.to_string().contains("(hint: "), "{error}");
        }
    });
}
