"""Networks: made, removed, and made default."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from weft.agent.allocation import Allocation
from weft.agent.core import Core, Edit
from weft.agent.events import now
from weft.agent.facade import Outcome
from weft.agent.inspection import network_row
from weft.agent.names.naming import Naming
from weft.ipam.subnets import check_overlap, choose_subnet
from weft.model.errors import InvalidAddress, InvalidInput, InvalidOption, NameTaken, NetworkInUse
from weft.model.identity import bridge_name, new_id
from weft.model.names import RESERVED_NETWORKS, check_interface, check_name
from weft.model.network import Network, Subnet, parse_address, parse_network
from weft.model.requests import CreateNetwork
from weft.model.settings import Settings
from weft.plan.operations import Operations, describe
from weft.plan.resolvconf import search_domain

#: The network that containers are on when they name none.
DEFAULT = "bridge"

#: Smallest MTU that IPv6 allows (RFC 8200, section 5) and largest that an interface takes.
MTU_RANGE = (68, 65535)
MTU6_MINIMUM = 1280

#: Longest prefix of a subnet that still has an address for a container beside the gateway's.
LONGEST = {4: 30, 6: 126}

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Networks:
    """Creation and removal of networks."""

    def __init__(self, core: Core, allocation: Allocation, naming: Naming) -> None:
        self._core = core
        self._allocation = allocation
        self._naming = naming

    def ensure_default(self) -> None:
        """Make the default network if it is not there, and anew if weft.toml says another and nobody is on it."""
        with self._core.lock:
            current = self._core.state.network_named(DEFAULT)
            if current is not None:
                if self._users(current) or not differences(current, self._core.settings):
                    return
                self._drop(current)
            settings = self._core.settings.bridge
            interfaces = [ipaddress.ip_interface(a) for a in (settings.address, settings.address6) if a]
            subnets = [interface.network for interface in interfaces]
            if settings.address6 and not settings.address:
                subnets.append(choose_subnet(self._core.settings.pools, [prefix for prefix, _ in self.taken()]))
            request = CreateNetwork(
                name=DEFAULT,
                bridge=settings.name,
                subnets=tuple(map(str, subnets)),
                gateways=tuple(str(interface.ip) for interface in interfaces),
            )
            self.create(request, dry_run=False)

    def create(self, request: CreateNetwork, dry_run: bool) -> Outcome:
        """Make a network and everything the host holds for it."""
        core = self._core
        with core.lock:
            network = self._network(request)
            edit = Edit(save=(network,))
            if dry_run:
                return Outcome(operations=tuple(describe(core.rehearse(edit, host=True))))
            operations = core.change(edit, host=True)
            self._allocation.open(network)
        core.events.tell("network", "create", network.id, network.name, driver=network.driver)
        return Outcome(result=network_row(core.state, network), operations=tuple(describe(operations)))

    def remove(self, name: str, dry_run: bool) -> Outcome:
        """Remove a network on which nothing is left."""
        core = self._core
        with core.lock:
            network = core.state.find_network(name)
            self._check_unused(network)
            edit = Edit(drop=(network,))
            if dry_run:
                return Outcome(operations=tuple(describe(core.rehearse(edit, host=True))))
            operations = self._drop(network)
        return Outcome(result={"id": network.id, "name": network.name}, operations=tuple(describe(operations)))

    def _drop(self, network: Network) -> Operations:
        operations = self._core.change(Edit(drop=(network,)), host=True, teardown=True)
        self._allocation.close(network)
        self._naming.network_removed(network)
        self._core.events.tell("network", "remove", network.id, network.name)
        return operations

    def prune(self, dry_run: bool) -> Outcome:
        """Remove every network of the user's that no container is on or wants to be on at its next start."""
        core = self._core
        with core.lock:
            unused = [n for n in core.state.networks.values() if n.name != DEFAULT and not self._users(n)]
            outcomes = [self.remove(network.id, dry_run) for network in unused]
        operations = tuple(command for outcome in outcomes for command in outcome.operations)
        return Outcome(result=[network.name for network in unused], operations=operations)

    # --- from a request to a record

    def _network(self, request: CreateNetwork) -> Network:
        state, settings = self._core.state, self._core.settings
        check_name(request.name, "network name")
        if request.name in RESERVED_NETWORKS:
            raise NameTaken(f"{request.name!r} is a mode of attachment, not a name for a network")
        if state.network_named(request.name) is not None:
            raise NameTaken(f"network {request.name!r} exists already", owner=request.name)
        identifier = new_id()
        subnets = () if request.driver == "ptp" and not request.subnets else self._subnets(request)
        bridge = self._bridge(request, identifier)
        return Network(
            id=identifier,
            name=request.name,
            driver=request.driver,
            subnets=subnets,
            bridge=bridge,
            internal=request.internal,
            icc=settings.icc if request.icc is None else request.icc,
            masquerade=settings.masquerade if request.masquerade is None else request.masquerade,
            ip_forward=request.ip_forward,
            filter=self._filter(request),
            mtu=self._mtu(request, subnets),
            dns=tuple(str(parse_address(server)) for server in request.dns),
            dns_search=tuple(search_domain(domain) for domain in request.dns_search),
            bind=None if request.bind is None else str(parse_address(request.bind)),
            options=_checked_texts(request.options, "option"),
            labels=_checked_texts(request.labels, "label"),
            created=now(),
        )

    def _subnets(self, request: CreateNetwork) -> tuple[Subnet, ...]:
        settings = self._core.settings
        taken = self.taken()
        given = [parse_network(text) for text in request.subnets]
        for number, network in enumerate(given):
            if network.version in {other.version for other in given[:number]}:
                raise InvalidAddress(
                    f"{network} is a second IPv{network.version} subnet", "A network has one subnet of each family."
                )
            if network.prefixlen > LONGEST[network.version]:
                raise InvalidAddress(f"subnet {network} has no address for a container beside the gateway")
            _check_usable(network)
            check_overlap(network, taken)
        versions = {network.version for network in given}
        if not given:
            given.append(choose_subnet(settings.pools, [prefix for prefix, _ in taken]))
        if request.ipv6 and 6 not in versions:
            given.append(choose_subnet(settings.pools6, [prefix for prefix, _ in taken]))
        gateways = _one_each(given, {str(a): a for a in map(parse_address, request.gateways)}, "gateway")
        ranges = _one_each(given, {text: parse_network(text).network_address for text in request.ip_ranges}, "range")
        return tuple(
            Subnet(
                cidr=str(network),
                gateway=_checked_gateway(network, gateways.get(network.version)),
                ip_range=ranges.get(network.version),
            )
            for network in given
        )

    def taken(self) -> list[tuple[IPNetwork, str]]:
        """Return every prefix that is spoken for on this host, with who has it."""
        core = self._core
        facts = core.kernel.facts()
        own = {network.bridge for network in core.state.networks.values()}
        taken: list[tuple[IPNetwork, str]] = []
        for network in core.state.networks.values():
            taken += [(subnet.network, f"network {network.name!r}") for subnet in network.subnets]
        for address in facts.addresses:
            if address.interface not in own:
                taken.append((ipaddress.ip_interface(address.cidr).network, f"interface {address.interface!r}"))
        for route in facts.routes:
            if route.interface not in own:
                owner = f"a route by {route.interface!r}" if route.interface else "a route to nowhere"
                taken.append((ipaddress.ip_network(route.destination), owner))
        return taken

    def _bridge(self, request: CreateNetwork, identifier: str) -> str:
        if request.driver != "bridge":
            if request.bridge is not None:
                raise InvalidOption(f"driver {request.driver!r} has no bridge to name")
            return ""
        if request.bridge is None:
            return bridge_name(identifier)
        name = check_interface(request.bridge, "bridge name")
        for network in self._core.state.networks.values():
            if network.bridge == name:
                raise NameTaken(f"interface {name!r} is the bridge of network {network.name!r}")
        if name in self._core.kernel.interfaces(None):
            raise NameTaken(f"this host has an interface {name!r} that weft did not make")
        return name

    def _filter(self, request: CreateNetwork) -> bool | None:
        if request.filter and not self._core.settings.filter:
            raise InvalidOption("this host keeps no filters, for any network", "Set filter = true in weft.toml.")
        if request.filter is False and request.icc is False:
            raise InvalidOption("--no-icc without filters would leave links closed", "Give one of the two.")
        return request.filter

    def _mtu(self, request: CreateNetwork, subnets: Iterable[Subnet]) -> int | None:
        mtu = self._core.settings.mtu if request.mtu is None else request.mtu
        if mtu is None:
            return None
        low, high = MTU_RANGE
        if any(subnet.version == 6 for subnet in subnets):
            low = MTU6_MINIMUM
        if not low <= mtu <= high:
            raise InvalidOption(f"MTU {mtu} is not between {low} and {high}")
        return mtu

    # --- use

    def _check_unused(self, network: Network) -> None:
        if network.name == DEFAULT:
            raise NetworkInUse("the default network cannot be removed", "'weft down --all' takes everything away.")
        names = self._users(network)
        if names:
            raise NetworkInUse(
                f"network {network.name!r} is in use by {', '.join(names[:5])}" + (" …" if len(names) > 5 else ""),
                "Disconnect or remove them first.",
                containers=names,
            )

    def _users(self, network: Network) -> list[str]:
        """Return the names of the containers that are on the network, or want to be at their next start."""
        state = self._core.state
        on_it = {endpoint.container_id for endpoint in state.endpoints_on(network)}
        wanting = {c.id for c in state.containers.values() for wish in c.wishes if wish.network_id == network.id}
        return sorted(state.containers[identifier].name for identifier in on_it | wanting)


