#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: an upgrade stops nothing; a removal stops everything.
set -eu
@include stopping@
@include packager@

remove() {
    with_lock "$@"
    lock_note "prerm of $name $version"
    journal_load
    systemd_runs || return 0
    # Should dpkg change its mind (abort-remove), these are started again.
    if [ -z "$j_touched" ]; then
        j_from_id=$j_live_id
        j_from_version=$j_live_version
        j_running=$(running_units "$j_live_id")
        j_touched=y
        j_to_id=$j_live_id
        j_to_version=$j_live_version
        journal_step remove
    fi
    stop_all
}

case ${1:-} in
upgrade | failed-upgrade | deconfigure) ;;
remove) remove "$@" ;;
*) die "prerm called with unknown argument '${1:-}' (hint: dpkg calls it, as deb-prerm(5) says)" ;;
esac
