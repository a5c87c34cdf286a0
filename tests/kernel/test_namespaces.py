"""Namespaces are checked before they are entered, held while they are used, made and removed without forking."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.kernel import namespaces
from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import KernelRefused, NamespaceNotFound
from weft.plan.objects import LinkUp, Sysctl
from weft.plan.operations import Add, Remove, additions
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import BRIDGE, endpoint, network, veth


@pytest.fixture
def made(kernel: LinuxKernel, tmp_path: Path) -> Iterator[Namespace]:
    """A namespace that the kernel room made."""
    namespace = kernel.create_namespace(str(tmp_path / "made"))
    yield namespace
    kernel.remove_namespace(namespace)


def mounts(path: Path) -> int:
    return Path("/proc/self/mountinfo").read_text().count(f" {path}/")


def test_a_made_namespace_is_one_of_its_own_with_lo_up(kernel: LinuxKernel, made: Namespace) -> None:
    assert made.owned
    assert kernel.is_alive(made)
    assert kernel.interfaces(made) == {"lo"}
    assert replace(kernel.open_namespace(made.path), owned=True) == made
    with namespaces.opened_same(made) as fd:
        client = namespaces.in_namespace(fd, lambda: socket.create_server(("127.0.0.1", 0)))
    client.close()


def test_it_outlives_the_thread_that_made_it_and_ends_with_its_file(kernel: LinuxKernel, tmp_path: Path) -> None:
    namespace = kernel.create_namespace(str(tmp_path / "made"))
    assert mounts(tmp_path) == 1
    kernel.remove_namespace(namespace)
    assert mounts(tmp_path) == 0
    assert not kernel.is_alive(namespace)
    assert list(tmp_path.iterdir()) == []
    kernel.remove_namespace(namespace)


def test_a_name_that_is_one_already_is_refused(kernel: LinuxKernel, made: Namespace, tmp_path: Path) -> None:
    with pytest.raises(KernelRefused) as caught:
        kernel.create_namespace(made.path)
    assert caught.value.evidence["errno"] == "EEXIST"
    assert kernel.is_alive(made)
    assert mounts(tmp_path) == 1


def test_a_file_that_a_killed_agent_left_is_used(kernel: LinuxKernel, tmp_path: Path) -> None:
    (tmp_path / "left").touch()
    namespace = kernel.create_namespace(str(tmp_path / "left"))
    assert kernel.is_alive(namespace)
    kernel.remove_namespace(namespace)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_namespace_is_cleared_away(kernel: LinuxKernel, tmp_path: Path) -> None:
    (tmp_path / "left").touch()
    kernel.remove_namespace(Namespace(path=str(tmp_path / "left"), inode=1, owned=True))
    assert list(tmp_path.iterdir()) == []


def test_what_weft_did_not_make_is_not_removed(kernel: LinuxKernel, made: Namespace, tmp_path: Path) -> None:
    """Neither a namespace of somebody else's, nor another one at the same place, nor a file with something in it."""
    letter = tmp_path / "letter"
    letter.write_text("dear")
    kernel.remove_namespace(replace(made, owned=False))
    kernel.remove_namespace(replace(made, inode=made.inode + 1))
    kernel.remove_namespace(Namespace(path=str(letter), inode=1, owned=True))
    assert kernel.is_alive(made)
    assert letter.read_text() == "dear"


