"""Tables: edits of any kind are noticed, the repair is one transaction, and packets never see a moment without them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from weft.kernel import nftables, tables
from weft.kernel.linux import LinuxKernel
from weft.kernel.nftables import Nft, NftError
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import Internal, InvalidName, KernelRefused
from weft.model.names import check_interface
from weft.plan.objects import AnyObject, Element, InterfaceAddress, LinkUp, Objects, Table
from weft.plan.operations import Add, Change, Operation, additions, difference
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import BRIDGE, BRIDGE_TABLE, INET_TABLE, guard, network, on_host, veth

EDITS = (
    "flush chain inet weft forward",
    "add rule inet weft forward accept",
    "insert rule inet weft forward accept",
    "add chain inet weft extra",
    "add chain inet weft forward { policy drop; }",
    "add table inet weft { flags dormant; }",
    "add set inet weft extra { type ifname; }",
    "add chain bridge weft prerouting { policy drop; }",
    "delete table inet weft",
    "delete table bridge weft",
    "flush ruleset",
)


def repaired(kernel: LinuxKernel, desired: Objects) -> tuple[Operation, ...]:
    """Repair as the reconciler does; return what it took."""
    operations = difference(on_host(desired), kernel.observe(desired))
    kernel.apply(operations)
    return operations


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_table_is_noticed_and_repaired(kernel: LinuxKernel, machine: Host, edit: str) -> None:
    desired = (*network(), *guard())
    kernel.apply(additions(desired))
    before = machine.run("nft", "list", "ruleset").stdout
    assert repaired(kernel, desired) == ()
    machine.run("nft", edit)
    assert repaired(kernel, desired) != ()
    assert sorted(machine.run("nft", "list", "ruleset").stdout.split("\n")) == sorted(before.split("\n"))
    assert repaired(kernel, desired) == ()


@pytest.mark.parametrize(
    "edit",
    [
        'delete element inet weft bridges { "br-t" }',
        'add element inet weft bridges { "br-x" comment "not weft\'s" }',
        "flush set bridge weft macs",
        'delete element bridge weft nd_targets { "wvport" . 0xfd000009000000000000000000000002 }',
        "delete element inet weft publish_any4 { tcp . 8002 }; "
        "add element inet weft publish_any4 { tcp . 8002 : 10.9.0.66 . 80 }",
    ],
)
def test_an_edited_element_is_noticed_and_repaired(kernel: LinuxKernel, machine: Host, edit: str) -> None:
    """And the table stays as it is, with the counts of its connections."""
    desired = (*network(), *guard())
    kernel.apply(additions(desired))
    before = machine.run("nft", "--handle", "--terse", "list", "ruleset").stdout
    machine.run("nft", edit)
    operations = repaired(kernel, desired)
    assert operations
    assert all(isinstance(getattr(op, "object", None) or getattr(op, "new", None), Element) for op in operations)
    assert difference(on_host(desired), kernel.observe(desired)) == ()
    assert machine.run("nft", "--handle", "--terse", "list", "ruleset").stdout == before


@pytest.mark.parametrize("edit", EDITS)
def test_a_glance_tells_whether_the_tables_stand(kernel: LinuxKernel, machine: Host, edit: str) -> None:
    """It looks at chains and rules only, so elements make no difference to it, nor to what it costs."""
    wanted = (BRIDGE_TABLE, INET_TABLE)
    assert not kernel.intact(wanted)
    kernel.apply(additions((*network(), *guard())))
    assert kernel.intact(wanted)
    machine.run("nft", "flush", "set", "inet", "weft", "bridges")
    assert kernel.intact(wanted)
    machine.run("nft", edit)
    assert not kernel.intact(wanted)


def test_an_agent_that_starts_recognises_the_tables_of_its_predecessor(kernel: LinuxKernel, machine: Host) -> None:
    """It does not write them anew, so nothing is interrupted."""
    desired = (*network(), *guard())
    kernel.apply(additions(desired))
    successor = machine.call(LinuxKernel)
    assert difference(on_host(desired), successor.observe(desired)) == ()
    successor.close()


def test_a_body_that_nft_prints_otherwise_is_recognised(kernel: LinuxKernel) -> None:
    """As by another version of nft: blanks, order and names of priorities are not what counts."""
    body = "table inet weft { chain c { type filter hook input priority 0; udp dport domain ip ttl 1 drop; }; }\n"
    odd = Table(family="inet", body=body)
    kernel.apply((Add(object=odd),))
    assert kernel.observe((odd,)) == (odd,)
    assert kernel.observe() == (odd,)
    assert kernel.observe((INET_TABLE,)) == (odd,)


def test_rates_of_a_rule_do_not_count_as_edits(kernel: LinuxKernel, machine: Host) -> None:
    body = "table inet weft {\n\tchain c {\n\t\ttype filter hook output priority 0;\n\t\tcounter\n\t}\n}\n"
    counting = Table(family="inet", body=body)
    kernel.apply((Add(object=counting),))
    machine.ping("127.0.0.1")
    assert "packets 0 " not in machine.run("nft", "list", "ruleset").stdout
    assert kernel.observe((counting,)) == (counting,)


def test_a_table_that_nft_does_not_take_changes_nothing(kernel: LinuxKernel, machine: Host) -> None:
    kernel.apply(additions((*network(), *guard())))
    before = machine.run("nft", "--handle", "list", "ruleset").stdout
    broken = Table(family="inet", body=INET_TABLE.body.replace("accept;", "maybe;"))
    with pytest.raises(KernelRefused):
        kernel.apply((Change(old=INET_TABLE, new=broken),))
    wrong = Element(family="inet", set="gateways4", match=("10.0.0.300",))
    with pytest.raises(KernelRefused):
        kernel.apply((Add(object=INET_TABLE), Add(object=wrong)))
    assert machine.run("nft", "--handle", "list", "ruleset").stdout == before


@pytest.mark.parametrize("part", ["a b", "x;", "}", '"', "$x", "a\nb", "", "a,b", "@bridges", "{"])
def test_what_would_be_syntax_is_refused_beside_a_table(kernel: LinuxKernel, part: str) -> None:
    element = Element(family="inet", set="bridges", match=(part,))
    with pytest.raises((Internal, KernelRefused)):
        kernel.apply((Add(object=INET_TABLE), Add(object=element)))
    assert kernel.observe() == ()


@pytest.mark.parametrize("name", ["drop", "10", "accept", "eth0.10", "a-b", "jump"])
def test_interfaces_that_are_called_like_words_of_nft(kernel: LinuxKernel, name: str) -> None:
    beside = Element(family="inet", set="bridges", match=(name,))
    alone = Element(family="inet", set="same_network", match=(name, name))
    kernel.apply((Add(object=INET_TABLE), Add(object=beside)))
    kernel.apply((Add(object=alone),))
    assert set(kernel.observe((INET_TABLE,))) == {INET_TABLE, beside, alone}


@pytest.mark.parametrize("name", ["tcp", "udp", "udplite", "icmp", "icmpv6", "esp", "ah", "comp", "dccp", "sctp"])
def test_interfaces_that_nft_would_take_for_a_protocol_are_refused(kernel: LinuxKernel, name: str) -> None:
    """In JSON nft reads such a name as a number, so no filter would apply to the interface."""
    kernel.apply((Add(object=INET_TABLE), Add(object=Element(family="inet", set="bridges", match=(name,)))))
    kernel.apply((Add(object=Element(family="inet", set="internal", match=(name,))),))
    assert Element(family="inet", set="internal", match=(name,)) not in kernel.observe()
    with pytest.raises(InvalidName):
        check_interface(name)


def test_verdicts_prefixes_and_ranges_both_ways(kernel: LinuxKernel) -> None:
    """Forms of elements beside those that today's tables hold."""
    body = (
        "table inet weft {\n"
        "\tmap verdicts { type ifname : verdict; }\n"
        "\tset nets { type ipv4_addr; flags interval; }\n"
        "\tset nets6 { type ipv6_addr . inet_service; flags interval; }\n"
        "\tchain c { }\n"
        "}\n"
    )
    elements = (
        Element(family="inet", set="verdicts", match=("eth0",), value=("accept",)),
        Element(family="inet", set="verdicts", match=("eth1",), value=("jump", "c")),
        Element(family="inet", set="nets", match=("10.0.0.0/8",)),
        Element(family="inet", set="nets", match=("11.0.0.1-11.0.0.5",), comment="range"),
        Element(family="inet", set="nets", match=("12.0.0.1",)),
        Element(family="inet", set="nets6", match=("fd00::/64", 80)),
    )
    table = Table(family="inet", body=body)
    kernel.apply((Add(object=table),))
    kernel.apply(additions(elements))
    assert set(kernel.observe((table,))) == {table, *elements}
    kernel.apply(tuple(Change(old=element, new=replace(element, comment="x")) for element in elements))
    assert kernel.withdraw(tuple(operation.undo() for operation in additions(elements))) == []
    assert kernel.observe((table,)) == (table,)


