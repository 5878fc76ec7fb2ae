# Kept: the .deb of each kept release, so that dpkg can be brought in line without a network; and the releases themselves.

# Two builds may carry one version, so the release is part of the name.
deb_name() {
    _as=$1
    case $1 in *:*) _as=$(printf '%s' "$1" | sed 's/:/%3a/g') ;; esac
    printf '%s_%s_%s.deb\n' "$name" "$_as" "$2"
}

# kept_deb VERSION ID: its path, or nothing.
kept_deb() { if [ -e "$state/debs/$(deb_name "$1" "$2")" ]; then printf '%s\n' "$state/debs/$(deb_name "$1" "$2")"; fi; }

# incoming_note: the unpacking dpkg's command line names the .deb that our preinst came from. Noted for keep_deb.
incoming_note() {
    _dpkg=/proc/$PPID
    [ ! -e "$state/incoming" ] || rm -f "$state/incoming"
    [ -r "$_dpkg/cmdline" ] || return 0
    # In a root of its own it may not be there; this is no reason to refuse anything.
    _cwd=$(readlink -f "$_dpkg/cwd" 2>/dev/null) || _cwd=
    tr '\0' '\n' <"$_dpkg/cmdline" | while IFS= read -r _arg; do
        case $_arg in
        /*) ;;
        *)
            [ -n "$_cwd" ] || continue
            _arg=$_cwd/$_arg
            ;;
        esac
        # apt hands over a directory of links, or the files themselves.
        for _f in "$_arg" "$_arg"/*.deb; do
            case $_f in
            *.deb) if [ -f "$_f" ]; then readlink -f "$_f"; fi ;;
            esac
        done
    done >"$state/incoming.all"
    # Of many, the one that is named like us; a single one may be named as it likes.
    if ! grep -F "/${name}_" "$state/incoming.all" >"$state/incoming" && [ "$(wc -l <"$state/incoming.all")" = 1 ]; then
        cp "$state/incoming.all" "$state/incoming"
    fi
    rm -f "$state/incoming.all"
}

# keep_deb VERSION ID: as a hardlink from apt's cache, since nobody edits files there; else as a copy.
keep_deb() {
    if [ -n "$(kept_deb "$1" "$2")" ]; then
        rm -f "$state/incoming"
        return
    fi
    [ -d "$state/debs" ] || mkdir "$state/debs" || return 1
    _kept=$state/debs/$(deb_name "$1" "$2")
    _source=$({
        cat "$state/incoming" 2>/dev/null || :
        ls -d "$root/var/cache/apt/archives/${name}_$(printf '%s' "$1" | sed 's/:/%3a/g')_"*.deb 2>/dev/null || :
    } | while IFS= read -r _f; do
        if deb_is "$_f" "$1" "$2"; then
            printf '%s\n' "$_f"
            break
        fi
    done)
    _keeps=0
    if [ -n "$_source" ]; then
        deb_copy "$_source" "$_kept" || _keeps=1
    elif systemd_runs; then
        # Elsewhere an image is made, maybe of packages that lie outside of it.
        _keeps=1
    fi
    rm -f "$state/incoming" "$_kept.new" || :
    return "$_keeps"
}

# deb_copy FILE KEPT
deb_copy() {
    rm -f "$2.new" || return 1
    case $1 in
    "$root"/var/cache/apt/archives/*) ln "$1" "$2.new" 2>/dev/null || cp --reflink=auto "$1" "$2.new" || return 1 ;;
    *) cp --reflink=auto "$1" "$2.new" || return 1 ;;
    esac
    sync "$2.new" && mv -f "$2.new" "$2"
}

# deb_is FILE VERSION ID: by its control part alone.
deb_is() {
    [ -f "$1" ] && dpkg-deb --ctrl-tarfile "$1" 2>/dev/null | tar -xO ./control ./md5sums 2>/dev/null |
        awk -v p="Package: $name" -v v="Version: $2" -v m="/payload/$3.manifest" '
            $0 == p { named = 1 }
            $0 == v { numbered = 1 }
            index($0, m) { brings = 1 }
            END { exit !(named && numbered && brings) }'
}

# activation_note: one line a release: time, id, version. The newest line of a release is the one that counts.
activation_note() {
    _others=
    if [ -e "$state/activations" ]; then _others=$(awk -F '\t' -v r="$1" '$2 != r' "$state/activations") || return 1; fi
    write_file "$state/activations" 0644 "${_others:+$_others$nl}$(date +%s)$tab$1$tab$2"
}

# As texts: awk takes 1.1 and 1.10 for one number.
version_of() { [ ! -e "$state/activations" ] || awk -F '\t' -v r="$1" '$2 "" == r "" { v = $3 } END { print v }' "$state/activations"; }
release_of() { [ ! -e "$state/activations" ] || awk -F '\t' -v v="$1" '$3 "" == v "" { r = $2 } END { print r }' "$state/activations"; }

# releases_in_use: ids that a process runs from, has open or has mapped, in any mount namespace; and those that a unit
# text of the admin's names.
releases_in_use() {
    # Each of them fails where it finds nothing, or a process has just ended: the others still have to be asked.
    {
        grep -rhsE "^[^#;]*$prefix/releases/" /etc/systemd/system /run/systemd/system || :
        cat /proc/[0-9]*/mountinfo /proc/[0-9]*/maps || :
        find /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd -maxdepth 1 -type l -printf '%l\n' || :
    } 2>/dev/null | grep -oE 'releases/[0-9a-f]{40}' | sort -u | cut -d / -f 2
}

