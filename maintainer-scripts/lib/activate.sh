# The activation: the steps in their order. Each is idempotent, so a rerun finishes what was interrupted.

# attempt FUNCTION…: runs it in a subshell where any failing command ends it; its status is in rc. It must never be
# called in a condition itself, because a shell ignores "set -e" there.
attempt() {
    set +e
    (
        set -e
        "$@"
    )
    rc=$?
    set -e
}

# step NAME TEXT FUNCTION…
step() {
    journal_step "$1" || activation_failed "its journal could not be written"
    _text=$2
    shift 2
    attempt "$@"
    [ "$rc" = 0 ] || activation_failed "$_text"
}

# activate ID VERSION delivered|kept: delivered by dpkg for this script's own version, or a release kept here.
activate() {
    began=$(now)
    deadline=$((began + 600))
    systemd_runs || :
    mode=$(systemd_mode)
    if release_kept "$j_live_id" && ! settings_load "$j_live_id"; then
        say "the settings of release $j_live_id, which serves, cannot be read, so nothing is done"
        heal_schedule
        more "(hint: look at the disk, then run the same command again)"
        exit 1
    fi
    # What an earlier, killed activation left of one is nothing that is meant to run.
    [ "$mode" != live ] || trial_end || :
    activation_begin "$1" "$2"
    if [ -e "$state/reason" ] && ! rm -f "$state/reason"; then activation_failed "$state cannot be written"; fi
    step prepare "its users and directories could not be made" prepare
    [ "$3" = kept ] || step stage "the release could not be staged" stage
    release_kept "$1" || activation_failed "release $1 is not kept on this host"
    settings_load "$1" || activation_failed "the settings of release $1 cannot be read"
    deadline=$((began + $(setting "$1" timeout)))
    step store "its units and settings could not be written" activation_store "$1"
    activation_env "$1"
    if serves_already "$1" && [ -z "$not_started" ] && { [ "$mode" = live ] || [ "$mode" = boot ]; }; then
        step switch "its units could not be loaded" activation_same "$1"
    elif [ "$mode" != live ] || [ -n "$not_started" ]; then
        [ "$mode" = live ] || j_deferred=y
        step switch "the switch to the new release failed" activation_deferred "$1"
    else
        activation_live "$1"
    fi
    activation_finish
}

activation_store() {
    units_store "$1"
    # Without it a boot still has the links of both places.
    place_record || :
    env_create "$1"
}

# Which units run is recorded before anything is touched, and an interrupted activation's record is kept.
activation_begin() {
    deferred_settle
    if [ "$j_step" != idle ] && [ "$j_to_id" != "$1" ]; then activation_close; fi
    if [ "$j_step" != idle ] && [ "$j_to_id" = "$1" ] && [ "$j_live_id" = "$1" ] && [ -z "$j_touched" ]; then
        : # killed while it tidied up: what it came from still tells which units are new
    elif [ -z "$j_touched" ]; then
        j_from_id=$j_live_id
        j_from_version=$j_live_version
        way_forget
        j_running=
        [ "$mode" = none ] || j_running=$(running_units "$j_live_id")
    fi
    j_to_id=$1
    j_to_version=$2
    event=upgrade
    if [ -z "$j_from_version" ]; then
        event=install
    elif version_is "$2" lt "$j_from_version"; then
        event=rollback
    elif [ "$2" = "$j_from_version" ]; then
        event=reinstall
    fi
}

# deferred_settle: a switch that nobody was to wait for, as at a boot, and that was killed before it was recorded, is one
# that may have to be taken back. Since its record more may have been started.
deferred_settle() {
    case $j_step in idle | remove) return 0 ;; esac
    if [ -n "$j_touched" ] || [ "$j_live_id" = "$j_to_id" ] || [ "$(current_id)" != "$j_to_id" ]; then return 0; fi
    j_touched=y
    if [ "$mode" = none ] || ! release_kept "$j_from_id"; then return 0; fi
    _now=$(running_units "$j_from_id")
    # What a shutdown had stopped before the record was made, or a boot had yet to start.
    if [ -n "$j_deferred" ]; then
        for _u in $(units_startable "$j_from_id"); do
            # Only colours are idle, and that switch may have made them so.
            if unit_enabled "$_u" && { ! is_idle "$_u" || ! swaps "$j_from_id"; }; then _now="$_now $_u"; fi
        done
    fi
    for _u in $_now; do was_running "$_u" || j_running="$j_running $_u "; done
}

