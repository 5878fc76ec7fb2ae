# The proxy: one upstream of nginx is ours, in a file of ours. It is changed by a rename, tested before every reload, and
# put back when the test fails. Nobody stops an instance before the last request that was sent to it has ended.

proxy_used() { [ "$(setting "$1" proxy)" = nginx ]; }

# proxy_with ID: all instances that serve.
proxy_with() { proxy_without "$1"; }

# proxy_without ID UNIT…: all instances that serve, but these.
proxy_without() {
    proxy_used "$1" || return 0
    _members=
    _for=$1
    shift
    _runs=$(proxy_serve "$_for") || return 1
    for _m in $_runs; do
        case " $* " in *" $_m "*) continue ;; esac
        if ! is_idle "$_m"; then _members="$_members $_m"; fi
    done
    # Where nothing runs, who starts them later tells nobody.
    if [ -z "$_members" ]; then
        for _m in $(proxy_wanted "$_for"); do
            case " $* " in *" $_m "*) ;; *) _members="$_members $_m" ;; esac
        done
    fi
    # shellcheck disable=SC2086
    proxy_set "$_for" $_members
}

# proxy_wanted ID: the instances that a boot would start, and whose address is known.
proxy_wanted() {
    units_startable "$1" | sort -u | while IFS= read -r _m; do
        if is_instance "$_m" && ! is_idle "$_m" && unit_enabled "$_m" && [ -z "$(host_lacks "$1" "$_m")" ]; then printf '%s\n' "$_m"; fi
    done
}

# Whether it is asked where they will listen, and not where they do.
proxy_later=

# proxy_leave ID: the same for a boot that is to come or goes on; nginx itself may not be able to start yet.
proxy_leave() {
    proxy_used "$1" || return 0
    proxy_later=y
    mkdir -p "${proxy_conf%/*}" || return 1
    # shellcheck disable=SC2046
    proxy_text "$1" $(proxy_wanted "$1") | write_file "$proxy_conf" 0644 || return 1
    [ "$mode" != boot ] || systemctl --no-block try-reload-or-restart nginx.service 2>/dev/null || :
}

# proxy_serve ID: the instances that run, and those of this release that systemd is starting again: nobody would take one
# back in that had crashed just now.
proxy_serve() {
    _listed=$(systemd_answer list-units --plain --no-legend --state=active,reloading,activating "$name@*.service") || return 1
    printf '%s\n' "$_listed" | sort |
        while read -r _m _loaded _is _; do
            [ -n "$_m" ] || continue
            if [ "$_is" != activating ] || [ "$(instance_release "$_m")" = "$1" ]; then printf '%s\n' "$_m"; fi
        done
}

# proxy_has ID UNIT: whether nginx knows it.
proxy_has() { grep -sF "server $(proxy_server "$1" "$2");" "$proxy_conf" >/dev/null; }

# proxy_server ID UNIT: where an instance listens, by the release that it runs, and that release by its own settings.
proxy_server() {
    if [ -n "$proxy_later" ]; then
        health_expand "$1" "$2" "$(setting "$1" proxy-server)"
        return
    fi
    _ran=$(unit_release "$2")
    [ -n "$_ran" ] || _ran=$(instance_release "$2")
    if ! release_kept "$_ran" || [ -z "$(setting "$_ran" proxy-server)" ]; then _ran=$1; fi
    health_expand "$_ran" "$2" "$(setting "$_ran" proxy-server)" env_started
}

# env_started ID NAME UNIT: the value with which its main process was started: a file that was edited since says where it will
# listen after its next start. A process can write its own environment, and what stands here is read by nginx as root.
env_started() {
    _main=$(unit_show "$3" MainPID)
    _had=
    if [ "${_main:-0}" != 0 ]; then
        _had=$(tr '\n\0' '\0\n' 2>/dev/null <"/proc/$_main/environ" | sed -n "s/^$2=//p" | head -n 1 | tr '\0' ' ') || _had=
    fi
    case $_had in
    '' | *[!A-Za-z0-9_.:/-]*) env_value "$@" ;;
    *) printf '%s\n' "$_had" ;;
    esac
}

# proxy_set ID UNIT…: exactly these.
proxy_set() {
    proxy_used "$1" || return 0
    proxy_text "$@" >"$state/proxy.new"
    # A run that was killed may have written the file, and not told nginx.
    if [ -e "$proxy_conf" ] && [ ! -e "$state/proxy.pending" ] && cmp -s "$state/proxy.new" "$proxy_conf"; then
        rm -f "$state/proxy.new"
        return 0
    fi
    proxy_change
}

