"""A DNS client for tests: one query, one answer, over UDP or TCP (RFC 1035)."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import struct
from typing import NamedTuple

A, PTR, MX, AAAA = 1, 12, 15, 28
NOERROR, NXDOMAIN, REFUSED = 0, 3, 5

_ids = itertools.count(1)


class Answer(NamedTuple):
    rcode: int
    values: list[str]


def query(name: str, kind: int = A) -> bytes:
    """Return a query with recursion desired."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label)
    return struct.pack(">6H", next(_ids) & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def parse(message: bytes) -> Answer:
    """Return the response code and the addresses or names of the answer section."""
    _, flags, questions, answers, _, _ = struct.unpack_from(">6H", message)
    place = 12
    for _ in range(questions):
        place = _name(message, place)[1] + 4
    values = []
    for _ in range(answers):
        place = _name(message, place)[1]
        kind, _, _, length = struct.unpack_from(">2HIH", message, place)
        place += 10
        data = message[place : place + length]
        if kind in (A, AAAA):
            values.append(str(ipaddress.ip_address(data)))
        elif kind == PTR:
            values.append(_name(message, place)[0])
        place += length
    return Answer(flags & 0xF, sorted(values))


def ask_udp(server: str, name: str, kind: int = A, timeout: float = 2.0, port: int = 53) -> Answer:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as handle:
        handle.settimeout(timeout)
        handle.connect((server, port))
        handle.send(query(name, kind))
        return parse(handle.recv(4096))


def ask_tcp(server: str, name: str, kind: int = A, timeout: float = 2.0, port: int = 53) -> Answer:
    with socket.create_connection((server, port), timeout) as handle:
        message = query(name, kind)
        handle.sendall(struct.pack(">H", len(message)) + message)
        (length,) = struct.unpack(">H", _exactly(handle, 2))
        return parse(_exactly(handle, length))


def _exactly(handle: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        piece = handle.recv(count - len(octets))
        if not piece:
            raise ConnectionError("closed in the middle of an answer")
        octets += piece
    return octets


def _name(message: bytes, place: int) -> tuple[str, int]:
    """Return a name and where it ends; names may continue elsewhere in the message (RFC 1035, 4.1.4)."""
    labels = []
    end = 0
    while message[place]:
        if message[place] & 0xC0:
            end = end or place + 2
            place = struct.unpack_from(">H", message, place)[0] & 0x3FFF
            continue
        labels.append(message[place + 1 : place + 1 + message[place]].decode())
        place += 1 + message[place]
    return ".".join(labels), end or place + 1
