"""A container that may send any frame claims to be its neighbour, the gateway, a router or a DHCP server.

None of it reaches anybody: not the neighbour, not the host, not the world outside; and nobody's tables change by it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from typing import NamedTuple

import pytest

from tests.scenarios.waiting import eventually
from weft.model.identity import link_local
from weft.testing import frames
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import ARP, BROADCAST, Packet, ethernet, framed
from weft.testing.hosts import INTERNET, INTERNET6, Host, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORKS = ("10.50.0.0/24", "fd00:50::/64")
GATEWAYS = ("10.50.0.1", "fd00:50::1")
BRIDGE = "br-app"
STRANGE, NOBODY = "02:66:6f:72:67:64", "00:00:00:00:00:00"
ALL_NODES = ("33:33:00:00:00:01", "ff02::1")
#: What every forgery carries, so that a capture knows it.
MARK = b"forged:"
EXPERIMENT, VLAN = 0x88B5, 0x8100


class Who(NamedTuple):
    """Somebody on the wire."""

    mac: str
    four: str
    six: str

    @classmethod
    def of(cls, space: Space) -> Who:
        four, six = space.addresses("eth0")
        return cls(space.mac("eth0"), four, six)


@pytest.fixture(scope="module")
def boxes(host: Host) -> dict[str, Space]:
    """Two neighbours on one network, mallory and bob, and carol on another."""
    subnets = (word for network in NETWORKS for word in ("--subnet", network))
    host.weft("network", "create", "app", "--bridge", BRIDGE, *subnets)
    host.weft("network", "create", "other", "--subnet", "10.51.0.0/24", "--subnet", "fd00:51::/64")
    boxes = {name: host.container(name) for name in ("mallory", "bob", "carol")}
    for name, box in boxes.items():
        network = "other" if name == "carol" else "app"
        host.weft("attach", "--netns", box.path, "--name", name, "--net", network)
    boxes["bob"].serve_tcp(80, b"bob")
    return boxes


def send(space: Space, data: Iterable[bytes]) -> None:
    with space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind(("eth0", 0))
        for frame in data:
            sock.send(frame)
