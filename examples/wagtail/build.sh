#!/bin/sh
# Builds the application into build/, with its virtual environment: exactly the versions of requirements.txt.
#
# A virtual environment fits one minor version of Python, so this runs on the Debian release that the hosts run (a
# container or a chroot will do), with the packages python3-venv and ca-certificates.
set -eu
cd "$(dirname "$0")"

# Where the services see the release, whichever it is: what names its own place names this one.
app=/opt/acme-site/app

rm -rf build build.partial
mkdir build.partial
(
	cd build.partial
	/usr/bin/python3 -m venv venv
	venv/bin/python -m pip install --quiet --no-compile --only-binary :all: --requirement ../requirements.txt
	# Wagtail's own project: a manage.py, the page types, the settings.
	venv/bin/wagtail start acme . >/dev/null
	cp ../local.py acme/settings/local.py
	# Settings for developers, with a secret key in them; and what nothing needs at run time.
	rm -rf acme/settings/dev.py Dockerfile .dockerignore requirements.txt
	sed -i 's/settings\.dev/settings.production/' manage.py acme/wsgi.py
	SECRET_KEY=build venv/bin/python manage.py collectstatic --noinput --verbosity 0
	venv/bin/python -m pip uninstall --quiet --yes pip setuptools
	# The environment moves: its scripts begin with the place where it was made.
	rm -f venv/bin/activate* venv/bin/Activate.ps1
	find venv/bin -type f -exec sed -i "1s|^#!.*/venv/bin/|#!$app/venv/bin/|" {} +
	sed -i '/^command = /d' venv/pyvenv.cfg
	# A release can't be written to, so its bytecode is in it: by hash, because its files' times are those of the commit.
	find . -name __pycache__ -prune -exec rm -rf {} +
	venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -s "$PWD" -p "$app" .
)
mv build.partial build
printf 'build/: %s files, %s MB\n' "$(find build -type f | wc -l)" "$(du -sm build | cut -f1)"
