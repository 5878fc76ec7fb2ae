# A failed activation: the previous release serves again, dpkg is told the truth, and the message says what to type.

# refuse_again: dpkg retries what failed, at every run of apt. A reverted release is tried again only on purpose.
refuse_again() {
    say "$name $version failed on this host and was reverted; $name $j_live_version serves. Nothing was tried again"
    more "why it failed: $j_failed_reason"
    heal_schedule
    more "(hint: install a newer version, or try this one again with: $name-release retry)"
    exit 1
}

# activation_failed STEP: never returns.
activation_failed() {
    _reason=$1
    case $j_step:${j_touched:+touched} in
    # Of what is checked before anything is touched, a shutdown is no cause.
    store:touched | migrate:* | trial:* | switch:* | start:*) if [ "$mode" = live ] && [ "$(systemd_mode)" = halt ]; then activation_postpone; fi ;;
    roll:* | swap:*)
        if [ "$mode" = live ] && [ "$(systemd_mode)" = halt ]; then
            j_touched=y
            journal_save || :
            say "the host is shutting down: its next boot goes on with $name $j_to_version"
            exit 1
        fi
        ;;
    esac
    if [ -s "$state/reason" ]; then _reason="$1: $(one_line "$(cat "$state/reason")")"; fi
    rm -f "$state/reason" || :
    _reason=$(one_line "$_reason")
    # On a full disk, its room is what the revert needs.
    rm -rf "$base/releases/.$j_to_id.partial" "$state"/work.* || :
    # So is what was run again because it was killed while it tidied up.
    if [ "$j_to_id" = "$j_live_id" ] && [ "$(current_id)" = "$j_to_id" ] && { [ "$j_to_id" = "$j_from_id" ] || [ -z "$j_touched" ]; }; then
        nothing_to_revert
    fi
    j_failed_reason=$_reason
    if release_kept "$j_from_id"; then
        j_failed_id=$j_to_id
        j_failed_version=$j_to_version
        journal_step revert || say "warning: the journal cannot be written; $j_from_version is brought back all the same"
        revert_finish
    else
        first_install_failed
    fi
    exit 1
}

# nothing_to_revert: what failed is what served before. Trying it again and again would only restart it each time.
nothing_to_revert() {
    say "$name $j_to_version is live, but: $_reason"
    more "(hint: $name-release status)"
    history_add "$event" failed "$_reason" || :
    rm -rf "$ducks" || :
    j_touched=
    # What it came from still tells which units are new.
    if [ "$j_to_id" = "$j_from_id" ]; then journal_step idle || :; else journal_step finish || :; fi
    # dpkg's record is in order: it was activated once, and nothing else is there.
    [ -z "${RELPACK_HEAL:-}" ] || exit 0
    heal_schedule
    exit 1
}

# revert_finish: also where a revert that was killed goes on.
revert_finish() {
    deadline=$(($(now) + $(revert_time)))
    say "$name $j_to_version was not activated: $j_failed_reason"
    attempt revert_to "$j_from_id"
    _reverted=$rc
    keep_deb "$j_to_version" "$j_to_id" || say "warning: the package of $j_to_version could not be kept"
    pins_set "$j_from_version" "$j_failed_version" || say "warning: $j_failed_version could not be pinned away"
    if [ "$_reverted" = 0 ]; then
        more "$name $j_from_version serves, as before."
        history_add revert failed "$j_failed_reason" || :
    elif [ "$(current_id)" != "$j_from_id" ]; then
        more "AND $name $j_from_version could not be brought back, since $base/current cannot be written; what runs was left running."
        more "look at the disk; then one of these two is whole again with: $(finish_by)"
        history_add revert "failed, and the way back failed too" "$j_failed_reason" || :
    else
        more "AND $name $j_from_version is not healthy either: look at it now, with: $name-release status"
        history_add revert "failed, and the earlier release is not healthy" "$j_failed_reason" || :
    fi
    rm -rf "$ducks" || :
    follow "$j_from_id" "$j_from_version"
    # Also then: what can be done was done, and a rerun must not restart it once more.
    j_touched=
    way_forget
    journal_step idle || :
    heal_schedule
    more "(hint: install a fixed version; or try this one again with: $(retry_by))"
}

# revert_time: seconds for the way back, which takes as long as the way there: five minutes, or what one of the two says.
revert_time() {
    _most=300
    for _of in "$j_from_id" "$j_to_id"; do
        _says=$(setting "$_of" timeout 2>/dev/null) || _says=
        [ "${_says:-0}" -le "$_most" ] || _most=$_says
    done
    printf '%s\n' "$_most"
}

