# The trial (X-Relpack.Trial): before anything is switched, the new release runs beside the one that serves, on a socket of
# its own, and has to pass the same gate there. Nobody is sent to it. Its units live in /run, above those of any release.

runtime_units=/run/systemd/system

# trials ID: the services made for it, of those that a switch would restart.
trials() {
    settings_load "$1" || return 1
    while IFS=$tab read -r _key _unit _trial _; do
        if [ "$_key" != trial ] || ! was_running "$_unit" || left_alone "$_unit" "$1"; then continue; fi
        printf '%s\n' "$_trial"
    done <<EOF
$s_text
EOF
}

# trial_wanted ID: what has served here is known. A revert would bring back what was rolled back from.
trial_wanted() { [ "$event" != rollback ] && [ "$1" != "$j_live_id" ] && [ -n "$(trials "$1")" ]; }

trial() {
    # shellcheck disable=SC2046
    set -- "$1" $(trials "$1")
    trial_end "$1"
    _passed=0
    trial_run "$@" || _passed=1
    trial_end "$1"
    return "$_passed"
}

# trial_run ID SERVICE…: its last lines are told where it fails; what failed is stopped in trial_end.
trial_run() {
    _id=$1
    shift
    mkdir -p "$runtime_units" || return 1
    for _t in "$@"; do
        for _file in "$_t" "${_t%.service}.socket"; do
            write_file "$runtime_units/$_file" 0644 <"$unitstore/units/$_id/$_file" || return 1
        done
    done
    daemon_reload || return 1
    systemctl reset-failed "$@" 2>/dev/null || :
    start_run start "$@" || return 1
    fault tried
    gate "$_id" "$@"
}

# trial_end ID: also one that an earlier, killed activation left, of whatever release.
trial_end() {
    _ended=
    for _file in "$runtime_units/$name"*-trial.service; do
        grep -qsxF "Package=$name" "$_file" || continue
        _t=${_file##*/}
        _ended="$_ended $_t"
        bounded systemctl stop "$_t" "${_t%.service}.socket" 2>/dev/null || systemctl kill -s KILL "$_t" 2>/dev/null || :
    done
    [ -n "$_ended" ] || return 0
    # What failed is told here and in the journal; a failed unit would keep the host "degraded".
    for _t in $_ended; do
        systemctl reset-failed "$_t" "${_t%.service}.socket" 2>/dev/null || :
        rm -f "$runtime_units/$_t" "$runtime_units/${_t%.service}.socket"
    done
    daemon_reload
}
