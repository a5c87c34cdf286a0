"""Tells when somebody changes links, addresses, routes or nftables of the host."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable

from weft.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
# include/uapi/linux/rtnetlink.h, enum rtnetlink_groups; include/uapi/linux/netfilter/nfnetlink.h.
_ROUTE_GROUPS = {"link": 1, "address": 5, "route": 7, "address6": 9, "route6": 11}
_NFNLGRP_NFTABLES = 7
# nlmsg_type of rtnetlink(7) comes in fours: NEW, DEL, GET, SET.
_REASONS = {16: "link", 20: "address", 24: "route"}
_SO_RCVBUFFORCE = 33
#: Room for some 2,000 events while this process gets no turn.
_BUFFER = 4 << 20
#: How long events are gathered before they are told of, in seconds.  One attach makes about twenty.
_GATHER_S = 0.05


class Watch:
    """A thread that calls ``notify(reason)`` with 'link', 'address', 'route', 'nftables' or 'overrun'.

    'overrun' means that events were lost, so that anything may have changed.  The sockets are in the namespace of
    the thread that makes this object.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._routes = _listening(NETLINK_ROUTE, *_ROUTE_GROUPS.values())
        self._rules = _listening(NETLINK_NETFILTER, _NFNLGRP_NFTABLES)
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="weft-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Call ``notify`` no more; waits for a call that is under way."""
        if self._stop.is_set():
            return
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join()
            os.close(self._wake)

    def _run(self) -> None:
        poll = select.poll()
        for source in (self._routes, self._rules, self._wake):
            poll.register(source, select.POLLIN)
        try:
            while not self._stop.is_set():
                poll.poll()
                # Events come in bursts, and whoever is told has to look at everything anyway.
                self._stop.wait(_GATHER_S)
                for reason in sorted(self._reasons()):
                    if not self._stop.is_set():
                        self._notify(reason)
        finally:
            self._routes.close()
            self._rules.close()

    def _reasons(self) -> set[str]:
        """Receive what waits; return what it is about."""
        kinds, overrun = _drain(self._routes)
        reasons = {_REASONS.get(kind & ~3, "link") for kind in kinds}
        rules, rules_overrun = _drain(self._rules)
        if rules:
            reasons.add("nftables")
        if overrun or rules_overrun:
            reasons.add("overrun")
        return reasons


def _listening(protocol: int, *groups: int) -> socket.socket:
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    listener.bind((0, 0))
    for group in groups:
        listener.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    return listener


def _drain(listener: socket.socket) -> tuple[set[int], bool]:
    """Return the types of the messages that wait, and whether others were lost."""
    kinds: set[int] = set()
    overrun = False
    while True:
        try:
            data = listener.recv(1 << 16)
        except BlockingIOError:
            return kinds, overrun
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            overrun = True
        else:
            kinds.add(struct.unpack_from("=H", data, 4)[0])
