# Pins keep apt from bringing back a version that failed or was rolled back from. One at -1 stops that version, lets a
# newer one in, and an explicit "=version" still installs it.

pins() { [ ! -e "$pinfile" ] || awk '/^Pin: version / { print $3 }' "$pinfile"; }

# known_above VERSION UPTO: the versions apt knows in (VERSION, UPTO].
known_above() {
    {
        printf '%s\n' "$2"
        # Without its cache files: an apt is running above us, and owns them.
        apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= madison "$name" 2>/dev/null |
            awk -F ' *[|] *' '{ print $2 }'
    } | sort -u | while IFS= read -r _v; do
        if [ -n "$_v" ] && dpkg --compare-versions "$_v" gt "$1" && dpkg --compare-versions "$_v" le "$2"; then
            printf '%s\n' "$_v"
        fi
    done
}

# pins_set VERSION [MORE]: keeps the pins above VERSION, adds the versions in MORE (one a line). A pin file without a
# priority stops all of apt, so it is written whole or not at all.
pins_set() {
    [ -e "$pinfile" ] || [ -n "${2:-}" ] || return 0
    _pins=$({ pins; printf '%s\n' "${2:-}"; } | sort -u | while IFS= read -r _v; do
        if [ -n "$_v" ] && dpkg --compare-versions "$_v" gt "$1"; then printf '%s\n' "$_v"; fi
    done)
    if [ -z "$_pins" ]; then
        rm -f "$pinfile"
        return 0
    fi
    mkdir -p "${pinfile%/*}"
    {
        echo "# Written by relpack: these versions of $name failed here or were rolled back from. A newer version"
        echo "# installs normally and clears this file; so does \"apt-get install $name=VERSION\" for a version listed here."
        printf '%s\n' "$_pins" | while IFS= read -r _v; do
            printf '\nPackage: %s\nPin: version %s\nPin-Priority: -1\n' "$name" "$_v"
        done
    } | write_file "$pinfile" 0644
}
