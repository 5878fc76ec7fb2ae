#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: stages, migrates, switches, starts, checks; and reverts when that fails.
set -eu
@include activation@
@include packager@

configure() {
    with_lock "$@"
    lock_note "postinst of $name $version"
    journal_load
    if [ "$j_parked_version" = "$version" ]; then
        say "$name $version is parked: dpkg records it, $name $j_live_version serves (hint: $name-release retry tries it)"
        exit 0
    fi
    if [ "$j_step" = revert ] && [ "$j_to_id" = "$id" ]; then
        revert_finish
        exit 1
    fi
    if [ "$j_failed_version" = "$version" ] && [ "$j_failed_id" = "$id" ] && release_kept "$j_live_id"; then refuse_again; fi
    activate "$id" "$version" delivered
}

# restore: dpkg went back to this version's files. The journal says whether this version ever served.
restore() {
    journal_load
    # Whoever holds the lock brings this version into order; dpkg's question is only whether it ever served.
    if ! lock_held && ! lock_is_free && [ "$j_live_id" = "$id" ]; then exit 0; fi
    with_lock "$@"
    lock_note "postinst $1 of $name $version"
    journal_load
    if [ "$j_parked_version" = "$version" ]; then exit 0; fi
    # Two builds may have one version.
    if [ "$j_live_id" != "$id" ] || ! release_kept "$j_live_id"; then
        _what="$name $version"
        [ "$j_live_version" != "$version" ] || _what="this build of $_what (release $id)"
        say "$_what was never activated on this host, so it is not marked as installed"
        more "(hint: $name-release status; what serves is $name ${j_live_version:-nothing})"
        exit 1
    fi
    activate "$j_live_id" "$j_live_version" kept
}

case ${1:-} in
configure) configure "$@" ;;
abort-upgrade | abort-remove | abort-deconfigure) restore "$@" ;;
triggered) ;;
*) die "postinst called with unknown argument '${1:-}' (hint: dpkg calls it, as deb-postinst(5) says)" ;;
esac
