"""resolv.conf(5): the host's, and what a container's says."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from weft.model.base import Record, replace
from weft.model.container import Container
from weft.model.names import check_hostname
from weft.model.network import Network
from weft.model.settings import Settings
from weft.plan.managed import Line, Lines
from weft.plan.names import has_names

#: Where systemd-resolved listens (systemd-resolved.service(8)).
_STUBS = frozenset({"127.0.0.53", "127.0.0.54"})

#: The one ``--dns-search`` that means none.
NO_SEARCH = "."


def search_domain(text: str) -> str:
    """Return ``text`` if it may stand after --dns-search; raise InvalidName otherwise."""
    return text if text == NO_SEARCH else check_hostname(text, "search domain")


class ResolvConf(Record):
    """A file's contents; what weft does not know of it is left out."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str) -> ResolvConf:
    """Read a file as the C library does: of several 'search' and 'domain' lines the last counts, bad lines do not."""
    servers: list[str] = []
    options: list[str] = []
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_] if _is_address(address):
                servers.append(address)
            case ["search", *domains] if domains:
                search = tuple(domains)
            case ["domain", domain, *_]:
                search = (domain,)
            case ["options", *words]:
                options.extend(words)
    return ResolvConf(servers=_unique(servers), search=search, options=_unique(options))


def without_stub(host: ResolvConf, behind: ResolvConf) -> ResolvConf:
    """Return ``host`` with systemd-resolved's stub replaced by the servers that it asks, which ``behind`` lists.

    A server on any other loopback address is the host's own and stays: weft's name servers run on the host, where
    it can be reached.
    """
    servers: list[str] = []
    for server in host.servers:
        servers.extend(behind.servers if server in _STUBS and behind.servers else (server,))
    return replace(host, servers=_unique(servers))


def container_conf(
    container: Container, networks: Sequence[Network], host: ResolvConf, settings: Settings
) -> ResolvConf:
    """Return what ``container`` is told; ``networks`` are those that it is on, the one of its default route first.

    Its servers are the gateways of the first network that answers names.  Where none does, they are those that it
    was given by name.
    """
    named = next((network for network in networks if has_names(network)), None)
    servers = tuple(subnet.gateway for subnet in named.subnets) if named else container.dns
    of_networks = next((network.dns_search for network in networks if network.dns_search), ())
    search = container.dns_search or of_networks or settings.dns_search or host.search
    search = () if search == (NO_SEARCH,) else search
    return ResolvConf(servers=servers, search=search, options=_options(host.options, search) if servers else ())


def _options(options: tuple[str, ...], search: tuple[str, ...]) -> tuple[str, ...]:
    """Return the host's options, and 'ndots:0' where there are search domains.

    Without it the C library asks for ``web.corp.example`` before it asks for ``web``: a query leaves the host, and a
    wildcard of the domain's answers in the container's place.
    """
    if not search or any(option.startswith("ndots:") for option in options):
        return options
    return (*options, "ndots:0")


def lines(conf: ResolvConf) -> Lines:
    """Return the lines of a file that says ``conf``."""
    result = [Line(slot=f"nameserver {n}", text=f"nameserver {server}") for n, server in enumerate(conf.servers)]
    if conf.search:
        result.append(Line(slot="search", text=f"search {' '.join(conf.search)}"))
    if conf.options:
        result.append(Line(slot="options", text=f"options {' '.join(conf.options)}"))
    return tuple(result)


def is_edit_of(line: str, ours: str) -> bool:
    """Whether ``line`` sets the same thing as ``ours``; 'domain' is another word for 'search'."""
    words = line.split()
    keyword = "search" if words[:1] == ["domain"] else "".join(words[:1])
    return keyword == ours.split()[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _unique(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
