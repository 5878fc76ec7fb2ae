# A host that died in the middle of an activation goes on with it at its next boot, as the same command would, so that a
# release that nobody has seen healthy serves no longer than its gate lasts. The generator queues the job.

# resume: run by that job, which nothing waits for.
resume() {
    if ! lock_held; then
        # To start a service and wait for it would deadlock with the boot. One that never ends must not hide this for ever.
        timeout 900 systemctl is-system-running --wait >/dev/null 2>&1 || :
        # Whoever holds the lock goes on with it, unless it only tidies up.
        [ -d "$state" ] || mkdir -p "$state"
        lock_rc=0
        RELPACK_LOCKED=$name flock -o "$state/lock" sh "$0" _resume || lock_rc=$?
        return "$lock_rc"
    fi
    lock_note "$resume_unit"
    journal_load
    _to=$j_to_version
    _from=$j_from_version
    if [ -e "$heal_mark" ]; then
        # Another version there is a newer wish.
        if [ "$j_step" = idle ] && [ "$(dpkg_version)" = "$(cat "$heal_mark")" ]; then
            heal_schedule
            return 0
        fi
        heal_forget
    fi
    case $j_step in idle | remove) return 0 ;; esac
    # Where nothing was switched the earlier release serves, and the next run of the same command begins anew; and where
    # the release itself is missing, only its package can bring it.
    if [ "$j_step" != revert ] && { ! release_kept "$j_to_id" || { [ -z "$j_touched" ] && [ "$(current_id)" != "$j_to_id" ]; }; }; then return 0; fi
    case $(systemd_mode) in
    live) ;;
    # Its next boot asks again.
    halt) return 0 ;;
    *)
        say "the boot has not ended after 15 minutes, so nothing goes on with $name $j_to_version (hint: systemctl list-jobs)"
        return 1
        ;;
    esac
    if [ "$j_step" = revert ]; then attempt revert_finish; else attempt resume_activation; fi
    journal_load
    # What failed was reverted, and status says so; a failed unit would keep the host "degraded".
    if [ "$j_step" = idle ] && [ "$(current_id)" = "$j_live_id" ]; then rc=0; fi
    # A revert has seen to dpkg's record already, and nothing comes of it twice. Another version there is a newer wish.
    case $(dpkg_state) in
    "ii $j_live_version") ;;
    i??"$_to" | i??"$_from") [ "$rc" != 0 ] || heal_schedule ;;
    esac
    # The text of this very job goes.
    daemon_reload
    return "$rc"
}

# resume_activation: once. A release under which the host dies again is not tried a third time.
resume_activation() {
    if [ "$j_touched" = again ] && release_kept "$j_from_id" && [ -z "$(version_of "$j_to_id")" ]; then
        began=$(now)
        mode=$(systemd_mode)
        event=upgrade
        activation_failed "the host went down twice in the middle of its activation"
    fi
    if [ -n "$j_touched" ]; then
        j_touched=again
        # Where that can't be written, the activation itself says so, and goes back.
        journal_save || :
        # Told to end, by a shutdown say: that was no death.
        trap 'if [ "$j_touched" = again ]; then j_touched=y; journal_save; fi; exit 1' TERM
    fi
    say "the host went down while $name $j_to_version was activated; going on with it"
    activate "$j_to_id" "$j_to_version" kept
}
