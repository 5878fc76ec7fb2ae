# What Debian's own tools answer. Where a tarball was installed there may be none of them: lib/by-tarball.sh answers then.
packager=dpkg

version_is() { dpkg --compare-versions "$1" "$2" "$3"; }

# enabling [--quiet] ACTION UNIT: it remembers what the admin chose, also across a removal.
enabling() {
    for _last in "$@"; do :; done
    case $_last in
    *@?*.*) enabling_instance "$@" ;;
    *) deb-systemd-helper "$@" ;;
    esac
}

# The same for an instance, whose file deb-systemd-helper looks for and does not find. A mark says that it was enabled once.
enabling_instance() {
    [ "$1" != --quiet ] || shift
    case $1 in
    was-enabled) [ ! -e "$state/enabled/$2" ] || unit_enabled "$2" ;;
    enable)
        [ ! -e "$state/enabled/$2" ] || return 0
        # It may be an admin's, which a release names from now on.
        if unit_enabled "$2"; then
            enabled_mark "$2" admin
        else
            unit_links --preset-mode=enable-only preset "$2" && enabled_mark "$2"
        fi
        ;;
    update-state) [ -e "$state/enabled/$2" ] || enabled_mark "$2" ;;
    # The mark goes last: a kill in between must not make the links look like an admin's.
    purge) rm -f "$root"/etc/systemd/system/*/"$2" && rm -f "$state/enabled/$2" ;;
    esac
}
can_enable() { command -v deb-systemd-helper >/dev/null; }

# follow ID VERSION: dpkg's record and files follow by healing, when it has ended.
follow() { :; }

# Owners and modes are right already.
stage_own() { :; }

# What a person types to get a release once more, for hints.
fetch_again() {
    _first=
    # Of a version that is unpacked already, apt itself repeats no more than the configuring.
    [ "${1:-}" != missing ] || release_kept "${j_live_id:-}" || _first="apt-get remove $name, "
    echo "apt-get clean, ${_first}then apt-get install $name=$version again"
}
again() { echo "apt-get install --reinstall $name=$1"; }
install_by() { echo "apt-get install --allow-downgrades $name=$1"; }
finish_by() { echo "dpkg --configure $name"; }
retry_by() { echo "$name-release retry"; }
room_by() { echo "apt-get clean, $name-release prune"; }
afresh_by() { echo "apt-get remove $name"; }

# What "status" and the usage of <name>-release say more.
recorded() { printf "; dpkg says '%s'" "$(dpkg_state)"; }
usage_of_packager() {
    cat <<EOF
                        (dpkg's record follows)
  retry                 try the version again that failed and was reverted
  accept                dpkg records a version that failed, and the earlier release serves ("parked")
EOF
}
