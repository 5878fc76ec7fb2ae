# Staging: the payload that dpkg delivered becomes a release that dpkg does not own.

# manifest_shape FILE: type and path of every entry, in the form that tree_shape prints.
manifest_shape() {
    awk -F '\t' '
        /^#d\t/ { print "d\t" $2; next }
        /^#l\t/ { print "l\t" $2 "\t" $3; next }
        /^#x\t/ { x = $2; next }
        /^#/    { next }
        { p = substr($0, 67); print (p == x ? "x" : "f") "\t" p }' "$1" | sort
}

tree_shape() { tree_list "$1" | list_shape; }

# tree_list DIR: every entry's type, mode, owner and path; of what is no directory also link target, size and time. Link
# counts and ctime change when we hardlink.
tree_list() {
    (cd "$1" && find . \( -type d -printf 'd\t%m\t%U\t%p\n' -o -printf '%y\t%m\t%U\t%p\t%l\t%s\t%T@\n' \)) | sort
}

list_shape() {
    awk -F '\t' '
        $4 == "." || $4 == "./.relpack/manifest" { next }
        $1 == "d" && $2 == 755 { print "d\t" $4; next }
        $1 == "l" { print "l\t" $4 "\t" $5; next }
        $1 == "f" && $2 == 755 { print "x\t" $4; next }
        $1 == "f" && $2 == 644 { print "f\t" $4; next }
        { print "?\t" $4 "\t" $1 " " $2 }' | sort
}

# manifest_files FILE: "x|f hash path" of every regular file.
manifest_files() {
    awk -F '\t' '
        /^#x\t/ { x = $2; next }
        /^#/    { next }
        { p = substr($0, 67); print (p == x ? "x" : "f") " " substr($0, 1, 64) " " p }' "$1" | sort
}

# A seal is one hash over such a list. It tells cheaply whether a kept release was touched; a full hash of the contents
# is what "verify" is for.
seal_holds() {
    release_kept "$1" && [ -e "$state/seals/$1" ] || return 1
    tree_list "$base/releases/$1" | sha256sum | cmp -s - "$state/seals/$1"
}

# Kills leave directories that nothing names.
stage_sweep() {
    # Killed between the two renames of a repair: better a damaged release than none.
    for _d in "$base"/releases/.*.damaged; do
        _r=${_d##*/.}
        _r=${_r%.damaged}
        if [ -d "$_d" ] && [ ! -d "$base/releases/$_r" ]; then mv -T "$_d" "$base/releases/$_r"; fi
    done
    for _d in "$base"/releases/.*.partial "$unitstore"/units/.*.partial; do
        [ ! -d "$_d" ] || rm -rf "$_d"
    done
    for _d in "$state"/work.*; do
        [ ! -d "$_d" ] || rm -rf "$_d"
    done
    for _d in "$base"/releases/*; do
        _r=${_d##*/}
        if [ ! -d "$_d" ] || [ -e "$state/seals/$_r" ] || [ "$_r" = "$j_live_id" ] || [ "$_r" = "$(current_id)" ]; then continue; fi
        case $_r in
        *[!0-9a-f]*) ;; # not ours to remove
        *) rm -rf "$_d" ;;
        esac
    done
}

manifest_format() { sed -n '1s/^#relpack-tree //p' "$1"; }

# stage_base: the kept release to take unchanged files from.
stage_base() {
    for _r in "$j_live_id" "$j_last_id" "$(current_id)"; do
        if [ -n "$_r" ] && [ "$_r" != "$id" ] && seal_holds "$_r" &&
            [ "$(manifest_format "$base/releases/$_r/.relpack/manifest")" = 1 ]; then
            printf '%s\n' "$_r"
            return
        fi
    done
}

stage() {
    if [ ! -d "$base/releases" ] || [ ! -d "$state/seals" ]; then mkdir -p "$base/releases" "$state/seals"; fi
    stage_sweep
    if seal_holds "$id"; then return 0; fi
    manifest=$delivered.manifest
    if [ ! -r "$manifest" ] || [ "$(sha256sum <"$manifest" | cut -c 1-40)" != "$id" ]; then
        say "$manifest is missing or damaged"
        more "(hint: $(fetch_again missing))"
        return 1
    fi
    part=$base/releases/.$id.partial
    work=$state/work.$id
    mkdir "$part" "$work"
    stage_link
    fault stage-extract
    comm -23 "$work/want" "$work/same" >"$work/new"
    if [ -n "$packed" ]; then stage_extract; else stage_take; fi
    # With the mode that the umask makes, whatever the delivered one has.
    cat "$manifest" >"$part/.relpack/manifest"
    sync -f "$part" &
    sync_pid=$!
    stage_check
    _seal=$(sha256sum <"$work/list")
    wait "$sync_pid"
    if [ -d "$base/releases/$id" ]; then
        say "release $id was changed on this host since it was staged; it is put right"
        # Processes still run from the changed one; it goes when they have been restarted.
        rm -rf "$base/releases/.$id.damaged"
        write_file "$state/restaged" 0644 </dev/null
        mv -T "$base/releases/$id" "$base/releases/.$id.damaged"
    fi
    mv -T "$part" "$base/releases/$id"
    durable "$base/releases"
    fault stage-renamed
    write_file "$state/seals/$id" 0644 "$_seal"
    rm -rf "$work"
}

