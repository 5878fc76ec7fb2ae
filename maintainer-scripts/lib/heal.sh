# Healing: a half-configured package makes every apt run on the host exit 100. A transient job waits for dpkg's lock and
# configures or reinstalls the version that is live, which changes nothing that runs.

heal_unit=relpack-heal-$name.service
# A host that goes down starts no job, or ends it: the generator has its next boot do it. It names the version that dpkg has.
heal_mark=$state/heal

heal_schedule() {
    if ! systemd_runs; then
        more "dpkg's record is not put right by itself here (hint: apt-get install --allow-downgrades $name=$j_live_version)"
        return 0
    fi
    if ! heal_configures && [ -z "$(kept_deb "$j_live_version" "$j_live_id")" ] && ! heal_in_repository; then
        more "dpkg's record can't be put right by itself: $name $j_live_version is neither kept here nor in a repository."
        more "(hint: $name-release accept makes apt work again with $j_live_version serving)"
        return 0
    fi
    if heal_leave; then
        more "the next boot sets dpkg's record to $j_live_version$(heal_meanwhile)."
        return 0
    fi
    if systemd-run --quiet --collect --unit="$heal_unit" --description="Bring dpkg's record of $name in line with what serves" \
        "/usr/bin/$name-release" _heal 2>/dev/null; then
        more "$heal_unit now sets dpkg's record to $j_live_version$(heal_meanwhile)."
    elif systemctl -q is-active "$heal_unit"; then
        more "$heal_unit is at work already."
    else
        more "$heal_unit could not be started (hint: apt-get install --allow-downgrades $name=$j_live_version)"
    fi
}

# heal_wait: for a person at a terminal, whose next apt command would find dpkg locked. Interrupting it stops nothing.
heal_wait() {
    _end=$(($(now) + 60))
    while [ "$(now)" -lt "$_end" ]; do
        case $(unit_show "$heal_unit" ActiveState) in
        active | activating | deactivating) sleep 0.2 ;;
        *) return 0 ;;
        esac
    done
    more "$heal_unit still waits for dpkg (hint: systemctl status $heal_unit)"
}

# heal_leave: to the next boot, where the host goes down.
heal_leave() { [ "$(systemd_mode)" = halt ] && write_file "$heal_mark" 0644 "$(dpkg_version)"; }

heal_meanwhile() {
    case $(dpkg_state) in
    ii*) ;;
    *) printf '; until it has ended apt reports %s as broken' "$name" ;;
    esac
}

heal_in_repository() {
    apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= madison "$name" 2>/dev/null |
        awk -F ' *[|] *' -v v="$j_live_version" '$2 "" == v "" { found = 1 } END { exit !found }'
}

# A hold ("hi") is the admin's wish and no disorder.
dpkg_state() { dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' "$name" 2>/dev/null | sed 's/^h/i/'; }

dpkg_version() {
    _has=$(dpkg_state)
    printf '%s\n' "${_has#???}"
}

# heal: run by the transient unit. Others may hold dpkg's lock for long, so it asks again for ten minutes. It never waits
# inside apt: what is live may change meanwhile, and is read anew each time.
heal() {
    trap 'heal_leave; exit 1' TERM
    _end=$(($(now) + 600))
    while :; do
        journal_load
        if heal_done; then
            say "dpkg's record of $name is $_says; $j_live_version serves"
            [ ! -e "$heal_mark" ] || heal_forget
            return 0
        fi
        [ -n "$j_live_version" ] || die "no release of $name is live: nothing to heal (hint: $name-release status)"
        [ "$(now)" -lt "$_end" ] || break
        # An activation at work would veto ours; it may also be the one that started this job.
        lock_is_free || {
            sleep 0.2
            continue
        }
        heal_once || :
        heal_done || sleep 1
    done
    say "dpkg's record of $name could not be set to $j_live_version (it is: $(dpkg_state))"
    more "(hint: apt-get install --allow-downgrades $name=$j_live_version, or: $name-release accept)"
    return 1
}

# heal_forget: the generator reads the mark.
heal_forget() { rm -f "$heal_mark" && daemon_reload; }

# heal_done: while dpkg writes its record, whoever reads it may see what stood there before the run: only with dpkg's lock
# free is it to be believed. Setting no selections at all is what needs the lock and changes nothing.
heal_done() {
    dpkg --set-selections </dev/null 2>/dev/null || return 1
    _says=$(dpkg_state)
    [ "$_says" = "ii $j_live_version" ] || [ "$_says" = "ii $j_parked_version" ]
}

heal_once() {
    DEBIAN_FRONTEND=noninteractive
    # Our preinst vetoes where another release went live between this line and the unpacking.
    RELPACK_HEAL=$j_live_id
    export DEBIAN_FRONTEND RELPACK_HEAL
    _hold=$(apt-mark showhold "$name" 2>/dev/null) || _hold=
    _healed=0
    heal_install || _healed=1
    [ -z "$_hold" ] || apt-mark hold "$name" >/dev/null || say "warning: $name is no longer on hold (hint: apt-mark hold $name)"
    return "$_healed"
}

# heal_configures: what serves is what dpkg has unpacked; only its configuring is left, which needs no package.
heal_configures() {
    case $(dpkg_state) in
    # Two builds may have one version.
    i[UF]\ "$j_live_version") [ -e "$base/payload/$j_live_id.manifest" ] ;;
    *) return 1 ;;
    esac
}

heal_install() {
    if heal_configures; then
        dpkg --force-confold --configure "$name"
        return
    fi
    _deb=$(kept_deb "$j_live_version" "$j_live_id")
    _what=$name=$j_live_version
    [ -z "$_deb" ] || _what=$_deb
    apt-get install -y -q --allow-downgrades --no-install-recommends --no-remove --allow-change-held-packages \
        -o DPkg::Lock::Timeout=0 -o APT::Sandbox::User=root -o Dpkg::Options::=--force-confold "$_what" && [ "$(dpkg_state)" = "ii $j_live_version" ] && return 0
    # apt refuses where other packages are in disorder, and does nothing where dpkg wants the same version again.
    [ -z "$_deb" ] || dpkg --force-confold -i "$_deb"
}
