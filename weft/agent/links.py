"""``--link``: what the receiver is told about the container that it is linked to.

The variables are those of Docker's legacy links, on which scripts and images rely.
"""

from __future__ import annotations

import re

from weft.agent import wiring
from weft.agent.state import State
from weft.model.container import Container, Endpoint, Link
from weft.model.errors import InvalidInput, InvalidOption
from weft.model.names import check_name


def parse_link(text: str, state: State) -> Link:
    """Parse ``NAME`` or ``NAME:ALIAS``; raise ContainerNotFound or InvalidName."""
    name, separator, alias = text.partition(":")
    if separator and not alias:
        raise InvalidInput(f"link {text!r} has an empty alias", "Write it as NAME or NAME:ALIAS.")
    target = state.find_container(name)
    return Link(target_id=target.id, alias=check_name(alias or name, "link alias"))


def check_links(container: Container, state: State) -> None:
    """Raise InvalidOption where a linked container shares no network with ``container``."""
    mine = {wish.network_id for wish in container.wishes}
    for link in container.links:
        target = state.containers[link.target_id]
        if not mine & {wish.network_id for wish in target.wishes}:
            raise InvalidOption(
                f"{container.name!r} cannot be linked to {target.name!r}: they are on no common network",
                f"Start it with --net and a network that {target.name!r} is on.",
            )


def meeting_point(state: State, receiver: Container, target: Container) -> Endpoint | None:
    """Return the target's endpoint on the first network that both are on; None while there is none."""
    theirs = {endpoint.network_id: endpoint for endpoint in wiring.live_endpoints(state, target)}
    for endpoint in wiring.live_endpoints(state, receiver):
        if endpoint.network_id in theirs:
            return theirs[endpoint.network_id]
    return None


def environment(state: State, receiver: Container) -> dict[str, str]:
    """Return the variables that ``receiver`` gets for all its links."""
    variables: dict[str, str] = {}
    for link in receiver.links:
        target = state.containers.get(link.target_id)
        endpoint = meeting_point(state, receiver, target) if target else None
        if target is not None and endpoint is not None and endpoint.addresses:
            variables |= _variables(receiver, link, target, endpoint.addresses[0].address)
    return variables


def _variables(receiver: Container, link: Link, target: Container, address: str) -> dict[str, str]:
    prefix = re.sub(r"[^A-Z0-9_]", "_", link.alias.upper())
    host = f"[{address}]" if ":" in address else address
    variables = {f"{prefix}_NAME": f"/{receiver.name}/{link.alias}"}
    ports = sorted(wiring.exposed_ports(target), key=lambda port: (port.port, port.protocol))
    for port in ports:
        stem = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
        url = f"{port.protocol}://{host}:{port.port}"
        variables.setdefault(f"{prefix}_PORT", url)
        variables[stem] = url
        variables[f"{stem}_ADDR"] = address
        variables[f"{stem}_PORT"] = str(port.port)
        variables[f"{stem}_PROTO"] = port.protocol
    for name, value in target.env.items():
        variables[f"{prefix}_ENV_{name}"] = value
    return variables
