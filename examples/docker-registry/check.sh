#!/bin/sh
# The new program starts with the new configuration and answers, beside the old one and on another port: else nothing changes.
set -eu
REGISTRY_HTTP_ADDR=127.0.0.1:5999 bin/registry serve config.yml &
trial=$!
trap 'kill "$trial" 2>/dev/null || true' EXIT
curl -sSf --retry 10 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:5999/v2/
