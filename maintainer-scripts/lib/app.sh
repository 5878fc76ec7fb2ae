# app_run ID UNIT COMMAND…: runs a command as the service sees the world: its user, environment, mounts and sandbox, in
# a transient unit, so it is not subject to what dpkg or the caller's shell has set. Its exit status is ours.
app_run() {
    _id=$1
    _unit=$2
    shift 2
    case $1 in
    /*) _word=$1 ;;
    *) _word=$(app_path "$_id" "$_unit")/$1 ;;
    esac
    shift
    # Through env: systemd-run itself looks for the program outside of the unit's mounts, where {app} is empty.
    set -- -- /usr/bin/env "$_word" "$@"
    # Else the end of this command would take the running service's /run directory with it, and a dynamic user of another
    # name would take over its state directory.
    set -- -p RuntimeDirectoryPreserve=yes "$@"
    _instance=
    if is_instance "$_unit"; then _instance=$(instance_of "$_unit"); fi
    if unit_says_yes "$_id" "$_unit" DynamicUser &&
        ! unit_text "$_id" "$_unit" | grep '^User=' >/dev/null; then
        set -- -p "User=${_unit%.service}" "$@"
    fi
    while IFS= read -r _line; do
        [ -z "$_line" ] || set -- -p "$_line" "$@"
    done <<EOF
$(unit_text "$_id" "$_unit" | app_properties "$_instance")
EOF
    if [ -t 0 ] && [ -t 1 ]; then _io=--pty; else _io=--pipe; fi
    systemd-run --quiet --collect --wait ${app_limit:+-p "RuntimeMaxSec=$app_limit"} "$_io" "$@"
}

# app_path ID UNIT: where the unit sees its release; one that is reloaded has no mount of its own.
app_path() {
    if unit_text "$1" "$2" | grep "^BindReadOnlyPaths=.*:$prefix/app\$" >/dev/null; then printf '%s\n' "$prefix/app"; else printf '%s\n' "$prefix/current"; fi
}

# app_properties INSTANCE: of the text on stdin, the unit's own [Service] directives, last first (the caller prepends them), less those
# that say what runs, how it is supervised and where its output goes.
app_properties() {
    sed -n '/^\[Service\]/,/^\[/{ /^\[/d; /^[#;]/d; /^$/d; p; }' | awk -F '=' -v i="$1" '
        $1 ~ /^(Exec(Start|Stop|Reload|Condition).*|Type|Restart.*|RemainAfterExit|PIDFile|BusName|NotifyAccess|Guess.*|Timeout.*|Runtime(Max|Randomized).*|Watchdog.*|Standard.*|TTY.*|KillMode|KillSignal|SendSIG.*|FinalKillSignal|RootDirectoryStartOnly|NonBlocking|Sockets|FileDescriptor.*|StartLimit.*|Success.*|RuntimeDirectoryPreserve|OOMPolicy|USB.*|Syslog.*|ReloadSignal|OpenFile)$/ { next }
        # systemd-run expands no specifiers, not even these.
        { gsub(/%%/, "\001"); gsub(/%i/, i); gsub(/\001/, "%"); l[++n] = $0 } END { for (i = n; i; i--) print l[i] }'
}
