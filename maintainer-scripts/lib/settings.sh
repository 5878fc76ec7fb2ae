# A release carries its own settings: a rollback follows the old release's rules, not the new package's.
settings_of() { printf '%s\n' "$base/releases/$1/.relpack/settings"; }

# setting ID KEY: the value of a key that stands once; nothing when it is absent.
setting() { awk -F '\t' -v k="$2" '$1 == k { print $2; exit }' "$(settings_of "$1")"; }

# settings ID KEY: all the values of a key.
settings() { awk -F '\t' -v k="$2" '$1 == k { print $2 }' "$(settings_of "$1")"; }

# units_of ID [COLUMN=VALUE]: unit names. Columns: 3 kind, 4 policy, 5 enable|static, 6 gated|-
units_of() {
    release_kept "$1" || return 0
    awk -F '\t' -v c="${2%%=*}" -v v="${2#*=}" '$1 == "unit" && (c == "" || $c == v) { print $2 }' "$(settings_of "$1")"
}

# unit_setting ID UNIT COLUMN
unit_setting() { awk -F '\t' -v u="$2" -v c="$3" '$1 == "unit" && $2 == u { print $c; exit }' "$(settings_of "$1")"; }

# fact KEY: a fact of this host. The file is parsed and never sourced.
fact() {
    [ ! -r "$facts" ] || awk -v k="$1" '
        /^[ \t]*#/ { next }
        { i = index($0, "="); if (!i) next
          key = substr($0, 1, i - 1); gsub(/[ \t]/, "", key)
          if (key == k) { v = substr($0, i + 1); gsub(/^[ \t"]+|[ \t"\r]+$/, "", v); print v; exit } }' "$facts"
}

# env_value ID NAME [UNIT]: as the service will see it: the environment file, else that unit's own default.
env_value() {
    _file=$(setting "$1" env-file)
    _found=
    if [ -n "$_file" ] && [ -r "$root$_file" ]; then
        _found=$(awk -v k="$2" '
            { sub(/^[ \t]+/, ""); if (index($0, k "=") == 1) { v = substr($0, length(k) + 2) } }
            END { gsub(/^[ \t]+|[ \t\r]+$/, "", v)
                  if (v ~ /^".*"$/ || v ~ /^\047.*\047$/) v = substr(v, 2, length(v) - 2)
                  print v }' "$root$_file")
    fi
    if [ -z "$_found" ]; then
        _found=$(awk -F '\t' -v k="$2" -v u="${3:-}" '$1 == "env-default" && $2 == u && $3 == k { print $4; exit }' "$(settings_of "$1")")
    fi
    printf '%s\n' "$_found"
}
