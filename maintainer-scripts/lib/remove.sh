# Removing: what the activation made goes; a purge also takes what the user did not fill.

env_file=@ENV_FILE@
made_dirs=@MADE_DIRS@
service_dirs=@SERVICE_DIRS@
units=@UNITS@
purge_shared=@PURGE_SHARED@

remove() {
    stop_units
    forget_instances
    # Asked before deb-systemd-helper runs, which must not reach a systemd that is not ours.
    systemd_runs || :
    rm -f "$pinfile"
    forget_units
    forget_texts
    links_forget
    # Of a trial that was killed.
    grep -lsxF "Package=$name" "$root"/run/systemd/system/*-trial.* | while IFS= read -r _text; do
        if systemd_runs; then systemctl stop "${_text##*/}" 2>/dev/null || :; fi
        rm -rf "$_text" "$_text.d"
    done
    rm -rf "$base/current" "$base/.current.relpack-new" "$base/instances"
    # A tarball's own script for this goes last.
    [ ! -d "$unitstore" ] || find "$unitstore" -mindepth 1 -maxdepth 1 ! -name uninstall -exec rm -rf {} +
    [ ! -d "$base/releases" ] || rm -rf "$base/releases"
    rmdir "$unitstore" "$root/usr/lib/relpack" 2>/dev/null || :
    # A later install starts clean: what served, failed or waited is forgotten; the history stays until the purge.
    rm -rf "$root/run/relpack/$name"
    for _f in journal pending-migration incoming reason activations restaged lock heal proxy.new proxy.old proxy.pending; do rm -f "$state/$_f"; done
    rm -rf "$state/seals" "$state/debs" "$state/idle" "$state"/work.*
    if systemd_runs; then systemctl daemon-reload || say "warning: systemctl daemon-reload failed (hint: run it again)"; fi
}

# dpkg calls no prerm for a package that is half installed, or that disappears, nor a second one where it was killed in a
# removal; a boot or a person may have started units meanwhile.
stop_units() {
    systemd_runs || return 0
    _all=
    for _u in $units; do
        case $_u in
        *@.*) _all="$_all ${_u%%@*}@*.${_u##*.}" ;;
        *) _all="$_all $_u" ;;
        esac
    done
    set -f
    # shellcheck disable=SC2086
    systemctl stop $_all 2>/dev/null || :
    set +f
}

