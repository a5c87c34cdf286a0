"""What tests of names share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lab import Lab


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that other users can pass, unlike pytest's own, so that dnsmasq can give up root."""
    path = Path(tempfile.mkdtemp(prefix="weft-names-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def lab(open_path: Path) -> Iterator[Lab]:
    """A host with a supervisor of name servers, in a namespace of its own."""
    made = Lab(open_path)
    try:
        yield made
    finally:
        made.close()