def test_a_symbolic_link_is_not_followed_where_one_is_made(kernel: LinuxKernel, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KernelRefused):
        kernel.create_namespace(str(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(kernel: LinuxKernel, tmp_path: Path) -> None:
    with pytest.raises(KernelRefused) as caught:
        kernel.create_namespace(str(tmp_path / "no" / "such"))
    assert caught.value.evidence["errno"] == "ENOENT"


# --- what is no namespace -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/", "/dev/null", "/no/such", "", "/proc/self/ns/mnt", "/proc/self/ns/uts", "x\0y"],
)
def test_paths_to_other_things_are_refused(kernel: LinuxKernel, path: str) -> None:
    with pytest.raises(NamespaceNotFound):
        kernel.open_namespace(path)
    assert not kernel.is_alive(Namespace(path=path, inode=1))


def test_a_fifo_is_refused_without_being_opened(kernel: LinuxKernel, tmp_path: Path) -> None:
    """Opening it would wait for ever, and wake whoever waits at its other end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = threading.Event()

    def wait_at_the_other_end() -> None:
        with open(fifo, "w"):
            opened.set()

    thread = threading.Thread(target=wait_at_the_other_end)
    thread.start()
    try:
        with pytest.raises(NamespaceNotFound):
            kernel.open_namespace(str(fifo))
        assert not opened.wait(0.2)
    finally:
        with open(fifo):
            thread.join()


def test_the_hosts_own_namespace_is_refused(kernel: LinuxKernel, machine: Host) -> None:
    with pytest.raises(NamespaceNotFound, match="host's own"):
        kernel.open_namespace(machine.path)


def test_a_process_by_its_pid(kernel: LinuxKernel, box: Space) -> None:
    process = box.popen("sleep", "60")
    namespace = kernel.open_namespace(f"/proc/{process.pid}/ns/net")
    assert namespace.inode == box.inode
    process.kill()
    process.wait()
    assert not kernel.is_alive(namespace)


def test_another_namespace_at_the_same_path_is_refused(kernel: LinuxKernel, machine: Host, tmp_path: Path) -> None:
    """A pid that was given to another process: nothing is done there."""
    link = tmp_path / "link"
    first, second = machine.container("c1"), machine.container("c2")
    link.symlink_to(first.path)
    namespace = kernel.open_namespace(str(link))
    link.unlink()
    link.symlink_to(second.path)
    assert not kernel.is_alive(namespace)
    for operation in (
        Add(object=LinkUp(name="lo", ns=namespace)),
        Add(object=Sysctl(path="net/ipv4/conf/lo/forwarding", value="1", ns=namespace)),
        Add(object=veth(namespace, master="", isolated=False, hairpin=False)),
    ):
        with pytest.raises(NamespaceNotFound):
            kernel.apply((operation,))
    with pytest.raises(NamespaceNotFound):
        kernel.interfaces(namespace)
    assert second.interfaces() == ["lo"]
    assert second.sysctl("net/ipv4/conf/lo/forwarding") == "0"
    assert kernel.interfaces(None) == {"lo"}


def test_what_stood_in_a_namespace_that_is_gone_needs_no_removing(kernel: LinuxKernel, tmp_path: Path) -> None:
    gone = kernel.create_namespace(str(tmp_path / "gone"))
    kernel.apply(additions((*network(), *endpoint(gone))))
    kernel.remove_namespace(gone)
    everything = tuple(Remove(object=thing) for thing in reversed((*network(), *endpoint(gone))))
    assert kernel.withdraw(everything) == []
    assert kernel.interfaces(None) == {"lo"}


# --- entering -------------------------------------------------------------------------------------------------------


def test_the_calling_thread_stays_where_it_is(machine: Host, box: Space) -> None:
    before = os.stat(namespaces.OWN).st_ino
    assert box.call(lambda: os.stat(namespaces.OWN).st_ino) == box.inode
    assert os.stat(namespaces.OWN).st_ino == before


def test_errors_come_out_of_a_namespace(box: Space) -> None:
    with pytest.raises(ZeroDivisionError):
        box.call(lambda: 1 // 0)


def test_an_agent_in_another_namespace_than_its_process(kernel: LinuxKernel, machine: Host, ns: Namespace) -> None:
    """The kernel's host is where it was made; this test's own threads are elsewhere, and nothing happens there."""

    def here() -> tuple[set[str], str]:
        ruleset = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        return {name for _, name in socket.if_nameindex()}, ruleset

    before = here()
    kernel.apply(additions((*network(), *endpoint(ns))))
    assert here() == before
    assert set(machine.interfaces()) == {"lo", "br-t", "wvport"}


def test_no_descriptor_and_no_thread_is_left(kernel: LinuxKernel, ns: Namespace, tmp_path: Path) -> None:
    everything = (*network(), *endpoint(ns))

    def once() -> None:
        kernel.apply(additions(everything))
        kernel.observe(everything)
        kernel.facts()
        kernel.subscribe(lambda reason: None)()
        kernel.flush_connections(["10.9.0.2"])
        with pytest.raises(KernelRefused):
            kernel.apply((Add(object=LinkUp(name="nowhere", ns=ns)),))
        kernel.withdraw(tuple(Remove(object=thing) for thing in reversed(everything)))
        kernel.remove_namespace(kernel.create_namespace(str(tmp_path / "more")))

    once()
    time.sleep(0.1)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        once()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_a_sysctl_path_leads_nowhere_else(kernel: LinuxKernel) -> None:
    for path in ("kernel/hostname", "net/../kernel/hostname", "net//ipv4", "net", "/net/ipv4/tcp_sack", "net/ipv4/\0"):
        with pytest.raises(KernelRefused):
            kernel.apply((Add(object=Sysctl(path=path, value="1")),))
        with pytest.raises(KernelRefused):
            kernel.read_sysctl(path)


def test_an_optional_sysctl_may_be_missing(kernel: LinuxKernel) -> None:
    missing = Sysctl(path="net/ipv6/conf/all/no_such_thing", value="1", optional=True)
    kernel.apply((Add(object=missing), Add(object=BRIDGE)))
    assert kernel.observe((missing,)) == (BRIDGE,)
