"""When an operation fails, nothing of those before it is left, nor of those that the kernel did behind it."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import InterfaceTaken, KernelRefused, NamespaceNotFound, RouteTaken, WeftError
from weft.plan.objects import Element, InterfaceAddress, LinkUp, Route, Sysctl, Table, Veth
from weft.plan.operations import Add, Change, Operation, Remove, additions, removals
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import BRIDGE, INET_TABLE, endpoint, guard, network, veth


def everything(*spaces: Space) -> list[object]:
    """Return what stands in namespaces, as other programs see it; what only time or a carrier changes is left out."""
    seen: list[object] = []
    for space in spaces:
        seen.append(space.run("nft", "--stateless", "list", "ruleset").stdout.splitlines())
        seen.append([_link(link) for link in space.run_json("ip", "-j", "-d", "link")])
        seen.append(sorted(_addresses(space)))
        for line in ("route show table all", "-6 route show table all", "neighbour show proxy"):
            routes = space.run("ip", "-o", *line.split()).stdout.replace(" linkdown", "")
            seen.append(sorted(route for route in routes.splitlines() if "proto kernel" not in route))
        seen.append(space.run("sysctl", "net.ipv4.conf", "net.ipv6.conf").stdout.splitlines())
    return seen


def _link(link: dict[str, Any]) -> dict[str, object]:
    port = link.get("linkinfo", {}).get("info_slave_data", {})
    fields = {name: link.get(name) for name in ("ifname", "address", "mtu", "master", "ifalias")}
    return {**fields, "up": "UP" in link["flags"], **{name: port.get(name) for name in ("isolated", "hairpin")}}


def _addresses(space: Space) -> Iterator[str]:
    for link in space.run_json("ip", "-j", "address"):
        for address in link.get("addr_info", ()):
            if address["scope"] != "link":
                yield f"{link['ifname']} {address['local']}/{address['prefixlen']} {address.get('address')}"


def failures(ns: Namespace) -> Iterator[tuple[Operation, type[WeftError], str]]:
    """Yield operations that the kernel refuses, in each way in which operations are carried out."""
    yield Add(object=InterfaceAddress(interface="nowhere", cidr="10.0.0.1/24")), KernelRefused, "ENODEV"
    yield Add(object=InterfaceAddress(interface="nowhere", cidr="10.0.0.1/24", ns=ns)), KernelRefused, "ENODEV"
    yield Add(object=LinkUp(name="nowhere")), KernelRefused, "ENODEV"
    yield (
        Add(object=Route(destination="10.10.0.0/16", interface="br-t", gateway="192.0.2.1")),
        KernelRefused,
        "ENETUNREACH",
    )
    yield Add(object=Route(destination="10.10.0.0/16", interface="lo", gateway="192.0.2.1", ns=ns)), KernelRefused, ""
    yield Add(object=Sysctl(path="net/ipv4/no_such_thing", value="1")), KernelRefused, "ENOENT"
    yield Add(object=Sysctl(path="net/ipv4/conf/lo/forwarding", value="many", ns=ns)), KernelRefused, "EINVAL"
    yield Add(object=Element(family="inet", set="nowhere", match=("x",))), KernelRefused, "ENOENT"
    yield Add(object=Element(family="inet", set="gateways4", match=("no address",))), KernelRefused, ""
    yield Add(object=Table(family="inet", body="table inet weft { nonsense }")), KernelRefused, ""
    yield Add(object=veth(ns, name="lo")), InterfaceTaken, ""
    yield Add(object=veth(ns, name="wvother", peer_name="lo")), InterfaceTaken, ""
    yield Add(object=veth(Namespace(path=ns.path, inode=1), name="wvother")), NamespaceNotFound, ""


@pytest.mark.parametrize("number", range(13))
def test_a_failure_at_any_place_leaves_nothing(
    kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace, number: int
) -> None:
    failure, kind, name = list(failures(ns))[number]
    kernel.apply(additions(network()))
    before = everything(machine, box)
    operations = additions(endpoint(ns))
    for place in range(len(operations) + 1):
        with pytest.raises(kind) as caught:
            kernel.apply((*operations[:place], failure, *operations[place:]))
        assert "__notes__" not in vars(caught.value), f"at {place}: {caught.value.__notes__}"
        assert everything(machine, box) == before, f"at {place}"
        if kind is KernelRefused:
            assert name in str(caught.value.evidence["errno"])
        if kind is not NamespaceNotFound:
            # One operation can stand for several commands, of which the last may be cut off.
            assert str(caught.value.evidence["command"]).startswith(failure.describe()[0][:100])


def test_all_failures_are_tried() -> None:
    assert len(list(failures(Namespace(path="/x", inode=1)))) == 13


def test_the_old_state_comes_back(kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace) -> None:
    """Undoing puts back what was changed or removed, not only takes away what was added."""
    route = Route(destination="10.10.0.0/16", interface="br-t", gateway="10.9.0.7")
    element = Element(family="inet", set="publish_any4", match=("tcp", 80), value=("10.9.0.2", 80), comment="a")
    forwarding = Sysctl(path="net/ipv4/conf/br-t/forwarding", value="1")
    kernel.apply(additions((*network(), *endpoint(ns), route, element)))
    before = everything(machine, box)
    operations = (
        Add(object=replace(element, value=("10.9.0.9", 80))),
        Remove(object=Element(family="inet", set="bridges", match=("br-t",), comment="network t")),
        Add(object=replace(route, gateway="10.9.0.9")),
        Change(old=forwarding, new=replace(forwarding, value="0")),
        Change(old=BRIDGE, new=replace(BRIDGE, mac="02:00:00:00:00:99")),
        Remove(object=InterfaceAddress(interface="eth0", cidr="10.9.0.2/24", ns=ns)),
        Add(object=LinkUp(name="nowhere")),
    )
    with pytest.raises(KernelRefused):
        kernel.apply(operations)
    # The container's route went with its address, and no operation said so.
    kernel.apply((Add(object=Route(destination="0.0.0.0/0", interface="eth0", gateway="10.9.0.1", ns=ns)),))
    assert everything(machine, box) == before


def test_what_was_there_before_stays(kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace) -> None:
    """Operations that found their work done already are not undone."""
    objects = (*network(), *endpoint(ns))
    kernel.apply(additions(objects))
    before = everything(machine, box)
    with pytest.raises(KernelRefused):
        kernel.apply((*additions(objects[2:]), Add(object=LinkUp(name="nowhere"))))
    assert everything(machine, box) == before


def test_a_table_comes_back_with_its_elements(kernel: LinuxKernel, machine: Host) -> None:
    kernel.apply(additions((*network(), *guard())))
    before = machine.run("nft", "list", "ruleset").stdout
    other = Table(family="inet", body="table inet weft {\n\tset bridges {\n\t\ttype ifname\n\t}\n}\n")
    for operation in (Change(old=INET_TABLE, new=other), Remove(object=INET_TABLE)):
        with pytest.raises(KernelRefused):
            kernel.apply((operation, Add(object=LinkUp(name="nowhere"))))
        assert machine.run("nft", "list", "ruleset").stdout == before


def test_a_table_that_somebody_edited_does_not_come_back(kernel: LinuxKernel, machine: Host) -> None:
    """What it lets pass now nobody knows; the repaired one stays although what came after it failed."""
    kernel.apply(additions(network()))
    machine.run("nft", "flush chain inet weft forward")
    (seen,) = (thing for thing in kernel.observe() if isinstance(thing, Table) and thing.family == "inet")
    with pytest.raises(KernelRefused):
        kernel.apply((Change(old=seen, new=INET_TABLE), Add(object=LinkUp(name="nowhere"))))
    assert INET_TABLE in kernel.observe()


def test_withdraw_goes_on_and_tells_all(kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace) -> None:
    objects = (*network(), *endpoint(ns))
    kernel.apply(additions(objects))
    wrong = [failure for failure, _, _ in failures(ns)]
    mixed = itertools.zip_longest(wrong, removals(objects))
    operations = [operation for pair in mixed for operation in pair if operation]
    errors = kernel.withdraw(operations)
    assert len(errors) == len(wrong)
    assert all(isinstance(error, WeftError) for error in errors)
    assert (box.interfaces(), machine.interfaces()) == (["lo"], ["lo"])


def test_a_link_that_was_made_but_not_completed_is_deleted(kernel: LinuxKernel, machine: Host, ns: Namespace) -> None:
    """The kernel makes the pair, and then refuses the alias, which is too long."""
    with pytest.raises(KernelRefused) as caught:
        kernel.apply((Add(object=veth(ns, master="", isolated=False, hairpin=False, alias="weft:" + "x" * 300)),))
    assert caught.value.evidence["errno"] == errno.errorcode[errno.ERANGE]
    assert machine.interfaces() == ["lo"]


def test_somebody_elses_interface_is_not_taken(kernel: LinuxKernel, machine: Host) -> None:
    """It keeps its alias, and what weft removes is never theirs."""
    machine.ip("link add br-t type bridge", "link set br-t alias mine")
    before = machine.run("ip", "-o", "link").stdout
    with pytest.raises(InterfaceTaken) as caught:
        kernel.apply((Add(object=BRIDGE),))
    assert caught.value.evidence["interface"] == "br-t"
    assert kernel.withdraw((Remove(object=BRIDGE),)) == []
    assert machine.run("ip", "-o", "link").stdout == before


def test_an_interface_that_is_made_in_the_same_moment_is_not_taken(
    kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the message somebody else made a bridge of that name: it does not become weft's."""
    machine.ip("link add br-t type bridge")
    monkeypatch.setattr("weft.kernel.place.Place.has", lambda place, name: False)
    with pytest.raises(InterfaceTaken):
        kernel.apply((Add(object=BRIDGE),))
    assert kernel.observe() == ()
    assert machine.interfaces() == ["lo", "br-t"]


