//! Random input for all that reads what others wrote: no panic, no endless work, and the same answer as dpkg and sha256sum.
//! A short sample; `RELPACK_FULL=1` runs for a minute each, `RELPACK_SEED=n` repeats a run.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::common::{Random, application, full, ok, relpack};
use crate::readers;
use flate2::read::GzDecoder;

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
    many(|random| readers::configuration(dir.path(), &random.damaged(&text, TOML_WORDS)));
}

#[test]
fn lock_files() {
    let dir = tempfile::tempdir().unwrap();
    let text = "format = 1\nsuite = \"bookworm\"\narchitecture = \"amd64\"\n\n[library.\"libc.so.6\"]\ndepends = [\"libc6 (>= 2.34)\"]\n\
                versions = [\"GLIBC_2.34\"]\nby = \"bin/app\"\n";
    fs::copy("tests/golden/config/example.toml", dir.path().join("relpack.toml")).unwrap();
    many(|random| readers::lock_file(dir.path(), &random.damaged(text.as_bytes(), TOML_WORDS)));
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

/// What is taken, and which of two comes first, against dpkg.
#[test]
fn versions() {
    many(|random| readers::versions(&version(random), &version(random)));
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
    many(|random| readers::unit_file(&random.damaged(&text, words)));
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
    let empty = tempfile::tempdir().unwrap();
    many(|random| readers::manifest(empty.path(), &random.damaged(text.as_bytes(), words)));
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
    let mut tar = Vec::new();
    GzDecoder::new(all[2].as_slice()).read_to_end(&mut tar).unwrap();
    many(|random| {
        let original = &all[random.below(all.len())];
        readers::artifact(&path, &random.damaged(original, words));
        // What the bytes of a container hide, which do not survive a change.
        let shape = [1 + random.below(4) as u8];
        let inside = random.damaged(&tar, words);
        readers::artifact(&path, &readers::artifact_around(&[&shape[..], &inside].concat()));
    });
}
