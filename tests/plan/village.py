"""A host in memory with networks and containers as planners want them."""

from __future__ import annotations

from collections.abc import Sequence

from weft.model.container import Endpoint, Namespace
from weft.model.network import Network
from weft.model.ports import ExposedPort
from weft.plan import admission, firewall, forwarding, names
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host
from weft.plan.host import base
from weft.plan.objects import Objects
from weft.plan.operations import Operations, additions, difference
from weft.testing.fake import FakeKernel
from weft.testing.packets import Delivery, Outside, Packet, Place

from .records import HOST, endpoint, wiring
from .scratch import joined

#: Somebody on the wire of the host's uplink, and the host's own addresses there.
OUTSIDE = Outside("up0")
STRANGER = {4: "192.0.2.1", 6: "2001:db8::1"}
OWN = {4: "192.0.2.10", 6: "2001:db8::10"}


def host_objects(networks: Sequence[Network], host: Host = HOST) -> Objects:
    """Return what the host holds for networks, in the order in which the agent asks."""
    return joined(
        (
            base(host),
            *(registry(net.driver).network(net, host) for net in networks),
            forwarding.plan(networks, host),
            admission.plan(networks, host),
        )
    )


class Village:
    """Containers are called by name, as are the places where packets end."""

    def __init__(self, *networks: Network, host: Host = HOST, bridge_netfilter: bool = False) -> None:
        self.host = host
        self.kernel = FakeKernel(host.facts, bridge_netfilter=bridge_netfilter)
        self.places: dict[str, Place] = {"host": None, "outside": OUTSIDE}
        self.ends: dict[tuple[str, str], Endpoint] = {}
        #: Everything that planners wanted so far.
        self.desired = host_objects(networks, host)
        self.kernel.apply(additions(self.desired))

    def attach(
        self, net: Network, owner: str, number: int, publish: Sequence[str] = (), interface: str = "eth0"
    ) -> Objects:
        """Attach a container by the ``number``-th addresses of a network; ports as ``-p`` takes them."""
        place = self.places.get(owner) or self.kernel.create_namespace(f"/run/netns/{owner}")
        assert isinstance(place, Namespace)
        gateway = not net.internal and interface == "eth0"
        end = endpoint(net, owner, number, publish=publish, interface=interface, gateway=gateway)
        objects = registry(net.driver).endpoint(wiring(net, end, owner, place), self.host)
        self.kernel.apply(additions(objects))
        self.desired += objects
        self.places[owner] = place
        self.ends[owner, net.name] = end
        return objects

    def repair(self) -> Operations:
        """Compare what stands with what is wanted, and mend it; return what that took."""
        inside = [thing for thing in self.desired if thing.where is not None]
        operations = difference(self.desired, (*self.kernel.observe(self.desired), *inside))
        self.kernel.apply(operations)
        return operations

    def link(self, net: Network, receiver: str, target: str, *ports: ExposedPort) -> None:
        ends = self.ends[receiver, net.name], self.ends[target, net.name]
        self.kernel.apply(additions(firewall.link(*ends, ports, f"link {receiver} to {target}")))

    def serve_names(self, net: Network, owner: str, port: int) -> None:
        objects = (*names.opening(port), *names.redirect(self.ends[owner, net.name], net.bridge, port, owner))
        self.kernel.apply(additions(objects))

    def address(self, owner: str, net: Network, version: int) -> str:
        address = self.ends[owner, net.name].address(version)
        assert address is not None
        return address.address

    def send(
        self, sender: str, dst: str, dport: int = 80, protocol: str = "tcp", src: str = "", via: str = ""
    ) -> Delivery:
        """Send the first packet of a connection; outsiders are STRANGER if they do not say otherwise."""
        place = self.places[sender]
        if isinstance(place, Outside) and not src:
            src = STRANGER[6 if ":" in dst else 4]
        return self.kernel.send(Packet(place, dst, protocol, dport, src, next_hop=via))

    def call(self, sender: str, dst: str, dport: int = 80, protocol: str = "tcp", via: str = "") -> tuple[str, str]:
        """Open a connection and take the answer; return who is called and which address he sees.

        Raises AssertionError with the packet's trail if there or back something is in the way.
        """
        there = self.send(sender, dst, dport, protocol, via=via)
        assert there.arrived, there.trail
        back = self.kernel.send(there.answer)
        assert back.arrived, back.trail
        assert back.place == self.places[sender], back.trail
        assert (back.packet.src, back.packet.sport) == (dst, dport), back.trail
        return self.name_of(there.place), there.packet.src

    def name_of(self, place: Place) -> str:
        return next(name for name, known in self.places.items() if known == place)
