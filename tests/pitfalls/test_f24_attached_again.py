"""After a kill in the middle of anything, the same command typed again works: nothing "exists already".

The same name, address, MAC, host port, interface and bridge are asked for again, so that one that lingers is in the
way.  Only what is really there may be said to be, and then all of it is.  (Each single step is killed for F22.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from weft.agent.agent import Agent
from weft.model.errors import Conflict
from weft.model.requests import Attach, Connect, CreateNetwork, Disconnect, Run
from weft.testing.hosts import Host, Hosts
from weft.testing.mortal import die, live
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

#: Every so-manieth step is killed.
STRIDE = 8
TOO_MANY = 400

ADDRESSES = ["10.74.0.9", "fd00:74::9"]


class Command(NamedTuple):
    """What is done, how it is undone, and whether it is wholly there."""

    do: Callable[[Agent], Any]
    undo: Callable[[Agent], Any]
    is_complete: Callable[[Agent], bool]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Hosts() as hosts:
        host = hosts.host("h1", hosts.lan())
        live(host, _make_networks)
        yield host


def _make_networks(agent: Agent) -> None:
    agent.create_network(CreateNetwork(name="app", subnets=("10.74.0.0/24", "fd00:74::/64")))
    agent.create_network(CreateNetwork(name="second", subnets=("10.73.0.0/24",)))


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    return host.container("box")


@pytest.fixture(scope="module")
def commands(host: Host, box: Space) -> dict[str, Command]:
    mate = host.container("mate")
    live(host, lambda agent: agent.attach(Attach(name="mate", netns=mate.path, networks=("app",))))
    identity = {
        "ip": ADDRESSES[0],
        "ip6": ADDRESSES[1],
        "mac": "02:00:00:00:00:09",
        "publish": ("8080:80", "[::1]:81:80"),
    }
    network = CreateNetwork(name="new", bridge="br-new", subnets=("10.72.0.0/24",))
    return {
        "attach": Command(
            lambda agent: agent.attach(
                Attach(name="box", netns=box.path, networks=("app",), interface="lan0", aliases=("db",), **identity)
            ),
            lambda agent: agent.detach("box", None),
            lambda agent: box.addresses("lan0") == ADDRESSES and box.ping("10.74.0.1") and _published(agent, "box"),
        ),
        "run": Command(
            lambda agent: agent.run(Run(name="job", networks=("app",), command=("sleep", "1000"), **identity)),
            lambda agent: agent.remove("job", force=True),
            _runs,
        ),
        "connect": Command(
            lambda agent: agent.connect("second", Connect(container="mate", ip="10.73.0.9", interface="lan1")),
            lambda agent: agent.disconnect("second", Disconnect(container="mate")),
            lambda agent: mate.addresses("lan1") == ["10.73.0.9"] and mate.ping("10.73.0.1"),
        ),
        "network": Command(
            lambda agent: agent.create_network(network),
            lambda agent: agent.remove_network("new"),
            lambda agent: "10.72.0.1" in host.addresses("br-new"),
        ),
    }


def _runs(agent: Agent) -> bool:
    """Whether the container is there.  An interrupted removal may have ended it, and it can be started again."""
    if not agent.inspect("job")["State"]["Running"]:
        agent.start("job")
    return _published(agent, "job")


def _published(agent: Agent, name: str) -> bool:
    return sorted(port["host_port"] for port in agent.ports(name)) == [81, 8080, 8080]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("interrupted", ["do", "undo"])
@pytest.mark.parametrize("name", ["attach", "run", "connect", "network"])
def test_the_same_again(host: Host, commands: dict[str, Command], name: str, interrupted: str) -> None:
    command = commands[name]
    live(host, command.do)
    live(host, command.undo)
    clean = Snapshot.take(host)

    def again(agent: Agent) -> None:
        try:
            command.do(agent)
        except Conflict as conflict:
            assert command.is_complete(agent), conflict
            command.undo(agent)
            command.do(agent)
        assert command.is_complete(agent)
        command.undo(agent)

    for fatal in range(1, TOO_MANY, STRIDE):
        if interrupted == "undo":
            live(host, command.do)
        death = die(host, getattr(command, interrupted), fatal)
        live(host, again)
        assert_clean(clean, host)
        if death.step is None:
            assert fatal > 10
            return
    raise AssertionError(f"more than {TOO_MANY} steps")
