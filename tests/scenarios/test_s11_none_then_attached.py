"""A container starts with --net none, and is attached later by hand."""

from __future__ import annotations

import pytest

from weft.testing.hosts import Host, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

from .refusals import refusal


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    """The host with a network that has been used before: its name server and its bridge's addresses are there."""
    host.weft("network", "create", "app", "--ipv6")
    host.weft("run", "--rm", "--net", "app", "--", "true")
    return host


@pytest.fixture
def box(request: pytest.FixtureRequest, host: Host) -> Space:
    host.weft("run", "-d", "--name", "box", "--net", "none", "--", "sleep", "1000")
    request.addfinalizer(lambda: host.weft("rm", "-f", "box"))
    return host.inside("box")


def _is_alone(box: Space) -> bool:
    routes = box.run("ip", "route").stdout + box.run("ip", "-6", "route", "show", "default").stdout
    return box.interfaces() == ["lo"] and not routes


def test_first_there_is_only_lo(box: Space, eve: Outside) -> None:
    assert _is_alone(box)
    assert box.run_json("ip", "-j", "link", "show", "lo")[0]["flags"].count("UP") == 1
    assert box.ping("127.0.0.1") and box.ping("::1")
    for address in (eve.address, eve.address6):
        assert box.connect(address, 80).outcome == "unreachable"


def test_attached_later_it_works_like_any_other(host: Host, box: Space, eve: Outside) -> None:
    alone = Snapshot.take(host)
    host.weft("network", "connect", "app", "box")
    assert sorted(box.interfaces()) == ["eth0", "lo"]
    server = eve.serve_tcp()
    for address, own in ((eve.address, host.address), (eve.address6, host.address6)):
        assert box.connect(address, server.port).text == own
    mate = host.container("mate")
    host.weft("attach", "--netns", mate.path, "--name", "mate", "--net", "app")
    for address in mate.addresses():
        assert box.ping(address)
    assert "mate" in host.weft("exec", "box", "--", "getent", "hosts", "mate").stdout

    host.weft("detach", "mate")
    host.weft("network", "disconnect", "app", "box")
    assert _is_alone(box)
    assert_clean(alone, host)


def test_attached_by_hand_without_weft_it_works_too(host: Host, box: Space) -> None:
    """As people do it with ip(8): weft leaves alone what they put there."""
    path = host.weft_json("inspect", "box")[0]["NetworkSettings"]["SandboxKey"]
    host.ip(
        f"link add by-hand type veth peer name eth0 netns {path}",
        "address add 10.11.0.1/30 dev by-hand", "link set by-hand up",
    )  # fmt: skip
    host.sysctl("net/ipv6/conf/by-hand/disable_ipv6", 1)
    box.ip("address add 10.11.0.2/30 dev eth0", "link set eth0 up")
    assert host.ping("10.11.0.2")
    host.weft("network", "connect", "app", "box")
    assert sorted(box.interfaces()) == ["eth0", "eth1", "lo"]
    host.weft("network", "disconnect", "app", "box")
    assert host.ping("10.11.0.2")


def test_its_networks_are_there_again_after_a_restart(host: Host, box: Space) -> None:
    host.weft("network", "connect", "--interface", "app0", "app", "box")
    given = box.addresses()
    host.weft("stop", "box")
    host.weft("start", "box")
    box = host.inside("box")
    assert sorted(box.interfaces()) == ["app0", "lo"]
    assert len(box.addresses("app0")) == len(given)


def test_none_cannot_be_combined(host: Host) -> None:
    run = ("run", "-d", "--net", "none")
    command = ("--", "sleep", "1000")
    assert "--net none cannot be combined" in refusal(host, *run, "--net", "app", *command)
    assert "ports can only be published" in refusal(host, *run, "-p", "80:80", *command)
    assert "needs a network" in refusal(host, *run, "--ip", "10.11.0.9", *command)
