#!/bin/sh
# What a sweep asks a host at each of its points, in one go: many processes from outside would cost more than the point.
#
#   sweep.sh take NAME      keeps the application's state on this host
#   sweep.sh restore NAME   brings exactly that state back
#   sweep.sh look crash     what runs, what is live, and what runs after a daemon-reload and a crash: KEY=VALUE
#   sweep.sh look start     the same; where the service does not run, it is started
#   sweep.sh look end       what runs, what is live, all files: nothing is disturbed
#   sweep.sh finish STATE COMMAND...   tries the commands one after the other until STATE is recorded
set -eu
cd /
snapshots=/srv/snapshots
units='acme.service acme-worker.service acme-report.service acme-report.timer acme-migrate.service acme-first-start.service'

places() {
    # Accounts, and what dpkg and apt know; the rest is the application's alone.
    printf '%s\n' etc/passwd etc/group etc/shadow etc/gshadow var/lib/dpkg/status var/lib/dpkg/updates var/lib/dpkg/triggers
    own
}

own() {
    for place in opt/acme var/lib/relpack usr/lib/relpack etc/relpack usr/share/doc/acme usr/share/lintian/overrides/acme* \
        usr/share/man/man1/*acme* usr/share/man/man1/.*acme* usr/bin/*acme* usr/bin/.*acme* \
        usr/lib/systemd/system/*acme* usr/lib/systemd/system/.*acme* usr/lib/systemd/system-generators/*acme* \
        usr/lib/systemd/system-generators/.*acme* usr/lib/sysusers.d/*acme* usr/lib/sysusers.d/.*acme* \
        usr/lib/tmpfiles.d/*acme* usr/lib/tmpfiles.d/.*acme* etc/systemd/system/*acme* etc/systemd/system/*/*acme* \
        var/lib/systemd/deb-systemd-helper-*/*acme* var/lib/systemd/deb-systemd-helper-*/*/*acme* var/lib/systemd/timers/*acme* \
        etc/apt/preferences.d/*acme* var/lib/dpkg/info/*acme* var/lib/dpkg/tmp.ci var/lib/dpkg/reassemble.deb; do
        if [ -e "$place" ] || [ -L "$place" ]; then printf '%s\n' "$place"; fi
    done
}

take() {
    mkdir -p "$snapshots/$1"
    places | xargs -d '\n' cp -a --parents -t "$snapshots/$1"
    systemctl list-units --plain --no-legend --state=active 'acme*' | awk '{ print $1 }' >"$snapshots/$1.active"
}

restore() {
    systemctl stop "relpack-heal-acme.service" $units 2>/dev/null || :
    own | xargs -r -d '\n' rm -rf
    rm -f var/lib/dpkg/updates/*
    cp -a "$snapshots/$1/." /
    rm -f /var/cache/apt/*.bin
    systemctl daemon-reload
    systemctl reset-failed
    [ ! -s "$snapshots/$1.active" ] || systemctl start $(cat "$snapshots/$1.active")
}

state() { systemctl show -p ActiveState --value "$1"; }

# The same of what comes, too: what is down while healing is at work may be between its stop and its start there. Healing is
# asked first: when that has ended, the state is final.
awaited() {
    heals=$(state relpack-heal-acme.service)
    is=$(state "$1")
    if [ "$heals" = active ] && [ "$is" != active ]; then is=activating; fi
    printf '%s\n' "$is"
}

# systemd's own work goes on when dpkg is gone: its jobs end, and an automatic restart comes.
settled() {
    for _ in $(seq 300); do
        # In this order: between an automatic restart's wait and its start the service is inactive, and has a job.
        case $(awaited acme.service) in
        activating | deactivating | reloading) ;;
        *) [ -n "$(systemctl list-jobs --no-legend)" ] || return 0 ;;
        esac
        sleep 0.05
    done
    echo 'unsettled=yes'
}

# What the service answers, as soon as it does; nothing where it does not run.
answer() {
    said=
    for _ in $(seq 200); do
        if said=$(curl -s --max-time 5 http://127.0.0.1:3000/); then
            printf '%s=%s\n' "$1" "$said"
            return
        fi
        case $(awaited acme.service) in
        active | activating) sleep 0.05 ;;
        *) break ;;
        esac
    done
    printf '%s=\n' "$1"
}

look() {
    printf 'record=%s\n' "$(recorded)"
    settled
    answer first
    current=$(readlink opt/acme/current || :)
    current=${current##*/}
    printf 'current=%s\n' "$current"
    for release in $(printf '%s\n' "$current" "$(printf '%s' "$said" | sed -n 's/.*"release": "\([0-9a-f]*\)".*/\1/p')" | sort -u); do
        # The package's own tool may be gone in the middle of a removal; a release says by itself whether it is whole.
        whole "opt/acme/releases/$release" "$release" >/tmp/whole 2>&1 || printf 'release %s: %s\n' "$release" "$(tr '\n' ' ' </tmp/whole)"
    done
    if [ "$1" != end ]; then "$1"; fi
    for unit in acme-worker.service acme-report.timer; do
        printf '%s=%s %s\n' "$unit" "$(state $unit)" "$(systemctl show -p LoadState --value $unit)"
    done
    systemctl list-units --failed --no-legend --plain | sed 's/^/failed /'
    if [ "$1" = end ]; then
        find run/systemd/generator* -name 'acme*' | sed 's/^/generated /'
        dpkg --audit
        # What a tarball has put on the host is the live release's.
        if [ -n "$current" ] && cd "usr/lib/relpack/acme/host/$current" 2>/dev/null; then
            find . -type f ! -name uninstall -exec cmp {} /{} ';' 2>&1
            cd /
        fi
        # dpkg clears the control files of an unpacking that was killed at the next one.
        own | grep -v '^var/lib/dpkg/tmp.ci' | xargs -r -d '\n' -I{} find {} | sed 's/^/file=/'
        sed -n 's/^end /migrated=/p' opt/acme/shared/data/migrations 2>/dev/null || :
    fi
}

