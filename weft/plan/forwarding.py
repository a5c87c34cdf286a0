"""Turning forwarding on, only where it is needed, and closing what that opens for others.

IPv4 is forwarded if the interface that a packet comes in by says so (net/ipv4/route.c, ip_route_input_slow).  So weft
turns it on for its bridges and for the interfaces that lead outside, whose packets are the answers.

IPv6 has one switch for the host (net/ipv6/ip6_output.c, ip6_forward); only since Linux 6.17 has it one for each
interface as well.  The host's switch also makes every interface deaf to router advertisements, by which it may have
got its own default route, unless ``accept_ra`` is 2.

A host whose forwarding was off was no way for its neighbours' packets.  It must not become one: each interface
that weft lets forward is also an element of 'opened4' or 'opened6', where what is not for weft's networks is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.model.network import Network
from weft.plan import firewall
from weft.plan.drivers.base import Host
from weft.plan.facts import HostFacts
from weft.plan.objects import Objects, Sysctl
from weft.plan.sysctls import BRIDGE_FORCE_FORWARDING, switch


def plan(networks: Iterable[Network], host: Host) -> Objects:
    """Return the forwarding settings of bridges and foreign interfaces, filters first."""
    bridged = tuple(network for network in networks if network.bridge)
    outward = [network for network in bridged if not network.internal and host.may_forward(network)]
    opened4 = _opened4(host.facts) if _any(outward, 4) else frozenset()
    opened6 = _opened6(host.facts) if _any(outward, 6) else frozenset()
    return (
        *_closed_to_transit(opened4, opened6, host),
        *(switch(f"net/ipv4/conf/{name}/forwarding", True) for name in sorted(opened4)),
        *_uplinks6(opened6, host.facts),
        *(setting for network in bridged for setting in _bridge(network, host, bool(opened6))),
    )


def _any(networks: Iterable[Network], version: int) -> bool:
    return any(network.subnet(version) for network in networks)


def _opened4(facts: HostFacts) -> frozenset[str]:
    return facts.uplinks - facts.forwarding4


def _opened6(facts: HostFacts) -> frozenset[str]:
    """Return the foreign interfaces that IPv6 will be forwarded from: with the host's one switch, all of them."""
    if facts.forwarding6:
        return frozenset()
    return facts.uplinks if facts.force_forwarding else facts.uplinks | facts.mtus.keys()


def _closed_to_transit(opened4: frozenset[str], opened6: frozenset[str], host: Host) -> Objects:
    if not host.settings.filter:
        return ()
    # Somebody has made the host a router meanwhile; weft's opinion of it is no longer asked for.
    wanted = frozenset() if "all" in host.facts.forwarding4 else opened4
    return (*firewall.transit(4, wanted), *firewall.transit(6, opened6))


def _uplinks6(opened6: frozenset[str], facts: HostFacts) -> tuple[Sysctl, ...]:
    if not opened6:
        return ()
    if facts.force_forwarding:
        return tuple(switch(BRIDGE_FORCE_FORWARDING.format(name), True) for name in sorted(opened6))
    keep_listening = (
        Sysctl(path=f"net/ipv6/conf/{name}/accept_ra", value="2") for name in sorted(opened6 & facts.heed_ra)
    )
    return (*keep_listening, switch("net/ipv6/conf/all/forwarding", True))


def _bridge(network: Network, host: Host, opened6: bool) -> tuple[Sysctl, ...]:
    """Return the settings of one bridge.  Where everybody forwards IPv6, a bridge's own switch is on as well."""
    name, facts, six = network.bridge, host.facts, network.subnet(6) is not None
    everybody = facts.forwarding6 or (opened6 and not facts.force_forwarding)
    settings = [
        switch(f"net/ipv4/conf/{name}/forwarding", _forwards(network, host, bool(facts.forwarding4))),
        switch(
            f"net/ipv6/conf/{name}/forwarding",
            everybody or (six and _forwards(network, host, facts.forwarding6)),
            optional=not six,
        ),
    ]
    if facts.force_forwarding:
        forced = six and _forwards(network, host, facts.forwarding6)
        settings.append(switch(BRIDGE_FORCE_FORWARDING.format(name), forced, optional=not six))
    return tuple(settings)


def _forwards(network: Network, host: Host, host_does: bool) -> bool:
    """Whether packets of containers are routed at all.

    Those of an internal network are where icc is off: what a link opens goes by way of the host.  Without filters
    nothing could keep them inside then, so they are not.
    """
    if network.ip_forward is False or not (host.may_forward(network) or host_does):
        return False
    return not network.internal or (not network.icc and host.filters(network))
