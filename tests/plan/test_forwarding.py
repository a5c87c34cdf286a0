"""Forwarding is turned on where containers need it, and opens nothing for anybody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from weft.model.base import replace
from weft.model.network import Network
from weft.model.settings import Settings
from weft.plan import forwarding
from weft.plan.drivers.base import Host
from weft.plan.facts import HostAddress, HostFacts, HostRoute
from weft.plan.objects import Element, Sysctl
from weft.testing.packets import Outside, Packet

from .records import FACTS, HOST, network
from .village import STRANGER, Village

FOUR = network("four", ("172.21.0.0/16",))
SIX = network("six", ("fd00:21::/64",))
INNER = network("inner", internal=True)
INNER_APART = network("inner-apart", internal=True, icc=False)


def settings(networks: Sequence[Network], host: Host = HOST) -> dict[str, str]:
    return {thing.path: thing.value for thing in forwarding.plan(networks, host) if isinstance(thing, Sysctl)}


def closed(networks: Sequence[Network], host: Host = HOST) -> set[tuple[str, str | int]]:
    return {(thing.set, thing.match[0]) for thing in forwarding.plan(networks, host) if isinstance(thing, Element)}


def with_facts(facts: HostFacts) -> Host:
    return replace(HOST, facts=facts)


def test_no_network_no_forwarding() -> None:
    assert forwarding.plan((), HOST) == ()


def test_ipv4_is_turned_on_interface_by_interface() -> None:
    planned = settings([FOUR])
    assert planned["net/ipv4/conf/up0/forwarding"] == "1"
    assert planned[f"net/ipv4/conf/{FOUR.bridge}/forwarding"] == "1"
    assert "net/ipv4/ip_forward" not in planned
    assert "net/ipv4/conf/all/forwarding" not in planned
    assert closed([FOUR]) == {("opened4", "up0")}


def test_ipv6_is_left_alone_where_no_network_has_it() -> None:
    assert not any("all/forwarding" in path or "up0" in path for path in settings([FOUR]) if "ipv6" in path)


def test_what_forwards_already_is_neither_touched_nor_closed() -> None:
    router = with_facts(replace(FACTS, forwarding4=frozenset({"up0", "all"}), forwarding6=True))
    for net in (FOUR, SIX):
        assert not any("up0" in path or "all" in path for path in settings([net], router))
        assert closed([net], router) == set()


def test_when_somebody_makes_the_host_a_router_later_weft_does_not_stand_in_the_way() -> None:
    """weft turned up0 on itself, so up0 is not among what 'forwards already'; 'all' is what the other one did."""
    router = with_facts(replace(FACTS, forwarding4=frozenset({"all"})))
    assert settings([FOUR], router)["net/ipv4/conf/up0/forwarding"] == "1"
    assert closed([FOUR], router) == set()


def test_ipv6_is_turned_on_for_the_host_where_the_kernel_has_only_that() -> None:
    host = with_facts(replace(FACTS, heed_ra=frozenset({"up0", "lo"}), mtus={"up0": 1500, "idle0": 1500}))
    objects = [thing for thing in forwarding.plan([SIX], host) if isinstance(thing, Sysctl)]
    paths = [thing.path for thing in objects]
    # First the interface is told to go on listening to routers: without that it loses its routes at once.
    assert paths.index("net/ipv6/conf/up0/accept_ra") < paths.index("net/ipv6/conf/all/forwarding")
    assert settings([SIX], host)["net/ipv6/conf/up0/accept_ra"] == "2"
    assert closed([SIX], host) == {("opened6", "up0"), ("opened6", "idle0")}


def test_ipv6_is_turned_on_by_interface_where_the_kernel_can() -> None:
    planned = settings([SIX], with_facts(replace(FACTS, force_forwarding=True, heed_ra=frozenset({"up0"}))))
    assert planned["net/ipv6/conf/up0/force_forwarding"] == "1"
    assert planned[f"net/ipv6/conf/{SIX.bridge}/force_forwarding"] == "1"
    assert "net/ipv6/conf/all/forwarding" not in planned
    assert "net/ipv6/conf/up0/accept_ra" not in planned


def test_filters_stand_before_anything_is_forwarded() -> None:
    objects = forwarding.plan([FOUR, SIX], HOST)
    elements = [index for index, thing in enumerate(objects) if isinstance(thing, Element)]
    assert elements == list(range(len(elements)))
    assert elements


def test_internal_networks_need_no_forwarding_but_for_links() -> None:
    assert not any("up0" in path or "all" in path for path in settings([INNER, INNER_APART]))
    assert settings([INNER])[f"net/ipv4/conf/{INNER.bridge}/forwarding"] == "0"
    assert settings([INNER_APART])[f"net/ipv4/conf/{INNER_APART.bridge}/forwarding"] == "1"
    unfiltered = replace(HOST, settings=Settings(filter=False))
    assert settings([INNER_APART], unfiltered)[f"net/ipv4/conf/{INNER_APART.bridge}/forwarding"] == "0"


def test_when_weft_may_not_it_does_not() -> None:
    host = replace(HOST, settings=Settings(ip_forward=False))
    assert set(settings([FOUR, SIX], host).values()) == {"0"}
    assert closed([FOUR, SIX], host) == set()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("force_forwarding", [False, True])
def test_neighbours_cannot_use_the_host_as_their_router(version: int, force_forwarding: bool) -> None:
    second = (
        HostAddress(cidr="198.51.100.10/24", interface="up1"),
        HostAddress(cidr="2001:db8:1::10/64", interface="up1"),
    )
    facts = replace(
        FACTS,
        addresses=(*FACTS.addresses, *second),
        routes=(
            *FACTS.routes,
            HostRoute(destination="198.51.100.0/24", interface="up1"),
            HostRoute(destination="2001:db8:1::/64", interface="up1"),
        ),
        mtus={"up0": 1500, "up1": 1500},
        force_forwarding=force_forwarding,
    )
    beyond = {4: "198.51.100.1", 6: "2001:db8:1::1"}[version]
    passing = Packet(Outside("up0"), beyond, dport=80, src=STRANGER[version])
    before = Village(host=with_facts(facts))
    assert before.kernel.send(passing).lost == f"the host does not forward IPv{version} from up0"
    after = Village(network(), host=with_facts(facts))
    assert after.kernel.send(passing).rule == "weft does not make this host a router for others"
    after.attach(network(), "web", 2)
    assert after.send("web", beyond).place == Outside("up1")


@pytest.mark.parametrize("version", [4, 6])
def test_a_host_that_is_a_router_stays_one(version: int) -> None:
    facts = replace(FACTS, forwarding4=frozenset({"up0", "all"}), forwarding6=True)
    village = Village(network(), host=with_facts(facts))
    far = {4: "203.0.113.1", 6: "2001:db8:2::1"}[version]
    assert village.send("outside", far).arrived
