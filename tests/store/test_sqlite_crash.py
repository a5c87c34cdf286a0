"""Whatever the agent or the machine dies of, what was acknowledged is there, and no half of anything."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.model.errors import StoreInUse
from weft.store.base import Put
from weft.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
WRITER = Path(__file__).with_name("writer.py")


def start_writer(path: Path, seed: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def first_acknowledgement(writer: subprocess.Popen[bytes]) -> int:
    """Wait until the writer has written something; return the number of that transaction."""
    assert writer.stdout is not None
    return int(writer.stdout.readline())


def kill(writer: subprocess.Popen[bytes]) -> int:
    """Kill the writer at once; return the number of the last transaction that it was acknowledged."""
    writer.send_signal(signal.SIGKILL)
    acknowledged, _ = writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    # The last line may have been cut off by the kill.
    return max((int(line) for line in acknowledged.splitlines(keepends=True) if line.endswith(b"\n")), default=0)


def whole_transactions(store: SqliteStore) -> int:
    """Check that the file holds the transactions 1 to n of the writer and nothing else; return n."""
    left, right = store.get("left"), store.get("right")
    log = store.list("log/")
    if left is None or right is None:
        assert left is right is None
        assert not log
        return 0
    last = int(left.value)
    assert (right.value, right.revision) == (left.value, left.revision)
    assert [entry.key for entry in log] == [f"log/{number:08}" for number in range(1, last + 1)]
    assert log[-1].revision == left.revision == store.revision() == last
    assert all(entry.value.startswith(str(int(entry.key[4:])).encode()) for entry in log)
    return last


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    """The writer is killed again and again at random moments, on one and the same file."""
    chance = random.Random(9)
    path = tmp_path / "state.db"
    last = 0
    for round_number in range(12):
        writer = start_writer(path, round_number)
        first = first_acknowledgement(writer)
        assert first == last + 1
        time.sleep(chance.uniform(0, 0.12))
        acknowledged = max(first, kill(writer))
        store = SqliteStore(path)
        found = whole_transactions(store)
        store.close()
        assert acknowledged <= found <= acknowledged + 1
        last = found
    assert last > 100


def test_a_kill_while_opening_leaves_a_file_that_opens(tmp_path: Path) -> None:
    """Creation and recovery are interrupted too: the writer is killed before it has said anything."""
    path = tmp_path / "state.db"
    for round_number in range(12):
        if round_number % 3 == 0:
            path.unlink(missing_ok=True)
            path.with_name("state.db-wal").unlink(missing_ok=True)
        writer = start_writer(path, round_number)
        _wait_for_lock(path, writer.pid)
        time.sleep(random.Random(round_number).uniform(0, 0.01))
        acknowledged = kill(writer)
        store = SqliteStore(path)
        assert whole_transactions(store) >= acknowledged
        store.close()
        assert not list(tmp_path.glob("*.new*"))


def _wait_for_lock(path: Path, pid: int) -> None:
    """Wait until the process has locked the file, which it does before it opens it."""
    deadline = time.monotonic() + 10
    lock = path.with_name("state.db.lock")
    while time.monotonic() < deadline:
        if lock.exists() and f"process {pid} " in lock.read_text():
            return
        time.sleep(0.001)
    raise AssertionError(f"process {pid} did not lock the file")


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    """While one agent has the file a second is told who; once the first is killed the file opens at once."""
    path = tmp_path / "state.db"
    writer = start_writer(path, 0)
    first_acknowledgement(writer)
    try:
        with pytest.raises(StoreInUse) as caught:
            SqliteStore(path)
        assert f"process {writer.pid} " in caught.value.cause
        assert "writer.py" in caught.value.cause
        assert str(path) in caught.value.cause
    finally:
        kill(writer)
    SqliteStore(path).close()


# --- the machine loses power

#: linux/fs/ext4/ext4.h: stop the file system now, keeping only what is on the disk, its journal not written out.
_EXT4_IOC_SHUTDOWN = 0x8004587D
_GOING_FLAGS_NOLOGFLUSH = 2


class Disk:
    """A small ext4 file system whose power can be cut."""

    def __init__(self, directory: Path) -> None:
        self._image = directory / "disk"
        self.root = directory / "mnt"
        self.root.mkdir()
        with self._image.open("wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._image)], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self._image), str(self.root)], check=True)

    def unmount(self) -> None:
        # Lazily, for a test that failed and has files open there.
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)

    def cut_power(self) -> None:
        """Lose what is not on the disk: from now on the file system only answers with errors."""
        descriptor = os.open(self.root, os.O_RDONLY)
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _GOING_FLAGS_NOLOGFLUSH))
        os.close(descriptor)

    def restart(self) -> None:
        """Start again with what is on the disk."""
        self.unmount()
        # A copy, because the kernel may hold on to the dead file system on the old one for a while.
        self._image = Path(shutil.copyfile(self._image, self._image.with_suffix(f".{time.monotonic_ns()}")))
        self.mount()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    disk.unmount()


def test_durable_writes_survive_a_power_cut(disk: Disk) -> None:
    """Also the first one after the file was made, and also those that were not durable but came before it."""
    path = disk.root / "state.db"
    expected: list[str] = []
    for round_number in range(4):
        store = SqliteStore(path)
        assert [entry.key for entry in store.list("")] == expected
        for number, durable in enumerate((False, True) if round_number else (True,)):
            expected.append(f"{round_number}/{number}")
            store.write([Put(key=expected[-1], value=b"x" * 9000, revision=0)], durable=durable)
        disk.cut_power()
        store.close()
        disk.restart()


def test_a_new_file_survives_a_power_cut(disk: Disk) -> None:
    SqliteStore(disk.root / "state.db").close()
    disk.cut_power()
    disk.restart()
    assert (disk.root / "state.db").exists()
    store = SqliteStore(disk.root / "state.db")
    assert store.revision() == 0
    store.close()


def test_other_writes_cost_no_sync_and_are_lost_as_a_whole(disk: Disk) -> None:
    path = disk.root / "state.db"
    store = SqliteStore(path)
    revision = store.write([Put(key="kept", value=b"1", revision=0)])
    for number in range(20):
        store.write([Put(key=f"{side}/{number}", value=b"x", revision=0) for side in "ab"], durable=False)
    disk.cut_power()
    store.close()
    disk.restart()
    store = SqliteStore(path)
    # Had they been synced they would all be here, as in the test above.
    assert [entry.key for entry in store.list("")] == ["kept"]
    assert store.revision() == revision
    store.close()
