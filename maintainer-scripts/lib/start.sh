# Starting what is meant to run, by the policy of each unit.

# running_units ID: which of its units are meant to run now: they run, or they are enabled and have failed. Enabled but
# stopped is an admin's choice.
running_units() {
    _names=$(units_of "$1" | unit_instances)
    [ -n "$_names" ] || return 0
    # First as a whole: an answer that does not come must not look like "nothing runs".
    # shellcheck disable=SC2086
    _shown=$(systemctl show -p Id,ActiveState -- $_names)
    while IFS='=' read -r _k _v; do
        case $_k=$_v in
        Id=*) _u=$_v ;;
        ActiveState=active | ActiveState=activating | ActiveState=reloading | ActiveState=refreshing | ActiveState=deactivating)
            printf '%s ' "$_u" ;;
        ActiveState=failed) if unit_enabled "$_u"; then printf '%s ' "$_u"; fi ;;
        esac
    done <<EOF
$_shown
EOF
}

was_running() { case " $j_running " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# wanted_units ID: of that release, what was running, and what it brings new and enabled.
wanted_units() {
    # Instances that the admin started, of a template that is still there.
    for _u in $j_running; do
        case $_u in *@?*.*) if has_unit "$1" "$_u"; then printf '%s\n' "$_u"; fi ;; esac
    done
    units_of "$1" | grep -v '@[.]' | while IFS= read -r _u; do
        if was_running "$_u"; then
            printf '%s\n' "$_u"
        elif [ "$(unit_setting "$1" "$_u" enable)" = enable ] && { ! release_kept "$j_from_id" ||
            ! has_unit "$j_from_id" "$_u"; }; then
            # New here: started, unless the admin had disabled it before a removal, or masked it.
            if deb-systemd-helper --quiet was-enabled "$_u" && ! unit_masked "$_u"; then printf '%s\n' "$_u"; fi
        fi
    done
}

# start_recreate ID: one restart of everything that changed, then the gate.
start_recreate() {
    _restart=
    _start=
    _reload=
    _later=
    _gate=
    for _u in $(wanted_units "$1"); do
        _policy=$(unit_setting "$1" "$_u" policy)
        policy_allows "$_u" restart || {
            say "$_u is not started: policy-rc.d forbids it"
            continue
        }
        if ! was_running "$_u"; then
            _start="$_start $_u"
        else
            case $(unit_setting "$1" "$_u" kind) in
            service) _acts=y ;;
            *) if release_kept "$j_from_id" && ! unit_changed "$_u" "$j_from_id" "$1"; then _acts=n; else _acts=y; fi ;;
            esac
            case $_acts$_policy in
            yrestart | ytry-restart) _restart="$_restart $_u" ;;
            yreload) _reload="$_reload $_u" ;;
            yno-block) _later="$_later $_u" ;;
            n*) _start="$_start $_u" ;;
            *) continue ;;
            esac
        fi
        [ "$(unit_setting "$1" "$_u" gated)" != gated ] || _gate="$_gate $_u"
    done
    fault start
    # A crash loop, or several deploys within ten seconds, has used up the start limit.
    # shellcheck disable=SC2086
    {
        systemctl reset-failed $_restart $_start $_reload $_later 2>/dev/null || :
        [ -z "$_later" ] || systemctl --no-block restart $_later || return 1
        [ -z "$_restart" ] || start_run restart $_restart || return 1
        [ -z "$_reload" ] || start_run reload-or-restart $_reload || return 1
        [ -z "$_start" ] || start_run start $_start || return 1
        fault started
        gate "$1" $_gate
    }
}

start_run() {
    _verb=$1
    shift
    bounded systemctl "$_verb" "$@" >/dev/null 2>&1 && return 0
    for _f in "$@"; do
        _why=$(unit_alive "$_f") || {
            health_failed "$_f" "$_why"
            return 1
        }
    done
    say "systemctl $_verb $* failed or did not end within the activation's time limit"
    printf '%s\n' "systemctl $_verb $* failed" >"$state/reason"
    return 1
}

# stop_dropped FROM TO: what the new release no longer has.
stop_dropped() {
    for _u in $(units_dropped "$1" "$2" | unit_instances) $(units_dropped "$1" "$2" | grep '@[.]' || :); do
        systemctl stop "$_u" 2>/dev/null || :
        unit_forget "$_u"
        systemctl reset-failed "$_u" 2>/dev/null || :
    done
}

# stop_as_before FROM TO: a service is stopped the way its own release says. Where the new text says otherwise, it is
# stopped before systemd loads that; else the restart does it, with a shorter gap.
stop_as_before() {
    for _u in $j_running; do
        [ "$(unit_setting "$2" "$_u" kind)$(unit_setting "$2" "$_u" policy)" = servicerestart ] || continue
        [ "$(stop_lines "$1" "$_u")" = "$(stop_lines "$2" "$_u")" ] || bounded systemctl stop "$_u"
    done
}

stop_lines() {
    grep -E '^(ExecStop|ExecStopPost|KillSignal|KillMode|RestartKillSignal|FinalKillSignal|SendSIGKILL|SendSIGHUP|TimeoutStopSec|TimeoutSec)=' \
        "$unitstore/units/$1/$(template_of "$2")" || :
}
