"""What tests of planners share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .scratch import Scratch


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    """A host in a namespace of its own."""
    made = Scratch()
    try:
        yield made
    finally:
        made.close()
