//! What is written down of systemd, against the systemd of each suite: its directives, and whom a command's prefix lets it run as.

use std::collections::BTreeSet;

use crate::on_each_suite;
use crate::support::{Machine, Suite};
use relpack::model::UnitKind;
use relpack::systemd::directives;

on_each_suite![the_table_is_what_systemd_says, a_prefix_lets_a_command_run_as_root];

fn the_table_is_what_systemd_says(suite: Suite) {
    let m = Machine::boot(suite);
    let version = m.ok("systemctl --version | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p'");
    let version: u32 = version.text().parse().expect("a number");
    let dump = m.ok("/lib/systemd/systemd --dump-configuration-items").stdout;
    let sections: BTreeSet<&str> = UnitKind::ALL
        .iter()
        .flat_map(|kind| directives::sections(*kind))
        .collect();
    let mut said = BTreeSet::new();
    let mut section = "";
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.split_once('=')
            && sections.contains(section)
        {
            said.insert((section, name));
        }
    }
    let mut table = BTreeSet::new();
    for section in &sections {
        let known = directives::of_section(section)
            .filter(|directive| directive.since <= version && directive.gone.is_none_or(|gone| gone > version));
        table.extend(known.map(|directive| (*section, directive.name)));
    }
    let unknown: Vec<_> = table.difference(&said).collect();
    assert!(unknown.is_empty(), "systemd {version} doesn't know: {unknown:?}");
    let lacking: Vec<_> = said.difference(&table).collect();
    assert!(lacking.is_empty(), "systemd {version} knows already: {lacking:?}");
    assert!(said.len() > 500, "{}", said.len());
}

/// What `service-as-root` goes by.
fn a_prefix_lets_a_command_run_as_root(suite: Suite) {
    let m = Machine::boot(suite);
    for (prefix, user, is_confined) in [
        ("", "daemon", true),
        ("+", "root", false),
        ("!", "root", true),
        ("!!", "daemon", true),
    ] {
        let unit = format!(
            "[Service]\nType=oneshot\nUser=daemon\nProtectHome=yes\nStandardOutput=truncate:/run/said\n\
             ExecStart={prefix}/bin/sh -c 'id -un; findmnt -no FSTYPE /root || echo none'\n"
        );
        m.put("/run/systemd/system/who.service", unit);
        m.ok("systemctl daemon-reload && systemctl start who.service");
        let said = m.read("/run/said");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], user, "{prefix}: {said}");
        assert_eq!(lines[1] != "none", is_confined, "{prefix}: {said}");
    }
}
