# enabled_mark UNIT [admin]: it was enabled once; by an admin, before a release named it.
enabled_mark() {
    mkdir -p "$state/enabled" && printf '%s' "${2:-}" >"$state/enabled/$1"
}

# unit_forget UNIT: removes the links that enabled it; where the admin had disabled it, that is remembered. deb-systemd-helper
# first forgets which links it made and then removes them: killed in between, it would leave them for ever.
unit_forget() {
    # What an admin enabled of a template is not ours to forget; of ours there is a mark.
    case $1 in *@?*.*) [ -e "$state/enabled/$1" ] || return 0 ;; esac
    _mark=$state/forgetting.$1
    _again=n
    [ ! -e "$_mark" ] || _again=y
    if [ "$_again" = n ] && ! enabling --quiet was-enabled "$1"; then return 0; fi
    printf '' >"$_mark" || :
    enabling purge "$1" >/dev/null 2>&1 || say "warning: $1 cannot be disabled (hint: systemctl disable $1)"
    if [ "$_again" = y ]; then
        for _l in "$root"/etc/systemd/system/*/"$1" "$root"/var/lib/systemd/deb-systemd-helper-enabled/*/"$1"; do
            if [ -e "$_l" ] || [ -L "$_l" ]; then rm -f "$_l" || say "warning: $_l cannot be removed (hint: rm it)"; fi
        done
    fi
    rm -f "$_mark" || :
}
