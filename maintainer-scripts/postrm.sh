#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@ @VERSION@: remove clears what the activation made; purge also what the user did not fill.
set -eu
@include names@
@include say@
@include systemd@

env_file=@ENV_FILE@
made_dirs=@MADE_DIRS@
service_dirs=@SERVICE_DIRS@
units=@UNITS@
purge_shared=@PURGE_SHARED@

remove() {
    rm -f "$pinfile"
    forget_units
    rm -rf "$base/current" "$base/.current.relpack-new" "$base/instances" "$unitstore"
    [ ! -d "$base/releases" ] || rm -rf "$base/releases"
    rmdir "$root/usr/lib/relpack" 2>/dev/null || :
    # A later install starts clean: what served, failed or waited is forgotten; the history stays until the purge.
    for _f in journal pending-migration incoming reason activations restaged lock; do rm -f "$state/$_f"; done
    rm -rf "$state/seals" "$state/debs" "$state"/work.*
    if systemd_runs; then systemctl daemon-reload || say "warning: systemctl daemon-reload failed"; fi
}

# Links that we made are removed and forgotten; where an admin had disabled a unit, that is remembered until the purge.
forget_units() {
    command -v deb-systemd-helper >/dev/null || return 0
    for _u in $units; do
        if deb-systemd-helper --quiet was-enabled "$_u"; then
            deb-systemd-helper purge "$_u" >/dev/null 2>&1 || say "warning: $_u could not be disabled"
        fi
        if systemd_runs; then systemctl reset-failed "$_u" 2>/dev/null || :; fi
    done
}

purge() {
    for _u in $units; do
        ! command -v deb-systemd-helper >/dev/null || deb-systemd-helper purge "$_u" >/dev/null 2>&1 || :
        # When a timer with Persistent= last ran.
        case $_u in *.timer) rm -f "$root/var/lib/systemd/timers/stamp-$_u" ;; esac
    done
    if [ "$purge_shared" = yes ]; then
        rm -rf "$base/shared"
    elif [ -n "$env_file" ] && [ -e "$state/env-created" ] && [ -f "$root$env_file" ] &&
        [ "$(sha256sum <"$root$env_file")" = "$(cat "$state/env-created")" ]; then
        rm -f "$root$env_file"
    fi
    # Deepest first; what is not empty is the user's.
    printf '%s\n' "$made_dirs" | sort -r | while IFS= read -r _d; do
        [ -z "$_d" ] || rmdir "$root$_d" 2>/dev/null || :
    done
    for _d in $service_dirs "$prefix/shared" "$prefix/app" "$prefix/payload" "$prefix"; do rmdir "$root$_d" 2>/dev/null || :; done
    purge_users
    rm -rf "$state"
    rmdir "$root/var/lib/relpack" 2>/dev/null || :
}

# A user that we made goes, unless something on this host still belongs to it.
purge_users() {
    [ -e "$state/users-created" ] && [ -z "$root" ] || return 0
    sort -u "$state/users-created" | while IFS= read -r _user; do
        id "$_user" >/dev/null 2>&1 || continue
        for _d in "$base" $service_dirs $made_dirs; do
            if [ -d "$_d" ] && [ -n "$(find "$_d" -user "$_user" -print -quit)" ]; then
                say "user $_user is kept: $_d still holds files of it"
                continue 2
            fi
        done
        userdel "$_user" || say "warning: user $_user could not be removed"
    done
}

case ${1:-} in
remove) remove ;;
purge) purge ;;
disappear) remove ;;
upgrade | failed-upgrade | abort-upgrade) ;;
abort-install) rm -f "$state/incoming" "$state/lock"; rmdir "$state" "$root/var/lib/relpack" 2>/dev/null || : ;;
*) die "postrm called with unknown argument '${1:-}'" ;;
esac
