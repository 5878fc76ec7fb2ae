# Unit texts. Each release's texts, with its id filled in, are kept on the root file system for the generator.
units_store() {
    _dir=$unitstore/units/$1
    [ ! -d "$_dir" ] || return 0
    _part=$unitstore/units/.$1.partial
    [ ! -d "$_part" ] || rm -rf "$_part"
    mkdir -p "$_part"
    cp -R "$base/releases/$1/.relpack/units/." "$_part"
    find "$_part" -type f -exec sed -i "s/@RELPACK_RELEASE@/$1/g" {} +
    sync -f "$_part"
    mv -T "$_part" "$_dir"
    durable "$unitstore/units"
}

# units_delivered: the unit files and drop-ins of this package that lie where dpkg puts them, whichever version brought them.
units_delivered() {
    grep -lsxF "Package=$name" "$unitdir"/*.* "$unitdir"/*.d/*.conf |
        while IFS= read -r _f; do printf '%s\n' "${_f#"$unitdir/"}"; done
}

# units_deliver ID: makes the delivered files say what the release says: after a revert or a kept release's rollback.
units_deliver() {
    for _f in "$unitstore/units/$1"/* "$unitstore/units/$1"/*.d/*; do
        [ -f "$_f" ] || continue
        _n=${_f#"$unitstore/units/$1/"}
        ! cmp -s "$_f" "$unitdir/$_n" || continue
        case $_n in */*) mkdir -p "$unitdir/${_n%/*}" || return 1 ;; esac
        write_file "$unitdir/$_n" 0644 <"$_f" || return 1
    done
    units_delivered | while IFS= read -r _u; do
        [ ! -e "$unitstore/units/$1/$_u" ] || continue
        rm -f "$unitdir/$_u"
        case $_u in */*) rmdir "$unitdir/${_u%/*}" 2>/dev/null || : ;; esac
    done
}

# unit_changed UNIT FROM TO
unit_changed() { [ "$(unit_text "$2" "$1")" != "$(unit_text "$3" "$1")" ]; }

# socket_moves SOCKET ID ID: it has to be started anew, also where systemd had closed it after too many starts of its service.
socket_moves() { unit_changed "$@" || [ "$(unit_show "$1" ActiveState)" != active ]; }

# unit_file ID UNIT|INSTANCE: what a release brings for it.
unit_file() { printf '%s/units/%s/%s\n' "$unitstore" "$1" "$(template_of "$2")"; }

# unit_says_yes ID UNIT DIRECTIVE
unit_says_yes() { unit_text "$1" "$2" | grep -iE "^$3=(1|y|yes|t|true|on)\$" >/dev/null; }

# unit_text ID UNIT: with the drop-ins that come with it.
unit_text() {
    _of=$(template_of "$2")
    _own=
    [ "$_of" = "$2" ] || _own=$2
    for _f in "$unitstore/units/$1/$_of" "$unitstore/units/$1/$_of.d"/* "$unitstore/units/$1/${_own:-no}.d"/*; do
        if [ -f "$_f" ]; then cat "$_f"; fi
    done
}

# template_of UNIT: an instance's template, another unit itself.
template_of() {
    case $1 in
    *@?*.*) printf '%s@.%s\n' "${1%%@*}" "${1##*.}" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

# unit_instances: of the units on stdin, each template becomes its loaded instances.
unit_instances() {
    while IFS= read -r _u; do
        case $_u in
        *@.*)
            systemd_runs || continue
            _loaded=$(systemd_answer list-units --all --plain --no-legend "${_u%%@*}@*.${_u##*.}") || return 1
            printf '%s\n' "$_loaded" | awk 'NF { print $1 }'
            ;;
        *) printf '%s\n' "$_u" ;;
        esac
    done
}

# units_startable ID: what it starts by itself, or the admin has enabled of its templates.
units_startable() {
    units_of "$1" | while IFS= read -r _u; do
        case $_u in
        *@.*) template_enabled "$_u" ;;
        *) if [ "$(unit_setting "$1" "$_u" enable)" = enable ]; then printf '%s\n' "$_u"; fi ;;
        esac
    done
}

# template_enabled TEMPLATE: its instances that are enabled, by the links in /etc.
template_enabled() {
    for _l in "$root"/etc/systemd/system/*.wants/"${1%%@*}@"?*".${1##*.}" "$root"/etc/systemd/system/*.requires/"${1%%@*}@"?*".${1##*.}"; do
        if [ -L "$_l" ]; then printf '%s\n' "${_l##*/}"; fi
    done
}

# unit_release UNIT: the release that its main process runs, by that process's own mounts.
unit_release() {
    _pid=$(unit_show "$1" MainPID)
    [ "${_pid:-0}" != 0 ] && [ -r "/proc/$_pid/mountinfo" ] || return 0
    # With links followed, as the kernel tells it.
    awk -v at="$(readlink -f "$prefix" || printf '%s' "$prefix")/app" '$5 == at { n = split($4, p, "/"); print p[n] }' "/proc/$_pid/mountinfo" | tail -n 1
}

# install_section FILE: what "systemctl enable" would act on.
install_section() {
    [ -r "$1" ] || return 0
    _in=n
    while IFS= read -r _line; do
        case $_line in
        '[Install]') _in=y ;;
        '['*) _in=n ;;
        *) [ "$_in" = n ] || printf '%s\n' "$_line" ;;
        esac
    done <"$1"
}

# unit_links ARGUMENT…: systemctl on the files alone, and without those of the generator: it stands in for an instance in the
# middle of a deploy, and what is generated can't be enabled.
unit_links() {
    SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/system:/usr/lib/systemd/system \
        systemctl --root="${root:-/}" -q "$@"
}

# units_enable ID FROM: enables what is new since FROM. Through deb-systemd-helper, which remembers what the admin chose,
# also across a removal. It is a perl program, so what cannot have changed is not asked.
units_enable() {
    units_of "$1" enable | while IFS= read -r _u; do
        if release_kept "$2" && [ "$(unit_setting "$2" "$_u" enable)" = enable ] &&
            [ "$(install_section "$(unit_file "$1" "$_u")")" = "$(install_section "$(unit_file "$2" "$_u")")" ]; then
            continue
        fi
        # What wanted it before must not go on wanting it.
        if has_unit "$2" "$_u"; then unit_forget "$_u"; fi
        enabling unmask "$_u" >/dev/null || say "warning: cannot unmask $_u (hint: systemctl unmask $_u)"
        if enabling --quiet was-enabled "$_u"; then
            enabling enable "$_u" >/dev/null || say "warning: cannot enable $_u (hint: systemctl enable $_u)"
        else
            enabling update-state "$_u" >/dev/null || say "warning: cannot note the state of $_u (hint: systemctl is-enabled $_u)"
        fi
    done
    units_of "$2" enable | while IFS= read -r _u; do
        if [ "$(unit_setting "$1" "$_u" enable)" = static ]; then unit_forget "$_u"; fi
    done
}

# units_dropped FROM TO: what only the old release has.
units_dropped() {
    units_of "$1" | while IFS= read -r _u; do
        names_unit "$2" "$_u" || printf '%s\n' "$_u"
    done
}
