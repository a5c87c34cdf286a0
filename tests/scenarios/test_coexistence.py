"""Beside Docker's rules, ufw and firewalld, each as it comes, with forwarding closed: containers work all the same.

weft asks each by the hook that it documents, for its own bridges only; not a byte else of theirs changes, and what was
asked for is taken back.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import product

import pytest

from tests.names import dnsclient
from tests.scenarios.foreign_firewalls import Docker, DockerLegacy, Firewall, Firewalld, Ufw
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

SUBNETS = {4: "10.66.0.0/24", 6: "fd00:66::/64"}
GATEWAYS = ("10.66.0.1", "fd00:66::1")
BRIDGES = ("weft0", "br-app")
QUICK = 0.3


@pytest.fixture(scope="module", params=[Docker, DockerLegacy, Ufw, Firewalld], ids=lambda kind: kind.__name__)
def firewall(request: pytest.FixtureRequest, hosts: Hosts, lan: Lan) -> Firewall:
    """A host with another firewall, and two containers that will be attached."""
    kind: type[Firewall] = request.param
    host = hosts.host(kind.__name__.lower(), lan)
    firewall = kind(host)
    firewall.begin()
    firewall.before = firewall.holds()
    return firewall


@pytest.fixture(scope="module")
def eve(hosts: Hosts, lan: Lan) -> Outside:
    eve = hosts.outside("eve", lan)
    eve.serve_tcp(7000)
    return eve


@pytest.fixture(scope="module")
def host(firewall: Firewall) -> Host:
    """The same host with weft: a container that publishes a port, and one on two networks."""
    host = firewall.host
    firewall.start_agent()
    host.weft("network", "create", "app", "--bridge", "br-app", "--subnet", SUBNETS[4], "--subnet", SUBNETS[6])
    box, mate = firewall.boxes
    host.weft("attach", "--netns", box.path, "--name", "box", "--net", "app", "-p", "8080:80")
    host.weft("attach", "--netns", mate.path, "--name", "mate", "--net", "app")
    host.weft("network", "connect", "bridge", "mate")
    box.serve_tcp(80, b"hello")
    host.serve_tcp(99, b"host")
    return host


def reaches_outside(box: Space, eve: Outside) -> bool:
    return box.connect(eve.address, 7000, timeout=QUICK).outcome == "reply"


def test_containers_reach_outside_as_the_host(host: Host, firewall: Firewall, eve: Outside) -> None:
    for box in firewall.boxes:
        assert box.connect(eve.address, 7000).text == host.address
    assert firewall.boxes[0].connect(eve.address6, 7000).text == host.address6


def test_published_ports_are_reached(host: Host, eve: Outside) -> None:
    for space, address in product((eve, host), (host.address, host.address6)):
        assert space.connect(address, 8080).data == b"hello"


def test_names_are_answered(host: Host, firewall: Firewall) -> None:
    """Also to a container on two networks, whose name server listens at a port of its own."""
    for box, gateway in product(firewall.boxes, GATEWAYS):
        assert knows_names(box, gateway), (box.name, gateway)


def knows_names(box: Space, gateway: str = GATEWAYS[0]) -> bool:
    answer = box.send_udp(gateway, 53, dnsclient.query("box"), timeout=QUICK)
    return bool(answer.data) and dnsclient.parse(answer.data).values == ["10.66.0.2"]


def test_containers_reach_each_other(host: Host, firewall: Firewall) -> None:
    box, mate = firewall.boxes
    assert {mate.connect(address, 80).data for address in box.addresses()} == {b"hello"}


def test_what_is_not_published_stays_closed(host: Host, firewall: Firewall, eve: Outside) -> None:
    """The hooks let pass whatever is the bridges'; weft's own filters still decide."""
    box = firewall.boxes[0]
    for version, gateway in ((4, host.address), (6, host.address6)):
        eve.run("ip", "route", "replace", SUBNETS[version], "via", gateway)
    answers = together(*(partial(eve.connect, address, 80, timeout=QUICK) for address in box.addresses()))
    assert {answer.outcome for answer in answers} == {"timeout"}


def test_what_it_closes_stays_closed(host: Host, firewall: Firewall, eve: Outside) -> None:
    """Of a port of the host itself, which weft leaves to others; firewalld's zone 'trusted' may reach it."""
    reached = {space.name for space in (eve, firewall.boxes[0]) if space.connect(host.address, 99, timeout=QUICK).data}
    assert reached == {"docker": {"eve", "box"}, "firewalld": {"box"}, "ufw": set()}[firewall.name]


def test_nothing_of_it_changed_but_the_hook(host: Host, firewall: Firewall) -> None:
    now, before = Counter(firewall.holds()), Counter(firewall.before)
    assert before - now == Counter()
    added = now - before
    assert [line for line in added if line.strip() and not any(bridge in line for bridge in BRIDGES)] == []
    assert len(added) >= len(BRIDGES)


def test_weft_says_what_it_asked_for(host: Host, firewall: Firewall) -> None:
    plan = host.weft("plan").stdout
    assert [line for bridge in BRIDGES for line in firewall.asked(bridge) if line not in plan] == []
    assert f"{firewall.name}: weft's bridges are admitted by their own hooks" in host.weft("doctor").stdout


def test_without_the_hook_it_is_closed_and_weft_asks_again(host: Host, firewall: Firewall, eve: Outside) -> None:
    host.kill_agent()
    asked = firewall.holds()
    firewall.close("br-app")
    box = firewall.boxes[0]
    assert not (reaches_outside(box, eve) and knows_names(box))
    firewall.start_agent()
    assert reaches_outside(box, eve) and knows_names(box)
    assert Counter(firewall.holds()) == Counter(asked)


def test_with_a_network_its_bridge_is_taken_back(host: Host, firewall: Firewall) -> None:
    host.weft("network", "create", "short", "--bridge", "br-short")
    assert [line for line in firewall.holds() if "br-short" in line]
    host.weft("network", "rm", "short")
    assert [line for line in firewall.holds() if "br-short" in line] == []


def test_in_the_end_everything_is_taken_back(host: Host, firewall: Firewall) -> None:
    host.weft("down", "--all")
    host.agent.wait(10)
    host.kill_agent()
    assert firewall.holds() == firewall.before


def test_one_that_comes_after_weft_is_asked_as_well(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    late = Docker(hosts.host("late", lan))
    late.host.start_agent()
    box = late.boxes[0]
    late.host.weft("attach", "--netns", box.path, "--name", "box", "--net", "bridge")
    late.begin()
    eventually(lambda: reaches_outside(box, eve))
