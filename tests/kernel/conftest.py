"""A host and its containers, each a network namespace, for tests of the real kernel."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from weft.kernel import namespaces
from weft.kernel.linux import LinuxKernel
from weft.model.container import Namespace

T = TypeVar("T")
_numbers = itertools.count(1)


class Lab:
    """Namespaces made by ip-netns(8), seen through ``ip`` and ``nft``: other eyes than those under test."""

    def __init__(self) -> None:
        self._prefix = f"kn{os.getpid()}n{next(_numbers)}"
        self._names: list[str] = []
        self.host = self.make("host")
        self.kernel: LinuxKernel = self.on_host(LinuxKernel)

    def make(self, name: str) -> Namespace:
        """Make a namespace; it plays the host or a container."""
        full = f"{self._prefix}-{name}"
        subprocess.run(["ip", "netns", "add", full], check=True)
        self._names.append(full)
        subprocess.run(["ip", "-n", full, "link", "set", "lo", "up"], check=True)
        path = f"/run/netns/{full}"
        return Namespace(path=path, inode=os.stat(path).st_ino)

    def inside(self, where: Namespace, function: Callable[[], T]) -> T:
        """Call a function inside a namespace."""
        with namespaces.opened(where.path) as fd:
            return namespaces.in_namespace(fd, function)

    def on_host(self, function: Callable[[], T]) -> T:
        return self.inside(self.host, function)

    def command(self, where: Namespace, line: str, stdin: str | None = None) -> str:
        """Run a command line inside a namespace and return what it prints."""
        argv = ["nsenter", f"--net={where.path}", "sh", "-ec", line]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sh(self, line: str, stdin: str | None = None) -> str:
        """Run a command line on the host and return what it prints."""
        return self.command(self.host, line, stdin)

    def close(self) -> None:
        self.kernel.close()
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def kernel(lab: Lab) -> LinuxKernel:
    """The kernel of the lab's host."""
    return lab.kernel
