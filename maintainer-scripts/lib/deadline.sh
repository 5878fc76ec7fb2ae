# dpkg's lock is held while we work, so an activation as a whole has a time limit.

# left: seconds until the deadline, never less than 1 (timeout 0 would mean "for ever").
left() {
    _left=$((deadline - $(now)))
    [ "$_left" -ge 1 ] || _left=1
    printf '%s\n' "$_left"
}

# time_for SECONDS WHAT: whether a wait that has a length of its own ends within the deadline. One that was cut short would
# have seen less than was asked for.
time_for() {
    [ "$1" -gt "$(left)" ] || return 0
    say "no time for $2: $1 s, and $(left) s of [deploy] timeout are left (hint: make the timeout longer)"
    printf '%s\n' "the activation's time limit left no time for $2" >"$state/reason" || :
    return 1
}

# bounded COMMAND…: within the deadline of the whole activation.
bounded() { timeout "$(left)" "$@"; }
