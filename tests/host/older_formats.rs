//! What other versions of relpack wrote: packages and hosts of earlier ones, and what a later one may leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::on_each_suite;
use crate::support::app::{App, Behaviour, Built, Migration};
use crate::support::host::Host;
use crate::support::process;
use crate::support::root::Suite;

on_each_suite![
    rotated:
    a_host_of_an_earlier_version_goes_forward_and_back,
    what_a_later_version_adds_is_kept_or_skipped,
];

fn golden_app(version: &str) -> App {
    app(version).migration(Migration::Ok).timer()
}

fn app(version: &str) -> App {
    App::new(version).settle("0s").release_line("payload = \"archive\"")
}

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/artifacts/acme_{version}_all.deb"))
}

#[test]
#[ignore = "writes tests/golden/artifacts, only before a release of relpack"]
fn golden_artifacts_are_made() {
    assert!(
        std::env::var_os("RELPACK_BLESS").is_some(),
        "they are made only with RELPACK_BLESS=1"
    );
    for version in ["1.0", "2.0"] {
        let built = golden_app(version).build();
        fs::copy(built.path(), golden(version)).expect("the artifact can be written");
    }
}

fn a_host_of_an_earlier_version_goes_forward_and_back(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let old = ["1.0", "2.0"].map(|version| Built::existing(&golden(version)));
    host.repo.add(m, &[old[0].path(), old[1].path()]);
    host.install("1.0").expect_ok();
    host.install("2.0").expect_ok();
    host.all_well(&old[1], "2.0");

    // Today's, and one that fails: back to what the earlier version of relpack had deployed.
    host.publish(&[golden_app("3.0").behaviour(Behaviour::ExitAtOnce)]);
    host.install("3.0").expect_failure();
    host.expect_healed("2.0");
    host.all_well(&old[1], "2.0");
    let today = host.publish(&[golden_app("4.0")]).remove(0);
    host.install("4.0").expect_ok();
    host.all_well(&today, "4.0");
    let migrated = host.migrations();

    // Back by apt: the earlier version's own scripts on what today's have left.
    m.ok("apt-get install -y -q --allow-downgrades acme=2.0");
    host.all_well(&old[1], "2.0");
    m.ok("acme-release verify && acme-release history")
        .expect_says("rollback");
    m.ok("apt-get upgrade -y -q");
    host.all_well(&old[1], "2.0");
    // Forward again, and back by command, two versions at once.
    host.install("4.0").expect_ok();
    host.all_well(&today, "4.0");
    m.ok("acme-release rollback 1.0");
    host.expect_healed("1.0");
    host.all_well(&old[0], "1.0");
    host.install("4.0").expect_ok();
    host.all_well(&today, "4.0");
    assert_eq!(host.migrations(), migrated, "a release migrated twice, or backwards");
}

/// Rewrites a package's release by a script that runs in it, as another relpack might have made it: manifest, id and all
/// that names it follow. In the script, `$manifest` is the text that the id is computed over.
#[track_caller]
fn rewritten(built: &Built, directory: &Path, script: &str) -> Built {
    let out = directory.join(built.path().file_name().expect("a package has a name"));
    let work = format!(
        r##"
        dpkg-deb -R "$deb" pkg
        payload=pkg/opt/acme/payload
        manifest=$PWD/manifest
        mv $payload/$old.manifest "$manifest"
        mkdir tree
        tar -x -I 'zstd -d -q' -f $payload/$old.tar.zst -C tree
        (cd tree && {script})
        sum=$(sha256sum <tree/.relpack/settings | cut -c 1-64)
        sed -i "s|^.*  \./\.relpack/settings\$|$sum  ./.relpack/settings|" "$manifest"
        new=$(sha256sum <"$manifest" | cut -c 1-40)
        rm $payload/$old.tar.zst
        mv "$manifest" $payload/$new.manifest
        tar -c -C tree --sort=name --owner=0 --group=0 . | zstd -q -o $payload/$new.tar.zst
        grep -rlF $old pkg | xargs sed -i "s/$old/$new/g"
        (cd pkg && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs -d '\n' md5sum >DEBIAN/md5sums)
        dpkg-deb -Zgzip --root-owner-group -b pkg "$out" >/dev/null
        echo $new
        "##
    );
    let inside = tempfile::tempdir().expect("a temporary directory can be made");
    let mut command = Command::new("sh");
    command
        .args(["-euc", &work])
        .env("deb", built.path())
        .env("old", &built.release_id)
        .env("out", &out)
        .current_dir(inside.path());
    let said = process::run(command, "rewrite a package", None, Duration::from_secs(60)).expect_ok();
    Built::at(&out, said.text())
}

/// Keys of its own, and further fields on known lines.
const ADDED: &str = r"printf 'shape\tround\t1\nunit-color\tacme.service\tblue\n' >>.relpack/settings &&
    sed -i '/^unit\t/s/$/\tnew-field/; /^keep\t/s/$/\tnew-field/; /^health\t/s/$/\tnew-field/' .relpack/settings";

/// Settings that nobody knows today.
const NEW_SETTINGS: &str = "sed -i '1s/.*/#relpack-settings 2/' .relpack/settings";

