# Rolling: one instance after the other leaves the proxy, changes its release, and comes back when it is healthy.

# rolls ID: whether this release is rolled out. The first install has nothing to roll over.
rolls() {
    case $(setting "$1" strategy) in
    rolling | canary) release_kept "$j_from_id" ;;
    *) return 1 ;;
    esac
}

# in_roll ID UNIT: whether the strategy, and not the restart of everything, looks after this unit.
in_roll() {
    is_instance "$2" && [ "$(unit_setting "$1" "$2" policy)" != none ] || return 1
    rolls "$1" || changes_over "$1"
}

roll() {
    _all=
    for _u in $(wanted_units "$1"); do
        if in_roll "$1" "$_u" && policy_allows "$_u" restart; then _all="$_all $_u"; fi
    done
    _soak=$(setting "$1" soak)
    for _roll in $_all; do
        roll_one "$1" "$_roll"
        if [ -n "$_soak" ]; then soak "$1" "$_roll" "$_soak"; fi
        _soak=
    done
}

# soak ID UNIT SECONDS: the canary serves its share, and is watched, before the others follow.
soak() {
    _until=$(($(now) + $3))
    _seen=0
    _pid=$(unit_show "$2" MainPID)
    while [ "$(now)" -lt "$_until" ]; do
        _why=$(unit_alive "$2" && health_check "$1" "$2") || {
            health_failed "$2" "the canary $2 failed after $_seen good checks: $_why"
            return 1
        }
        [ "$(unit_show "$2" MainPID)" = "$_pid" ] || {
            health_failed "$2" "the canary $2 was restarted after $_seen good checks"
            return 1
        }
        deploy_check "$1" "$2"
        _seen=$((_seen + 1))
        sleep 1
    done
    say "the canary $2 passed $_seen checks in $3 s; the others follow"
}

# roll_one ID UNIT
roll_one() {
    if [ "$(unit_release "$2")" = "$1" ] && [ "$(readlink "$base/instances/$(instance_of "$2")" 2>/dev/null)" = "../releases/$1" ]; then
        : # done by a run that was interrupted
    else
        if [ "$(unit_show "$2" ActiveState)" = active ]; then proxy_without "$1" "$2"; fi
        fault roll-out
        instance_point "$2" "$1"
        daemon_reload
        fault roll-pointed
        systemctl reset-failed "$2" 2>/dev/null || :
        start_run restart "$2"
    fi
    gate_instance "$1" "$2"
    proxy_with "$1"
    fault rolled
}

# roll_back ID: the instances that run or should run something else go back, those that are down first: they serve nobody.
roll_back() {
    _down=
    _up=
    for _u in $j_running; do
        in_roll "$j_to_id" "$_u" || continue
        if [ "$(unit_show "$_u" ActiveState)" != active ]; then
            _down="$_down $_u"
        elif [ "$(unit_release "$_u")" != "$1" ]; then
            _up="$_up $_u"
        else
            instance_point "$_u" "$1"
        fi
    done
    _sick=
    for _back in $_down $_up; do
        proxy_without "$1" "$_back" || :
        instance_point "$_back" "$1"
        daemon_reload
        systemctl reset-failed "$_back" 2>/dev/null || :
        # One that does not come back must not keep the others on the failed release.
        if bounded systemctl restart "$_back" && healthy "$1" "$_back"; then :; else _sick=y; fi
        proxy_with "$1" || :
    done
    # shellcheck disable=SC2086
    instances_settle "$1" $j_running
    [ -z "$_sick" ]
}

# instances_follow ID: where a strategy doesn't move them one by one, they follow the switch.
instances_follow() {
    if rolls "$j_to_id" || changes_over "$j_to_id"; then return 0; fi
    for _l in "$base"/instances/* "$unitstore"/instances/*; do
        [ -L "$_l" ] || continue
        if has_unit "$1" "$name@.service"; then
            instance_point "$name@${_l##*/}.service" "$1"
        else
            rm -f "$_l"
        fi
    done
}

# instances_finish ID: it serves; what only one instance at a time needed is put away.
instances_finish() {
    if [ "$mode" = live ] && swaps "$1"; then swap_finish "$1"; fi
    # shellcheck disable=SC2046
    instances_settle "$1" $({ units_of "$1"; wanted_units "$1"; } | sort -u)
    if [ "$mode" = live ]; then proxy_with "$1"; fi
}
