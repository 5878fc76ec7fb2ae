#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: the one clean veto (before anything is unpacked).
set -eu
@include names@
@include say@
@include fault@
@include lock@
@include journal@
@include settings@
@include keep@
@include room@
@include packager@

begin() {
    if [ -e "$state/host-files" ]; then
        die "$name was installed here from a tarball (hint: $unitstore/uninstall, then this again; what is in $base/shared stays)"
    fi
    usr_merged || exit 1
    [ -d "$state" ] || mkdir -p "$state"
    lock_settle || lock_refuse
    journal_load
    formats_known
    if [ -n "${RELPACK_HEAL:-}" ] && { [ "$RELPACK_HEAL" != "$j_live_id" ] || [ "$id" != "$j_live_id" ]; }; then
        die "$name $j_live_version serves meanwhile: there is nothing to heal with $version (hint: $name-release status)"
    fi
    # A reinstalled release is staged already.
    [ -d "$base/releases/$id" ] || enough_room || exit 1
    incoming_note
    # A real unpack is a person's wish to try this version again.
    if [ "$j_failed_version" = "$version" ] || [ "$j_parked_version" = "$version" ]; then
        j_failed_id=
        j_failed_version=
        j_failed_reason=
        j_parked_version=
        journal_save
    fi
}

case ${1:-} in
install | upgrade) begin ;;
abort-upgrade) ;;
*) die "preinst called with unknown argument '${1:-}' (hint: dpkg calls it, as deb-preinst(5) says)" ;;
esac
