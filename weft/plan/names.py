"""Who answers whose names: views, the name servers that they need, and the lines that these read.

A container's *view* of names is the set of networks that it is on, and the servers that other names are asked of.
Each view in use has one name server of its own, which knows the names of exactly these networks: a name of another
network is not hidden in it, it is not there.

Most containers see the *standard* view of their network, whose server listens on the network's gateways at port
53.  The server of any other view listens on the gateways of all its networks at a port of its own, and an element
of the maps ``resolver4`` and ``resolver6`` sends a container's queries there.  Every container therefore has a
gateway as its name server, whatever it is connected to later.

A name that is asked for belongs to one of these:

- single labels (``web``): never asked of another server;
- ``NAME.network``: the network's *zone*, never asked of another server either;
- the dotted aliases that people give to stand in for real names (``api.example.com``) and names in a network that is
  called like a public domain (``dev``): just that name is kept here, its neighbours are asked of the upstreams;
- addresses of the view's subnets, for reverse look-ups: never asked of another server;
- everything else: the upstreams', or nobody's if all networks of the view are internal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from weft.model.base import Record, encode
from weft.model.container import Container, Endpoint
from weft.model.errors import InvalidName
from weft.model.names import check_hostname
from weft.model.network import Network
from weft.model.settings import Settings
from weft.plan.objects import Element, Objects

#: The port of DNS, and the first one for servers of views that are not standard.
STANDARD_PORT = 53
FIRST_VIEW_PORT = 5301

#: How much of a container's id is a name of it, as with the engines.
SHORT_ID = 12

# Top-level domains of the public DNS that people also call networks.  A network of such a name does not take the
# whole domain away from its containers.  The list need not be complete: what is not in it is shadowed on one network.
_WORDS = """
    academy app art audio bank bar beer biz black blog blue box build business cab cafe cam camp capital care cash
    center chat city cloud club codes coffee com community company computer cool data date design dev digital direct
    domains email energy engineering events exchange expert express farm film finance fit foo forum foundation fun
    fund fyi gallery game games global gold google graphics green group guide guru health help holiday host hosting
    house how inc info ink int international jobs law legal life limited link live llc loan ltd management map market
    marketing media menu mobi moe money movie museum name net network new news ninja now one online open org page
    partners parts party pay phone photos pink place plus press pro prod properties pub red rent report rest review
    rip rocks run sale save school science search secure security select services shop show site social software
    solutions space store stream studio style support systems team tech technology tel today tools top trade training
    travel tube university video wiki win work world wtf xyz zip zone
"""
_PUBLIC_DOMAINS = frozenset(_WORDS.split())


class View(Record):
    """What a container sees of names."""

    #: Ids of the networks, sorted.
    networks: tuple[str, ...]
    #: Addresses of the servers that other names are asked of.  None: the host's, whichever these are at the time.
    #: (): none, so that no query leaves the host.
    upstream: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """A short name for the view, the same on every host and after every start."""
        return hashlib.sha256(encode(self)).hexdigest()[:16]


class NameServer(Record):
    """What the server of a view has to know."""

    view: View
    #: Where it listens: the gateways of the view's networks.
    addresses: tuple[str, ...]
    #: Subnets in CIDR form whose reverse names it alone answers.
    subnets: tuple[str, ...]
    #: Domains that it alone answers.
    zones: tuple[str, ...]
    #: Whether its port is 53.
    standard: bool


class HostEntry(Record):
    """The names of one endpoint: what ``<network id>/<endpoint id>`` in the servers' directory holds."""

    network_id: str
    endpoint_id: str
    #: Lines of a hosts file (hosts(5)); the first name is the one that the address leads back to.
    lines: tuple[str, ...]
    #: Those of the names that lie in no zone of the network.
    outside: tuple[str, ...] = ()


# --- views ------------------------------------------------------------------------------------------------------


def has_names(network: Network) -> bool:
    """Whether names are answered on the network, which takes a gateway to answer at."""
    return bool(network.bridge and network.subnets)


def standard_view(network: Network, settings: Settings) -> View:
    """Return the view of a container that is on ``network`` alone and names no servers of its own."""
    return View(networks=(network.id,), upstream=_upstream((), [network], settings))


