"""A host with an agent for each file: starting one takes longer than most tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from weft.testing.hosts import Host, Hosts, Lan, Outside


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Machines, gone after the file."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with Hosts() as machines:
        yield machines


@pytest.fixture(scope="module")
def lan(hosts: Hosts) -> Lan:
    """A LAN for IPv4 and IPv6."""
    return hosts.lan("192.0.2.0/24", v6="2001:db8:1::/64")


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    """A machine on the LAN that runs an agent with the default settings."""
    machine = hosts.host("h1", lan)
    machine.start_agent()
    return machine


@pytest.fixture(scope="module")
def eve(hosts: Hosts, lan: Lan) -> Outside:
    """Somebody on the LAN without weft."""
    return hosts.outside("eve", lan)
