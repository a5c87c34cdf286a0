"""Where operations are carried out: the host or one container's namespace, with a socket in it."""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Callable
from contextlib import ExitStack

from weft.kernel import namespaces
from weft.kernel.netlink import Socket
from weft.model.container import Namespace

# netdevice(7), struct ifreq: the name, then a union of which index and flags are the beginning.
_SIOCGIFNAME = 0x8910
_SIOCGIFFLAGS = 0x8913
_SIOCGIFINDEX = 0x8933
_IFF_UP = 0x1
_INDEX = struct.Struct("16si20x")
_FLAGS = struct.Struct("16sH22x")


#: Calls a function that returns a text (or None) in a namespace.
Inside = Callable[[Callable[[], str | None]], str | None]


class Visits:
    """The container namespaces that one call works in: each is opened and checked once, and held until its end."""

    def __init__(self) -> None:
        self._descriptors: dict[Namespace, int] = {}
        self._sockets: dict[Namespace, Socket] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Visits:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def descriptor(self, namespace: Namespace) -> int:
        """Return a descriptor of ``namespace``; raise NamespaceNotFound if it is gone or is another one now."""
        if namespace not in self._descriptors:
            self._descriptors[namespace] = self._stack.enter_context(namespaces.opened_same(namespace))
        return self._descriptors[namespace]

    def enter(self, namespace: Namespace, work: Callable[[Socket], None], *, needs_thread: bool) -> None:
        """Call ``work`` with a socket in ``namespace``.

        A thread has to enter the namespace to open the socket, and for whatever ``needs_thread``.  The socket stays
        there when the thread has ended, so what only sends messages is done at once from then on.
        """
        if namespace in self._sockets and not needs_thread:
            work(self._sockets[namespace])
        else:
            namespaces.in_namespace(self.descriptor(namespace), lambda: work(self._socket(namespace)))

    def _socket(self, namespace: Namespace) -> Socket:
        if namespace not in self._sockets:
            self._sockets[namespace] = self._stack.enter_context(Socket())
        return self._sockets[namespace]


class Place:
    """One network namespace, with all that encoding an operation has to ask of it.

    Interfaces are looked up by ioctl on the netlink socket, which stays in its namespace whichever thread calls: one
    system call and nothing to decode.
    """

    def __init__(self, socket: Socket, visits: Visits, inside: Inside) -> None:
        self.socket = socket
        self.visits = visits
        #: Calls a function with this place as the calling thread's namespace.
        self.inside = inside

    def index(self, name: str) -> int:
        """Return the index of an interface; raise OSError (ENODEV) if there is none of that name."""
        return int(_INDEX.unpack(self._ask(_SIOCGIFINDEX, name))[1])

    def name(self, index: int) -> str:
        """Return the name of the interface with this index; raise OSError (ENODEV) if there is none."""
        answer = fcntl.ioctl(self.socket, _SIOCGIFNAME, _INDEX.pack(b"", index))
        return str(_INDEX.unpack(answer)[0].rstrip(b"\0").decode())

    def has(self, name: str) -> bool:
        try:
            return self.index(name) > 0
        except OSError:
            return False

    def is_up(self, name: str) -> bool:
        """Whether the interface is up; raise OSError (ENODEV) if there is none of that name."""
        return bool(_FLAGS.unpack(self._ask(_SIOCGIFFLAGS, name))[1] & _IFF_UP)

    def _ask(self, request: int, name: str) -> bytes:
        encoded = name.encode()
        if len(encoded) > 15:
            raise OSError(errno.ENODEV, "no interface has so long a name")
        return fcntl.ioctl(self.socket, request, _INDEX.pack(encoded, 0))
