# What Debian's own tools answer. Where a tarball was installed there may be none of them: lib/by-tarball.sh answers then.
version_is() { dpkg --compare-versions "$1" "$2" "$3"; }

# It remembers what the admin chose, also across a removal.
enabling() { deb-systemd-helper "$@"; }

# Owners and modes are right already.
stage_own() { :; }