def differences(default: Network, settings: Settings) -> list[str]:
    """Return in what the default network is not as weft.toml says; what that leaves open is as it should be."""
    asked = {4: settings.bridge.address, 6: settings.bridge.address6}
    subnets = {subnet.version: subnet.gateway_cidr for subnet in default.subnets}
    different = {
        "bridge name": default.bridge != settings.bridge.name,
        "bridge address": any(
            text and ipaddress.ip_interface(text) != ipaddress.ip_interface(subnets.get(version, "0.0.0.0/0"))
            for version, text in asked.items()
        ),
        "icc": default.icc != settings.icc,
        "masquerade": default.masquerade != settings.masquerade,
        "mtu": default.mtu != settings.mtu,
    }
    return [what for what, differs in different.items() if differs]


def _check_usable(network: IPNetwork) -> None:
    """Refuse ranges that cannot hold hosts (RFC 6890): loopback, multicast, unspecified, link-local."""
    if network.is_loopback or network.is_multicast or network.is_unspecified or network.is_link_local:
        raise InvalidAddress(f"subnet {network} is reserved for another purpose", "Take one of RFC 1918 or RFC 4193.")
    if network.version == 4 and (int(network.network_address) >> 24 == 0 or network.is_reserved):
        raise InvalidAddress(f"subnet {network} is reserved for another purpose", "Take one of RFC 1918.")


