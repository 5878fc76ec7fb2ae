# Configuration files below /etc. A release carries their defaults; what the admin edited or removed is never touched, and
# nobody is asked: dpkg's own conffiles stop an unattended upgrade at a prompt, and would stay when a release is reverted.

# The record: "HASH<tab>PATH" of each text that we put there.
files_record=$state/files

# files_deliver ID FROM: makes /etc and the links below /usr follow that release.
files_deliver() {
    links_deliver "$1" "${2:-}"
    if [ -z "$(settings "$1" file)" ] && [ ! -e "$files_record" ]; then return 0; fi
    [ -e "$files_record" ] || write_file "$files_record" 0644 </dev/null
    settings_text "$1" | awk -F '\t' '$1 == "file" { print $2 "\t" $3 "\t" $4 }' >"$state/files.wanted"
    while IFS=$tab read -r _path _mode _whose; do
        file_deliver "$1" "${2:-}" "$_path" "$_mode" "$_whose"
    done <"$state/files.wanted"
    # What this release no longer has, and nobody edited.
    cut -f 2 "$files_record" | sort -u | while IFS= read -r _path; do
        if cut -f 1 "$state/files.wanted" | grep -xF "$_path" >/dev/null || ! file_is_ours "$_path"; then continue; fi
        rm -f "$root$_path"
        file_forget "$_path"
    done
    rm -f "$state/files.wanted"
}

# file_deliver ID FROM PATH MODE [release]: with "release" it is no host's to edit, and an edited one gives way.
file_deliver() {
    _default=$base/releases/$1/.relpack/files$3
    if [ -e "$root$3" ] || [ -L "$root$3" ]; then
        # It says so already: also where a kill came between the file and its record.
        if [ -f "$root$3" ] && cmp -s "$_default" "$root$3"; then
            file_record "$_default" "$3"
            return
        fi
        # Also where the admin has taken over the default of the release before.
        if ! file_is_ours "$3" && ! cmp -s "$base/releases/${2:-none}/.relpack/files$3" "$root$3"; then
            if [ "${5:-}" != release ]; then
                file_beside "$1" "$2" "$3" "$4"
                return
            fi
            cp -aT "$root$3" "$root$3.dpkg-old"
            say "$3 was edited on this host, and is the release's again; what it was is $3.dpkg-old"
            more "(hint: diff $3.dpkg-old $3)"
        fi
    elif [ "${5:-}" != release ] && file_known "$3"; then
        return 0 # the admin removed it
    fi
    mkdir -p "$root${3%/*}"
    # Before the file: whoever comes after a kill knows both texts as ours; of a path that was never there, that it is new.
    _new=
    [ -e "$root$3" ] || _new=${tab}new
    {
        cat "$files_record"
        printf '%s\t%s%s\n' "$(file_hash "$_default")" "$3" "$_new"
    } | write_file "$files_record" 0644
    file_write "$1" "$3" "$4" "$root$3"
    file_record "$_default" "$3"
}

# file_beside ID FROM PATH MODE: the admin's stays; a default that is new comes beside it.
file_beside() {
    _before=$base/releases/${2:-none}/.relpack/files$3
    ! cmp -s "$_before" "$base/releases/$1/.relpack/files$3" || return 0
    # What was offered with a release that goes, goes with it.
    ! cmp -s "$_before" "$root$3.dpkg-dist" || rm -f "$root$3.dpkg-dist"
    if [ "$j_step" = revert ] || [ "${event:-}" = rollback ]; then return 0; fi
    # Nothing new to who edited just that.
    ! grep -xF "$(file_hash "$base/releases/$1/.relpack/files$3")$tab$3" "$files_record" >/dev/null || return 0
    file_write "$1" "$3" "$4" "$root$3.dpkg-dist"
    say "$3 was edited on this host and stays as it is; the new default is $3.dpkg-dist"
    more "(hint: diff $3 $3.dpkg-dist)"
}

# file_write ID PATH MODE TARGET: root's, and the service's group may read what others may not.
file_write() {
    _group=$(settings_text "$1" | awk -F '\t' '$1 == "user" { print $3 }')
    _gid=$(awk -F: -v g="$_group" '$1 == g { print $3 }' "$root/etc/group")
    _new=${4%/*}/.${4##*/}.relpack-new
    rm -f "$_new"
    if ! (umask 077 && cp "$base/releases/$1/.relpack/files$2" "$_new") || ! chown "0:${_gid:-0}" "$_new" ||
        ! chmod "$3" "$_new" || ! sync "$_new" || ! mv -fT "$_new" "$4"; then
        rm -f "$_new"
        say "cannot write $4"
        return 1
    fi
    durable "${4%/*}"
}

file_hash() { sha256sum <"$1" | cut -d ' ' -f 1; }

# file_known PATH: it was there once.
file_known() { awk -F '\t' -v p="$1" '$2 == p && $3 == "" { known = 1 } END { exit !known }' "$files_record"; }

# file_is_ours PATH: it says what we wrote there.
file_is_ours() {
    [ -f "$root$1" ] && [ ! -L "$root$1" ] || return 1
    _hash=$(file_hash "$root$1")
    grep -xF -e "$_hash$tab$1" -e "$_hash$tab$1${tab}new" "$files_record" >/dev/null
}

# file_record DEFAULT PATH: from now on that text alone is ours.
file_record() {
    [ "$(grep -F "$tab$2" "$files_record" | awk -F '\t' -v p="$2" '$2 == p')" != "$(file_hash "$1")$tab$2" ] || return 0
    {
        awk -F '\t' -v p="$2" '$2 != p' "$files_record"
        printf '%s\t%s\n' "$(file_hash "$1")" "$2"
    } | write_file "$files_record" 0644
}

file_forget() { awk -F '\t' -v p="$1" '$2 != p' "$files_record" | write_file "$files_record" 0644; }