# Those that only this host named, and the activation enabled.
forget_instances() {
    [ -e "$state/instances" ] || return 0
    while IFS= read -r _n; do rm -f "$root"/etc/systemd/system/*/"$name@$_n.service"; done <"$state/instances"
    rm -f "$state/instances"
}

# Links that we made are removed and forgotten; where an admin had disabled a unit, that is remembered until the purge.
forget_units() {
    can_enable || return 0
    for _u in $units; do
        unit_forget "$_u"
        if systemd_runs; then systemctl reset-failed "$_u" 2>/dev/null || :; fi
    done
}

# What a revert had written there of another version; dpkg has removed its own before.
forget_texts() {
    grep -lsxF "Package=$name" "$unitdir"/*.* "$unitdir"/*.d/*.conf | while IFS= read -r _text; do
        _u=${_text#"$unitdir/"}
        case $_u in
        */*) ;;
        *)
            ! can_enable || unit_forget "$_u"
            if systemd_runs; then systemctl stop "$_u" 2>/dev/null || :; fi
            ;;
        esac
        rm -f "$_text"
        case $_u in */*) rmdir "${_text%/*}" 2>/dev/null || : ;; esac
    done
}

purge() {
    systemd_runs || :
    for _u in $units; do
        ! can_enable || enabling purge "$_u" >/dev/null 2>&1 || :
        # When a timer with Persistent= last ran.
        case $_u in *.timer) rm -f "$root/var/lib/systemd/timers/stamp-$_u" ;; esac
    done
    if [ "$purge_shared" = yes ]; then rm -rf "$base/shared"; fi
    if [ -n "$env_file" ] && [ -e "$state/env-created" ] && [ -f "$root$env_file" ] &&
        [ "$(sha256sum <"$root$env_file")" = "$(cat "$state/env-created")" ]; then
        rm -f "$root$env_file"
        rmdir "$root${env_file%/*}" 2>/dev/null || :
    fi
    purge_files
    purge_proxy
    # Deepest first; what is not empty is the user's.
    printf '%s\n' "$made_dirs" | sort -r | while IFS= read -r _d; do
        [ -z "$_d" ] || rmdir "$root$_d" 2>/dev/null || :
    done
    for _d in $service_dirs "$prefix/shared" "$prefix/app" "$prefix/payload" "$prefix"; do rmdir "$root$_d" 2>/dev/null || :; done
    purge_users
    rm -rf "$state"
    rmdir "$root/var/lib/relpack" 2>/dev/null || :
}

# Configuration files go as dpkg's own do: the edited ones too.
purge_files() {
    [ -e "$state/files" ] || return 0
    cut -f 2 "$state/files" | sort -u | while IFS= read -r _f; do
        rm -f "$root$_f" "$root$_f.dpkg-dist" "$root$_f.dpkg-old"
        _d=${_f%/*}
        while [ "${_d%/*}" != "" ] && rmdir "$root$_d" 2>/dev/null; do _d=${_d%/*}; done
    done
}

# nginx would not even start where a site names an upstream that is gone. Never moved away to try that: the power may fail.
purge_proxy() {
    [ -e "$proxy_conf" ] || return 0
    if command -v nginx >/dev/null; then
        _sites=$(nginx -T 2>/dev/null) || _sites=
        if [ -z "$_sites" ] || printf '%s\n' "$_sites" | proxy_named; then
            say "$proxy_conf is kept: nginx's sites may name its upstream (hint: nginx -T; remove what names $name, then this file)"
            return 0
        fi
    fi
    rm -f "$proxy_conf"
    if systemd_runs && systemctl -q is-active nginx.service; then
        systemctl reload nginx.service || say "warning: nginx could not be reloaded (hint: systemctl reload nginx)"
    fi
}

# proxy_named: whether what "nginx -T" prints names the upstream, in another file than ours.
proxy_named() {
    _word=$(printf '%s\n' "$name" | sed 's/[.+]/[&]/g')
    awk -v ours="# configuration file $proxy_conf:" '/^# configuration file / { skip = ($0 == ours) } !skip { sub(/#.*/, ""); print }' |
        grep -E "(^|[^A-Za-z0-9.+_-])$_word([^A-Za-z0-9.+_-]|\$)" >/dev/null
}

# A user that we made goes, unless something on this host still belongs to it.
purge_users() {
    [ -e "$state/users-created" ] && [ -z "$root" ] || return 0
    sort -u "$state/users-created" | while IFS= read -r _user; do
        id "$_user" >/dev/null 2>&1 || continue
        for _d in "$base" $service_dirs $made_dirs; do
            if [ -d "$_d" ] && [ -n "$(find "$_d" -user "$_user" -print -quit)" ]; then
                say "user $_user is kept: $_d still holds files of it (hint: find $_d -user $_user)"
                continue 2
            fi
        done
        # Our own files are gone by now; another package may have the same user.
        if grep -qsE "^u[^ ]* +\"?$_user\"?( |\$)" /usr/lib/sysusers.d/*.conf /etc/sysusers.d/*.conf ||
            grep -qsxF "User=$_user" /usr/lib/systemd/system/*.service /etc/systemd/system/*.service; then
            say "user $_user is kept: another package has it, too (hint: grep -r $_user /usr/lib/sysusers.d /usr/lib/systemd/system)"
            continue
        fi
        userdel "$_user" || say "warning: user $_user could not be removed (hint: userdel $_user)"
    done
}
