"""The five modes: bridge, host, none, container:NAME and a user-defined network, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import weft
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

DOCS = Path(weft.__file__).parents[1] / "docs" / "networks.md"
#: What is given to --net, by the name of the container that it was given for.
MODES = {"on-bridge": "bridge", "on-app": "app", "on-host": "host", "on-none": "none", "shared": "container:on-app"}
BRIDGE, APP = ("172.30.0.2", "fd00:30::2"), ("172.31.0.2", "fd00:31::2")
OTHER, MATE = ("172.30.0.9", "fd00:30::9"), ("172.31.0.9", "fd00:31::9")


class Expected(NamedTuple):
    """What a container of a mode sees, and whom it reaches: outside, one on the default network, one on app."""

    interfaces: set[str]
    addresses: tuple[str, ...]
    outside: bool
    other: bool
    mate: bool


def _expected(name: str, host: Host) -> Expected:
    return {
        "on-bridge": Expected({"lo", "eth0"}, BRIDGE, outside=True, other=True, mate=False),
        "on-app": Expected({"lo", "eth0"}, APP, outside=True, other=False, mate=True),
        "on-host": Expected(set(host.interfaces()), tuple(host.addresses()), outside=True, other=True, mate=True),
        "on-none": Expected({"lo"}, (), outside=False, other=False, mate=False),
        "shared": Expected({"lo", "eth0"}, APP, outside=True, other=False, mate=True),
    }[name]


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    """A host with a container in each mode, and one more on each of the two networks."""
    host = hosts.host("h1", lan)
    host.start_agent('[bridge]\naddress = "172.30.0.1/24"\naddress6 = "fd00:30::1/64"')
    host.weft("network", "create", "app", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
    for name, mode in MODES.items():
        host.weft("run", "-d", "--name", name, "--net", mode, "--", "sleep", "1000")
    for network, (ip, ip6) in {"bridge": OTHER, "app": MATE}.items():
        box = host.container(f"another-{network}")
        host.weft(
            "attach", "--netns", box.path, "--name", box.name, "--net", network, "--ip", ip, "--ip6", ip6
        )  # fmt: skip
        box.serve_tcp(80)
    return host


@pytest.fixture(scope="module")
def eve(host: Host, hosts: Hosts, lan: Lan) -> Outside:
    """A neighbour who knows the way to both networks, and serves on port 80."""
    eve = hosts.outside("eve", lan)
    for subnet in ("172.30.0.0/24", "172.31.0.0/24"):
        eve.ip(f"route add {subnet} via {host.address}")
    for subnet in ("fd00:30::/64", "fd00:31::/64"):
        eve.ip(f"route add {subnet} via {host.address6}")
    eve.serve_tcp(80)
    return eve


@pytest.fixture(params=MODES)
def name(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    return mode


def _space(host: Host, name: str) -> Space:
    return host if name == "on-host" else host.inside(name)


def test_each_has_the_interfaces_and_addresses_that_it_should(host: Host, name: str) -> None:
    expected = _expected(name, host)
    seen = host.weft("exec", name, "--", "ls", "/sys/class/net").stdout.split()
    assert set(seen) == expected.interfaces
    lines = host.weft("exec", name, "--", "ip", "-o", "address", "show", "scope", "global").stdout.splitlines()
    assert sorted(line.split()[3].partition("/")[0] for line in lines) == sorted(expected.addresses)


def test_each_reaches_whom_it_should(host: Host, eve: Outside, name: str) -> None:
    space, expected = _space(host, name), _expected(name, host)
    for version in (0, 1):
        outside = (eve.address, eve.address6)[version]
        for target, reached in (
            (outside, expected.outside),
            (OTHER[version], expected.other),
            (MATE[version], expected.mate),
        ):
            answer = space.connect(target, 80, timeout=2.0 if reached else 0.3)
            assert (answer.outcome == "reply") == reached, f"{name} → {target}: {answer}"
        if expected.outside:
            assert space.connect(outside, 80).text == (host.address, host.address6)[version]


def test_from_outside_only_host_mode_is_reached(host: Host, eve: Outside, name: str) -> None:
    if name == "shared":
        return  # it has the addresses of on-app
    space = _space(host, name)
    space.serve_tcp(7010, b"here")
    addresses = (host.address, host.address6) if name == "on-host" else _expected(name, host).addresses
    for address in addresses:
        answer = eve.connect(address, 7010, timeout=1.0 if name == "on-host" else 0.3)
        assert answer.data == (b"here" if name == "on-host" else b"")


def test_one_shares_the_addresses_and_the_localhost_of_another(host: Host) -> None:
    host.inside("on-app").serve_tcp(7012, b"from on-app", address="127.0.0.1")
    assert host.inside("shared").connect("127.0.0.1", 7012).data == b"from on-app"
    assert host.inside("shared").inode == host.inside("on-app").inode


def test_network_ls_shows_them_in_one_table(host: Host) -> None:
    lines = host.weft("network", "ls").stdout.splitlines()
    header, rows = lines[0], {line.split()[1]: line for line in lines[1:]}
    assert set(rows) == {"bridge", "app", "host", "none", "container"}
    column = header.index("REACHES")
    reach = {name: row[column:] for name, row in rows.items()}
    assert reach["bridge"] == reach["app"] == "each other, the host and outside"
    assert "host's own namespace" in reach["host"]
    assert "nothing but lo" in reach["none"]
    assert "namespace of another container" in reach["container"]
    counted = {
        network["name"]: network["containers"] for network in host.weft_json("network", "ls", "--format", "json")
    }
    assert counted == {"bridge": 2, "app": 2, "host": 1, "none": 1, "container": 1}


def test_ps_shows_the_mode_of_each(host: Host) -> None:
    shown = {row["name"]: row["mode"] for row in host.weft_json("ps", "--format", "json")}
    assert shown["on-host"] == "host"
    assert shown["on-none"] == "none"
    assert shown["shared"] == "container:on-app"
    assert shown["on-bridge"] == shown["on-app"] == "private"


def test_the_docs_compare_them_in_one_table() -> None:
    (header,) = (line for line in DOCS.read_text().splitlines() if line.startswith("| | `--net"))
    for mode in ("bridge", "NETWORK", "host", "none", "container:NAME"):
        assert f"`--net {mode}`" in header
