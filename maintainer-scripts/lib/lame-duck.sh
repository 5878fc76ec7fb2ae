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
    for _d in "$@"; do : >"$ducks/$_d" || return 1; done
    fault lame-duck
    _until=$(($(now_fine) + _notice * 100))
    [ "$_until" -le "$((deadline * 100))" ] || _until=$((deadline * 100))
    while [ "$(now_fine)" -lt "$_until" ]; do sleep 0.2; done
}

# lame_duck_over UNIT…: what was told so has ended. Before the health of what follows is asked: the same endpoint says it.
lame_duck_over() { for _d in "$@"; do rm -f "$ducks/$_d"; done; }

# restarted_at_once ID: where instances say that they end, the gated services that no strategy looks after one by one.
restarted_at_once() {
    [ -n "$(setting "$1" lame-duck)" ] || return 0
    for _u in $j_running; do
        ! in_roll "$1" "$_u" || continue
        [ "$(unit_setting "$1" "$_u" gated)" = gated ] || continue
        case $(unit_setting "$1" "$_u" policy) in restart | try-restart) ;; *) continue ;; esac
        if [ "$(unit_show "$_u" ActiveState)" != active ] || unit_masked "$_u" || ! policy_allows "$_u" restart; then continue; fi
        printf '%s\n' "$_u"
    done
}
