//! Faults: system calls of the maintainer scripts' tools that fail, full disks, a read-only `/etc`. The old release
//! serves on under its own units unless apt reports success; the message names the cause; a retry works.

use std::time::{Duration, Instant};

use crate::support::app::Built;
use crate::support::process::Output;
use crate::support::sweep::{self, Break, Look, Point, Tally};
use crate::support::{App, Behaviour, Host, Machine, Migration, Suite, Transport, sample};
use crate::{hold, on_each_suite};

on_each_suite![rotated: failing_calls_eio, failing_calls_enospc, failing_calls_eperm, full_disks, etc_is_read_only];

/// Points of a sample, all of which have to hold.
const FLOOR: usize = 10;
const FLOOR_FULL: usize = 160;

/// What dash's own echo and printf say, whichever the error was: a cause only where it is this one.
const SHELL_SAYS: &str = "I/O error";

/// What tools say that have lost the system's reason by then.
const LOST: [&str; 2] = ["sha256sum: write error", "xargs: error closing file"];

/// What the tar that dpkg starts for the control files says of the last bytes that a disk had room for. None of the
/// package's scripts has run then.
const DPKG_TAR_SAYS: &str = "dpkg-deb: error: tar subprocess returned error exit status 2";

const UPGRADE: &str = "dpkg -i /srv/apt/acme_2.0_all.deb";

/// Each has a unit that the other hasn't.
fn versions() -> [App; 2] {
    let app = |version: &str| App::new(version).migration(Migration::Ok).settle("0s");
    let worker = "[units.\"acme-worker.service\"]\nService.ExecStart = \"/usr/bin/sleep infinity\"\n";
    [app("1.0").timer(), app("2.0").extra(worker)]
}

fn failing_calls_eio(suite: Suite) {
    failing_calls(suite, "EIO", "Input/output error");
}

fn failing_calls_enospc(suite: Suite) {
    failing_calls(suite, "ENOSPC", "No space left on device");
}

fn failing_calls_eperm(suite: Suite) {
    failing_calls(suite, "EPERM", "Operation not permitted");
}

/// Odd points fail once, even ones for the rest of the run, as on a disk that has died.
fn failing_calls(suite: Suite, error: &'static str, text: &str) {
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    let built = host.publish(&versions());
    host.install("1.0").expect_ok();
    sweep::prepare(m);
    sweep::take(m, "before");
    let points = sweep::points(m, Break::Once(error), UPGRADE);
    let mut tally = Tally::default();
    let (mut succeeded, mut stranded) = (0, 0);
    let mut picked = sweep::pick(points.len(), FLOOR);
    // Chance would seldom find the copy that healing needs.
    let keeping: Vec<usize> = (0..points.len())
        .filter(|index| points[*index].call.contains("/debs/"))
        .collect();
    let chosen = sample::spread(keeping.len(), 1).first().map(|index| keeping[*index]);
    if let Some(keeps) = chosen.filter(|keeps| !picked.contains(keeps)) {
        picked.push(keeps);
    }
    assert!(chosen.is_some(), "no point copies the package");
    for index in picked {
        let how = if index.is_multiple_of(2) {
            Break::Once(error)
        } else {
            Break::FromThenOn(error)
        };
        let (output, point) = sweep::broken(m, "before", how, index + 1, UPGRADE);
        let after = sweep::look(m, "crash");
        let mut result = after_the_fault(&after, output.succeeded(), &built);
        succeeded += usize::from(output.succeeded());
        if result.is_ok() && output.succeeded() {
            result = kept_or_told(m, &output, &built[1]);
        } else if result.is_ok() {
            let shell = if error == "EIO" { SHELL_SAYS } else { text };
            result = names_the_cause(&output, &[text, shell, LOST[0], LOST[1]])
                .and_then(|()| tried_again(&host, UPGRADE, &built));
        } else if output.stderr.contains("could not be brought back") && matches!(how, Break::FromThenOn(_)) {
            stranded += 1;
            result = brought_back_later(&host, &after, &built).and_then(|()| tried_again(&host, UPGRADE, &built));
        }
        tally.add(
            &point,
            result.map_err(|why| format!("{how:?}: {why}\n{output}\n{after:#?}")),
        );
    }
    eprintln!(
        "{suite}: {error} at points of {}: {succeeded} upgrades went on, {stranded} could not even go back before the fault was over",
        points.len()
    );
    // Only after the switch, where nothing at all can be written any more.
    assert!(
        !sample::full() || stranded * 8 <= points.len(),
        "{stranded} of {} could not even go back",
        points.len()
    );
    tally.expect(
        &format!("{suite}: {error}"),
        if sample::full() { FLOOR_FULL } else { FLOOR },
    );
}

