# Messages go to stderr: apt and dpkg show it, and stdout stays free for data.
say() { printf 'relpack: %s\n' "$*" >&2; }
more() { printf '  %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Seconds since boot: wall clocks jump, and a deadline must not.
now() {
    if read -r up _ 2>/dev/null </proc/uptime; then
        printf '%s\n' "${up%%.*}"
    else
        date +%s
    fi
}

# Hundredths of a second, for what must last as long as it says.
now_fine() {
    if read -r up _ 2>/dev/null </proc/uptime; then
        up=${up%.*}${up#*.}
        # A leading zero would make it octal.
        printf '%s\n' "${up#"${up%%[1-9]*}"}"
    else
        printf '%s00\n' "$(date +%s)"
    fi
}

# A newly created or renamed name is durable once its directory is.
durable() { sync "$@" || { say "cannot sync $*"; return 1; }; }

# By cat: the shell's own printf calls any error "I/O error", also a full disk.
write_all() { if [ $# -gt 2 ]; then printf '%s\n' "$3" | cat; else cat; fi >"$_new"; }

# write_file PATH MODE [TEXT]: the text, or else stdin, becomes PATH, whole or not at all.
write_file() {
    _new=${1%/*}/.${1##*/}.relpack-new
    # The umask makes it 0644.
    if ! write_all "$@" || { [ "$2" != 0644 ] && ! chmod "$2" "$_new"; } || ! sync "$_new" || ! mv -fT "$_new" "$1"; then
        rm -f "$_new"
        say "cannot write $1"
        return 1
    fi
    durable "${1%/*}"
}

# point_link LINK TARGET: the link points there after one rename, durably.
point_link() {
    _new=${1%/*}/.${1##*/}.relpack-new
    [ ! -L "$_new" ] || rm -f "$_new"
    ln -s "$2" "$_new" && mv -fT "$_new" "$1" && durable "${1%/*}"
}
