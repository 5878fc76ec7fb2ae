# Blue-green: the colour that does not run starts on the new release; when it is healthy the proxy changes over, and the
# other one ends when the last request that was sent to it has. Both are enabled; a mark says which one a boot leaves alone.

swaps() { [ "$(setting "$1" strategy)" = blue-green ]; }

# changes_over ID: the first install has nothing to change over from.
changes_over() { swaps "$1" && release_kept "$j_from_id"; }

is_idle() { is_instance "$1" && [ -e "$state/idle/$(instance_of "$1")" ]; }

# Unlike other records these are not synced one by one: after a power cut both colours may start, each with its own code.
mark_idle() {
    mkdir -p "$state/idle"
    # A redirection of ":" that fails would end the shell.
    printf '' >"$state/idle/$(instance_of "$1")"
}

mark_serving() { rm -f "$state/idle/$(instance_of "$1")"; }

colours() {
    for _c in $(units_of "$1"); do
        if is_instance "$_c"; then printf '%s\n' "$_c"; fi
    done
}

# colours_begin ID: at the first install one of them serves.
colours_begin() {
    _first=y
    for _c in $(colours "$1"); do
        if [ -n "$_first" ]; then mark_serving "$_c"; else mark_idle "$_c"; fi
        _first=
    done
}

# idle_end ID: it has no colours, so what was idle is an instance like the others, if it is enabled.
idle_end() {
    for _m in "$state"/idle/*; do
        [ -e "$_m" ] || continue
        _u=$name@${_m##*/}.service
        j_joined="$j_joined $_u"
        if has_unit "$1" "$_u" && unit_enabled "$_u" && ! was_running "$_u"; then j_running="$j_running $_u "; fi
    done
    [ -d "$state/idle" ] || return 0
    # Without the marks nobody could tell any more.
    journal_save && rm -rf "$state/idle"
}

# idle_apart: the way back to two colours, after idle_end: what was idle is not brought back. It serves until the others are.
idle_apart() {
    for _c in $j_joined; do stays_down "$_c"; done
}

# idle_again ID: then it ends.
idle_again() {
    for _c in $j_joined; do mark_idle "$_c" || return 1; done
    proxy_with "$1" || return 1
    for _c in $j_joined; do
        bounded systemctl stop "$_c" || :
        systemctl reset-failed "$_c" 2>/dev/null || :
        instance_unpoint "$_c"
    done
    daemon_reload
}

# swap_one ID: what both colours serve, only one of them does from now on: as the proxy has it, else the first. After a
# power cut both may run, since marks are not synced.
swap_one() {
    _serves=
    for _c in $(colours "$1"); do
        was_running "$_c" || return 0
        # One that a postponed switch had made idle does not run.
        if [ -z "$_serves" ] || { ! is_idle "$_c" && { is_idle "$_serves" || proxy_has "$j_from_id" "$_c"; }; }; then
            _serves=$_c
        fi
    done
    proxy_set "$j_from_id" "$_serves" || return 1
    for _c in $(colours "$1"); do
        [ "$_c" != "$_serves" ] || continue
        mark_idle "$_c" || return 1
        j_parted=$_c
        stays_down "$_c"
    done
    journal_save
}

# swap ID
swap() {
    _serves=
    _colour=
    for _c in $(colours "$1"); do
        if was_running "$_c"; then
            _serves=$_c
        elif [ -z "$_colour" ]; then
            _colour=$_c
        fi
    done
    # Instances of other names end when this release serves, and wait for nobody then.
    _others=
    for _c in $j_running; do
        if is_instance "$_c"; then _others=y; fi
    done
    # Nothing of it is meant to run.
    if [ -z "$_others" ] && has_unit "$j_from_id" "$name@.service"; then return 0; fi
    if unit_masked "$_colour" || ! policy_allows "$_colour" start; then
        say "$_colour may not be started, and without it nothing can change over"
        return 1
    fi
    swap_start "$1" "$_colour"
    fault swap-healthy
    [ -z "$_serves" ] || proxy_wait=
    proxy_set "$1" "$_colour"
    fault swapped
}

# swap_start ID UNIT
swap_start() {
    if [ "$(unit_show "$2" ActiveState)" != active ] || [ "$(unit_release "$2")" != "$1" ]; then
        drain_wait
    fi
    systemctl stop "relpack-drain-$name.service" 2>/dev/null || :
    # Also what has happened to it since an interrupted run says nothing about this deploy.
    systemctl reset-failed "$2" 2>/dev/null || :
    # Just rolled back from, and not drained yet: it still is what is wanted.
    if [ "$(unit_show "$2" ActiveState)" != active ] || [ "$(unit_release "$2")" != "$1" ]; then
        bounded systemctl stop "$2"
        # It may have crashed once more until then.
        systemctl reset-failed "$2" 2>/dev/null || :
        instance_point "$2" "$1"
        mark_serving "$2"
        daemon_reload
        fault swap-pointed
        start_run start "$2"
    fi
    mark_serving "$2"
    gate_instance "$1" "$2"
}

