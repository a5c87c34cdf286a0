"""A host, its kernel and a container on it, each a real network namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from weft.kernel.linux import LinuxKernel
from weft.model.container import Namespace
from weft.testing.hosts import Host, Hosts
from weft.testing.spaces import Space


@pytest.fixture
def machine(hosts: Hosts) -> Host:
    """A host without uplink."""
    return hosts.host("h1")


@pytest.fixture
def kernel(machine: Host) -> Iterator[LinuxKernel]:
    """The kernel of ``machine``: made by a thread there, called by the test's own, which is elsewhere."""
    made = machine.call(LinuxKernel)
    yield made
    made.close()


@pytest.fixture
def box(machine: Host) -> Space:
    """A container's namespace."""
    return machine.container("c1")


@pytest.fixture
def ns(box: Space) -> Namespace:
    """The same, as the record that operations name it by."""
    return Namespace(path=box.path, inode=box.inode)
