"""A host and its containers as real network namespaces, in which described commands are run by a shell."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from weft.model.container import Namespace
from weft.plan.objects import Objects
from weft.plan.operations import additions, describe, removals
from weft.testing.spaces import OwnSpace, close_all
from weft.testing.sweep import PREFIX

#: Seconds within which whoever answers at all answers.
PATIENCE = 0.3


class Scratch:
    """Namespaces of one test, all of them gone after ``close``.  The host is called 'host'."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.spaces: dict[str, OwnSpace] = {}
        self.add("host")
        # So that a test says what is forwarded, whatever the machine it runs on inherits to new namespaces.
        self.run("host", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")

    def add(self, name: str) -> Namespace:
        """Make a namespace with ``lo`` up."""
        space = self.spaces[name] = OwnSpace(name, self._directory / name)
        return Namespace(path=space.path, inode=space.inode)

    def run(self, name: str, script: str, *, check: bool = True) -> str:
        """Run a shell script in a namespace and return what it prints; with ``check`` raise if it fails."""
        return self.spaces[name].run("sh", "-euc", script, check=check).stdout

    def serve(self, name: str, port: int, protocol: str = "tcp", address: str = "") -> None:
        """Start a server in a namespace that tells callers which address they have."""
        space = self.spaces[name]
        (space.serve_tcp if protocol == "tcp" else space.serve_udp)(port, address=address)

    def ask(self, name: str, address: str, port: int, protocol: str = "tcp") -> str:
        """Return which address the server at ``address`` sees when ``name`` calls it, '' if none answers."""
        space = self.spaces[name]
        return (space.connect if protocol == "tcp" else space.send_udp)(address, port, timeout=PATIENCE).text

    def send_frame(self, name: str, interface: str, frame: bytes) -> None:
        """Send a frame as it is out of an interface."""

        def send() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
                sender.bind((interface, 0))
                sender.send(frame)

        self.spaces[name].call(send)

    def build(self, objects: Objects) -> None:
        """Bring ``objects`` into being on the host, by the commands that describe it."""
        self.run("host", "\n".join(describe(additions(objects))))

    def dismantle(self, objects: Objects) -> None:
        """Take ``objects`` away again, in the same manner."""
        self.run("host", "\n".join(describe(removals(objects))))

    def wire(self, left: str, left_name: str, right: str, right_name: str) -> None:
        """Lay a cable between two namespaces."""
        ends = self.spaces[left], self.spaces[right]
        ends[0].ip(f"link add {left_name} type veth peer name {right_name} netns {ends[1].path}")
        for space, name in zip(ends, (left_name, right_name), strict=True):
            space.ip(f"link set {name} up")

    def close(self) -> None:
        """End all that was started and remove all namespaces."""
        close_all(self.spaces.values())
        shutil.rmtree(self._directory)


def joined(parts: Iterable[Objects]) -> Objects:
    """Return the objects of all parts, in order."""
    return tuple(thing for part in parts for thing in part)
