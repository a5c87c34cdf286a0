"""Published and exposed ports, and the forms in which people write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from weft.model.base import Record
from weft.model.errors import InvalidPort
from weft.model.network import parse_address

Protocol = Literal["tcp", "udp", "sctp"]
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "sctp")

#: The one address that the kernel cannot translate; ports published there are relayed by the agent.
RELAYED = "::1"


class ExposedPort(Record):
    """A port that a container says it serves on, not reachable from outside by that alone."""

    port: int
    protocol: Protocol = "tcp"

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


class PortRequest(Record):
    """One published port as it was asked for; ``host_port`` None means any free one of the range.

    ``host_ip`` '' means the network's or host's default bind address.
    """

    container_port: int
    protocol: Protocol = "tcp"
    host_ip: str = ""
    host_port: int | None = None


class PublishedPort(Record):
    """One port as it is published: packets to host_ip:host_port reach container_port.

    ``host_ip`` is '0.0.0.0' or '::' for every address of the host.
    """

    host_ip: str
    host_port: int
    container_port: int
    protocol: Protocol = "tcp"

    @property
    def version(self) -> int:
        return parse_address(self.host_ip).version

    def __str__(self) -> str:
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{self.host_port}->{self.container_port}/{self.protocol}"


def parse_exposed(text: str) -> tuple[ExposedPort, ...]:
    """Parse ``80``, ``80/udp`` or ``8000-8010/tcp``; raise InvalidPort if it is none of these."""
    numbers, protocol = _split_protocol(text)
    return tuple(ExposedPort(port=port, protocol=protocol) for port in _port_range(numbers, text))


def parse_publish(text: str) -> tuple[PortRequest, ...]:
    """Parse the argument of ``-p``; ranges become one request for each port.

    Forms: ``containerPort``, ``hostPort:containerPort``, ``ip:hostPort:containerPort``, ``ip::containerPort``; an
    IPv6 address stands in brackets; each with ``/tcp``, ``/udp`` or ``/sctp``.  Raises InvalidPort.
    """
    numbers, protocol = _split_protocol(text)
    host_ip, rest = _split_host(numbers, text)
    host_text, separator, container_text = rest.rpartition(":")
    if ":" in host_text or (host_ip and not separator):
        raise InvalidPort(f"port {text!r} has too many or too few parts", value=text)
    if separator and not host_text and not host_ip:
        raise InvalidPort(f"port {text!r} has an empty host port", value=text)
    container_ports = _port_range(container_text, text)
    host_ports: list[int | None] = [None] * len(container_ports)
    if host_text:
        host_ports = list(_port_range(host_text, text))
        if len(host_ports) != len(container_ports):
            raise InvalidPort(f"port {text!r}: the two ranges differ in length", value=text)
    return tuple(
        PortRequest(container_port=container_port, protocol=protocol, host_ip=host_ip, host_port=host_port)
        for host_port, container_port in zip(host_ports, container_ports, strict=True)
    )


def _split_protocol(text: str) -> tuple[str, Protocol]:
    numbers, separator, protocol = text.partition("/")
    protocol = protocol.lower() if separator else "tcp"
    if protocol not in PROTOCOLS:
        raise InvalidPort(f"port {text!r}: protocol must be tcp, udp or sctp", value=text)
    return numbers, protocol


def _split_host(numbers: str, text: str) -> tuple[str, str]:
    """Return the host address ('' if none) and what follows it."""
    if numbers.startswith("["):
        inside, separator, rest = numbers[1:].partition("]:")
        if not separator:
            raise InvalidPort(f"port {text!r}: no ']:' after the IPv6 address", value=text)
        return _host_address(inside, 6, text), rest
    if numbers.count(":") == 2:
        host, rest = numbers.split(":", 1)
        return _host_address(host, 4, text), rest
    return "", numbers


def _host_address(host: str, version: int, text: str) -> str:
    try:
        address = parse_address(host)
    except Exception:
        raise InvalidPort(f"port {text!r}: {host!r} is not an IP address", value=text) from None
    if address.version != version:
        raise InvalidPort(f"port {text!r}: write an IPv6 address in brackets", value=text)
    return str(address)


def _port_range(text: str, whole: str) -> range:
    first, separator, last = text.partition("-")
    low = _port(first, whole)
    high = _port(last, whole) if separator else low
    if high < low:
        raise InvalidPort(f"port {whole!r}: the range ends before it begins", value=whole)
    return range(low, high + 1)


def _port(text: str, whole: str) -> int:
    # int() would also take '+80', ' 80', '8_0' and other digits of Unicode.
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise InvalidPort(f"port {whole!r}: {text!r} is not a port number (1 to 65535)", value=whole)
    return int(text)


def families_of(host_ip: str) -> Iterator[int]:
    """Yield the IP versions that a published port with this bind address covers; '' covers both."""
    if host_ip:
        yield parse_address(host_ip).version
    else:
        yield from (4, 6)
