"""The security switches: what holds when nobody touches them, and that a closed port is closed to every neighbour."""

from __future__ import annotations

import pytest

from weft.testing.hosts import Host, Outside
from weft.testing.spaces import Space

CLOSED = ("timeout", "unreachable")


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    host.weft("network", "create", "app", "--subnet", "10.49.0.0/24", "--subnet", "fd00:49::/64")
    return attached(host, "box", "-p", "8080:80")


def attached(host: Host, name: str, *options: str) -> Space:
    """Return a container on network ``app`` that serves on ports 80 (published or not) and 81."""
    box = host.container(name)
    host.weft("attach", "--netns", box.path, "--name", name, "--net", "app", *options)
    box.serve_tcp(80, b"eighty")
    box.serve_tcp(81, b"eighty-one")
    return box


def test_containers_of_a_network_reach_each_other(host: Host, box: Space) -> None:
    other = attached(host, "other")
    for address in box.addresses("eth0"):
        assert other.connect(address, 81).data == b"eighty-one"


def test_unpublished_ports_are_closed_to_a_neighbour_who_adds_routes(host: Host, box: Space, eve: Outside) -> None:
    """Even where the host's own FORWARD policy is accept, and even the port that is published under another number."""
    eve.ip(f"route add 10.49.0.0/24 via {host.address}", f"route add fd00:49::/64 via {host.address6}")
    for address in box.addresses("eth0"):
        assert eve.connect(address, 81, timeout=0.4).outcome in CLOSED
        assert eve.connect(address, 80, timeout=0.4).outcome in CLOSED
        assert not eve.ping(address, timeout=0.4)
    for address in (host.address, host.address6):
        assert eve.connect(address, 8080).data == b"eighty"
        assert eve.connect(address, 81, timeout=0.4).outcome == "refused"


def test_each_switch_is_reported(host: Host, box: Space) -> None:
    """Whether icc and masquerading are on is part of a network; whether forwarding is, of what doctor examines."""
    (network,) = host.weft_json("network", "inspect", "app")
    assert (network["ICC"], network["Masquerade"], network["Internal"]) == (True, True, False)
    checks = {check["name"]: check for check in host.weft_json("doctor", "--format", "json")["checks"]}
    assert checks["forwarding"]["ok"]


def test_without_filtering_nothing_is_kept_and_nothing_published(host: Host, box: Space) -> None:
    host.restart_agent(config="filter = false\n")
    assert "weft" not in host.run("nft", "list", "tables").stdout
    done = host.weft("run", "-d", "--name", "two", "--net", "app", "-p", "9000:80", "--", "sleep", "1000", check=False)
    assert done.returncode == 1 and "packet filtering is off" in done.stderr
    host.restart_agent(config="")
    assert host.run("nft", "list", "tables").stdout.splitlines() == ["table bridge weft", "table inet weft"]
