"""Other firewalls on the host let weft's bridges pass, each through the hook that it documents; the real programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weft.kernel import admission, syscalls
from weft.kernel.linux import LinuxKernel
from weft.model.errors import KernelRefused, Unsupported
from weft.plan.objects import Admission, LinkUp, Manager
from weft.plan.operations import Add, Remove, additions
from weft.testing.hosts import Host

from .records import BRIDGE

_MS_REC_PRIVATE = 0x4000 | 0x40000


def docker_like(machine: Host, kind: str, *families: str) -> None:
    """Make the chain that Docker makes, with its last rule."""
    for family in families:
        for rule in ("-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER", "-P FORWARD DROP"):
            machine.run(f"{family}-{kind}", "-w", *rule.split())


def rules(machine: Host, program: str) -> list[str]:
    return machine.run(program, "-w", "-S", "DOCKER-USER").stdout.splitlines()


BR = Admission(manager="docker", interface="br-t")
ADMITTED = ["-A DOCKER-USER -o br-t -j ACCEPT", "-A DOCKER-USER -i br-t -j ACCEPT"]
RETURN = "-A DOCKER-USER -j RETURN"


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_docker(kernel: LinuxKernel, machine: Host, kind: str) -> None:
    assert kernel.facts().firewalls == ()
    docker_like(machine, kind, "iptables", "ip6tables")
    assert kernel.facts().firewalls == ("docker",)
    kernel.apply(additions((BRIDGE, BR)))
    for program in (f"iptables-{kind}", f"ip6tables-{kind}"):
        assert rules(machine, program) == ["-N DOCKER-USER", *ADMITTED, RETURN]
    assert BR in kernel.observe((BR,))
    kernel.apply((Add(object=BR),))
    assert rules(machine, f"iptables-{kind}") == ["-N DOCKER-USER", *ADMITTED, RETURN]
    kernel.apply((Remove(object=BR), Remove(object=BR)))
    for program in (f"iptables-{kind}", f"ip6tables-{kind}"):
        assert rules(machine, program) == ["-N DOCKER-USER", RETURN]
    assert BR not in kernel.observe((BR,))


def test_docker_without_ipv6(kernel: LinuxKernel, machine: Host) -> None:
    docker_like(machine, "nft", "iptables")
    kernel.apply(additions((BRIDGE, BR)))
    assert BR in kernel.observe((BR,))


def test_half_an_admission_is_made_whole(kernel: LinuxKernel, machine: Host) -> None:
    docker_like(machine, "nft", "iptables", "ip6tables")
    kernel.apply(additions((BRIDGE, BR)))
    machine.run("iptables-nft", "-w", "-D", *ADMITTED[0].split()[1:])
    assert BR not in kernel.observe((BR,))
    kernel.apply((Add(object=BR),))
    assert BR in kernel.observe((BR,))
    assert len(rules(machine, "iptables-nft")) == 4


def test_leftovers_are_found(kernel: LinuxKernel, machine: Host) -> None:
    """Of a bridge that is gone, and half ones, so that they can be taken away; others' rules are not touched."""
    docker_like(machine, "nft", "iptables", "ip6tables")
    for rule in ("-i weft-0123456789 -j ACCEPT", "-i eth0 -j ACCEPT", "-o docker0 -j ACCEPT"):
        machine.run("iptables-nft", "-w", "-A", "DOCKER-USER", *rule.split())
    (found,) = kernel.observe()
    assert found == Admission(manager="docker", interface="weft-0123456789")
    kernel.apply((Remove(object=found),))
    assert kernel.observe() == ()
    assert [line.split()[3] for line in rules(machine, "iptables-nft")[2:]] == ["eth0", "docker0"]


def test_docker_is_gone(kernel: LinuxKernel) -> None:
    with pytest.raises(Unsupported):
        kernel.apply((Add(object=BR),))
    assert kernel.withdraw((Remove(object=BR),)) == []


def test_an_admission_is_undone(kernel: LinuxKernel, machine: Host) -> None:
    docker_like(machine, "nft", "iptables", "ip6tables")
    with pytest.raises(KernelRefused):
        kernel.apply((Add(object=BR), Add(object=LinkUp(name="nowhere"))))
    assert rules(machine, "iptables-nft") == ["-N DOCKER-USER", RETURN]


