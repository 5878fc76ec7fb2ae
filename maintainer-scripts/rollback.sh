#!/bin/sh
# Back to an earlier release of @NAME@ that is kept on this host: at once, and without network.
set -eu
name=@NAME@
command -v "$name-release" >/dev/null || {
    echo "relpack: $name is not installed here (hint: ./install)" >&2
    exit 1
}
exec "$name-release" rollback "$@"
