# What a person asks first. Everything is read anew from the host; the journal is only one of the witnesses.

# main_unit ID: the service named like the package, else the first that a deploy restarts, else the first.
main_unit() {
    settings_text "$1" | awk -F '\t' -v n="$name.service" '
        $1 != "unit" || $3 != "service" { next }
        $2 == n { named = $2 }
        first == "" { first = $2 }
        restarted == "" && $4 != "none" { restarted = $2 }
        END { print named != "" ? named : restarted != "" ? restarted : first }'
}

kept_table() {
    for _d in "$base"/releases/*; do
        [ -d "$_d" ] || continue
        _r=${_d##*/}
        _when=$(awk -F '\t' -v r="$_r" '$2 == r { t = $1 } END { print t + 0 }' "$state/activations" 2>/dev/null || echo 0)
        printf '%s\t%s\t%s\n' "$_when" "$_r" "$(version_of "$_r")"
    done | sort -rn | while IFS=$tab read -r _t _r _v; do
        _mark=
        [ "$_r" != "$(current_id)" ] || _mark=' (live)'
        if [ "$_t" = 0 ]; then _t=never; else _t=$(date -u -d "@$_t" +%Y-%m-%dT%H:%M:%SZ); fi
        printf '  %s  %s  %s%s\n' "$_r" "$_t" "${_v:--}" "$_mark"
    done
}

unit_line() {
    # A template itself has no state, and systemd does not answer for it.
    unit_show_all "$1"
    _en=disabled
    if unit_enabled "$1"; then _en=enabled; fi
    if unit_masked "$1"; then _en=masked; fi
    if is_idle "$1"; then _en=idle; fi
    [ "$(unit_setting "$2" "$1" enable)" = enable ] || _en=static
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${u_state:--}" "${u_sub:--}" "$_en" "${u_pid:-0}" "$(unit_release "$1")"
}

# What finishes an interrupted activation: dpkg, unless it knows nothing of it.
problem_hint() {
    case $(dpkg_state) in
    ii*)
        # Only the tidying up is left of an upgrade that dpkg records.
        if [ "$j_step" = finish ] && [ "$j_to_id" = "$j_live_id" ]; then
            echo "apt-get install --reinstall $name=$j_live_version"
        else
            echo "$name-release rollback"
        fi
        ;;
    ??R* | ?H*) dpkg_hint ;;
    *) echo "dpkg --configure -a" ;;
    esac
}

# What brings dpkg's record in line. Where dpkg wants the package unpacked again, a plain "install" of the version that
# it records does nothing, and "--configure" refuses.
dpkg_hint() {
    case $(dpkg_state) in
    ??R* | ?H*) echo "apt-get install --reinstall --allow-downgrades $name=$j_live_version" ;;
    [rp]*) echo "apt-get remove $name, or to keep it: apt-get install --reinstall $name=$j_live_version" ;;
    i?\ "${j_failed_version:-none}") echo "wait for $heal_unit, or $name-release accept" ;;
    i[UF]*) echo "dpkg --configure $name" ;;
    *) echo "apt-get install --allow-downgrades $name=$j_live_version" ;;
    esac
}

interrupted_hint() {
    if [ "$(unit_show "$resume_unit" ActiveState)" = active ]; then
        echo "wait for $resume_unit, which goes on with it"
    else
        problem_hint
    fi
}

# problems LIVE: one a line; none when all is well.
problems() {
    if [ -z "$j_live_id" ]; then
        echo "no release has ever been healthy here$(recorded) (hint: $name-release history)"
        return
    fi
    release_kept "$1" || echo "the live release $1 is missing (hint: $(again "$j_live_version"))"
    [ "$1" = "$j_live_id" ] || echo "the link says $1, the journal ${j_live_id:-nothing}: an activation was interrupted (hint: $(interrupted_hint))"
    [ "$j_step" = idle ] || echo "an activation of $j_to_version stopped at step $j_step (hint: $(interrupted_hint))"
    _st=$(dpkg_state)
    [ "$packager" != dpkg ] || [ "$_st" = "ii $j_live_version" ] || [ "$j_parked_version" = "${_st#???}" ] ||
        echo "dpkg says '$_st', what serves is $j_live_version (hint: $(dpkg_hint))"
    if release_kept "$1"; then
        links_missing "$1" | while IFS= read -r _l; do echo "the link $_l is missing (hint: $(again "$j_live_version"))"; done
    fi
    systemd_runs || return 0
    units_of "$1" | while IFS= read -r _u; do
        unit_show_all "$_u"
        [ "$u_state" != failed ] || echo "$_u has failed (hint: journalctl -u $_u)"
        if runs_other "$1" "$_u" && [ -z "$(choice "$1" "$_u")" ]; then
            echo "$_u runs release $_runs, not the live one (hint: systemctl restart $_u)"
        fi
    done
    if [ -e "$state/pending-migration" ]; then echo "the migration waits for the first start of a service (hint: systemctl start $(main_unit "$1"))"; fi
}

# runs_other LIVE UNIT: it runs another release than it should, which is in _runs.
runs_other() {
    _runs=$(unit_release "$2")
    [ -n "$_runs" ] && [ "$_runs" != "$1" ] && ! is_idle "$2" && [ "$(unit_setting "$1" "$2" policy)" = restart ]
}

