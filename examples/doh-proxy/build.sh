#!/bin/sh
# Builds the program in build/doh-proxy, from its crate: exactly this version, its dependencies as its own lock file has them.
#
# Without TLS, which is the business of the proxy in front of it. Without link-time optimisation over all crates, which its
# manifest asks for: it would take several minutes.
set -eu
cd "$(dirname "$0")"

version=0.11.1

rm -rf build build.partial
mkdir -p build.partial/fetch/src
(
	cd build.partial/fetch
	# A package that needs nothing but the program: so cargo gets it, and checks it.
	cat >Cargo.toml <<END
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
doh-proxy = { version = "=$version", default-features = false }
[workspace]
END
	echo 'fn main() {}' >src/main.rs
	cargo vendor --quiet --versioned-dirs ../vendor >/dev/null
)
mkdir build
mv "build.partial/vendor/doh-proxy-$version" build/doh-proxy
rm -rf build.partial
cd build/doh-proxy
CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=symbols \
	cargo build --quiet --release --locked --no-default-features
