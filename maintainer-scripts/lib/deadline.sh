# dpkg's lock is held while we work, so an activation as a whole has a time limit.

# left: seconds until the deadline, never less than 1 (timeout 0 would mean "for ever").
left() {
    _left=$((deadline - $(now)))
    [ "$_left" -ge 1 ] || _left=1
    printf '%s\n' "$_left"
}

# bounded COMMAND…: within the deadline of the whole activation.
bounded() { timeout "$(left)" "$@"; }
