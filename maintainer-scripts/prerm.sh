#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: an upgrade stops nothing; a removal stops everything.
set -eu
@include names@
@include say@
@include fault@
@include lock@
@include journal@
@include settings@
@include systemd@
@include units@
@include forget@
@include start@
@include instances@
@include blue-green@
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
    systemctl stop "relpack-heal-$name.service" 2>/dev/null || :
    systemctl stop "relpack-drain-$name.service" 2>/dev/null || :
    _loaded=$({ units_delivered | grep -v / || :; units_of "$j_live_id"; } | unit_instances | sort -u | while IFS= read -r _u; do
        case $(unit_show "$_u" LoadState) in
        '' | not-found) ;;
        *) printf '%s ' "$_u" ;;
        esac
    done)
    # In one command: a timer must not start its service again behind our back.
    # shellcheck disable=SC2086
    [ -z "$_loaded" ] || systemctl stop $_loaded || die "its units cannot be stopped (hint: systemctl status $_loaded)"
}

case ${1:-} in
upgrade | failed-upgrade | deconfigure) ;;
remove) remove "$@" ;;
*) die "prerm called with unknown argument '${1:-}' (hint: dpkg calls it, as deb-prerm(5) says)" ;;
esac
