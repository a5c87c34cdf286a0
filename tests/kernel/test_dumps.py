"""Reading the kernel's lists while they change, and requests whose answers do not come."""

from __future__ import annotations

import errno
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from weft.kernel import attributes, dumps, netlink
from weft.kernel.linux import LinuxKernel
from weft.kernel.netlink import NLM_F_DUMP, Socket, frame
from weft.model.base import replace
from weft.model.errors import KernelRefused, Unsupported
from weft.plan.objects import Bridge, InterfaceAddress, LinkUp, Route, Veth
from weft.plan.operations import Add, additions, difference
from weft.testing.hosts import Host

from .records import BRIDGE, veth


@contextmanager
def changing(machine: Host, per_second: int) -> Iterator[None]:
    """Add and delete somebody else's addresses, routes and interfaces all the while."""
    stop = threading.Event()
    failures: list[Exception] = []

    def change() -> None:
        try:
            with machine.call(lambda: subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE)) as ip:
                assert ip.stdin
                while not stop.is_set():
                    for line in (
                        "link add x0 type veth peer name x1",
                        "address add 192.0.2.1/32 dev lo",
                        "route add 198.51.100.0/24 dev lo",
                        "route delete 198.51.100.0/24 dev lo",
                        "address delete 192.0.2.1/32 dev lo",
                        "link delete x0",
                    ):
                        ip.stdin.write(f"{line}\n".encode())
                        ip.stdin.flush()
                        time.sleep(1 / per_second)
                ip.stdin.close()
                assert ip.wait(10) == 0
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        assert not failures


def test_nothing_is_missed_during_a_hundred_changes_a_second(
    kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without beginning an interrupted dump anew, interfaces of weft's would be missing from it now and then."""
    begun_anew = []
    once = Socket._dump_once

    def counted(self: Socket, message: bytes) -> list[bytes] | None:
        entries = once(self, message)
        if entries is None:
            begun_anew.append(message)
        return entries

    monkeypatch.setattr(Socket, "_dump_once", counted)
    port = veth(None, isolated=False, hairpin=False)
    names = [f"wv{number}" for number in range(150)]
    ports = tuple(replace(port, name=name, peer_name=f"peer{name}", peer_mac="") for name in names)
    desired = (
        BRIDGE,
        *(InterfaceAddress(interface="br-t", cidr=f"10.9.{number}.1/24") for number in range(50)),
        LinkUp(name="br-t"),
        *(Route(destination=f"10.10.{number}.0/24", interface="br-t") for number in range(100)),
        *ports,
    )
    kernel.apply(additions(desired))
    with changing(machine, 150):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert difference(desired, kernel.observe(desired)) == ()
            facts = kernel.facts()
            assert not {address.interface for address in facts.addresses} & {"br-t", *names}
    assert begun_anew


def test_lists_that_never_stand_still(kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error after some attempts, not a loop."""
    attempts = []
    monkeypatch.setattr(Socket, "_dump_once", lambda self, message: attempts.append(message))
    with machine.call(Socket) as socket, pytest.raises(KernelRefused) as caught:
        dumps.links(socket)
    assert caught.value.evidence["errno"] == "EINTR"
    assert len(attempts) == 30


def test_a_thousand_interfaces_are_read_fast(kernel: LinuxKernel) -> None:
    """The point of reading attributes only as far as needed; measured generously."""
    pairs = (replace(veth(None), name=f"wv{n}", peer_name=f"p{n}", peer_mac="", master="") for n in range(500))
    kernel.apply(tuple(Add(object=replace(pair, isolated=False, hairpin=False)) for pair in pairs))
    start = time.process_time()
    found = kernel.observe()
    assert time.process_time() - start < 0.25
    assert len([thing for thing in found if isinstance(thing, Veth)]) == 500


def test_a_request_without_an_answer_ends(kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it may have done is undone."""
    lost = []
    original = Socket.request

    def silent(self: Socket, messages: list[bytes]) -> list[netlink.Refused | None]:
        answers = original(self, messages)
        if not lost:
            lost.append(answers)
            raise BlockingIOError(errno.EAGAIN, "no answer")
        return answers

    monkeypatch.setattr(Socket, "request", silent)
    with pytest.raises(KernelRefused) as caught:
        kernel.apply((Add(object=BRIDGE),))
    assert caught.value.evidence["errno"] == "EAGAIN"
    assert lost == [[None, None]]
    assert machine.interfaces() == ["lo"]


def test_answers_to_a_request_that_was_given_up_are_not_taken_for_others(machine: Host) -> None:
    with machine.call(Socket) as socket:
        late = frame(18, 0, dumps._LINK.pack(0, 0, 999, 0, 0))
        socket._socket.send(netlink._numbered([late], socket._numbers(1)))
        found = dumps.link(socket, "lo")
        assert found is not None
        assert found.name == "lo"
        assert dumps.link(socket, "nowhere") is None


def test_the_kernels_own_words_are_in_the_error(kernel: LinuxKernel) -> None:
    """What extended acknowledgements say beside the errno value."""
    route = Route(destination="10.10.0.0/16", interface="lo", gateway="192.0.2.1")
    with pytest.raises(KernelRefused, match="Nexthop has invalid gateway"):
        kernel.apply((Add(object=route),))


def test_what_the_kernel_lacks_is_unsupported(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "xyzzy")]})
    monkeypatch.setattr("weft.kernel.encode._info", lambda kind: unknown)
    with pytest.raises(Unsupported, match="Unknown device type"):
        kernel.apply((Add(object=Bridge(name="br-t", mac="02:00:00:00:00:01", mtu=1500, alias="weft:x")),))


def test_sequence_numbers_begin_anew(machine: Host) -> None:
    with machine.call(Socket) as socket:
        socket._sequence = (1 << 31) - 1
        assert [link.name for link in dumps.links(socket)] == ["lo"]
        assert [link.name for link in dumps.links(socket)] == ["lo"]
        assert socket._sequence < 10


def test_damaged_attributes_end_the_reading() -> None:
    """The kernel sends none; reading must end all the same."""
    good = attributes.pack(3, b"lo\0")
    assert attributes.read(good + b"\x00\x00\x00\x00") == {3: b"lo\0"}
    assert attributes.read(good + b"\x03") == {3: b"lo\0"}
    assert netlink._split(b"\x04\x00\x00\x00" + bytes(20)) == []
    assert frame(18, NLM_F_DUMP, b"")[6:8] == b"\x01\x03"
