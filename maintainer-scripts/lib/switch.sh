# The commit point: one rename(2) of the symlink "current". The generator's copy on the root file system follows it.
switch_to() {
    units_store "$1"
    [ "$(current_id)" = "$1" ] || point_link "$base/current" "releases/$1"
    fault switched
    [ "$(readlink "$unitstore/live" 2>/dev/null)" = "units/$1" ] || point_link "$unitstore/live" "units/$1"
    units_deliver "$1" || say "warning: the unit files could not all be rewritten; the generator stands in for them"
}
