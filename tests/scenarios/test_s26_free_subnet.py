"""A network without ``--subnet`` gets a private range that is on no interface and no route of the host."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.scenarios.refusals import refusal
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan

#: Sixteen subnets, and four of IPv6.
SETTINGS = """
pools = [["10.20.0.0/20", 24]]
pools6 = [["fd00:20::/62", 64]]
bridge.address = "172.17.51.1/24"
"""


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    """A host whose pools are used by others, but for a few subnets."""
    host = hosts.host("h1", lan)
    host.ip(
        "link add office type veth peer name office-switch",
        "link set office addrgenmode none",
        "link set office-switch addrgenmode none",
        "link set office up",
        "link set office-switch up",
        "address add 10.20.0.1/24 dev office",
        "address add fd00:20::1/64 dev office nodad",
        # A neighbouring site, and one host.
        "route add 10.20.1.0/24 via 192.0.2.254",
        "route add 10.20.2.77/32 via 192.0.2.254",
        "route add fd00:20:0:1::/64 via 2001:db8:1:0:ffff:ffff:ffff:fffe",
        # A VPN, in a table of its own, as wg-quick(8) makes it; half of the pool by one route.
        "link add vpn type veth peer name vpn-far",
        "link set vpn addrgenmode none",
        "link set vpn-far addrgenmode none",
        "link set vpn up",
        "link set vpn-far up",
        "route add 10.20.8.0/21 dev vpn table 51820",
        "route add fd00:20:0:2::/64 dev vpn table 51820",
        "rule add fwmark 1 table 51820",
        # One that takes everything, as OpenVPN's redirect-gateway does: no range is used by that.
        "route add 0.0.0.0/1 dev vpn table 51821",
        "route add 128.0.0.0/1 dev vpn table 51821",
        # What is announced to others and must not leave by the default route.
        "route add blackhole 10.20.3.0/24",
        "route add unreachable 10.20.4.0/24 table 7",
    )
    host.start_agent(SETTINGS)
    return host


FREE = ["10.20.5.0/24", "10.20.6.0/24", "10.20.7.0/24"]


def create(host: Host, name: str, *options: str) -> list[str]:
    """Make a network and return its subnets."""
    host.weft("network", "create", *options, name)
    (network,) = host.weft_json("network", "inspect", name)
    return [config["Subnet"] for config in network["IPAM"]["Config"]]


def test_what_is_free_is_chosen_until_nothing_is(host: Host) -> None:
    """Then the error says which pools, and nothing of the network is left; what is given back is given again."""
    assert [create(host, f"n{number}") for number in range(3)] == [[subnet] for subnet in FREE]
    said = refusal(host, "network", "create", "one-too-many")
    assert "10.20.0.0/20 (in /24)" in said and "hint" in said
    host.weft("network", "rm", "n1")
    assert create(host, "again") == [FREE[1]]
    host.weft("network", "rm", "again")


def test_ipv6_as_well(host: Host) -> None:
    assert create(host, "six", "--ipv6", "--subnet", "172.30.0.0/24") == ["172.30.0.0/24", "fd00:20:0:3::/64"]
    said = refusal(host, "network", "create", "--ipv6", "--subnet", "172.31.0.0/24", "one-too-many")
    assert "fd00:20::/62 (in /64)" in said


def test_a_route_that_comes_later_counts_for_the_next_network(host: Host) -> None:
    host.ip("route add 10.20.6.0/25 via 192.0.2.254")
    refusal(host, "network", "create", "late")
    host.ip("route delete 10.20.6.0/25")
    assert create(host, "late") == [FREE[1]]


@pytest.mark.parametrize(
    ("subnet", "owner"),
    [
        ("10.20.0.128/25", "interface 'office'"),
        ("10.20.1.0/24", "a route by 'eth0'"),
        ("10.20.8.0/24", "a route by 'vpn'"),
        ("10.20.3.0/24", "a route to nowhere"),
        ("172.17.0.0/16", "network 'bridge'"),
        ("192.0.2.0/25", "interface 'eth0'"),
        ("fd00:20::/64", "interface 'office'"),
        ("fd00:20:0:2:8000::/65", "a route by 'vpn'"),
    ],
)
def test_a_subnet_that_is_used_is_refused_with_its_owner(host: Host, subnet: str, owner: str) -> None:
    said = refusal(host, "network", "create", "--subnet", subnet, "taken")
    assert subnet in said and owner in said


def test_the_host_reaches_what_it_reached(host: Host) -> None:
    assert host.ping(INTERNET) and host.ping(INTERNET6)


def test_by_default_it_is_a_private_range(hosts: Hosts, lan: Lan) -> None:
    """RFC 1918 and RFC 4193."""
    host = hosts.host("h2", lan)
    host.start_agent()
    four, six = map(ip_network, create(host, "app", "--ipv6"))
    assert any(four.subnet_of(ip_network(p)) for p in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
    assert six.subnet_of(ip_network("fd00::/8"))
