# One activation at a time. A POSIX shell has no close-on-exec, so a lock held on a descriptor of ours would
# be inherited by every process that we start: flock runs us again as its child, with the descriptor closed (-o).
with_lock() {
    if ! lock_held; then
        locked "$@"
        exit "$lock_rc"
    fi
}

lock_held() { [ "${RELPACK_LOCKED:-}" = "$name" ]; }

# locked ARGUMENT…: runs this script once more, under the lock; its status is in lock_rc.
locked() {
    [ -d "$state" ] || mkdir -p "$state"
    lock_rc=0
    lock_settle || :
    # Who only asks whether it is free has it for a moment.
    RELPACK_LOCKED=$name flock -o -w 2 -E 75 "$state/lock" sh "$0" "$@" || lock_rc=$?
    [ "$lock_rc" != 75 ] || lock_refuse
}

lock_refuse() {
    say "another activation of $name is running$(lock_holder)"
    more "(hint: wait until it has ended, then run the same command again)"
    exit 1
}

# lock_settle: waits for what a boot goes on with: it ends by itself, and who comes meanwhile wants nothing else. Fails where
# another holds the lock.
lock_settle() {
    _said=
    while ! lock_is_free; do
        case $(lock_holder) in *"$resume_unit"*) ;; *) return 1 ;; esac
        [ -n "$_said" ] || say "waiting for $resume_unit, which goes on where the host went down (hint: journalctl -f -u $resume_unit)"
        _said=y
        sleep 0.3
    done
}

# For messages, and to know a holder that ends soon.
lock_note() { printf '%s\n' "$$ $*" >"$state/lock" || :; }

lock_holder() {
    if read -r _pid _what <"$state/lock" 2>/dev/null && [ -d "/proc/$_pid" ]; then
        printf ' (%s, process %s)' "$_what" "$_pid"
    fi
}

lock_is_free() {
    [ -e "$state/lock" ] || return 0
    flock -s -n 9 9<"$state/lock"
}
