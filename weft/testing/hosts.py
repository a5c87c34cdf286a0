"""Namespaces that play machines.

    with Hosts() as hosts:
        lan = hosts.lan("192.0.2.0/24", v6="2001:db8:1::/64")
        host = hosts.host("h1", lan)
        eve = hosts.outside("eve", lan)
        host.start_agent()
        host.weft("network", "create", "app")
        box = host.container("c1")
        host.weft("attach", "--netns", box.path, "--name", "c1", "--net", "app", "-p", "8080:80")
        box.serve_tcp(80, b"hello")
        assert eve.connect(host.address, 8080).data == b"hello"

A host has its own bridges, routes, firewall, agent and state.  While the test runs, ``ip netns exec wt-…-h1 bash`` is a
shell in it.  Leaving the block ends every process in these namespaces and removes them, whatever happened inside;
what a killed test left is swept when the next one begins.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Self

import weft
from weft.api.client import Client
from weft.model.errors import AgentUnreachable
from weft.testing import sweep
from weft.testing.spaces import CommandFailed, OwnSpace, Space, close_all

#: Addresses that are reached through every LAN's router and belong to nobody on it.
INTERNET = "198.51.100.1"
INTERNET6 = "2001:db8:ffff::1"
#: Seconds that an agent may take to start, and to stop when it is told to.
START = 30.0
STOP = 30.0

_PACKAGE = str(Path(weft.__file__).parents[1])


class Lan:
    """A wire that machines are plugged into: a bridge, with a router at the last address of each subnet."""

    def __init__(self, wire: Space, number: int, v4: str, v6: str | None, mtu: int) -> None:
        network, network6 = ip_network(v4), ip_network(v6) if v6 else None
        assert isinstance(network, IPv4Network) and isinstance(network6, IPv6Network | None)
        self.network, self.network6 = network, network6
        self.mtu = mtu
        self.bridge = f"lan{number}"
        self.gateway = str(network[-2])
        self.gateway6 = str(network6[-2]) if network6 else ""
        self._wire = wire
        self._machines = 0
        wire.ip(
            f"link add {self.bridge} mtu {mtu} type bridge forward_delay 0 mcast_snooping 0",
            f"address add {self.gateway}/{network.prefixlen} dev {self.bridge}",
            *([f"address add {self.gateway6}/{network6.prefixlen} dev {self.bridge} nodad"] if network6 else []),
            f"link set {self.bridge} up",
        )

    def join(self, machine: Machine, interface: str) -> None:
        """Plug ``interface`` of ``machine`` in, with the next free address."""
        self._machines += 1
        port = f"{self.bridge}p{self._machines}"
        address = f"{self.network[self._machines]}/{self.network.prefixlen}"
        self._wire.ip(
            f"link add {port} mtu {self.mtu} master {self.bridge} type veth"
            f" peer name {interface} mtu {self.mtu} netns {machine.path}",
            f"link set {port} up",
        )
        # Without duplicate address detection its link-local address is there at once, and not a second later.
        machine.sysctl(f"net/ipv6/conf/{interface}/accept_dad", 0)
        lines = [f"address add {address} dev {interface}", f"link set {interface} up"]
        if self.network6:
            address6 = f"{self.network6[self._machines]}/{self.network6.prefixlen}"
            lines.insert(1, f"address add {address6} dev {interface} nodad")
        if not machine.lans:
            lines.append(f"route add default via {self.gateway}")
            lines += [f"route add default via {self.gateway6}"] if self.network6 else []
        machine.ip(*lines)
        machine.lans.append(self)


class Machine(OwnSpace):
    """A namespace on one LAN or several; its interfaces are eth0, eth1, … and its default route is by the first."""

    def __init__(self, name: str, path: Path, lans: tuple[Lan, ...]) -> None:
        super().__init__(name, path)
        self.lans: list[Lan] = []
        for number, lan in enumerate(lans):
            lan.join(self, f"eth{number}")

    @property
    def address(self) -> str:
        """Its IPv4 address on the first LAN."""
        return self.addresses("eth0", 4)[0]

    @property
    def address6(self) -> str:
        """Its IPv6 address on the first LAN."""
        return self.addresses("eth0", 6)[0]


class Outside(Machine):
    """Somebody on the wire who runs no weft."""


class Host(Machine):
    """A machine that can run an agent, and the containers on it."""

    def __init__(self, name: str, directory: Path, lans: tuple[Lan, ...]) -> None:
        directory.mkdir()
        self.directory = directory
        self.run_dir = directory / "run"
        self.state_dir = directory / "state"
        self.resolv_conf = directory / "resolv.conf"
        self.config = directory / "weft.toml"
        self.log_file = directory / "agent.log"
        super().__init__(name, directory / "netns", lans)
        self.resolv_conf.write_text("".join(f"nameserver {lan.gateway}\n" for lan in lans))
        self.config.touch()
        self.agent: subprocess.Popen[Any] | None = None
        self._containers: list[Space] = []

    def close(self) -> None:
        containers, self._containers = self._containers, []
        close_all(containers)
        super().close()

    # --- the agent

    def start_agent(
        self,
        config: str | None = None,
        env: dict[str, str] | None = None,
        wait: bool = True,
        python: str = sys.executable,
    ) -> None:
        """Start ``weft agent`` in this host; ``config`` is the text of weft.toml (None: what it was before).

        ``env`` is added to its environment; ``python`` is the interpreter, or a program that becomes it.  With
        ``wait``, return when it answers; raises CommandFailed with its log when it does not.
        """
        assert self.agent is None, f"{self.name} runs an agent already"
        if config is not None:
            self.config.write_text(config)
        with self.log_file.open("a") as log:
            self.agent = self.popen(
                python, "-m", "weft", "agent",
                "--state-dir", self.state_dir, "--run-dir", self.run_dir,
                "--config", self.config, "--resolv-conf", self.resolv_conf,
                stdout=log, stderr=log, env=self._environment() | (env or {}),
            )  # fmt: skip
        if wait:
            self.wait_for_agent()

    def wait_for_agent(self) -> None:
        """Wait until the agent answers."""
        assert self.agent is not None
        deadline = time.monotonic() + START
        while not self._is_ready():
            if self.agent.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"{self.name}: the agent has not started\n{self.log}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        # The agent listens from its first moment on; it answers when it has settled and repaired everything.
        try:
            self.api.request("GET", "/v1/version", timeout=START)
        except AgentUnreachable:
            return False
        return True

    def stop_agent(self) -> int:
        """Tell the agent to end (SIGTERM) and return its exit code."""
        agent = self._release_agent()
        agent.terminate()
        return agent.wait(STOP)

    def kill_agent(self) -> None:
        """End the agent by SIGKILL."""
        agent = self._release_agent()
        agent.kill()
        agent.wait()

    def restart_agent(self, *, kill: bool = False, config: str | None = None) -> None:
        """End the agent, by SIGKILL or by SIGTERM, and start it anew."""
        if kill:
            self.kill_agent()
        else:
            self.stop_agent()
        self.start_agent(config)

    def _release_agent(self) -> subprocess.Popen[Any]:
        agent = self.agent
        assert agent is not None, f"{self.name} runs no agent"
        self.agent = None
        self.processes.remove(agent)
        return agent

    @property
    def log(self) -> str:
        """What its agents have written so far."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    # --- speaking to it

    @property
    def api(self) -> Client:
        """The client of the agent's API."""
        return Client(self.run_dir / "weft.sock")

    def weft(
        self, *words: object, check: bool = True, input: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Type a command of weft's on this host.  With ``check`` a failure raises CommandFailed."""
        return self.run(
            sys.executable, "-m", "weft", *words, check=check, input=input, timeout=timeout, env=self._environment()
        )

    def weft_json(self, *words: object) -> Any:
        """Type a command of weft's that prints JSON, and return what it says."""
        return self.run_json(sys.executable, "-m", "weft", *words, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return os.environ | {"WEFT_RUN_DIR": str(self.run_dir), "PYTHONPATH": _PACKAGE, "COLUMNS": "200"}

    # --- containers

    def container(self, name: str) -> Space:
        """Make a bare namespace, with nothing but lo, for ``weft attach --netns``; it is ended with the host."""
        path = self.directory / f"{name}.netns"
        return self._keep(OwnSpace(name, path))

    def inside(self, name: str) -> Space:
        """Return the namespace of a container that the agent knows, for probes."""
        container = self.api.request("GET", f"/v1/containers/{name}")
        return self._keep(Space(name, container["NetworkSettings"]["SandboxKey"]))

    @property
    def started(self) -> frozenset[int]:
        """The pids of what was started here and in its containers by ``popen`` (the agent included)."""
        spaces: list[Space] = [self, *self._containers]
        return frozenset(process.pid for space in spaces for process in space.processes)

    def _keep(self, space: Space) -> Space:
        self._containers.append(space)
        return space


class Hosts:
    """All machines of a test; a context manager.  ``base`` is where their files are kept while it lasts."""

    def __init__(self, base: str | Path | None = None) -> None:
        base = Path(base or tempfile.gettempdir())
        sweep.sweep(base)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{sweep.PREFIX}{os.getpid()}-", dir=base))
        # What a container is given (a log, say) is read by processes that have given up root.
        self.directory.chmod(0o755)
        self._links: list[Path] = []
        self._lans = 0
        self._machines: list[Machine] = []
        try:
            self.internet = self._make_internet()
        except BaseException:
            self.close()
            raise

    def _make_internet(self) -> OwnSpace:
        """Make the namespace that holds the LANs, routes between them, and has the addresses beyond."""
        wire = OwnSpace("internet", self.directory / "internet")
        wire.sysctl("net/ipv4/ip_forward", 1)
        wire.sysctl("net/ipv6/conf/all/forwarding", 1)
        # A router asks for neighbours from its link-local address, so it has to have it at once.
        wire.sysctl("net/ipv6/conf/default/accept_dad", 0)
        wire.ip(f"address add {INTERNET}/32 dev lo", f"address add {INTERNET6}/128 dev lo")
        self._name(wire)
        return wire

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def close(self) -> None:
        """End and remove everything."""
        try:
            sweep.kill_inside(sweep.bound_below(self.directory).values())
            machines, self._machines = self._machines, []
            close_all([*machines, *([self.internet] if hasattr(self, "internet") else [])])
        finally:
            for link in self._links:
                link.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                sweep.remove(self.directory)

    def lan(self, v4: str = "192.0.2.0/24", v6: str | None = None, mtu: int = 1500) -> Lan:
        """Lay a LAN; hosts on it get its addresses from the first on, its router has the last."""
        self._lans += 1
        return Lan(self.internet, self._lans, v4, v6, mtu)

    def host(self, name: str, *lans: Lan) -> Host:
        """Make a machine for an agent."""
        host = Host(name, self.directory / name, lans)
        self._machines.append(host)
        self._name(host)
        return host

    def outside(self, name: str, *lans: Lan) -> Outside:
        """Make a machine without weft."""
        outside = Outside(name, self.directory / name, lans)
        self._machines.append(outside)
        self._name(outside)
        return outside

    def _name(self, space: Space) -> None:
        """Let ip-netns(8) find the namespace."""
        sweep.NETNS.mkdir(exist_ok=True)
        link = sweep.NETNS / f"{self.directory.name}-{space.name}"
        link.symlink_to(space.path)
        self._links.append(link)
