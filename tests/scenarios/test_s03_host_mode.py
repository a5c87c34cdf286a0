"""With --net host a process is on the host's own network."""

from __future__ import annotations

import pytest

from weft.testing.hosts import Host, Outside

from .refusals import refusal
from .waiting import wait_for_log

SERVER = """
import socket
server = socket.create_server(("", 7070), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
while True:
    client, _ = server.accept()
    client.sendall(b"from host mode")
    client.close()
"""


def test_the_process_sees_the_hosts_interfaces(host: Host) -> None:
    def seen(*command: str) -> str:
        return host.weft("run", "--rm", "--net", "host", "--", *command).stdout

    assert seen("readlink", "/proc/self/ns/net").strip() == f"net:[{host.inode}]"
    assert seen("ls", "/sys/class/net").split() == sorted(host.interfaces())
    assert seen("ip", "-o", "address") == host.run("ip", "-o", "address").stdout


def test_it_is_reached_on_the_hosts_ports_at_once(host: Host, eve: Outside) -> None:
    host.weft("run", "-d", "--name", "server", "--net", "host", "--", "python3", "-c", SERVER)
    wait_for_log(host, "server", "listening")
    for address in (host.address, host.address6):
        assert eve.connect(address, 7070).data == b"from host mode"
    assert host.connect("127.0.0.1", 7070).data == b"from host mode"


def test_it_holds_the_port_as_any_process_of_the_host(host: Host) -> None:
    """So weft cannot publish the port for somebody else, and gives it back when the process ends."""
    assert "port 0.0.0.0:7070/tcp is in use" in refusal(host, "run", "-d", "-p", "7070:80", "--", "sleep", "1000")
    host.weft("rm", "-f", "server")
    host.weft("run", "-d", "--name", "next", "-p", "7070:80", "--", "sleep", "1000")
    assert "80/tcp -> 0.0.0.0:7070\n" in host.weft("port", "next").stdout


@pytest.mark.parametrize("options", [("-p", "3333:3333"), ("-p", "80"), ("-P", "--expose", "80"), ("-P",)])
def test_publishing_is_refused_and_not_ignored(host: Host, options: tuple[str, ...]) -> None:
    said = refusal(host, "run", "-d", "--name", "x", "--net", "host", *options, "--", "sleep", "1000")
    assert "ports cannot be published with --net host" in said
    assert "Leave out -p and -P" in said


def test_it_has_nothing_of_its_own_to_set(host: Host) -> None:
    """Neither addresses nor further networks: they would be the host's."""
    for option in (
        ("--ip", "172.17.0.9"),
        ("--mac-address", "02:42:00:00:00:01"),
        ("--alias", "x"),
        ("--net", "bridge"),
    ):
        refusal(host, "run", "-d", "--net", "host", *option, "--", "sleep", "1000")
    host.weft("run", "-d", "--name", "plain", "--net", "host", "--", "sleep", "1000")
    assert "host's own network" in refusal(host, "network", "connect", "bridge", "plain")


def test_the_namespace_of_the_host_cannot_be_attached(host: Host) -> None:
    """It would be given a default route by weft's own bridge."""
    for way in (("--netns", host.path), ("--pid", host.popen("sleep", "1000").pid)):
        assert "the host's own network namespace" in refusal(host, "attach", *way, "--name", "x", "--net", "bridge")
