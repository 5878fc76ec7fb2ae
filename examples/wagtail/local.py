"""What differs from Wagtail's own settings: the host's environment says all that varies, and state lies outside of the release."""

import os

from .base import INSTALLED_APPS, MIDDLEWARE, STORAGES

DATA = "/opt/acme-site/shared/data"
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1 localhost").split()

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{DATA}/db.sqlite3",
        # Readers never wait for the writer, and writers wait for each other.
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
MEDIA_ROOT = f"{DATA}/media"

# The worker takes its tasks from the database.
INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks", "django_tasks.backends.database"]
TASKS = {"default": {"BACKEND": "django_tasks.backends.database.DatabaseBackend"}}

# The web service has the style sheets too.
MIDDLEWARE = [MIDDLEWARE[0], "whitenoise.middleware.WhiteNoiseMiddleware", *MIDDLEWARE[1:]]
STORAGES["staticfiles"]["BACKEND"] = "whitenoise.storage.CompressedManifestStaticFilesStorage"
