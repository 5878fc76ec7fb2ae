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

need_kib=@NEED_KIB@

enough_room() {
    _at=$base
    while [ -n "$_at" ] && [ ! -d "$_at" ]; do _at=${_at%/*}; done
    # It warns where there is no /proc, and knows all the same.
    _free=$(df -Pk "${_at:-/}" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "$_free" -ge "$need_kib" ] && return 0
    say "not enough room on ${_at:-/} for $name $version: $((need_kib / 1024 + 1)) MiB needed, $((_free / 1024)) MiB free"
    more "(hint: free some room; \"$name-release prune\" removes old releases; nothing was changed)"
    return 1
}

begin() {
    mkdir -p "$state"
    if ! lock_is_free; then lock_refuse; fi
    journal_load
    # An interrupted activation is ended first, and that reads both of its releases.
    if [ "$j_step" = idle ]; then _read=$j_live_id; else _read="$j_live_id $j_from_id $j_to_id"; fi
    for _r in $_read; do
        if release_kept "$_r" && ! settings_known "$_r"; then format_refuse "$base/releases/$_r/.relpack/settings" "$settings_format"; fi
    done
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
