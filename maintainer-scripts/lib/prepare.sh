# Users, directories and the environment file: nothing here changes what runs.
prepare() {
    if [ -e "$root/usr/lib/sysusers.d/$name.conf" ] && ! accounts_made; then
        awk '$1 ~ /^u/ { print $2 }' "$root/usr/lib/sysusers.d/$name.conf" | while IFS= read -r _user; do
            awk -F: -v u="$_user" '$1 == u { found = 1 } END { exit !found }' "$root/etc/passwd" ||
                printf '%s\n' "$_user" >>"$state/users-created"
        done
        # It locks /etc/passwd even where there is nothing to make, and /etc may be read-only.
        # By name: an admin's file of this name in /etc goes before ours.
        systemd-sysusers ${root:+--root="$root"} "$name.conf"
    fi
    if [ -e "$root/usr/lib/tmpfiles.d/$name.conf" ]; then
        if [ -n "$root" ] || [ -e /proc/self ]; then
            systemd-tmpfiles ${root:+--root="$root"} --create "$name.conf"
        else
            make_directories
        fi
    fi
}

# make_directories: systemd-tmpfiles refuses to work in a chroot without /proc. The file has nothing but directories, and
# where no service runs, none can put a link in the way.
make_directories() {
    sed -n 's/^d "\{0,1\}\(.*[^"]\)"\{0,1\} \([0-7]*\) \([^ ]*\) \([^ ]*\) -$/\2 \3 \4 \1/; t found
        d; :found
        s/\\"/"/g; s/%%/%/g; p' "/usr/lib/tmpfiles.d/$name.conf" | while read -r _mode _user _group _path; do
        install -d -m "$_mode" -o "$_user" -g "$_group" "$_path"
    done
}

# accounts_made: the users and groups that the package's own file asks for are there.
accounts_made() {
    [ ! -e "$root/etc/sysusers.d/$name.conf" ] || return 1
    awk '$1 ~ /^[ug]/ { print $1, $2 }' "$root/usr/lib/sysusers.d/$name.conf" | while IFS=' ' read -r _type _who; do
        if [ "$_type" = g ]; then _base=group; else _base=passwd; fi
        grep -q "^$_who:" "$root/etc/$_base" || exit 1
    done
}

# env_create ID: an environment file for the admin to fill, readable by the service's user alone.
env_create() {
    _file=$(setting "$1" env-file)
    if [ -z "$_file" ] || [ -e "$root$_file" ] || [ -L "$root$_file" ]; then return 0; fi
    _owner=$(setting "$1" user)
    _ids=$(awk -F: -v u="$_owner" '$1 == u { print $3 ":" $4 }' "$root/etc/passwd")
    mkdir -p "$root${_file%/*}"
    # In a directory of the service's user, that user could swap the new file for a link before it is given away.
    if [ "$(stat -c %u "$root${_file%/*}")" != 0 ]; then
        say "${_file%/*} does not belong to root, so $_file is not made there (hint: make it, mode 0600)"
        return 0
    fi
    {
        echo "# Settings of $name on this host: NAME=value, one a line (systemd.exec(5), EnvironmentFile=)."
        settings "$1" env-required | while IFS= read -r _n; do printf '# required: %s\n' "$_n"; done
    } >"$state/env.new"
    chmod 0600 "$state/env.new"
    sha256sum <"$state/env.new" >"$state/env-created"
    chown "${_ids:-0:0}" "$state/env.new"
    sync "$state/env.new"
    cp -p "$state/env.new" "$root${_file%/*}/.env.relpack-new"
    mv -T "$root${_file%/*}/.env.relpack-new" "$root$_file"
    durable "$root${_file%/*}"
    rm -f "$state/env.new"
}

# env_missing ID: the required variables that have no value, on one line.
env_missing() {
    settings "$1" env-required | while IFS= read -r _n; do
        [ -n "$(env_value "$1" "$_n")" ] || printf '%s ' "$_n"
    done
}

# env_insane ID: a carriage return becomes part of the value, and nobody sees it.
env_insane() {
    _file=$(setting "$1" env-file)
    [ -n "$_file" ] && [ -r "$root$_file" ] && grep -q "$(printf '\r')" "$root$_file"
}
