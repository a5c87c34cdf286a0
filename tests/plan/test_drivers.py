"""What the drivers plan: which objects, in which order."""

from __future__ import annotations

import pytest

from weft.model.base import replace
from weft.model.errors import InvalidOption
from weft.model.settings import Settings
from weft.plan.drivers import registry
from weft.plan.drivers.base import Wiring
from weft.plan.host import base, gateway_choice
from weft.plan.objects import (
    Bridge,
    Cable,
    Element,
    InterfaceAddress,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)

from .records import HOST, endpoint, namespace, network, wiring

NET = network()
PLAIN = network("plain", ("172.21.0.0/16",))
UNFILTERED = replace(HOST, settings=Settings(filter=False))


def planned(net: object = NET, **options: object) -> Objects:
    end = endpoint(net, "web", 2, **options)  # type: ignore[arg-type]
    return registry("bridge").endpoint(wiring(net, end, "web"), HOST)  # type: ignore[arg-type]


def settings(objects: Objects) -> dict[str, str]:
    return {thing.path: thing.value for thing in objects if isinstance(thing, Sysctl)}


def position(objects: Objects, *kinds: type) -> list[int]:
    return [index for index, thing in enumerate(objects) if isinstance(thing, kinds)]


def test_filters_stand_before_there_is_anything_to_filter() -> None:
    for objects in (registry("bridge").network(NET, HOST), planned(publish=("8080:80",))):
        assert max(position(objects, Element)) < min(position(objects, Bridge, Veth, LinkUp))
        assert any(isinstance(thing, Element) for thing in objects)


def test_a_port_is_guarded_before_anything_is_allowed_from_it() -> None:
    first = planned()[0]
    assert isinstance(first, Element)
    assert (first.family, first.set) == ("bridge", "ports")


def test_settings_and_addresses_stand_before_the_interface_is_up() -> None:
    objects = planned()
    inside = list(position(objects, Sysctl, InterfaceAddress))
    assert max(inside) < min(position(objects, LinkUp))
    ups = [thing for thing in objects if isinstance(thing, LinkUp)]
    # The container's end last: it announces itself when it comes up, and the bridge has to listen by then.
    assert [thing.ns is None for thing in ups] == [True, False]
    assert ups[1].announce == "02:42:ac:14:00:02"


def test_routes_come_last_and_lead_to_the_gateways() -> None:
    objects = planned()
    routes = [thing for thing in objects if isinstance(thing, Route)]
    assert [(route.destination, route.gateway) for route in routes] == [
        ("0.0.0.0/0", "172.20.0.1"),
        ("::/0", "fd00:20::1"),
    ]
    assert min(position(objects, Route)) > max(position(objects, LinkUp))
    assert not any(isinstance(thing, Route) for thing in planned(gateway=False))


def test_internal_networks_have_no_default_route() -> None:
    assert not any(isinstance(thing, Route) for thing in planned(network(internal=True), gateway=True))


def test_an_endpoint_without_ipv6_has_it_off() -> None:
    """A link-local address alone would be a way past what was asked for."""
    inside = settings(planned(PLAIN))
    assert inside["net/ipv6/conf/eth0/disable_ipv6"] == "1"
    bridge = settings(registry("bridge").network(PLAIN, HOST))
    assert bridge[f"net/ipv6/conf/{PLAIN.bridge}/disable_ipv6"] == "1"
    assert all(thing.optional for thing in planned(PLAIN) if isinstance(thing, Sysctl) and "ipv6" in thing.path)


def test_with_ipv6_no_router_is_believed_and_a_missing_setting_is_an_error() -> None:
    objects = planned()
    inside = {path.rpartition("/")[2]: value for path, value in settings(objects).items() if "/eth0/" in path}
    assert inside == {
        "arp_notify": "1",
        "disable_ipv6": "0",
        "addr_gen_mode": "0",
        "accept_dad": "0",
        "accept_ra": "0",
        "autoconf": "0",
        "ndisc_notify": "1",
    }
    assert not any(thing.optional for thing in objects if isinstance(thing, Sysctl) and thing.ns is not None)
    bridge = settings(registry("bridge").network(NET, HOST))
    assert bridge[f"net/ipv6/conf/{NET.bridge}/accept_ra"] == "0"


def test_ports_of_the_bridge_speak_for_themselves_in_no_protocol() -> None:
    (port,) = (thing for thing in planned() if isinstance(thing, Veth))
    assert settings(planned())[f"net/ipv6/conf/{port.name}/disable_ipv6"] == "1"


def test_the_bridge_has_a_mac_of_its_own_that_does_not_change() -> None:
    bridges = [thing for _ in range(2) for thing in registry("bridge").network(NET, HOST) if isinstance(thing, Bridge)]
    assert bridges[0] == bridges[1]
    assert bridges[0].mac.startswith("02:")
    assert bridges[0].alias == f"weft:network:{NET.id}"


