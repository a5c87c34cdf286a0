"""A container's namespace is deleted, or its path or pid comes to mean another one, at each step of weft's work.

Nothing is left of it, nothing is done to the other one, and taking it down is no error.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scenarios.waiting import eventually
from weft.agent.agent import Agent
from weft.kernel import namespaces, syscalls
from weft.model.base import encode
from weft.model.errors import WeftError
from weft.model.requests import Attach, CreateNetwork
from weft.testing.hosts import Host, Hosts, Lan
from weft.testing.mortal import die, live
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

#: More steps than attaching and detaching have; reaching it means that the counting is broken.
TOO_MANY = 400
#: Which steps are tried: every so-manieth, each kind of victim beginning with another one.
STRIDE = 5

# clone3(2): a child of the caller's own parent (CLONE_PARENT), in a new network namespace, with a pid of our choice.
_WITH_PID = """
import ctypes, os, struct, sys
libc, tid = ctypes.CDLL(None, use_errno=True), ctypes.c_int(int(sys.argv[1]))
arguments = struct.pack("11Q", 0x40000000 | 0x8000, 0, 0, 0, 0, 0, 0, 0, ctypes.addressof(tid), 1, 0)
child = libc.syscall(435, arguments, len(arguments))
if child == 0:
    os.execvp("sleep", ["sleep", "1000"])
sys.exit(child < 0)
"""


class Bound:
    """A namespace that is bound to a path, as 'ip netns add' makes it; nothing else holds it."""

    def __init__(self, host: Host) -> None:
        self.path = host.directory / "victim"
        namespaces.create(str(self.path))

    @property
    def request(self) -> Attach:
        return Attach(name="box", networks=("app",), publish=("8080:80",), netns=str(self.path))

    def strike(self) -> None:
        syscalls.umount(str(self.path), syscalls.MNT_DETACH)
        self.path.unlink()

    def close(self) -> None:
        if self.path.exists():
            Bound.strike(self)


class Replaced(Bound):
    """One whose path leads to another namespace afterwards."""

    def strike(self) -> None:
        super().strike()
        namespaces.create(str(self.path))


class Process:
    """A namespace that is a process's; the process ends, and another one is given its pid."""

    def __init__(self, host: Host) -> None:
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        self.path = Path(f"/proc/{self.process.pid}/ns/net")
        eventually(lambda: os.stat(self.path).st_ino != os.stat(namespaces.OWN).st_ino)
        self.pid = 0

    @property
    def request(self) -> Attach:
        return Attach(name="box", networks=("app",), publish=("8080:80",), pid=self.process.pid)

    def strike(self) -> None:
        self.process.kill()
        self.process.wait()
        subprocess.run([sys.executable, "-SEc", _WITH_PID, str(self.process.pid)], check=True)
        self.pid = self.process.pid

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)


VICTIMS = (Bound, Replaced, Process)
Victim = Bound | Process


class Fate:
    """Strikes a victim from this process when an agent, in a process of its own, calls."""

    def __init__(self, victim: Victim) -> None:
        self._here, self._there = socket.socketpair()
        self.struck = False
        self._victim = victim
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def __call__(self) -> None:
        self._there.send(b"now")
        self._there.recv(1)

    def _wait(self) -> None:
        if self._here.recv(3):
            self._victim.strike()
            self.struck = True
            self._here.send(b"!")

    def close(self) -> None:
        self._there.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._there.close()
        self._here.close()
        self._victim.close()


@pytest.fixture(scope="module")
def forked(hosts: Hosts) -> Host:
    """A host for agents that are forked."""
    host = hosts.host("forked", hosts.lan("203.0.113.0/24"))
    live(host, lambda agent: agent.create_network(CreateNetwork(name="app", subnets=("10.76.0.0/24", "fd00:76::/64"))))
    victim = Bound(host)
    live(host, lambda agent: come_and_go(victim, agent))  # what the kernel keeps of a first use is no leftover
    victim.close()
    return host


def come_and_go(victim: Victim, agent: Agent) -> None:
    """Attach and detach; refused or not, nothing may be known of it in the end."""
    with suppress(WeftError):
        agent.attach(victim.request)
        agent.detach("box", None)
    eventually(lambda: agent.list_containers(everything=True) == [])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", VICTIMS, ids=lambda kind: kind.__name__)
def test_at_each_step(forked: Host, kind: type[Victim]) -> None:
    clean = Snapshot.take(forked)
    for fatal in range(1 + VICTIMS.index(kind), TOO_MANY, STRIDE):
        victim = kind(forked)
        fate = Fate(victim)
        try:
            death = die(forked, lambda agent: come_and_go(victim, agent), fatal, fate)  # noqa: B023
            assert death.step is None
            if not fate.struck:
                assert death.steps < fatal and death.steps > 20
                return
            if victim.path.exists():
                assert interfaces(victim.path) == ["lo"]
            assert_clean(clean, forked)
        finally:
            fate.close()
    raise AssertionError(f"more than {TOO_MANY} steps")


@pytest.fixture(params=VICTIMS, ids=lambda kind: kind.__name__)
def victim(request: pytest.FixtureRequest, host: Host) -> Iterator[Victim]:
    """A victim that is attached and publishes a port."""
    victim: Victim = request.param(host)
    host.api.request("POST", "/v1/attachments", json.loads(encode(victim.request)))
    yield victim
    victim.close()


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    host = hosts.host("h1", lan)
    host.start_agent()
    host.weft("network", "create", "app", "--subnet", "10.75.0.0/24", "--subnet", "fd00:75::/64")
    host.weft("attach", "--netns", host.container("first").path, "--name", "first", "--net", "app")
    host.weft("detach", "first")
    return host


@pytest.fixture
def clean(host: Host) -> Iterator[Snapshot]:
    """What the host is like without the victim, afterwards as before; and no defect was met."""
    clean = Snapshot.take(host)
    yield clean
    assert_clean(clean, host)
    assert "Traceback" not in host.log and "defect" not in host.log


def test_what_was_attached_is_forgotten_by_itself(clean: Snapshot, host: Host, victim: Victim) -> None:
    victim.strike()
    eventually(lambda: host.weft_json("ps", "-a", "--format", "json") == [], 2.0)
    # Its port and its address are free again.
    box = host.container("next")
    host.weft("attach", "--netns", box.path, "--name", "next", "--net", "app", "-p", "8080:80", "--ip", "10.75.0.2")
    host.weft("detach", "next")
    box.close()


def test_it_is_forgotten_also_while_no_agent_runs(clean: Snapshot, host: Host, victim: Victim) -> None:
    host.kill_agent()
    victim.strike()
    host.start_agent()
    assert host.weft_json("ps", "-a", "--format", "json") == []
    if victim.path.exists():
        assert interfaces(victim.path) == ["lo"]


def test_a_sandbox_without_its_namespace_can_be_removed(clean: Snapshot, host: Host) -> None:
    host.weft("run", "-d", "--name", "job", "--net", "app", "-p", "8080:80", "--", "sleep", "1000")
    key = Path(host.api.request("GET", "/v1/containers/job")["NetworkSettings"]["SandboxKey"])
    syscalls.umount(str(key), syscalls.MNT_DETACH)
    key.unlink()
    assert host.weft("rm", "-f", "job").stderr == ""


def interfaces(path: Path) -> list[str]:
    space = Space("other", path)
    try:
        return space.interfaces()
    finally:
        space.close()
