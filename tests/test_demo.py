"""``make demo``: what it shows works, and nothing stays of it, not even when it was killed half-way."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.testing import sweep

DEMO = Path(__file__).parents[1] / "scripts" / "demo"


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a demo keeps everything; the name is short because interfaces and sockets have short ones."""
    path = Path(f"/tmp/weft-demo-{os.getpid()}")
    yield path
    if left(path):  # the test has failed; a demo begins by tidying up
        subprocess.run([DEMO, path], capture_output=True, check=True)


def left(place: Path) -> list[str]:
    names = [path.name for path in sweep.NETNS.glob(f"{place.name}*")]
    return [*names, *map(str, place.rglob("*")), *sweep.bound_below(place)]


def test_the_demo_shows_what_it_promises(place: Path) -> None:
    done = subprocess.run([DEMO, place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nIt works, and this page came by name.\n") == 2
    for shown in ("interfaces as before", "rules: 0", "processes: 0", "namespaces: 0", "weft down --all"):
        assert shown in done.stdout
    assert left(place) == []


def test_a_demo_that_was_killed_is_tidied_by_the_next(place: Path) -> None:
    with subprocess.Popen([DEMO, place], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if line.startswith("$ weft port"):
                demo.send_signal(signal.SIGKILL)
                break
    assert left(place)
    subprocess.run([DEMO, place], capture_output=True, check=True)
    assert left(place) == []
