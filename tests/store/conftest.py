"""Stores to test: every store that weft has keeps the same contract, so a further one is one line in FACTORIES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weft.store.base import Store
from weft.store.sqlite import SqliteStore

#: Name of the store → what opens it, on data that lives in (or is named after) a directory.  Opening the same
#: directory again after closing gives the same data.
FACTORIES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda directory: SqliteStore(directory / "state.db"),
}


@pytest.fixture(params=sorted(FACTORIES))
def open_in(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    """What opens a store of each kind in a directory."""
    return FACTORIES[request.param]


@pytest.fixture
def store(open_in: Callable[[Path], Store], tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_in(tmp_path)
    yield opened
    opened.close()
