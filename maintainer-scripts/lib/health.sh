# Health gates a start: first every gated unit becomes healthy, then all of them stay up for "settle".

# health_expand ID UNIT TEXT [VALUE]: {instance}, and {env.NAME} filled in with what this host says, or that function.
health_expand() {
    _rest=$3
    _out=
    _instance=${2#*@}
    while :; do
        case $_rest in
        *'{instance}'*) _rest=${_rest%%'{instance}'*}${_instance%.*}${_rest#*'{instance}'} ;;
        *'{env.'*'}'*)
            _out=$_out${_rest%%'{env.'*}
            _rest=${_rest#*'{env.'}
            _out=$_out$("${4:-env_value}" "$1" "${_rest%%'}'*}" "$2")
            _rest=${_rest#*'}'}
            ;;
        *) break ;;
        esac
    done
    printf '%s\n' "$_out$_rest"
}

# health_setting ID UNIT: timeout, kind and target of its check, else of its template's; nothing where there is none.
health_setting() {
    settings_load "$1" || return 1
    _general=$(template_of "$2")
    _found=
    while IFS=$tab read -r _key _unit _kind _limit _target _; do
        if [ "$_key" != health ]; then continue; fi
        case $_unit in "$2" | "$_general") _found=$_limit$tab$_kind$tab$_target ;; esac
        [ "$_unit" != "$2" ] || break
    done <<EOF
$s_text
EOF
    [ -z "$_found" ] || printf '%s\n' "$_found"
}

# health_target ID UNIT: kind and target of its check, with the target's placeholders filled in.
health_target() {
    _spec=$(health_setting "$1" "$2") || return 1
    [ -n "$_spec" ] || return 0
    _spec=${_spec#*"$tab"}
    printf '%s\t%s\n' "${_spec%%"$tab"*}" "$(health_expand "$1" "$2" "${_spec#*"$tab"}")"
}

# health_check ID UNIT: one probe. Prints why it fails.
health_check() { health_probe "$1" "$2" "$(health_target "$1" "$2")"; }

# health_probe ID UNIT TARGET: the same with what health_target has said.
health_probe() {
    [ -n "$3" ] || return 0
    _what=${3#*"$tab"}
    case ${3%%"$tab"*} in
    http) _curl "$_what" ;;
    unix)
        _path=/
        case $_what in *:*) _path=${_what#*:} ;; esac
        _curl --unix-socket "${_what%%:*}" "http://localhost$_path"
        ;;
    exec) health_exec "$1" "$2" "$_what" ;;
    esac
}

_curl() { curl -q -g -fsS -o /dev/null --noproxy '*' --max-time 3 "$@" 2>&1; }

health_exec() {
    _line=$(exec_said "$@") || {
        printf '%s: %s\n' "$3" "$_line"
        return 1
    }
}

# exec_said ID UNIT COMMAND: runs it, and prints the last line that it says, as much of it as a message has room for.
exec_said() {
    # Split at spaces, as the configuration says; nothing is expanded.
    app_limit=$(left)
    [ "$app_limit" -le 30 ] || app_limit=30
    _ran=0
    set -f
    # shellcheck disable=SC2086
    _said=$(app_run "$1" "$2" $3 2>&1 </dev/null) || _ran=$?
    set +f
    printf '%s' "$_said" | tail -n 1 | tr -d '[:cntrl:]' | cut -c 1-200
    return "$_ran"
}

# unit_alive UNIT: prints why not. A restart by systemd counts as death: a crash loop looks alive between two crashes.
unit_alive() {
    unit_show_all "$1"
    shown_alive "$1"
}

# shown_alive UNIT: the same, of what unit_show_all has last asked.
shown_alive() {
    case $u_state in
    active | reloading | refreshing) ;;
    activating)
        case $u_sub in
        auto-restart*) printf '%s exited (%s, status %s)\n' "$1" "$u_result" "$u_status"; return 1 ;;
        esac ;;
    *) printf '%s is %s (%s, status %s)\n' "$1" "$u_state" "$u_result" "$u_status"; return 1 ;;
    esac
    if [ "${u_restarts:-0}" != 0 ]; then
        printf '%s exited and was restarted by systemd (status %s)\n' "$1" "$u_status"
        return 1
    fi
}

# unit_show_all UNIT: u_state, u_sub, …
unit_show_all() {
    u_state=
    u_sub=
    u_result=
    u_status=
    u_restarts=
    u_pid=
    while IFS='=' read -r _k _v; do
        case $_k in
        ActiveState) u_state=$_v ;;
        SubState) u_sub=$_v ;;
        Result) u_result=$_v ;;
        ExecMainStatus) u_status=$_v ;;
        NRestarts) u_restarts=$_v ;;
        MainPID) u_pid=$_v ;;
        esac
    done <<EOF
$(unit_ask -p ActiveState,SubState,Result,ExecMainStatus,NRestarts,MainPID -- "$1")
EOF
}

health_timeout() {
    _t=$(health_setting "$1" "$2")
    _t=${_t%%"$tab"*}
    printf '%s\n' "${_t:-60}"
}

# healthy ID UNIT: waits. Says why and returns 1 when it does not come.
healthy() {
    _end=$(($(now) + $(health_timeout "$1" "$2")))
    [ "$_end" -le "$deadline" ] || _end=$deadline
    _target=$(health_target "$1" "$2") || return 1
    while :; do
        unit_show_all "$2"
        if ! _why=$(shown_alive "$2"); then
            health_failed "$2" "$_why"
            return 1
        fi
        if [ "$u_state" = active ] && _why=$(health_probe "$1" "$2" "$_target"); then return 0; fi
        if [ "$(now)" -ge "$_end" ]; then
            health_failed "$2" "$2 did not become healthy within $(health_timeout "$1" "$2") s: ${_why:-still starting}"
            return 1
        fi
        sleep 0.05
    done
}

health_failed() {
    say "$2"
    last_log "$1" | sed 's/^/    | /' >&2
    more "log: journalctl -u $1"
    printf '%s\n' "$2" >"$state/reason" || :
}

# gate ID UNIT…: all healthy, then all up and unchanged for the settle time, and healthy still.
gate() {
    _id=$1
    shift
    [ $# -gt 0 ] || return 0
    for _u in "$@"; do healthy "$_id" "$_u" || return 1; done
    _settle=$(setting "$_id" settle)
    [ "$_settle" != 0 ] || return 0
    time_for "$_settle" "the settle time of $*" || return 1
    _pids=
    for _u in "$@"; do
        unit_show_all "$_u"
        _pids="$_pids $u_pid"
    done
    _until=$(($(now_fine) + _settle * 100))
    while [ "$(now_fine)" -lt "$_until" ]; do
        sleep 0.2
        gate_still "$_pids" "$@" || return 1
    done
    for _u in "$@"; do
        _why=$(health_check "$_id" "$_u") || {
            health_failed "$_u" "$_u was healthy, but no longer after $_settle s: $_why"
            return 1
        }
    done
}

gate_still() {
    _was=$1
    _is=
    shift
    for _u in "$@"; do
        unit_show_all "$_u"
        _why=$(shown_alive "$_u") || {
            health_failed "$_u" "$_why within $_settle s of being healthy"
            return 1
        }
        _is="$_is $u_pid"
    done
    [ "$_was" = "$_is" ] || {
        health_failed "$1" "the main process of $* changed within $_settle s of being healthy"
        return 1
    }
}
