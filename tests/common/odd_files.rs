//! Files that are unusual and legal, and what a directory holds of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// Each differs from the others also where upper and lower case are the same, but for three.
pub const ODD_NAMES: &[&str] = &[
    "%n",
    "$HOME",
    "$(id)",
    "`id`",
    "a b",
    " leading",
    "trailing ",
    "'",
    "\"",
    "it's \"both\"",
    "*",
    "?",
    "[a]",
    "{a,b}",
    "~",
    "~root",
    "#hash",
    "-rf",
    "--help",
    "a;b",
    "a|b",
    "a&b",
    "a>b",
    "!x",
    "(x)",
    "a=b",
    "a,b",
    "a:b",
    "@RELPACK_RELEASE@",
    "@NAME@",
    "é",
    "日本語",
    "\u{1f980}",
    "e\u{301}",
    "CON",
    "x.",
    "...",
    ".hidden",
    "0",
    "current",
    "README",
    "readme",
    "ReadMe",
    "a.dpkg-new",
    "\u{202e}gpj.exe",
];

/// Names that something on the way could misread, and files that are unusual; all of them legal.
pub fn odd_files(build: &Path) {
    for name in ODD_NAMES {
        write(&build.join("odd").join(name), &format!("content of {name:?}"), 0o644);
    }
    write(&build.join("odd").join("n".repeat(246)), "longest name", 0o600);
    for length in [99, 100, 101, 154, 155, 156, 255, 256, 257, 511, 512, 513, 1000, 3900] {
        let mut path = format!("long{length}");
        while path.len() + 101 < length {
            path.push('/');
            path.push_str(&"p".repeat(100));
        }
        while path.len() < length {
            path.push(
                if path.len() + 1 < length && path.rsplit('/').next().unwrap().len() >= 200 {
                    '/'
                } else {
                    'q'
                },
            );
        }
        write(&build.join(path), &length.to_string(), 0o755);
    }
    write(&build.join("empty file"), "", 0o644);
    fs::create_dir_all(build.join("empty dir/in it")).unwrap();
    write(&build.join("hard"), "one inode", 0o640);
    fs::hard_link(build.join("hard"), build.join("hard2")).unwrap();
    symlink("odd/a b", build.join("link to it")).unwrap();
    symlink(".", build.join("link to here")).unwrap();
    symlink("/usr/bin/python3", build.join("python3")).unwrap();
    symlink("/bin/sh", build.join("sh")).unwrap();
    let sparse = fs::File::create(build.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_at(b"x", 40 << 20).unwrap();
    for (name, seconds) in [
        ("old", -5_000_000_000_i64),
        ("before 1970", -1),
        ("after 2038", 1 << 32),
        ("after 2106", 5_000_000_000),
    ] {
        write(&build.join(name), name, 0o644);
        let when = match u64::try_from(seconds) {
            Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            Err(_) => SystemTime::UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()),
        };
        fs::File::open(build.join(name)).unwrap().set_modified(when).unwrap();
    }
}

/// Path → kind, whether it is executable, and its target or a hash.
pub fn listing(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                todo.push(path.clone());
                "directory".to_owned()
            } else {
                let executable = meta.permissions().mode() & 0o111 != 0;
                format!(
                    "executable: {executable} {:x?}",
                    Sha256::digest(fs::read(&path).unwrap())
                )
            };
            found.insert(path.strip_prefix(top).unwrap().to_owned(), what);
        }
    }
    found
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
