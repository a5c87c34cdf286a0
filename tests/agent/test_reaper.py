"""Ends of processes are noticed once, and nothing of a process that is forgotten is kept."""

from __future__ import annotations

import os
import queue
import subprocess
from collections.abc import Iterator

import pytest

from weft.agent.reaper import Reaper
from weft.model.container import Container


class Ends:
    """What a reaper reports."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()

    def next(self) -> str:
        return self.told.get(timeout=5)

    def none(self) -> bool:
        with pytest.raises(queue.Empty):
            self.told.get(timeout=0.2)
        return True


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def reaper(ends: Ends) -> Iterator[Reaper]:
    reaper = Reaper(ends.told.put)
    yield reaper
    reaper.close()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as sleeping:
        yield sleeping
        sleeping.kill()


def container(name: str, pid: int) -> Container:
    return Container(id=name, name=name, pid=pid)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_end_is_told_once(reaper: Reaper, ends: Ends, process: subprocess.Popen[bytes]) -> None:
    before = descriptors()
    reaper.watch(container("one", process.pid))
    reaper.watch(container("one", process.pid))  # attached to a second network
    process.kill()
    assert ends.next() == "one"
    assert ends.none() and descriptors() == before


def test_a_process_that_is_gone_already_is_told_of_at_once(reaper: Reaper, ends: Ends) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    reaper.watch(container("gone", gone.pid))
    reaper.watch(container("never", 0))
    assert [ends.next(), ends.next()] == ["gone", "never"]


def test_what_is_forgotten_is_not_told_of(reaper: Reaper, ends: Ends, process: subprocess.Popen[bytes]) -> None:
    before = descriptors()
    reaper.watch(container("one", process.pid))
    reaper.forget(container("one", process.pid))
    reaper.forget(container("unknown", 1))
    assert descriptors() == before
    process.kill()
    assert ends.none()
