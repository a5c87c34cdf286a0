"""What a container may send from its port of the bridge, rule by rule."""

from __future__ import annotations

import pytest

from weft.model.base import replace
from weft.model.identity import link_local
from weft.testing.packets import Packet

from .records import network
from .village import Village

NET = network()
PLAIN = network("plain", ("172.21.0.0/16",))
FREE, OTHERS = "172.20.9.9", "172.20.0.3"
OTHERS6 = "fd00:20::3"


@pytest.fixture
def village() -> Village:
    made = Village(NET, PLAIN)
    made.attach(NET, "mallory", 2)
    made.attach(NET, "bob", 3)
    made.attach(PLAIN, "old", 2)
    return made


def packet(village: Village, **changes: object) -> Packet:
    """Return an honest packet of mallory's to bob, with changes."""
    honest = Packet(village.places["mallory"], OTHERS, dport=80, src="172.20.0.2")
    return Packet(**{**{name: getattr(honest, name) for name in Packet.__dataclass_fields__}, **changes})  # type: ignore[arg-type]


HONEST: dict[str, dict[str, object]] = {
    "IPv4": {},
    "IPv6": {"dst": OTHERS6, "src": "fd00:20::2"},
    "ping": {"protocol": "icmp", "kind": "echo-request"},
    "ARP": {"protocol": "arp"},
    "solicitation": {"protocol": "icmpv6", "kind": "nd-neighbor-solicit", "dst": OTHERS6, "src": "fd00:20::2"},
    "advertisement": {
        "protocol": "icmpv6",
        "kind": "nd-neighbor-advert",
        "dst": OTHERS6,
        "src": "fd00:20::2",
        "target": "fd00:20::2",
    },
    "address detection": {
        "protocol": "icmpv6",
        "kind": "nd-neighbor-solicit",
        "dst": OTHERS6,
        "src": "::",
        "target": "fd00:20::2",
    },
    "group joined": {"protocol": "icmpv6", "kind": "mld2-listener-report", "dst": OTHERS6, "src": "::"},
}

FORGED: dict[str, tuple[dict[str, object], str]] = {
    "MAC": ({"mac": "02:00:00:00:00:09"}, "forged MAC"),
    "IPv4": ({"src": FREE}, "forged IPv4 sender"),
    "neighbour's IPv4": ({"src": OTHERS, "dst": "172.20.0.1"}, "forged IPv4 sender"),
    "no IPv4": ({"src": "0.0.0.0", "protocol": "udp", "sport": 68, "dport": 67}, "forged IPv4 sender"),
    "IPv6": ({"dst": OTHERS6, "src": "fd00:20::9"}, "forged IPv6 sender"),
    "neighbour's link-local": ({"dst": OTHERS6, "src": link_local("02:42:ac:14:00:03")}, "forged IPv6 sender"),
    "ARP address": ({"protocol": "arp", "src": OTHERS}, "forged ARP sender"),
    "ARP probe": ({"protocol": "arp", "src": "0.0.0.0"}, "forged ARP sender"),
    "ARP MAC": ({"protocol": "arp", "mac": "02:00:00:00:00:09"}, "forged ARP sender"),
    "DHCP offer": ({"protocol": "udp", "sport": 67, "dport": 68}, "a container is no DHCP server"),
    "DHCPv6 offer": (
        {"protocol": "udp", "sport": 547, "dport": 546, "dst": OTHERS6, "src": "fd00:20::2"},
        "a container is no DHCP server",
    ),
    "router": (
        {"protocol": "icmpv6", "kind": "nd-router-advert", "dst": OTHERS6, "src": "fd00:20::2"},
        "a container is no router",
    ),
    "redirect": (
        {"protocol": "icmpv6", "kind": "nd-redirect", "dst": OTHERS6, "src": "fd00:20::2"},
        "a container is no router",
    ),
    "advertisement": (
        {
            "protocol": "icmpv6",
            "kind": "nd-neighbor-advert",
            "dst": OTHERS6,
            "src": "fd00:20::2",
            "target": "fd00:20::1",
        },
        "forged neighbour advertisement",
    ),
    "address detection": (
        {"protocol": "icmpv6", "kind": "nd-neighbor-solicit", "dst": OTHERS6, "src": "::", "target": OTHERS6},
        "forged IPv6 sender",
    ),
    "multicast querier": ({"protocol": "igmp", "kind": "membership-query"}, "a container is no router"),
    "VLAN": ({"ether_type": "8021q"}, "neither IP nor ARP, or with a VLAN tag"),
    "loopback": (
        {"dst": "127.0.0.1", "next_hop": "172.20.0.1"},
        "loopback addresses never come over a wire",
    ),
}


@pytest.mark.parametrize("what", HONEST)
def test_honest_packets_pass(village: Village, what: str) -> None:
    delivery = village.kernel.send(packet(village, **HONEST[what]))
    assert delivery.arrived, delivery.trail


@pytest.mark.parametrize("what", FORGED)
def test_forged_packets_are_dropped_at_the_port(village: Village, what: str) -> None:
    changes, rule = FORGED[what]
    delivery = village.kernel.send(packet(village, **changes))
    assert delivery.rule == rule
    assert delivery.lost.startswith("dropped by bridge weft")


def test_a_network_without_ipv6_carries_none(village: Village) -> None:
    """Not even by the link-local address that a container could give itself."""
    old = village.places["old"]
    own = village.ends["old", "plain"]
    assert own.address(6) is None
    sent = Packet(old, "fe80::1", "icmpv6", src=link_local(own.mac), kind="nd-neighbor-solicit", next_hop="172.21.0.1")
    assert village.kernel.send(sent).rule == "forged IPv6 sender"


def test_what_is_allowed_goes_with_the_container(village: Village) -> None:
    """Another port cannot use the addresses, also while their owner is there."""
    mallory, bob = village.ends["mallory", "net"], village.ends["bob", "net"]
    assert mallory.port != bob.port
    as_bob = replace(bob, port=mallory.port)
    sent = packet(village, src=as_bob.addresses[0].address, mac=as_bob.mac, dst="172.20.0.1")
    assert village.kernel.send(sent).rule == "forged MAC"
