# stop_all: every unit of this package ends, and what works for it.
stop_all() {
    systemctl stop "relpack-heal-$name.service" 2>/dev/null || :
    systemctl stop "relpack-drain-$name.service" 2>/dev/null || :
    systemctl stop "$resume_unit" 2>/dev/null || :
    _loaded=$({ units_delivered | grep -v / || :; units_of "$j_live_id"; } | unit_instances | sort -u | while IFS= read -r _u; do
        case $(unit_show "$_u" LoadState) in
        '' | not-found) ;;
        *) printf '%s ' "$_u" ;;
        esac
    done)
    # In one command: a timer must not start its service again behind our back.
    # shellcheck disable=SC2086
    [ -z "$_loaded" ] || systemctl stop $_loaded || die "its units cannot be stopped (hint: systemctl status $_loaded)"
}
