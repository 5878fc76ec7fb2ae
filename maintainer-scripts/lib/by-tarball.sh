# A tarball brought the release: there is no record but ours, and Debian's own tools may be missing.
packager=tarball

# What the tarballs have put outside of $base, one path a line; whoever finds it knows that no package manager did.
host_record=$state/host-files

# host_follow ID: the host has the files of that release's tarball, and none of another's.
host_follow() {
    _kept=$unitstore/host/$1
    [ -d "$_kept" ] || return 0
    _has=$(cd "$_kept" && find usr -type f)
    # First: what is made from here on is known, should this be killed.
    _had=$(cat "$host_record" 2>/dev/null || :)
    printf '%s\n' "$_had" "$_has" | sort -u | write_file "$host_record" 0644 || return 1
    for _f in $_has; do
        # Of an install that was killed, maybe another version's.
        rm -f "$root/${_f%/*}/.${_f##*/}.relpack-new"
        ! cmp -s "$_kept/$_f" "$root/$_f" || continue
        mkdir -p "$root/${_f%/*}" || return 1
        if [ -x "$_kept/$_f" ]; then _mode=0755; else _mode=0644; fi
        write_file "$root/$_f" "$_mode" <"$_kept/$_f" || return 1
    done
    for _f in $_had; do
        case "$nl$_has$nl" in *"$nl$_f$nl"*) ;; *) rm -f "$root/$_f" ;; esac
    done
    cp "$_kept/uninstall" "$unitstore/.uninstall.relpack-new" && mv -fT "$unitstore/.uninstall.relpack-new" "$unitstore/uninstall" || return 1
    printf '%s\n' "$_has" | write_file "$host_record" 0644
}

# host_forget: nothing of ours is left outside of $base; the units first, while they can be told by their text.
host_forget() {
    units_delivered | while IFS= read -r _u; do
        rm -f "$unitdir/$_u"
        case $_u in */*) rmdir "$unitdir/${_u%/*}" 2>/dev/null || : ;; esac
    done
    [ -e "$host_record" ] || return 0
    while IFS= read -r _f; do
        [ -z "$_f" ] || rm -f "$root/$_f" "$root/${_f%/*}/.${_f##*/}.relpack-new"
        case $_f in usr/share/"$name"/* | usr/share/doc/"$name"/*) rmdir "$root/${_f%/*}" 2>/dev/null || : ;; esac
    done <"$host_record"
}

# stage_own DIR LIST: owners and modes are not what they were for the person who unpacked the files.
stage_own() {
    chown -hR 0:0 "$1"
    (
        cd "$1"
        find . -type d -exec chmod 0755 {} +
        sed -n 's/^x .\{64\} //p' "$2" | xargs -r -d '\n' chmod 0755 --
        sed -n 's/^f .\{64\} //p' "$2" | xargs -r -d '\n' chmod 0644 --
    )
}

# version_is A lt|le|eq|ge|gt B: as dpkg orders versions (deb-version(7)).
version_is() {
    awk -v a="$1" -v op="$2" -v b="$3" '
        function weight(c) { return c == "~" ? -1 : c == "" || c ~ /[0-9]/ ? 0 : c ~ /[A-Za-z]/ ? index(all, c) : 256 + index(all, c) }
        function part(x, y, i, j, u, v, m, n) {
            i = j = 1
            while (i <= length(x) || j <= length(y)) {
                while ((i <= length(x) && substr(x, i, 1) !~ /[0-9]/) || (j <= length(y) && substr(y, j, 1) !~ /[0-9]/)) {
                    u = weight(substr(x, i, 1)); v = weight(substr(y, j, 1))
                    if (u != v) return u < v ? -1 : 1
                    i++; j++
                }
                match(substr(x, i), /^[0-9]*/); m = substr(x, i, RLENGTH); i += RLENGTH
                match(substr(y, j), /^[0-9]*/); n = substr(y, j, RLENGTH); j += RLENGTH
                sub(/^0+/, "", m); sub(/^0+/, "", n)
                if (length(m) != length(n)) return length(m) < length(n) ? -1 : 1
                if (m "" != n "") return m "" < n "" ? -1 : 1
            }
            return 0
        }
        function epoch(v) { return v ~ /:/ ? substr(v, 1, index(v, ":") - 1) : "0" }
        function rest(v) { return v ~ /:/ ? substr(v, index(v, ":") + 1) : v }
        function revision(v) { return match(v, /-[^-]*$/) ? substr(v, RSTART + 1) : "" }
        function upstream(v) { return match(v, /-[^-]*$/) ? substr(v, 1, RSTART - 1) : v }
        BEGIN {
            all = "+-.:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            c = part(epoch(a), epoch(b)); a = rest(a); b = rest(b)
            if (!c) c = part(upstream(a), upstream(b))
            if (!c) c = part(revision(a), revision(b))
            exit !(op == "lt" ? c < 0 : op == "le" ? c <= 0 : op == "eq" ? c == 0 : op == "ge" ? c >= 0 : c > 0)
        }'
}

# enabling [--quiet] VERB UNIT: what deb-systemd-helper does, by systemctl and a mark for each unit that we have enabled.
enabling() {
    [ "$1" != --quiet ] || shift
    _mark_of=$state/enabled/$2
    case $1 in
    was-enabled) if [ -e "$_mark_of" ]; then unit_enabled "$2"; fi ;;
    enable)
        [ ! -e "$_mark_of" ] || return 0
        # An instance may be an admin's, which a release names from now on.
        case $2 in
        *@?*.*) if unit_enabled "$2"; then
            enabled_mark "$2" admin
            return
        fi ;;
        esac
        unit_links enable "$2" && enabled_mark "$2"
        ;;
    purge)
        # The mark goes last: a kill in between must not make the links look like an admin's.
        _disabled=0
        systemctl ${root:+--root="$root"} disable --quiet "$2" || _disabled=$?
        rm -f "$_mark_of"
        return "$_disabled"
        ;;
    esac
}

can_enable() { command -v systemctl >/dev/null; }

# Nobody else keeps a record that would have to follow what is live; the files of the tarball are all.
dpkg_state() { echo -; }
follow() { host_follow "$1" || say "warning: not all files outside of $base are those of $2 (hint: $(again "$2"))"; }
heal_schedule() { :; }
heal_wait() { :; }
kept_deb() { :; }
keep_deb() { :; }
pins() { :; }
pins_set() { :; }
known_above() { :; }
problem_hint() { again "$j_to_version"; }

fetch_again() { echo "unpack the tarball again, and run its install"; }
again() { echo "run the install of the tarball of $name $1"; }
install_by() { again "$1"; }
finish_by() { again "$j_to_version"; }
retry_by() { again "$j_to_version"; }
room_by() { echo "$name-release prune"; }
afresh_by() { echo "$unitstore/uninstall"; }

recorded() { :; }
usage_of_packager() { :; }

retry() { die "a tarball's release is tried again by its own script (hint: $(again "${j_failed_version:-VERSION}"))"; }
accept() { die "there is no record of a package manager to put right (hint: $name-release status)"; }
