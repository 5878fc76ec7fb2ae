//! Each step inside of dpkg's calls fails: the old release serves, the message names the step, dpkg's record heals, and a
//! rerun finishes.

use crate::on_each_suite;
use crate::support::root::say;
use crate::support::stage::Asked::{self, Downgrade, Install, Purge, Reinstall, Remove, Rival, Upgrade};
use crate::support::stage::Stage;
use crate::support::{Suite, sample};

on_each_suite![rotated: every_step_fails];

/// Of each suite's points, at least so many run; and in full, so many there are.
const FLOOR: usize = 10;
const FLOOR_FULL: usize = 55;

struct Step {
    asked: &'static [Asked],
    /// The calls and shell functions that fail.
    fails: &'static [&'static str],
    says: &'static str,
    /// After the healing: dpkg's record, and what serves.
    state: &'static str,
    serves: &'static str,
    way: &'static str,
}

const fn step(
    asked: &'static [Asked],
    fails: &'static [&'static str],
    says: &'static str,
    state: &'static str,
    serves: &'static str,
    way: &'static str,
) -> Step {
    Step {
        asked,
        fails,
        says,
        state,
        serves,
        way,
    }
}

#[rustfmt::skip]
const STEPS: &[Step] = &[
    // Nothing was touched yet.
    step(&[Upgrade, Downgrade], &["N postinst :prepare"], "users and directories could not be made", "ii O", "O same", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :stage"], "the release could not be staged", "ii O", "O same", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :activation_store"], "units and settings could not be written", "ii O", "O same", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :migration_settle"], "an earlier migration still runs", "ii O", "O same", "install N"),
    step(&[Upgrade], &["N postinst :migrate"], "the migration failed", "ii O", "O same", "install N"),
    // The script itself gives up: dpkg tries again.
    step(&[Upgrade, Downgrade], &["N postinst :activation_env"], "was told to fail", "iF N", "O same", "fix N"),
    step(&[Upgrade, Downgrade], &["N postinst :journal_save"], "its journal could not be written", "ii O", "O same", "install N"),
    // Something was touched: the old release is started again.
    step(&[Upgrade, Downgrade], &["N postinst :switch_live"], "the switch to the new release failed", "ii O", "O", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :start_recreate"], "it was not healthy", "ii O", "O", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :gate"], "it was not healthy", "ii O", "O", "install N"),
    // The revert fails too: the healing brings the old release back.
    step(&[Upgrade, Downgrade], &["N postinst :start_recreate", "N postinst :revert_to"], "could not be brought back", "ii O", "O", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :gate", "N postinst :revert_start"], "is not healthy either", "ii O", "O", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :switch_to"], "is not healthy either", "ii O", "O same", "install N"),
    step(&[Upgrade, Downgrade], &["N postinst :gate", "N postinst :heal_schedule"], "it was not healthy", "iF N", "O", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :gate", "N postinst :revert_finish"], "was told to fail", "iF N", "N", "install O"),
    // The new release serves; what is left is finished by a rerun, or is only a warning.
    step(&[Upgrade, Downgrade], &["N postinst :units_enable"], "could not all be enabled", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :stop_dropped"], "could not all be stopped", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :activation_note"], "activations could not be written", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :keep_deb"], "could not be kept", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :pins_set"], "could not be written: the next upgrade may bring", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :history_add"], "history could not be written", "ii N", "N", "install O"),
    step(&[Upgrade, Downgrade], &["N postinst :prune"], "old releases could not all be removed", "ii N", "N", "install O"),
    // There is nothing to go back to but itself.
    step(&[Reinstall], &["O postinst :prepare"], "is live, but: its users and directories", "ii O", "O same", "install 2.0"),
    step(&[Reinstall], &["O postinst :activation_same"], "is live, but: its units could not be loaded", "ii O", "O same", "install 2.0"),
    step(&[Upgrade, Downgrade], &["N preinst upgrade", "O postinst :prepare"], "is live, but: its users and directories", "ii O", "O same", "install N"),
    step(&[Rival], &["O prerm remove", "O postinst :prepare"], "is live, but: its users and directories", "ii O", "O same", "remove"),
    step(&[Install], &["N postinst :prepare"], "There is no earlier release", "iF N", "-", "fix N"),
    step(&[Install], &["N postinst :stage"], "There is no earlier release", "iF N", "-", "install N"),
    step(&[Install], &["N postinst :activation_store"], "There is no earlier release", "iF N", "-", "purge"),
    step(&[Install], &["N postinst :migrate"], "There is no earlier release", "iF N", "-", "fix N"),
    step(&[Install], &["N postinst :switch_live"], "There is no earlier release", "iF N", "-", "fix N"),
    step(&[Install], &["N postinst :start_recreate"], "There is no earlier release", "iF N", "-", "install N"),
    step(&[Install], &["N postinst :gate"], "There is no earlier release", "iF N", "-", "remove"),
    // A removal.
    step(&[Remove], &["O prerm :remove"], "was told to fail", "ii O", "O same", "remove"),
    step(&[Remove], &["O postrm :forget_units"], "was told to fail", "rH O", "-", "reinstall O"),
    step(&[Remove], &["O postrm :remove"], "was told to fail", "rH O", "-", "remove"),
    step(&[Purge], &["O postrm :purge_users"], "was told to fail", "ic O", "-", "purge"),
    step(&[Purge], &["O postrm :purge"], "was told to fail", "ic O", "-", "install O"),
];

fn point(stage: &Stage, asked: Asked, step: &Step) {
    stage.begin(asked.versions().0);
    // Else a migration that ran once is not run again.
    stage.host.m.ok("rm -rf /var/lib/relpack/acme/migrated");
    let done = stage.ask(asked, step.fails);
    let context = done.context();
    assert!(
        done.said.both().contains(step.says),
        "does not say {:?}; {context}",
        step.says
    );
    stage.expect(asked, &done, step.state, step.serves);
    stage.leave(asked, &done, step.way);
}

fn every_step_fails(suite: Suite) {
    let points: Vec<(Asked, &Step)> = STEPS
        .iter()
        .flat_map(|step| step.asked.iter().map(move |asked| (*asked, step)))
        .collect();
    let stage = Stage::new(suite);
    let picked = sample::pick(points.len(), FLOOR);
    let mut failed = Vec::new();
    for index in &picked {
        let (asked, step) = points[*index];
        if !stage.holds(|| point(&stage, asked, step)) {
            failed.push(format!("{index}: {asked:?}: {:?}", step.fails));
        }
    }
    let held = picked.len() - failed.len();
    say(&format!("{suite}: held {held} of {} steps that failed", picked.len()));
    assert!(picked.len() >= if sample::full() { FLOOR_FULL } else { FLOOR });
    assert!(failed.is_empty(), "{failed:#?}");
}
