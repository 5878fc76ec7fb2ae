# Rolling: one instance after the other (or a few at a time) leaves the proxy, changes its release, and comes back when it
# is healthy.

# rolls ID: whether this release is rolled out. The first install has nothing to roll over.
rolls() {
    case $(setting "$1" strategy) in
    rolling | canary) release_kept "$j_from_id" ;;
    *) return 1 ;;
    esac
}

# in_roll ID UNIT: whether the strategy, and not the restart of everything, looks after this unit.
in_roll() {
    is_instance "$2" && [ "$(unit_setting "$1" "$2" policy)" != none ] && moves_alone "$1" "$2"
}

# moves_alone ID INSTANCE: it changes its release by itself. Blue-green moves colours; an admin's instance restarts with the rest.
moves_alone() { rolls "$1" || { changes_over "$1" && { names_unit "$1" "$2" || names_unit "$j_from_id" "$2"; }; }; }

roll() {
    # Those that serve nobody first: they take nothing out of the proxy.
    _down=
    _up=
    for _u in $(wanted_units "$1"); do
        if ! in_roll "$1" "$_u" || unit_masked "$_u" || ! policy_allows "$_u" restart; then continue; fi
        if [ "$(unit_show "$_u" ActiveState)" = active ]; then _up="$_up $_u"; else _down="$_down $_u"; fi
    done
    _all=$_down$_up
    _soak=$(setting "$1" soak)
    _canary=
    if [ -n "$_soak" ]; then
        _canary=${_all# }
        _canary=${_canary%% *}
        [ -z "$_canary" ] || roll_canary "$1" "$_canary" "$_soak"
    fi
    # shellcheck disable=SC2086
    _most=$(roll_width "$1" $_all)
    _batch=
    _size=0
    for _roll in $_all; do
        [ "$_roll" != "$_canary" ] || continue
        _batch="$_batch $_roll"
        _size=$((_size + 1))
        [ "$_size" = "$_most" ] || continue
        # shellcheck disable=SC2086
        roll_some "$1" $_batch
        _batch=
        _size=0
    done
    # shellcheck disable=SC2086
    [ -z "$_batch" ] || roll_some "$1" $_batch
}

# roll_width ID UNIT…: how many of them change at a time: on this host, too, one has to go on serving.
roll_width() {
    _width=$(setting "$1" max-parallel)
    _width=${_width:-1}
    [ "$_width" -lt "$(($# - 1))" ] || _width=$(($# - 2))
    [ "$_width" -ge 1 ] || _width=1
    printf '%s\n' "$_width"
}

# roll_canary ID UNIT SECONDS
roll_canary() {
    proxy_canary=$2
    roll_some "$1" "$2"
    soak "$1" "$2" "$3"
    proxy_canary=
}

# soak ID UNIT SECONDS: the canary serves its share, and is watched, before the others follow.
soak() {
    time_for "$3" "the soak of the canary $2" || return 1
    _until=$(($(now) + $3))
    _seen=0
    unit_show_all "$2"
    _pid=$u_pid
    while [ "$(now)" -lt "$_until" ]; do
        unit_show_all "$2"
        _why=$(shown_alive "$2" && health_check "$1" "$2") || {
            health_failed "$2" "the canary $2 failed after $_seen good checks: $_why"
            return 1
        }
        [ "$u_pid" = "$_pid" ] || {
            health_failed "$2" "the canary $2 was restarted after $_seen good checks"
            return 1
        }
        deploy_check "$1" "$2"
        _seen=$((_seen + 1))
        sleep 1
    done
    say "the canary $2 passed $_seen checks in $3 s${check_saw:+ ($check_saw)}; the others follow"
}

# roll_some ID UNIT…
roll_some() {
    _to=$1
    shift
    _change=
    _serve=
    for _r in "$@"; do
        # Done by a run that was interrupted? What has happened to it since says nothing about this deploy.
        if [ "$(unit_release "$_r")" = "$_to" ] && [ "$(readlink "$base/instances/$(instance_of "$_r")" 2>/dev/null)" = "../releases/$_to" ]; then
            systemctl reset-failed "$_r" 2>/dev/null || :
            lame_duck_over "$_r"
            continue
        fi
        _change="$_change $_r"
        if [ "$(unit_show "$_r" ActiveState)" = active ]; then _serve="$_serve $_r"; fi
    done
    if [ -n "$_change" ]; then
        # shellcheck disable=SC2086
        {
            [ -z "$_serve" ] || proxy_without "$_to" $_serve
            lame_duck "$_to" $_serve
            fault roll-out
            roll_stop "$_to" $_serve
            for _r in $_change; do instance_point "$_r" "$_to"; done
            daemon_reload
            fault roll-pointed
            systemctl reset-failed $_change 2>/dev/null || :
            start_run restart $_change
            lame_duck_over $_change
        }
    fi
    for _r in "$@"; do gate_instance "$_to" "$_r"; done
    proxy_with "$_to"
    fault rolled
}

# roll_stop ID UNIT…: what its own text has to stop, since the new one says otherwise. A restart has the shorter gap.
roll_stop() {
    _stop=
    _new=$1
    shift
    for _r in "$@"; do
        [ "$(stop_lines "$j_from_id" "$_r")" = "$(stop_lines "$_new" "$_r")" ] || _stop="$_stop $_r"
    done
    # shellcheck disable=SC2086
    [ -z "$_stop" ] || bounded systemctl stop $_stop
}

# roll_back ID: the instances that run or should run something else go back, those that are down first: they serve nobody.
roll_back() {
    _down=
    _up=
    for _u in $j_running; do
        if ! in_roll "$j_to_id" "$_u" || unit_masked "$_u" || ! policy_allows "$_u" restart; then continue; fi
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
        if [ "$(unit_show "$_back" ActiveState)" = active ]; then lame_duck "$1" "$_back"; fi
        instance_point "$_back" "$1"
        daemon_reload
        # In one request, which a kill of ours doesn't leave half done. But one that crashes again and again is stopped first,
        # since it would crash once more in between.
        _verb=restart
        if [ "$(unit_show "$_back" ActiveState)" != active ]; then
            bounded systemctl stop "$_back" || :
            _verb=start
        fi
        systemctl reset-failed "$_back" 2>/dev/null || :
        # One that does not come back must not keep the others on the failed release.
        if bounded systemctl "$_verb" "$_back" && lame_duck_over "$_back" && healthy "$1" "$_back"; then :; else _sick=y; fi
        proxy_with "$1" || :
    done
    # One that was taken out and not changed yet comes back, too.
    proxy_with "$1" || say "warning: nginx could not be told which instances serve (hint: systemctl status nginx; then: $(again "$j_from_version"))"
    # shellcheck disable=SC2086
    instances_settle "$1" $j_running
    [ -z "$settled" ] || daemon_reload
    [ -z "$_sick" ]
}

# instances_follow ID: where a strategy doesn't move them one by one, they follow the switch.
instances_follow() {
    for _l in "$base"/instances/* "$unitstore"/instances/*; do
        [ -L "$_l" ] || continue
        if release_kept "$j_to_id" && moves_alone "$j_to_id" "$name@${_l##*/}.service"; then continue; fi
        if has_unit "$1" "$name@.service"; then
            instance_point "$name@${_l##*/}.service" "$1"
        else
            rm -f "$_l"
        fi
    done
}

# instances_return ID: after a switch for which nobody waited, and which was not begun live: it moved all of them at once.
instances_return() {
    if ! swaps "$1"; then
        for _c in $(colours "$j_to_id"); do mark_serving "$_c"; done
    fi
    # shellcheck disable=SC2046,SC2086
    instances_settle "$1" $({ units_of "$1"; printf '%s\n' $j_running; } | sort -u)
}

# instances_finish ID: it serves; what only one instance at a time needed is put away.
instances_finish() {
    _serves=
    if swaps "$1"; then
        if [ "$mode" = live ]; then swap_finish "$1"; else swap_leave "$1"; fi
    fi
    # shellcheck disable=SC2046
    instances_settle "$1" $({ units_of "$1"; wanted_units "$1"; } | sort -u)
    if [ "$mode" != live ]; then
        proxy_leave "$1"
        [ "$mode" != boot ] || idle_stop "$1"
        return
    fi
    # One that was stopped has still the text of the release before.
    [ -z "$settled" ] || daemon_reload
    # Of the colours one; what else runs there is not of this release.
    if [ -n "$_serves" ]; then proxy_set "$1" "$_serves"; else proxy_with "$1"; fi
}
