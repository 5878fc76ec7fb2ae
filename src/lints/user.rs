//! `user-not-made`: systemd looks a user up when it starts the service, and fails with 217/USER where a host has none of the name.

use crate::systemd::directives::is_yes;
use crate::systemd::{UnitError, UnitFile};

use super::{Input, assignments};

/// What each Debian host has by base-passwd, users and groups.
const BY_BASE_PASSWD: &str = "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc _apt nobody nogroup adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users";
/// And by systemd itself.
const BY_SYSTEMD: &str = "input kvm render sgx systemd-journal systemd-network";

pub(super) fn find(input: &Input<'_>) -> Vec<UnitError> {
    let own = [&input.config.user.name, &input.config.user.group].map(|name| name.as_str());
    // Packages that make a user mostly name it like themselves.
    let needed = &input.config.package.depends;
    let everywhere = BY_BASE_PASSWD.split(' ').chain(BY_SYSTEMD.split(' '));
    let is_there = |name: &str| {
        needed.iter().any(|relation| asks_for(relation, name))
            || name.is_empty()
            || name.contains('%')
            || name.bytes().all(|b| b.is_ascii_digit())
            || own.contains(&name)
            || everywhere.clone().any(|known| known == name)
    };
    let mut found = Vec::new();
    for (origin, file) in input.texts() {
        let dynamic = |file: &UnitFile| file.get("Service", "DynamicUser").is_some_and(is_yes);
        let is_dynamic = dynamic(file) || input.unit_of(&origin).is_some_and(|unit| dynamic(&unit.file));
        for (section, key, what) in [
            ("Service", "User", "user"),
            ("Service", "Group", "group"),
            ("Service", "SupplementaryGroups", "group"),
            ("Socket", "SocketUser", "user"),
            ("Socket", "SocketGroup", "group"),
        ] {
            // systemd makes these two itself.
            if is_dynamic && matches!(key, "User" | "Group") {
                continue;
            }
            for (index, entry) in assignments(file, section, &[key]) {
                let names: Vec<&str> = match key {
                    "SupplementaryGroups" => entry.value.split_whitespace().collect(),
                    _ => vec![entry.value.trim()],
                };
                found.extend(names.into_iter().find(|name| !is_there(name)).map(|name| {
                    UnitError::of(
                        &origin,
                        format!("{key}={name}: the package makes no such {what}, and Debian has none: the service starts only where something else has made it"),
                        format!("leave it out for the package's own, {}; or name in [user] whom the package is to make (with create = false, whom hosts have)", own[0]),
                    )
                    .at_entry(section, entry, index)
                }));
            }
        }
    }
    found
}

/// Whether an entry of a dependency field has this package as its first alternative: `redis-server (>= 7)`.
fn asks_for(relation: &str, package: &str) -> bool {
    relation.split([' ', '(', '|', ':', '[']).next() == Some(package)
}
