"""A netlink socket for requests: many messages in one send, each acknowledged on its own (netlink(7), RFC 3549).

pyroute2's own sockets run an event loop each and take about 0.5 ms for a request; this one takes one system call to
send and one for each answer, and works from any thread.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Sequence
from typing import NamedTuple

from weft.kernel import attributes
from weft.model.errors import KernelRefused

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

# include/uapi/linux/netlink.h
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
_NLM_F_DUMP_INTR = 0x10
_NLM_F_ACK_TLVS = 0x200
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11

_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
#: Offset of the sequence number in the header, and of what follows the header.
_SEQUENCE = 8
BODY = 16
#: Of an error message: its code and the header of the refused message, then the kernel's explanation.
_EXPLANATION = BODY + 4 + 16

#: The most messages in one send.  Every answer takes room in the receive buffer (200 kB) before it is read.
BATCH = 64
_RECEIVE = 1 << 16
_TIMEOUT_S = 5
#: How often an interrupted dump is begun anew.
_DUMPS = 30


class Refused(NamedTuple):
    """The kernel's answer to a message that it did not carry out."""

    errno: int
    text: str


def frame(kind: int, flags: int, body: bytes) -> bytes:
    """Return a message made of a header and ``body``; asks for an acknowledgement unless it is a dump."""
    acknowledge = 0 if flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_ACK
    return _HEADER.pack(BODY + len(body), kind, NLM_F_REQUEST | acknowledge | flags, 0, 0) + body


class Socket:
    """A socket in the namespace of the thread that makes it; may be used from any thread."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        # A timeout of the kernel's own: Python's would cost a poll(2) before every call.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _TIMEOUT_S, 0))
        self._socket.bind((0, 0))
        self._lock = threading.Lock()
        self._sequence = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def request(self, messages: Sequence[bytes]) -> list[Refused | None]:
        """Send ``messages`` (``BATCH`` at most) at once; return for each None, or why it was refused.

        The kernel carries them out in order and goes on behind one that it refuses.  Raises OSError when the
        kernel does not answer.
        """
        with self._lock:
            first = self._numbers(len(messages))
            self._socket.send(_numbered(messages, first))
            answers: dict[int, Refused | None] = {}
            while len(answers) < len(messages):
                self._collect(answers, first)
        return [answers[first + position] for position in range(len(messages))]

    def _numbers(self, count: int) -> int:
        """Return the first of ``count`` sequence numbers; they begin anew long before they would overflow 32 bits."""
        first = self._sequence % (1 << 31) + 1
        self._sequence = first + count - 1
        return first

    def _collect(self, answers: dict[int, Refused | None], first: int) -> None:
        for kind, flags, sequence, message in _split(self._socket.recv(_RECEIVE)):
            if kind == _NLMSG_ERROR and sequence >= first:  # older ones answer a request that was given up
                answers[sequence] = _outcome(message, flags)

    def dump(self, message: bytes) -> list[bytes]:
        """Return the messages that answer a dump request.

        A dump during which the kernel's lists changed may lack entries that were there all the time
        (NLM_F_DUMP_INTR), so it is begun anew, at most 30 times.  Raises OSError for a refusal, KernelRefused
        when the lists never stand still.
        """
        for _ in range(_DUMPS):
            entries = self._dump_once(message)
            if entries is not None:
                return entries
        cause = "the kernel's lists change faster than they can be read"
        raise KernelRefused(cause, errno="EINTR", command="ip monitor")

    def _dump_once(self, message: bytes) -> list[bytes] | None:
        entries: list[bytes] = []
        interrupted = 0
        with self._lock:
            expected = self._numbers(1)
            self._socket.send(_numbered([message], expected))
            while True:
                for kind, flags, sequence, entry in _split(self._socket.recv(_RECEIVE)):
                    if sequence != expected:
                        continue
                    interrupted |= flags & _NLM_F_DUMP_INTR
                    if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                        _raise_for(entry)
                        return None if interrupted else entries
                    entries.append(entry)

    def get(self, message: bytes) -> bytes | None:
        """Return the one message that answers a request for one object, None if the kernel has none such."""
        with self._lock:
            expected = self._numbers(1)
            self._socket.send(_numbered([message], expected))
            found: bytes | None = None
            while True:  # the object if there is one, then the acknowledgement
                for kind, _, sequence, entry in _split(self._socket.recv(_RECEIVE)):
                    if sequence != expected:
                        continue
                    if kind != _NLMSG_ERROR:
                        found = entry
                    elif _code(entry) in (0, errno.ENODEV):
                        return found
                    else:
                        _raise_for(entry)


def _numbered(messages: Sequence[bytes], first: int) -> bytearray:
    data = bytearray()
    for number, message in enumerate(messages, first):
        start = len(data)
        data += message
        data += bytes(-len(message) % 4)
        struct.pack_into("=I", data, start + _SEQUENCE, number)
    return data


def _split(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return type, flags, sequence number and octets of each message in ``data``."""
    found = []
    offset = 0
    while offset + BODY <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < BODY:
            break
        found.append((kind, flags, sequence, data[offset : offset + length]))
        offset += (length + 3) & ~3
    return found


def _code(message: bytes) -> int:
    # NLMSG_DONE and NLMSG_ERROR both begin with the negative errno value.
    return -int(_ERROR.unpack_from(message, BODY)[0]) if len(message) >= BODY + 4 else 0


def _outcome(message: bytes, flags: int) -> Refused | None:
    code = _code(message)
    if code == 0:
        return None
    found = attributes.read(message, _EXPLANATION) if flags & _NLM_F_ACK_TLVS else {}
    return Refused(code, attributes.text(found.get(_NLMSGERR_ATTR_MSG)))


def _raise_for(message: bytes) -> None:
    code = _code(message)
    if code:
        raise OSError(code, os.strerror(code))
