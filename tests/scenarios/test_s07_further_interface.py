"""A further interface for a running container, with what the user wants of it, live and away again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from weft.testing.hosts import Host
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

from .refusals import refusal

MAC = "02:42:99:00:00:07"
WISHES = ("--interface", "back0", "--ip", "10.7.0.77", "--ip6", "fd00:7::77", "--mac-address", MAC)
#: Gateways of the two networks; they are not the first addresses.
GATEWAYS, BACK_GATEWAYS = ("10.6.0.254", "fd00:6::fe"), ("10.7.0.254", "fd00:7::fe")

_NUMBERS = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def networks(host: Host) -> None:
    """Two networks, and a neighbour on the second, which answers a ping when that works."""
    for number, name in ((6, "front"), (7, "back")):
        host.weft(
            "network", "create", name, "--subnet", f"10.{number}.0.0/24", "--gateway", f"10.{number}.0.254",
            "--subnet", f"fd00:{number}::/64", "--gateway", f"fd00:{number}::fe",
        )  # fmt: skip
    neighbour = host.container("neighbour")
    host.weft(
        "attach", "--netns", neighbour.path, "--name", "neighbour", "--net", "back", "--ip", "10.7.0.8",
        "--ip6", "fd00:7::8",
    )  # fmt: skip


def _run(host: Host) -> Space:
    host.weft("run", "-d", "--name", "box", "--net", "front", "--", "sleep", "1000")
    return host.inside("box")


def _attach(host: Host) -> Space:
    """Attach a namespace that somebody else made, with an interface of theirs in it."""
    bare = host.container(f"box{next(_NUMBERS)}")
    bare.ip("link add eth9 type bridge", "address add 203.0.113.5/24 dev eth9", "link set eth9 up")
    host.weft("attach", "--netns", bare.path, "--name", "box", "--net", "front")
    return bare


@pytest.fixture(params=[_run, _attach], ids=["run", "attach"])
def box(request: pytest.FixtureRequest, host: Host) -> Iterator[Space]:
    """A running container on the first network."""
    make: Callable[[Host], Space] = request.param
    box = make(host)
    yield box
    host.weft("rm", "-f", "box", check=False)


def _look(box: Space) -> list[str]:
    """Return everything in a namespace that could be left behind."""
    looks = (
        "link",
        "address",
        "route show table all",
        "-6 route show table all",
        "rule",
        "neighbour show nud permanent",
    )
    return [box.run("ip", *look.split()).stdout for look in looks]


def _default_routes(box: Space) -> list[tuple[str, str]]:
    routes = [
        route for family in ("-4", "-6") for route in box.run_json("ip", family, "-j", "route", "show", "default")
    ]
    return [(route["gateway"], route["dev"]) for route in routes]


def test_it_comes_with_what_was_asked_for_and_goes_without_a_trace(host: Host, box: Space) -> None:
    inside, outside = _look(box), Snapshot.take(host)

    host.weft("network", "connect", *WISHES, "back", "box")
    assert box.addresses("back0") == ["10.7.0.77", "fd00:7::77"]
    assert box.mac("back0") == MAC
    assert box.ping("10.7.0.8") and box.ping("fd00:7::8")
    (details,) = host.weft_json("inspect", "box")
    back = details["NetworkSettings"]["Networks"]["back"]
    assert (back["Interface"], back["MacAddress"]) == ("back0", MAC)
    assert (back["IPAddress"], back["GlobalIPv6Address"]) == ("10.7.0.77", "fd00:7::77")
    assert (back["Gateway"], back["IPv6Gateway"]) == BACK_GATEWAYS
    assert _default_routes(box) == [(gateway, "eth0") for gateway in GATEWAYS]  # what was there works as before

    host.weft("network", "disconnect", "back", "box")
    assert _look(box) == inside
    assert_clean(outside, host)


def test_its_gateway_serves_when_the_first_network_is_left(host: Host, box: Space) -> None:
    host.weft("network", "connect", *WISHES, "back", "box")
    host.weft("network", "disconnect", "front", "box")
    assert "eth0" not in box.interfaces()
    assert _default_routes(box) == [(gateway, "back0") for gateway in BACK_GATEWAYS]
    host.weft("network", "connect", "front", "box")
    assert _default_routes(box) == [(gateway, "back0") for gateway in BACK_GATEWAYS]
    assert box.ping(GATEWAYS[0]) and box.ping(GATEWAYS[1])


def test_a_restart_of_the_container_brings_it_again(host: Host) -> None:
    _run(host)
    host.weft("network", "connect", *WISHES, "back", "box")
    host.weft("stop", "box")
    host.weft("start", "box")
    box = host.inside("box")
    assert box.addresses("back0") == ["10.7.0.77", "fd00:7::77"]
    assert box.mac("back0") == MAC
    host.weft("rm", "-f", "box")


def test_attach_again_does_the_same_for_a_namespace(host: Host) -> None:
    box = _attach(host)
    inside, outside = _look(box), Snapshot.take(host)
    attach = ("attach", "--netns", box.path, "--name", "box", "--net", "back")
    host.weft(*attach, *WISHES)
    assert box.addresses("back0") == ["10.7.0.77", "fd00:7::77"]
    assert box.mac("back0") == MAC
    assert box.ping("10.7.0.8") and box.ping("fd00:7::8")
    assert "'box' is on network 'back' already" in refusal(host, *attach)

    host.weft("detach", "box", "back")
    assert _look(box) == inside
    assert_clean(outside, host)
    assert "-p can only be given the first time" in refusal(host, *attach, "-p", "80:80")

    host.weft("detach", "box")
    assert sorted(box.interfaces()) == ["eth9", "lo"]
    assert box.addresses() == ["203.0.113.5"]
    assert "no container 'box'" in refusal(host, "detach", "box")


def test_what_cannot_be_had_is_refused(host: Host) -> None:
    box = _run(host)

    def refused(*wishes: str) -> str:
        inside = _look(box)
        said = refusal(host, "network", "connect", *wishes, "back", "box")
        assert _look(box) == inside
        return said

    assert "an interface 'eth0'" in refused("--interface", "eth0")
    assert "'../eth1'" in refused("--interface", "../eth1")
    assert "belongs to 'neighbour'" in refused("--ip", "10.7.0.8")
    assert "belongs to 'neighbour'" in refused("--ip6", "fd00:7::8")
    assert "10.8.0.1" in refused("--ip", "10.8.0.1")
    assert "10.7.0.254" in refused("--ip", "10.7.0.254")
    assert "belongs to 'neighbour'" in refused(
        "--mac-address", host.weft_json("inspect", "neighbour")[0]["NetworkSettings"]["MacAddress"]
    )
    assert "01:00:5e:00:00:01" in refused("--mac-address", "01:00:5e:00:00:01")  # a group's
    assert "no network 'nowhere'" in refusal(host, "network", "connect", "nowhere", "box")
    assert "no container 'nobody'" in refusal(host, "network", "connect", "back", "nobody")
    assert "box" in refusal(host, "network", "disconnect", "back", "box")
    host.weft("rm", "-f", "box")


def test_an_interface_of_somebody_elses_is_not_taken(host: Host) -> None:
    box = _attach(host)
    inside = _look(box)
    assert "an interface named eth9 exists" in refusal(host, "network", "connect", "--interface", "eth9", "back", "box")
    assert _look(box) == inside
    box.ip("link add eth1 type bridge")
    host.weft("network", "connect", "back", "box")
    assert sorted(box.interfaces()) == ["eth0", "eth1", "eth2", "eth9", "lo"]
    assert box.ping("10.7.0.8")
    host.weft("detach", "box")
    assert sorted(box.interfaces()) == ["eth1", "eth9", "lo"]


def test_a_namespace_that_has_its_own_way_out_keeps_it(host: Host) -> None:
    """As another engine's container has: an eth0 and default routes."""
    box = host.container(f"box{next(_NUMBERS)}")
    box.ip(
        "link add eth0 type bridge", "link set eth0 up",
        "address add 203.0.113.5/24 dev eth0", "address add 2001:db8:7::5/64 dev eth0 nodad",
        "route add default via 203.0.113.1", "route add default via 2001:db8:7::1",
    )  # fmt: skip
    own = [("203.0.113.1", "eth0"), ("2001:db8:7::1", "eth0")]
    inside = _look(box)
    attach = ("attach", "--netns", box.path, "--name", "box", "--net", "back")
    assert "Published ports are answered by weft's default route" in refusal(host, *attach, "-p", "8080:80")
    assert _look(box) == inside

    host.weft(*attach)
    assert sorted(box.interfaces()) == ["eth0", "eth1", "lo"]
    assert box.ping("10.7.0.8") and box.ping("fd00:7::8")
    host.weft("network", "connect", "front", "box")
    assert box.ping(GATEWAYS[0]) and box.ping(GATEWAYS[1])
    assert _default_routes(box) == own
    host.weft("network", "disconnect", "back", "box")
    assert _default_routes(box) == own
    host.weft("detach", "box")
    assert _look(box) == inside
