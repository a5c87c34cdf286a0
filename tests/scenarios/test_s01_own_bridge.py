"""Each host has a default bridge of its own, with the name and the subnet that its weft.toml gives."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from weft.testing.hosts import Host, Hosts, Lan

CONTAINERS = 4


def _settings(number: int) -> str:
    return f"""
        [bridge]
        name = "bridge0"
        address = "172.17.{number}.1/24"
        address6 = "fd00:17:{number}::1/64"
    """


@pytest.fixture(scope="module")
def first(hosts: Hosts, lan: Lan) -> Host:
    return _host(hosts, lan, 51)


@pytest.fixture(scope="module")
def second(hosts: Hosts, lan: Lan) -> Host:
    return _host(hosts, lan, 52)


def _host(hosts: Hosts, lan: Lan, number: int) -> Host:
    """Return a host with as many containers on its default network as the other one has, run and attached."""
    host = hosts.host(f"h{number}", lan)
    host.start_agent(_settings(number))
    for container in range(CONTAINERS - 1):
        host.weft("run", "-d", "--name", f"c{container}", "--", "sleep", "1000")
    box = host.container("box")
    host.weft("attach", "--netns", box.path, "--name", f"c{CONTAINERS - 1}")
    return host


def _given(host: Host) -> list[str]:
    """Return all addresses that containers of ``host`` really have."""
    return [address for number in range(CONTAINERS) for address in host.inside(f"c{number}").addresses()]


def test_the_bridge_has_the_name_and_the_address_that_were_given(first: Host) -> None:
    assert first.addresses("bridge0") == ["172.17.51.1", "fd00:17:51::1"]
    assert first.run_json("ip", "-d", "-j", "link", "show", "bridge0")[0]["linkinfo"]["info_kind"] == "bridge"
    assert "weft0" not in first.interfaces()


def test_containers_get_addresses_of_their_own_host_only(first: Host, second: Host) -> None:
    for host, number in ((first, 51), (second, 52)):
        subnets = (ip_network(f"172.17.{number}.0/24"), ip_network(f"fd00:17:{number}::/64"))
        for address in map(ip_address, _given(host)):
            assert any(address in subnet for subnet in subnets), f"{address} on {host.name}"


def test_no_address_is_given_twice(first: Host, second: Host) -> None:
    given = _given(first) + _given(second)
    assert len(set(given)) == len(given) == 2 * 2 * CONTAINERS
    assert not set(given) & {"172.17.51.1", "172.17.52.1", "fd00:17:51::1", "fd00:17:52::1"}


@pytest.mark.parametrize("name", ["c0", f"c{CONTAINERS - 1}"], ids=["run", "attached"])
def test_the_gateway_is_the_bridge(first: Host, name: str) -> None:
    box = first.inside(name)
    for family, gateway in (("-4", "172.17.51.1"), ("-6", "fd00:17:51::1")):
        (route,) = box.run_json("ip", family, "-j", "route", "show", "default")
        assert (route["gateway"], route["dev"]) == (gateway, "eth0")
        assert box.ping(gateway)
    (details,) = first.weft_json("inspect", name)
    assert details["NetworkSettings"]["Gateway"] == "172.17.51.1"
    assert details["NetworkSettings"]["IPv6Gateway"] == "fd00:17:51::1"


def test_the_subnet_survives_a_restart_of_the_agent(first: Host) -> None:
    before = _given(first)
    first.restart_agent()
    assert _given(first) == before
    box = first.container("later")
    first.weft("attach", "--netns", box.path, "--name", "later")
    assert ip_address(box.addresses(version=4)[0]) in ip_network("172.17.51.0/24")
    assert not set(box.addresses()) & set(before)
