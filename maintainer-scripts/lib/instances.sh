# Instances of the template that is named like the package. During a roll each has a link of its own that says which
# release it runs, and the generator follows it; afterwards all of them point to the live release.

# is_instance UNIT
is_instance() {
    case $1 in
    "$name@"?*.service) return 0 ;;
    *) return 1 ;;
    esac
}

# instance_of UNIT: acme@blue.service → blue
instance_of() {
    _inst=${1#"$name@"}
    printf '%s\n' "${_inst%.service}"
}

# instance_point UNIT ID: from the next daemon-reload on, it is that release's.
instance_point() {
    mkdir -p "$base/instances" "$unitstore/instances"
    units_store "$2"
    _at=$(instance_of "$1")
    [ "$(readlink "$base/instances/$_at" 2>/dev/null)" = "../releases/$2" ] || point_link "$base/instances/$_at" "../releases/$2"
    [ "$(readlink "$unitstore/instances/$_at" 2>/dev/null)" = "../units/$2" ] || point_link "$unitstore/instances/$_at" "../units/$2"
}

# instance_unpoint UNIT: it is the live release's.
instance_unpoint() { rm -f "$base/instances/$(instance_of "$1")" "$unitstore/instances/$(instance_of "$1")"; }

# instances_settle ID UNIT…: all of these are the live release's, and nothing is left of others.
instances_settle() {
    _live=$1
    shift
    for _u in "$@"; do
        if is_instance "$_u" && ! is_idle "$_u"; then instance_point "$_u" "$_live"; fi
    done
    for _l in "$base"/instances/* "$unitstore"/instances/*; do
        [ -L "$_l" ] || continue
        case " $* " in *" $name@${_l##*/}.service "*) ;; *) rm -f "$_l" ;; esac
    done
    rmdir "$base/instances" "$unitstore/instances" 2>/dev/null || :
}

# gate_instance ID UNIT: healthy and settled, so many checks in a row, and what the release itself wants to see.
gate_instance() {
    gate "$1" "$2" || return 1
    _ok=1
    while [ "$_ok" -lt "$(setting "$1" successes)" ]; do
        sleep 0.2
        _why=$(health_check "$1" "$2") || {
            health_failed "$2" "$2 was healthy $_ok times, then: $_why"
            return 1
        }
        _ok=$((_ok + 1))
    done
    deploy_check "$1" "$2"
}

# deploy_check ID UNIT: the command of [deploy] check, run as that instance.
deploy_check() {
    _cmd=$(setting "$1" check)
    [ -n "$_cmd" ] || return 0
    _why=$(health_exec "$1" "$2" "$_cmd") || {
        health_failed "$2" "the check of $2 failed: $_why"
        return 1
    }
}
