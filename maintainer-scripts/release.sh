#!/bin/sh
# shellcheck disable=SC2034 # a fragment may define more than this script uses
# @NAME@-release: what is deployed here, and the few things that a person does about it.
set -eu
@include activation@
@include resume@
@include status@

# deb-systemd-helper works for maintainer scripts alone, and knows them by this.
DPKG_MAINTSCRIPT_PACKAGE=$name
export DPKG_MAINTSCRIPT_PACKAGE

usage() {
    cat <<EOF
$name-release: the releases of $name on this host

  status [--json]       what serves, and what failed; exit 1 when something needs a person
  history [--json]      the last activations, oldest first
  verify [ID|VERSION]   hash a kept release (default: the live one) against its manifest
  rollback [ID|VERSION] back to an earlier kept release at once, without network
EOF
    usage_of_packager
    cat <<EOF
  prune                 remove releases beyond what is kept
  exec [--unit UNIT] [--] COMMAND…
                        run a command as the service sees the world: user, environment, mounts, sandbox

Exit status: 0 done, 1 failed, 2 wrong use.
EOF
}

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root (hint: sudo $name-release $1)"; }

wrong_use() {
    say "$1"
    more "(hint: $name-release --help)"
    exit 2
}

# find_release ID|VERSION: a kept release's id; a prefix of an id will do when it fits one.
find_release() {
    _found=$(release_of "$1")
    if [ -z "$_found" ]; then
        case $1 in
        *[!0-9a-f]* | '') ;;
        *)
            for _d in "$base/releases/$1"*; do
                [ -d "$_d" ] || continue
                [ -z "$_found" ] || die "$1 fits more than one release (hint: give more of the id)"
                _found=${_d##*/}
            done
            ;;
        esac
    fi
    if ! release_kept "$_found"; then
        say "no kept release of $name is '$1'; kept are:"
        kept_table >&2
        exit 1
    fi
    printf '%s\n' "$_found"
}

verify() {
    need_root verify
    journal_load
    if [ $# -gt 0 ]; then _r=$(find_release "$1"); else _r=$(current_id); fi
    release_kept "$_r" || die "no release of $name is live (hint: $name-release status)"
    verify_release "$_r"
}

verify_release() {
    _tree=$base/releases/$1
    _bad=n
    [ "$(sha256sum <"$_tree/.relpack/manifest" | cut -c 1-40)" = "$1" ] || die "the manifest of release $1 was changed (hint: $(again "$(version_of "$1")"))"
    _format=$(manifest_format "$_tree/.relpack/manifest")
    [ "$_format" = 1 ] || format_refuse "$_tree/.relpack/manifest" "$_format"
    _work=$(mktemp -d)
    manifest_shape "$_tree/.relpack/manifest" >"$_work/shape"
    tree_shape "$_tree" >"$_work/found"
    diff "$_work/shape" "$_work/found" >"$_work/diff" || {
        _bad=y
        say "entries differ from the manifest (< manifest, > disk):"
        head -n 20 "$_work/diff" >&2
    }
    rm -rf "$_work"
    (cd "$_tree" && sha256sum -c --strict --quiet .relpack/manifest >&2) || _bad=y
    [ "$_bad" = n ] || {
        say "release $1 ($(version_of "$1")) is damaged"
        more "(hint: $(again "$(version_of "$1")") stages it again)"
        return 1
    }
    [ "$1" != "$(current_id)" ] || verify_links "$1" || return 1
    printf 'release %s (%s %s): %s entries, all as in its manifest\n' "$1" "$name" "$(version_of "$1")" \
        "$(tree_shape "$_tree" | wc -l)"
}

# verify_links ID: the host has them, as the live release has them.
verify_links() {
    _astray=$(links_missing "$1")$(links_replaced "$1")
    [ -n "$_astray" ] || return 0
    links_missing "$1" | while IFS= read -r _l; do say "the link $_l is missing"; done
    links_replaced "$1" | while IFS=$tab read -r _l _to; do say "$_l is not the link to $_to"; done
    more "(hint: $(again "$(version_of "$1")") makes a link that is missing; what is in its place, and is not meant, goes first: rm PATH)"
    return 1
}

rollback() {
    need_root rollback
    if ! lock_held; then
        # To wait for another activation would change what "the one before" means.
        lock_is_free || lock_refuse
        locked rollback "$@"
        [ "$lock_rc" = 0 ] || exit "$lock_rc"
        # Behind the lock: what brings dpkg in line needs it.
        journal_load
        [ "$(dpkg_state)" = "ii $j_live_version" ] || {
            heal_schedule
            heal_wait
        }
        return 0
    fi
    lock_note "$name-release rollback"
    journal_load
    systemd_runs || die "systemd does not run here (hint: $(install_by VERSION))"
    if [ $# -gt 0 ]; then
        _to=$(find_release "$1")
    elif [ "$j_step" != idle ] && release_kept "$j_from_id" && release_kept "$j_to_id"; then
        # An interrupted rollback is finished, an interrupted upgrade undone.
        _to=$j_from_id
        if [ "$j_step" != revert ] && version_is "$j_to_version" lt "$j_from_version"; then _to=$j_to_id; fi
    else
        _to=$j_last_id
        release_kept "$_to" || die "no earlier release of $name is kept (hint: $name-release status; $(install_by VERSION))"
    fi
    if [ "$_to" = "$(current_id)" ] && [ "$j_step" = idle ]; then
        die "release $_to is live already (hint: $name-release status)"
    fi
    to_version=$(version_of "$_to")
    [ -n "$to_version" ] || die "release $_to has never served here, and may need its migration (hint: $(install_by VERSION))"
    if version_is "$to_version" gt "$j_live_version"; then
        die "$to_version is newer than $j_live_version, so this is no rollback (hint: $(install_by "$to_version"))"
    fi
    settings_known "$_to" || format_refuse "$base/releases/$_to/.relpack/settings" "$settings_format"
    seal_holds "$_to" || die "release $_to was changed since it was staged (hint: $name-release verify $_to)"
    activate "$_to" "$to_version" kept
    printf '%s %s serves (release %s)\n' "$name" "$j_live_version" "$j_live_id"
}

retry() {
    need_root retry
    journal_load
    _version=${j_failed_version:-$j_parked_version}
    [ -n "$_version" ] || die "nothing failed: $name $j_live_version serves (hint: $name-release status)"
    _again=
    case $(dpkg_state) in
    i?R"$_version") _again=--reinstall ;;
    i?\ "$_version")
        lock_is_free || lock_refuse
        journal_load
        j_failed_id=
        j_failed_version=
        j_failed_reason=
        j_parked_version=
        journal_save
        # Parked is configured for dpkg: then only the script itself can try again.
        [ "$(dpkg_state)" = "ii $_version" ] || exec dpkg --configure "$name"
        sh "$(dpkg-query --control-path "$name" postinst)" configure "$j_live_version" && exit 0
        # It is still what dpkg records and what does not serve.
        journal_load
        j_parked_version=$_version
        journal_save
        exit 1
        ;;
    esac
    _deb=$(kept_deb "$_version" "$j_failed_id")
    exec apt-get install -y --allow-downgrades ${_again:+"$_again"} -o DPkg::Lock::Timeout=60 -o APT::Sandbox::User=root "${_deb:-$name=$_version}"
}

