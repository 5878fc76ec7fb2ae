#!/bin/sh
# Builds the application into build/: exactly the versions of app/package-lock.json.
#
# --omit=optional leaves out prebuilt binaries (Node-RED falls back to the bcrypt that is
# written in JavaScript), so one package serves every architecture. --ignore-scripts: nothing
# that was downloaded runs here.
set -eu
cd "$(dirname "$0")"

rm -rf build build.partial
cp -R app build.partial
(
	cd build.partial
	npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
	# npm's note of what it did: it differs from one npm to the next, and nothing reads it at run time.
	rm -f node_modules/.package-lock.json
)
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
