#!/bin/sh
# Builds the program into build/ from Debian's sources, with Debian's Go. Before it, once:
# apt-get install -y golang-go gcc libc6-dev golang-github-docker-distribution-dev \
#     golang-github-bshuster-repo-logrus-logstash-hook-dev golang-github-shopify-logrus-bugsnag-dev
set -eu
cd "$(dirname "$0")"

module=github.com/docker/distribution

rm -rf build build.partial
mkdir -p build.partial/bin
version=$(dpkg-query -W -f '${Version}' golang-github-docker-distribution-dev)
GO111MODULE=off GOPATH=/usr/share/gocode go build -trimpath -o build.partial/bin/registry \
	-ldflags "-X $module/version.Version=$version" "$module/cmd/registry"
cp config.yml build.partial/
cp check.sh build.partial/bin/check
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
