#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# Removes @NAME@ as its tarball's install put it here. What is in shared/ stays, and the history; --purge removes what the
# user did not fill.
set -eu
@include stopping@
@include links@
@include remove@
@include packager@

usage() {
    cat <<EOF
uninstall [--purge]: stops $name and removes it; what is in $prefix/shared stays.
With --purge, also its history, its users, and the directories that are empty.

Exit status: 0 done, 1 failed, 2 wrong use.
EOF
}

# installed: what is removed last says so, so that this can be killed and run again.
installed() { [ -e "$host_record" ] || [ -e "$unitstore/uninstall" ]; }

uninstall() {
    [ "$(id -u)" = 0 ] || die "uninstall needs root (hint: sudo $0)"
    if ! installed && { [ "${1:-}" != --purge ] || [ -d "$base/releases" ]; }; then
        die "no tarball of $name is installed here (hint: where dpkg has it: apt-get remove $name)"
    fi
    with_lock "$@"
    lock_note "uninstall of $name"
    journal_load
    if installed; then
        if systemd_runs; then stop_all; fi
        # While the units can still be told by their texts.
        forget_units
        host_forget
        remove
        rmdir "$base/app" 2>/dev/null || :
        rm -rf "$state/enabled"
        rm -f "$host_record"
        rm -rf "$unitstore"
        rmdir "$root/usr/lib/relpack" 2>/dev/null || :
    fi
    if [ "${1:-}" = --purge ]; then purge; fi
}

main() {
    case ${1:-} in
    '' | --purge) uninstall "$@" ;;
    -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

# Read to its end before it runs: it removes itself.
main "$@"
exit
