"""Network namespaces as tests use them: run a program in one, serve, connect, send, ping."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterable
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, TypeVar

from weft.kernel import namespaces
from weft.model.container import Namespace
from weft.testing import probes
from weft.testing.probes import PATIENCE, Answer, Server

T = TypeVar("T")


class CommandFailed(AssertionError):
    """A command exited with an error; the message is what a person would have seen."""


def finish(process: subprocess.Popen[Any], patience: float = 5.0) -> None:
    """End ``process``: SIGTERM, and SIGKILL when it has not ended ``patience`` seconds later."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


class Space:
    """A network namespace that exists already, at ``path``.  What is started in it here is ended by ``close``."""

    def __init__(self, name: str, path: str | Path) -> None:
        self.name = name
        self.path = str(path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self.fd).st_ino
        self.processes: list[subprocess.Popen[Any]] = []
        self._servers: list[Server] = []

    def close(self) -> None:
        """End the processes and servers that were started in it, and let go of it."""
        while self._servers:
            self._servers.pop().close()
        while self.processes:
            finish(self.processes.pop())
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def call(self, function: Callable[[], T]) -> T:
        """Return ``function()``, called by a thread that has entered the namespace."""
        return namespaces.in_namespace(self.fd, function)

    # --- programs

    def run(
        self, *command: object, check: bool = True, input: str | None = None, timeout: float = 60.0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end.  With ``check`` a failure raises CommandFailed, which shows its output."""
        words = [str(word) for word in command]
        done = self.call(
            lambda: subprocess.run(
                words, check=False, capture_output=True, text=True, input=input or "", timeout=timeout, **options
            )
        )
        if check and done.returncode != 0:
            raise CommandFailed(
                f"{self.name}: {shlex.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def popen(self, *command: object, **options: Any) -> subprocess.Popen[Any]:
        """Start a program that is ended when the space is closed."""
        words = [str(word) for word in command]
        process = self.call(lambda: subprocess.Popen(words, stdin=subprocess.DEVNULL, **options))
        self.processes.append(process)
        return process

    def ip(self, *lines: str) -> None:
        """Carry out lines of ip(8), each without the word 'ip', in one process."""
        self.run("ip", "-batch", "-", input="\n".join(lines))

    def run_json(self, *command: object, **options: Any) -> Any:
        """Run a program that prints JSON and return what it says; printing nothing is an empty list."""
        return json.loads(self.run(*command, **options).stdout or "[]")

    # --- looking

    def interfaces(self) -> list[str]:
        """Return the names of its interfaces."""
        return self.call(lambda: [name for _, name in socket.if_nameindex()])

    def addresses(self, interface: str = "", version: int | None = None) -> list[str]:
        """Return its addresses beside those of lo and the link-local ones, IPv4 first."""
        links = self.run_json("ip", "-j", "address", "show", *(["dev", interface] if interface else []))
        found = [
            ip_interface(address["local"]).ip
            for link in links
            for address in link.get("addr_info", ())
            if link["ifname"] != "lo" and address["scope"] == "global"
        ]
        found.sort(key=lambda address: address.version)
        return [str(address) for address in found if version in (None, address.version)]

    def mac(self, interface: str) -> str:
        """Return the MAC address of an interface."""
        (link,) = self.run_json("ip", "-j", "link", "show", "dev", interface)
        return str(link["address"])

    def sysctl(self, path: str, value: object | None = None) -> str:
        """Return a sysctl of the namespace (``net/ipv4/ip_forward``), having set it when a value is given."""
        file = Path("/proc/sys", path)

        def work() -> str:
            if value is not None:
                file.write_text(str(value))
            return file.read_text().strip()

        return self.call(work)

    # --- talking

    def serve_tcp(self, port: int = 0, payload: bytes | None = None, address: str = "") -> Server:
        """Answer TCP clients with ``payload``, or with their own address when it is None."""
        return self._serve(socket.SOCK_STREAM, port, payload, address)

    def serve_udp(self, port: int = 0, payload: bytes | None = None, address: str = "") -> Server:
        """Answer datagrams with ``payload``, or with their sender's address when it is None."""
        return self._serve(socket.SOCK_DGRAM, port, payload, address)

    def _serve(self, kind: socket.SocketKind, port: int, payload: bytes | None, address: str) -> Server:
        server = Server(self.call(lambda: probes.listen(kind, address, port)), payload)
        self._servers.append(server)
        return server

    def connect(
        self, address: str, port: int, send: bytes = b"", source: str = "", timeout: float = PATIENCE
    ) -> Answer:
        """Connect by TCP from ``source`` ('': any), send, and read to the end."""
        return probes.tcp(self.call, address, port, send, source, timeout)

    def send_udp(
        self, address: str, port: int, send: bytes = b"?", source: str = "", timeout: float = PATIENCE
    ) -> Answer:
        """Send a datagram from ``source`` ('': any) and wait for one back."""
        return probes.udp(self.call, address, port, send, source, timeout)

    def ping(self, address: str, timeout: float = PATIENCE) -> bool:
        """Say whether ``address`` answers an echo request."""
        return probes.ping(self.call, address, timeout)


class OwnSpace(Space):
    """A namespace that is made with this object, at a path where there is nothing yet, and ended with it."""

    def __init__(self, name: str, path: str | Path) -> None:
        self._namespace: Namespace = namespaces.create(str(path))
        super().__init__(name, path)

    def close(self) -> None:
        super().close()
        namespaces.remove(self._namespace)


def close_all(spaces: Iterable[Space]) -> None:
    """Close all of them, going on after errors, and raise the errors at the end."""
    errors: list[Exception] = []
    for space in spaces:
        try:
            space.close()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not everything could be closed", errors)
