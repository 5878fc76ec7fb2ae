# The commit point: one rename(2) of the symlink "current". The generator's copy on the root file system follows it.
switch_to() {
    units_store "$1"
    [ "$(current_id)" = "$1" ] || point_link "$base/current" "releases/$1"
    fault switched
    [ "$(readlink "$unitstore/live" 2>/dev/null)" = "units/$1" ] || point_link "$unitstore/live" "units/$1"
    units_deliver "$1" || say "warning: the unit files could not all be rewritten; the generator stands in for them"
}

# place_record: which directory the prefix is. A disk that was mounted over an older one hides that from us, not from a boot.
place_record() {
    _place=$(stat -Lc %i:%W "$base") || return 1
    [ "$(cat "$unitstore/place" 2>/dev/null)" = "$_place" ] || write_file "$unitstore/place" 0644 "$_place"
}