# What a kept release already has comes as hardlinks: $work/same lists it, $work/want lists all.
stage_link() {
    manifest_files "$manifest" >"$work/want"
    : >"$work/same"
    from=$(stage_base)
    [ -n "$from" ] || return 0
    manifest_files "$base/releases/$from/.relpack/manifest" >"$work/have"
    comm -12 "$work/have" "$work/want" >"$work/same"
    # All of it as hardlinks, then without what is not in the new one. Links are made anew by the extraction; the
    # manifest has to go because it would be written into the old release's own file.
    cp -al "$base/releases/$from/." "$part"
    {
        comm -23 "$work/have" "$work/want" | cut -c 68-
        awk -F '\t' 'BEGIN { print "./.relpack/manifest" } /^#l\t/ { print $2 }' "$base/releases/$from/.relpack/manifest"
    } >"$work/gone"
    (cd "$part" && xargs -r -d '\n' rm -f -- <"$work/gone")
    manifest_dirs "$base/releases/$from/.relpack/manifest" >"$work/old-dirs"
    manifest_dirs "$manifest" >"$work/new-dirs"
    comm -23 "$work/old-dirs" "$work/new-dirs" | sort -r >"$work/gone"
    [ ! -s "$work/gone" ] || (cd "$part" && xargs -d '\n' rmdir -- <"$work/gone")
}

manifest_dirs() { awk -F '\t' '/^#d\t/ { print $2 }' "$1" | sort; }

# What is extracted is hashed meanwhile; what was hardlinked was hashed when it was extracted, and the seal says that
# nobody touched it.
stage_extract() {
    _archive=$delivered$packed
    case $packed in
    *.zst) _unpack='zstd -d -q' ;;
    *.xz) _unpack='xz -d -q' ;;
    *) _unpack='gzip -d -q' ;;
    esac
    {
        tar -x -v --quoting-style=literal -f "$_archive" -I "$_unpack" -C "$part" --skip-old-files \
            --no-same-owner --same-permissions --warning=no-timestamp --warning=no-existing-file || : >"$work/tar-failed"
    } | stage_hash || {
        if [ ! -e "$work/tar-failed" ]; then
            say "the unpacked release does not have the hashes of its manifest"
            more "(hint: $(fetch_again))"
        fi
        : >"$work/hashes-failed"
    }
    if [ -e "$work/tar-failed" ]; then
        say "cannot unpack $_archive ($(df -Ph "$part" | awk 'NR == 2 { print $4 " free on " $6 }'))"
        more "(hint: where that is little, free some room: $(room_by))"
        return 1
    fi
    [ ! -e "$work/hashes-failed" ]
}

# Files that dpkg unpacked become the release's by hardlink: dpkg never writes into a file that is there, it puts another
# one in its place. They are hashed all the same, since anybody may have edited them.
stage_take() {
    # An admin may have put either on a file system of its own; and what a person unpacked, that person edits.
    _link=
    case $delivered in
    "$base"/*)
        if ln "$manifest" "$part/.linked" 2>/dev/null; then
            rm "$part/.linked"
            _link=y
        fi
        ;;
    esac
    {
        cut -c 68- "$work/new"
        awk -F '\t' '/^#l\t/ { print $2 }' "$manifest"
    } >"$work/take"
    if ! (cd "$part" && manifest_dirs "$manifest" | xargs -r -d '\n' mkdir -p --) ||
        ! (cd "$delivered" && xargs -r -d '\n' cp -a ${_link:+-l} --parents -t "$part" -- <"$work/take"); then
        say "cannot take the release from $delivered ($(df -Ph "$part" | awk 'NR == 2 { print $4 " free on " $6 }'))"
        more "(hint: where that is little, free some room: $(room_by))"
        return 1
    fi
    [ -n "$_link" ] || stage_own "$part" "$work/new"
    if [ -s "$work/new" ] && ! (cd "$part" && sed 's/^. \([0-9a-f]*\) /\1  /' "$work/new" | sha256sum -c --strict --quiet - >&2); then
        say "the delivered release does not have the hashes of its manifest"
        more "(hint: $(fetch_again))"
        return 1
    fi
}

# stage_hash: checks the files whose names tar writes to stdin. tar names a member when it begins, and by then the one
# before it is complete.
stage_hash() {
    # Without a single line, sha256sum fails.
    if [ ! -s "$work/new" ]; then
        cat >/dev/null
        return
    fi
    (cd "$part" && awk -v list="$work/new" '
        BEGIN { while ((getline line < list) > 0) sums[substr(line, 68)] = substr(line, 3, 64) }
        before in sums { print sums[before] "  " before; delete sums[before] }
        { before = $0 }
        END {
            if (before in sums) { print sums[before] "  " before; delete sums[before] }
            # sha256sum refuses such a line.
            for (p in sums) print "not in the payload: " p
        }' | sha256sum -c --strict --quiet - >&2)
}

# sha256sum -c sees no extra entry, mode or link.
stage_check() {
    manifest_shape "$manifest" >"$work/shape"
    tree_list "$part" >"$work/list"
    list_shape <"$work/list" >"$work/found"
    if ! cmp -s "$work/shape" "$work/found"; then
        say "the unpacked release is not what its manifest says:"
        diff "$work/shape" "$work/found" | head -n 5 >&2
        more "(hint: $(fetch_again))"
        return 1
    fi
}
