"""A container that may send any frame claims to be its neighbour, the gateway, a router or a DHCP server.

None of it reaches anybody: not the neighbour, not the host, not the world outside; and nobody's tables change by it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from tests.pitfalls.forgeries import GATEWAY, GATEWAY6, Makers, Who, forged, honest, routed
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import Packet, ethernet
from weft.testing.hosts import INTERNET, INTERNET6, Host
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORKS = ("10.50.0.0/24", "fd00:50::/64")
BRIDGE = "br-app"
#: The name of a frame, which it carries with it, so that a capture knows it.
NAME = re.compile(rb"<([^<>]+)>")
#: The ethernet type of the link layer discovery protocol (IEEE 802.1AB).
LLDP = 0x88CC


# --- the town -----------------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def mallory(boxes: dict[str, Space]) -> Space:
    return boxes["mallory"]


@pytest.fixture(scope="module")
def bob(boxes: dict[str, Space]) -> Space:
    return boxes["bob"]


@contextmanager
def unguarded(host: Host, *boxes: Space) -> Iterator[None]:
    """The bridge's table is out of the way; the other one would see some of the frames too, and help."""
    switches = [f"net/bridge/bridge-nf-call-{which}tables" for which in ("ip", "ip6", "arp")]
    before = {path: host.sysctl(path) for path in switches}
    host.stop_agent()
    host.run("nft", "delete table bridge weft")
    try:
        for path in switches:
            host.sysctl(path, 0)
        yield
    finally:
        for path, value in before.items():
            host.sysctl(path, value)
        for space in (host, *boxes):
            space.ip("neighbour flush all")
        host.start_agent()


def send(space: Space, data: Iterable[bytes]) -> None:
    with space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind(("eth0", 0))
        for frame in data:
            sock.send(frame)


def named(makers: Makers) -> list[bytes]:
    return [make(f"<{name}>".encode()) for name, make in makers.items()]


def name_of(packet: Packet) -> str:
    found = NAME.search(packet.frame)
    return found[1].decode() if found else ""


def came(packet: Packet) -> bool:
    return bool(name_of(packet)) and not packet.outgoing


def left(packet: Packet) -> bool:
    return bool(name_of(packet)) and packet.outgoing


class Town(NamedTuple):
    """Everybody who must not be deceived, and mallory."""

    host: Host
    mallory: Space
    bob: Space
    carol: Space

    def heard(self, forgeries: Makers, truth: Makers) -> dict[str, set[str]]:
        """Send forgeries, and the truth after them; return which frames came to whom, when the truth had come."""
        ears = {
            "bob": (self.bob, came, "eth0"),
            "carol": (self.carol, came, "eth0"),
            "host": (self.host, came, BRIDGE),
            "outside": (self.host, left, "eth0"),
        }
        with ExitStack() as stack:
            captures = {name: stack.enter_context(Capture(*ear)) for name, ear in ears.items()}

            def names(ear: str) -> set[str]:
                return {name_of(packet) for packet in captures[ear].seen}

            send(self.mallory, named(forgeries) + named(truth))
            # What is for everybody comes even where bob's MAC is believed to be elsewhere.
            awaited = {"bob": "advertisement", "host": "ARP", "outside": "to the outside by IPv6"}
            eventually(lambda: all(last in names(ear) for ear, last in awaited.items()))
        return {ear: names(ear) for ear in ears}

    def knocks(self, attempts: list[tuple[str, str]]) -> set[str]:
        """Return what comes of mallory's connecting to a closed port of each address from an address."""
        knock = self.mallory.connect
        return {
            answer.outcome
            for answer in together(*(lambda a=a: knock(a[0], 7000, source=a[1], timeout=0.4) for a in attempts))
        }


@pytest.fixture(scope="module")
def town(host: Host, boxes: dict[str, Space]) -> Town:
    return Town(host, **boxes)


def everything(town: Town) -> tuple[Makers, Makers]:
    me, you, gateway = Who.of(town.mallory), Who.of(town.bob), town.host.mac(BRIDGE)
    return {**forged(me, you), **routed(me, you, gateway)}, honest(me, you, gateway)


# --- frames that claim --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bridge_netfilter", (0, 1))
def test_nobody_hears_a_forgery_and_everybody_hears_the_truth(town: Town, bridge_netfilter: int) -> None:
    for which in ("ip", "ip6"):
        town.host.sysctl(f"net/bridge/bridge-nf-call-{which}tables", bridge_netfilter)
    assert town.heard(*everything(town)) == {
        "bob": {"ARP", "IPv4", "IPv6", "advertisement"},
        "carol": set(),
        "host": {"ARP", "advertisement", "to the outside", "to the outside by IPv6"},
        "outside": {"to the outside", "to the outside by IPv6"},
    }


def test_without_the_guard_all_of_it_is_heard(town: Town) -> None:
    """It is weft that keeps them out, not the way that they are made."""
    forgeries, truth = everything(town)
    with unguarded(town.host, *town[1:]):
        heard = town.heard(forgeries, truth)
    assert heard["bob"] >= forged(Who.of(town.mallory), Who.of(town.bob)).keys()
    assert heard["host"] >= {"ARP answer of the gateway", "DHCP offer", "router", "router behind options"}
    assert heard["outside"] >= {"routed with the neighbour's IPv4", "routed with the neighbour's IPv6"}


