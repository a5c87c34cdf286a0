"""An agent that only writes down what it was asked, to test what lies between it and those who ask."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weft.agent.facade import Outcome
from weft.api.client import Client
from weft.api.listener import Listener
from weft.api.server import Server
from weft.model import requests
from weft.model.errors import ContainerNotFound

NETWORK: dict[str, Any] = {
    "id": "a" * 64,
    "name": "app",
    "driver": "bridge",
    "subnets": [{"cidr": "172.20.0.0/16", "gateway": "172.20.0.1", "ip_range": None}],
    "bridge": "weft-aaaaaaaaaa",
    "internal": False,
    "icc": True,
    "masquerade": True,
    "mtu": None,
    "containers": 1,
    "labels": {},
    "created": "2026-01-02T03:04:05.000Z",
    "mode": "private",
    "reach": "each other, the host and outside",
}
MODE = NETWORK | {
    "id": "",
    "name": "none",
    "driver": "none",
    "subnets": [],
    "bridge": "",
    "mode": "none",
    "reach": "nobody",
}
CONTAINER: dict[str, Any] = {
    "id": "c" * 64,
    "name": "web",
    "command": ["sleep", "100"],
    "state": "running",
    "mode": "private",
    "networks": {"app": {"ip": "172.20.0.2", "ip6": "", "mac": "02:42:ac:14:00:02", "interface": "eth0"}},
    "ports": ["0.0.0.0:8080->80/tcp"],
    "created": "2026-01-02T03:04:05.000Z",
    "started": "2026-01-02T03:04:05.000Z",
    "exit_code": None,
    "pid": 4242,
}
INSPECTED: dict[str, Any] = {
    "Id": "c" * 64,
    "Name": "/web",
    "State": {"Pid": 4242, "Running": True},
    "Managed": True,
    "Config": {"Env": ["A=1"]},
    "NetworkSettings": {"SandboxKey": "/run/weft/netns/web"},
}
PORTS = [
    {"container_port": 80, "protocol": "tcp", "host_ip": "0.0.0.0", "host_port": 8080},
    {"container_port": 80, "protocol": "tcp", "host_ip": "::", "host_port": 8080},
    {"container_port": 53, "protocol": "udp", "host_ip": "127.0.0.1", "host_port": 49000},
]
PLUG = {
    "port": "wvcccccccccccc", "container": "web", "interface": "eth0", "ip": ["172.20.0.2/16"],
    "mac": "02:42:ac:14:00:02",
}  # fmt: skip
SHOW = {
    "bridges": [
        {
            "name": "weft-aaaaaaaaaa", "network": "app", "address": ["172.20.0.1/16"], "mtu": 1500,
            "ports": [PLUG, PLUG | {"container": "db"}],
        },
        {"name": "weft0", "network": "bridge", "address": ["172.17.0.1/16"], "mtu": 1500, "ports": []},
    ],
    "cables": [{"network": "cable-1", "ends": [PLUG | {"port": ""}]}],
}  # fmt: skip
STATUS = {
    "agent": {"version": "0.1.0", "pid": 1, "uptime": 12.5, "state_dir": "/s", "run_dir": "/r"},
    "networks": 2, "containers": 3, "running": 1, "endpoints": 1,
    "problems": [{"what": "forwarding is off", "hint": "Turn it on."}],
    "last_repair": {"time": "2026-01-02T03:04:05.000Z", "reason": "start", "commands": ["ip link set x up"]},
}  # fmt: skip
DOCTOR = {
    "checks": [
        {"name": "nftables", "ok": True, "detail": "libnftables.so.1", "hint": "unneeded"},
        {"name": "names", "ok": False, "detail": "dnsmasq is missing", "hint": "apt install dnsmasq-base"},
    ]
}
EVENT = {"time": "2026-01-02T03:04:05.000Z", "type": "container", "action": "start", "id": "c" * 64, "name": "web"}
OPERATIONS = ("ip link add weft0 type bridge", "ip link set weft0 up")
NAMED = {"id": "c" * 64, "name": "web"}


class RecordingAgent:
    """Implements ``AgentFacade``: notes each call in ``calls`` and answers from ``answers``.

    ``failure`` is raised instead of answering; ``hold`` makes every call wait until it is set.
    """

    def __init__(self, log: Path) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failure: BaseException | None = None
        self.hold: threading.Event | None = None
        self.log = log
        self.log.touch()
        self.ended = threading.Event()
        self.exit_code = 0
        self.mailbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.listeners = 0

    def _note(self, method: str, *arguments: Any) -> None:
        self.calls.append((method, *arguments))
        if self.hold is not None:
            self.hold.wait()
        if self.failure is not None:
            raise self.failure

    def _change(self, result: Any, method: str, *arguments: Any) -> Outcome:
        self._note(method, *arguments)
        dry_run = arguments[-1]
        return Outcome(result=None if dry_run else result, operations=OPERATIONS)

    # --- networks

    def create_network(self, request: requests.CreateNetwork, dry_run: bool = False) -> Outcome:
        return self._change(NETWORK, "create_network", request, dry_run)

    def list_networks(self) -> list[dict[str, Any]]:
        self._note("list_networks")
        return [NETWORK, MODE]

    def inspect_network(self, name: str) -> dict[str, Any]:
        self._note("inspect_network", name)
        return {"Name": name}

    def remove_network(self, name: str, dry_run: bool = False) -> Outcome:
        return self._change(NAMED, "remove_network", name, dry_run)

    def prune_networks(self, dry_run: bool = False) -> Outcome:
        return self._change(["old", "older"], "prune_networks", dry_run)

    def connect(self, network: str, request: requests.Connect, dry_run: bool = False) -> Outcome:
        return self._change(CONTAINER, "connect", network, request, dry_run)

    def disconnect(self, network: str, request: requests.Disconnect, dry_run: bool = False) -> Outcome:
        return self._change(NAMED, "disconnect", network, request, dry_run)

    # --- containers

    def run(self, request: requests.Run, dry_run: bool = False) -> Outcome:
        return self._change(CONTAINER | {"directory": "/d", "console": "/d/console.sock"}, "run", request, dry_run)

    def attach(self, request: requests.Attach, dry_run: bool = False) -> Outcome:
        return self._change(CONTAINER, "attach", request, dry_run)

    def detach(self, name: str, network: str | None, dry_run: bool = False) -> Outcome:
        return self._change(NAMED, "detach", name, network, dry_run)

    def cable(self, request: requests.Cable, dry_run: bool = False) -> Outcome:
        result = {"network": "cable-1", request.left: "10.255.0.0", request.right: "10.255.0.1"}
        return self._change(result, "cable", request, dry_run)

    def start(self, name: str, dry_run: bool = False) -> Outcome:
        return self._change(CONTAINER, "start", name, dry_run)

    def stop(self, name: str, timeout: float = 10.0, dry_run: bool = False) -> Outcome:
        outcome = self._change(NAMED | {"exit_code": 143}, "stop", name, timeout, dry_run)
        if not dry_run:
            self.finish(143)
        return outcome

    def remove(self, name: str, force: bool = False, dry_run: bool = False) -> Outcome:
        return self._change(NAMED, "remove", name, force, dry_run)

    def wait(self, name: str, timeout: float | None = None) -> int | None:
        if name == "gone":
            raise ContainerNotFound("no container 'gone'")
        return self.exit_code if self.ended.wait(timeout) else None

    def finish(self, code: int) -> None:
        """End the container: what was written to its log before is all there is."""
        if not self.ended.is_set():
            self.exit_code = code
            self.ended.set()

    def list_containers(self, everything: bool = False) -> list[dict[str, Any]]:
        self._note("list_containers", everything)
        return [CONTAINER]

    def inspect(self, name: str) -> dict[str, Any]:
        self._note("inspect", name)
        return INSPECTED

    def ports(self, name: str) -> list[dict[str, Any]]:
        self._note("ports", name)
        return PORTS

    def log_file(self, name: str) -> Path:
        self._note("log_file", name)
        return self.log

    # --- all of it, seeing

    def reset(self, dry_run: bool = False) -> Outcome:
        return self._change(None, "reset", dry_run)

    def show(self) -> dict[str, Any]:
        self._note("show")
        return SHOW

    def plan(self, name: str | None = None) -> dict[str, Any]:
        self._note("plan", name)
        return {"objects": [{"type": "Bridge", "name": "weft0"}], "commands": list(OPERATIONS)}

    def status(self) -> dict[str, Any]:
        self._note("status")
        return STATUS

    def doctor(self) -> dict[str, Any]:
        self._note("doctor")
        return DOCTOR

    def events(self) -> Iterator[dict[str, Any]]:
        self._note("events")
        self.listeners += 1
        return self._events()

    def _events(self) -> Iterator[dict[str, Any]]:
        try:
            while True:
                try:
                    event = self.mailbox.get(timeout=0.02)
                except queue.Empty:
                    event = {}
                if event is None:
                    return
                yield event
        finally:
            self.listeners -= 1


@contextmanager
def serving(agent: RecordingAgent, socket_path: Path) -> Iterator[Client]:
    """Serve ``agent`` on a real socket; yield a client of it."""
    with Listener(socket_path) as listener:
        server = Server(agent, listener)
        server.start()
        try:
            yield Client(socket_path)
        finally:
            if agent.hold is not None:
                agent.hold.set()
            server.stop()
