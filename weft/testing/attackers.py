"""SAFE: attackers at work all the while, and captures that see whether one of them succeeds.

    with Safe(host, networks=["172.30.0.0/24"], protect=[c1], neighbour=eve, sibling=other, insider=c2) as safe:
        …
    assert safe.violations == []

Every packet of theirs carries a mark, so a capture need not reason: a marked packet that is seen in a protected
container has come where it must not.  Beside that, no packet may leave by the uplink with a container's address.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import NamedTuple, Self

from weft.model.identity import link_local
from weft.testing import frames
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import Host, Machine
from weft.testing.spaces import Space

MARK = b"weft-attack:"
#: Where the attackers knock: services that containers and hosts often have.
TCP_PORTS = (22, 80)
UDP_PORT = 53
#: Seconds between two rounds of attacks.
INTERVAL = 0.02
#: How many addresses of each network are attacked, from the lowest on: the gateway and the first containers.
_TARGETS = 4


class Shot(NamedTuple):
    """One packet, ready to be sent again and again."""

    sock: socket.socket
    data: bytes
    address: tuple[str, int] | tuple[str, int, int, int] | None

    def fire(self) -> None:
        with suppress(OSError):  # no route, interface down, buffer full: this shot is lost, the next may not be
            if self.address is None:
                self.sock.send(self.data)
            else:
                self.sock.sendto(self.data, self.address)


class Safe:
    """The oracle; a context manager.  Each attacker is optional.

    ``neighbour`` is on the host's wire and routes the ``networks`` to the host; ``sibling`` is a container of another
    network; ``insider`` is a container of the network itself and forges addresses.  ``protect`` are the containers
    that none of it may reach; ``private`` are the networks whose addresses may not be seen on ``uplink`` (the default
    is ``networks``; those without masquerading have to be left out).
    """

    def __init__(
        self,
        host: Host,
        networks: Sequence[str],
        protect: Sequence[Space] = (),
        neighbour: Machine | None = None,
        sibling: Space | None = None,
        insider: Space | None = None,
        private: Sequence[str] | None = None,
        uplink: str = "eth0",
    ) -> None:
        self.violations: list[str] = []
        self._host = host
        self._networks = networks
        self._private = [ip_network(network) for network in (networks if private is None else private)]
        self._uplink = uplink
        self._protected = list(protect)
        self._attackers = (neighbour, sibling, insider)
        self._captures: list[Capture] = []
        self._shots: list[Shot] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._attack, name="weft-test-attack", daemon=True)

    def __enter__(self) -> Self:
        neighbour, sibling, insider = self._attackers
        self._captures.append(Capture(self._host, self._is_untranslated, self._uplink))
        for space in self._protected:
            self._watch(space)
        if neighbour:
            self._route(neighbour, "replace")
            self._shots += _routed(neighbour, self._networks, "neighbour")
        if sibling:
            self._shots += _routed(sibling, self._networks, "sibling")
        if insider:
            self._shots += forged(insider, self._protected, self._networks)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._end.set()
        self._thread.join()
        for capture in self._captures:
            capture.stop()
        for shot in self._shots:
            shot.sock.close()
        if self._attackers[0]:
            self._route(self._attackers[0], "delete")

    def protect(self, space: Space) -> None:
        """Watch one more container, which came while the attack was on."""
        self._protected.append(space)
        self._watch(space)

    def _watch(self, space: Space) -> None:
        def is_hit(packet: Packet) -> bool:
            found = packet.frame.find(MARK)
            if found < 0 or packet.outgoing:
                return False
            who = packet.frame[found + len(MARK) :].split(b";")[0].decode(errors="replace")
            self.violations.append(f"{who} reached {space.name}: {packet}")
            return True

        self._captures.append(Capture(space, is_hit))

    def _is_untranslated(self, packet: Packet) -> bool:
        if not packet.outgoing or not packet.source:
            return False
        source = ip_address(packet.source)
        if not any(source in network for network in self._private):
            return False
        self.violations.append(f"left {self._host.name} untranslated: {packet}")
        return True

    def _route(self, neighbour: Machine, verb: str) -> None:
        for network in self._networks:
            gateway = self._host.address6 if ":" in network else self._host.address
            neighbour.run("ip", "route", verb, network, "via", gateway, check=verb != "delete")

    def _attack(self) -> None:
        while not self._end.wait(INTERVAL):
            for shot in self._shots:
                shot.fire()


def _mark(who: str) -> bytes:
    return MARK + who.encode() + b";"


# --- from outside the network -------------------------------------------------------------------------------------


def _routed(attacker: Space, networks: Sequence[str], who: str) -> Iterator[Shot]:
    """Yield what an honest stack would send too, to the first addresses of each network."""
    for network in networks:
        six = ":" in network
        sources = attacker.addresses(version=6 if six else 4)
        if not sources:
            continue
        sock = attacker.call(_raw6 if six else _raw4)
        for address in islice(ip_network(network).hosts(), _TARGETS):
            for packet in _knocks(sources[0], str(address), _mark(who)):
                yield Shot(sock, packet, (str(address), 0))


def _raw4() -> socket.socket:
    # raw(7): with IPPROTO_RAW the IP header is the sender's own; ipv6(7) and RFC 3542 have it likewise.
    return _nonblocking(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))


def _raw6() -> socket.socket:
    return _nonblocking(socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW))


def _nonblocking(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    return sock


def _knocks(source: str, destination: str, mark: bytes) -> Iterator[bytes]:
    for port in TCP_PORTS:
        yield frames.tcp(source, 40000, destination, port, mark)
    yield frames.udp(source, 40000, destination, UDP_PORT, mark)
    yield frames.echo(source, destination, mark)


# --- from inside the network --------------------------------------------------------------------------------------


def forged(insider: Space, victims: Sequence[Space], networks: Sequence[str]) -> Iterator[Shot]:
    """Yield frames with which a container claims to be another, the gateway, a router or a DHCP server."""
    link = _own_link(insider)
    if link is None:
        return
    interface, mac = link
    sock = insider.call(lambda: _on_wire(interface))
    for data in _forgeries(mac, insider, victims, networks):
        yield Shot(sock, data, None)


def _own_link(space: Space) -> tuple[str, str] | None:
    names = [name for name in space.interfaces() if name != "lo"]
    return (names[0], space.mac(names[0])) if names else None


def _on_wire(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.bind((interface, 0))
    return sock


def _forgeries(mac: str, insider: Space, victims: Sequence[Space], networks: Sequence[str]) -> Iterator[bytes]:
    mark = _mark("insider")
    for network in networks:
        version = ip_network(network).version
        claims = [str(address) for address in islice(ip_network(network).hosts(), _TARGETS)]
        claims = [address for address in claims if address not in insider.addresses()]
        for claim in claims:
            yield from (_claims6 if version == 6 else _claims4)(mac, claim, mark)
        for victim in victims:
            yield from _impersonations(mac, victim, version, claims, mark)
        yield from (_services6 if version == 6 else _services4)(mac, insider, mark)


def _claims4(mac: str, claim: str, mark: bytes) -> Iterator[bytes]:
    """Yield ARP that says ``claim`` is at ``mac``: an announcement and an answer that nobody asked for (RFC 5227)."""
    for operation in (1, 2):
        message = frames.arp(operation, mac, claim, frames.BROADCAST, claim)
        # Octets after the message are padding, which bridges pass on.
        yield frames.ethernet(frames.BROADCAST, mac, frames.ARP, message + mark)


def _claims6(mac: str, claim: str, mark: bytes) -> Iterator[bytes]:
    packet = frames.advertisement(claim, "ff02::1", claim, mac, frames.unknown_option(mark))
    yield frames.framed(frames.multicast_mac("ff02::1"), mac, packet)


def _impersonations(mac: str, victim: Space, version: int, claims: Sequence[str], mark: bytes) -> Iterator[bytes]:
    """Yield packets to the victim in the name of others: with their addresses, and with a forged MAC as well."""
    link = _own_link(victim)
    targets = victim.addresses(version=version)
    if link is None:
        return
    for target in targets:
        for claim in claims:
            if claim != target:
                packet = frames.udp(claim, 40000, target, UDP_PORT, mark)
                yield frames.framed(link[1], mac, packet)
                yield frames.framed(link[1], "02:66:6f:72:67:64", packet)


def _services4(mac: str, insider: Space, mark: bytes) -> Iterator[bytes]:
    """Yield an offer of DHCP, from its own true address."""
    for own in insider.addresses(version=4)[:1]:
        packet = frames.udp(own, 67, "255.255.255.255", 68, b"\x02\x01\x06\x00" + mark)
        yield frames.framed(frames.BROADCAST, mac, packet)


def _services6(mac: str, insider: Space, mark: bytes) -> Iterator[bytes]:
    """Yield a router advertisement and an answer of DHCPv6, from its own true addresses."""
    own = link_local(mac)
    router = frames.router_advertisement(own, "2001:db8:bad::", frames.unknown_option(mark))
    server = frames.udp(own, 547, "ff02::1", 546, b"\x02" + mark)
    for packet in (router, server):
        yield frames.framed(frames.multicast_mac("ff02::1"), mac, packet)
