"""MAC addresses: they follow from the address, stay with the endpoint, can be given, and are never shared."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.refusals import refusal
from weft.testing.hosts import Host


@pytest.fixture(scope="module", autouse=True)
def network(host: Host) -> None:
    host.weft("network", "create", "app", "--subnet", "10.46.0.0/24", "--subnet", "fd00:46::/64")
    host.weft("network", "create", "six", "--subnet", "10.47.0.0/24", "--subnet", "fd00:47::/64")


def settings(host: Host, name: str) -> dict[str, Any]:
    (container,) = host.weft_json("inspect", name)
    found: dict[str, Any] = container["NetworkSettings"]
    return found


def test_it_follows_from_the_address(host: Host) -> None:
    box = host.container("one")
    host.weft("attach", "--netns", box.path, "--name", "one", "--net", "app", "--ip", "10.46.0.77")
    assert box.mac("eth0") == "02:42:0a:2e:00:4d" == settings(host, "one")["MacAddress"]
    host.weft("detach", "one")


def test_it_is_stable_while_the_endpoint_lives(host: Host) -> None:
    """Through other networks coming and going, and through a restart of the agent."""
    box = host.container("stable")
    host.weft("attach", "--netns", box.path, "--name", "stable", "--net", "app")
    mac = box.mac("eth0")
    host.weft("network", "connect", "six", "stable")
    host.weft("network", "disconnect", "six", "stable")
    host.restart_agent(kill=True)
    assert box.mac("eth0") == mac == settings(host, "stable")["MacAddress"]
    host.weft("detach", "stable")


def test_a_restarted_container_with_a_fixed_address_has_the_same(host: Host) -> None:
    host.weft("run", "-d", "--name", "fixed", "--net", "app", "--ip", "10.46.0.99", "--", "sleep", "1000")
    before = settings(host, "fixed")["MacAddress"]
    host.weft("stop", "fixed")
    host.weft("start", "fixed")
    assert settings(host, "fixed")["MacAddress"] == before == "02:42:0a:2e:00:63"
    host.weft("rm", "-f", "fixed")


def test_it_can_be_given(host: Host) -> None:
    box = host.container("given")
    host.weft("attach", "--netns", box.path, "--name", "given", "--net", "app", "--mac-address", "0E-11-22-33-44-55")
    assert box.mac("eth0") == "0e:11:22:33:44:55"
    host.weft("run", "-d", "--name", "ran", "--net", "six", "--mac-address", "0e:11:22:33:44:55", "--", "sleep", "1000")
    assert host.inside("ran").mac("eth0") == "0e:11:22:33:44:55"  # on another network it is free

    other = host.container("other")
    said = refusal(host, "attach", "--netns", other.path, "--name", "other", "--net", "app", "--mac-address",
                   "0e:11:22:33:44:55")  # fmt: skip
    assert "'given'" in said
    assert other.interfaces() == ["lo"]
    host.weft("rm", "-f", "ran")
    host.weft("detach", "given")


def test_what_is_no_unicast_mac_is_refused(host: Host) -> None:
    box = host.container("bad")
    for mac in ("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:42", "zz:42:0a:2e:00:4d"):
        assert "unicast MAC" in refusal(
            host, "attach", "--netns", box.path, "--name", "bad", "--net", "app", "--mac-address", mac
        )


def test_a_derived_mac_gives_way_to_a_given_one(host: Host) -> None:
    """Somebody was given the MAC that follows from the next one's address: neither address nor MAC is shared."""
    first, second = host.container("taker"), host.container("giver")
    host.weft("attach", "--netns", first.path, "--name", "taker", "--net", "app", "--ip", "10.46.0.200",
              "--mac-address", "02:42:0a:2e:00:c9")  # fmt: skip
    host.weft("attach", "--netns", second.path, "--name", "giver", "--net", "app", "--ip", "10.46.0.201")
    assert second.addresses("eth0", 4) == ["10.46.0.201"]
    assert second.mac("eth0") != first.mac("eth0")
    assert first.ping("10.46.0.201")
    said = refusal(host, "run", "-d", "--net", "app", "--ip", "10.46.0.201", "--", "true")
    assert "belongs to 'giver'" in said
    host.weft("detach", "taker")
    host.weft("detach", "giver")
