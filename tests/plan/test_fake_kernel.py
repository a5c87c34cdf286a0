"""The kernel in memory refuses what Linux would, and forgets what Linux would."""

from __future__ import annotations

import threading

import pytest

from weft.model.base import replace
from weft.model.errors import InterfaceTaken, KernelRefused, NamespaceNotFound, Unsupported
from weft.plan.objects import Element, LinkUp, Route, Sysctl, Veth
from weft.plan.operations import Add, Change, Remove, additions
from weft.testing.packets import Packet

from .records import HOST, network
from .village import STRANGER, Village

NET = network()


@pytest.fixture
def village() -> Village:
    made = Village(NET)
    made.attach(NET, "web", 2, publish=("8080:80",))
    return made


def test_a_failure_leaves_everything_as_it_was(village: Village) -> None:
    before = village.kernel.objects()
    nowhere = LinkUp(name="nothing0")
    fine = Element(family="inet", set="bridges", match=("br9",))
    with pytest.raises(KernelRefused, match="nothing0") as caught:
        village.kernel.apply(additions((fine, Sysctl(path="net/ipv4/conf/up0/forwarding", value="0"), nowhere)))
    assert caught.value.evidence["command"] == ["ip link set nothing0 up"]
    assert village.kernel.objects() == before
    assert village.kernel.read_sysctl("net/ipv4/conf/up0/forwarding") == "1"


def test_withdrawing_goes_on_after_errors(village: Village) -> None:
    element = next(thing for thing in village.kernel.objects() if isinstance(thing, Element))
    errors = village.kernel.withdraw((Add(object=LinkUp(name="nothing0")), Remove(object=element)))
    assert [type(error) for error in errors] == [KernelRefused]
    assert element not in village.kernel.objects()


def test_what_is_there_already_or_is_gone_already_is_no_error(village: Village) -> None:
    before = village.kernel.objects()
    village.kernel.apply(additions(before))
    assert village.kernel.objects() == before
    village.kernel.apply((Remove(object=LinkUp(name="nothing0")),))
    assert village.kernel.objects() == before


def test_names_of_interfaces_are_taken_once(village: Village) -> None:
    port = next(thing for thing in village.kernel.objects() if isinstance(thing, Veth))
    with pytest.raises(InterfaceTaken, match="eth0"):
        village.kernel.apply((Add(object=replace(port, name="other0")),))
    village.kernel.add_interface("theirs0")
    with pytest.raises(InterfaceTaken, match="theirs0"):
        village.kernel.apply((Add(object=replace(port, name="theirs0", peer_name="eth9")),))


def test_a_namespace_that_is_gone_takes_its_interfaces_along(village: Village) -> None:
    place = village.places["web"]
    assert place is not None
    village.kernel.remove_namespace(place)  # type: ignore[arg-type]
    assert not village.kernel.is_alive(place)  # type: ignore[arg-type]
    assert not any(isinstance(thing, Veth) for thing in village.kernel.objects())
    assert all(thing.where is None for thing in village.kernel.objects())
    with pytest.raises(NamespaceNotFound):
        village.kernel.apply((Add(object=LinkUp(name="eth0", ns=place)),))  # type: ignore[arg-type]
    # A new one at the same path is another one.
    assert village.kernel.create_namespace("/run/netns/web") != place


def test_a_bridge_that_is_gone_leaves_its_ports_behind(village: Village) -> None:
    bridge = next(thing for thing in village.kernel.objects() if getattr(thing, "name", "") == NET.bridge)
    village.kernel.apply((Remove(object=bridge),))
    assert "is down or on no bridge" in village.send("web", STRANGER[4]).lost
    assert village.repair()
    assert village.call("web", STRANGER[4])[0] == "outside"
    assert village.repair() == ()


def test_routes_need_an_interface_that_is_up_and_a_gateway_on_it(village: Village) -> None:
    place = village.places["web"]
    for route in (
        Route(destination="203.0.113.0/24", interface="eth0", gateway="198.51.100.1", ns=place),  # type: ignore[arg-type]
        Route(
            destination="203.0.113.0/24",
            interface=next(iter(village.kernel.interfaces(None) - {"lo", "up0"})),
            ns=place,
        ),  # type: ignore[arg-type]
    ):
        with pytest.raises(KernelRefused):
            village.kernel.apply((Add(object=route),))


def test_settings_that_a_kernel_lacks(village: Village) -> None:
    path = "net/ipv6/conf/up0/force_forwarding"
    village.kernel.apply((Add(object=Sysctl(path=path, value="1", optional=True)),))
    assert village.kernel.read_sysctl(path) is None
    with pytest.raises(Unsupported):
        village.kernel.apply((Add(object=Sysctl(path=path, value="1")),))


def test_facts_show_what_weft_has_turned_on(village: Village) -> None:
    assert HOST.facts.forwarding4 == frozenset()
    assert village.kernel.facts().forwarding4 == {"up0"}
    assert village.kernel.facts().forwarding6


def test_connections_live_until_they_are_flushed(village: Village) -> None:
    there = village.send("outside", "192.0.2.10", 8080)
    assert village.kernel.send(there.answer).arrived
    element = next(thing for thing in village.kernel.objects() if getattr(thing, "set", "") == "publish_any4")
    village.kernel.apply((Remove(object=element),))
    assert village.send("outside", "192.0.2.10", 8080).place == village.places["web"]
    village.kernel.flush_connections(["172.20.0.2"])
    assert village.send("outside", "192.0.2.10", 8080).place is None


def test_ping_and_its_answer(village: Village) -> None:
    there = village.kernel.send(Packet(village.places["web"], STRANGER[4], "icmp", kind="echo-request"))
    back = village.kernel.send(there.answer)
    assert back.place == village.places["web"]
    assert back.packet.kind == "echo-reply"


def test_whoever_listens_is_told_of_what_others_do(village: Village) -> None:
    told = threading.Event()
    end = village.kernel.subscribe(lambda reason: told.set())
    element = next(thing for thing in village.kernel.objects() if isinstance(thing, Element))
    village.kernel.disturb(Change(old=element, new=replace(element, comment="mine")))
    assert told.wait(5)
    told.clear()
    end()
    village.kernel.disturb(Remove(object=element))
    assert not told.wait(0.2)
