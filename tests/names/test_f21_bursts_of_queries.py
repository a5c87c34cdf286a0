"""Ten thousand containers' worth of A and AAAA pairs at once: none is lost, so none waits for five seconds."""

from __future__ import annotations

import select
import socket
import time

import pytest

from . import dnsclient
from .dnsclient import AAAA, A
from .lab import Lab, Member

PAIRS = 10_000
#: How many pairs are under way at a time: as the C library does it, both queries of one leave by one socket.
SOCKETS = 500


def _pairs(member: Member, gateway: str) -> tuple[float, int]:
    """Return how long the slowest pair took, and how many got no answer within a second."""
    queries = [dnsclient.query("web", kind) for kind in (A, AAAA)]

    def burst() -> tuple[float, int]:
        slowest, lost = 0.0, 0
        for _ in range(PAIRS // SOCKETS):
            waiting: dict[int, tuple[socket.socket, int]] = {}
            poll = select.epoll()
            handles = []
            for _ in range(SOCKETS):
                handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                handle.connect((gateway, 53))
                handles.append(handle)
            began = time.perf_counter()
            for handle in handles:
                for query in queries:
                    handle.send(query)
                waiting[handle.fileno()] = (handle, 2)
                poll.register(handle, select.EPOLLIN)
            while waiting and time.perf_counter() - began < 1.0:
                for number, _ in poll.poll(0.1):
                    handle, missing = waiting.pop(number)
                    dnsclient.parse(handle.recv(512))
                    if missing > 1:
                        waiting[number] = (handle, missing - 1)
                if not waiting:
                    slowest = max(slowest, time.perf_counter() - began)
            lost += len(waiting)
            for handle in handles:
                handle.close()
            poll.close()
        return slowest, lost

    return member.node.call(burst)


@pytest.mark.parametrize("redirected", [False, True], ids=["at port 53", "led to a view"])
def test_no_pair_is_lost_in_a_burst(lab: Lab, redirected: bool) -> None:
    network = lab.network("shop_net", "10.91.1")
    lab.answer(network)
    lab.firewall()
    client = lab.container("web", (network, 10), dns=("192.0.2.1",) if redirected else ())
    if redirected:
        assert client.use_own_view() != 53
    slowest, lost = _pairs(client, "10.91.1.1")
    assert lost == 0
    assert slowest < 1.0
