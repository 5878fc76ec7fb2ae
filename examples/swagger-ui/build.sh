#!/bin/sh
# Builds the site into build/: Swagger UI as its authors publish it, with this API's description.
set -eu
cd "$(dirname "$0")"

version=5.35.0

rm -rf build build.partial
mkdir -p build.partial/site
(
	cd build.partial
	npm pack --silent --prefer-offline "swagger-ui-dist@$version" >/dev/null
	tar -xzf ./*.tgz --strip-components=1 -C site
	rm -- *.tgz
	# What npm's users need of it, and no browser.
	rm -f site/package.json site/README.md site/absolute-path.js site/index.js site/*-es-bundle* site/*.map site/log.*
	cp ../openapi.json site/
	sed -i 's|https://petstore.swagger.io/v2/swagger.json|/openapi.json|' site/swagger-initializer.js
	echo "$version" >site/version
	cp ../nginx.conf .
)
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
