"""The host's own resolv.conf: read, and followed while it changes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from weft.plan.resolvconf import ResolvConf, parse, without_stub

log = logging.getLogger("weft")

RESOLV_CONF = Path("/etc/resolv.conf")

#: Where systemd-resolved lists the servers that are behind its stub (systemd-resolved.service(8)).
BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")

#: Seconds between two looks.  The file may be a link to a link into a directory that is made anew; looking costs
#: two stat(2) calls, watching each of those places for each of these events would cost more to get right.
INTERVAL = 0.5

#: A file that is larger is no resolv.conf; octets.
_LARGEST = 1 << 16


class HostResolver:
    """Which servers, search domains and options the host uses, as containers are to have them."""

    def __init__(self, path: Path = RESOLV_CONF, behind_stub: Path = BEHIND_STUB, interval: float = INTERVAL) -> None:
        self._paths = (path, behind_stub)
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen = self._stamps()
        self._conf = self._read()

    @property
    def conf(self) -> ResolvConf:
        """What the host uses, as of the last look; systemd-resolved's stub is replaced by the servers behind it."""
        return self._conf

    def watch(self, changed: Callable[[ResolvConf], None]) -> None:
        """Call ``changed`` from a thread of its own whenever what the host uses is another, until ``close``."""
        self._thread = threading.Thread(target=self._watch, args=(changed,), name="resolv.conf", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, changed: Callable[[ResolvConf], None]) -> None:
        while not self._stop.wait(self._interval):
            stamps = self._stamps()
            if stamps == self._seen:
                continue
            # Half a file has other stamps a moment later, and is then read again.
            self._seen = stamps
            conf = self._read()
            if conf == self._conf:
                continue
            self._conf = conf
            try:
                changed(conf)
            except Exception:
                log.exception("while following %s", self._paths[0])

    def _stamps(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)

    def _read(self) -> ResolvConf:
        host, behind = (_parsed(path) for path in self._paths)
        return without_stub(host, behind)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when the file does, links followed; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _parsed(path: Path) -> ResolvConf:
    """Return what the file says; one that cannot be read says nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ResolvConf()
    try:
        return parse(os.read(descriptor, _LARGEST).decode(errors="replace"))
    except OSError:
        return ResolvConf()
    finally:
        os.close(descriptor)
