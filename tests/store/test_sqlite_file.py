"""The state file itself: who may read it, who has it open, and how its schema grows."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from weft.model.errors import Compacted, StoreCorrupt, StoreInUse
from weft.store import database
from weft.store.base import Entry, Event, Put
from weft.store.sqlite import SqliteStore


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


# --- who may read it


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "var" / "state.db"
        with closing(SqliteStore(path)) as store:
            store.write([Put(key="a", value=b"1", revision=0)])
            assert mode(path.parent) == 0o700
            names = {child.name: mode(child) for child in path.parent.iterdir()}
        assert names == {"state.db": 0o600, "state.db-wal": 0o600, "state.db.lock": 0o600}
    finally:
        os.umask(before)


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SqliteStore(tmp_path / "state.db").close()
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%41.db", "x#y.db", "ü.db", "'q\".db", "file:x.db"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    """Characters that mean something in the URI by which SQLite opens files are nothing but characters."""
    with closing(SqliteStore(tmp_path / name)) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
    assert {path.name for path in tmp_path.iterdir()} == {name, name + ".lock"}
    with closing(SqliteStore(str(tmp_path / name))) as store:
        assert store.get("a") == Entry(key="a", value=b"1", revision=1)


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "state.db").close()
    before = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for _ in range(5):
        store = SqliteStore(tmp_path / "state.db")
        store.watch("", 0, lambda event: None)
        with pytest.raises(StoreInUse):
            SqliteStore(tmp_path / "state.db")
        store.close()
    (tmp_path / "bad.db").write_bytes(b"x")
    for _ in range(5):
        with pytest.raises(StoreCorrupt):
            SqliteStore(tmp_path / "bad.db")
    assert set(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


# --- who has it open


def test_a_second_agent_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(SqliteStore(path)) as store:
        with pytest.raises(StoreInUse) as caught:
            SqliteStore(path)
        assert str(path) in caught.value.cause
        assert f"process {os.getpid()} " in caught.value.cause
        store.write([Put(key="a", value=b"1", revision=0)])
    SqliteStore(path).close()


def test_files_beside_each_other_do_not_meet(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "1.db")) as one, closing(SqliteStore(tmp_path / "2.db")) as two:
        one.write([Put(key="a", value=b"1", revision=0)])
        assert two.get("a") is None


def test_nobody_else_writes_meanwhile(tmp_path: Path) -> None:
    """A person's sqlite3 shell would change entries without their revision and without any watch noticing."""
    path = tmp_path / "state.db"
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('DELETE FROM entries')"
    with closing(SqliteStore(path)) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
        shell = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
        assert "database is locked" in shell.stderr
        assert store.get("a") is not None


def test_a_program_that_has_it_open_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteStore(path).close()
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('BEGIN EXCLUSIVE'); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None and shell.stdout.readline() == b"ready\n"
        with pytest.raises(StoreInUse, match="another program"):
            SqliteStore(path)
        shell.communicate()
    SqliteStore(path).close()


# --- how far watches go back


def test_the_history_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(SqliteStore(path, history=10)) as store:
        for number in range(50):
            store.write([Put(key=f"{side}/{number}", value=b"", revision=0) for side in "ab"], durable=False)
        for since in (0, 1, 39):
            with pytest.raises(Compacted, match=f"since revision {since} "):
                store.watch("", since, lambda event: None)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM changes").fetchone() == (20,)


def test_the_oldest_revision_of_the_history_is_whole(tmp_path: Path) -> None:
    events: list[Event] = []
    complete = threading.Event()

    def receive(event: Event) -> None:
        events.append(event)
        if len(events) == 20:
            complete.set()

    with closing(SqliteStore(tmp_path / "state.db", history=10)) as store:
        for number in range(50):
            store.write([Put(key=f"{side}/{number}", value=b"", revision=0) for side in "ab"], durable=False)
        store.watch("", 40, receive)
        assert complete.wait(5)
    assert [(event.key, event.revision) for event in events] == [
        (f"{side}/{number}", number + 1) for number in range(40, 50) for side in "ab"
    ]


# --- schema


def test_a_new_file_has_the_present_schema(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "state.db").close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(database.MIGRATIONS),)
        assert db.execute("PRAGMA application_id").fetchone() == (database.APPLICATION_ID,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_older_file_is_migrated_with_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two releases on: the schema has grown by two steps, the second of which builds on the first."""
    path = tmp_path / "state.db"
    with closing(SqliteStore(path)) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
    later = (
        *database.MIGRATIONS,
        ("CREATE TABLE labels (key BLOB, label TEXT)", "INSERT INTO labels SELECT key, 'old' FROM entries"),
        ("ALTER TABLE labels RENAME TO tags",),
    )
    monkeypatch.setattr(database, "MIGRATIONS", later)
    with closing(SqliteStore(path)) as store:
        assert store.get("a") == Entry(key="a", value=b"1", revision=1)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert db.execute("SELECT key, label FROM tags").fetchall() == [(b"a", "old")]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteStore(path).close()
    broken = (*database.MIGRATIONS, ("CREATE TABLE labels (key BLOB)", "INSERT INTO nowhere VALUES (1)"))
    with closing(database.connect(path)) as db:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            database.migrate(db, broken)
        assert database.version(db) == len(database.MIGRATIONS)
        assert not db.execute("SELECT name FROM sqlite_master WHERE name = 'labels'").fetchall()
    SqliteStore(path).close()