accept() {
    need_root accept
    lock_is_free || lock_refuse
    journal_load
    _version=$(dpkg-query -W -f '${Version}' "$name")
    case $(dpkg_state) in
    ii*) die "dpkg's record of $name is in order: $(dpkg_state) (hint: $name-release status)" ;;
    i[UF]\ *) ;;
    *) die "dpkg has $name as '$(dpkg_state)', which accepting does not change (hint: $(dpkg_hint))" ;;
    esac
    [ "$_version" != "$j_live_version" ] || die "$name $_version serves already (hint: dpkg --configure $name)"
    release_kept "$j_live_id" || die "no release of $name is live: there is nothing to accept (hint: dpkg --configure $name)"
    [ "$j_step" = idle ] || die "an activation was interrupted (hint: dpkg --configure $name)"
    j_parked_version=$_version
    journal_save
    dpkg --configure "$name"
    printf '%s is recorded as %s, parked; %s %s serves\n' "$name" "$_version" "$name" "$j_live_version"
}

prune_now() {
    need_root prune
    with_lock prune "$@"
    lock_note "$name-release prune"
    journal_load
    release_kept "$j_live_id" || die "no release of $name is live (hint: $name-release status)"
    prune
    kept_table
}

exec_in() {
    need_root exec
    journal_load
    _u=
    if [ "${1:-}" = --unit ]; then
        [ $# -ge 2 ] || wrong_use "--unit needs a unit"
        _u=$2
        shift 2
    fi
    [ "${1:-}" != -- ] || shift
    [ $# -gt 0 ] || wrong_use "exec needs a command"
    _live=$(current_id)
    release_kept "$_live" || die "no release of $name is live (hint: $name-release status)"
    [ -n "$_u" ] || _u=$(main_unit "$_live")
    [ -r "$(unit_file "$_live" "$_u")" ] || die "release $_live has no unit $_u (hint: --unit with one of: $(units_of "$_live" | paste -s -d ' '))"
    app_run "$_live" "$_u" "$@"
}

@include packager@

main() {
    _verb=${1:-}
    [ $# = 0 ] || shift
    case $_verb in
    status) status "$@" ;;
    history) history_show "$@" ;;
    verify) verify "$@" ;;
    rollback) rollback "$@" ;;
    retry) retry ;;
    accept) accept ;;
    prune) prune_now "$@" ;;
    exec) exec_in "$@" ;;
    -h | --help | help) usage ;;
    --version) printf '%s %s (release %s)\n' "$name" "$version" "$id" ;;
    # For units of ours, not for people.
    _heal) heal ;;
    _migrated) migration_mark "$1" ;;
    _drain) drain "$@" ;;
    _resume) resume ;;
    '') usage >&2; exit 2 ;;
    *) wrong_use "unknown command '$_verb'" ;;
    esac
}

# Read to its end before it runs: dpkg may replace this file meanwhile.
main "$@"
exit
