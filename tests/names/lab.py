"""A host with bridges, containers on them, and an upstream server that counts what it is asked.

All of them are network namespaces.  The supervisor under test runs in this process, in threads that are in the host's.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from weft.agent.names.resolver import ResolverSupervisor
from weft.kernel.namespaces import in_namespace
from weft.model.base import replace
from weft.model.container import Address, Container, Endpoint
from weft.model.identity import bridge_name, mac_from_address, new_id
from weft.model.network import Network, Subnet
from weft.model.settings import Settings
from weft.plan import firewall, names
from weft.plan.names import NameServer, View
from weft.plan.operations import additions, describe

from . import dnsclient

T = TypeVar("T")

#: What the upstream server says of every name below 'example' (A) and of itself.
OUTSIDE = "203.0.113.10"
UPSTREAM = "198.51.100.53"
OTHER_UPSTREAM = "198.51.100.54"

_counter = itertools.count()


class Node:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.run("netns", "add", name)
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
        self.sh("ip link set lo up")

    def run(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def sh(self, script: str) -> str:
        """Run a shell script inside; its failure is the test's."""
        command = ["ip", "netns", "exec", self.name, "sh", "-euc", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def call(self, function: Callable[[], T]) -> T:
        """Return ``function()``, called inside."""
        return in_namespace(self.fd, function)

    def ask(self, server: str, name: str, kind: int = dnsclient.A, timeout: float = 2.0) -> dnsclient.Answer:
        return self.call(lambda: dnsclient.ask_udp(server, name, kind, timeout))

    def close(self) -> None:
        os.close(self.fd)
        self.run("netns", "delete", self.name)


class Lab:
    """One host; ``close`` leaves nothing of it."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings()
        self.state_dir = directory / "state"
        self.run_dir = directory / "run"
        self._prefix = f"dn{os.getpid()}x{next(_counter)}"
        self._nodes: list[Node] = []
        self._daemons: list[int] = []
        self.networks: dict[str, Network] = {}
        self.host = self.node("host")
        self.state_dir.mkdir(exist_ok=True)
        self.run_dir.mkdir(exist_ok=True)
        self.supervisor = self.new_supervisor()

    def node(self, name: str) -> Node:
        node = Node(f"{self._prefix}-{name}")
        self._nodes.append(node)
        return node

    def new_supervisor(self) -> ResolverSupervisor:
        """Return a supervisor as the agent has one: its thread is in the host's namespace."""

        def make() -> ResolverSupervisor:
            supervisor = ResolverSupervisor(self.state_dir, self.run_dir)
            supervisor.open()
            return supervisor

        return self.host.call(make)

    def restart(self) -> None:
        """Let the agent end and another one start."""
        self.supervisor.close()
        self.supervisor = self.new_supervisor()

    # --- networks and containers

    def network(self, name: str, v4: str, v6: str | None = None, **options: object) -> Network:
        """Make a bridge with the first address of each subnet on it."""
        number = len(self.networks) + 1
        subnets = [Subnet(cidr=f"{v4}.0/24", gateway=f"{v4}.1")]
        if v6:
            subnets.append(Subnet(cidr=f"{v6}::/64", gateway=f"{v6}::1"))
        identifier = f"{number:02d}" + new_id()[2:]
        network = Network(id=identifier, name=name, subnets=tuple(subnets), bridge=bridge_name(identifier), **options)
        bridge = network.bridge
        # Its MAC is fixed, as weft's are: else it changes with the first port, and neighbours lose it for a while.
        mac = mac_from_address(subnets[0].gateway)
        self.host.sh(f"ip link add {bridge} address {mac} type bridge; ip link set {bridge} up")
        for subnet in subnets:
            nodad = "nodad" if subnet.version == 6 else ""
            self.host.sh(f"ip address add {subnet.gateway_cidr} dev {bridge} {nodad}")
        self.networks[name] = network
        return network

    def container(self, name: str, *places: tuple[Network, int], **options: object) -> Member:
        """Make a container with an endpoint at the given number of each network, and publish its names."""
        container = Container(id=new_id(), name=name, **options)
        node = self.node(name)
        aliases = ()
        endpoints = []
        for order, (network, number) in enumerate(places):
            addresses = tuple(
                Address(address=str(subnet.network[number]), prefixlen=subnet.prefixlen, gateway=subnet.gateway)
                for subnet in network.subnets
            )
            endpoint = Endpoint(
                id=new_id(), network_id=network.id, container_id=container.id, state="attached",
                interface=f"eth{order}", mac=mac_from_address(addresses[0].address), addresses=addresses,
                aliases=aliases, gateway=order == 0,
            )  # fmt: skip
            self._wire(node, network, endpoint)
            endpoints.append(endpoint)
        member = Member(self, container, node, endpoints)
        member.publish()
        return member

    def _wire(self, node: Node, network: Network, endpoint: Endpoint) -> None:
        port = f"p{endpoint.id[:10]}"
        inside = endpoint.interface
        self.host.sh(
            f"ip link add {port} master {network.bridge} type veth peer name {inside} netns {node.name};"
            f"ip link set {port} up"
        )
        node.sh(f"ip link set {inside} up")
        for address in endpoint.addresses:
            node.sh(f"ip address add {address.cidr} dev {inside} {'nodad' if address.version == 6 else ''}")

    def network_of(self, endpoint: Endpoint) -> Network:
        return next(network for network in self.networks.values() if network.id == endpoint.network_id)

    # --- name servers

    def server(self, view: View) -> NameServer:
        members = [network for network in self.networks.values() if network.id in view.networks]
        return names.name_server(view, members, self.settings)

    def standard(self, network: Network) -> NameServer:
        return self.server(names.standard_view(network, self.settings))

    def ensure(self, server: NameServer) -> int:
        return self.host.call(lambda: self.supervisor.ensure(server))

    def answer(self, *networks: Network) -> None:
        """Start the standard servers of networks."""
        for network in networks:
            assert self.ensure(self.standard(network)) == 53

    def firewall(self) -> None:
        """Load weft's tables, with the networks in them."""
        objects = list(firewall.tables())
        for network in self.networks.values():
            objects.extend(firewall.members(network, mac_from_address(network.subnets[0].gateway)))
        self.build(tuple(objects))

    def build(self, objects: tuple[object, ...]) -> None:
        self.host.sh("\n".join(describe(additions(objects))))  # type: ignore[arg-type]

    # --- the world outside

    def upstream(self, address: str = UPSTREAM, says: str = OUTSIDE) -> Upstream:
        """Make a server outside that the host can reach at ``address``."""
        node = self.node(f"up{address.rpartition('.')[2]}")
        wire = f"up{address.rpartition('.')[2]}"
        near = address.rpartition(".")[0] + "." + str(int(address.rpartition(".")[2]) + 100)
        self.host.sh(
            f"ip link add {wire} type veth peer name eth0 netns {node.name}; ip link set {wire} up;"
            f"ip address add {near} peer {address} dev {wire}"
        )
        node.sh(f"ip link set eth0 up; ip address add {address} peer {near} dev eth0")
        upstream = Upstream(self, node, address, says)
        self._daemons.append(upstream.pid)
        return upstream

    def close(self) -> None:
        self.host.call(self.supervisor.stop_all)
        self.supervisor.close()
        for pid in self._daemons:
            os.kill(pid, 9)
        for node in reversed(self._nodes):
            node.close()


class Member:
    """A container of the lab."""

    def __init__(self, lab: Lab, container: Container, node: Node, endpoints: list[Endpoint]) -> None:
        self.lab = lab
        self.container = container
        self.node = node
        self.endpoints = endpoints

    def networks(self) -> list[Network]:
        return [self.lab.network_of(endpoint) for endpoint in self.endpoints]

    def publish(self) -> None:
        for endpoint in self.endpoints:
            self.lab.supervisor.publish(names.host_entry(self.container, endpoint, self.lab.network_of(endpoint)))

    def withdraw(self) -> None:
        for endpoint in self.endpoints:
            self.lab.supervisor.withdraw(endpoint.network_id, endpoint.id)

    def alias(self, *aliases: str) -> None:
        """Give the container other aliases on all its networks."""
        self.endpoints = [replace(endpoint, aliases=aliases) for endpoint in self.endpoints]
        self.publish()

    def use_own_view(self) -> int:
        """Start the server of what this container sees and lead its queries there, as the agent does."""
        view = names.view_of(self.container, self.networks(), self.lab.settings)
        assert view is not None
        server = self.lab.server(view)
        port = self.lab.ensure(server)
        self.lab.build(names.opening(port))
        for endpoint in self.endpoints:
            self.lab.build(names.redirect(endpoint, self.lab.network_of(endpoint).bridge, port, self.container.name))
        return port

    def ask(self, name: str, kind: int = dnsclient.A, timeout: float = 2.0) -> dnsclient.Answer:
        """Ask the gateway of the first network."""
        return self.node.ask(self.networks()[0].subnets[0].gateway, name, kind, timeout)


class Upstream:
    """A DNS server outside (dnsmasq too) that writes down every query."""

    def __init__(self, lab: Lab, node: Node, address: str, says: str) -> None:
        directory = lab.run_dir / f"upstream-{address}"
        directory.mkdir()
        self._log = directory / "log"
        self.address = address
        self.node = node
        # Without --log-async a query is in the log before it is answered.
        node.sh(
            f"dnsmasq --conf-file=/dev/null --no-hosts --no-resolv --user=root --address=/example/{says}"
            f" --listen-address={address} --bind-interfaces --pid-file={directory}/pid --cache-size=0"
            f" --log-queries --log-facility={self._log}"
        )
        self.pid = int((directory / "pid").read_text())
        # A second witness, which also sees packets that are no queries.
        node.sh(
            "nft 'add table inet count; add chain inet count in { type filter hook prerouting priority raw; };"
            " add rule inet count in meta l4proto { tcp, udp } counter'"
        )

    def packets(self) -> int:
        """Return how many TCP and UDP packets have arrived."""
        words = self.node.sh("nft list chain inet count in").split()
        return int(words[words.index("packets") + 1])

    def asked(self) -> list[str]:
        """Return the names of all queries so far."""
        words = (line.split() for line in self._log.read_text().splitlines() if " query[" in line)
        return [line[line.index("from") - 1] for line in words]


def eventually(condition: Callable[[], bool], seconds: float = 1.0) -> bool:
    """Whether ``condition`` comes true within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