# proxy_text ID UNIT…
proxy_text() {
    _of=$1
    shift
    echo "# Written by relpack at every change of $name. Include it by proxy_pass http://$name; (see /usr/share/$name/nginx.conf)."
    echo "upstream $name {"
    for _m in "$@"; do
        printf '    server %s%s;\n' "$(proxy_server "$_of" "$_m")" "$(proxy_weight "$_of" "$_m" $#)"
    done
    # nginx refuses an upstream without servers.
    [ $# -gt 0 ] || echo '    server 127.0.0.1:9 down;'
    echo '    keepalive 32;'
    echo '}'
}

# The canary that soaks, and gets its share of the requests.
proxy_canary=

# proxy_weight ID UNIT NUMBER: of that many servers the canary has "weight" percent of the requests, the others the rest.
proxy_weight() {
    _share=$(setting "$1" weight)
    if [ -z "$_share" ] || [ -z "$proxy_canary" ] || [ "$3" -lt 2 ]; then return 0; fi
    if [ "$2" = "$proxy_canary" ]; then _share=$((_share * ($3 - 1))); else _share=$((100 - _share)); fi
    printf ' weight=%s' "$_share"
}

proxy_change() {
    mkdir -p "${proxy_conf%/*}"
    rm -f "$state/proxy.old"
    _pending=y
    if [ ! -e "$state/proxy.pending" ]; then
        _pending=
        write_file "$state/proxy.pending" 0644 </dev/null || return 1
    fi
    [ ! -e "$proxy_conf" ] || cp "$proxy_conf" "$state/proxy.old"
    write_file "$proxy_conf" 0644 <"$state/proxy.new" || return 1
    rm -f "$state/proxy.new"
    fault proxy-written
    if ! command -v nginx >/dev/null; then
        rm -f "$state/proxy.pending"
        return 0
    fi
    if ! _said=$(nginx -t 2>&1); then
        if [ -e "$state/proxy.old" ]; then
            write_file "$proxy_conf" 0644 <"$state/proxy.old"
        else
            rm -f "$proxy_conf"
        fi
        [ -n "$_pending" ] || rm -f "$state/proxy.pending"
        say "nginx refuses its configuration: $(printf '%s' "$_said" | grep -m 1 emerg || printf '%s' "$_said" | head -n 1)"
        more "(hint: nginx -t; the upstream of $name was left as it was)"
        printf '%s\n' "nginx refuses its configuration" >"$state/reason"
        return 1
    fi
    _master=$(unit_show nginx.service MainPID)
    if [ "${_master:-0}" = 0 ]; then
        rm -f "$state/proxy.pending"
        return 0
    fi
    _old=$(cat "/proc/$_master/task/$_master/children" 2>/dev/null) || _old=
    mkdir -p "${proxy_workers%/*}"
    printf '%s\n' "$_old" >"$proxy_workers"
    bounded systemctl reload nginx.service || return 1
    fault proxy-reloaded
    # shellcheck disable=SC2086
    [ -z "$proxy_wait" ] || proxy_drained "$j_to_id" $_old || return 1
    # Only now: a rerun has to wait for those workers, too.
    rm -f "$state/proxy.pending"
}

# Whether a change waits until the requests that the proxy had sent before it have ended.
proxy_wait=y

# proxy_drained ID PID…: old workers end when their last request has; later ones must not keep anybody waiting.
proxy_drained() {
    _limit=$(setting "$1" drain)
    # Drained behind apt's back it has no deadline.
    if [ -n "${deadline:-}" ] && [ "$_limit" -gt "$(left)" ]; then _limit=$(left); fi
    _until=$(($(now) + _limit))
    shift
    while [ "$(now)" -lt "$_until" ]; do
        _left=
        for _p in "$@"; do
            case $(tr '\0' ' ' 2>/dev/null <"/proc/$_p/cmdline") in *nginx*) _left=y ;; esac
        done
        [ -n "$_left" ] || return 0
        sleep 0.1
    done
    # To go on would break them, only to be reverted then.
    if [ "$j_step" = roll ] && [ "$(left)" -le 1 ]; then
        say "nginx still has requests under way, and nothing of [deploy] timeout is left"
        printf '%s\n' "the activation's time limit was over" >"$state/reason"
        return 1
    fi
    say "nginx still has requests under way after $_limit s; going on"
}

# drain_wait: until the requests that the deploy before this one had left have ended; that takes no longer than "drain".
drain_wait() {
    while [ "$(now)" -lt "$deadline" ] && systemctl -q is-active "relpack-drain-$name.service"; do sleep 0.2; done
}
