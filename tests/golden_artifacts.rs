//! Packages that earlier versions of relpack made: today's reads them.

use std::path::{Path, PathBuf};

use crate::common::{ok, relpack};

fn golden() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/artifacts");
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the golden artifacts are in the repository")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn inspect_and_verify_read_them() {
    for path in golden() {
        ok(relpack().arg("verify").arg(&path));
        let shown = ok(relpack().arg("inspect").arg("--json").arg(&path));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let id = shown["release_id"].as_str().unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(id.len(), 40, "{name}");
        let text = shown.to_string();
        for wanted in [
            "acme.service",
            "acme-report.timer",
            "acme-migrate.service",
            "python3 server.py",
        ] {
            assert!(text.contains(wanted), "{name} shows no {wanted}: {text}");
        }
        ok(relpack().arg("inspect").arg(&path));
    }
}
