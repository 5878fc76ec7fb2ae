# Starting what is meant to run, by the policy of each unit.

# running_units ID: which of its units are meant to run now: they run, or they are enabled and have failed (but not
# those that are only ever restarted). Enabled but stopped is an admin's choice.
running_units() {
    # First as a whole: an answer that does not come must not look like "nothing runs".
    _shown=
    _names=$(units_of "$1" | unit_instances) && {
        _names=$(printf '%s\n' "$_names" | sort -u)
        [ -n "$_names" ] || return 0
        # shellcheck disable=SC2086
        _shown=$(unit_ask -p Id,ActiveState -- $_names)
    }
    [ -n "$_shown" ] || {
        say "systemd does not say what runs, so nothing is done (hint: systemctl status; then run the same command again)"
        return 1
    }
    _u=
    while IFS='=' read -r _k _v; do
        # One that drains is not meant to run.
        if [ "$_k" = ActiveState ] && is_idle "$_u"; then continue; fi
        case $_k=$_v in
        Id=*) _u=$_v ;;
        ActiveState=active | ActiveState=activating | ActiveState=reloading | ActiveState=refreshing | ActiveState=deactivating)
            printf '%s ' "$_u" ;;
        ActiveState=failed)
            if unit_enabled "$_u" && [ "$(unit_setting "$1" "$_u" policy)" != try-restart ]; then printf '%s ' "$_u"; fi
            ;;
        esac
    done <<EOF
$_shown
EOF
}

was_running() { case " $j_running " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# stays_down UNIT: it is not meant to run from now on.
stays_down() { j_running=$(printf '%s' " $j_running " | sed "s/ $1 / /"); }

# wanted_units ID: of that release, what was running, and what it brings new and enabled; each once.
wanted_units() {
    wanted_list "$1" | awk '!seen[$0]++' | while IFS= read -r _u; do
        if ! is_idle "$_u"; then printf '%s\n' "$_u"; fi
    done
}

wanted_list() {
    # Instances that the admin started, of a template that is still there; not those that only the old release names.
    for _u in $j_running; do
        case $_u in
        *@?*.*)
            if has_unit "$1" "$_u" && ! names_unit "$1" "$_u" && ! { release_kept "$j_from_id" && names_unit "$j_from_id" "$_u"; }; then
                printf '%s\n' "$_u"
            fi
            ;;
        esac
    done
    units_of "$1" | while IFS= read -r _u; do
        case $_u in
        *@.*) if ! release_kept "$j_from_id" || ! has_unit "$j_from_id" "$_u"; then template_wanted "$1" "$_u"; fi ;;
        *)
            if was_running "$_u"; then
                printf '%s\n' "$_u"
            elif enabled_anew "$1" "$_u"; then
                # New here: started, unless the admin had disabled it before a removal, or masked it.
                if enabling --quiet was-enabled "$_u" && ! unit_masked "$_u"; then printf '%s\n' "$_u"; fi
            fi
            ;;
        esac
    done
}

# enabled_anew ID UNIT: the release enables it, and the one before it did not.
enabled_anew() {
    [ "$(unit_setting "$1" "$2" enable)" = enable ] || return 1
    ! release_kept "$j_from_id" || [ "$(unit_setting "$j_from_id" "$2" enable)" != enable ]
}

# template_wanted ID TEMPLATE: of a template that is new here, the instance that it enables by itself, and those that
# the admin had enabled when it was there before.
template_wanted() {
    {
        _default=$(sed -n 's/^DefaultInstance=//p' "$unitstore/units/$1/$2" | tail -n 1)
        if [ -n "$_default" ] && enabling --quiet was-enabled "$2"; then
            printf '%s@%s.%s\n' "${2%%@*}" "$_default" "${2##*.}"
        fi
        template_enabled "$2"
    } | sort -u | while IFS= read -r _i; do
        if ! unit_masked "$_i"; then printf '%s\n' "$_i"; fi
    done
}

# start_recreate ID: one restart of everything that changed, then the gate.
start_recreate() {
    _sockets=
    _restart=
    _start=
    _reload=
    _later=
    _gate=
    for _u in $(wanted_units "$1"); do
        ! in_roll "$1" "$_u" || continue
        start_allowed "$_u" || continue
        case $(start_verb "$1" "$_u") in
        socket)
            if socket_waits "$1" "$_u"; then continue; fi
            _sockets="$_sockets $_u"
            ;;
        restart) _restart="$_restart $_u" ;;
        start) _start="$_start $_u" ;;
        reload) _reload="$_reload $_u" ;;
        later) _later="$_later $_u" ;;
        *) continue ;;
        esac
        [ "$(unit_setting "$1" "$_u" gated)" != gated ] || _gate="$_gate $_u"
    done
    fault start
    # A crash loop, or several deploys within ten seconds, has used up the start limit.
    # shellcheck disable=SC2086
    {
        # Without a name it would be that of all units of the host.
        [ -z "$_sockets$_restart$_start$_reload$_later" ] ||
            systemctl reset-failed $_sockets $_restart $_start $_reload $_later 2>/dev/null || :
        # Before the services, which take what the sockets hold.
        if [ -n "$_sockets" ]; then
            start_sockets || return 1
        fi
        [ -z "$_later" ] || systemctl --no-block restart $_later || return 1
        [ -z "$_restart" ] || start_run restart $_restart || return 1
        lame_duck_over $_restart
        [ -z "$_reload" ] || start_run reload-or-restart $_reload || return 1
        [ -z "$_start" ] || start_run start $_start || return 1
        fault started
        gate "$1" $_gate
    }
}