revert_to() {
    # What was about to stop serves on, or comes back.
    rm -rf "$ducks" || :
    switch_to "$1"
    # What waited was the migration of the failed one.
    if [ -e "$state/migrated/$1" ] || [ -z "$(setting "$1" migrate)" ]; then rm -f "$state/pending-migration"; fi
    instances_follow "$1"
    attempt files_deliver "$1" "$j_to_id"
    [ "$rc" = 0 ] || say "warning: not all configuration files and links could be put back"
    if [ -z "$j_touched" ] || ! systemd_runs; then instances_return "$1"; fi
    fault reverted
    systemd_runs || {
        revert_enabled "$1"
        return 0
    }
    # A boot may have failed with that migration.
    systemctl reset-failed "$name-first-start.service" 2>/dev/null || :
    _dropped=
    if [ -n "$j_touched" ]; then
        _dropped=$(revert_drops "$1")
        # shellcheck disable=SC2086
        withdraw "$1" "$j_to_id" $_dropped || :
        # While systemd still knows how.
        for _u in $_dropped; do unit_end "$j_to_id" "$_u"; done
    fi
    # deb-systemd-helper makes systemd read all texts anew.
    revert_enabled "$1"
    daemon_reload
    fault revert-reloaded
    [ -n "$j_touched" ] || return 0
    # One that does not come back must not keep the others from it.
    _failed=
    _apart=
    if swaps "$1" && [ -n "$j_joined" ]; then
        _apart=y
        idle_apart
    fi
    if rolls "$j_to_id"; then
        attempt roll_back "$1"
        [ "$rc" = 0 ] || _failed=y
    elif changes_over "$j_to_id"; then
        attempt swap_back "$1"
        [ "$rc" = 0 ] || _failed=y
    fi
    for _u in $_dropped; do systemctl reset-failed "$_u" 2>/dev/null || :; done
    attempt revert_start "$1"
    [ "$rc" = 0 ] || _failed=y
    if [ -n "$_apart" ]; then
        attempt idle_again "$1"
        [ "$rc" = 0 ] || _failed=y
    fi
    [ -z "$_failed" ]
}

# revert_enabled ID: a switch for which nobody waited enables before it is known whether it holds.
revert_enabled() {
    [ -n "$j_deferred${not_started:-}" ] || return 0
    _only=$(units_dropped "$j_to_id" "$1")
    # What it had named of an admin's is the admin's again.
    for _u in $_only; do
        if [ -s "$state/enabled/$_u" ] && unit_enabled "$_u"; then rm -f "$state/enabled/$_u"; fi
    done
    attempt units_enable "$1" "$j_to_id"
    for _u in $_only; do unit_forget "$_u"; done
}

# revert_drops ID: what only the failed release has. An admin's instance that it names was there before, and goes back like
# the others; colours end when the proxy has changed back.
revert_drops() {
    for _u in $(units_dropped "$j_to_id" "$1" | unit_instances); do
        if is_instance "$_u" && { changes_over "$j_to_id" || { was_running "$_u" && has_unit "$1" "$_u"; }; }; then continue; fi
        printf '%s\n' "$_u"
    done
}

revert_start() {
    _sockets=
    _again=
    _calm=
    _later=
    _gate=
    for _u in $j_running; do
        ! in_roll "$j_to_id" "$_u" || continue
        case $(unit_setting "$1" "$_u" kind)$(unit_setting "$1" "$_u" policy) in
        '' | *none) continue ;;
        esac
        # Then it was not touched.
        if unit_masked "$_u" || ! policy_allows "$_u" restart; then continue; fi
        case $_u in
        *.service)
            # One that was not reached yet runs on; so does one that crashed until systemd found this release.
            if [ "$(unit_show "$_u" ActiveState)" = active ] && [ "$(unit_release "$_u")" = "$1" ]; then
                _calm="$_calm $_u"
            elif nobody_waits "$1" "$_u"; then
                _later="$_later $_u"
            else
                _again="$_again $_u"
            fi
            ;;
        *.socket) if socket_moves "$_u" "$j_to_id" "$1" && ! socket_waits "$1" "$_u"; then _sockets="$_sockets $_u"; fi ;;
        *) if unit_changed "$_u" "$j_to_id" "$1"; then _again="$_again $_u"; fi ;;
        esac
        [ "$(unit_setting "$1" "$_u" gated)" != gated ] || _gate="$_gate $_u"
    done
    # Before what is waited for, since that may fail.
    for _u in $_later; do
        systemctl reset-failed "$_u" 2>/dev/null || :
        systemctl --no-block restart "$_u" || say "warning: $_u could not be queued (hint: systemctl start $_u)"
    done
    revert_sockets "$1"
    # Its restarts so far are not this release's.
    # shellcheck disable=SC2086
    [ -z "$_calm" ] || systemctl reset-failed $_calm 2>/dev/null || :
    [ -n "$_again$_sockets" ] || return 0
    # Whatever one of them does, all are started: nobody else starts what was stopped here.
    _down=
    # shellcheck disable=SC2086
    {
        [ -z "$_sockets" ] || bounded systemctl stop $_sockets || :
        [ -z "$_again" ] || bounded systemctl stop $_again || :
        # Not before: what crashes again and again would have crashed once more, and that would count against this release.
        systemctl reset-failed $_again $_sockets 2>/dev/null || :
        [ -z "$_sockets" ] || bounded systemctl start $_sockets || _down=y
        # What is still stopping is started when it has ended.
        [ -z "$_again" ] || bounded systemctl start $_again || _down=y
    }
    for _u in $_gate; do healthy "$1" "$_u" || _down=y; done
    [ -z "$_down" ]
}

# revert_sockets ID: systemd refuses to start a socket whose service runs, and a call would start it.
revert_sockets() {
    _callers=
    for _u in $_sockets; do _callers="$_callers $(socket_service "$1" "$_u")"; done
    _runs=$_calm
    _calm=
    for _u in $_runs; do
        case " $_callers " in *" $_u "*) _again="$_again $_u" ;; *) _calm="$_calm $_u" ;; esac
    done
}

first_install_failed() {
    say "$name $j_to_version was not activated: $j_failed_reason"
    if [ -n "$j_touched" ] && systemd_runs; then
        for _u in $(units_of "$j_to_id" | unit_instances); do unit_end "$j_to_id" "$_u"; done
    fi
    history_add install failed "$j_failed_reason" || :
    j_touched=
    journal_step idle || :
    more "There is no earlier release to go back to; its units are stopped, its files are kept for you to look at."
    more "(hint: mend the cause, then: $(finish_by); or install a fixed version)"
}
