//! lintian over finished packages, with one rule for all of them.

use std::path::PathBuf;
use std::process::Command;

/// An info of Debian 12's lintian alone; in Debian 13 an override of it would be an error, since it has no such tag.
/// It asks for a script of another init than systemd, which is what these packages are made for.
const ONLY_OLD: &str = "package-supports-alternative-init-but-no-init.d-script";

/// Fails the test where lintian says anything that the packages don't override themselves.
pub fn expect_silent(packages: &[PathBuf]) {
    let output = Command::new("lintian")
        .args(["--allow-root", "--display-info"])
        .args(packages)
        .output()
        .expect("lintian is installed (hint: tests/setup)");
    let said = String::from_utf8_lossy(&output.stdout);
    // 2: something of level "error" was found; what that is stands in the list.
    assert!(
        matches!(output.status.code(), Some(0 | 2)),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let left: Vec<&str> = said.lines().filter(|line| !line.contains(ONLY_OLD)).collect();
    assert!(left.is_empty(), "{}", left.join("\n"));
}
