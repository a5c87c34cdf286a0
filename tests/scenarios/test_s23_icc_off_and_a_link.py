"""``--no-icc``: containers of one network are strangers to each other, but for what a link opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.scenarios.together import together
from weft.testing.hosts import INTERNET, INTERNET6, Host
from weft.testing.probes import Answer
from weft.testing.spaces import Space

QUICK = 0.3
#: What db exposes, and what it serves beside that.
EXPOSED, HIDDEN, EXPOSED_UDP, HIDDEN_UDP = 5432, 22, 5353, 161


@pytest.fixture(scope="module", autouse=True)
def network(host: Host) -> str:
    host.weft(
        "network", "create", "--no-icc", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "--bridge", "quiet",
        "quiet",
    )  # fmt: skip
    return "quiet"


def run(host: Host, name: str, *options: str) -> Space:
    host.weft("run", "-d", "--name", name, "--net", "quiet", *options, "--", "sleep", "1000")
    space = host.inside(name)
    for port in (EXPOSED, HIDDEN):
        space.serve_tcp(port, name.encode())
    for port in (EXPOSED_UDP, HIDDEN_UDP):
        space.serve_udp(port, name.encode())
    return space


@pytest.fixture(scope="module")
def db(host: Host) -> Space:
    ports = ("--expose", f"{EXPOSED}", "--expose", f"{EXPOSED_UDP}/udp")
    return run(host, "db", *ports)


@pytest.fixture(scope="module")
def web(host: Host, db: Space) -> Space:
    return run(host, "web", "--link", "db")


@pytest.fixture(scope="module")
def stranger(host: Host, db: Space) -> Space:
    return run(host, "stranger")


def reached(source: Space, target: Space) -> set[tuple[int, str]]:
    """Return which services of ``target`` are reached, as (IP version, service)."""
    probes = {name: probe for address in target.addresses() for name, probe in _probes(source, address)}
    return {name for name, answered in zip(probes, together(*probes.values()), strict=True) if answered}


def _probes(source: Space, address: str) -> Iterator[tuple[tuple[int, str], Callable[[], bool]]]:
    version = 6 if ":" in address else 4
    yield (version, "ping"), lambda: source.ping(address, QUICK)
    for port in (EXPOSED, HIDDEN):
        yield (version, f"tcp {port}"), partial(_answers, source.connect, address, port)
    for port in (EXPOSED_UDP, HIDDEN_UDP):
        yield (version, f"udp {port}"), partial(_answers, source.send_udp, address, port)


def _answers(probe: Callable[..., Answer], address: str, port: int) -> bool:
    """Whether anything at all comes back, a refusal included."""
    return probe(address, port, timeout=QUICK).outcome != "timeout"


OPENED = {(4, f"tcp {EXPOSED}"), (6, f"tcp {EXPOSED}"), (4, f"udp {EXPOSED_UDP}"), (6, f"udp {EXPOSED_UDP}")}


def test_they_are_ports_of_the_same_bridge(host: Host, db: Space, web: Space, stranger: Space) -> None:
    (bridge,) = (
        bridge for bridge in host.weft_json("show", "--format", "json")["bridges"] if bridge["name"] == "quiet"
    )
    assert {port["container"] for port in bridge["ports"]} == {"db", "web", "stranger"}


def test_they_do_not_reach_each_other(db: Space, stranger: Space) -> None:
    assert reached(stranger, db) == reached(db, stranger) == set()


def test_a_route_by_the_gateway_does_not_help(db: Space, stranger: Space) -> None:
    """Neither does an address of a subnet of one's own choice, or speaking to the MAC of the other."""
    try:
        for target, gateway in zip(db.addresses(), ("172.30.0.1", "fd00:30::1"), strict=True):
            stranger.run("ip", "route", "replace", target, "via", gateway)
            stranger.run("ip", "neighbour", "replace", target, "lladdr", db.mac("eth0"), "dev", "eth0")
        assert reached(stranger, db) == set()
        for target in db.addresses():
            stranger.run("ip", "route", "delete", target)
        assert reached(stranger, db) == set()
    finally:
        for target in db.addresses():
            stranger.run("ip", "neighbour", "delete", target, "dev", "eth0")


def test_a_published_port_is_closed_to_neighbours_too(host: Host, db: Space, stranger: Space) -> None:
    published = run(host, "published", "-p", f"8080:{HIDDEN}")
    assert published.addresses() and host.connect(host.address, 8080).data == b"published"
    ways = ("172.30.0.1", "fd00:30::1", host.address, host.address6)
    answers = together(*(partial(stranger.connect, way, 8080, timeout=QUICK) for way in ways))
    assert {answer.outcome for answer in answers} == {"timeout"}


def test_a_link_opens_exactly_the_exposed_ports(db: Space, web: Space) -> None:
    assert reached(web, db) == OPENED
    assert {web.connect(address, EXPOSED).data for address in db.addresses()} == {b"db"}


def test_a_link_is_one_way_and_for_nobody_else(db: Space, web: Space, stranger: Space) -> None:
    assert reached(db, web) == reached(stranger, db) == reached(stranger, web) == reached(web, stranger) == set()


def test_outside_and_the_host_are_reached_as_ever(host: Host, web: Space, stranger: Space) -> None:
    assert all(web.ping(address) and stranger.ping(address) for address in (INTERNET, INTERNET6, host.address))


def test_a_link_follows_the_container_to_its_next_address(host: Host, web: Space) -> None:
    target = run(host, "later", "--expose", f"{EXPOSED}", "--expose", f"{EXPOSED_UDP}/udp")
    receiver = run(host, "receiver", "--link", "later")
    old = target.addresses()
    assert reached(receiver, target) == OPENED
    host.weft("stop", "-t", "0", "later")
    host.weft("run", "-d", "--name", "squatter", "--net", "quiet", "--ip", old[0], "--ip6", old[1], "--", "sleep", "99")
    squatter = host.inside("squatter")
    squatter.serve_tcp(EXPOSED, b"squatter")
    assert reached(receiver, squatter) == set()
    host.weft("start", "later")
    target = host.inside("later")
    target.serve_tcp(EXPOSED)
    target.serve_udp(EXPOSED_UDP)
    assert not set(target.addresses()) & set(old)
    assert reached(receiver, target) == OPENED


def test_nobody_inherits_a_link(host: Host, db: Space, web: Space) -> None:
    """Whoever gets the address of a receiver that is gone reaches nothing by it."""
    heir = run(host, "short", "--link", "db").addresses()
    host.weft("rm", "-f", "short")
    successor = run(host, "successor", "--ip", heir[0], "--ip6", heir[1])
    assert reached(successor, db) == set()