# start_sockets: who calls then starts what had been stopped for them, and once is enough.
start_sockets() {
    _on=
    for _u in $_restart; do
        case $(unit_show "$_u" ActiveState) in
        inactive | failed)
            _start="$_start $_u"
            lame_duck_over "$_u"
            ;;
        *) _on="$_on $_u" ;;
        esac
    done
    _restart=$_on
    # shellcheck disable=SC2086
    start_run restart $_sockets
}

# socket_waits ID SOCKET: systemd starts no socket whose service runs, and a deploy stops only services that it restarts.
socket_waits() {
    _served=$(socket_service "$1" "$2")
    case $(unit_setting "$1" "$_served" policy) in
    none | reload | no-block) ;;
    *) return 1 ;;
    esac
    case $(unit_show "$_served" ActiveState) in inactive | failed | '') return 1 ;; esac
    socket_left "$2" "$_served"
}

# socket_left SOCKET SERVICE
socket_left() {
    say "$1 is left as it is: $2, which it starts, runs on"
    more "(hint: systemctl stop $2 && systemctl restart $1 && systemctl start $2)"
}

# start_allowed UNIT: what the admin forbids stays as it is, and goes on running if it runs.
start_allowed() {
    _left_alone="it stays as it is"
    if was_running "$1"; then _left_alone="it goes on with the release that it was started from"; fi
    if unit_masked "$1"; then
        say "$1 is masked: $_left_alone (hint: systemctl unmask $1, then: systemctl restart $1)"
        return 1
    fi
    policy_allows "$1" restart || {
        say "$1 is not started: policy-rc.d forbids it, so $_left_alone (hint: systemctl restart $1)"
        return 1
    }
    unit_pinned "$1" "$j_to_id"
}

# unit_pinned UNIT ID
unit_pinned() {
    _named=$(pinned_release "$1")
    if [ -n "$_named" ] && [ "$_named" != "$2" ]; then
        say "$1 is replaced by /etc/systemd/system/$1, which names release $_named: that one runs, not the new one"
        more "(hint: write $prefix/current in its BindReadOnlyPaths=, or go back to the package's text: systemctl revert $1)"
    fi
}

# pinned_release UNIT: a text that the admin has put into /etc names the release that it was copied from.
pinned_release() {
    _text=/etc/systemd/system/$1
    if [ ! -f "$_text" ] || [ -L "$_text" ]; then return 0; fi
    _named=$(grep -oE "^BindReadOnlyPaths=$prefix/releases/[0-9a-f]{40}:" "$_text" | tail -n 1)
    _named=${_named##*/}
    printf '%s\n' "${_named%:}"
}

# left_alone UNIT ID: whether it is an admin's choice that it does not run that release.
left_alone() {
    ! unit_masked "$1" && policy_allows "$1" restart || return 0
    case $(pinned_release "$1") in '' | "$2") return 1 ;; esac
}

# start_verb ID UNIT: what happens to a unit that is meant to run.
start_verb() {
    _kind=$(unit_setting "$1" "$2" kind)
    if ! was_running "$2"; then
        case $_kind in
        socket) echo socket ;;
        # What already runs under the name of a new service is not this release.
        service) echo restart ;;
        *) echo start ;;
        esac
        return
    fi
    if release_kept "$j_from_id"; then
        case $_kind in
        service) _same= ;;
        socket) if socket_moves "$2" "$j_from_id" "$1"; then _same=; else _same=y; fi ;;
        *) if unit_changed "$2" "$j_from_id" "$1"; then _same=; else _same=y; fi ;;
        esac
        if [ -n "$_same" ]; then
            echo start
            return
        fi
    fi
    case $(unit_setting "$1" "$2" policy) in
    restart | try-restart) if [ "$_kind" = socket ]; then echo socket; else echo restart; fi ;;
    # What was started from a release of its own finds no other by a reload.
    reload)
        # Nor is there one to be reloaded between two crashes.
        case $(unit_setting "$j_from_id" "$2" policy)$(unit_show "$2" ActiveState) in
        reloadactive | reloadreloading | reloadrefreshing) echo reload ;;
        *) echo restart ;;
        esac
        ;;
    no-block) echo later ;;
    esac
}

start_run() {
    _verb=$1
    shift
    _said=$(bounded systemctl "$_verb" "$@" 2>&1 >/dev/null) && return 0
    for _f in "$@"; do
        _why=$(unit_alive "$_f") || {
            # What systemd refuses to begin leaves no trace in the unit.
            case $_said in "Failed to $_verb "*) _why="$_why; systemctl says: $(one_line "$_said")" ;; esac
            health_failed "$_f" "$_why"
            return 1
        }
    done
    say "systemctl $_verb $* failed or did not end within the activation's time limit"
    printf '%s\n' "systemctl $_verb $* failed" >"$state/reason"
    return 1
}