# --- what they would change ---------------------------------------------------------------------------------------


def beliefs(space: Space, interface: str) -> set[tuple[str, str]]:
    """Return at which MAC it believes which address to be; a link-local one may come honestly at any moment."""
    entries = space.run_json("ip", "-j", "neighbour", "show", "dev", interface)
    return {(one["dst"], one["lladdr"]) for one in entries if "lladdr" in one and not one["dst"].startswith("fe80:")}


def switched(host: Host) -> set[tuple[str, str]]:
    """Return at which port the bridge believes which MAC to be."""
    entries = host.run_json("bridge", "-j", "fdb", "show", "br", BRIDGE)
    return {(entry["mac"], entry["ifname"]) for entry in entries if entry.get("master") == BRIDGE}


def acquaint(town: Town) -> None:
    for space in (town.mallory, town.bob):
        for address in (GATEWAY, GATEWAY6, *town.bob.addresses()):
            assert space.ping(address)


def test_nobody_believes_a_forgery(town: Town) -> None:
    acquaint(town)
    you = Who.of(town.bob)
    known = beliefs(town.bob, "eth0"), beliefs(town.host, BRIDGE), switched(town.host)
    assert {address for address, _ in known[0]} >= {GATEWAY, GATEWAY6}
    assert {address for address, _ in known[1]} >= {you.four, you.six}
    for _ in range(3):
        town.heard(*everything(town))
    assert known == (beliefs(town.bob, "eth0"), beliefs(town.host, BRIDGE), switched(town.host))


def test_without_the_guard_they_are_believed(town: Town) -> None:
    forgeries, _ = everything(town)
    with unguarded(town.host, *town[1:]):
        acquaint(town)

        def is_believed() -> bool:
            send(town.mallory, named(forgeries))
            return (GATEWAY6, town.mallory.mac("eth0")) in beliefs(town.bob, "eth0")

        eventually(is_believed)


#: Groups of which a bridge forwards no frame (IEEE 802.1D, table 7-10), but learns from whom they come.
LINK_LOCAL_GROUPS = tuple(f"01:80:c2:00:00:{last:02x}" for last in range(16))


def test_the_bridge_does_not_learn_from_frames_that_it_does_not_forward(town: Town) -> None:
    """Elsewhere one such frame in a neighbour's name is enough to get what is sent to him."""
    acquaint(town)
    you, known = Who.of(town.bob), switched(town.host)
    said = [ethernet(group, you.mac, LLDP, b"I am bob") for group in LINK_LOCAL_GROUPS]
    with Capture(town.mallory, came) as misled, Capture(town.bob, came) as arrived:
        for address in (you.four, you.six):
            send(town.mallory, said)
            town.host.send_udp(address, 9, b"<for bob>", timeout=0.05)
        assert known == switched(town.host)
        eventually(lambda: len(arrived.seen) == 2)
    assert misled.seen == []


# --- life with it -------------------------------------------------------------------------------------------------


def test_mallory_that_becomes_somebody_else_reaches_nobody_and_bob_stays_bob(town: Town) -> None:
    """Not by hand this time: root in the container gives the interface bob's MAC, or bob's addresses."""
    me, you = Who.of(town.mallory), Who.of(town.bob)
    town.mallory.ip(f"link set eth0 address {you.mac}")
    assert not any(together(*(lambda a=a: town.mallory.ping(a, 0.3) for a in (GATEWAY, GATEWAY6, INTERNET, INTERNET6))))
    assert all(town.host.connect(address, 80).data == b"bob" for address in you[1:])
    town.mallory.ip(f"link set eth0 address {me.mac}")
    town.mallory.ip(f"address add {you.four}/24 dev eth0", f"address add {you.six}/64 dev eth0 nodad")
    assert all(town.host.connect(address, 80).data == b"bob" for address in you[1:])
    attempts = [(GATEWAY, you.four), (INTERNET, you.four), (GATEWAY6, you.six), (INTERNET6, you.six)]
    assert town.knocks(attempts) == {"timeout"}
    town.mallory.ip(f"address delete {you.four}/24 dev eth0", f"address delete {you.six}/64 dev eth0")
    town.mallory.ip("neighbour flush all")  # still asked for with bob's address, and not again within a second
    assert "timeout" not in town.knocks([(address, "") for address, _ in attempts])


def test_forging_all_the_while_hurts_nobody_and_nothing_stays(town: Town) -> None:
    host, guest = town.host, town.host.container("guest")
    own = ("10.50.0.9/32", "fd00:50::9/128")
    clean = Snapshot.take(host, own)
    with Safe(host, NETWORKS, [town.bob], insider=town.mallory) as safe:
        words = ("--ip", "10.50.0.9", "--ip6", "fd00:50::9")
        host.weft("attach", "--netns", guest.path, "--name", "guest", "--net", "app", *words)
        safe.protect(guest)
        for address in (GATEWAY, GATEWAY6, INTERNET, INTERNET6):
            assert guest.ping(address) and town.bob.ping(address)
        for address in town.bob.addresses():
            assert guest.connect(address, 80).data == b"bob"
        host.weft("detach", "guest")
    assert safe.violations == []
    assert_clean(clean, host, own)
