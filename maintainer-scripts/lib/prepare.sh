# Users, directories and the environment file: nothing here changes what runs.
prepare() {
    if [ -e "$root/usr/lib/sysusers.d/$name.conf" ]; then
        awk '$1 ~ /^u/ { print $2 }' "$root/usr/lib/sysusers.d/$name.conf" | while IFS= read -r _user; do
            awk -F: -v u="$_user" '$1 == u { found = 1 } END { exit !found }' "$root/etc/passwd" ||
                printf '%s\n' "$_user" >>"$state/users-created"
        done
        systemd-sysusers ${root:+--root="$root"} - <"$root/usr/lib/sysusers.d/$name.conf"
    fi
    if [ -e "$root/usr/lib/tmpfiles.d/$name.conf" ]; then
        systemd-tmpfiles ${root:+--root="$root"} --create - <"$root/usr/lib/tmpfiles.d/$name.conf"
    fi
}

# env_create ID: an environment file for the admin to fill, readable by the service's user alone.
env_create() {
    _file=$(setting "$1" env-file)
    if [ -z "$_file" ] || [ -e "$root$_file" ] || [ -L "$root$_file" ]; then return 0; fi
    _owner=$(awk -F '\t' '$1 == "user" { print $2 }' "$(settings_of "$1")")
    _ids=$(awk -F: -v u="$_owner" '$1 == u { print $3 ":" $4 }' "$root/etc/passwd")
    mkdir -p "$root${_file%/*}"
    {
        echo "# Settings of $name on this host: NAME=value, one a line (systemd.exec(5), EnvironmentFile=)."
        settings "$1" env-required | while IFS= read -r _n; do printf '# required: %s\n' "$_n"; done
    } | write_file "$root$_file" 0600
    chown "${_ids:-0:0}" "$root$_file"
    sha256sum <"$root$_file" >"$state/env-created"
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