activation_env() {
    not_started=
    if env_insane "$1"; then
        activation_failed "$(setting "$1" env-file) has carriage returns (hint: sed -i 's/\\r\$//' $(setting "$1" env-file))"
    fi
    _missing=$(env_missing "$1")
    _missing=${_missing% }
    [ -n "$_missing" ] || return 0
    if [ -n "$j_running" ]; then
        activation_failed "$(setting "$1" env-file) lacks what this version requires: $_missing"
    fi
    not_started=y
    say "$name $j_to_version is installed, but not started: $(setting "$1" env-file) lacks: $_missing"
    more "(hint: set it there, then: systemctl start $(units_startable "$1" | paste -s -d ' '))"
}

# activation_close: another activation was interrupted, and now something else is wanted: first one clean state.
activation_close() {
    release_kept "$j_to_id" || return 0
    if [ "$j_live_id" = "$j_to_id" ] && [ -z "$j_touched" ]; then
        [ "$mode" != live ] || start_not_begun "$j_live_id"
        units_enable "$j_live_id" "$j_from_id"
        if release_kept "$j_from_id"; then stop_dropped "$j_from_id" "$j_live_id"; fi
        # It has served, so it may be gone back to.
        activation_note "$j_live_id" "$j_live_version" || :
        keep_deb "$j_live_version" "$j_live_id" || :
    elif release_kept "$j_from_id" && [ "$mode" = live ] && [ -n "$j_touched" ] && [ "$j_step" != remove ]; then
        attempt revert_to "$j_from_id"
        if [ "$rc" = 0 ]; then
            j_touched=
            journal_step idle
        fi
    fi
}

# No systemd here, or it comes up or goes down, or settings are missing: the migration and the start are left for the
# first start, in that order (a unit that the services require looks for the mark).
activation_deferred() {
    if migration_wanted; then
        write_file "$state/pending-migration" 0644 </dev/null
    elif [ -e "$state/pending-migration" ]; then
        rm -f "$state/pending-migration"
    fi
    if swaps "$1" && ! release_kept "$j_from_id"; then colours_begin "$1"; fi
    switch_to "$1"
    instances_follow "$1"
    if rolls "$1" || changes_over "$1"; then
        # shellcheck disable=SC2046
        instances_settle "$1" $({ units_of "$1"; wanted_units "$1"; } | sort -u)
    fi
    files_deliver "$1" "$j_from_id"
    # The links have to be there before systemd is asked to start anything.
    units_enable "$1" "$j_from_id"
    # Not before: what fails up to here leaves two colours as they were.
    if swaps "$1"; then swap_leave "$1"; else idle_end "$1"; fi
    case $mode in
    live) daemon_reload ;;
    boot)
        # Before others are queued, which need what these hold, and while systemd knows how to stop them.
        if release_kept "$j_from_id"; then stop_booting "$j_from_id" "$1"; fi
        daemon_reload
        for _u in $({ units_startable "$1"; wanted_units "$1"; } | awk '!seen[$0]++'); do
            if [ -n "$not_started" ] || unit_masked "$_u" || is_idle "$_u"; then continue; fi
            if was_running "$_u"; then
                # A static one, too: a socket has started it.
                policy_allows "$_u" restart || continue
                _how=$(start_verb "$1" "$_u")
            else
                if ! unit_enabled "$_u" || ! policy_allows "$_u" start; then continue; fi
                # A job of both releases belongs to the boot, which may have done it already.
                if is_job "$1" "$_u" && release_kept "$j_from_id" && ! enabled_anew "$1" "$_u"; then continue; fi
                _how=start
            fi
            case $_how in
            '') continue ;; # it is to go on
            start) ;;
            reload) _how=reload-or-restart ;;
            *) _how=restart ;;
            esac
            systemctl --no-block "$_how" "$_u" || say "warning: $_u could not be queued (hint: systemctl start $_u)"
        done
        ;;
    esac
}

# serves_already ID: it is live, and nothing of it has to be started anew.
serves_already() {
    [ "$1" = "$j_live_id" ] && [ "$(current_id)" = "$1" ] && [ -z "$j_touched" ] && [ ! -e "$state/restaged" ] && runs_only "$1"
}

