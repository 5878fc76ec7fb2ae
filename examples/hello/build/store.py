"""The application's state: one SQLite file in the directory that systemd gives to the service."""

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

# Each step brings the schema from its index to the next. Steps are only ever appended, and the code of the release
# before must live with the new schema: a rollback runs it on this one.
STEPS = [
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "ALTER TABLE visits ADD COLUMN client TEXT",
]


@contextmanager
def connect():
    """One transaction: committed at the end, rolled back by an exception."""
    path = Path(os.environ["STATE_DIRECTORY"]) / "hello.sqlite"
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        yield database


def schema(database):
    return database.execute("PRAGMA user_version").fetchone()[0]


def migrate(database):
    """Brings the schema up to date; does nothing when it is. Returns (before, after)."""
    database.execute("BEGIN IMMEDIATE")
    before = schema(database)
    for number, step in enumerate(STEPS[before:], start=before + 1):
        database.execute(step)
        database.execute(f"PRAGMA user_version = {number}")
    return before, schema(database)


def visit(database, client):
    database.execute("INSERT INTO visits (client) VALUES (?)", (client,))
    return visits(database)


def visits(database):
    return database.execute("SELECT count(*) FROM visits").fetchone()[0]
