# Lame ducks: for a balancer that is not ours, which watches the health endpoint. An instance that is about to stop finds a
# file, answers that it is not ready, and goes on serving meanwhile what it is still sent.

# One file for each unit, gone with the next boot.
ducks=$root/run/relpack/$name/lame-duck

# lame_duck ID UNIT…: they say so from now on, and the balancer has time to see it.
lame_duck() {
    _notice=$(setting "$1" lame-duck)
    shift
    if [ -z "$_notice" ] || [ $# = 0 ]; then return 0; fi
    mkdir -p "$ducks" || return 1
    for _d in "$@"; do printf '' >"$ducks/$_d" || return 1; done
    fault lame-duck
    _until=$(($(now_fine) + _notice * 100))
    [ "$_until" -le "$((deadline * 100))" ] || _until=$((deadline * 100))
    while [ "$(now_fine)" -lt "$_until" ]; do sleep 0.2; done
}

# withdraw ID FROM UNIT…: those of FROM's units that serve and end for good: nginx sends them nothing more, by the settings
# of ID, which goes on, and a balancer is told by their own.
withdraw() {
    _by=$1
    _was=$2
    shift 2
    _instances=
    _told=
    for _w in "$@"; do
        [ "$(unit_show "$_w" ActiveState)" = active ] || continue
        if is_instance "$_w"; then
            _instances="$_instances $_w"
        elif [ "$(unit_setting "$_was" "$_w" gated)" != gated ]; then
            continue
        fi
        # Where all restart at once, it was told with them.
        if [ ! -e "$ducks/$_w" ] && policy_allows "$_w" stop; then _told="$_told $_w"; fi
    done
    # Of colours the change of the proxy has left one.
    if [ -n "$_instances" ] && has_unit "$_by" "$name@.service" && ! { [ "$_by" = "$j_to_id" ] && swaps "$_by"; }; then
        # shellcheck disable=SC2086
        proxy_without "$_by" $_instances || :
    fi
    # shellcheck disable=SC2086
    lame_duck "$_was" $_told
}

# lame_duck_over UNIT…: what was told so has ended. Before the health of what follows is asked: the same endpoint says it.
lame_duck_over() { for _d in "$@"; do rm -f "$ducks/$_d"; done; }

# restarted_at_once ID: where instances say that they end, the gated services that no strategy looks after one by one.
restarted_at_once() {
    [ -n "$(setting "$1" lame-duck)" ] || return 0
    for _u in $j_running; do
        ! in_roll "$1" "$_u" || continue
        # What it no longer has stops before the switch as well.
        _whose=$1
        has_unit "$1" "$_u" || _whose=$j_from_id
        [ "$(unit_setting "$_whose" "$_u" gated)" = gated ] || continue
        case $(unit_setting "$_whose" "$_u" policy) in restart | try-restart) ;; *) continue ;; esac
        if [ "$(unit_show "$_u" ActiveState)" != active ] || unit_masked "$_u" || ! policy_allows "$_u" restart; then continue; fi
        printf '%s\n' "$_u"
    done
}
