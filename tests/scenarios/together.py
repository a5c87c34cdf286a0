"""Probes that nobody answers take their whole patience, so they wait together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def together(*probes: Callable[[], T]) -> list[T]:
    """Return what each probe returns, having run them at the same time."""
    with ThreadPoolExecutor(len(probes)) as pool:
        return list(pool.map(lambda probe: probe(), probes))
