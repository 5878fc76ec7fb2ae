# What can be known before anything is changed: whether there is room, and whether what is here can be read.

need_kib=@NEED_KIB@

enough_room() {
    _at=$base
    while [ -n "$_at" ] && [ ! -d "$_at" ]; do _at=${_at%/*}; done
    # It warns where there is no /proc, and knows all the same.
    _free=$(df -Pk "${_at:-/}" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "$_free" -ge "$need_kib" ] && return 0
    say "not enough room on ${_at:-/} for $name $version: $((need_kib / 1024 + 1)) MiB needed, $((_free / 1024)) MiB free"
    more "(hint: free some room; \"$name-release prune\" removes old releases; nothing was changed)"
    return 1
}

# usr_merged: where /lib is a directory of its own, systemd looks for generators there alone; then a reboot between
# unpacking and configuring would start the new release under nobody's control.
usr_merged() {
    if [ -L "$root/lib" ] || [ ! -d "$root/lib/systemd/system-generators" ]; then return 0; fi
    say "/lib is not a link to usr/lib on this host, so systemd would not find the generator of $name. Nothing was changed"
    more "(hint: apt-get install usrmerge, then the same command again)"
    return 1
}

formats_known() {
    # An interrupted activation is ended first, and that reads both of its releases.
    if [ "$j_step" = idle ]; then _read=$j_live_id; else _read="$j_live_id $j_from_id $j_to_id"; fi
    for _r in $_read; do
        if release_kept "$_r" && ! settings_known "$_r"; then format_refuse "$base/releases/$_r/.relpack/settings" "$settings_format"; fi
    done
}
