#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: remove clears what the activation made; purge also what the user did not fill.
set -eu
@include names@
@include say@
@include systemd@
@include forget@
@include links@
@include remove@
@include packager@

case ${1:-} in
remove | purge | disappear | abort-install)
    if [ -e "$state/host-files" ]; then
        say "$name is installed here from a tarball, so nothing of it is removed (hint: $unitstore/uninstall)"
        exit 0
    fi
    ;;
esac

case ${1:-} in
remove) remove ;;
purge) purge ;;
disappear) remove ;;
# dpkg has renamed the next version's files into place, and now records that as done; but it syncs the names only where
# its own records lie. A power cut must not leave an unpacked version without its payload.
upgrade | failed-upgrade)
    [ ! -d "$base/payload" ] || find "$base/payload" -type d -exec sync {} + || say "warning: $base/payload cannot be synced"
    ;;
abort-upgrade) ;;
abort-install)
    rm -f "$state/incoming"
    # Whoever holds it has to be found by it.
    [ ! -e "$state/lock" ] || flock -n "$state/lock" rm -f "$state/lock" || :
    rmdir "$state" "$root/var/lib/relpack" 2>/dev/null || :
    ;;
*) die "postrm called with unknown argument '${1:-}' (hint: dpkg calls it, as deb-postrm(5) says)" ;;
esac
