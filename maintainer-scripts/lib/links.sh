# Links outside of the release, such as /usr/bin/acme. dpkg lays those of the version that it unpacked; a revert, a rollback
# to a kept release and a tarball need others. What somebody else put in the place of one stays.

# links_in: "PATH<tab>TARGET" of each, of the settings on stdin.
links_in() { sed -n "s/^link$tab//p"; }

# links_deliver ID FROM: the host has that release's links, and none that only FROM had.
links_deliver() {
    _has=$(settings_text "$1" | links_in)
    _had=
    if [ "${2:-}" != "$1" ] && release_kept "${2:-}"; then _had=$(settings_text "$2" | links_in); fi
    [ -n "$_has$_had" ] || return 0
    printf '%s\n' "$_has" | while IFS=$tab read -r _path _to; do
        [ -n "$_path" ] || continue
        link_sweep "$_path"
        _is=$(readlink "$root$_path" || :)
        [ "$_is" != "$_to" ] || continue
        if [ -e "$root$_path" ] || [ -L "$root$_path" ]; then
            case "$nl$_had$nl" in *"$nl$_path$tab$_is$nl"*) ;; *) continue ;; esac
        fi
        mkdir -p "$root${_path%/*}"
        point_link "$root$_path" "$_to"
    done
    printf '%s\n' "$_had" | while IFS=$tab read -r _path _to; do
        case "$nl$_has" in *"$nl$_path$tab"*) continue ;; esac
        link_sweep "$_path"
        link_remove "$_path" "$_to"
    done
}

# links_missing ID: the paths of that release's links where this host has nothing.
links_missing() {
    settings_text "$1" | links_in | while IFS=$tab read -r _path _to; do
        if [ ! -e "$root$_path" ] && [ ! -L "$root$_path" ]; then printf '%s\n' "$_path"; fi
    done
}

# links_replaced ID: "PATH<tab>TARGET" of those in whose place is something else, which somebody may have meant.
links_replaced() {
    settings_text "$1" | links_in | while IFS=$tab read -r _path _to; do
        if [ ! -e "$root$_path" ] && [ ! -L "$root$_path" ]; then continue; fi
        [ "$(readlink "$root$_path" || :)" = "$_to" ] || printf '%s\t%s\n' "$_path" "$_to"
    done
}

# links_forget: none of any kept release is left. dpkg has removed its own before.
links_forget() {
    for _f in "$base"/releases/*/.relpack/settings; do
        [ ! -r "$_f" ] || links_in <"$_f"
    done | sort -u | while IFS=$tab read -r _path _to; do
        link_sweep "$_path"
        link_remove "$_path" "$_to"
    done
}

# link_sweep PATH: what a kill left of its making.
link_sweep() {
    _left=$root${1%/*}/.${1##*/}.relpack-new
    [ ! -L "$_left" ] || rm -f "$_left"
}

# link_remove PATH TARGET: if it is that one.
link_remove() {
    if [ -z "$1" ] || [ "$(readlink "$root$1" || :)" != "$2" ]; then return 0; fi
    rm -f "$root$1"
    rmdir "$root${1%/*}" 2>/dev/null || :
}
