# What Debian's own tools answer. Where a tarball was installed there may be none of them: lib/by-tarball.sh answers then.
packager=dpkg

version_is() { dpkg --compare-versions "$1" "$2" "$3"; }

# It remembers what the admin chose, also across a removal.
enabling() { deb-systemd-helper "$@"; }
can_enable() { command -v deb-systemd-helper >/dev/null; }

# Owners and modes are right already.
stage_own() { :; }

# What a person types to get a release once more, for hints.
fetch_again() { echo "apt-get clean, ${1:-}then apt-get install $name=$version again"; }
again() { echo "apt-get install --reinstall $name=$1"; }
install_by() { echo "apt-get install --allow-downgrades $name=$1"; }
finish_by() { echo "dpkg --configure $name"; }
retry_by() { echo "$name-release retry"; }
