//! A control group of its own for each machine: two systemds in one group would remove each other's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directories, one a hierarchy that systemd uses, made below the group of this process. Entering needs a process
/// of the machine to write itself into each one's `cgroup.procs`.
pub fn make(name: &str) -> Vec<PathBuf> {
    let directories = paths(name);
    assert!(
        !directories.is_empty(),
        "no cgroup hierarchy is mounted (hint: systemd-nspawn needs cgroups)"
    );
    for directory in &directories {
        fs::create_dir_all(directory).unwrap_or_else(|e| panic!("create {}: {e}", directory.display()));
    }
    directories
}

/// Removes them; they are empty soon after the machine was killed.
pub fn remove(name: &str) {
    for directory in paths(name) {
        for _ in 0..100 {
            remove_empty(&directory);
            if !directory.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// True while a machine of that name has one.
pub fn exists(name: &str) -> bool {
    paths(name).iter().any(|directory| directory.exists())
}

fn remove_empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// Where the groups of that name lie: cgroup v2, and v1's name=systemd where there still is one.
fn paths(name: &str) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    own.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (hierarchy, path) = (fields.next()?, fields.next()?);
            let mounted = |line: &&str| match hierarchy {
                "" => line.contains(" - cgroup2 "),
                "name=systemd" => line.contains(" - cgroup ") && line.ends_with("name=systemd"),
                _ => false,
            };
            let mount_point = mounts.lines().find(mounted)?.split(' ').nth(4)?;
            Some(Path::new(mount_point).join(path.trim_start_matches('/')).join(name))
        })
        .collect()
}
