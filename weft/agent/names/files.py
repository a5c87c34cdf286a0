"""A container's own hosts, resolv.conf and hostname.

The files are bind-mounted into the container, so they are changed in place: a file put in their stead would not be
seen there.  What weft last wrote into them is kept beside them (``managed.json``), which tells its lines from those
of people who edit the files inside the container.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weft.model.base import Record, decode, encode, replace
from weft.model.errors import WeftError
from weft.plan import hostsfile, resolvconf
from weft.plan.managed import IsEditOf, Lines, merge

#: Octets of a file that are kept.  A container may write what it likes into its files; beyond this it is not people's
#: edits any more, and weft's lines alone are put there.
LARGEST = 1 << 20

_MANAGED = "managed.json"


class Managed(Record):
    """The lines of weft's in a container's files, and those that it has taken away and may put back changed."""

    hosts: Lines = ()
    resolv: Lines = ()
    parted: Lines = ()


class ContainerFiles:
    """The three files in a container's directory.  For one container, call it from one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.hosts = directory / "hosts"
        self.resolv = directory / "resolv.conf"
        self.hostname = directory / "hostname"

    def mounts(self) -> dict[str, str]:
        """Return what is to be laid over which file of the container: target path → source path."""
        return {f"/etc/{path.name}": str(path) for path in (self.hosts, self.resolv, self.hostname)}

    def write(self, hosts: Lines, resolv: Lines, hostname: str) -> None:
        """Write all three anew, without the edits of an earlier life."""
        self._directory.mkdir(parents=True, exist_ok=True)
        _put(self.hosts, [line.text for line in hosts])
        _put(self.resolv, [line.text for line in resolv])
        _put(self.hostname, [hostname])
        self._remember(Managed(hosts=hosts, resolv=resolv))

    def update_hosts(self, hosts: Lines) -> None:
        """Bring weft's lines of the hosts file to ``hosts`` and leave the others; no file is no error."""
        before = self._managed()
        if before.hosts == hosts:
            return
        if _update(self.hosts, before.hosts, hosts, hostsfile.is_edit_of, before.parted):
            self._remember(replace(before, hosts=hosts, parted=_parted(before, hosts)))

    def update_resolv(self, resolv: Lines) -> None:
        """Bring weft's lines of resolv.conf to ``resolv`` and leave the others; no file is no error."""
        before = self._managed()
        if before.resolv != resolv and _update(self.resolv, before.resolv, resolv, resolvconf.is_edit_of):
            self._remember(replace(before, resolv=resolv))

    def remove(self) -> None:
        """Delete the files; the directory stays."""
        for path in (self.hosts, self.resolv, self.hostname, self._directory / _MANAGED):
            path.unlink(missing_ok=True)

    def _managed(self) -> Managed:
        try:
            return decode((self._directory / _MANAGED).read_bytes(), Managed)
        except (FileNotFoundError, WeftError):
            return Managed()

    def _remember(self, managed: Managed) -> None:
        """Note what weft wrote.  Files come first: a note that is behind is caught up with at the next change."""
        fresh = self._directory / f".{_MANAGED}"
        fresh.write_bytes(encode(managed))
        fresh.rename(self._directory / _MANAGED)


def _parted(before: Managed, hosts: Lines) -> Lines:
    """Return the lines whose slots are not in ``hosts`` and may come back."""
    present = {line.slot for line in hosts}
    gone = {line.slot: line for line in (*before.parted, *before.hosts) if line.slot not in present}
    return tuple(line for slot, line in gone.items() if hostsfile.may_return(slot))


def _update(path: Path, before: Lines, after: Lines, is_edit_of: IsEditOf, parted: Lines = ()) -> bool:
    """Merge ``after`` into the file; return whether there is a file."""
    try:
        current = _get(path)
    except FileNotFoundError:
        return False
    fresh = [line.text for line in after]
    _put(path, fresh if current is None else merge(current, before, after, is_edit_of, parted))
    return True


def _get(path: Path) -> list[str] | None:
    """Return the file's lines, None if it is too large to be kept; octets that are no UTF-8 survive ``_put``."""
    with _opened(path, os.O_RDONLY) as descriptor:
        content = os.read(descriptor, LARGEST + 1)
    if len(content) > LARGEST:
        return None
    lines = content.decode(errors="surrogateescape").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _put(path: Path, lines: list[str]) -> None:
    """Write the file in place.

    One write puts the new content over the old, filled up with newlines to its length, before the file is cut to size:
    nobody who reads meanwhile sees an empty file or the end of an old line.
    """
    content = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    with _opened(path, os.O_WRONLY | os.O_CREAT) as descriptor:
        os.fchmod(descriptor, 0o644)  # for every user of the container, whatever the agent's umask is
        padding = b"\n" * min(os.fstat(descriptor).st_size - len(content), LARGEST)
        os.pwrite(descriptor, content + padding, 0)
        os.ftruncate(descriptor, len(content))


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