/// A manifest that nobody knows today, and scripts that read it; and that read and write another journal.
const NEW_MANIFEST_AND_JOURNAL: &str = r##"sed -i '1s/.*/#relpack-tree 2/; s/^#d/#D/' "$manifest" &&
    sed -i 's/\^#d/^#[dD]/; s/"format=1$/"format=2/; s/^    \[ "$j_format" = 1 \] ||/    true ||/' \
        ../pkg/DEBIAN/p* ../pkg/usr/bin/acme-release &&
    grep -q '^    true || format_refuse' ../pkg/DEBIAN/postinst"##;

fn what_a_later_version_adds_is_kept_or_skipped(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let temp = tempfile::tempdir().expect("a temporary directory can be made");
    let before = host.publish(&[app("0.9")]).remove(0);
    // What was made once, and not what today's relpack makes together with the later one.
    let today = Built::existing(&golden("1.0"));
    host.repo.add(m, &[today.path()]);
    let later = rewritten(&golden_app("2.0").build(), temp.path(), ADDED);
    host.repo.add(m, &[later.path()]);
    for version in ["0.9", "1.0", "2.0"] {
        host.install(version).expect_ok();
    }
    host.all_well(&later, "2.0");
    // What its scripts may have written beside what today's write.
    m.ok("cd /var/lib/relpack/acme && echo 'color=blue=1' >>journal && sed -i 's/$/\tmore\tyet more/' history activations");

    m.ok("acme-release status && acme-release verify && acme-release history");
    let history = m.ok("acme-release history --json");
    let history: serde_json::Value = serde_json::from_str(history.text()).expect("history is JSON");
    assert_eq!(history[2]["reason"], "-", "{history}");
    m.ok("apt-get install -y -q --allow-downgrades acme=1.0");
    host.all_well(&today, "1.0");
    assert_eq!(
        m.ok("grep -c '^color=blue=1$' /var/lib/relpack/acme/journal").text(),
        "1"
    );
    let debs = "/var/lib/relpack/acme/debs";
    m.ok(&format!("test -e {debs}/acme_0.9_{}.deb", before.release_id));
    host.install("2.0").expect_ok();
    host.all_well(&later, "2.0");
    m.ok("acme-release rollback");
    host.expect_healed("1.0");
    host.all_well(&today, "1.0");

    // Also with such lines a release is gated by its health.
    let broken = app("2.2").behaviour(Behaviour::ExitAtOnce).build();
    host.repo.add(m, &[rewritten(&broken, temp.path(), ADDED).path()]);
    host.install("2.2").expect_failure();
    host.expect_healed("1.0");

    a_new_number_is_refused(&host, &today, temp.path());
}

/// With today's 1.0 live.
fn a_new_number_is_refused(host: &Host, today: &Built, directory: &Path) {
    let m = &host.m;
    let next = host.publish(&[app("2.4")]).remove(0);
    let journal = "/var/lib/relpack/acme/journal";
    let refused = |said: process::Output| {
        said.expect_failure()
            .expect_says("has format 2, and acme")
            .expect_says("(hint: ")
    };
    let stays = |version: &str, wanted: &str| {
        let pid = host.pid("acme.service");
        refused(m.sh(&format!("apt-get install -y -q --allow-downgrades acme={wanted}")));
        host.serves(version);
        host.expect_dpkg(version);
        assert_eq!(pid, host.pid("acme.service"), "a refusal restarted the service");
    };

    // The journal's. What serves, serves on; dpkg's record is right, and nothing but its own script wrote the journal.
    let later = rewritten(
        &app("2.5").file("only/here", "x").build(),
        directory,
        NEW_MANIFEST_AND_JOURNAL,
    );
    host.repo.add(m, &[later.path()]);
    host.install("2.5").expect_ok();
    m.ok(&format!("grep -qx format=2 {journal}"));
    stays("2.5", "1.0");
    stays("2.5", "2.4");
    m.ok(&format!("grep -qx format=2 {journal} && acme-release status"));
    host.all_well(&later, "2.5");
    refused(m.sh("acme-release verify"));
    // What the prerm of such a version has to do, so that the way back stays open. Its release is no source of hardlinks.
    m.ok(&format!("sed -i 's/^format=2$/format=1/' {journal}"));
    m.ok("apt-get install -y -q --allow-downgrades acme=2.4");
    host.all_well(&next, "2.4");
    m.ok("apt-get install -y -q --allow-downgrades acme=1.0");
    host.all_well(today, "1.0");
    // Today's own command on such a host.
    m.ok(&format!(
        "cp {journal} /root/ && sed -i 's/^format=1$/format=2/' {journal} && cp {journal} /root/later"
    ));
    refused(m.sh("acme-release status"));
    refused(m.sh("acme-release rollback"));
    m.ok(&format!("cmp {journal} /root/later && mv /root/journal {journal}"));

    // The live release's settings.
    let renumbered = rewritten(&app("3.0").build(), directory, NEW_SETTINGS);
    host.repo.add(m, &[renumbered.path()]);
    host.install("3.0").expect_ok();
    stays("3.0", "1.0");
    stays("3.0", "2.4");
    // By its own command, which knows where it goes, the way is open.
    m.ok("acme-release rollback 1.0");
    host.expect_healed("1.0");
    host.all_well(today, "1.0");
}
