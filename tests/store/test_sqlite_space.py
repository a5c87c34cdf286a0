"""A full disk or one that cannot be written: a typed error, nothing lost, and all is well again once it can."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from weft.model.errors import StoreFailed, StoreFull
from weft.store.base import Put
from weft.store.sqlite import SqliteStore


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)], check=True)
    yield root
    subprocess.run(["umount", "--lazy", str(root)], check=True)


def fill(directory: Path) -> Path:
    """Take all the space that is left; return the file to delete in order to give it back."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def write_until_full(store: SqliteStore) -> dict[str, bytes]:
    """Write pairs of entries until the store is full; return those that were acknowledged."""
    written: dict[str, bytes] = {}
    for number in range(10_000):
        pair = {f"{side}/{number:04}": str(number).encode() * 200 for side in ("a", "b")}
        try:
            store.write([Put(key=key, value=value, revision=0) for key, value in pair.items()], durable=number % 2 == 0)
        except StoreFull as error:
            assert str(store.path) in error.cause
            assert error.hint
            return written
        written |= pair
    raise AssertionError("the disk never filled up")


def read(store: SqliteStore) -> dict[str, bytes]:
    return {entry.key: entry.value for entry in store.list("")}


def test_a_full_disk_refuses_whole_transactions_and_serves_what_it_has(small: Path) -> None:
    with closing(SqliteStore(small / "state.db")) as store:
        written = write_until_full(store)
        assert len(written) > 50
        assert read(store) == written
        for number in range(20):
            with pytest.raises(StoreFull):
                store.write([Put(key=f"more/{number}", value=b"x" * 100_000, revision=0)])
        assert read(store) == written
    with closing(SqliteStore(small / "state.db")) as store:
        assert read(store) == written


def test_writing_goes_on_when_there_is_room_again(small: Path) -> None:
    with closing(SqliteStore(small / "state.db")) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
        ballast = fill(small)
        written = write_until_full(store)
        before = store.revision()
        ballast.unlink()
        assert store.write([Put(key="z", value=b"2", revision=0)]) == before + 1
        assert read(store) == {"a": b"1", "z": b"2", **written}


def test_an_agent_starts_and_reads_on_a_full_disk(small: Path) -> None:
    path = small / "state.db"
    with closing(SqliteStore(path)) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
    ballast = fill(small)
    with closing(SqliteStore(path)) as store:
        assert read(store) == {"a": b"1"}
        with pytest.raises(StoreFull):
            store.write([Put(key="b", value=b"x" * 50_000, revision=0)])
    ballast.unlink()
    with closing(SqliteStore(path)) as store:
        store.write([Put(key="b", value=b"x" * 50_000, revision=0)])


def test_no_file_is_begun_on_a_full_disk(small: Path) -> None:
    (small / "state.db.lock").touch()
    ballast = fill(small)
    with pytest.raises(StoreFull) as caught:
        SqliteStore(small / "state.db")
    assert str(small / "state.db") in caught.value.cause
    assert {path.name for path in small.iterdir()} == {"ballast", "state.db.lock"}
    ballast.unlink()
    SqliteStore(small / "state.db").close()


def test_a_disk_without_inodes_is_full_too(tmp_path: Path) -> None:
    """The write-ahead log cannot be made then, which SQLite reports as no more than a file that does not open."""
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=4", "tmpfs", str(root)], check=True)
    try:
        with closing(SqliteStore(root / "state.db")) as store:
            store.write([Put(key="a", value=b"1", revision=0)])
        (root / "last").touch()
        with pytest.raises(StoreFull):
            SqliteStore(root / "state.db")
        (root / "last").unlink()
        with closing(SqliteStore(root / "state.db")) as store:
            assert read(store) == {"a": b"1"}
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def test_a_read_only_file_system_is_said_to_be_one(small: Path) -> None:
    path = small / "state.db"
    with closing(SqliteStore(path)) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(StoreFull, match="[Rr]ead-only") as caught:
        SqliteStore(path)
    assert str(path) in caught.value.cause
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    with closing(SqliteStore(path)) as store:
        assert read(store) == {"a": b"1"}


def test_a_file_that_may_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """Not when the first container starts: SQLite alone would open it for reading without a word."""
    path = tmp_path / "state.db"
    SqliteStore(path).close()
    subprocess.run(["chattr", "+i", str(path)], check=True)
    try:
        with pytest.raises(StoreFull, match="not permitted"):
            SqliteStore(path)
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    SqliteStore(path).close()


def test_any_other_failure_to_write_is_typed_too(tmp_path: Path) -> None:
    """Such as the limit of a file's size that ulimit sets, which is neither a full disk nor a read-only one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(SqliteStore(tmp_path / "state.db")) as store:
        store.write([Put(key="a", value=b"1", revision=0)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(StoreFailed, match="I/O error"):
                store.write([Put(key="b", value=b"x" * 300_000, revision=0)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert read(store) == {"a": b"1"}
        store.write([Put(key="b", value=b"x" * 300_000, revision=0)])
