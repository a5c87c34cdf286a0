"""With -P every exposed port gets a free port of the host."""

from __future__ import annotations

import socket

import pytest

from weft.testing.hosts import Host, Hosts, Lan, Outside

from .refusals import refusal


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    host.weft("network", "create", "app", "--ipv6")
    return host


@pytest.fixture(scope="module")
def narrow(hosts: Hosts, lan: Lan) -> Host:
    """A host with six ports to give."""
    narrow = hosts.host("h2", lan)
    narrow.start_agent("[ports]\nrange = [40000, 40005]")
    return narrow


def _ports(host: Host, name: str) -> dict[str, int]:
    """Return the host port of each port of a container, which is the same for IPv4 and IPv6."""
    rows = host.weft_json("port", name, "--format", "json")
    found = {f"{row['container_port']}/{row['protocol']}": row["host_port"] for row in rows}
    assert all(found[f"{row['container_port']}/{row['protocol']}"] == row["host_port"] for row in rows)
    return found


def test_each_exposed_port_gets_one_of_the_range_and_works(host: Host, eve: Outside) -> None:
    host.weft(
        "run", "-d", "--name", "web", "--net", "app", "-P", "--expose", "80", "--expose", "53/udp", "--expose", "90-92",
        "--", "sleep", "1000",
    )  # fmt: skip
    ports = _ports(host, "web")
    assert set(ports) == {"80/tcp", "53/udp", "90/tcp", "91/tcp", "92/tcp"}
    assert all(49000 <= port <= 49900 for port in ports.values())
    tcp = [port for name, port in ports.items() if name.endswith("/tcp")]
    assert len(set(tcp)) == len(tcp)
    box = host.inside("web")
    for port in (80, 90, 91, 92):
        box.serve_tcp(port, str(port).encode())
    box.serve_udp(53, b"53")
    for address in (host.address, host.address6):
        for port in (80, 90, 91, 92):
            assert eve.connect(address, ports[f"{port}/tcp"]).text == str(port)
        assert eve.send_udp(address, ports["53/udp"]).data == b"53"


def test_exposed_alone_is_not_published(host: Host) -> None:
    host.weft("run", "-d", "--name", "shy", "--net", "app", "--expose", "80", "--", "sleep", "1000")
    assert host.weft("port", "shy").stdout == ""


def test_a_port_that_was_given_by_hand_stays(host: Host) -> None:
    host.weft(
        "run", "-d", "--name", "mixed", "--net", "app", "-P", "--expose", "80", "--expose", "81", "-p", "8081:81",
        "--", "sleep", "1000",
    )  # fmt: skip
    ports = _ports(host, "mixed")
    assert set(ports) == {"80/tcp", "81/tcp"}
    assert ports["81/tcp"] == 8081 and 49000 <= ports["80/tcp"] <= 49900


def test_the_range_is_a_setting(narrow: Host) -> None:
    narrow.weft("run", "-d", "--name", "web", "-P", "--expose", "80-81", "--", "sleep", "1000")
    assert set(_ports(narrow, "web").values()) <= set(range(40000, 40006))
    narrow.weft("rm", "-f", "web")


def test_ports_of_processes_are_passed_over(narrow: Host) -> None:
    """Whatever address, IP version or protocol the process has it by; a port in another protocol is no matter."""
    narrow.serve_tcp(40000)
    narrow.serve_tcp(40001, address="127.0.0.1")
    narrow.serve_tcp(40002, address=narrow.address6)
    narrow.serve_udp(40004)
    narrow.weft("network", "create", "dual", "--ipv6")
    narrow.weft("run", "-d", "--name", "tcp", "--net", "dual", "-P", "--expose", "80-82", "--", "sleep", "1000")
    assert set(_ports(narrow, "tcp").values()) == {40003, 40004, 40005}
    narrow.weft("run", "-d", "--name", "udp", "--net", "dual", "-P", "--expose", "53/udp", "--", "sleep", "1000")
    assert _ports(narrow, "udp")["53/udp"] != 40004


def test_a_port_that_an_outgoing_connection_uses_is_passed_over(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    host = hosts.host("h3", lan)
    host.sysctl("net/ipv4/ip_local_port_range", "40000 40000")
    server = eve.serve_tcp()
    with host.call(lambda: socket.create_connection((eve.address, server.port))):
        host.start_agent("[ports]\nrange = [40000, 40001]")
        host.weft("run", "-d", "--name", "web", "-P", "--expose", "80", "--", "sleep", "1000")
        assert _ports(host, "web") == {"80/tcp": 40001}


def test_when_none_is_left_the_error_says_so(narrow: Host) -> None:
    said = refusal(narrow, "run", "-d", "--net", "dual", "-P", "--expose", "80", "--", "sleep", "1000")
    assert "40000" in said and "40005" in said
    assert "ports.range" in said
    narrow.weft("rm", "-f", "tcp")
    narrow.weft("run", "-d", "--name", "again", "--net", "dual", "-P", "--expose", "80", "--", "sleep", "1000")
    assert _ports(narrow, "again")["80/tcp"] in {40003, 40004, 40005}


def test_a_port_is_held_so_that_no_process_can_take_it(narrow: Host) -> None:
    port = _ports(narrow, "again")["80/tcp"]
    for address in ("", "127.0.0.1", narrow.address):
        with pytest.raises(OSError, match="Address already in use"):
            narrow.serve_tcp(port, address=address)


def test_nonsense_is_refused(host: Host) -> None:
    for text in ("0", "65536", "80-70", "http", "80/icmp", ""):
        assert "port" in refusal(host, "run", "-d", "--net", "app", "-P", "--expose", text, "--", "sleep", "1000")