# prune: never the live release, the last good one before it, or one in use.
prune() {
    _keep=$(setting "$j_live_id" keep)
    _old=$(for _d in "$base"/releases/*; do
        _r=${_d##*/}
        if [ ! -d "$_d" ] || [ "$_r" = "$j_live_id" ] || [ "$_r" = "$j_last_id" ] || [ "$_r" = "$(current_id)" ]; then continue; fi
        printf '%s\t%s\n' "$(awk -F '\t' -v r="$_r" '$2 == r { t = $1 } END { print t + 0 }' "$state/activations")" "$_r"
    done | sort -rn | tail -n "+$((_keep - 1))" | cut -f 2)
    if [ -n "$_old" ]; then
        _used=$(releases_in_use)
        for _r in $_old; do
            case "$nl$_used$nl" in *"$nl$_r$nl"*) continue ;; esac
            # Its seal goes first: a half-removed release must never look whole.
            rm -f "$state/seals/$_r"
            rm -rf "$base/releases/$_r" "$unitstore/units/$_r"
        done
    fi
    prune_records
}

prune_records() {
    for _f in "$state"/seals/* "$unitstore"/units/* "$unitstore"/host/*; do
        [ ! -e "$_f" ] || [ -d "$base/releases/${_f##*/}" ] || rm -rf "$_f"
    done
    # The marks of migrations outlive their releases: a version that comes back must not migrate twice.
    set -- "$state"/migrated/*
    if [ $# -gt 1000 ]; then
        find "$state/migrated" -type f -printf '%T@ %p\n' | sort -rn | tail -n +1001 | cut -d ' ' -f 2- |
            while IFS= read -r _f; do rm -f "$_f"; done
    fi
    # By cat, as everywhere: an error of the disk must not look like a file's end.
    _all=$(cat "$state/activations") || return 1
    _kept=$(printf '%s\n' "$_all" | while IFS= read -r _line; do
        _r=${_line#*"$tab"}
        if [ -d "$base/releases/${_r%%"$tab"*}" ]; then printf '%s\n' "$_line"; fi
    done)
    [ "$_kept" = "$_all" ] || write_file "$state/activations" 0644 "$_kept" || return 1
    _debs=$({
        printf '0\t%s\t%s\n' "$j_live_id" "$j_live_version" "$j_last_id" "$j_last_version" "$j_failed_id" "$j_failed_version"
        printf '%s\n' "$_kept"
    } | while IFS=$tab read -r _t _r _v _; do deb_name "$_v" "$_r"; done)
    for _f in "$state"/debs/*; do
        case $nl$_debs$nl in *"$nl${_f##*/}$nl"*) ;; *) [ ! -e "$_f" ] || rm -f "$_f" ;; esac
    done
}
