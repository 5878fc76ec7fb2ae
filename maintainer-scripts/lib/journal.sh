# What was live, what is being done, what failed: the journal decides, not dpkg's arguments (after a failed 2.0, dpkg
# configures 1.0 with 1.0 as its "most recently configured version"). Rewritten whole before and after each step. Keys
# that a later relpack added are carried along; a format that it numbers anew is refused before anything is changed.
journal_load() {
    j_live_id=
    j_live_version=
    j_last_id=
    j_last_version=
    j_step=idle
    j_to_id=
    j_to_version=
    j_from_id=
    j_from_version=
    j_running=
    j_touched=
    way_forget
    j_failed_id=
    j_failed_version=
    j_failed_reason=
    j_parked_version=
    j_format=1
    j_others=
    [ -e "$state/journal" ] || return 0
    # By cat: an error of the disk must not look like the journal's end, and so like a first install.
    _journal=$(cat "$state/journal") || die "$state/journal cannot be read, so nothing is done (hint: look at the disk, then run the same command again)"
    while IFS='=' read -r _k _v; do
        case $_k in
        format) j_format=$_v ;;
        live_id) j_live_id=$_v ;;
        live_version) j_live_version=$_v ;;
        last_id) j_last_id=$_v ;;
        last_version) j_last_version=$_v ;;
        step) j_step=$_v ;;
        to_id) j_to_id=$_v ;;
        to_version) j_to_version=$_v ;;
        from_id) j_from_id=$_v ;;
        from_version) j_from_version=$_v ;;
        running) j_running=$_v ;;
        touched) j_touched=$_v ;;
        parted) j_parted=$_v ;;
        joined) j_joined=$_v ;;
        deferred) j_deferred=$_v ;;
        failed_id) j_failed_id=$_v ;;
        failed_version) j_failed_version=$_v ;;
        failed_reason) j_failed_reason=$_v ;;
        parked_version) j_parked_version=$_v ;;
        ?*) j_others=$j_others$nl$_k=$_v ;;
        esac
    done <<EOF
$_journal
EOF
    [ "$j_format" = 1 ] || format_refuse "$state/journal" "$j_format"
}

# way_forget: what only the way back of one activation asks for.
way_forget() {
    j_parted=
    j_joined=
    j_deferred=
}

# format_refuse FILE FORMAT: a later relpack wrote it, and to go on by guesses would do harm.
format_refuse() {
    say "$1 has format $2, and $name $version reads format 1: a later relpack wrote it. Nothing was changed"
    more "(hint: install a version of $name that was built with that relpack;"
    more "to start afresh with this one instead: $(afresh_by), then install it)"
    exit 1
}

journal_save() {
    [ -d "$state" ] || mkdir -p "$state"
    write_file "$state/journal" 0644 "format=1
live_id=$j_live_id
live_version=$j_live_version
last_id=$j_last_id
last_version=$j_last_version
step=$j_step
to_id=$j_to_id
to_version=$j_to_version
from_id=$j_from_id
from_version=$j_from_version
running=$j_running
touched=$j_touched
parted=$j_parted
joined=$j_joined
deferred=$j_deferred
failed_id=$j_failed_id
failed_version=$j_failed_version
failed_reason=$j_failed_reason
parked_version=$j_parked_version$j_others"
}

journal_step() {
    fault "before-$1"
    j_step=$1
    # Said outright: callers ask for the status, and there a shell ignores "set -e".
    journal_save || return 1
    fault "after-$1"
}

# history_add EVENT RESULT REASON: one line an activation, bounded.
history_add() {
    _seconds=$(($(now) - ${began:-$(now)}))
    _lines=
    if [ -e "$state/history" ]; then _lines=$(tail -n 499 "$state/history") || return 1; fi
    _line=$(date -u +%Y-%m-%dT%H:%M:%SZ)$tab$1$tab$j_to_version$tab$j_to_id$tab${j_from_version:--}$tab$2
    write_file "$state/history" 0644 "${_lines:+$_lines$nl}$_line$tab$_seconds$tab$(one_line "${3:--}")"
}

one_line() {
    case $1 in
    *["$nl$tab"]*) printf '%s' "$1" | tr '\n\t' '  ' ;;
    *) printf '%s' "$1" ;;
    esac
}

current_id() {
    if _link=$(readlink "$base/current" 2>/dev/null); then printf '%s\n' "${_link##*/}"; fi
}

release_kept() { [ -n "$1" ] && [ -d "$base/releases/$1" ]; }