# runs_only ID: no service still runs another release, but by an admin's choice, which no restart of the others would
# change. A revert that failed half-way leaves that.
runs_only() {
    for _u in $j_running; do
        [ "$(unit_setting "$1" "$_u" kind)$(unit_setting "$1" "$_u" policy)" = servicerestart ] || continue
        _runs=$(unit_release "$_u")
        [ -z "$_runs" ] || [ "$_runs" = "$1" ] || left_alone "$_u" "$1" || return 1
    done
}

# The same content under another version: nothing restarts.
activation_same() {
    switch_to "$1"
    files_deliver "$1" "$j_from_id"
    daemon_reload
    for _u in $j_running; do
        case $(unit_show "$_u" ActiveState) in
        failed)
            if [ "$(unit_setting "$1" "$_u" policy)" = none ] || unit_masked "$_u" || ! policy_allows "$_u" start; then continue; fi
            _with=
            case $_u in *.socket) _with=$(socket_caller "$1" "$_u") || continue ;; esac
            systemctl reset-failed "$_u"
            # shellcheck disable=SC2086
            systemctl --no-block start "$_u" $_with || say "warning: $_u has failed and could not be started (hint: systemctl start $_u)"
            ;;
        esac
    done
    start_not_begun "$1"
}

# start_not_begun ID: an activation that ended after its gate and before it had enabled what is new here: where the host went
# down then, the boot has started none of that. A job that ran is not run again.
start_not_begun() {
    _new=
    _gate=
    for _u in $(wanted_units "$1"); do
        # One that is enabled a boot has started, and who has stopped it since meant it.
        if was_running "$_u" || unit_enabled "$_u"; then continue; fi
        # Of two colours one runs: that to which the deploy had changed over.
        if is_instance "$_u" && changes_over "$1" && [ ! -L "$base/instances/$(instance_of "$_u")" ]; then continue; fi
        case $(unit_setting "$1" "$_u" kind)$(unit_setting "$1" "$_u" policy) in servicenone | servicetry-restart) continue ;; esac
        case $(unit_show "$_u" ActiveState) in inactive | failed) ;; *) continue ;; esac
        if is_job "$1" "$_u" && ! unit_says_yes "$1" "$_u" RemainAfterExit; then continue; fi
        start_allowed "$_u" || continue
        _with=
        case $_u in *.socket) _with=$(socket_caller "$1" "$_u") || continue ;; esac
        _new="$_new $_u $_with"
        [ "$(unit_setting "$1" "$_u" gated)" != gated ] || _gate="$_gate $_u"
    done
    [ -n "$_new" ] || return 0
    # shellcheck disable=SC2086
    {
        systemctl reset-failed $_new 2>/dev/null || :
        if [ "$mode" = boot ]; then
            # Whoever waits for a job then waits for the boot, which waits for us.
            systemctl --no-block start $_new
        else
            start_run start $_new && gate "$1" $_gate
        fi
    } || say "warning: not all of$_new could be started (hint: $name-release status)"
    rm -f "$state/reason"
}

# socket_caller ID SOCKET: systemd refuses to start a socket whose service runs. One that crashes for want of it is stopped
# for it, and printed, to be started with it; of one that runs well, the socket stays down.
socket_caller() {
    _served=$(socket_service "$1" "$2")
    was_running "$_served" || return 0
    unit_show_all "$_served"
    if [ "$u_state" = active ] && [ "${u_restarts:-0}" = 0 ]; then
        socket_left "$2" "$_served"
        return 1
    fi
    bounded systemctl stop "$_served" || :
    systemctl reset-failed "$_served" 2>/dev/null || :
    printf '%s\n' "$_served"
}

# activation_postpone: the host goes down in the middle of an activation. systemd stops what was started for it, refuses
# new jobs, and neither says anything about the release: what is left to do is left for the next boot.
activation_postpone() {
    mode=halt
    j_deferred=y
    journal_save || :
    say "the host is shutting down: $name $j_to_version serves from the next boot on"
    attempt activation_deferred "$j_to_id"
    [ "$rc" = 0 ] || return 0
    activation_finish
    exit 0
}

