"""A packet's way through a FakeKernel: the sender's route, its port of the bridge, the host's hooks, the receiver.

It goes as in Linux: bridge prerouting; then, for what is addressed to the host, prerouting, routing, input or forward,
postrouting.  With bridge netfilter, what passes between two ports goes through the inet hooks as well.  Every rule is
looked up in the tables as they are; nothing about weft is known here, but that filters of prerouting come before
connection tracking.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from weft.model.container import Namespace
from weft.plan.objects import Bridge, Cable, Veth
from weft.testing.conntrack import Connection, Connections
from weft.testing.evaluate import Tables
from weft.testing.fake_state import State
from weft.testing.headers import Fields, frame_fields, inet_fields
from weft.testing.packets import Delivery, Outside, Packet, Place


class Lost(Exception):
    """The packet goes no further."""

    def __init__(self, reason: str, rule: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rule = rule


class Wire:
    """Carries packets.  ``bridge_netfilter`` is whether bridged packets pass the inet hooks."""

    def __init__(self, state: State, bridge_netfilter: bool) -> None:
        self.state = state
        self.bridge_netfilter = bridge_netfilter
        self.connections = Connections()

    def send(self, packet: Packet) -> Delivery:
        """Carry a packet as far as it comes."""
        return _Journey(self, packet).go()


class _Journey:
    def __init__(self, wire: Wire, packet: Packet) -> None:
        self.wire, self.state = wire, wire.state
        self.tables = Tables.of(wire.state.objects.values())
        self.packet = packet
        self.trail: list[str] = []
        self.connection: Connection | None = None
        self.is_reply = False
        #: The port by which it came in, as long as bridge netfilter may keep it inside the bridge.
        self.port: Veth | None = None

    def go(self) -> Delivery:
        try:
            place = self._start()
        except Lost as lost:
            self._note(lost.reason)
            return Delivery(self.packet, lost=lost.reason, rule=lost.rule, trail=tuple(self.trail))
        self._note("arrived")
        return Delivery(self.packet, place, trail=tuple(self.trail))

    def _note(self, step: str) -> None:
        self.trail.append(f"{self.packet}: {step}")

    def _start(self) -> Place:
        sender = self.packet.sender
        if sender is None:
            return self._from_host()
        if isinstance(sender, Outside):
            return self._into_host(sender.interface)
        return self._from_container(sender)

    # --- from a container

    def _from_container(self, ns: Namespace) -> Place:
        route = self.state.interface_to(ns, self.packet.next_hop or self.packet.dst)
        if route is None:
            raise Lost("the sender has no route to it")
        interface, hop = route
        link = self.state.link_at(ns, interface)
        if link is None or isinstance(link, Bridge) or not self.state.is_up(ns, interface):
            raise Lost(f"{interface} of the sender is down")
        if not self.packet.src:
            source = self.state.source_for(ns, interface, self.packet.version)
            if source is None:
                raise Lost(f"the sender has no IPv{self.packet.version} address on {interface}")
            self.packet = replace(self.packet, src=source)
        self._note(f"leaves by {interface}")
        return self._over_cable(link, ns) if isinstance(link, Cable) else self._into_port(link, hop)

    def _over_cable(self, cable: Cable, sender: Namespace) -> Place:
        other = (cable.right_ns, cable.right_name) if sender == cable.left_ns else (cable.left_ns, cable.left_name)
        return self._to_container(*other)

    def _into_port(self, port: Veth, hop: str) -> Place:
        if not (port.master and self.state.is_up(None, port.name) and self.state.is_up(None, port.master)):
            raise Lost(f"port {port.name} is down or on no bridge")
        self._hook("bridge", "prerouting", frame_fields(self.packet, port.name, port.peer_mac))
        bridge = port.master
        if self.packet.stays_on_link:
            return None  # The whole bridge hears it, the host too.
        if hop in self.state.addresses(None, bridge):
            self.port = port
            return self._into_host(bridge)
        target = self.state.port_of(bridge, hop)
        if target is not None and not (port.isolated and target.isolated):
            return self._bridged(port, target)
        if self.state.answers_for(bridge, hop):
            self.port = port
            return self._into_host(bridge)
        raise Lost(f"nobody answers for {hop} on {bridge}")

    def _bridged(self, port: Veth, target: Veth) -> Place:
        if self.wire.bridge_netfilter:
            bridge = port.master
            self._prerouting(bridge)
            self._hook("inet", "forward", self._fields(bridge, bridge))
            self._sign("", bridge)
        assert target.peer_ns is not None
        return self._to_container(target.peer_ns, target.peer_name)

    def _to_container(self, ns: Namespace, interface: str) -> Place:
        if not self.state.is_up(ns, interface):
            raise Lost(f"{interface} of the receiver is down")
        if self.packet.dst not in self.state.addresses(ns, interface):
            raise Lost(f"{self.packet.dst} is no address of the receiver")
        return ns

    # --- through the host

    def _into_host(self, interface: str) -> Place:
        if isinstance(self.packet.sender, Outside) and not self.packet.src:
            raise ValueError("a packet from outside needs a source")
        addressed_to = self.packet.dst
        self._prerouting(interface)
        if self._is_local(self.packet.dst):
            self._check_martian(interface)
            return self._take_in(interface)
        leaving = self._route_on(interface)
        self._hook("inet", "forward", self._fields(interface, leaving))
        kept_inside = self.wire.bridge_netfilter and self.port is not None and addressed_to != self.packet.dst
        if kept_inside and leaving == interface:
            return self._back_into_bridge()
        self._sign(interface, leaving)
        return self._out(leaving)

    def _prerouting(self, interface: str) -> None:
        self._hook("inet", "prerouting", self._fields(interface, ""))
        self._aim("prerouting", interface)

    def _route_on(self, interface: str) -> str:
        if not self.state.forwards(interface, self.packet.version):
            raise Lost(f"the host does not forward IPv{self.packet.version} from {interface}")
        route = self.state.interface_to(None, self.packet.dst)
        if route is None:
            raise Lost("the host has no route to it")
        return route[0]

    def _check_martian(self, interface: str) -> None:
        if not ipaddress.ip_address(self.packet.dst).is_loopback or interface == "lo":
            return
        lenient = self.packet.version == 4 and self.state.sysctl(f"net/ipv4/conf/{interface}/route_localnet") == "1"
        if not lenient:
            raise Lost("a loopback address came over a wire")

    def _back_into_bridge(self) -> Place:
        """Go on as br_nf_pre_routing_finish_bridge() does: from port to port, and nobody knows any more where from."""
        port = self.port
        assert port is not None
        target = self.state.port_of(port.master, self.packet.dst)
        if target is None:
            raise Lost(f"nobody answers for {self.packet.dst} on {port.master}")
        if target is port and not port.hairpin:
            raise Lost(f"port {port.name} sends nothing back to where it came from")
        if port.isolated and target.isolated:
            raise Lost(f"ports {port.name} and {target.name} are isolated")
        self._sign("", port.master)
        assert target.peer_ns is not None
        return self._to_container(target.peer_ns, target.peer_name)

    def _from_host(self) -> Place:
        if not self.packet.src:
            self.packet = replace(self.packet, src=self._own_source(self.packet.dst))
        self._aim("output", "", self._way_out())
        leaving = self._way_out()
        self._hook("inet", "output", self._fields("", leaving))
        self._check_source(leaving)
        self._sign("", leaving)
        if leaving == "lo":
            self._hook("inet", "prerouting", self._fields("lo", ""))
            return self._take_in("lo")
        return self._out(leaving)

    def _check_source(self, leaving: str) -> None:
        local = ipaddress.ip_address(self.packet.src).is_loopback
        if local and leaving != "lo" and self.state.sysctl(f"net/ipv4/conf/{leaving}/route_localnet") != "1":
            raise Lost("a loopback address cannot leave the host")

    def _own_source(self, destination: str) -> str:
        if self._is_local(destination):
            return destination
        route = self.state.interface_to(None, destination)
        source = self.state.source_for(None, route[0], self.packet.version) if route else None
        if source is None:
            raise Lost("the host has no route to it")
        return source

    def _way_out(self) -> str:
        if self._is_local(self.packet.dst):
            return "lo"
        route = self.state.interface_to(None, self.packet.dst)
        if route is None:
            raise Lost("the host has no route to it")
        return route[0]

    def _out(self, interface: str) -> Place:
        if not isinstance(self.state.link_at(None, interface), Bridge):
            return Outside(interface)
        target = self.state.port_of(interface, self.packet.dst)
        if target is None or target.peer_ns is None:
            raise Lost(f"nobody answers for {self.packet.dst} on {interface}")
        return self._to_container(target.peer_ns, target.peer_name)

    # --- connection tracking and translation

    def _aim(self, hook: str, came: str, leaves: str = "") -> None:
        """Find the packet's connection or begin one, led elsewhere if a rule says so; turn the packet that way."""
        self.connection, self.is_reply = self.wire.connections.find(self.packet)
        if self.connection is None:
            self.connection = Connection.begin(self.packet, "", 0)
            outcome = self.tables.run("inet", hook, self._fields(came, leaves), kind="nat")
            if outcome.translation == "dnat":
                self._note(f"led to {outcome.address or self.packet.dst}:{outcome.port} by {outcome.chain}")
                self.connection = Connection.begin(self.packet, outcome.address, outcome.port)
        self.packet = self.connection.aimed(self.packet, self.is_reply)

    def _sign(self, came: str, leaves: str) -> None:
        """Give the packet the source that the receiver is to see."""
        assert self.connection is not None
        if not self.wire.connections.knows(self.connection):
            outcome = self.tables.run("inet", "postrouting", self._fields(came, leaves), kind="nat")
            if outcome.translation == "masquerade":
                source = self.state.source_for(None, leaves, self.packet.version)
                assert source is not None
                self._note(f"becomes {source} by {outcome.chain}")
                self.connection.masquerade(source)
            self.wire.connections.confirm(self.connection)
        self.packet = self.connection.signed(self.packet, self.is_reply)

    def _take_in(self, came: str) -> Place:
        """Give the packet to the host's own processes."""
        assert self.connection is not None
        self._hook("inet", "input", self._fields(came, ""))
        if not self.wire.connections.knows(self.connection):
            self.wire.connections.confirm(self.connection)
        self.packet = self.connection.signed(self.packet, self.is_reply)
        return None

    # --- rules

    def _hook(self, family: str, hook: str, fields: Fields) -> None:
        """Go through the filters of a hook; raise Lost if one drops the packet."""
        outcome = self.tables.run(family, hook, fields, kind="filter")
        if outcome.verdict == "drop":
            assert outcome.rule is not None
            raise Lost(f"dropped by {family} weft {outcome.chain}", outcome.rule.comment or outcome.rule.text)

    def _is_local(self, address: str) -> bool:
        return address in self.state.local_addresses() or ipaddress.ip_address(address).is_loopback

    def _fields(self, came: str, leaves: str) -> Fields:
        return inet_fields(self.packet, came, leaves, self._is_local(self.packet.dst), self.connection)
