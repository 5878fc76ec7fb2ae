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

# instance_release UNIT: whose it is.
instance_release() {
    if _link=$(readlink "$base/instances/$(instance_of "$1")"); then printf '%s\n' "${_link##*/}"; else current_id; fi
}

# instance_unpoint UNIT: it is the live release's.
instance_unpoint() { rm -f "$base/instances/$(instance_of "$1")" "$unitstore/instances/$(instance_of "$1")"; }

# instances_settle ID UNIT…: all of these are the live release's, and nothing is left of others. Whether that changed
# anything is in settled.
instances_settle() {
    _live=$1
    shift
    _before=$(instances_listed)
    for _u in "$@"; do
        if is_instance "$_u" && ! is_idle "$_u"; then instance_point "$_u" "$_live"; fi
    done
    for _l in "$base"/instances/* "$unitstore"/instances/*; do
        [ -L "$_l" ] || continue
        case " $* " in *" $name@${_l##*/}.service "*) ;; *) rm -f "$_l" ;; esac
    done
    settled=
    [ "$(instances_listed)" = "$_before" ] || settled=y
    rmdir "$base/instances" "$unitstore/instances" 2>/dev/null || :
}

instances_listed() {
    for _l in "$unitstore"/instances/*; do
        if [ -L "$_l" ]; then printf '%s %s\n' "$_l" "$(readlink "$_l")"; fi
    done
}

# gate_instance ID UNIT: healthy and settled, so many checks in a row, and what the release itself wants to see.
gate_instance() {
    gate "$1" "$2" || return 1
    _ok=1
    while [ "$_ok" -lt "$(setting "$1" successes)" ]; do
        sleep 0.2
        _why="the activation's time limit was over"
        if [ "$(left)" -gt 1 ] && _why=$(health_check "$1" "$2"); then
            _ok=$((_ok + 1))
        else
            health_failed "$2" "$2 was healthy $_ok times, then: $_why"
            return 1
        fi
    done
    deploy_check "$1" "$2"
}

# deploy_check ID UNIT: what [deploy] check says, a command that is run as that instance, or a request to it.
deploy_check() {
    _cmd=$(setting "$1" check)
    _request=$(settings_text "$1" | sed -n "s/^check-http$tab//p")
    if [ -n "$_cmd" ]; then
        if _line=$(exec_said "$1" "$2" "$_cmd"); then
            check_saw=${_line:+its command said: $_line}
        else
            _why="$_cmd: $_line"
            false
        fi
    elif [ -n "$_request" ]; then
        check_request "$1" "$2" "$_request"
    fi || {
        health_failed "$2" "the check of $2 failed: $_why"
        return 1
    }
}

# What the check saw, for the message: the last line of its command, or the last answer and how long the slowest took.
check_saw=
check_slowest=0

# check_request ID UNIT SPEC: an answer with a status and within a time that SPEC allows (least, most, milliseconds, URL).
check_request() {
    _spec=$3
    _least=${_spec%%"$tab"*}
    _spec=${_spec#*"$tab"}
    _highest=${_spec%%"$tab"*}
    _spec=${_spec#*"$tab"}
    _within=${_spec%%"$tab"*}
    _url=$(health_expand "$1" "$2" "${_spec#*"$tab"}")
    # It may answer later than it should, so that the message can say how late.
    _said=$(curl -q -g -sS -o /dev/null --noproxy '*' --max-time $((_within / 1000 + 5)) -w '%{http_code} %{time_total}' "$_url" 2>&1) || {
        _why="$_url: $(one_line "$_said")"
        return 1
    }
    _status=${_said%% *}
    _took=$(printf '%s\n' "${_said#* }" | awk '{ printf "%d", $1 * 1000 }')
    _why="$_url answered $_status in $_took ms"
    if [ "$_status" -lt "$_least" ] || [ "$_status" -gt "$_highest" ] || [ "$_took" -gt "$_within" ]; then
        _why="$_why, and not with $_least to $_highest within $_within ms"
        return 1
    fi
    [ "$_took" -le "$check_slowest" ] || check_slowest=$_took
    check_saw="the last request was answered with $_status, the slowest in $check_slowest ms"
}