/// One whole release under its own units: the new one exactly where apt said so.
fn after_the_fault(look: &Look, succeeded: bool, built: &[Built]) -> Result<(), String> {
    hold!(look.wrong.is_empty(), "{:?}", look.wrong);
    let expected = &built[usize::from(succeeded)];
    hold!(look.current == expected.release_id, "`current` is {}", look.current);
    for answer in [Some(&look.first), look.crashed.then_some(&look.second)]
        .into_iter()
        .flatten()
    {
        let Some(answer) = answer else {
            return Err("nothing answers".to_owned());
        };
        let is = (answer.code.as_str(), answer.unit.as_str(), answer.release_id.as_str());
        let wanted = (
            expected.version.as_str(),
            expected.version.as_str(),
            expected.release_id.as_str(),
        );
        hold!(is == wanted, "(code, unit, release) are {is:?}");
    }
    hold!(
        look.worker.starts_with("active") == succeeded,
        "acme-worker.service is {}",
        look.worker
    );
    hold!(
        look.timer.starts_with("active") != succeeded,
        "acme-report.timer is {}",
        look.timer
    );
    hold!(!succeeded || look.record == "ii  2.0", "dpkg says {:?}", look.record);
    Ok(())
}

/// Nothing at all could be written any more, after the switch: what runs is whole all the same. Once the fault is over,
/// healing brings the old release back; or it finishes the new one, where the last thing written was that it is healthy.
fn brought_back_later(host: &Host, look: &Look, built: &[Built]) -> Result<(), String> {
    for answer in [&look.first, &look.second].into_iter().flatten() {
        let whole = built.iter().any(|built| {
            (&answer.code, &answer.unit, &answer.release_id) == (&built.version, &built.version, &built.release_id)
        });
        hold!(whole, "{answer:?} runs");
    }
    let since = Instant::now();
    let live = |version: &str| format!("ii  {version}");
    while !built.iter().any(|built| host.dpkg() == live(&built.version)) {
        hold!(
            since.elapsed() < Duration::from_secs(60),
            "nothing heals it\n{}",
            host.m.sh("acme-release status; cat /var/lib/relpack/acme/journal")
        );
    }
    host.m.healing_has_ended();
    let look = sweep::look(&host.m, "crash");
    let finished = look.record == live(&built[1].version);
    after_the_fault(&look, finished, built).map_err(|why| {
        let log = host.m.sh("journalctl --no-pager -q -u relpack-heal-acme.service -n 60");
        format!("after healing: {why}\n{look:#?}\n{log}")
    })
}

/// Without its package here, the next failure can't be healed offline.
fn kept_or_told(m: &Machine, output: &Output, new: &Built) -> Result<(), String> {
    let kept = format!(
        "cmp /srv/apt/acme_{0}_all.deb /var/lib/relpack/acme/debs/acme_{0}_{1}.deb",
        new.version, new.release_id
    );
    let told = output.stderr.contains("could not be kept (hint: ");
    hold!(
        told != m.sh(&kept).succeeded(),
        "the package is not kept, or kept and called lost"
    );
    Ok(())
}

fn names_the_cause(output: &Output, causes: &[&str]) -> Result<(), String> {
    let named = causes.iter().any(|cause| output.stderr.contains(cause));
    hold!(named, "the message names no cause");
    Ok(())
}

/// Once healing has ended (or could not), the same command works.
fn tried_again(host: &Host, command: &str, built: &[Built]) -> Result<(), String> {
    host.m.healing_has_ended();
    let before = host.dpkg();
    let again = host.m.sh(command);
    let end = sweep::look(&host.m, "end");
    after_the_fault(&end, true, built)
        .and_then(|()| complete(&end))
        .map_err(|why| format!("tried again, while dpkg said {before:?}: {why}\n{again}\n{end:#?}"))
}

/// Nothing is left of an earlier attempt.
fn complete(end: &Look) -> Result<(), String> {
    let left: Vec<_> = end
        .files
        .iter()
        .filter(|path| {
            path.contains(".partial")
                || path.contains("relpack-new")
                || path.contains("/work.")
                || path.contains(".dpkg-")
        })
        .collect();
    hold!(left.is_empty(), "left behind: {left:?}");
    hold!(end.migrated == ["1.0", "2.0"], "migrations ended: {:?}", end.migrated);
    Ok(())
}

/// Room that is left, in KiB, when the upgrade begins.
const ROOM: [u32; 12] = [0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 160, 240];
/// Below `/opt` lies the prefix.
const DISKS: [&str; 3] = ["/opt", "/var", "/usr"];

