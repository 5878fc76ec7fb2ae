#!/bin/sh
# systemd.generator(7): binds the unit files of @NAME@ to the release that is live. dpkg lays new unit files at unpack,
# long before the switch; a daemon-reload or a reboot in between must not start the new release. It reads only the root
# file system, since it runs before others are mounted, and the live release's link wherever that is visible.
set -eu
name=@NAME@
prefix=@PREFIX@
unitdir=/usr/lib/systemd/system
store=/usr/lib/relpack/$name
state=/var/lib/relpack/$name
out=${1:?}

# A disk that is to be mounted over an older $prefix is not here yet, and what it will hide is not live.
links=$prefix
if read -r recorded 2>/dev/null <"$store/place" && [ "$recorded" != "$(stat -Lc %i:%W "$prefix" 2>/dev/null)" ]; then links=$store; fi

live=$(readlink "$links/current" || readlink "$store/live" || :) 2>/dev/null
live=${live##*/}

# place FILE: where in the output a unit goes, or a drop-in of one.
place() {
    case $1 in */*) mkdir -p "$out/${1%/*}" ;; esac
    printf '%s\n' "$out/$1"
}

# bind_drop_ins: those of that instance's release, all in the instance's own directory, which comes before its template's. What
# only another release has is put out there.
bind_drop_ins() {
    own=$name@$instance.service.d
    for dir in "$name@.service.d" "$own"; do
        for text in "$store/units/$release/$dir"/*.conf; do
            [ ! -f "$text" ] || cp "$text" "$(place "$own/${text##*/}")"
        done
    done
    for dir in "$name@.service.d" "$own"; do
        for text in "$store/units/$live/$dir"/*.conf $(grep -lsxF "Package=$name" "$unitdir/$dir"/*.conf); do
            drop_in=${text##*/}
            if [ ! -f "$text" ] || [ -f "$store/units/$release/$name@.service.d/$drop_in" ] || [ -f "$store/units/$release/$own/$drop_in" ]; then
                continue
            fi
            ln -sf /dev/null "$(place "$own/$drop_in")"
        done
    done
}

# bind_needs: what only that release has, the unit of its first migration for one: its instance may require it, and nobody else
# starts it before it is live.
bind_needs() {
    for text in "$store/units/$release"/* "$store/units/$release"/*.d/*; do
        unit=${text#"$store/units/$release/"}
        case $unit in "$name@"* | "$name-migrate.service") continue ;; esac
        if [ ! -f "$text" ] || [ -e "$store/units/$live/${unit%%.d/*}" ]; then continue; fi
        needed="$needed $unit"
        cmp -s "$text" "$unitdir/$unit" || cp "$text" "$(place "$unit")"
    done
}

bind_units() {
    for text in "$store/units/$live"/* "$store/units/$live"/*.d/*; do
        unit=${text#"$store/units/$live/"}
        # The migration belongs to the delivered release, not to the live one.
        [ "$unit" != "$name-migrate.service" ] || continue
        [ -f "$text" ] || continue
        cmp -s "$text" "$unitdir/$unit" || cp "$text" "$(place "$unit")"
    done
    needed=
    # In the middle of a roll an instance runs another release than the live one.
    for link in "$store/instances"/*; do
        [ -L "$link" ] || continue
        instance=${link##*/}
        release=$(readlink "$links/instances/$instance" || readlink "$link" || :) 2>/dev/null
        release=${release##*/}
        text=$store/units/$release/$name@.service
        if [ "$release" = "$live" ] || [ ! -f "$text" ]; then continue; fi
        cp "$text" "$out/$name@$instance.service"
        bind_drop_ins
        bind_needs
    done
    grep -lsxF "Package=$name" "$unitdir"/*.* "$unitdir"/*.d/*.conf | while IFS= read -r file; do
        unit=${file#"$unitdir/"}
        if [ "$unit" = "$name-migrate.service" ] || [ -e "$store/units/$live/$unit" ] || [ -e "$out/$unit" ]; then continue; fi
        case "$needed " in *" $unit "*) continue ;; esac
        ln -s /dev/null "$(place "$unit")"
    done
}
if [ -n "$live" ] && [ -d "$store/units/$live" ]; then bind_units; fi

# Where the journal, which may not be mounted yet, does not say that nothing is left to do, a boot looks at it; and where
# dpkg's record waits for a boot. A daemon-reload in the middle of an activation, which holds the lock, is none. Of a first
# install nothing may be live here yet.
if [ ! -e "$state/heal" ] && grep -qsxE 'step=(idle|remove)' "$state/journal"; then exit 0; fi
if [ -e "$state/lock" ] && ! flock -s -n "$state/lock" true; then exit 0; fi
job=relpack-resume-$name.service
cat >"$out/$job" <<EOF
[Unit]
Description=Go on with the activation of $name in which the host went down
RequiresMountsFor=$prefix $state

[Service]
Type=exec
ExecStart=/usr/bin/$name-release _resume
EOF
mkdir -p "$out/multi-user.target.wants"
ln -s "../$job" "$out/multi-user.target.wants/$job"