@pytest.mark.parametrize(("own", "expected"), [(None, 1500), (1350, 1350)])
def test_the_mtu_is_the_same_everywhere(own: int | None, expected: int) -> None:
    net = network(mtu=own)
    objects = (*registry("bridge").network(net, HOST), *planned(net))
    assert {thing.mtu for thing in objects if isinstance(thing, Bridge | Veth)} == {expected}


def test_without_icc_ports_are_isolated_and_the_host_answers_for_their_owners() -> None:
    closed = network(icc=False)
    (port,) = (thing for thing in planned(closed) if isinstance(thing, Veth))
    assert port.isolated
    proxies = [thing for thing in planned(closed) if isinstance(thing, ProxyNeighbour)]
    assert proxies == [ProxyNeighbour(address="fd00:20::2", interface=closed.bridge)]
    bridge = settings(registry("bridge").network(closed, HOST))
    assert bridge[f"net/ipv4/conf/{closed.bridge}/proxy_arp_pvlan"] == "1"
    assert bridge[f"net/ipv6/conf/{closed.bridge}/proxy_ndp"] == "1"
    assert bridge[f"net/ipv4/neigh/{closed.bridge}/proxy_delay"] == "0"


def test_with_icc_the_host_answers_for_nobody() -> None:
    (port,) = (thing for thing in planned() if isinstance(thing, Veth))
    assert not port.isolated
    assert not any(isinstance(thing, ProxyNeighbour) for thing in planned())
    bridge = settings(registry("bridge").network(NET, HOST))
    assert bridge[f"net/ipv4/conf/{NET.bridge}/proxy_arp_pvlan"] == "0"


def test_without_filters_there_is_neither_table_nor_element_and_localhost_stays_closed() -> None:
    end = endpoint(NET, "web", 2, publish=("8080:80",))
    objects = (
        *base(UNFILTERED),
        *registry("bridge").network(NET, UNFILTERED),
        *registry("bridge").endpoint(wiring(NET, end, "web"), UNFILTERED),
    )
    assert not any(isinstance(thing, Table | Element) for thing in objects)
    assert settings(objects)[f"net/ipv4/conf/{NET.bridge}/route_localnet"] == "0"


def test_a_published_port_on_ipv6_localhost_is_left_to_the_relay() -> None:
    published = [thing for thing in planned(publish=("[::1]:8080:80",)) if isinstance(thing, Element)]
    assert not any(thing.set.startswith("publish") for thing in published)


def test_a_published_port_says_whose_it_is() -> None:
    (element,) = (
        thing for thing in planned(PLAIN, publish=("8080:80",)) if getattr(thing, "set", "") == "publish_any4"
    )
    assert isinstance(element, Element)
    assert (element.match, element.value, element.comment) == (("tcp", 8080), ("172.21.0.2", 80), "web 8080->80/tcp")


# --- cables


CABLE = network("cable", ("10.9.0.0/30", "fd00:9::/126"), driver="ptp")
LEFT, RIGHT = endpoint(CABLE, "left", 1, gateway=False), endpoint(CABLE, "right", 2, gateway=False)


def cabled(near: str, far: str) -> Objects:
    ends = {"left": LEFT, "right": RIGHT}
    here = Wiring(
        network=CABLE,
        endpoint=ends[near],
        namespace=namespace(near),
        owner=near,
        peer=ends[far],
        peer_namespace=namespace(far),
    )
    return registry("ptp").endpoint(here, HOST)


def test_both_ends_plan_the_same_cable() -> None:
    cables = {
        thing
        for objects in (cabled("left", "right"), cabled("right", "left"))
        for thing in objects
        if isinstance(thing, Cable)
    }
    assert len(cables) == 1


def test_each_end_has_the_other_as_its_peer_and_nothing_is_on_the_host() -> None:
    objects = cabled("left", "right")
    assert {thing.peer for thing in objects if isinstance(thing, InterfaceAddress)} == {"10.9.0.2", "fd00:9::2"}
    assert all(thing.where is not None for thing in objects)
    assert registry("ptp").network(CABLE, HOST) == ()


def test_half_a_cable_is_nothing() -> None:
    alone = Wiring(network=CABLE, endpoint=LEFT, namespace=namespace("left"), owner="left")
    assert registry("ptp").endpoint(alone, HOST) == ()


# --- which endpoint leads outside


def test_default_routes_go_by_the_first_network_that_leads_outside() -> None:
    inner = network("inner", ("172.22.0.0/16",), internal=True)
    networks = {net.id: net for net in (NET, PLAIN, inner, CABLE)}
    ends = [endpoint(net, "web", 2) for net in (CABLE, inner, PLAIN, NET)]
    assert gateway_choice(ends, networks) == ends[2].id
    assert gateway_choice(ends[:2], networks) is None


def test_unknown_drivers_are_refused_by_name() -> None:
    with pytest.raises(InvalidOption, match="'overlay'"):
        registry("overlay")