def test_somebody_elses_route_is_not_replaced(kernel: LinuxKernel, machine: Host) -> None:
    machine.ip("link add up0 type veth peer name far", "link set far up", "link set up0 up")
    machine.ip("address add 10.9.0.5/24 dev up0", "route add 10.10.0.0/16 via 10.9.0.6")
    route = Route(destination="10.10.0.0/16", interface="up0", gateway="10.9.0.7")
    with pytest.raises(RouteTaken, match="10.10.0.0/16"):
        kernel.apply((Add(object=route),))
    kernel.apply((Remove(object=route), Remove(object=replace(route, gateway="10.9.0.6"))))
    assert "10.10.0.0/16 via 10.9.0.6" in machine.run("ip", "route").stdout


def test_the_peers_name_is_taken(kernel: LinuxKernel, box: Space, machine: Host, ns: Namespace) -> None:
    """A container that has an eth0 already keeps it, and the error names it."""
    box.ip("link add eth0 type veth peer name other", "link set eth0 alias mine")
    with pytest.raises(InterfaceTaken) as caught:
        kernel.apply(additions((BRIDGE, veth(ns))))
    assert caught.value.evidence["interface"] == "eth0"
    assert ns.path in caught.value.cause
    assert sorted(box.interfaces()) == ["eth0", "lo", "other"]
    assert machine.interfaces() == ["lo"]


def test_a_port_of_the_same_name_that_leads_elsewhere_is_in_the_way(
    kernel: LinuxKernel, machine: Host, ns: Namespace
) -> None:
    """It looks the same from the host, but its other end is in another container."""
    other = machine.container("c2")
    kernel.apply(additions((BRIDGE, veth(Namespace(path=other.path, inode=other.inode)))))
    with pytest.raises(InterfaceTaken):
        kernel.apply((Add(object=veth(ns)),))
    assert [thing.name for thing in kernel.observe() if isinstance(thing, Veth)] == ["wvport"]
    assert other.interfaces() == ["lo", "eth0"]
