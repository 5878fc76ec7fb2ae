# The migration is a unit of systemd's, not a child of ours: when dpkg or this script is killed it runs on, it can't run
# twice at once, and it records its own success (ExecStartPost= calls "_migrated").

# migration_wanted: forward only, once for each release, unless this host says no.
migration_wanted() {
    [ -n "$(setting "$j_to_id" migrate)" ] || return 1
    [ ! -e "$state/migrated/$j_to_id" ] || return 1
    _fact=$(fact migrate | tr '[:upper:]' '[:lower:]')
    case ${_fact%%[ #]*} in no | n | false | f | off | 0) return 1 ;; esac
    # What serves and was not migrated was rolled back to, or this host had said no.
    [ "$j_to_id" != "$j_live_id" ] || [ -e "$state/pending-migration" ] || return 1
    [ -z "$j_from_version" ] || version_is "$j_to_version" ge "$j_from_version"
}

migration_mark() {
    mkdir -p "$state/migrated"
    write_file "$state/migrated/$1" 0644 </dev/null
    rm -f "$state/pending-migration"
}

# migration_settle: one that an earlier, killed activation started must end before anything else begins.
migration_settle() {
    case $(unit_show "$migrate_unit" ActiveState) in
    activating | deactivating) ;;
    *) return 0 ;;
    esac
    say "waiting for $migrate_unit, which an earlier run started (hint: journalctl -f -u $migrate_unit)"
    while [ "$(now)" -lt "$deadline" ]; do
        case $(unit_show "$migrate_unit" ActiveState) in
        activating | deactivating) sleep 0.3 ;;
        *) return 0 ;;
        esac
    done
    say "$migrate_unit still runs after $(setting "$j_to_id" timeout) s"
    return 1
}

migrate() {
    # A revert has put the earlier release's text there.
    _text=$unitstore/units/$j_to_id/$migrate_unit
    cmp -s "$_text" "$unitdir/$migrate_unit" || write_file "$unitdir/$migrate_unit" 0644 <"$_text"
    daemon_reload
    systemctl reset-failed "$migrate_unit" 2>/dev/null || :
    fault migrate-start
    bounded systemctl start "$migrate_unit" >/dev/null 2>&1 || :
    [ ! -e "$state/migrated/$j_to_id" ] || return 0
    case $(unit_show "$migrate_unit" Result) in
    timeout) say "the migration did not end within $(setting "$j_to_id" migrate) s" ;;
    *) say "the migration failed ($(unit_show "$migrate_unit" Result), status $(unit_show "$migrate_unit" ExecMainStatus))" ;;
    esac
    last_log "$migrate_unit" | sed 's/^/    | /' >&2
    bounded systemctl stop "$migrate_unit" 2>/dev/null || :
    # What failed is told here and in the journal; a failed unit would keep the host "degraded".
    systemctl reset-failed "$migrate_unit" 2>/dev/null || :
    more "log: journalctl -u $migrate_unit"
    return 1
}
