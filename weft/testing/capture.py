"""Captures: every frame that passes an interface of a namespace, looked at while it passes (packet(7))."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Self

from weft.testing.frames import Packet
from weft.testing.spaces import Space

#: <linux/if_ether.h>, <linux/if_packet.h> and <asm-generic/socket.h>.
_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
#: Octets of frames that wait to be looked at, before any are lost.
_BUFFER = 32 << 20
#: Octets of a frame that are looked at; segmentation offload makes frames of up to 64 KiB.
_LENGTH = 2048


class Capture:
    """Collects the packets that are ``wanted``, from the moment it is made until ``stop``; a context manager.

    ``interface`` '' is every interface of the namespace, those that are still to come included.  A frame that the
    machine forwards is seen twice then, coming and going.
    """

    def __init__(self, space: Space, wanted: Callable[[Packet], bool], interface: str = "") -> None:
        self.seen: list[Packet] = []
        self._wanted = wanted
        self._sock = space.call(lambda: _listening(interface))
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._watch, name="weft-test-capture", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()

    def stop(self) -> list[Packet]:
        """Look at what has arrived until now, end, and return all that was wanted."""
        if self._thread.is_alive():
            os.eventfd_write(self._end, 1)
            self._thread.join()
            self._sock.close()
            os.close(self._end)
        return self.seen

    def _watch(self) -> None:
        while True:
            ready, _, _ = select.select([self._sock.fileno(), self._end], [], [])
            self._drain()
            if self._end in ready:
                return

    def _drain(self) -> None:
        while True:
            try:
                frame, address = self._sock.recvfrom(_LENGTH)
            except BlockingIOError:
                return
            except OSError:
                continue  # the interface went down, or away
            packet = Packet.parse(frame, address[2] == _PACKET_OUTGOING) if len(frame) >= 14 else None
            if packet and self._wanted(packet):
                self.seen.append(packet)


def _listening(interface: str) -> socket.socket:
    # A socket with a protocol hears all interfaces at once; one without hears nothing before it is bound to one.
    protocol = 0 if interface else socket.htons(_ETH_P_ALL)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    if interface:
        sock.bind((interface, _ETH_P_ALL))
    return sock
