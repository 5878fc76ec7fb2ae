# Instances that this host names besides: "instances=third fourth" in /etc/relpack/<name>.conf. When a release serves they
# are enabled and started, as an admin would do it by hand, and from then on they take part. None of it can fail a deploy.

# The record: the names of those that we enabled, one a line.
named_record=$state/instances

# host_names: those of the file that can be instances, each once.
host_names() {
    fact instances | awk -F '[ ,\t]+' '{ for (i = 1; i <= NF; i++) if ($i != "" && !seen[$i]++) print $i }' | while IFS= read -r _n; do
        case $_n in
        [!A-Za-z0-9]* | *[!A-Za-z0-9_-]*) say "warning: $facts: '$_n' is no name of an instance, so it is left out (hint: instances=third, of letters, digits, '_' and '-')" ;;
        *) printf '%.64s\n' "$_n" ;;
        esac
    done
}

# host_instances ID: this host has exactly these besides those of the release.
host_instances() {
    [ -r "$facts" ] || [ -e "$named_record" ] || return 0
    _names=$(host_names)
    [ -n "$_names" ] || [ -e "$named_record" ] || return 0
    if [ -n "$_names" ] && ! has_unit "$1" "$name@.service"; then
        say "warning: $facts names instances, and $name has no $name@.service of which they could be (hint: remove the line)"
        _names=
    elif [ -n "$_names" ] && swaps "$1"; then
        say "warning: $facts names instances, and blue-green changes between the two that the package has (hint: remove the line)"
        _names=
    fi
    _before=$(cat "$named_record" 2>/dev/null) || _before=
    _ours=
    for _n in $_names; do
        if names_unit "$1" "$name@$_n.service"; then continue; fi
        case $nl$_before$nl in
        *"$nl$_n$nl"*) _ours=$_ours$_n$nl ;;
        *) if ! unit_enabled "$name@$_n.service"; then _ours=$_ours$_n$nl; fi ;;
        esac
    done
    _gone=
    for _n in $_before; do
        # The release's own from now on.
        if names_unit "$1" "$name@$_n.service"; then continue; fi
        case $nl$_ours in *"$nl$_n$nl"*) ;; *) _gone=$_gone$_n$nl ;; esac
    done
    # Until they have ended they stay in it: a run that is killed meanwhile must not leave them as an admin's own.
    printf '%s' "$_ours$_gone" | write_file "$named_record" 0644
    _leave=
    for _n in $_gone; do _leave="$_leave $name@$_n.service"; done
    # shellcheck disable=SC2086
    [ "$mode" != live ] || withdraw "$1" "$1" $_leave
    for _n in $_gone; do host_end "$name@$_n.service"; done
    [ -z "$_gone" ] || printf '%s' "$_ours" | write_file "$named_record" 0644
    for _n in $_ours; do host_begin "$1" "$name@$_n.service"; done
    [ -n "$_ours" ] || rm -f "$named_record"
}

# host_begin ID UNIT
host_begin() {
    if unit_enabled "$2" && { [ "$mode" != live ] || [ "$(unit_show "$2" ActiveState)" = active ]; }; then return 0; fi
    _lacks=$(host_lacks "$1" "$2")
    if [ -n "$_lacks" ]; then
        say "warning: $2 is not started: it has no ${_lacks% } (hint: set it in $prefix/shared/env.$(instance_of "$2"), then: $(again "$j_live_version"))"
        return 0
    fi
    _twin=$(host_twin "$1" "$2")
    if [ -n "$_twin" ]; then
        say "warning: $2 is not started: it has the address of $_twin (hint: give it another in $prefix/shared/env.$(instance_of "$2"), then: $(again "$j_live_version"))"
        return 0
    fi
    # Where an admin had stopped it, it stays so.
    if unit_enabled "$2"; then return 0; fi
    unit_links enable "$2" || {
        say "warning: cannot enable $2 (hint: systemctl enable --now $2)"
        return 0
    }
    if [ "$mode" != live ] || unit_masked "$2" || ! policy_allows "$2" start; then return 0; fi
    systemctl reset-failed "$2" 2>/dev/null || :
    if bounded systemctl start "$2" && gate "$1" "$2"; then return 0; fi
    say "warning: $2, which $facts names, is not healthy, so it is stopped (hint: journalctl -u $2; then: $(again "$j_live_version"))"
    # Else the next deploy would fail by it.
    host_end "$2"
    _ours=$(printf '%s' "$_ours" | grep -vxF "$(instance_of "$2")" || :)
    [ -z "$_ours" ] || _ours=$_ours$nl
    printf '%s' "$_ours" | write_file "$named_record" 0644
}

# host_end UNIT
host_end() {
    if [ "$mode" = live ] && policy_allows "$1" stop; then
        swaps "$j_live_id" || proxy_without "$j_live_id" "$1" || :
        bounded systemctl stop "$1" || say "warning: $1 was left running (hint: systemctl stop $1)"
    fi
    systemctl ${root:+--root="$root"} -q disable "$1" || say "warning: $1 cannot be disabled (hint: systemctl disable $1)"
    instance_unpoint "$1"
}

# host_address ID UNIT: where its requests, or else its health checks, go; nothing where that is a command.
host_address() {
    _where=$(setting "$1" proxy-server)
    if [ -z "$_where" ]; then
        _where=$(health_setting "$1" "$2" | cut -f 2-)
        case $_where in exec*) return 0 ;; esac
    fi
    health_expand "$1" "$2" "$_where"
}

# host_twin ID UNIT: another instance that has its address, and would answer for it.
host_twin() {
    _at=$(host_address "$1" "$2")
    [ -n "$_at" ] || return 0
    {
        units_of "$1"
        template_enabled "$name@.service"
    } | sort -u | while IFS= read -r _other; do
        if is_instance "$_other" && [ "$_other" != "$2" ] && [ "$(host_address "$1" "$_other")" = "$_at" ]; then
            printf '%s\n' "$_other"
            break
        fi
    done
}

# host_lacks ID UNIT: what its addresses are made of, and neither its environment file nor the release says.
host_lacks() {
    {
        health_setting "$1" "$2"
        setting "$1" proxy-server
    } | grep -o '{env[.][A-Za-z0-9_]*}' | sort -u | while IFS= read -r _variable; do
        _variable=${_variable#'{env.'}
        [ -n "$(env_value "$1" "${_variable%'}'}" "$2")" ] || printf '%s ' "${_variable%'}'}"
    done
}