# --- ufw ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_ufw(machine: Host, tmp_path: Path) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Gives what calls a function on a host whose ufw is enabled.  Its rule files are a copy that only it sees."""
    copy = tmp_path / "ufw"
    shutil.copytree("/etc/ufw", copy)

    def call(function: Callable[[], None]) -> None:
        def work() -> None:
            syscalls.unshare(0x20000)  # CLONE_NEWNS
            syscalls.mount("none", "/", _MS_REC_PRIVATE)
            syscalls.mount(str(copy), "/etc/ufw", syscalls.MS_BIND)
            subprocess.run(["ufw", "--force", "enable"], check=True, capture_output=True)
            function()

        machine.call(work)

    original = Path("/etc/ufw/user.rules").read_bytes()
    yield call
    assert Path("/etc/ufw/user.rules").read_bytes() == original


def test_ufw(kernel: LinuxKernel, with_ufw: Callable[[Callable[[], None]], None]) -> None:
    thing = Admission(manager="ufw", interface="br-t")

    def work() -> None:
        assert kernel.facts().firewalls == ("ufw",)
        kernel.apply(additions((BRIDGE, thing, thing)))
        assert thing in kernel.observe((thing,))
        listed = subprocess.run(["ufw", "show", "added"], check=True, capture_output=True, text=True).stdout
        assert "ufw route allow in on br-t\nufw route allow out on br-t\n" in listed
        kernel.apply((Remove(object=thing), Remove(object=thing)))
        assert thing not in kernel.observe((thing,))
        assert kernel.facts().firewalls == ("ufw",)

    with_ufw(work)


# --- firewalld ------------------------------------------------------------------------------------------------------


@pytest.fixture
def firewalld(machine: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A firewalld on the host, with a bus of its own."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    address = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    machine.popen("dbus-daemon", "--session", "--nofork", f"--address={address}", stderr=subprocess.DEVNULL)
    (tmp_path / "etc").mkdir()
    options = ("--nofork", "--nopid", "--system-config", tmp_path / "etc", "--log-target", "file")
    while not (tmp_path / "bus").exists():
        time.sleep(0.02)
    daemon = machine.popen("firewalld", *options, "--log-file", tmp_path / "log")
    deadline = time.monotonic() + 20
    while machine.run("firewall-cmd", "--state", check=False).returncode != 0:
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    yield daemon


def test_firewalld(kernel: LinuxKernel, machine: Host, firewalld: subprocess.Popen[bytes]) -> None:
    thing = Admission(manager="firewalld", interface="br-t")

    def zone() -> list[str]:
        return machine.run("firewall-cmd", "--zone=trusted", "--list-interfaces").stdout.split()

    assert kernel.facts().firewalls == ("firewalld",)
    kernel.apply(additions((BRIDGE, thing, thing)))
    assert zone() == ["br-t"]
    assert thing in kernel.observe((thing,))
    assert thing in kernel.observe()
    machine.run("firewall-cmd", "--zone=trusted", "--add-interface=eth9")
    kernel.apply((Remove(object=thing), Remove(object=thing)))
    assert zone() == ["eth9"]
    assert thing not in kernel.observe((thing,))
    firewalld.terminate()
    firewalld.wait()
    assert kernel.withdraw((Remove(object=thing),)) == []
    with pytest.raises(KernelRefused):
        kernel.apply((Add(object=thing),))


# --- programs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manager", ["docker", "firewalld", "ufw"])
def test_a_program_that_is_missing(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    thing = Admission(manager=manager, interface="br-t")
    with pytest.raises(Unsupported):
        kernel.apply((Add(object=thing),))
    assert kernel.withdraw((Remove(object=thing),)) == []


def test_a_program_that_hangs(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is given up after some time and killed."""
    (tmp_path / "ufw").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "ufw").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(admission, "_TIMEOUT_S", 0.2)
    with pytest.raises(KernelRefused) as caught:
        kernel.apply((Add(object=Admission(manager="ufw", interface="br-t")),))
    assert caught.value.evidence["errno"] == "ETIMEDOUT"
