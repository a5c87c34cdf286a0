"""CLEAN sees each kind of thing that could be left behind, and nothing else."""

from __future__ import annotations

import socket

import pytest

from weft.kernel import namespaces
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.oracles import Snapshot, assert_clean, difference

NFT = """
add table inet t
add set inet t s { type inet_service; }
add chain inet t c { type filter hook input priority 0; }
add rule inet t c tcp dport 1 counter accept
add rule inet t c tcp dport 2 counter accept
"""
BRIDGE = "ip link add br0 type bridge; ip link set br0 up; ip link set eth0 master br0"

#: What is prepared, what is left behind (both shell commands), and the category that must show it.
LEFTOVERS = {
    "link": ("", "ip link add left type veth peer name behind", "+ link"),
    "alias": ("", "ip link set eth0 alias weft:endpoint:1", "+ link"),
    "address": ("", "ip address add 10.9.9.9/32 dev lo", "+ address"),
    "address6": ("", "ip address add 2001:db8::9/128 dev lo", "+ address"),
    "route": ("", "ip route add 10.9.0.0/16 dev eth0", "+ route"),
    "route6": ("", "ip route add unreachable 2001:db8:9::/64 metric 7", "+ route"),
    "route in a table of its own": ("", "ip route add 10.9.0.0/16 dev eth0 table 77", "+ route"),
    "rule": ("", "ip rule add fwmark 1 lookup 77", "+ rule"),
    "rule6": ("", "ip -6 rule add fwmark 1 lookup 77", "+ rule"),
    "neighbour": ("", "ip neighbour add 192.0.2.77 lladdr 02:00:00:00:00:01 dev eth0", "+ neighbour"),
    "proxy": ("", "ip neighbour add proxy 192.0.2.77 dev eth0", "+ proxy"),
    "forwarding entry": (BRIDGE, "bridge fdb add 02:00:00:00:00:01 dev eth0 master static", "+ fdb"),
    "port isolation": (BRIDGE, "bridge link set dev eth0 isolated on", "+ link"),
    "table": ("", "nft add table inet left", "+ nft table"),
    "chain": (f"nft '{NFT}'", "nft add chain inet t left", "+ nft chain"),
    "rule in a chain": (f"nft '{NFT}'", "nft add rule inet t c tcp dport 3 accept", "+ nft rule"),
    "rule that moved": (f"nft '{NFT}'", "nft insert rule inet t c tcp dport 0 accept", "- nft rule"),
    "element": (f"nft '{NFT}'", "nft add element inet t s '{ 7 }'", "+ nft element of inet t s"),
    "rule of iptables": ("", "iptables -A FORWARD -s 10.9.0.0/16 -j ACCEPT", "+ nft rule"),
    "setting": ("", "sysctl -qw net.ipv4.ip_forward=1", "+ sysctl net/ipv4/ip_forward=1"),
    "setting of an interface": ("", "sysctl -qw net.ipv4.conf.eth0.route_localnet=1", "+ sysctl"),
    "connection": (
        "",
        "conntrack -I -p udp -s 10.9.0.2 -d 192.0.2.9 --sport 1 --dport 2 -t 600",
        "+ connection udp src=10.9.0.2",
    ),
    "process": ("", "sleep 1000 >/dev/null 2>&1 &", "+ process sleep 1000"),
}


@pytest.fixture
def bare(hosts: Hosts, lan: Lan) -> Host:
    """A machine without an agent."""
    return hosts.host("bare", lan)


def take(host: Host) -> Snapshot:
    return Snapshot.take(host, ["10.9.0.0/16"])


@pytest.mark.parametrize(("before", "left", "shown"), LEFTOVERS.values(), ids=LEFTOVERS.keys())
def test_it_sees_what_is_left(bare: Host, before: str, left: str, shown: str) -> None:
    bare.run("sh", "-ec", before)
    clean = take(bare)
    bare.run("sh", "-ec", left)
    found = difference(clean, take(bare))
    assert any(line.startswith(shown) for line in found), found
    with pytest.raises(AssertionError, match="left behind"):
        assert_clean(clean, bare, ["10.9.0.0/16"], within=0)


def test_it_sees_files_and_bound_namespaces(bare: Host) -> None:
    bare.run_dir.mkdir()
    clean = take(bare)
    bare.run_dir.joinpath("left").touch()
    bound = namespaces.create(str(bare.run_dir / "space"))
    found = difference(clean, take(bare))
    assert f"+ bound namespace {bound.path}" in found
    assert "+ file run/left" in found
    namespaces.remove(bound)


def test_it_sees_rows_of_the_store(host: Host) -> None:
    clean = take(host)
    host.weft("network", "create", "left")
    assert any(line.startswith("+ store networks/") for line in difference(clean, take(host)))


def test_it_sees_open_descriptors_of_the_agent(host: Host) -> None:
    clean = take(host)
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(str(host.run_dir / "weft.sock"))
        held.send(b"GET")  # half a request, so the agent keeps waiting for the rest
        with pytest.raises(AssertionError, match=r"\+ descriptor socket"):
            assert_clean(clean, host, within=0.5)
    assert_clean(clean, host)


def test_use_is_not_a_leftover(bare: Host, eve: Outside) -> None:
    bare.run("sh", "-ec", f"nft '{NFT}'")
    clean = take(bare)
    bare.serve_tcp(80, b"hello")
    for address in (bare.address, bare.address6):
        assert eve.connect(address, 80).text == "hello"
        assert eve.ping(address)
    assert_clean(clean, bare, ["10.9.0.0/16"], within=0)


def test_what_is_taken_away_again_is_clean(host: Host) -> None:
    clean = take(host)
    host.weft("network", "create", "passing", "--subnet", "10.9.0.0/24")
    host.weft("network", "rm", "passing")
    assert_clean(clean, host, ["10.9.0.0/16"])
