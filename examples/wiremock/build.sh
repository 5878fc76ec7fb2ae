#!/bin/sh
# Builds the application into build/: WireMock's .jar as its authors publish it, and Acme's answers.
set -eu
cd "$(dirname "$0")"

version=3.13.2

rm -rf build build.partial
mkdir -p build.partial/bin
(
	cd build.partial
	npm pack --silent --prefer-offline "wiremock@$version" >/dev/null
	tar -xzf ./*.tgz --strip-components=2 package/build
	rm -- *.tgz
	mv wiremock-standalone-*.jar wiremock.jar
	echo "$version" >VERSION
	cp -R ../mappings .
	cp ../migrate.sh bin/migrate
)
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