# swap_back ID: the colour that served goes on serving, the other one ends.
swap_back() {
    _sick=
    _others=
    # Both, where nothing had made one of them idle yet. What is down serves nobody meanwhile.
    _down=
    _up=
    for _c in $(colours "$j_to_id"); do
        if ! was_running "$_c"; then
            _others="$_others $_c"
        elif [ "$(unit_show "$_c" ActiveState)" = active ]; then
            _up="$_up $_c"
        else
            _down="$_down $_c"
        fi
    done
    _serves=$_down$_up
    for _c in $_serves; do
        mark_serving "$_c"
        instance_point "$_c" "$1"
    done
    for _c in $_serves; do
        # A boot may have started it on the failed release.
        _ran=$(unit_release "$_c")
        if [ "$(unit_show "$_c" ActiveState)" != active ] ||
            { [ "${_ran:-$1}" != "$1" ] && ! left_alone "$_c" "$1"; }; then
            daemon_reload
            # Between two crashes a start would only wait for the next one, which would then count against it.
            bounded systemctl stop "$_c" || :
            systemctl reset-failed "$_c" 2>/dev/null || :
            if bounded systemctl start "$_c" && healthy "$1" "$_c"; then :; else _sick=y; fi
        fi
    done
    if [ -n "$_serves" ]; then
        # Where nginx can't be told, it goes on sending requests to the others.
        # shellcheck disable=SC2086
        if swaps "$1"; then proxy_set "$1" $_serves; else proxy_without "$1" $_others; fi || {
            _sick=y
            _others=
        }
    elif has_unit "$1" "$name@.service"; then
        # shellcheck disable=SC2086
        proxy_without "$1" $_others || _sick=y
    fi
    for _c in $_others; do
        bounded systemctl stop "$_c" || :
        systemctl reset-failed "$_c" 2>/dev/null || :
        if swaps "$1"; then mark_idle "$_c"; else mark_serving "$_c"; fi
        instance_unpoint "$_c"
    done
    daemon_reload
    # shellcheck disable=SC2086
    swaps "$1" || swap_undo "$1" $_others || _sick=y
    [ -z "$_sick" ]
}

# swap_undo ID UNIT…: that release has instances that all serve, and swap_one had made a colour of one of these.
swap_undo() {
    _to=$1
    shift
    _down=
    for _c in "$@"; do
        [ "$_c" = "$j_parted" ] || continue
        if ! has_unit "$_to" "$_c" || ! unit_enabled "$_c" || unit_masked "$_c" || ! policy_allows "$_c" start; then continue; fi
        if bounded systemctl start "$_c" && healthy "$_to" "$_c"; then :; else _down=y; fi
    done
    if has_unit "$_to" "$name@.service"; then proxy_with "$_to" || return 1; fi
    [ -z "$_down" ]
}

# swap_finish ID: what does not serve is idle from now on; what still runs there is ended by systemd, not by us.
swap_finish() {
    _others=
    _serves=
    for _c in $(colours "$1"); do
        # One that has crashed just now has no process. The proxy knows which of two of this release it is.
        _runs=$(unit_release "$_c")
        if [ "${_runs:-$(instance_release "$_c")}" = "$1" ] && ! is_idle "$_c" && [ -z "$_serves" ] &&
            { ! proxy_used "$1" || proxy_has "$1" "$_c"; }; then
            _serves=$_c
        else
            _others="$_others $_c"
        fi
    done
    [ -n "$_serves" ] || return 0
    mark_serving "$_serves"
    for _c in $_others; do
        if unit_enabled "$_c" && ! unit_enabled "$_serves"; then
            say "warning: $_serves serves from now on, and is disabled: no boot would start it (hint: systemctl enable $_serves)"
        fi
        mark_idle "$_c"
        case $(unit_show "$_c" ActiveState) in
        active) ;;
        inactive | failed)
            # What was to end it was lost with the host.
            if [ -L "$unitstore/instances/$(instance_of "$_c")" ]; then
                instance_unpoint "$_c"
                daemon_reload
            fi
            continue
            ;;
        *) continue ;;
        esac
        # This is not the deploy that changed over, and it is ended already.
        if systemctl -q is-active "relpack-drain-$name.service"; then continue; fi
        # shellcheck disable=SC2046
        systemd-run --quiet --collect --unit="relpack-drain-$name.service" --description="End $_c when its last request has ended" \
            "/usr/bin/$name-release" _drain "$_c" $(cat "$proxy_workers" 2>/dev/null) 2>/dev/null ||
            say "warning: $_c was left running (hint: systemctl stop $_c)"
    done
    rm -f "$proxy_workers"
}

# swap_leave ID: the host goes down, or comes up: of two colours that follow a switch for which nobody waits, it starts one.
swap_leave() {
    _others=
    _serves=
    for _c in $(colours "$1"); do
        if [ ! -L "$base/instances/$(instance_of "$_c")" ] || [ "$(instance_release "$_c")" != "$1" ] || is_idle "$_c"; then
            _others="$_others $_c"
        elif [ -z "$_serves" ] || serves_rather "$1" "$_c" "$_serves"; then
            _others="$_others $_serves"
            _serves=$_c
        else
            _others="$_others $_c"
        fi
    done
    [ -n "$_serves" ] || return 0
    for _c in $_others; do mark_idle "$_c"; done
}

# serves_rather ID UNIT UNIT: a boot would start it, and not the other one; or nginx sends requests to it alone. Where a boot
# would start neither, something else of the admin's has started the one that runs.
serves_rather() {
    if unit_enabled "$2"; then
        ! unit_enabled "$3" || { proxy_has "$1" "$2" && ! proxy_has "$1" "$3"; }
    else
        ! unit_enabled "$3" && was_running "$2" && ! was_running "$3"
    fi
}

# idle_stop ID: what a boot had started before it was marked.
idle_stop() {
    if ! swaps "$1" || systemctl -q is-active "relpack-drain-$name.service"; then return 0; fi
    for _c in $(colours "$1"); do
        if is_idle "$_c"; then systemctl --no-block stop "$_c" 2>/dev/null || :; fi
    done
}

# drain UNIT PID…: run by that job. The processes are those of the proxy that were there before the change.
drain() {
    _unit=$1
    shift
    journal_load
    proxy_drained "$j_live_id" "$@"
    is_idle "$_unit" || return 0
    systemctl stop "$_unit"
    systemctl reset-failed "$_unit" 2>/dev/null || :
    instance_unpoint "$_unit"
    daemon_reload
}
