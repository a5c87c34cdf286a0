"""250 containers on one host: all work, and attaching the last takes as much as attaching the first did.

How long it takes, and with a thousand of them, is for the benchmarks; here it is what is done that must not grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from weft.testing.hosts import Host
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

MANY = 250


def attach(host: Host, box: Space, name: str, *publish: str) -> int:
    """Attach through the API and return how many commands that stands for."""
    body = {"name": name, "netns": box.path, "networks": ["many"], "publish": publish}
    return len(host.api.request("POST", "/v1/attachments", body)["operations"])


@pytest.fixture(scope="module")
def boxes(host: Host) -> Iterator[list[Space]]:
    host.weft("network", "create", "many", "--subnet", "10.52.0.0/22", "--subnet", "fd00:52::/64")
    yield [host.container(f"box{number}") for number in range(MANY)]


@pytest.mark.timeout(180)
def test_all_of_them_work_and_go(host: Host, boxes: list[Space]) -> None:
    warm = host.container("warm")
    # What stays after a first use: the name server of the network, and the socket that conntrack is spoken to by.
    attach(host, warm, "warm")
    host.weft("detach", "warm")
    attach(host, warm, "warm")
    clean = Snapshot.take(host)
    commands = [attach(host, box, f"c{n}", f"{20000 + n}:80") for n, box in enumerate(boxes)]
    assert len(set(commands)) == 1

    addresses = [box.addresses("eth0") for box in boxes]
    assert len({address for pair in addresses for address in pair}) == 2 * MANY
    assert len({box.mac("eth0") for box in boxes}) == MANY
    for (box, _), (_, theirs) in pairwise(zip(boxes, addresses, strict=True)):
        assert all(box.ping(address) for address in theirs)
    for box, number in ((boxes[0], 0), (boxes[-1], MANY - 1)):
        box.serve_tcp(80, b"mine")
        assert host.connect("127.0.0.1", 20000 + number).data == b"mine"
    answer = boxes[0].run("dig", "+short", "+time=2", "@10.52.0.1", f"c{MANY - 1}").stdout.split()
    assert answer == [addresses[-1][0]]

    for number in range(MANY):
        host.api.request("DELETE", f"/v1/attachments/c{number}")
    assert all(box.interfaces() == ["lo"] for box in boxes)
    assert_clean(clean, host)
