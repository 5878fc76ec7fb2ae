# Unit texts. Each release's texts, with its id filled in, are kept on the root file system for the generator.
units_store() {
    _dir=$unitstore/units/$1
    [ ! -d "$_dir" ] || return 0
    _part=$unitstore/units/.$1.partial
    rm -rf "$_part"
    mkdir -p "$_part"
    for _f in "$base/releases/$1/.relpack/units"/*; do
        [ -f "$_f" ] || continue
        sed "s/@RELPACK_RELEASE@/$1/g" "$_f" >"$_part/${_f##*/}"
    done
    sync -f "$_part"
    mv -T "$_part" "$_dir"
    durable "$unitstore/units"
}

# units_delivered: the unit files of this package that lie where dpkg puts them, whichever version brought them.
units_delivered() {
    grep -lsxF "Package=$name" "$unitdir"/*.* | while IFS= read -r _f; do printf '%s\n' "${_f##*/}"; done
}

# units_deliver ID: makes the delivered files say what the release says: after a revert or a kept release's rollback.
units_deliver() {
    for _f in "$unitstore/units/$1"/*; do
        [ -f "$_f" ] || continue
        cmp -s "$_f" "$unitdir/${_f##*/}" || write_file "$unitdir/${_f##*/}" 0644 <"$_f" || return 1
    done
    units_delivered | while IFS= read -r _u; do
        [ -e "$unitstore/units/$1/$_u" ] || rm -f "$unitdir/$_u"
    done
}

# unit_changed UNIT FROM TO
unit_changed() { ! cmp -s "$unitstore/units/$2/$(template_of "$1")" "$unitstore/units/$3/$(template_of "$1")"; }

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
        *@.*) systemctl list-units --all --plain --no-legend "${_u%%@*}@*.${_u##*.}" | awk '{ print $1 }' ;;
        *) printf '%s\n' "$_u" ;;
        esac
    done
}

# install_section FILE: what "systemctl enable" would act on.
install_section() { [ ! -r "$1" ] || sed -n '/^\[Install\]/,/^\[/p' "$1"; }

# units_enable ID FROM: enables what is new since FROM. Through deb-systemd-helper, which remembers what the admin chose,
# also across a removal. It is a perl program, so what cannot have changed is not asked.
units_enable() {
    units_of "$1" enable | while IFS= read -r _u; do
        if release_kept "$2" && [ "$(unit_setting "$2" "$_u" enable)" = enable ] &&
            [ "$(install_section "$unitstore/units/$1/$_u")" = "$(install_section "$unitstore/units/$2/$_u")" ]; then
            continue
        fi
        deb-systemd-helper unmask "$_u" >/dev/null || say "warning: cannot unmask $_u"
        if deb-systemd-helper --quiet was-enabled "$_u"; then
            deb-systemd-helper enable "$_u" >/dev/null || say "warning: $_u cannot be enabled (hint: systemctl enable $_u)"
        else
            deb-systemd-helper update-state "$_u" >/dev/null || say "warning: cannot note the state of $_u"
        fi
    done
}

# units_dropped FROM TO: what only the old release has.
units_dropped() {
    units_of "$1" | while IFS= read -r _u; do
        has_unit "$2" "$_u" || printf '%s\n' "$_u"
    done
}
