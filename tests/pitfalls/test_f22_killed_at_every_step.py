"""kill -9 before and after every kernel change and store write of attaching and detaching, then a restart.

The kill points are not listed here: they are the steps that the agent takes, counted as it takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from weft.agent.agent import Agent
from weft.model.requests import Attach, Connect, CreateNetwork, Disconnect, Run
from weft.testing.hosts import Host, Hosts
from weft.testing.mortal import die, live
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

#: More steps than any of these changes has; reaching it means that the counting is broken.
TOO_MANY = 400

Work = Callable[[Agent], None]


@pytest.fixture
def host() -> Iterator[Host]:
    with Hosts() as hosts:
        host = hosts.host("h1", hosts.lan())
        live(host, _make_networks)
        # What the kernel keeps of a first use (a bridge's link-local address) and the networks' name servers, which
        # stay as long as these, are no leftovers of a later one.
        box = host.container("first")
        live(host, partial(_attach, box))
        live(host, _second_time)
        yield host


def _second_time(agent: Agent) -> None:
    agent.connect("second", Connect(container="box"))
    agent.disconnect("second", Disconnect(container="box"))
    _detach(agent)


@pytest.fixture
def box(host: Host) -> Space:
    return host.container("box")


def _make_networks(agent: Agent) -> None:
    agent.create_network(CreateNetwork(name="app", subnets=("10.77.0.0/24", "fd00:77::/64"), icc=False))
    agent.create_network(CreateNetwork(name="second", subnets=("10.78.0.0/24",)))


def _attach(box: Space, agent: Agent) -> None:
    agent.attach(Attach(name="box", netns=box.path, networks=("app",), publish=("8080:80",)))


def _detach(agent: Agent) -> None:
    agent.detach("box", None)


def _names(agent: Agent) -> list[str]:
    return [row["name"] for row in agent.list_containers(everything=True)]


def _is_complete(box: Space, agent: Agent) -> bool:
    """Whether ``box`` is attached; anything between that and not being known fails."""
    if _names(agent) != ["box"]:
        assert _names(agent) == []
        return False
    recorded = agent.list_containers()[0]["networks"]["app"]
    assert box.addresses("eth0") == [recorded["ip"], recorded["ip6"]]
    assert box.ping("10.77.0.1") and box.ping("fd00:77::1")
    assert [port["host_port"] for port in agent.ports("box")] == [8080, 8080]
    return True


def _deaths(host: Host, work: Work, prepare: Callable[[], None]) -> Iterator[str]:
    """Yield the name of each step at which the agent was killed during ``work``; ``prepare`` is done before each."""
    for fatal in range(1, TOO_MANY):
        prepare()
        death = die(host, work, fatal)
        if death.step is None:
            # What is done behind the caller's back may or may not fall into the time of the work.
            assert 10 < death.steps < fatal
            return
        yield death.step
    raise AssertionError(f"more than {TOO_MANY} steps")


@pytest.mark.timeout(240)
def test_attaching_is_done_or_was_never_begun(host: Host, box: Space) -> None:
    clean = Snapshot.take(host)
    inside = set(box.interfaces())

    def after_death(step: str, agent: Agent) -> None:
        if _is_complete(box, agent):
            _detach(agent)
        assert set(box.interfaces()) == inside, f"killed {step}"
        # Nothing is in the way of another attempt.
        _attach(box, agent)
        assert _is_complete(box, agent)
        _detach(agent)

    for step in _deaths(host, partial(_attach, box), lambda: None):
        live(host, partial(after_death, step))
        assert_clean(clean, host)
    live(host, _detach_if_there)
    assert_clean(clean, host)


@pytest.mark.timeout(240)
def test_detaching_is_finished(host: Host, box: Space) -> None:
    clean = Snapshot.take(host)

    def attached_again() -> None:
        live(host, partial(_attach, box))

    def after_death(step: str, agent: Agent) -> None:
        if _names(agent):  # it had not begun
            assert _is_complete(box, agent), f"killed {step}"
            _detach(agent)

    for step in _deaths(host, _detach, attached_again):
        live(host, partial(after_death, step))
        assert box.interfaces() == ["lo"]
        assert_clean(clean, host)


@pytest.mark.timeout(240)
def test_connecting_and_disconnecting_a_second_network(host: Host, box: Space) -> None:
    live(host, partial(_attach, box))
    clean = Snapshot.take(host)

    def change(agent: Agent) -> None:
        agent.connect("second", Connect(container="box"))
        agent.disconnect("second", Disconnect(container="box"))

    def after_death(agent: Agent) -> None:
        networks = agent.list_containers()[0]["networks"]
        assert "app" in networks
        if "second" in networks:
            assert box.addresses("eth1") == [networks["second"]["ip"]]
            agent.disconnect("second", Disconnect(container="box"))

    for _ in _deaths(host, change, lambda: None):
        live(host, after_death)
        assert _is_complete_after(host, box)
        assert_clean(clean, host)


@pytest.mark.timeout(240)
def test_running_a_process(host: Host) -> None:
    clean = Snapshot.take(host)

    def run(agent: Agent) -> None:
        agent.run(Run(name="job", networks=("app",), command=("sleep", "1000")))

    def after_death(agent: Agent) -> None:
        if "job" in _names(agent):
            assert agent.list_containers()[0]["state"] == "running"
            agent.remove("job", force=True)

    for _ in _deaths(host, run, lambda: None):
        live(host, after_death)
        assert_clean(clean, host)
    live(host, after_death)
    assert_clean(clean, host)


def _detach_if_there(agent: Agent) -> None:
    if _names(agent):
        _detach(agent)


def _is_complete_after(host: Host, box: Space) -> bool:
    live(host, lambda agent: _assert_complete(box, agent))
    return True


def _assert_complete(box: Space, agent: Agent) -> None:
    assert _is_complete(box, agent)
