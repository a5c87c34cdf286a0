"""The host as it is without weft."""

from __future__ import annotations

from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.plan.facts import HostAddress, HostRoute
from weft.plan.objects import Route
from weft.plan.operations import additions
from weft.testing.hosts import Host, Hosts, Lan

from .records import network


def test_a_host_on_a_lan(hosts: Hosts, lan: Lan) -> None:
    machine = hosts.host("h1", lan)
    kernel = machine.call(LinuxKernel)
    facts = kernel.facts()
    assert set(facts.addresses) == {
        HostAddress(cidr="127.0.0.1/8", interface="lo"),
        HostAddress(cidr="::1/128", interface="lo"),
        HostAddress(cidr=f"{machine.address}/24", interface="eth0"),
        HostAddress(cidr=f"{machine.address6}/64", interface="eth0"),
    }
    assert set(facts.routes) == {
        HostRoute(destination="0.0.0.0/0", interface="eth0", gateway=lan.gateway),
        HostRoute(destination="::/0", interface="eth0", gateway=lan.gateway6),
        HostRoute(destination="192.0.2.0/24", interface="eth0"),
        HostRoute(destination="2001:db8:1::/64", interface="eth0"),
    }
    assert facts.mtus == {"eth0": 1500}
    assert (facts.uplinks, facts.mtu) == ({"eth0"}, 1500)
    assert (facts.forwarding4, facts.forwarding6, facts.firewalls) == (frozenset(), False, ())
    assert facts.heed_ra == {"lo", "eth0"}
    assert kernel.local_addresses() == {"127.0.0.1", "::1", machine.address, machine.address6} | {
        address for address in kernel.local_addresses() if address.startswith("fe80:")
    }
    kernel.close()


def test_what_weft_makes_changes_no_fact(kernel: LinuxKernel) -> None:
    before = kernel.facts()
    route = Route(destination="10.10.0.0/16", interface="br-t", gateway="10.9.0.7")
    kernel.apply(additions((*network(), route)))
    assert kernel.facts() == before
    assert {"10.9.0.1", "fd00:9::1"} <= kernel.local_addresses()


def test_routes_of_a_vpn_are_seen(kernel: LinuxKernel, machine: Host) -> None:
    """In a table of their own, as wg-quick and others keep them; also over several gateways, and to nowhere."""
    before = kernel.facts()
    machine.ip(
        "link add tun0 mtu 1420 type veth peer name far",
        "link set far up",
        "link set tun0 up",
        "address add 10.66.0.1/24 dev tun0",
        "route add 10.67.0.0/16 dev tun0 table 51820",
        "route add 10.68.0.0/16 nexthop via 10.66.0.2 nexthop via 10.66.0.3",
        "route add blackhole 10.69.0.0/16",
    )
    facts = kernel.facts()
    assert {route for route in facts.routes if route not in before.routes} == {
        HostRoute(destination="10.66.0.0/24", interface="tun0"),
        HostRoute(destination="10.67.0.0/16", interface="tun0"),
        HostRoute(destination="10.68.0.0/16", interface="tun0", gateway="10.66.0.2"),
        HostRoute(destination="10.68.0.0/16", interface="tun0", gateway="10.66.0.3"),
        HostRoute(destination="10.69.0.0/16", interface=""),
    }
    assert facts.mtus["tun0"] == 1420


def test_forwarding_and_router_advertisements(kernel: LinuxKernel, machine: Host) -> None:
    machine.ip("link add up0 type veth peer name up1")
    machine.sysctl("net/ipv4/conf/up0/forwarding", 1)
    machine.sysctl("net/ipv6/conf/up1/accept_ra", 0)
    facts = kernel.facts()
    assert facts.forwarding4 == {"up0"}
    assert facts.heed_ra == {"lo", "up0"}
    machine.sysctl("net/ipv4/conf/all/forwarding", 1)
    machine.sysctl("net/ipv6/conf/all/forwarding", 1)
    facts = kernel.facts()
    assert {"all", "up0", "up1", "lo"} == facts.forwarding4
    assert facts.forwarding6


def test_a_host_without_ipv6(kernel: LinuxKernel, machine: Host) -> None:
    machine.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
    facts = kernel.facts()
    assert facts.addresses == (HostAddress(cidr="127.0.0.1/8", interface="lo"),)
    assert replace(facts, addresses=(), heed_ra=frozenset()).routes == ()
