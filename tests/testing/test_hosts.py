"""Machines of tests: what they are like, and that nothing stays of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.testing import sweep
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan, Outside
from weft.testing.spaces import CommandFailed


@pytest.fixture
def bare(hosts: Hosts, lan: Lan) -> Host:
    """A machine without an agent."""
    return hosts.host("bare", lan)


def test_machines_on_a_lan_reach_each_other_and_beyond(bare: Host, eve: Outside) -> None:
    assert bare.address != eve.address
    for address in (bare.address, bare.address6, INTERNET, INTERNET6):
        assert eve.ping(address), address


def test_lans_are_joined_by_their_router(hosts: Hosts, bare: Host) -> None:
    far = hosts.outside("far", hosts.lan("203.0.113.0/24", v6="2001:db8:2::/64"))
    assert far.ping(bare.address) and far.ping(bare.address6)


def test_a_machine_on_two_lans_has_an_interface_on_each(hosts: Hosts, lan: Lan) -> None:
    both = hosts.outside("both", lan, hosts.lan("203.0.113.0/24"))
    assert sorted(both.interfaces()) == ["eth0", "eth1", "lo"]
    assert both.addresses("eth1") == ["203.0.113.1"]


def test_a_lan_has_the_mtu_that_it_was_given(hosts: Hosts) -> None:
    machine = hosts.outside("narrow", hosts.lan("203.0.113.0/24", mtu=1280))
    (link,) = machine.run_json("ip", "-j", "link", "show", "dev", "eth0")
    assert link["mtu"] == 1280


def test_probes_tell_reply_refusal_silence_and_no_way(bare: Host, eve: Outside) -> None:
    bare.serve_tcp(80, b"hello")
    assert eve.connect(bare.address, 80).text == "hello"
    assert eve.connect(bare.address6, 80, send=b"GET /").text == "hello"
    assert eve.connect(bare.address, 81).outcome == "refused"
    assert eve.send_udp(bare.address, 81).outcome == "refused"
    assert eve.connect("10.9.9.9", 80).outcome == "unreachable"
    bare.run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }")
    assert eve.connect(bare.address, 80, timeout=0.1).outcome == "timeout"
    assert not eve.ping(bare.address, timeout=0.1)


def test_servers_say_whom_they_saw(bare: Host, eve: Outside) -> None:
    stream, datagram = bare.serve_tcp(), bare.serve_udp()
    assert eve.connect(bare.address, stream.port).text == eve.address
    assert eve.connect(bare.address6, stream.port).text == eve.address6
    assert eve.send_udp(bare.address, datagram.port, b"data").text == eve.address
    assert stream.clients == [eve.address, eve.address6]
    assert datagram.received == [b"data"]


def test_a_server_on_one_address_is_not_on_others(bare: Host, eve: Outside) -> None:
    bare.serve_tcp(80, address=bare.address)
    assert eve.connect(bare.address, 80).outcome == "reply"
    assert eve.connect(bare.address6, 80).outcome == "refused"


def test_a_command_that_fails_shows_what_it_said(bare: Host) -> None:
    with pytest.raises(CommandFailed, match='Device "nosuch" does not exist'):
        bare.run("ip", "link", "show", "nosuch")
    assert bare.run("ip", "link", "show", "nosuch", check=False).returncode == 1


def test_an_agent_that_cannot_start_says_why(bare: Host) -> None:
    with pytest.raises(CommandFailed, match="unknown field `nonsense`"):
        bare.start_agent("nonsense = 1\n")


def test_two_agents_on_one_machine_do_not_meet(hosts: Hosts, host: Host, lan: Lan) -> None:
    other = hosts.host("h2", lan)
    other.start_agent()
    host.weft("network", "create", "here")
    names = [network["name"] for network in other.weft_json("network", "ls", "--format", "json")]
    assert "bridge" in names and "here" not in names


def test_an_agent_stops_is_killed_and_starts_again(host: Host) -> None:
    host.weft("network", "create", "kept")
    for kill in (False, True):
        host.restart_agent(kill=kill)
        assert "kept" in host.weft("network", "ls").stdout
    assert host.stop_agent() == 0


def test_nothing_stays_of_machines_even_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Hosts(tmp_path) as hosts:
        host = hosts.host("h1", hosts.lan())
        host.start_agent()
        host.container("c1").popen("sleep", "1000")
        spaces = set(sweep.bound_below(hosts.directory).values())
        host.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 &")  # nobody keeps track of this one
        assert len(sweep.inside(spaces)) >= 3
        _ = 1 / 0
    assert sweep.inside(spaces) == {}
    assert list(tmp_path.iterdir()) == [] and sweep.bound_below(tmp_path) == {}
    assert not list(sweep.NETNS.glob(f"{hosts.directory.name}*"))


KILLED = """
import os, signal, sys
from weft.testing.hosts import Hosts

hosts = Hosts(sys.argv[1])
host = hosts.host("h1", hosts.lan())
host.popen("sleep", "1000")
host.container("c1")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_test_left_is_swept(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    spaces = sweep.bound_below(left)
    assert len(spaces) == 3 and sweep.inside(spaces.values())

    assert sweep.sweep(tmp_path) == [left.name]

    assert not left.exists() and sweep.bound_below(tmp_path) == {} and sweep.inside(spaces.values()) == {}
    assert not list(sweep.NETNS.glob(f"{left.name}*"))


def test_what_a_living_test_has_is_not_swept(tmp_path: Path) -> None:
    with Hosts(tmp_path) as hosts:
        host = hosts.host("h1", hosts.lan())
        assert sweep.sweep(tmp_path) == []
        assert host.ping(INTERNET)
