"""Two networks: what is on one does not reach what is on the other, unless it is connected to both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from weft.testing.hosts import Host
from weft.testing.spaces import Space

PORT = 80
#: Seconds that are waited for an answer that must not come.
SILENCE = 0.3
_NUMBERS = itertools.count()


def _box(host: Host, name: str, network: str) -> Space:
    """Attach a container that answers by TCP and UDP."""
    box = host.container(name)
    host.weft("attach", "--netns", box.path, "--name", name, "--net", network)
    box.serve_tcp(PORT)
    box.serve_udp(PORT)
    return box


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    """The host with two networks.  It serves on its own addresses, too, as hosts do."""
    for name in ("red", "blue"):
        host.weft("network", "create", name, "--ipv6")
    host.serve_tcp(8000, b"the host")
    return host


@pytest.fixture(scope="module")
def red(host: Host) -> Space:
    return _box(host, "red1", "red")


@pytest.fixture(scope="module")
def blue(host: Host) -> Space:
    return _box(host, "blue1", "blue")


@pytest.fixture(params=["red to blue", "blue to red"])
def pair(request: pytest.FixtureRequest, red: Space, blue: Space) -> tuple[Space, Space]:
    """A container of one network, and one of the other: in both directions."""
    return (red, blue) if request.param == "red to blue" else (blue, red)


def _gateways(host: Host, network: str) -> list[str]:
    (details,) = host.weft_json("network", "inspect", network)
    return [subnet["Gateway"] for subnet in details["IPAM"]["Config"]]


def _reached(box: Space, addresses: list[str]) -> set[str]:
    """Return which of ``addresses`` answer to anything at all; everything is asked at the same time."""

    def answers(probe: tuple[str, str, int]) -> str:
        kind, address, port = probe
        if kind == "ping":
            return address if box.ping(address, SILENCE) else ""
        ask = box.connect if kind == "tcp" else box.send_udp
        return "" if ask(address, port, timeout=SILENCE).outcome in ("timeout", "unreachable") else address

    kinds = (("ping", 0), ("tcp", PORT), ("udp", PORT), ("tcp", 8000))
    probes = [(kind, address, port) for address in addresses for kind, port in kinds]
    with ThreadPoolExecutor(len(probes)) as pool:
        return set(pool.map(answers, probes)) - {""}


def test_they_do_not_reach_each_other(pair: tuple[Space, Space]) -> None:
    here, there = pair
    assert _reached(here, there.addresses()) == set()


def test_they_do_not_reach_the_others_gateways(host: Host, red: Space, blue: Space) -> None:
    for box, own, other in ((red, "red", "blue"), (blue, "blue", "red")):
        assert _reached(box, _gateways(host, other)) == set()
        assert _reached(box, _gateways(host, own)) == set(_gateways(host, own))  # so the probes are good


def test_on_one_network_they_do(host: Host, red: Space) -> None:
    mate = _box(host, "red2", "red")
    assert _reached(mate, red.addresses()) == set(red.addresses())
    assert _reached(red, mate.addresses()) == set(mate.addresses())


def test_a_route_by_hand_opens_nothing(host: Host, pair: tuple[Space, Space]) -> None:
    """Neither by the own gateway, nor as if the other subnet were on the own wire."""
    here, there = pair
    addresses = there.addresses()
    for how in ("via", "dev"):
        for address in addresses:
            own = next(a for a in _gateways(host, here.name[:-1]) if (":" in a) == (":" in address))
            here.ip(f"route replace {address} " + (f"via {own}" if how == "via" else "dev eth0"))
        assert _reached(here, addresses) == set()
    here.ip(*(f"route delete {address}" for address in addresses))


def test_their_names_are_unknown_to_each_other(host: Host, pair: tuple[Space, Space]) -> None:
    here, there = pair
    assert _asked(host, here, here.name)
    assert not _asked(host, here, there.name)


def _asked(host: Host, box: Space, name: str) -> str:
    server = _gateways(host, box.name[:-1])[0]
    said = box.run("dig", "+short", "+time=1", "+tries=1", f"@{server}", name, "A", check=False).stdout
    return "" if said.startswith(";") else said  # upstream, where unknown names are asked, there is nobody here


@pytest.fixture
def both(host: Host, red: Space, blue: Space) -> Iterator[Space]:
    """A container of the red network that has been connected to the blue one as well."""
    both = host.container(f"both{next(_NUMBERS)}")
    host.weft("attach", "--netns", both.path, "--name", "both", "--net", "red")
    host.weft("network", "connect", "blue", "both")
    both.serve_tcp(PORT)
    both.serve_udp(PORT)
    yield both
    host.weft("detach", "both", check=False)


def test_connected_to_both_one_container_reaches_both(both: Space, red: Space, blue: Space) -> None:
    everybody = red.addresses() + blue.addresses()
    assert _reached(both, everybody) == set(everybody)
    assert _reached(red, both.addresses("eth0")) == set(both.addresses("eth0"))
    assert _reached(blue, both.addresses("eth1")) == set(both.addresses("eth1"))


def test_it_is_opened_for_that_one_only(host: Host, both: Space, red: Space, blue: Space) -> None:
    assert _reached(red, blue.addresses() + both.addresses("eth1") + _gateways(host, "blue")) == set()
    assert _reached(blue, red.addresses() + both.addresses("eth0") + _gateways(host, "red")) == set()


def test_it_cannot_be_made_a_router_between_them(both: Space, red: Space, blue: Space) -> None:
    both.sysctl("net/ipv4/ip_forward", 1)
    both.sysctl("net/ipv6/conf/all/forwarding", 1)
    near, far = both.addresses("eth0"), blue.addresses()
    red.ip(*(f"route add {address} via {hop}" for address, hop in zip(far, near, strict=True)))
    blue.ip(
        *(
            f"route add {address} via {hop}"
            for address, hop in zip(red.addresses(), both.addresses("eth1"), strict=True)
        )
    )
    assert _reached(red, far) == set()
    red.ip(*(f"route delete {address}" for address in far))
    blue.ip(*(f"route delete {address}" for address in red.addresses()))


def test_disconnected_it_is_as_apart_as_before(host: Host, both: Space, red: Space, blue: Space) -> None:
    host.weft("network", "disconnect", "blue", "both")
    assert _reached(both, blue.addresses() + _gateways(host, "blue")) == set()
    assert _reached(blue, both.addresses()) == set()
    assert _reached(both, red.addresses()) == set(red.addresses())