activation_live() {
    attempt migration_settle
    [ "$rc" = 0 ] || activation_failed "an earlier migration still runs (hint: journalctl -u $migrate_unit)"
    # Where one had waited for a start, its success removes the mark.
    if migration_wanted; then
        if policy_allows "$migrate_unit" start; then
            step migrate "the migration failed" migrate
        else
            say "the migration waits for the next start of a service: policy-rc.d forbids $migrate_unit"
            write_file "$state/pending-migration" 0644 </dev/null
        fi
    elif [ -e "$state/pending-migration" ]; then
        rm -f "$state/pending-migration"
    fi
    _tried=$(trials "$1") || _tried=
    # shellcheck disable=SC2086
    [ -z "$_tried" ] || step trial "it did not pass its trial" trial "$1" $_tried
    [ -n "$j_touched" ] || j_touched=y
    swaps "$1" || idle_end "$1" || activation_failed "its journal could not be written"
    if changes_over "$1" && ! swap_one "$1"; then activation_failed "of its two colours not one alone could serve"; fi
    if rolls "$1"; then
        step roll "an instance was not healthy" roll "$1"
    elif changes_over "$1"; then
        step swap "the new instance was not healthy" swap "$1"
    elif swaps "$1"; then
        colours_begin "$1"
    fi
    step switch "the switch to the new release failed" switch_live "$1"
    step start "it was not healthy" start_recreate "$1"
}

switch_live() {
    # shellcheck disable=SC2046
    lame_duck "$1" $(restarted_at_once "$1")
    switch_to "$1"
    instances_follow "$1"
    files_deliver "$1" "$j_from_id"
    if release_kept "$j_from_id"; then stop_first "$j_from_id" "$1"; fi
    daemon_reload
    fault reloaded
}

activation_finish() {
    _known=
    if [ "$event" = rollback ]; then _known=$(known_above "$j_to_version" "$j_from_version"); fi
    # What serves is what the journal says serves; where it can't be written, nothing is said.
    (live_becomes && journal_step finish) || activation_failed "its journal could not be written"
    live_becomes
    j_step=finish
    # The release serves: what only records that, or tidies up, must not make it look failed.
    attempt units_enable "$j_live_id" "$j_from_id"
    [ "$rc" = 0 ] || say "warning: its units could not all be enabled (hint: systemctl enable $(units_of "$j_live_id" enable | paste -s -d ' '))"
    if release_kept "$j_from_id"; then
        attempt stop_dropped "$j_from_id" "$j_live_id"
        [ "$rc" = 0 ] || say "warning: units that $j_live_version no longer has could not all be stopped (hint: $name-release status)"
    fi
    attempt host_instances "$j_live_id"
    [ "$rc" = 0 ] || say "warning: the instances that $facts names could not be brought in line (hint: $name-release status)"
    if has_unit "$j_live_id" "$name@.service"; then
        attempt instances_finish "$j_live_id"
        [ "$rc" = 0 ] || say "warning: the instances of $name could not all be brought in line (hint: $name-release status)"
    fi
    activation_note "$j_live_id" "$j_live_version" || say "warning: $state/activations could not be written (hint: df $state)"
    keep_deb "$j_live_version" "$j_live_id" || say "warning: the package of $j_live_version could not be kept (hint: df $state; then $(again "$j_live_version"))"
    pins_set "$j_live_version" "$_known" || say "warning: $pinfile could not be written: the next upgrade may bring $j_from_version back"
    history_add "$event" ok - || say "warning: $state/history could not be written (hint: df $state)"
    [ ! -e "$ducks" ] || rm -rf "$ducks" || say "warning: $ducks could not be removed (hint: rm -r $ducks)"
    # While the journal says that something is left to do.
    follow "$j_live_id" "$j_live_version"
    attempt prune
    [ "$rc" = 0 ] || say "warning: old releases could not all be removed (hint: $name-release prune)"
    for _d in "$base"/releases/.*.damaged; do
        [ ! -e "$_d" ] || rm -rf "$_d" || say "warning: a damaged release could not be removed (hint: look at the disk)"
    done
    [ ! -e "$state/restaged" ] || rm -f "$state/restaged" || say "warning: $state/restaged could not be removed: the next activation restarts everything"
    journal_step idle || say "warning: $state/journal could not be written (hint: df $state; $(finish_by))"
}

live_becomes() {
    if [ "$j_live_id" != "$j_to_id" ]; then
        j_last_id=$j_live_id
        j_last_version=$j_live_version
    fi
    j_live_id=$j_to_id
    j_live_version=$j_to_version
    if [ -n "$j_failed_version" ] && version_is "$j_to_version" ge "$j_failed_version"; then
        j_failed_id=
        j_failed_version=
        j_failed_reason=
    fi
    j_parked_version=
    j_touched=
    way_forget
}