# --- under fire -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def flood(box: Space, machine: Host) -> Iterator[Callable[[], int]]:
    """Send datagrams from the container to the host all the while; give what tells how many have arrived."""
    receiver = machine.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    receiver.bind(("10.9.0.1", 9999))
    receiver.setblocking(False)
    sender = box.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # what an output chain drops is an error to the sender
                sender.sendto(b"x", ("10.9.0.1", 9999))
            time.sleep(0.0001)

    def arrived() -> int:
        count = 0
        with contextlib.suppress(BlockingIOError):
            while receiver.recv(16):
                count += 1
        return count

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield arrived
    finally:
        stop.set()
        thread.join()
        receiver.close()
        sender.close()


def test_no_packet_passes_while_a_table_is_repaired(
    kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace
) -> None:
    """A flood that an element of a set stops is stopped through sixty repairs of the table that holds it."""
    body = (
        "table inet weft {\n"
        "\tset blocked { type ipv4_addr; }\n"
        "\tchain input { type filter hook input priority 0; ip saddr @blocked drop; }\n"
        "}\n"
    )
    table = Table(family="inet", body=body)
    blocked = Element(family="inet", set="blocked", match=("10.9.0.2",))
    addresses = (f"10.8.{i}.{j}" for i in range(20) for j in range(50))
    others = tuple(Element(family="inet", set="blocked", match=(address,)) for address in addresses)
    wire: tuple[AnyObject, ...] = (
        BRIDGE,
        InterfaceAddress(interface="br-t", cidr="10.9.0.1/24"),
        LinkUp(name="br-t"),
        veth(ns, isolated=False, hairpin=False),
        InterfaceAddress(interface="eth0", cidr="10.9.0.2/24", ns=ns),
        LinkUp(name="wvport"),
        LinkUp(name="eth0", ns=ns),
    )
    kernel.apply(additions((table, *wire)))
    assert box.ping("10.9.0.1", 3)
    desired = (table, *others, blocked)
    with flood(box, machine) as arrived:
        time.sleep(0.2)
        assert arrived() > 20
        kernel.apply(additions((blocked, *others)))
        time.sleep(0.05)
        arrived()
        for _ in range(60):
            machine.run("nft", "add", "chain", "inet", "weft", "edited")
            # Something stands between the table and its elements, as in a plan.
            kernel.apply((*additions((table, LinkUp(name="br-t"))), *additions(desired[1:])))
        time.sleep(0.05)
        assert arrived() == 0
        assert difference(desired, kernel.observe(desired))[-1].describe() == ("ip link delete br-t",)
        kernel.apply((Add(object=blocked).undo(),))
        time.sleep(0.2)
        assert arrived() > 20


