"""A host and its containers as real network namespaces, in which described commands are run by a shell."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from weft.model.container import Namespace
from weft.plan.objects import Objects
from weft.plan.operations import additions, describe, removals

_COUNTER = itertools.count()
_TALK = (sys.executable, str(Path(__file__).with_name("talk.py")))


class Scratch:
    """Namespaces of one test, all of them gone after ``close``.  The host is called 'host'."""

    def __init__(self) -> None:
        self._prefix = f"pl{os.getpid()}x{next(_COUNTER)}"
        self._names: list[str] = []
        self._programs: list[subprocess.Popen[str]] = []
        self.add("host")
        # So that a test says what is forwarded, whatever the machine it runs on inherits to new namespaces.
        self.run("host", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")

    def add(self, name: str) -> Namespace:
        """Make a namespace with ``lo`` up."""
        full = f"{self._prefix}-{name}"
        subprocess.run(["ip", "netns", "add", full], check=True)
        self._names.append(full)
        self.run(name, "ip link set lo up")
        path = f"/run/netns/{full}"
        return Namespace(path=path, inode=Path(path).stat().st_ino)

    def run(self, name: str, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script in a namespace; with ``check`` raise AssertionError with its errors if it fails."""
        done = subprocess.run(
            ["ip", "netns", "exec", f"{self._prefix}-{name}", "sh", "-euc", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done

    def start(self, name: str, *words: object) -> subprocess.Popen[str]:
        """Start talk.py in a namespace, wait until it is ready; it ends with the scratch if not before."""
        program = subprocess.Popen(
            ["ip", "netns", "exec", f"{self._prefix}-{name}", *_TALK, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._programs.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        return program

    def serve(self, name: str, port: int, protocol: str = "tcp", address: str = "::") -> None:
        """Start a server in a namespace that tells callers which address they have ('::' serves IPv4 as well)."""
        self.start(name, "serve", protocol, address, port)

    def ask(self, name: str, address: str, port: int, protocol: str = "tcp", seconds: float = 0.5) -> str:
        """Return which address the server at ``address`` sees when ``name`` calls it, '' if none answers."""
        words = " ".join([*_TALK, "ask", protocol, address, str(port), str(seconds)])
        return self.run(name, words).stdout.removeprefix("::ffff:")

    def send_frame(self, name: str, interface: str, frame: bytes) -> None:
        """Send a frame as it is out of an interface."""
        self.run(name, " ".join([*_TALK, "frame", interface, frame.hex()]))

    def build(self, objects: Objects) -> None:
        """Bring ``objects`` into being on the host, by the commands that describe it."""
        self.run("host", "\n".join(describe(additions(objects))))

    def dismantle(self, objects: Objects) -> None:
        """Take ``objects`` away again, in the same manner."""
        self.run("host", "\n".join(describe(removals(objects))))

    def wire(self, left: str, left_name: str, right: str, right_name: str) -> None:
        """Lay a cable between two namespaces."""
        peer = f"/run/netns/{self._prefix}-{right}"
        self.run(left, f"ip link add {left_name} type veth peer name {right_name} netns {peer}")
        self.run(left, f"ip link set {left_name} up")
        self.run(right, f"ip link set {right_name} up")

    def close(self) -> None:
        """End all programs and remove all namespaces."""
        for program in self._programs:
            program.kill()
            program.wait()
            assert program.stdout is not None
            program.stdout.close()
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def joined(parts: Iterable[Objects]) -> Objects:
    """Return the objects of all parts, in order."""
    return tuple(thing for part in parts for thing in part)
