# "systemd runs here" means that it is ours: a chroot with /run bound from outside reaches the outer systemd.
systemd_runs() {
    # It does not change while we run, and it is asked often.
    if [ -z "${systemd_here:-}" ]; then
        systemd_here=yes
        systemd_is_ours || {
            systemd_here=no
            # deb-systemd-helper would reload the outer one.
            SYSTEMD_OFFLINE=1
            export SYSTEMD_OFFLINE
        }
    fi
    [ "$systemd_here" = yes ]
}

systemd_is_ours() {
    [ -z "$root" ] && [ -d /run/systemd/system ] && [ -r /proc/1/comm ] || return 1
    # The directory may be there without it, in a container whose maker prepared for both.
    [ "$(cat /proc/1/comm)" = systemd ] || return 1
    _roots=$(stat -Lc %d:%i / /proc/1/root 2>/dev/null) || :
    case $_roots in
    *"$nl"*) [ "${_roots%"$nl"*}" = "${_roots#*"$nl"}" ] ;;
    # Only root may ask where process 1 has its root.
    *) [ "$(id -u)" != 0 ] ;;
    esac
}

# live: units can be started and waited for. boot: they can be queued, but waiting would deadlock. halt: a new job is
# "destructive". none: no systemd, all is left for the first boot.
systemd_mode() {
    if ! systemd_runs; then
        echo none
        return
    fi
    _asks=0
    while :; do
        case $(systemctl is-system-running 2>/dev/null || :) in
        running | degraded | maintenance) echo live ;;
        initializing | starting) echo boot ;;
        stopping) echo halt ;;
        *)
            # It runs, and does not answer: as in unit_ask.
            _asks=$((_asks + 1))
            if [ "$_asks" -lt 20 ]; then
                sleep 0.5
                continue
            fi
            echo none
            ;;
        esac
        return
    done
}

# systemd_answer ARGUMENT…: what systemctl says. Where systemd does not answer (it is re-executing, say) it is asked again.
systemd_answer() {
    _asks=0
    until systemctl "$@" 2>/dev/null; do
        _asks=$((_asks + 1))
        [ "$_asks" -lt 20 ] || return 1
        sleep 0.5
    done
}

# unit_ask ARGUMENT…: "systemctl show": that nobody could be asked must not look like a release that died.
unit_ask() {
    systemd_runs || return 0
    # A template itself has no state, and systemd never answers for it.
    case " $* " in *@.*) return 0 ;; esac
    systemd_answer show "$@" || return 0
}

unit_show() { unit_ask -p "$2" --value -- "$1"; }

# By the links in /etc, since systemctl says "generated" while our generator stands in for a unit.
unit_enabled() {
    for _l in "$root"/etc/systemd/system/*.wants/"$1" "$root"/etc/systemd/system/*.requires/"$1"; do
        [ ! -L "$_l" ] || return 0
    done
    return 1
}

# systemd is asked only where there is a file that could mask it: links to /dev/null, and empty files, all above /usr/lib.
unit_masked() {
    for _dir in "$root"/etc/systemd/system* /run/systemd/* "$root"/usr/local/lib/systemd/system; do
        # What our generator puts in the place of a unit that the live release lacks is nobody's mask.
        [ "$_dir" != /run/systemd/generator ] || continue
        for _named in "$1" "$(template_of "$1")"; do
            if [ -e "$_dir/$_named" ] && [ ! -s "$_dir/$_named" ]; then
                [ "$(unit_show "$1" LoadState)" = masked ]
                return
            fi
        done
    done
    return 1
}

# policy-rc.d is how an admin or an image builder forbids starts (Debian Policy 9.3.3.1): 101 is "no".
policy_allows() {
    # By this path alone, as Policy says.
    _rc_d=/usr/sbin/policy-rc.d
    [ -x "$_rc_d" ] || return 0
    _rc=0
    "$_rc_d" "$1" "$2" >/dev/null 2>&1 || _rc=$?
    case $_rc in
    0 | 1 | 104) return 0 ;;
    *) return 1 ;;
    esac
}

daemon_reload() { systemctl daemon-reload; }

# last_log UNIT: what the unit's last run said, for messages.
last_log() {
    _inv=$(unit_show "$1" InvocationID)
    if [ -n "$_inv" ]; then
        # What it said last may not have been written yet.
        timeout 5 journalctl --sync 2>/dev/null || :
        last_lines "_SYSTEMD_INVOCATION_ID=$_inv" | grep -a . ||
            # Of a process that had ended before journald looked at it, only the unit is known; and systemd may have started it
            # again since, a run that has said nothing yet.
            last_lines --since "-$(($(now) - ${began:-$(now)} + 1))s" "_SYSTEMD_UNIT=$1" | grep -a . ||
            # What systemd itself says of it.
            last_lines "INVOCATION_ID=$_inv"
    fi
}

last_lines() { journalctl --no-pager -q -o cat -n 8 "$@" 2>/dev/null || :; }