# choice LIVE UNIT: why systemd would not start the live release of it: an admin has said so of this very unit.
choice() {
    if unit_masked "$2"; then
        echo "$2 is masked and runs release $_runs, not the live one (hint: systemctl unmask $2, then: systemctl restart $2)"
        return
    fi
    case $(pinned_release "$2") in
    '' | "$1") ;;
    *) echo "$2 is replaced by /etc/systemd/system/$2 and runs release $_runs, not the live one (hint: write $prefix/current in its BindReadOnlyPaths=, or systemctl revert $2; then: systemctl restart $2)" ;;
    esac
}

# choices LIVE: one a line. They need nobody: an admin knows of them, and they last for as long as that is wanted.
choices() {
    systemd_runs || return 0
    units_of "$1" | while IFS= read -r _u; do
        if runs_other "$1" "$_u"; then choice "$1" "$_u"; fi
    done
}

status() {
    [ $# = 0 ] || [ "$1" = --json ] || wrong_use "status knows only --json"
    journal_load
    _live=$(current_id)
    _problems=$(problems "$_live")
    _choices=
    if release_kept "$_live"; then _choices=$(choices "$_live"); fi
    if [ "${1:-}" = --json ]; then status_json; else status_text; fi
    [ -z "$_problems" ] || exit 1
}

status_text() {
    printf '%s %s\n' "$name" "${j_live_version:-(nothing is live)}"
    printf 'release:  %s\n' "${_live:--}"
    [ "$packager" != dpkg ] || printf 'dpkg:     %s\n' "$(dpkg_state)"
    [ -z "$j_failed_version" ] || printf 'failed:   %s: %s\n' "$j_failed_version" "$j_failed_reason"
    [ -z "$j_parked_version" ] || printf 'parked:   %s\n' "$j_parked_version"
    [ -z "$(pins)" ] || printf 'pinned:   %s (kept away from apt upgrade)\n' "$(pins | paste -s -d ' ')"
    if release_kept "$_live"; then
        echo 'units:'
        units_of "$_live" | while IFS= read -r _u; do
            unit_line "$_u" "$_live" | while IFS=$tab read -r _n _a _s _e _p _r; do
                printf '  %-32s %s (%s), %s' "$_n" "$_a" "$_s" "$_e"
                [ "$_p" = 0 ] || printf ', pid %s' "$_p"
                [ -z "$_r" ] || printf ', release %.12s' "$_r"
                printf '\n'
            done
        done
        echo 'kept:'
        kept_table
    fi
    if [ -n "$_choices" ]; then
        echo 'left alone:'
        printf '%s\n' "$_choices" | sed 's/^/  /'
    fi
    if [ -n "$_problems" ]; then
        echo 'needs attention:'
        printf '%s\n' "$_problems" | sed 's/^/  /'
    fi
}

# json_string TEXT
json_string() { printf '"%s"' "$(printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

json_list() {
    _sep=
    printf '['
    while IFS= read -r _x; do
        [ -n "$_x" ] || continue
        printf '%s' "$_sep"
        json_string "$_x"
        _sep=,
    done
    printf ']'
}

status_json() {
    printf '{"name":%s,"version":%s,"release":%s,"dpkg":%s,"step":%s,"failed":%s,"parked":%s,"pinned":' \
        "$(json_string "$name")" "$(json_string "$j_live_version")" "$(json_string "$_live")" \
        "$(json_string "$(dpkg_state)")" "$(json_string "$j_step")" "$(json_string "$j_failed_version")" \
        "$(json_string "$j_parked_version")"
    pins | json_list
    printf ',"problems":'
    printf '%s\n' "$_problems" | json_list
    printf ',"left_alone":'
    printf '%s\n' "$_choices" | json_list
    printf ',"units":['
    if release_kept "$_live"; then
        _sep=
        for _u in $(units_of "$_live"); do
            printf '%s' "$_sep"
            _sep=,
            unit_line "$_u" "$_live" | while IFS=$tab read -r _n _a _s _e _p _r; do
                printf '{"unit":%s,"active":%s,"sub":%s,"enabled":%s,"pid":%s,"release":%s}' "$(json_string "$_n")" \
                    "$(json_string "$_a")" "$(json_string "$_s")" "$(json_string "$_e")" "$_p" "$(json_string "$_r")"
            done
        done
    fi
    printf '],"kept":'
    for _d in "$base"/releases/*; do if [ -d "$_d" ]; then printf '%s\n' "${_d##*/}"; fi; done | json_list
    printf '}\n'
}

history_show() {
    [ $# = 0 ] || [ "$1" = --json ] || wrong_use "history knows only --json"
    [ -e "$state/history" ] || {
        [ $# = 0 ] || echo '[]'
        return 0
    }
    if [ $# = 0 ]; then
        printf 'time\tevent\tversion\trelease\tfrom\tresult\tseconds\treason\n'
        cat "$state/history"
        return 0
    fi
    _sep=
    printf '['
    while IFS=$tab read -r _t _e _v _i _f _res _s _why _; do
        printf '%s{"time":%s,"event":%s,"version":%s,"release":%s,"from":%s,"result":%s,"seconds":%s,"reason":%s}' "$_sep" \
            "$(json_string "$_t")" "$(json_string "$_e")" "$(json_string "$_v")" "$(json_string "$_i")" \
            "$(json_string "$_f")" "$(json_string "$_res")" "$_s" "$(json_string "$_why")"
        _sep=,
    done <"$state/history"
    printf ']\n'
}
