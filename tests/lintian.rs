//! Packages against lintian: nothing is left to say but what the package overrides, with a reason.

use crate::common::lintian;

#[test]
fn lintian_has_nothing_to_say() {
    let temp = tempfile::tempdir().unwrap();
    lintian::expect_silent(&lintian::packages(temp.path()));
}
