"""What a container's /etc/hosts says (hosts(5))."""

from __future__ import annotations

from collections.abc import Iterable

from weft.model.base import Record
from weft.model.container import Address, Container, Endpoint
from weft.plan.managed import Line, Lines
from weft.plan.names import SHORT_ID

#: The lines that every container has, those of Debian's installer.
_STANDARD = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)

_LINK = "link "


class Linked(Record):
    """A container as the receiver of a link to it sees it: ``addresses`` are those where the two meet."""

    alias: str
    name: str
    id: str
    addresses: tuple[Address, ...]


def hostname_of(container: Container) -> str:
    """Return the container's host name, which is the beginning of its id unless it was given one."""
    return container.hostname or container.id[:SHORT_ID]


def hosts_file(container: Container, endpoints: Iterable[Endpoint], links: Iterable[Linked]) -> Lines:
    """Return the lines of ``container`` with these live endpoints and links."""
    lines = [Line(slot=f"standard {address}", text=f"{address}\t{names}") for address, names in _STANDARD]
    own = _own_names(container)
    for endpoint in endpoints:
        lines += [_line(f"own {endpoint.id}", address, own) for address in endpoint.addresses]
    for link in links:
        names = (link.alias, link.name, link.id[:SHORT_ID])
        lines += [_line(f"{_LINK}{link.alias}", address, names) for address in link.addresses]
    return tuple(lines)


def may_return(slot: str) -> bool:
    """Whether a slot that is gone may come back: that of a link does with its target; other endpoints are new ones."""
    return slot.startswith(_LINK)


def is_edit_of(line: str, ours: str) -> bool:
    """Whether ``line`` is about the same address or, first of all, the same name as ``ours``."""
    theirs, mine = line.partition("#")[0].split(), ours.split()
    return len(theirs) > 1 and (theirs[0] == mine[0] or theirs[1] == mine[1])


def _own_names(container: Container) -> tuple[str, ...]:
    """Return the host name, its first label and the container's name: 'hostname -f' answers with the first."""
    hostname = hostname_of(container)
    return (hostname, hostname.partition(".")[0], container.name)


def _line(slot: str, address: Address, names: Iterable[str]) -> Line:
    return Line(slot=f"{slot} IPv{address.version}", text=f"{address.address}\t{' '.join(dict.fromkeys(names))}")
