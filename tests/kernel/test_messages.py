"""Remembered messages are, octet for octet, those that pyroute2 encodes."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from weft.kernel import messages
from weft.kernel.messages import Attributes, Ip, Mac, Number, Text, nested

names = st.text(st.sampled_from("PQRSTabz019_.-é"), min_size=1, max_size=15).map(Text)
macs = st.binary(min_size=6, max_size=6).map(lambda octets: Mac(octets.hex(":")))
numbers = st.integers(0, 2**32 - 1).map(Number)
addresses = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(
    lambda octets: Ip(ip_address(octets))
)
aliases = st.text(min_size=1, max_size=100).filter(lambda text: "\0" not in text).map(Text)


def plain(value: object) -> object:
    """Return a value without the mark that it varies."""
    if isinstance(value, dict):
        return {"attrs": [(name, plain(inner)) for name, inner in value["attrs"]]}
    if isinstance(value, Number):
        return int(value)
    return str(value) if isinstance(value, str) else value


def check(made_by: type, header: dict[str, int], attributes: Attributes) -> None:
    by_pyroute2 = messages._encoded(made_by, 16, 0x600, header, [(name, plain(value)) for name, value in attributes])
    for _ in range(2):
        assert messages.encode(made_by, 16, 0x600, header, attributes) == by_pyroute2


@given(names, names, macs, numbers, st.integers(68, 65535), numbers)
def test_a_veth_pair(name: Text, peer: Text, mac: Mac, master: Number, mtu: int, fd: Number) -> None:
    inside = nested(("IFLA_IFNAME", peer), ("IFLA_MTU", mtu), ("IFLA_ADDRESS", mac), ("IFLA_NET_NS_FD", fd))
    info = nested(("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", nested(("VETH_INFO_PEER", inside))))
    check(ifinfmsg, {}, [("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_MASTER", master), ("IFLA_LINKINFO", info)])


@given(names, aliases, st.integers(0, 1), st.integers(0, 1), st.booleans())
def test_an_alias_and_flags_of_a_port(name: Text, alias: Text, isolated: int, hairpin: int, up: bool) -> None:
    port = nested(("IFLA_BRPORT_ISOLATED", isolated), ("IFLA_BRPORT_MODE", hairpin))
    info = nested(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", port))
    flags = {"flags": int(up), "change": 1}
    check(ifinfmsg, flags, [("IFLA_IFNAME", name), ("IFLA_IFALIAS", alias), ("IFLA_LINKINFO", info)])


@given(addresses, addresses, st.integers(0, 128), st.integers(1, 2**31 - 1))
def test_an_address(near: Ip, far: Ip, length: int, index: int) -> None:
    family = 10 if ":" in near else 2
    far = far if (":" in far) == (":" in near) else near
    header = {"family": family, "prefixlen": length, "index": index, "flags": 2}
    check(ifaddrmsg, header, [("IFA_LOCAL", near), ("IFA_ADDRESS", far)])


@given(addresses, addresses, numbers, numbers)
def test_a_route(destination: Ip, gateway: Ip, index: Number, metric: Number) -> None:
    gateway = gateway if (":" in gateway) == (":" in destination) else destination
    header = {"family": 10 if ":" in destination else 2, "dst_len": 24, "table": 254, "proto": 119, "type": 1}
    check(
        rtmsg,
        header,
        [("RTA_OIF", index), ("RTA_DST", destination), ("RTA_GATEWAY", gateway), ("RTA_PRIORITY", metric)],
    )


def test_a_sample_that_cannot_be_told_apart_is_not_remembered() -> None:
    """A name of one letter, which also stands in another attribute."""
    attributes = [("IFLA_IFNAME", Text("a")), ("IFLA_LINKINFO", nested(("IFLA_INFO_KIND", "PP")))]
    check(ifinfmsg, {}, attributes)


def test_shapes_are_remembered_within_bounds() -> None:
    for number in range(1, 400):
        check(ifaddrmsg, {"family": 2, "prefixlen": 24, "index": number}, [("IFA_LOCAL", Ip("10.0.0.1"))])
    assert messages._template.cache_info().currsize <= 256
