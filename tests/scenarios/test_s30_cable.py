"""A cable between two containers: a veth pair with an address at each end, no bridge, no subnet."""

from __future__ import annotations

import pytest

from tests.scenarios.refusals import refusal
from weft.testing.capture import Capture
from weft.testing.hosts import INTERNET, Host
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space


@pytest.fixture(scope="module", autouse=True)
def ends(host: Host) -> dict[str, Space]:
    """Three containers: one on the default network, one on one with IPv6 too, one on none."""
    host.weft("network", "create", "--ipv6", "app")
    for name, network in {"left": "bridge", "right": "app", "alone": "none"}.items():
        host.weft("run", "-d", "--name", name, "--net", network, "--", "sleep", "1000")
    return {name: host.inside(name) for name in ("left", "right", "alone")}


def cable(host: Host, *names: str) -> dict[str, str]:
    """Plug a cable and return what weft says of its ends."""
    return dict(line.split() for line in host.weft("cable", *names).stdout.splitlines())


def unplug(host: Host) -> None:
    for plugged in host.weft_json("show", "--format", "json")["cables"]:
        host.weft("network", "disconnect", plugged["network"], plugged["ends"][0]["container"])


def interface(space: Space, address: str) -> str:
    return next(name for name in space.interfaces() if name != "lo" and address in space.addresses(name))


PAIRS = pytest.mark.parametrize(("left", "right"), [("10.9.0.1", "10.9.0.2"), ("fd00:9::1", "fd00:9::2")])


@PAIRS
def test_they_reach_each_other_over_it(host: Host, ends: dict[str, Space], left: str, right: str) -> None:
    plugged = cable(host, f"left:{left}", f"right:{right}")
    assert plugged == {"left": left, "right": right}
    for name, target in (("left", right), ("right", left)):
        near = interface(ends[name], plugged[name])
        with Capture(ends[name], lambda packet, target=target: packet.source == target, near) as capture:
            assert ends[name].ping(target)
        assert capture.seen
    server = ends["right"].serve_tcp()
    assert ends["left"].connect(right, server.port).text == left
    unplug(host)


@PAIRS
def test_each_end_has_one_address_with_the_other_as_its_peer(
    host: Host, ends: dict[str, Space], left: str, right: str
) -> None:
    cable(host, f"left:{left}", f"right:{right}")
    for name, near, far in (("left", left, right), ("right", right, left)):
        (link,) = ends[name].run_json("ip", "-j", "-d", "address", "show", "dev", interface(ends[name], near))
        assert link["linkinfo"]["info_kind"] == "veth"
        (address,) = [address for address in link["addr_info"] if address["scope"] == "global"]
        assert (address["local"], address["prefixlen"]) == (near, 128 if ":" in near else 32)
        assert address.get("address") == far
        (route,) = ends[name].run_json("ip", "-j", "route", "get", far)
        assert route["dev"] == link["ifname"] and "gateway" not in route
    unplug(host)


def test_the_host_has_no_part_in_it(host: Host) -> None:
    """No bridge, no port, no route, no rule: nothing but the record, which goes with the cable."""
    before = Snapshot.take(host)
    cable(host, "left:10.9.0.1", "right:10.9.0.2")
    new = [line for line in Snapshot.take(host) - before if not line.startswith(("store ", "descriptor "))]
    assert new == []
    unplug(host)
    assert_clean(before, host)


def test_the_other_interfaces_stay_as_they_are(host: Host, ends: dict[str, Space]) -> None:
    addresses = {name: space.addresses("eth0") for name, space in ends.items() if name != "alone"}
    routes = ends["left"].run_json("ip", "-j", "route", "show", "default")
    cable(host, "left", "right")
    assert all(ends[name].addresses("eth0") == value for name, value in addresses.items())
    assert ends["left"].run_json("ip", "-j", "route", "show", "default") == routes
    assert ends["left"].ping(INTERNET) and ends["right"].ping(INTERNET)
    unplug(host)
    assert all(space.interfaces() == ["lo", "eth0"] for name, space in ends.items() if name != "alone")
    assert ends["left"].ping(INTERNET)


def test_it_opens_nothing_else(host: Host, ends: dict[str, Space]) -> None:
    """Their networks stay closed to each other, and to a container that has nothing but a cable."""
    plugged = cable(host, "left", "alone")
    assert ends["alone"].interfaces() == ["lo", "eth0"]
    assert ends["alone"].ping(plugged["left"])
    assert not ends["left"].ping(ends["right"].addresses()[0], 0.3)
    assert not ends["alone"].ping(INTERNET, 0.3) and not ends["alone"].ping(ends["right"].addresses()[0], 0.3)
    unplug(host)
    assert ends["alone"].interfaces() == ["lo"]


def test_addresses_are_chosen_where_none_are_given(host: Host, ends: dict[str, Space]) -> None:
    """A pair for each cable; a container can have several."""
    pairs = [cable(host, "left", "right"), cable(host, "left", "alone"), cable(host, "left", "right")]
    chosen = [address for pair in pairs for address in pair.values()]
    assert len(set(chosen)) == 6
    assert all(ends["left"].ping(address) for pair in pairs for name, address in pair.items() if name != "left")
    unplug(host)


def test_it_goes_with_either_end_and_comes_back_with_it(host: Host, ends: dict[str, Space]) -> None:
    plugged = cable(host, "left", "alone")
    host.weft("stop", "-t", "0", "alone")
    assert ends["left"].interfaces() == ["lo", "eth0"]
    host.weft("start", "alone")
    ends["alone"] = host.inside("alone")
    assert ends["left"].ping(plugged["alone"])
    host.restart_agent(kill=True)
    assert ends["alone"].ping(plugged["left"])
    unplug(host)


def test_what_cannot_be_is_refused(host: Host) -> None:
    host.weft("run", "--name", "over", "--", "true")
    assert "both ends" in refusal(host, "cable", "left", "left")
    assert "no container 'nobody'" in refusal(host, "cable", "left", "nobody")
    assert "does not run" in refusal(host, "cable", "left", "over")
    assert "one end has an address" in refusal(host, "cable", "left:10.9.0.1", "right")
    assert "cannot be the two ends" in refusal(host, "cable", "left:10.9.0.1", "right:fd00::1")
    assert "cannot be the two ends" in refusal(host, "cable", "left:10.9.0.1", "right:10.9.0.1")
    assert "is not an IP address" in refusal(host, "cable", "left:10.9.0.300", "right:10.9.0.1")
