# A release carries its own settings: a rollback follows the old release's rules, not the new package's.
#
# settings_load ID: into s_text, once for each release. By cat, since the shell's own read takes an error of the disk for
# the end of the file, and then a release would seem to have no units and no health check.
settings_load() {
    case $1 in '' | *[!0-9a-f]*) return 1 ;; esac
    eval "s_text=\${settings_$1:-}"
    [ -z "$s_text" ] || return 0
    s_text=$(cat "$base/releases/$1/.relpack/settings") || return 1
    eval "settings_$1=\$s_text"
}

settings_text() { settings_load "$1" && printf '%s\n' "$s_text"; }

# settings_known ID: whether they are of the format that this version reads; what a later one only added, it skips.
settings_known() {
    settings_format=$(sed -n '1s/^#relpack-settings //p' "$base/releases/$1/.relpack/settings" 2>/dev/null)
    [ "${settings_format:-1}" = 1 ]
}

# Parsed by the shell itself: an activation asks dozens of times, and each awk would cost a fork and an exec.

# settings ID KEY: all the values of a key.
settings() {
    settings_load "$1" || return 1
    while IFS=$tab read -r _key _value _; do
        if [ "$_key" = "$2" ]; then printf '%s\n' "$_value"; fi
    done <<EOF
$s_text
EOF
}

# setting ID KEY: the value of a key that stands once; nothing when it is absent.
setting() {
    settings_load "$1" || return 1
    _lines=$nl$s_text
    _after=${_lines#*"$nl$2$tab"}
    if [ "$_after" != "$_lines" ]; then
        _after=${_after%%"$nl"*}
        printf '%s\n' "${_after%%"$tab"*}"
    fi
}

# units_of ID [enable|static]: unit names, all or only those that are enabled at install or not.
units_of() {
    release_kept "$1" || return 0
    settings_load "$1" || return 1
    while IFS=$tab read -r _key _unit _kind _policy _enable _gated _; do
        if [ "$_key" = unit ] && [ "${2:-$_enable}" = "$_enable" ]; then printf '%s\n' "$_unit"; fi
    done <<EOF
$s_text
EOF
}

# unit_setting ID UNIT|INSTANCE kind|policy|enable|gated: nothing where the release has no such unit. An instance that the
# release doesn't name, since the admin made it, has its template's settings.
unit_setting() {
    settings_load "$1" || return 1
    _general=$2
    case $2 in *@?*.*) _general=${2%%@*}@.${2##*.} ;; esac
    _answer=
    while IFS=$tab read -r _key _unit _kind _policy _enable _gated _; do
        if [ "$_key" != unit ]; then continue; fi
        case $_unit in "$2" | "$_general") ;; *) continue ;; esac
        case $3 in
        kind) _answer=$_kind ;;
        policy) _answer=$_policy ;;
        enable) _answer=$_enable ;;
        gated) _answer=$_gated ;;
        esac
        [ "$_unit" != "$2" ] || break
    done <<EOF
$s_text
EOF
    [ -z "$_answer" ] || printf '%s\n' "$_answer"
}

# names_unit ID UNIT: whether the release names exactly this one.
names_unit() {
    for _named in $(units_of "$1"); do
        [ "$_named" != "$2" ] || return 0
    done
    return 1
}

has_unit() { [ -n "$(unit_setting "$1" "$2" kind)" ]; }

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
    _found=
    case ${3:-} in "$name@"?*.service) _found=$(env_read "$prefix/shared/env.$(instance_of "$3")" "$2") ;; esac
    [ -n "$_found" ] || _found=$(env_read "$(setting "$1" env-file)" "$2")
    if [ -z "$_found" ]; then
        _found=$(settings_text "$1" | awk -F '\t' -v k="$2" -v u="${3:-}" -v t="$(template_of "${3:-}")" '
            $1 != "env-default" || $3 != k { next }
            $2 == u { v = $4; exit }
            $2 == t { v = $4 }
            END { print v }')
    fi
    printf '%s\n' "$_found"
}

# env_read FILE NAME: the value in an environment file; nothing when it is not there.
env_read() {
    if [ -n "$1" ] && [ -r "$root$1" ]; then
        awk -v k="$2" '
            { sub(/^[ \t]+/, ""); if ($0 ~ /^[A-Za-z0-9_]+[ \t]+=/) sub(/[ \t]+=/, "="); if (index($0, k "=") == 1) { v = substr($0, length(k) + 2) } }
            END { gsub(/^[ \t]+|[ \t\r]+$/, "", v)
                  if (v ~ /^".*"$/ || v ~ /^\047.*\047$/) v = substr(v, 2, length(v) - 2)
                  print v }' "$root$1"
    fi
}