/// The prefix, `/var` and `/usr`, each a small file system of its own, are full before dpkg begins, or fill up while it
/// unpacks.
fn full_disks(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    for disk in DISKS {
        // What is there now, and 24 MiB.
        m.ok(&format!(
            "mkdir /mnt/new && mount -t tmpfs -o mode=0755,size=$(($(du -sxk {disk} | cut -f 1) * 11 / 10 + 24576))k small /mnt/new && \
             cp -a {disk}/. /mnt/new && mount --bind /mnt/new {disk} && umount /mnt/new && rmdir /mnt/new"
        ));
    }
    let built = host.publish(&versions());
    host.install("1.0").expect_ok();
    sweep::prepare(m);
    sweep::take(m, "before");
    let mut tally = Tally::default();
    let mut succeeded = 0;
    for index in sweep::pick(DISKS.len() * ROOM.len() * 2, FLOOR) {
        let disk = DISKS[index / (ROOM.len() * 2)];
        let room = ROOM[index / 2 % ROOM.len()];
        let unpacked = index % 2 == 1;
        sweep::restore(m, "before");
        let fill = format!(
            "free=$(df -k --output=avail {disk} | tail -n 1); [ $free -le {room} ] || fallocate -l $((free - {room}))k {disk}/.fill"
        );
        let (first, then) = if unpacked {
            (UPGRADE.replace("-i", "--unpack") + " && ", "dpkg --configure acme")
        } else {
            (String::new(), UPGRADE)
        };
        let output = m.sh(&format!("{first} {{ {fill}; }} && {then}"));
        // The check itself writes to no disk but systemd's and its own, in /run and /tmp.
        let after = sweep::look(m, "crash");
        // dpkg may come to its limit after us: it has recorded the new release then, and can't tidy up its database.
        let dpkgs_own = output.stderr.contains("/var/lib/dpkg/status") && after.record == "ii  2.0";
        let mut result = after_the_fault(&after, output.succeeded() || dpkgs_own, &built);
        succeeded += usize::from(output.succeeded());
        m.ok(&format!("rm -f {disk}/.fill"));
        if result.is_ok() && output.succeeded() {
            result = kept_or_told(m, &output, &built[1]);
        } else if result.is_ok() {
            result = names_the_cause(
                &output,
                &["No space left on device", "not enough room on", DPKG_TAR_SAYS],
            )
            .and_then(|()| tried_again(&host, UPGRADE, &built));
        }
        let point = Point {
            number: index + 1,
            call: format!(
                "{room} KiB left on {disk} {}",
                if unpacked {
                    "after the unpacking"
                } else {
                    "from the start"
                }
            ),
        };
        tally.add(&point, result.map_err(|why| format!("{why}\n{output}\n{after:#?}")));
    }
    eprintln!("{suite}: {succeeded} upgrades went on in the room that was left");
    let floor = if sample::full() {
        DISKS.len() * ROOM.len() * 2
    } else {
        FLOOR
    };
    tally.expect(&format!("{suite}: full disks"), floor);
}

/// A read-only `/etc`. Nothing may fail there but what has to be written there: the account and the enablement of a first
/// install (before anything is started), a pin and the enablement of a unit that is new (told, with what to type).
fn etc_is_read_only(suite: Suite) {
    let host = Host::boot_with(suite, Transport::File);
    let m = &host.m;
    let [first, second] = versions();
    let same_units = App::new("1.5").migration(Migration::Ok).timer().settle("0s");
    let unhealthy = App::new("3.0").behaviour(Behaviour::ExitAtOnce).timer().settle("0s");
    let built = host.publish(&[first, same_units, second, unhealthy]);
    m.ok("mount --bind /etc /etc && mount -o remount,bind,ro /etc");

    let failed = host.install("1.0").expect_failure();
    failed
        .expect_says("Read-only file system")
        .expect_says("its users and directories could not be made");
    m.sh("systemctl is-active acme.service").expect_failure();
    m.ok("mount -o remount,bind,rw /etc && dpkg --configure -a");
    host.all_well(&built[0], "1.0");
    m.ok("mount -o remount,bind,ro /etc");

    // The same units: nothing is to be written there, and nobody says anything.
    let upgraded = host.install("1.5").expect_ok();
    assert!(
        !upgraded.both().contains("Read-only") && !upgraded.both().contains("warning"),
        "{upgraded}"
    );
    host.all_well(&built[1], "1.5");

    // A release that fails: it is reverted and healed, only its pin can't be written.
    host.install("3.0")
        .expect_failure()
        .expect_says("3.0 could not be pinned away");
    host.serves("1.5");
    m.healing_has_ended();
    host.all_well(&built[1], "1.5");

    // A unit that is new runs, and is not enabled.
    host.install("2.0")
        .expect_ok()
        .expect_says("systemctl enable acme-worker.service");
    host.all_well(&built[2], "2.0");
    m.ok("systemctl is-active acme-worker.service");
    assert_eq!(host.enabled("acme-worker.service"), "disabled");

    // Back: only the pin.
    m.ok("apt-get install -y -q --allow-downgrades acme=1.5")
        .expect_says("relpack-acme.pref could not be written");
    host.all_well(&built[1], "1.5");
    m.ok("mount -o remount,bind,rw /etc");
    host.install("2.0").expect_ok();
    host.all_well(&built[2], "2.0");
    assert_eq!(host.enabled("acme-worker.service"), "enabled");
}
