"""Forgetting the connections of an address that was given back, and no others."""

from __future__ import annotations

import pytest

from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import KernelRefused, Unsupported
from weft.plan.objects import InterfaceAddress, LinkUp, Objects, Sysctl
from weft.plan.operations import additions
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import PORT, guard, network


def plugged(box: Space, number: int) -> Objects:
    """Return the objects that plug a container in with the ``number``-th addresses."""
    ns = Namespace(path=box.path, inode=box.inode)
    port, mac = f"wv{number}", f"02:42:0a:09:00:{number:02x}"
    return (
        *guard(port, number),
        replace(PORT, name=port, peer_ns=ns, peer_mac=mac, alias=f"weft:endpoint:{number}", isolated=False),
        Sysctl(path="net/ipv6/conf/eth0/accept_dad", value="0", ns=ns),
        InterfaceAddress(interface="eth0", cidr=f"10.9.0.{number}/24", ns=ns),
        InterfaceAddress(interface="eth0", cidr=f"fd00:9::{number:x}/64", ns=ns),
        LinkUp(name=port),
        LinkUp(name="eth0", ns=ns),
    )


def tracked(machine: Host) -> list[str]:
    """Return the tracked connections, as conntrack(8) lists them."""
    both = ("ipv4", "ipv6")
    lines = [line for family in both for line in machine.run("conntrack", "-L", "-f", family).stdout.splitlines()]
    # The kernel's own reports of group membership come when they will.
    return [line for line in lines if "=224." not in line and "=ff02:" not in line]


@pytest.fixture
def boxes(kernel: LinuxKernel, machine: Host) -> list[Space]:
    """Two containers that have spoken to the host, over IPv4 and IPv6, and one of them as a published port."""
    kernel.apply(additions(network()))
    made = [machine.container("c2"), machine.container("c3")]
    for number, box in enumerate(made, 2):
        kernel.apply(additions(plugged(box, number)))
        assert box.ping("10.9.0.1", 3)
        assert box.ping("fd00:9::1", 3)
    for address in ("10.9.0.1", "fd00:9::1"):
        server = machine.serve_udp(0, b"yes", address)
        for box in made:
            assert box.send_udp(address, server.port, timeout=3).data == b"yes"
    made[0].serve_tcp(80, b"web")
    assert machine.connect("10.9.0.1", 8002, timeout=3).data == b"web"
    return made


@pytest.mark.usefixtures("boxes")
def test_only_those_of_the_address_are_forgotten(kernel: LinuxKernel, machine: Host) -> None:
    before = tracked(machine)
    assert [line for line in before if "dport=8002" in line and "src=10.9.0.2 " in line]
    kernel.flush_connections(["10.9.0.2"])
    after = tracked(machine)
    assert not [line for line in after if "=10.9.0.2 " in line]
    assert kept(after) == kept(line for line in before if "=10.9.0.2 " not in line)
    kernel.flush_connections(["fd00:9::3", "10.9.0.3"])
    last = tracked(machine)
    assert kept(last) == kept(line for line in after if "=10.9.0.3 " not in line and "=fd00:9::3 " not in line)
    assert [line for line in last if "=fd00:9::2 " in line]


@pytest.mark.usefixtures("boxes")
def test_a_kernel_that_ignores_the_filter(
    kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before Linux 5.8: it answers with all entries, and all but the right ones are left alone."""
    before = tracked(machine)
    monkeypatch.setattr("weft.kernel.conntrack._CTA_FILTER", 9999)
    kernel.flush_connections(["10.9.0.2"])
    assert kept(tracked(machine)) == kept(line for line in before if "=10.9.0.2 " not in line)


@pytest.mark.usefixtures("boxes")
def test_many_connections(kernel: LinuxKernel, machine: Host, boxes: list[Space]) -> None:
    """More than travel in one send."""
    for port in range(20000, 20200):
        boxes[0].send_udp("10.9.0.1", port, timeout=0.001)
    assert len([line for line in tracked(machine) if "src=10.9.0.2 " in line]) >= 200
    kernel.flush_connections(["10.9.0.2"])
    assert not [line for line in tracked(machine) if "=10.9.0.2 " in line]


def test_nothing_to_forget(kernel: LinuxKernel) -> None:
    kernel.flush_connections([])
    kernel.flush_connections(["10.9.0.2", "fd00::1"])


def test_a_refusal(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.kernel.conntrack._GET", 0xFF01)
    with pytest.raises((KernelRefused, Unsupported)) as caught:
        kernel.flush_connections(["10.9.0.2"])
    assert "conntrack -D" in str(caught.value.evidence["command"])


def kept(lines: object) -> list[str]:
    """Return what identifies connections: state and timeout change while one looks."""
    assert hasattr(lines, "__iter__")
    return sorted(" ".join(word for word in line.split() if "=" in word and "use=" not in word) for line in lines)


