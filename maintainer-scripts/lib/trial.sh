# The trial (X-Relpack.Trial): before anything is switched, the new release runs beside the one that serves, on a socket of
# its own, and has to pass the same gate there. Nobody is sent to it. Its units live in /run, above those of any release.

runtime_units=/run/systemd/system

# trials ID: of the services that a switch would restart, each with the one made for its trial. Says why not. What has served
# here is known; and where a switch has begun, the old release no longer serves beside it.
trials() {
    if [ -n "$j_touched" ] || [ -n "$(version_of "$1")" ]; then return 0; fi
    settings_load "$1" || return 1
    while IFS=$tab read -r _key _unit _trial _; do
        if [ "$_key" != trial ] || ! was_running "$_unit" || left_alone "$_unit" "$1" </dev/null; then continue; fi
        _why=$(trial_forbidden "$1" "$_unit" "$_trial" </dev/null)
        if [ -z "$_why" ]; then
            printf '%s %s\n' "$_unit" "$_trial"
        else
            say "$_unit is not tried: $_why"
        fi
    done <<EOF
$s_text
EOF
}

# trial_forbidden ID SERVICE TRIAL: why it is not tried, if so.
trial_forbidden() {
    _own=/etc/systemd/system
    if [ -e "$_own/$3" ] && [ ! -s "$_own/$3" ]; then
        echo "$3 is masked"
    elif ! policy_allows "$3" start; then
        echo "policy-rc.d forbids $3"
    elif [ -f "$_own/$2" ]; then
        echo "$_own/$2 stands in its place"
    elif ! files_alike "$j_from_id" "$1"; then
        echo "its configuration files change with it"
    fi
}

# files_alike ID ID: of what [files] has, both bring the same.
files_alike() {
    [ "$(settings_text "$1" | grep "^file$tab")" = "$(settings_text "$2" | grep "^file$tab")" ] || return 1
    [ -n "$(settings "$2" file)" ] || return 0
    diff -rq "$base/releases/$1/.relpack/files" "$base/releases/$2/.relpack/files" >/dev/null 2>&1
}

# trial ID [SERVICE TRIAL]…
trial() {
    _passed=0
    trial_run "$@" || _passed=1
    trial_end
    return "$_passed"
}

trial_run() {
    _id=$1
    shift
    _sockets=
    _trials=
    while [ $# -gt 0 ]; do
        trial_write "$_id" "$1" "$2" || return 1
        _sockets="$_sockets ${2%.service}.socket"
        _trials="$_trials $2"
        shift 2
    done
    daemon_reload || return 1
    # Whose socket can't listen is told by the socket.
    # shellcheck disable=SC2086
    {
        systemctl reset-failed $_sockets $_trials 2>/dev/null || :
        start_run start $_sockets $_trials || return 1
        fault tried
        gate "$_id" $_trials
    }
}

# trial_write ID SERVICE TRIAL: with what drop-ins of the package's and of the admin's say of the service.
trial_write() {
    mkdir -p "$runtime_units/$3.d" || return 1
    for _file in "$3" "${3%.service}.socket"; do
        write_file "$runtime_units/$_file" 0644 <"$unitstore/units/$1/$_file" || return 1
    done
    for _file in "$unitstore/units/$1/$2.d"/*.conf "/etc/systemd/system/$2.d"/*.conf "$runtime_units/$2.d"/*.conf; do
        [ ! -f "$_file" ] || write_file "$runtime_units/$3.d/${_file##*/}" 0644 <"$_file" || return 1
    done
    # What they say of restarts is not for a trial.
    printf '[Service]\nRestart=no\nRestartForceExitStatus=\n' | write_file "$runtime_units/$3.d/zzz-relpack.conf" 0644
}

# trial_end: also of what an earlier, killed activation left.
trial_end() {
    _ended=
    for _file in "$runtime_units/$name"*-trial.service; do
        grep -qsxF "Package=$name" "$_file" || continue
        _t=${_file##*/}
        _ended="$_ended $_t ${_t%.service}.socket"
        bounded systemctl stop "$_t" "${_t%.service}.socket" 2>/dev/null || {
            systemctl kill -s KILL "$_t" 2>/dev/null || :
            timeout 10 systemctl stop "$_t" 2>/dev/null || :
        }
    done
    [ -n "$_ended" ] || return 0
    # What failed is told here and in the journal; a failed unit would keep the host "degraded".
    for _t in $_ended; do
        systemctl reset-failed "$_t" 2>/dev/null || :
        rm -rf "${runtime_units:?}/$_t" "$runtime_units/$_t.d"
    done
    daemon_reload
}