def view_of(container: Container, networks: Sequence[Network], settings: Settings) -> View | None:
    """Return what ``container`` sees; ``networks`` are those that it is on, the one of its default route first.

    None if no network of these answers names.  The servers that a container names itself (``--dns``) come before
    those of its networks, and these before those of the host's settings; none of them counts where all networks
    are internal.
    """
    named = [network for network in networks if has_names(network)]
    if not named:
        return None
    identifiers = tuple(sorted({network.id for network in named}))
    return View(networks=identifiers, upstream=_upstream(container.dns, named, settings))


def name_server(view: View, networks: Sequence[Network], settings: Settings) -> NameServer:
    """Return the server that ``view`` needs; ``networks`` are the view's, in any order."""
    members = sorted(networks, key=lambda network: network.id)
    subnets = [subnet for network in members for subnet in network.subnets]
    zones = [zone for network in members if (zone := own_zone(network)) is not None]
    return NameServer(
        view=view,
        addresses=tuple(subnet.gateway for subnet in subnets),
        subnets=tuple(subnet.cidr for subnet in subnets),
        zones=tuple(dict.fromkeys(zones)),
        standard=len(members) == 1 and view == standard_view(members[0], settings),
    )


def _upstream(own: tuple[str, ...], networks: Sequence[Network], settings: Settings) -> tuple[str, ...] | None:
    outward = [network for network in networks if not network.internal]
    if not outward:
        return ()
    choices = (own, *(network.dns for network in outward), settings.dns)
    return next((servers for servers in choices if servers), None)


# --- names ------------------------------------------------------------------------------------------------------


def own_zone(network: Network) -> str | None:
    """Return the domain that belongs to the network, None if its name is, or may be, one of the public DNS.

    Two letters are a country's (ISO 3166), now or some day.
    """
    name = network.name.lower()
    if "." in name or len(name) == 2 or name in _PUBLIC_DOMAINS or not _is_dns_name(name):
        return None
    return name


def host_entry(container: Container, endpoint: Endpoint, network: Network) -> HostEntry:
    """Return the names of ``container`` on ``network``.

    They are its name, its aliases there, its host name and the beginning of its id, each also with the network's
    name after it.  An address leads back to ``NAME.network``, as with Docker.  Aliases that links give are known to
    their receiver alone and stand in its hosts file.
    """
    names = _names(container, endpoint, network)
    zone = own_zone(network)
    lines = tuple(f"{address.address} {' '.join(names)}" for address in endpoint.addresses) if names else ()
    outside = tuple(name for name in names if "." in name and (zone is None or not name.lower().endswith(f".{zone}")))
    return HostEntry(network_id=network.id, endpoint_id=endpoint.id, lines=lines, outside=outside if lines else ())


def _names(container: Container, endpoint: Endpoint, network: Network) -> list[str]:
    short_id = container.id[:SHORT_ID]
    bare = [container.name, *endpoint.aliases, container.hostname, short_id]
    qualified = [f"{name}.{network.name}" for name in bare if name]
    ordered = (qualified[0], *bare, *qualified[1:])
    names: dict[str, str] = {}
    for name in filter(_may_be_published, ordered):
        names.setdefault(name.lower(), name)  # case does not tell names apart (RFC 4343)
    return list(names.values())


def _may_be_published(name: str) -> bool:
    """Whether a name may go into DNS: 'localhost' is everybody's own (RFC 6761, section 6.3)."""
    lowered = name.lower()
    return _is_dns_name(name) and lowered != "localhost" and not lowered.endswith(".localhost")


def _is_dns_name(name: str) -> bool:
    with suppress(InvalidName):
        return bool(check_hostname(name))
    return False


# --- kernel objects -----------------------------------------------------------------------------------------------


def redirect(endpoint: Endpoint, bridge: str, port: int, owner: str = "") -> Objects:
    """Return what sends the queries of ``endpoint`` to the server that listens at ``port``; nothing for port 53.

    ``bridge`` is the interface that they come in by, ``owner`` the container's name for people who read the map.
    """
    if port == STANDARD_PORT:
        return ()
    return tuple(
        Element(
            family="inet",
            set=f"resolver{address.version}",
            match=(bridge, address.address),
            value=(port,),
            comment=f"names of {owner}" if owner else "",
        )
        for address in endpoint.addresses
    )


def opening(port: int) -> Objects:
    """Return what makes ``port`` one of a name server: only queries that were led there come in.

    Needed once for all endpoints that share the server, and before it listens: nobody is to read the names of
    networks that he is not on by asking at the port itself.
    """
    return () if port == STANDARD_PORT else (Element(family="inet", set="view_ports", match=(port,)),)