# crash: a foreign daemon-reload, then systemd restarts the service by what it has loaded then.
crash() {
    systemctl daemon-reload
    pid=$(systemctl show -p MainPID --value acme.service)
    if [ "$pid" != 0 ]; then
        # Healing may have replaced it just now.
        kill -KILL "$pid" 2>/dev/null || :
        while [ "$(systemctl show -p MainPID --value acme.service)" = "$pid" ]; do sleep 0.02; done
        settled
    fi
    answer second
}

# start: the same; where it does not run, somebody tries to start it.
start() {
    [ "$(state acme.service)" = active ] || {
        systemctl daemon-reload
        systemctl start acme.service 2>/dev/null || :
        answer started >/dev/null
        settled
        # Without its release it can't start: that is "none".
        [ "$(state acme.service)" != failed ] || systemctl reset-failed acme.service
    }
    crash
}

# whole RELEASE ID: nothing missing, nothing changed; and nothing too much, by the number of its entries.
whole() {
    [ "$(sha256sum <"$1/.relpack/manifest" | cut -c 1-40)" = "$2" ] || { echo 'the manifest is not that of its id'; return 1; }
    (cd "$1" && sha256sum -c --strict --quiet .relpack/manifest) || return 1
    [ "$(grep -vcE '^(#x|#relpack)' "$1/.relpack/manifest")" = "$(find "$1" -mindepth 1 ! -path '*/.relpack/manifest' | wc -l)" ] || {
        echo 'its entries are not those of its manifest'
        return 1
    }
}

# recorded: what dpkg says; of a tarball, the version that its last activation ended with.
recorded() {
    if [ -e var/lib/relpack/acme/host-files ]; then
        if grep -qx 'step=idle' var/lib/relpack/acme/journal 2>/dev/null; then sed -n 's/^live_version=/tarball /p' var/lib/relpack/acme/journal; fi
    else
        dpkg-query -W -f '${db:Status-Abbrev} ${Version}' acme 2>/dev/null || :
    fi
}

# finish STATE COMMAND...: what brings the record to STATE: the first that does, each tried after the others.
finish() {
    wanted=$1
    shift
    for command in "$@"; do
        printf '$ %s\n' "$command"
        sh -c "$command" 2>&1 || :
        if [ "$(recorded)" = "$wanted" ]; then
            printf 'finished by %s\n' "$command"
            return
        fi
    done
}

verb=$1
shift
case $verb in
take | restore | look | finish) "$verb" "$@" ;;
*) exit 2 ;;
esac
