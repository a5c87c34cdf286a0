"""What is plugged in where: ``network inspect``, ``ps`` and ``show`` say what bridge, ip and ls say of the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from weft.testing.hosts import Host
from weft.testing.spaces import Space


@pytest.fixture(scope="module", autouse=True)
def boxes(host: Host) -> dict[str, Space]:
    """Two networks, three containers, one of which is on both, and a cable."""
    host.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "--bridge", "br-app", "app")
    host.weft("network", "create", "--bridge", "br-db", "--mtu", "1400", "db")
    for name, networks in {"web": ["app"], "api": ["app", "db"], "store": ["db"]}.items():
        nets = [word for network in networks for word in ("--net", network)]
        host.weft("run", "-d", "--name", name, *nets, "-p", "80", "--", "sleep", "1000")
    host.weft("cable", "web", "store")
    host.weft("run", "--name", "over", "--", "true")
    return {name: host.inside(name) for name in ("web", "api", "store")}


def ports_of(host: Host, bridge: str) -> set[str]:
    """Return the ports of a bridge, as the kernel has them."""
    return {link["ifname"] for link in host.run_json("ip", "-j", "link", "show", "master", bridge)}


def far_end(host: Host, port: str, boxes: dict[str, Space]) -> tuple[str, str]:
    """Return the container and the interface at the other end of a veth pair, as the kernel has them."""
    (link,) = host.run_json("ip", "-j", "link", "show", "dev", port)
    for name, space in boxes.items():
        for inner in space.run_json("ip", "-j", "link", "show"):
            if inner["ifindex"] == link["link_index"] and inner.get("link_index") == link["ifindex"]:
                return name, inner["ifname"]
    raise AssertionError(f"{port} leads nowhere")


def shown(host: Host) -> dict[str, Any]:
    return {bridge["name"]: bridge for bridge in host.weft_json("show", "--format", "json")["bridges"]}


def test_show_is_what_the_kernel_has(host: Host, boxes: dict[str, Space]) -> None:
    """Every bridge, its addresses and MTU, its ports, and whose interface is at the other end of each."""
    bridges = shown(host)
    assert set(bridges) == {"br-app", "br-db", "weft0"}
    for name, bridge in bridges.items():
        (link,) = host.run_json("ip", "-j", "address", "show", "dev", name)
        addresses = {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"}
        assert (set(bridge["address"]), bridge["mtu"]) == (addresses, link["mtu"])
        assert {port["port"] for port in bridge["ports"]} == ports_of(host, name)
        for port in bridge["ports"]:
            assert (port["container"], port["interface"]) == far_end(host, port["port"], boxes)
            space = boxes[port["container"]]
            assert port["mac"] == space.mac(port["interface"])
            assert [ip.partition("/")[0] for ip in port["ip"]] == space.addresses(port["interface"])


def test_show_is_read_like_brctl(host: Host) -> None:
    """A bridge with its first port on one line, its further ports below."""
    lines = [line.split() for line in host.weft("show").stdout.splitlines()]
    assert lines[0] == ["BRIDGE", "NETWORK", "ADDRESS", "MTU", "PORT", "CONTAINER", "INTERFACE", "IP", "MAC"]
    (number,) = (number for number, words in enumerate(lines) if words[0] == "br-app")
    assert lines[number][:5] == ["br-app", "app", "172.30.0.1/24", "fd00:30::1/64", "1500"]
    assert "web" in lines[number] and "api" in lines[number + 1]
    assert {lines[number][5], lines[number + 1][0]} == ports_of(host, "br-app")


def test_show_has_cables_without_a_bridge(host: Host, boxes: dict[str, Space]) -> None:
    (cable,) = host.weft_json("show", "--format", "json")["cables"]
    for end in cable["ends"]:
        assert (end["port"], end["mac"]) == ("", boxes[end["container"]].mac(end["interface"]))
    assert {end["container"] for end in cable["ends"]} == {"web", "store"}


def test_network_inspect_has_the_fields_of_docker(host: Host, boxes: dict[str, Space]) -> None:
    (network,) = host.weft_json("network", "inspect", "app")
    assert (network["Name"], network["Driver"], network["EnableIPv6"]) == ("app", "bridge", True)
    assert network["IPAM"]["Config"] == [
        {"Subnet": "172.30.0.0/24", "Gateway": "172.30.0.1"},
        {"Subnet": "fd00:30::/64", "Gateway": "fd00:30::1"},
    ]
    assert network["Bridge"] == "br-app"
    members = {member["Name"]: member for member in network["Containers"].values()}
    assert set(members) == {"web", "api"}
    for name, member in members.items():
        four, six = boxes[name].addresses("eth0")
        assert (member["IPv4Address"], member["IPv6Address"]) == (f"{four}/24", f"{six}/64")
        assert member["MacAddress"] == boxes[name].mac("eth0")
        assert far_end(host, member["Port"], boxes) == (name, "eth0")
    assert {inspected(host, key)["Name"].lstrip("/") for key in network["Containers"]} == {"web", "api"}


def inspected(host: Host, name: str) -> dict[str, Any]:
    (found,) = host.weft_json("inspect", name)
    return dict(found)


def test_ps_shows_what_runs_and_where(host: Host, boxes: dict[str, Space]) -> None:
    rows = {line.split()[1]: line for line in host.weft("ps").stdout.splitlines()[1:]}
    assert set(rows) == {"web", "api", "store"}
    for address in boxes["api"].addresses():
        assert address in rows["api"]
    for published in inspected(host, "web")["NetworkSettings"]["Ports"]["80/tcp"]:
        assert f":{published['HostPort']}->80/tcp" in rows["web"]
    assert "Exited (0)" in host.weft("ps", "-a").stdout
    listed = {row["name"]: row for row in host.weft_json("ps", "--format", "json")}
    assert set(listed["api"]["networks"]) == {"app", "db"}


def test_they_follow_at_once(host: Host, boxes: dict[str, Space]) -> None:
    host.weft("network", "connect", "db", "web")
    assert {port["container"] for port in shown(host)["br-db"]["ports"]} == {"api", "store", "web"}
    assert len(ports_of(host, "br-db")) == 3
    host.weft("network", "disconnect", "db", "web")
    assert {port["container"] for port in shown(host)["br-db"]["ports"]} == {"api", "store"}
    (network,) = host.weft_json("network", "inspect", "db")
    assert {member["Name"] for member in network["Containers"].values()} == {"api", "store"}


def test_what_is_not_there_is_an_error(host: Host) -> None:
    for words in (("network", "inspect", "nowhere"), ("inspect", "nobody")):
        done = host.weft(*words, check=False)
        assert done.returncode == 1 and "no " in done.stderr
