#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# Installs this release of @NAME@ (@VERSION@) on a host with systemd where no package manager has it: stages, migrates,
# switches, starts, checks; and reverts when that fails. Run it as root, from the unpacked tarball.
set -eu
# Where the tarball was unpacked.
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
@include activation@
@include room@
@include packager@

# The release is the tarball's own directory.
delivered=$here/release
packed=

usage() {
    cat <<EOF
install: installs $name $version, or upgrades to it; the earlier release serves again where that fails.
Afterwards: $name-release status, ./rollback, ./uninstall.

Exit status: 0 done, 1 failed, 2 wrong use.
EOF
}

# refuse_package: dpkg would remove what it does not know, and overwrite what it does.
refuse_package() {
    command -v dpkg-query >/dev/null || return 0
    case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
    '' | not-installed | config-files) ;;
    *) die "$name is installed here by dpkg (hint: install its .deb instead, or first: apt-get remove $name)" ;;
    esac
}

# host_keep ID: the files of that release's tarball, for when it serves again.
host_keep() {
    _kept=$unitstore/host/$1
    _part=$unitstore/host/.$1.partial
    # Those of other releases, too, whose installs were killed.
    rm -rf "$unitstore"/host/.*.partial
    mkdir -p "$_part"
    cp -R "$here/host/." "$_part"
    cp "$here/uninstall" "$_part/uninstall"
    chown -R 0:0 "$_part"
    find "$_part" -type d -exec chmod 0755 {} +
    find "$_part" -type f -exec chmod 0644 {} +
    chmod 0755 "$_part/uninstall" "$_part/usr/bin/$name-release" "$_part/usr/lib/systemd/system-generators/relpack-$name"
    rm -rf "$_kept"
    mv -T "$_part" "$_kept"
}

install_release() {
    [ "$(id -u)" = 0 ] || die "install needs root (hint: sudo $0)"
    refuse_package
    usr_merged || exit 1
    with_lock "$@"
    lock_note "install of $name $version"
    journal_load
    formats_known
    [ -d "$base/releases/$id" ] || enough_room || exit 1
    # A person's wish to try this version again.
    if [ "$j_failed_version" = "$version" ]; then
        j_failed_id=
        j_failed_version=
        j_failed_reason=
        journal_save
    fi
    mkdir -p "$base/app"
    host_keep "$id"
    host_follow "$id"
    activate "$id" "$version" delivered
    printf '%s %s is installed (release %s)\n' "$name" "$j_live_version" "$j_live_id"
}

main() {
    case ${1:-} in
    '') install_release "$@" ;;
    -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
}

main "$@"
exit
