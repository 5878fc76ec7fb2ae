# Stopping: what the new release no longer has, and what its texts could not stop.

# stop_dropped FROM TO: what the new release no longer has.
stop_dropped() {
    # shellcheck disable=SC2046
    [ "$mode" != live ] || withdraw "$2" "$1" $(units_dropped "$1" "$2" | unit_instances)
    for _u in $(units_dropped "$1" "$2" | unit_instances) $(units_dropped "$1" "$2" | grep '@[.]' || :); do
        if [ "$mode" != live ]; then
            : # it ends with this boot, or stop_booting has told it to stop
        elif is_job "$1" "$_u" && [ "$(unit_show "$_u" ActiveState)" = activating ]; then
            : # it runs to its end
        elif policy_allows "$_u" stop; then
            unit_end "$1" "$_u"
        else
            say "$_u is no longer part of $name, and still runs: policy-rc.d forbids to stop it (hint: systemctl stop $_u)"
        fi
        unit_forget "$_u"
        [ "$mode" != live ] || systemctl reset-failed "$_u" 2>/dev/null || :
    done
}

# stop_first FROM TO: what has to stop before systemd loads the new texts; triggers before what they trigger. Everything
# else is stopped by its restart, with a shorter gap.
stop_first() {
    _triggers=
    _services=
    _drains=
    for _u in $j_running; do
        stop_needed "$1" "$2" "$_u" || continue
        # A rerun finds what it had stopped, and systemd may not know its name any more.
        case $(unit_show "$_u" ActiveState) in inactive | failed | '') continue ;; esac
        case $_u in
        *.service) if nobody_waits "$1" "$_u" && ! has_unit "$2" "$_u"; then _drains="$_drains $_u"; else _services="$_services $_u"; fi ;;
        *) _triggers="$_triggers $_u" ;;
        esac
    done
    # shellcheck disable=SC2086
    [ -z "$_drains" ] || systemctl --no-block stop $_drains
    # In one transaction systemd would end the services first, and hang up on who calls meanwhile.
    # shellcheck disable=SC2086
    [ -z "$_triggers" ] || bounded systemctl stop $_triggers
    # shellcheck disable=SC2086
    [ -z "$_services" ] || bounded systemctl stop $_services
}

# stop_booting FROM TO: the same while the host comes up, and what the new release no longer has: it may be queued as well.
stop_booting() {
    attempt stop_first "$1" "$2"
    [ "$rc" = 0 ] || say "warning: what $j_to_version replaces could not all be stopped (hint: $name-release status)"
    for _u in $(units_dropped "$1" "$2" | unit_instances); do
        # As in unit_end, though others may be queued.
        [ "$_u" != "$name-first-start.service" ] || continue
        if is_job "$1" "$_u" && [ "$(unit_show "$_u" ActiveState)" = activating ]; then continue; fi
        if policy_allows "$_u" stop; then
            systemctl --no-block stop "$_u" 2>/dev/null || :
        else
            say "$_u is no longer part of $name, and still runs: policy-rc.d forbids to stop it (hint: systemctl stop $_u)"
        fi
    done
}

# nobody_waits ID UNIT: it may drain for longer than anybody wants to wait.
nobody_waits() { [ "$(unit_setting "$1" "$2" policy)" = no-block ]; }

# unit_end ID UNIT: stops one of that release's, whatever comes of it.
unit_end() {
    # Also one that does not run takes what requires it along: the unit of a first migration would, and all require that.
    case $(unit_show "$2" ActiveState) in
    inactive | failed | '') case $(unit_show "$2" Job) in '' | 0) return 0 ;; esac ;;
    esac
    if nobody_waits "$1" "$2"; then _block=--no-block; else _block=; fi
    # shellcheck disable=SC2086
    systemctl $_block stop "$2" 2>/dev/null || :
}

stop_needed() {
    ! in_roll "$2" "$3" || return 1
    _was=$(unit_setting "$1" "$3" policy)
    _is=$(unit_setting "$2" "$3" policy)
    if [ -z "$_is" ]; then
        # Under another name its successor needs what it holds, a port say.
        [ "$_was" != none ] && policy_allows "$3" stop
        return
    fi
    ! unit_masked "$3" && policy_allows "$3" restart || return 1
    case $(unit_setting "$2" "$3" kind) in
    service) ;;
    socket)
        socket_moves "$3" "$1" "$2" || return 1
        # Else a call would start the old service once more, and systemd refuses to start a socket whose service runs.
        case $(unit_setting "$2" "$(socket_service "$2" "$3")" policy) in restart | try-restart) return 0 ;; esac
        return 1
        ;;
    *) return 1 ;;
    esac
    # A server that has become a job: nobody would restart it.
    if [ "$_was" != none ] && [ "$_is" = none ] && is_job "$2" "$3" && ! is_job "$1" "$3"; then return 0; fi
    case $_is in
    restart | try-restart) ;;
    *) return 1 ;;
    esac
    # It is stopped the way its own release says.
    [ "$(stop_lines "$1" "$3")" = "$(stop_lines "$2" "$3")" ] || return 0
    # systemd refuses to start a socket whose service runs.
    for _s in $(units_of "$2"); do
        case $_s in *.socket) ;; *) continue ;; esac
        [ "$(socket_service "$2" "$_s")" = "$3" ] || continue
        if { was_running "$_s" && socket_moves "$_s" "$1" "$2"; } ||
            { ! was_running "$_s" && enabled_anew "$2" "$_s"; }; then return 0; fi
    done
    return 1
}

# is_job ID UNIT
is_job() { unit_text "$1" "$2" | grep -x 'Type=oneshot' >/dev/null; }

# socket_service ID SOCKET: the service that it starts.
socket_service() {
    _started=$(sed -n 's/^Service=//p' "$unitstore/units/$1/$2" | tail -n 1)
    printf '%s\n' "${_started:-${2%.socket}.service}"
}

stop_lines() {
    unit_text "$1" "$2" | grep -E '^(ExecStop|ExecStopPost|KillSignal|KillMode|RestartKillSignal|FinalKillSignal|SendSIGKILL|SendSIGHUP|TimeoutStopSec|TimeoutSec)=' || :
}
