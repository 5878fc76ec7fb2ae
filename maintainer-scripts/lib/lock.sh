# One activation at a time. A POSIX shell has no close-on-exec, so a lock held on a descriptor of ours would
# be inherited by every process that we start: flock runs us again as its child, with the descriptor closed (-o).
with_lock() {
    [ "${RELPACK_LOCKED:-}" = "$name" ] && return 0
    mkdir -p "$state"
    _rc=0
    RELPACK_LOCKED=$name flock -o -n -E 75 "$state/lock" sh "$0" "$@" || _rc=$?
    [ "$_rc" != 75 ] || lock_refuse
    exit "$_rc"
}

lock_refuse() {
    say "another activation of $name is running$(lock_holder)"
    more "(hint: wait until it has ended, then run the same command again)"
    exit 1
}

lock_note() { printf '%s\n' "$$ $*" >"$state/lock"; }

lock_holder() {
    if read -r _pid _what <"$state/lock" 2>/dev/null && [ -d "/proc/$_pid" ]; then
        printf ' (%s, process %s)' "$_what" "$_pid"
    fi
}

lock_is_free() {
    [ -e "$state/lock" ] || return 0
    flock -n -E 75 "$state/lock" true
}
