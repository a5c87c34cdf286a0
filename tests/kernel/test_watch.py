"""Whoever changes something on the host, weft is told of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from weft.kernel import watch
from weft.kernel.linux import LinuxKernel
from weft.plan.operations import Add
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import BRIDGE

#: Seconds after which a change must have been told of.
SOON = 1.0


@pytest.fixture
def told(kernel: LinuxKernel) -> Iterator[queue.Queue[str]]:
    """The reasons that a subscriber is told."""
    reasons: queue.Queue[str] = queue.Queue()
    end = kernel.subscribe(reasons.put)
    yield reasons
    end()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ip link add br-x type bridge", "link"),
        ("ip link set lo mtu 1400", "link"),
        ("ip address add 192.0.2.1/32 dev lo", "address"),
        ("ip address add 2001:db8::1/128 dev lo", "address"),
        ("ip route add 198.51.100.0/24 dev lo", "route"),
        ("ip route add 2001:db8:1::/64 dev lo", "route"),
        ("nft add table ip other", "nftables"),
        ("nft flush ruleset", "nftables"),
    ],
)
def test_a_change_is_told(machine: Host, told: queue.Queue[str], command: str, reason: str) -> None:
    if command.endswith("ruleset"):
        machine.run("nft", "add", "table", "ip", "other")
        time.sleep(0.2)
        told.queue.clear()
    machine.run(*command.split())
    start = time.monotonic()
    while told.get(timeout=SOON) != reason:
        pass
    assert time.monotonic() - start < SOON


def test_own_changes_are_told_too(kernel: LinuxKernel, told: queue.Queue[str]) -> None:
    kernel.apply((Add(object=BRIDGE),))
    assert told.get(timeout=SOON) == "link"


def test_a_burst_is_told_of_few_times(machine: Host, told: queue.Queue[str]) -> None:
    machine.ip(*(f"address add 10.{a}.{b}.1/32 dev lo" for a in range(5) for b in range(100)))
    time.sleep(0.3)
    assert 1 <= [told.get_nowait() for _ in range(told.qsize())].count("address") < 10


def test_other_hosts_changes_are_not_told(box: Space, told: queue.Queue[str]) -> None:
    box.ip("address add 192.0.2.1/32 dev lo", "route add 198.51.100.0/24 dev lo")
    with pytest.raises(queue.Empty):
        told.get(timeout=0.3)


def test_lost_events_are_told_as_such(
    kernel: LinuxKernel, machine: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More happens than there is room for: anything may have changed."""
    monkeypatch.setattr(watch, "_BUFFER", 4096)
    monkeypatch.setattr(watch, "_GATHER_S", 0.5)
    reasons: queue.Queue[str] = queue.Queue()
    end = kernel.subscribe(reasons.put)
    machine.ip(*(f"address add 10.0.{a}.1/32 dev lo" for a in range(200)))
    while reasons.get(timeout=2) != "overrun":
        pass
    machine.ip("link add br-x type bridge")
    while reasons.get(timeout=2) != "link":
        pass
    end()


def test_the_end_of_a_subscription(kernel: LinuxKernel, machine: Host) -> None:
    """Nothing is told after it, and its thread is gone; ending it again, or by the kernel's own end, is fine."""
    reasons: list[str] = []
    threads = threading.active_count()
    end = kernel.subscribe(reasons.append)
    end()
    end()
    machine.ip("link add br-x type bridge")
    time.sleep(0.2)
    assert reasons == []
    assert threading.active_count() == threads


def test_a_subscriber_may_end_it_himself(kernel: LinuxKernel, machine: Host) -> None:
    ended = threading.Event()

    def notify(reason: str) -> None:
        end()
        ended.set()

    end = kernel.subscribe(notify)
    machine.ip("link add br-x type bridge")
    assert ended.wait(SOON)