def _checked_gateway(network: IPNetwork, gateway: str | None) -> str:
    """Return the gateway, by default the first address; raise InvalidAddress where it cannot be a host's."""
    if gateway is None:
        return str(network.network_address + 1)
    address = parse_address(gateway)
    if address in network and (
        address == network.network_address or (network.version == 4 and address == network.broadcast_address)
    ):
        raise InvalidAddress(f"gateway {gateway} is the network or broadcast address of {network}")
    return str(address)


def _one_each(
    networks: list[IPNetwork], given: dict[str, ipaddress.IPv4Address | ipaddress.IPv6Address], what: str
) -> dict[int, str]:
    """Return what was given, by IP version; each must belong to one of ``networks`` and be the only one for it."""
    found: dict[int, str] = {}
    for text, address in given.items():
        if not any(address in network for network in networks):
            raise InvalidAddress(f"{what} {text} is in none of the network's subnets")
        if address.version in found:
            raise InvalidAddress(f"{what} {text} is a second one for IPv{address.version}")
        found[address.version] = text
    return found


def _checked_texts(texts: dict[str, str], what: str) -> dict[str, str]:
    for key, value in texts.items():
        if not key or len(key) > 128 or len(value) > 4096 or not (key + value).isprintable():
            raise InvalidInput(f"{what} {key!r} is empty, too long or holds characters that cannot be printed")
    return texts
