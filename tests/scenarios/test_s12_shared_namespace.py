"""With --net container:web a process lives in the network of another container."""

from __future__ import annotations

import errno

import pytest

from weft.testing.hosts import Host, Outside
from weft.testing.oracles import Snapshot, assert_clean

from .refusals import refusal
from .waiting import eventually

#: Serves on port 80 of localhost only; ends with the error's number where it cannot.
LISTEN = """
import socket, sys
try:
    server = socket.create_server(("127.0.0.1", 80))
except OSError as error:
    sys.exit(error.errno)
while True:
    client, _ = server.accept()
    client.sendall(b"from web")
    client.close()
"""
ASK = """
import socket
print(socket.create_connection(("127.0.0.1", 80)).recv(100).decode())
"""


@pytest.fixture(scope="module")
def clean(host: Host) -> Snapshot:
    """What there is while nothing of these tests runs; the network has been used before."""
    host.weft("network", "create", "app", "--ipv6")
    host.weft("run", "--rm", "--net", "app", "--", "true")
    return Snapshot.take(host)


@pytest.fixture(autouse=True)
def containers(request: pytest.FixtureRequest, clean: Snapshot, host: Host) -> None:
    """A container that serves on its localhost and publishes a port, and one that shares its network."""
    host.weft("run", "-d", "--name", "web", "--net", "app", "-p", "8080:8080", "--", "python3", "-c", LISTEN)
    _run_beside_web(host, "helper", "sleep", "1000")
    request.addfinalizer(lambda: host.weft("rm", "-f", "helper", "web", check=False))


def _run_beside_web(host: Host, name: str, *command: str) -> None:
    host.weft("run", "-d", "--name", name, "--net", "container:web", "--", *command)


def _inside(host: Host, name: str, *command: str) -> str:
    return host.weft("exec", name, "--", *command).stdout


def test_both_have_the_same_addresses(host: Host) -> None:
    seen = [_inside(host, name, "ip", "-o", "address") for name in ("web", "helper")]
    assert seen[0] == seen[1]
    web, helper = (host.weft_json("inspect", name)[0]["NetworkSettings"] for name in ("web", "helper"))
    assert web["IPAddress"] in seen[1] and web["GlobalIPv6Address"] in seen[1]
    assert (helper["IPAddress"], helper["GlobalIPv6Address"]) == (web["IPAddress"], web["GlobalIPv6Address"])
    assert helper["SandboxKey"] == web["SandboxKey"]


def test_localhost_reaches_the_other_process(host: Host) -> None:
    eventually(lambda: host.inside("helper").connect("127.0.0.1", 80).outcome == "reply")
    assert _inside(host, "helper", "python3", "-c", ASK) == "from web\n"


def test_their_ports_collide_as_on_one_machine(host: Host) -> None:
    eventually(lambda: host.inside("helper").connect("127.0.0.1", 80).outcome == "reply")
    second = host.weft("run", "--rm", "--net", "container:web", "--", "python3", "-c", LISTEN, check=False)
    assert second.returncode == errno.EADDRINUSE
    host.weft("run", "-d", "--name", "elsewhere", "--net", "app", "--", "python3", "-c", LISTEN)  # no collision there
    eventually(lambda: host.inside("elsewhere").connect("127.0.0.1", 80).outcome == "reply")
    host.weft("rm", "-f", "elsewhere")


def test_the_published_port_reaches_whoever_of_them_listens(host: Host, eve: Outside) -> None:
    host.inside("helper").serve_tcp(8080, b"from helper")
    for address in (host.address, host.address6):
        assert eve.connect(address, 8080).data == b"from helper"


@pytest.mark.parametrize("end", [("stop", "web"), ("rm", "-f", "web")], ids=["stopped", "removed"])
def test_the_namespace_lives_until_the_last_user_is_gone(
    host: Host, eve: Outside, clean: Snapshot, end: tuple[str, ...]
) -> None:
    box = host.inside("helper")
    box.serve_tcp(8080, b"still here")
    addresses = box.addresses()
    host.weft(*end)
    host.restart_agent(kill=True)  # it must know from its records that somebody is left
    assert box.addresses() == addresses
    for address in (host.address, host.address6):
        assert eve.connect(address, 8080).data == b"still here"
    mate = host.container(f"mate-{end[0]}")
    host.weft("attach", "--netns", mate.path, "--name", "mate", "--net", "app")
    assert not set(mate.addresses()) & set(addresses)  # they are still taken
    assert mate.connect(addresses[0], 8080).data == b"still here"

    host.weft("detach", "mate")
    box.close()
    host.weft("rm", "-f", "helper")
    if end[0] == "stop":
        host.weft("rm", "web")
    assert host.weft("ps", "-aq").stdout == ""
    assert_clean(clean, host)


def test_the_namespace_goes_although_its_users_end_while_no_agent_runs(host: Host, clean: Snapshot) -> None:
    host.weft("rm", "-f", "web")
    pid = host.weft_json("inspect", "helper")[0]["State"]["Pid"]
    host.kill_agent()
    host.run("kill", "-9", pid)
    host.start_agent()
    host.weft("rm", "helper")
    assert host.weft("ps", "-aq").stdout == ""
    assert_clean(clean, host)


def test_the_first_one_can_start_again_beside_the_other(host: Host) -> None:
    addresses = host.inside("helper").addresses()
    host.weft("stop", "web")
    assert host.inside("helper").connect("127.0.0.1", 80).outcome == "refused"
    host.weft("start", "web")
    assert host.inside("web").inode == host.inside("helper").inode
    assert host.inside("web").addresses() == addresses
    eventually(lambda: host.inside("helper").connect("127.0.0.1", 80).outcome == "reply")


def test_it_has_no_network_of_its_own_to_set(host: Host) -> None:
    run = ("run", "-d", "--net", "container:web")
    command = ("--", "sleep", "1000")
    assert "published by the container that owns it" in refusal(host, *run, "-p", "80:80", *command)
    assert "needs a network of its own" in refusal(host, *run, "--ip", "172.18.0.9", *command)
    assert "cannot be combined" in refusal(host, *run, "--net", "app", *command)
    assert "shares the namespace" in refusal(host, "network", "connect", "bridge", "helper")
    assert "Connect that container instead" in refusal(host, "network", "connect", "bridge", "helper")


def test_only_a_running_container_with_a_namespace_of_its_own_can_be_shared(host: Host) -> None:
    def refused(name: str) -> str:
        return refusal(host, "run", "-d", "--net", f"container:{name}", "--", "sleep", "1000")

    assert "no container 'nobody'" in refused("nobody")
    assert "'helper' itself shares the namespace" in refused("helper")
    host.weft("rm", "-f", "helper")
    host.weft("stop", "web")
    assert "'web' does not run" in refused("web")
    host.weft("run", "-d", "--name", "plain", "--net", "host", "--", "sleep", "1000")
    assert "is on the host's own network" in refused("plain")
    host.weft("rm", "-f", "plain")
