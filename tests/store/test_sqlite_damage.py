"""A damaged state file is refused by name and left exactly as it is; what is opened is what was written."""

from __future__ import annotations

import os
import queue
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from weft.model.errors import StoreCorrupt, StoreFailed
from weft.store.base import Delete, Entry, Event, Put
from weft.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
ENTRIES, DELETED = 120, 40
#: First byte of a leaf page of an index, which is what tables without row numbers are (sqlite.org/fileformat2.html).
_INDEX_LEAF = 0x0A

Content = tuple[tuple[Entry, ...], list[Event]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A state file with entries of all sizes, cleanly closed."""
    path = tmp_path_factory.mktemp("sound") / "state.db"
    chance = random.Random(28)
    with closing(SqliteStore(path)) as store:
        for number in range(ENTRIES):
            key = f"endpoints/{number:04}"
            value = chance.randbytes(6000 if number % 10 == 0 else chance.randrange(400))
            revision = store.write([Put(key=key, value=value, revision=0)], durable=False)
            if number < DELETED:
                store.write([Delete(key=key, revision=revision)], durable=False)
    return path.read_bytes()


def content(path: Path) -> Content:
    """Return the entries and the history that a state file with ``sound`` content holds."""
    events: queue.Queue[Event] = queue.Queue()
    with closing(SqliteStore(path)) as store:
        store.watch("", 0, events.put)
        return store.list(""), [events.get(timeout=5) for _ in range(ENTRIES + DELETED)]


def files(directory: Path) -> dict[str, bytes]:
    """Return all files of a directory but the lock file, which is no part of the state."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix != ".lock"}


def refused(path: Path) -> StoreFailed:
    """Open a damaged file, twice; return the error, having checked that no file was touched."""
    before = files(path.parent)
    with pytest.raises(StoreFailed):
        SqliteStore(path)
    with pytest.raises(StoreFailed) as caught:
        SqliteStore(path)
    assert files(path.parent) == before
    assert str(path) in caught.value.cause
    assert caught.value.hint
    return caught.value


def refused_as_corrupt(path: Path) -> None:
    error = refused(path)
    assert isinstance(error, StoreCorrupt)
    assert str(path) in error.hint and "left it as it is" in error.hint


def flipped(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


def places_of(value: bytes, data: bytes) -> list[int]:
    """Return where the value stands in the file: once among the entries, once in the history."""
    positions = [at for at in range(len(data)) if data.startswith(value, at)]
    assert len(positions) == 2
    return positions


# --- flipped bits


def test_a_flipped_bit_is_found_or_harmless(sound: bytes, tmp_path: Path) -> None:
    """In every byte of the header, and anywhere else: refused, or all entries and all history as written."""
    path = tmp_path / "state.db"
    path.write_bytes(sound)
    expected = content(path)
    chance = random.Random(1)
    positions = [*range(100), *(chance.randrange(len(sound)) for _ in range(400))]
    found = 0
    for position in positions:
        damaged = flipped(sound, position, chance.randrange(8))
        path.write_bytes(damaged)
        try:
            assert content(path) == expected
        except StoreFailed:
            found += 1
            assert files(tmp_path) == {"state.db": damaged}
    assert found > len(positions) / 3


def test_a_flipped_bit_inside_a_value_is_found(sound: bytes, tmp_path: Path) -> None:
    """The structure is sound then; without a checksum an address would have become another."""
    path = tmp_path / "state.db"
    path.write_bytes(sound)
    value = content(path)[0][-1].value
    for position in places_of(value, sound):
        path.write_bytes(flipped(sound, position + len(value) // 2, 3))
        refused_as_corrupt(path)


def test_an_entry_that_got_lost_is_missed(sound: bytes, tmp_path: Path) -> None:
    """A page that says it holds one entry fewer: every entry that is still found is sound."""
    path = tmp_path / "state.db"
    pages = [
        at
        for at in range(4096, len(sound), 4096)
        if sound[at] == _INDEX_LEAF and b"endpoints/" in sound[at : at + 4096]
    ]
    assert len(pages) > 5
    for page in pages:
        count = int.from_bytes(sound[page + 3 : page + 5], "big")
        path.write_bytes(sound[: page + 3] + (count - 1).to_bytes(2, "big") + sound[page + 5 :])
        refused_as_corrupt(path)


def test_a_table_that_got_lost_is_missed(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for table in ("entries", "changes"):
        path.write_bytes(sound)
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"DROP TABLE {table}")
        refused_as_corrupt(path)


def test_damage_while_the_store_is_open_is_found_on_reading(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(sound)
    last = content(path)[0][-1]
    with closing(SqliteStore(path)) as store:
        for position in places_of(last.value, sound):
            _overwrite(path, position, b"\xff\x00\xff")
        with pytest.raises(StoreCorrupt) as caught:
            store.get(last.key)
        assert str(path) in caught.value.cause


def _overwrite(path: Path, position: int, data: bytes) -> None:
    """Write into the file from another process: closing a file drops this process's own locks on it (fcntl(2))."""
    code = "import os, sys; os.pwrite(os.open(sys.argv[1], os.O_WRONLY), bytes.fromhex(sys.argv[3]), int(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", code, path, str(position), data.hex()], check=True)


# --- truncation


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.37, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(sound: bytes, tmp_path: Path, part: float) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(sound[: int(len(sound) * part)])
    refused_as_corrupt(path)


@pytest.mark.parametrize("lost", [1, 13, 1000, 4095])
def test_a_file_without_its_last_bytes_is_refused(sound: bytes, tmp_path: Path, lost: int) -> None:
    """Also where those bytes were not in use."""
    path = tmp_path / "state.db"
    path.write_bytes(sound[:-lost])
    refused_as_corrupt(path)


def test_a_file_truncated_between_pages_is_refused(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    pages = len(sound) // 4096
    for page in random.Random(2).sample(range(1, pages), 12):
        path.write_bytes(sound[: page * 4096])
        refused_as_corrupt(path)


# --- the write-ahead log of an agent that was killed


def write_and_die(path: Path, transactions: int) -> dict[str, bytes]:
    """Let a process write that many transactions and be killed; return the files, all of it still in the log."""
    code = """
import os, sys
from weft.store.base import Put
from weft.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
for number in range(int(sys.argv[2])):
    store.write([Put(key=f"{side}/{number:04}", value=b"v" * 100, revision=0) for side in ("left", "right")])
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, path, str(transactions)], env=environment, check=False)
    found = files(path.parent)
    assert set(found) == {"state.db", "state.db-wal"}
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return write_and_die(tmp_path_factory.mktemp("killed") / "state.db", 60)


@pytest.mark.parametrize("damage", ["flip", "truncate"])
def test_damage_of_the_log_never_leaves_half_a_transaction(
    killed: dict[str, bytes], tmp_path: Path, damage: str
) -> None:
    """Its sound beginning counts; what follows is taken for a write that the crash interrupted."""
    path = tmp_path / "state.db"
    log = killed["state.db-wal"]
    chance = random.Random(3)
    lengths = set()
    for _ in range(100):
        path.write_bytes(killed["state.db"])
        at = chance.randrange(len(log))
        (tmp_path / "state.db-wal").write_bytes(flipped(log, at, chance.randrange(8)) if damage == "flip" else log[:at])
        with closing(SqliteStore(path)) as store:
            expected = [f"{number:04}" for number in range(store.revision())]
            assert [entry.key for entry in store.list("left/")] == [f"left/{number}" for number in expected]
            assert [entry.key for entry in store.list("right/")] == [f"right/{number}" for number in expected]
            lengths.add(len(expected))
    assert len(lengths) > 10


def test_a_damaged_file_with_a_log_is_left_alone_too(sound: bytes, tmp_path: Path) -> None:
    """Opening it the usual way would copy the log into the file, and delete the log, when the error is found."""
    path = tmp_path / "state.db"
    path.write_bytes(sound)
    value = content(path)[0][1].value
    write_and_die(path, 3)
    for position in places_of(value, path.read_bytes()):
        path.write_bytes(flipped(path.read_bytes(), position, 5))
    refused_as_corrupt(path)


def test_a_log_without_its_file_is_refused(killed: dict[str, bytes], tmp_path: Path) -> None:
    """A new file in the place of the missing one would make SQLite throw the log away."""
    (tmp_path / "state.db-wal").write_bytes(killed["state.db-wal"])
    refused_as_corrupt(tmp_path / "state.db")


# --- what is no state file


@pytest.mark.parametrize(
    "data", [b"\0" * 4096, b"SQLite format 3\0", b"[ports]\nrange = [1, 2]\n", os.urandom(100_000)]
)
def test_what_is_no_database_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "state.db").write_bytes(data)
    refused_as_corrupt(tmp_path / "state.db")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_database_of_something_else_is_refused(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    refused_as_corrupt(path)


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StoreFailed, match="directory"):
        SqliteStore(tmp_path / "state.db")


def test_a_file_of_a_newer_weft_is_refused(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(sound)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1000")
    error = refused(path)
    assert not isinstance(error, StoreCorrupt)
    assert "1000" in error.cause and "newer" in error.hint
