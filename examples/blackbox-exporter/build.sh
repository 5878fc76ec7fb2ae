#!/bin/sh
# Builds the program into build/ as Debian does: from Debian's source, with Debian's Go and its libraries (golang-*-dev).
# Before it, once: apt-get build-dep -y prometheus-blackbox-exporter
set -eu
cd "$(dirname "$0")"

package=prometheus-blackbox-exporter
module=github.com/prometheus/blackbox_exporter

rm -rf build build.partial
mkdir -p build.partial/bin build.partial/path/src/github.com/prometheus
(
	cd build.partial
	apt-get source -qq "$package"
	version=$(dpkg-parsechangelog -l "$(echo "$package"-*/debian/changelog)" -S Version)
	mv "$package"-*/ "path/src/$module"
	GO111MODULE=off GOPATH="$PWD/path:/usr/share/gocode" go build -trimpath -o bin/blackbox_exporter \
		-ldflags "-X github.com/prometheus/common/version.Version=$version" "$module"
	rm -rf path "$package"_*
	cp ../blackbox.yml .
)
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
