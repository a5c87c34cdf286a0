"""A host that does not forward: weft says so, turns it on where it needs it, keeps the host no router, puts it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan, Outside
from weft.testing.oracles import Snapshot, assert_clean

ALL4 = "net/ipv4/conf/all/forwarding"
ALL6 = "net/ipv6/conf/all/forwarding"
QUICK = 0.3


@pytest.fixture(scope="module")
def lan2(hosts: Hosts) -> Lan:
    return hosts.lan("203.0.113.0/24", v6="2001:db8:2::/64")


@pytest.fixture(scope="module")
def machine(hosts: Hosts, lan: Lan, lan2: Lan) -> Host:
    """A machine on two LANs, on which an agent has been: it keeps its directories."""
    made = hosts.host("h1", lan, lan2)
    made.start_agent()
    leave(made)
    return made


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """The machine, forwarding nothing as it comes, without an agent; it is left as it was found."""
    for path in (ALL4, ALL6):  # the host's switches set those of every interface
        machine.sysctl(path, 1)
        machine.sysctl(path, 0)
    before = Snapshot.take(machine)
    yield machine
    if machine.agent is not None:
        leave(machine)
        assert_clean(before, machine)


def leave(host: Host) -> None:
    """Take everything of weft's away, and the agent itself."""
    host.weft("down", "--all")
    host.agent.wait(10)
    host.kill_agent()


def forwarding(host: Host, interface: str, version: int = 4) -> bool:
    switch = "forwarding" if version == 4 else "force_forwarding"
    return host.sysctl(f"net/ipv{version}/conf/{interface}/{switch}") == "1"


def container(host: Host, name: str, *options: str) -> str:
    host.weft("run", "-d", "--name", name, *options, "--", "sleep", "1000")
    return name


def test_it_is_turned_on_for_single_interfaces(host: Host) -> None:
    """The host's own switches stay off; what has nothing to do with IPv6 leaves IPv6 alone."""
    host.start_agent("")
    assert [forwarding(host, name) for name in ("weft0", "eth0", "eth1", "lo", "default", "all")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert host.sysctl("net/ipv4/ip_forward") == "0"
    assert not any(forwarding(host, name, 6) for name in ("weft0", "eth0", "eth1", "all"))
    assert host.inside(container(host, "c1")).ping(INTERNET)


def test_weft_says_what_it_does(host: Host) -> None:
    host.start_agent("")
    assert "off on eth0, eth1 without weft, which turns it on as needed" in host.weft("doctor").stdout
    assert "sysctl -w net/ipv4/conf/eth0/forwarding=1" in host.weft("plan").stdout
    assert "net/ipv4/conf/eth0/forwarding was 0" in host.log


def test_ipv6_is_turned_on_with_the_first_network_that_has_it_and_off_with_the_last(host: Host) -> None:
    host.start_agent("")
    host.weft("network", "create", "--ipv6", "six")
    assert forwarding(host, "eth0", 6) and host.sysctl(ALL6) == "0"
    assert host.inside(container(host, "c1", "--net", "six")).ping(INTERNET6)
    host.weft("rm", "-f", "c1")
    host.weft("network", "rm", "six")
    assert not forwarding(host, "eth0", 6)


def test_internal_networks_need_none(host: Host) -> None:
    host.start_agent("")
    host.weft("network", "create", "--internal", "--bridge", "inside", "--ipv6", "inside")
    assert not forwarding(host, "inside") and not forwarding(host, "inside", 6) and not forwarding(host, "eth0", 6)


def test_neighbours_do_not_get_a_router(host: Host, lan2: Lan, eve: Outside, hosts: Hosts) -> None:
    """Nothing is carried from one LAN to the other, though both interfaces now forward."""
    victim = hosts.outside("victim", lan2)
    host.start_agent("")
    host.weft("network", "create", "--ipv6", "six")
    for target, gateway in ((victim.address, host.address), (victim.address6, host.address6)):
        eve.run("ip", "route", "replace", target, "via", gateway)
        assert not eve.ping(target, QUICK)
        eve.run("ip", "route", "delete", target)
        assert eve.ping(target)  # by the LANs' own router


def test_a_single_interface_that_was_closed_is_closed_again(host: Host) -> None:
    """Also on a host that is a router otherwise."""
    host.sysctl(ALL4, 1)
    host.sysctl("net/ipv4/conf/eth0/forwarding", 0)
    host.start_agent("")
    assert forwarding(host, "eth0")
    leave(host)
    assert not forwarding(host, "eth0") and forwarding(host, "eth1")


def test_what_was_on_before_stays_on(host: Host) -> None:
    host.sysctl("net/ipv4/conf/eth1/forwarding", 1)
    host.start_agent("")
    assert forwarding(host, "eth0") and forwarding(host, "eth1")
    leave(host)
    assert not forwarding(host, "eth0") and forwarding(host, "eth1")


def test_what_somebody_turned_on_meanwhile_stays_on(host: Host) -> None:
    """Whoever made the host a router while weft ran finds it a router afterwards, all of its interfaces."""
    host.start_agent("")
    host.weft("network", "create", "--ipv6", "six")
    host.sysctl(ALL4, 1)
    host.sysctl(ALL6, 1)
    leave(host)
    assert [forwarding(host, name) for name in ("eth0", "eth1", "all")] == [True, True, True]
    assert host.sysctl(ALL6) == "1"


def test_it_is_put_back_also_after_the_agent_was_killed(host: Host) -> None:
    host.start_agent("")
    host.restart_agent(kill=True)
    leave(host)
    assert not forwarding(host, "eth0") and not forwarding(host, "eth1")


def test_when_weft_may_not_it_says_what_does_not_work(host: Host) -> None:
    host.start_agent("ip_forward = false")
    assert not forwarding(host, "eth0") and not forwarding(host, "weft0")
    said = host.weft("status").stdout
    assert "forwarding is off on eth0, eth1: containers cannot reach outside" in said
    assert "ip_forward = true" in said
    assert not host.inside(container(host, "c1")).ping(INTERNET, QUICK)