def test_attaching_goes_on_while_somebody_else_changes_rules(kernel: LinuxKernel, machine: Host) -> None:
    """nftables refuses a transaction that was prepared before somebody else's; it is prepared anew."""
    kernel.apply((Add(object=INET_TABLE), Add(object=BRIDGE_TABLE)))
    stop = threading.Event()

    def disturb() -> None:
        nft = machine.call(Nft)
        while not stop.is_set():
            nft.script("add table ip other\ndelete table ip other\n")
            time.sleep(0.001)
        nft.close()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for number in range(2, 200):
            kernel.apply(additions(guard(f"wv{number}", number)))
    finally:
        stop.set()
        thread.join()
    assert len([thing for thing in kernel.observe() if isinstance(thing, Element)]) == 198 * 7


def test_many_elements_at_once(kernel: LinuxKernel) -> None:
    """Ten thousand published ports: added, seen and taken away, each in one go."""
    ports = tuple(
        Element(family="inet", set="publish_any4", match=("tcp", number), value=("10.9.0.2", number), comment="web")
        for number in range(1, 10001)
    )
    kernel.apply((Add(object=INET_TABLE),))
    kernel.apply(additions(ports))
    assert set(kernel.observe((INET_TABLE,))) == {INET_TABLE, *ports}
    kernel.apply(tuple(operation.undo() for operation in additions(ports)))
    assert kernel.observe((INET_TABLE,)) == (INET_TABLE,)


# --- the library ----------------------------------------------------------------------------------------------------


def test_errors_of_the_library_have_a_number(kernel: LinuxKernel, machine: Host) -> None:
    with machine.call(Nft) as nft:
        for script, name in (("list table inet nowhere", "ENOENT"), ("nonsense", "EINVAL")):
            with pytest.raises(NftError) as caught:
                nft.script(script)
            assert nftables.errno.errorcode[caught.value.errno] == name
        assert tables.printed(nft, "inet") is None
        assert tables.listing(nft, "inet") == []
        nft.script("table inet weft { }")
        assert tables.printed(nft, "inet") == "table inet weft {\n}\n"
