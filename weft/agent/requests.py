"""From a request to the record of a container: names looked up, options checked against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from weft.agent.events import now
from weft.agent.links import check_links, parse_link
from weft.agent.networks import DEFAULT
from weft.agent.state import State
from weft.model.base import replace
from weft.model.container import Container, Mode, Wish
from weft.model.errors import (
    AlreadyConnected,
    ContainerNotRunning,
    InvalidInput,
    InvalidOption,
    InvalidPort,
    NameTaken,
    NetworkNotFound,
    Unsupported,
)
from weft.model.identity import check_mac, new_id
from weft.model.names import check_hostname, check_interface, check_name
from weft.model.network import Network, parse_address
from weft.model.ports import ExposedPort, PortRequest, parse_exposed, parse_publish
from weft.model.requests import Attach, Common, Connect, Run
from weft.plan.resolvconf import search_domain

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: What one command may hold: the kernel's own limit for one argument is 128 KiB (MAX_ARG_STRLEN).
LONGEST_ARGUMENT = 131072
#: Ports that one container may publish.
MOST_PORTS = 20000


def container_for_run(request: Run, state: State) -> Container:
    """Return the record for ``weft run``; raise what is wrong with the request."""
    if not request.command:
        raise InvalidInput("no command to run", "weft run --net NET -- COMMAND…")
    container = replace(
        _common(request, state),
        hostname=check_hostname(request.hostname) if request.hostname else "",
        command=tuple(_argument(word) for word in request.command),
        env=_environment(request.env),
        publish_all=request.publish_all,
        auto_remove=request.auto_remove,
        tty=request.tty,
        stdin=request.stdin,
    )
    if container.publish_all:
        _check_publishable(container, state)
    return container


def container_for_attach(request: Attach, state: State) -> Container:
    """Return the record for ``weft attach``, still without its namespace."""
    if not request.name:
        raise InvalidInput("the namespace needs a name", "Give --name NAME.")
    return _attached(request, state)


def name_taken(holder: Container) -> NameTaken:
    """Return the error for a name that ``holder`` has."""
    return NameTaken(
        f"the name {holder.name!r} belongs to container {holder.id[:12]}",
        "Remove it, or choose another name.",
        owner=holder.id,
    )


def container_attached_again(known: Container, request: Attach, state: State) -> Container:
    """Return the record of an attached namespace with the further networks of ``request``."""
    fresh = _attached(replace(request, name=None), state)
    for wish in fresh.wishes:
        # Whoever repeats a command is told that it has been done, rather than what is odd about it now.
        check_connectable(known, state.networks[wish.network_id])
    settled = {"-p": request.publish, "--expose": request.expose, "--link": request.links}
    settled |= {"--dns": request.dns, "--dns-search": request.dns_search}
    for option, value in settled.items():
        if value:
            raise InvalidOption(
                f"{known.name!r} is attached already, and {option} can only be given the first time",
                f"'weft detach {known.name}', then attach it with all of its options.",
            )
    return replace(known, wishes=(*known.wishes, *fresh.wishes))


def _attached(request: Attach, state: State) -> Container:
    container = _common(request, state)
    if container.mode != "private":
        raise InvalidOption(f"an attached namespace cannot be in mode {container.mode!r}", "Give --net NETWORK.")
    return replace(container, managed=False)


def wish_for_connect(request: Connect, network: Network) -> Wish:
    """Return what a container wants of ``network``."""
    return _wish(network, request.ip, request.ip6, request.mac, request.aliases, request.interface)


def check_connectable(container: Container, network: Network) -> None:
    """Raise where a container cannot be connected to ``network``."""
    if container.mode == "host":
        raise Unsupported(f"{container.name!r} is on the host's own network and cannot be connected to another")
    if container.mode == "container":
        raise Unsupported(
            f"{container.name!r} shares the namespace of another container", "Connect that container instead."
        )
    if any(wish.network_id == network.id for wish in container.wishes):
        raise AlreadyConnected(f"{container.name!r} is on network {network.name!r} already")


def _common(request: Common, state: State) -> Container:
    identifier = new_id()
    name = identifier[:12] if request.name is None else check_name(request.name, "container name")
    holder = state.container_named(name)
    if holder is not None:
        raise name_taken(holder)
    mode, peer, networks = _networks(request.networks, state)
    container = Container(
        id=identifier,
        name=name,
        mode=mode,
        peer_id=peer.id if peer else None,
        wishes=_wishes(request, networks),
        dns=tuple(str(parse_address(server)) for server in request.dns),
        dns_search=tuple(search_domain(domain) for domain in request.dns_search),
        exposed=_exposed(request.expose),
        publish=_published(request.publish),
        links=tuple(parse_link(text, state) for text in request.links),
        created=now(),
    )
    if container.publish:
        _check_publishable(container, state)
    check_links(container, state)
    return container


def _networks(names: tuple[str, ...], state: State) -> tuple[Mode, Container | None, list[Network]]:
    """Return the mode, whose namespace is shared if any, and the networks."""
    special = [name for name in names if name in ("host", "none") or name.startswith("container:")]
    if special and len(names) > 1:
        raise InvalidOption(f"--net {special[0]} cannot be combined with other networks")
    if names == ("host",):
        return "host", None, []
    if names == ("none",):
        return "none", None, []
    if special:
        return "container", _peer(special[0].removeprefix("container:"), state), []
    networks = [_network(name, state) for name in names or (DEFAULT,)]
    if len({network.id for network in networks}) != len(networks):
        raise InvalidOption("a network is named twice")
    return "private", None, networks


def _network(name: str, state: State) -> Network:
    try:
        return state.find_network(name)
    except NetworkNotFound as error:
        if name == DEFAULT:
            raise NetworkNotFound("the default network is not there", "Restart the agent; it makes it.") from error
        raise


def _peer(name: str, state: State) -> Container:
    peer = state.find_container(name)
    if peer.mode == "container":
        raise InvalidOption(f"{peer.name!r} itself shares the namespace of another container", "Name that one.")
    if peer.mode == "host":
        raise InvalidOption(f"{peer.name!r} is on the host's own network", "Use --net host.")
    if peer.state != "running":
        raise ContainerNotRunning(f"{peer.name!r} does not run, so its namespace cannot be shared")
    return peer


def _wishes(request: Common, networks: list[Network]) -> tuple[Wish, ...]:
    personal = [
        option
        for option, value in (
            ("--ip", request.ip),
            ("--ip6", request.ip6),
            ("--mac-address", request.mac),
            ("--alias", request.aliases),
            ("--interface", request.interface),
        )
        if value
    ]
    if not networks and personal:
        raise InvalidOption(f"{personal[0]} needs a network of its own")
    first = [
        _wish(network, request.ip, request.ip6, request.mac, request.aliases, request.interface)
        for network in networks[:1]
    ]
    return (*first, *(Wish(network_id=network.id, aliases=_aliases(request.aliases)) for network in networks[1:]))


def _wish(
    network: Network,
    ip: str | None,
    ip6: str | None,
    mac: str | None,
    aliases: Iterable[str],
    interface: str | None,
) -> Wish:
    return Wish(
        network_id=network.id,
        ip=_address(ip, 4),
        ip6=_address(ip6, 6),
        mac=None if mac is None else check_mac(mac),
        aliases=_aliases(aliases),
        interface=None if interface is None else check_interface(interface),
    )


def _address(text: str | None, version: int) -> str | None:
    if text is None:
        return None
    address = parse_address(text)
    if address.version != version:
        raise InvalidInput(f"{text} is not an IPv{version} address", "IPv6 addresses go with --ip6.")
    return str(address)


def _aliases(aliases: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check_name(alias, "alias") for alias in aliases))


def _exposed(texts: Iterable[str]) -> tuple[ExposedPort, ...]:
    ports = tuple(dict.fromkeys(port for text in texts for port in parse_exposed(text)))
    if len(ports) > MOST_PORTS:
        raise InvalidPort(f"{len(ports)} exposed ports are more than {MOST_PORTS}")
    return ports


def _published(texts: Iterable[str]) -> tuple[PortRequest, ...]:
    ports = tuple(port for text in texts for port in parse_publish(text))
    if len(ports) > MOST_PORTS:
        raise InvalidPort(f"{len(ports)} published ports are more than {MOST_PORTS}")
    return ports


def _check_publishable(container: Container, state: State) -> None:
    if container.mode == "host":
        raise InvalidOption(
            "ports cannot be published with --net host: the process binds the host's ports itself",
            "Leave out -p and -P.",
        )
    if container.mode == "container":
        raise InvalidOption("ports of a shared namespace are published by the container that owns it")
    networks = [state.networks[wish.network_id] for wish in container.wishes]
    if all(network.internal or network.driver != "bridge" for network in networks):
        raise InvalidOption(
            "ports can only be published on a network that reaches outside",
            "Give --net with a bridge network that is not internal.",
        )


def _argument(word: str) -> str:
    if "\0" in word or len(word) >= LONGEST_ARGUMENT:
        raise InvalidInput("an argument of the command holds a NUL or is too long")
    return word


def _environment(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value or len(name) + len(value) + 1 >= LONGEST_ARGUMENT:
            raise InvalidInput(f"environment variable {name[:100]!r} has a name or value that cannot be set")
    return env
