# A host that died in the middle of an activation goes on with it at its next boot, as the same command would, so that a
# release that nobody has seen healthy serves no longer than its gate lasts. The generator queues the job.

# resume: run by that job, which nothing waits for.
resume() {
    if ! lock_held; then
        # To start a service and wait for it would deadlock with the boot.
        systemctl is-system-running --wait >/dev/null 2>&1 || :
        # Whoever holds the lock goes on with it.
        lock_is_free || return 0
        locked _resume
        return "$lock_rc"
    fi
    lock_note "$resume_unit"
    journal_load
    case $j_step in
    idle | remove) return 0 ;;
    revert) attempt revert_finish ;;
    *)
        # Where nothing was switched the earlier release serves, and the next run of the same command begins anew.
        if [ -z "$j_touched" ] && [ "$(current_id)" != "$j_to_id" ]; then return 0; fi
        attempt resume_activation
        ;;
    esac
    journal_load
    # What failed was reverted, and status says so; a failed unit would keep the host "degraded".
    if [ "$j_step" = idle ] && [ "$(current_id)" = "$j_live_id" ]; then rc=0; fi
    # A revert has seen to it already, and nothing comes of it twice.
    case $(dpkg_state) in
    - | "ii $j_live_version") ;;
    *) [ "$rc" != 0 ] || heal_schedule ;;
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
    [ -z "$j_touched" ] || j_touched=again
    journal_save
    say "the host went down while $name $j_to_version was activated; going on with it"
    activate "$j_to_id" "$j_to_version" kept
}
