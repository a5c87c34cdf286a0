"""Records as people want to see them: rows for tables, and the objects that scripts know from the engines."""

from __future__ import annotations

from typing import Any

from weft.agent import links, wiring
from weft.agent.state import State
from weft.model.base import to_builtins
from weft.model.container import Container, Endpoint
from weft.model.network import Network

#: The modes that are no networks of their own, as rows beside the networks.
_MODES = (
    ("host", "the host's own namespace: its interfaces, its ports, no isolation"),
    ("none", "a namespace with nothing but lo"),
    ("container", "the namespace of another container: --net container:NAME"),
)


def network_row(state: State, network: Network) -> dict[str, Any]:
    """Return a network as ``network ls`` lists it."""
    return {
        "id": network.id,
        "name": network.name,
        "driver": network.driver,
        "subnets": [to_builtins(subnet) for subnet in network.subnets],
        "bridge": network.bridge,
        "internal": network.internal,
        "icc": network.icc,
        "masquerade": network.masquerade,
        "mtu": network.mtu,
        "containers": len(state.endpoints_on(network)),
        "labels": network.labels,
        "created": network.created,
        "mode": "private",
        "reach": _reach(network),
    }


def mode_rows(state: State) -> list[dict[str, Any]]:
    """Return the modes host, none and container as rows beside the networks."""
    return [
        {
            "id": "",
            "name": mode,
            "driver": mode,
            "subnets": [],
            "bridge": "",
            "internal": mode == "none",
            "icc": mode != "none",
            "masquerade": False,
            "mtu": None,
            "containers": sum(container.mode == mode for container in state.containers.values()),
            "labels": {},
            "created": "",
            "mode": mode,
            "reach": reach,
        }
        for mode, reach in _MODES
    ]


def _reach(network: Network) -> str:
    if network.driver == "ptp":
        return "the other end of the cable"
    among = "each other" if network.icc else "only what they are linked to"
    if network.internal:
        return f"{among} and the host"
    return f"{among}, the host and outside" + ("" if network.masquerade else " (untranslated)")


def network_object(state: State, network: Network) -> dict[str, Any]:
    """Return a network in the form of ``docker network inspect``."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": network.subnet(6) is not None,
        "IPAM": {
            "Driver": "weft",
            "Config": [
                {"Subnet": subnet.cidr, "Gateway": subnet.gateway}
                | ({"IPRange": subnet.ip_range} if subnet.ip_range else {})
                for subnet in network.subnets
            ],
        },
        "Internal": network.internal,
        "Containers": {
            endpoint.container_id: _network_member(state, endpoint) for endpoint in state.endpoints_on(network)
        },
        "Options": network.options,
        "Labels": network.labels,
        "Bridge": network.bridge,
        "ICC": network.icc,
        "Masquerade": network.masquerade,
        "MTU": network.mtu,
        "IPForward": network.ip_forward,
        "Filter": network.filter,
        "DNS": list(network.dns),
        "DNSSearch": list(network.dns_search),
    }


def _network_member(state: State, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "Name": state.containers[endpoint.container_id].name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": _cidr(endpoint, 4),
        "IPv6Address": _cidr(endpoint, 6),
        "Interface": endpoint.interface,
        "Port": endpoint.port,
    }


def container_row(state: State, container: Container) -> dict[str, Any]:
    """Return a container as ``ps`` lists it."""
    return {
        "id": container.id,
        "name": container.name,
        "command": list(container.command),
        "state": container.state,
        "mode": _mode_text(state, container),
        "networks": _network_cells(state, container),
        "ports": [str(port) for endpoint in state.endpoints_of(container) for port in endpoint.ports],
        "created": container.created,
        "started": container.started,
        "exit_code": container.exit_code,
        "pid": container.pid,
    }


def _network_cells(state: State, container: Container) -> dict[str, Any]:
    """Return the networks that a container is on or, while it does not run, will be on, with what it has there."""
    wished = (state.networks[wish.network_id] for wish in container.wishes if wish.network_id in state.networks)
    cells: dict[str, Any] = {network.name: {"ip": "", "ip6": "", "mac": "", "interface": ""} for network in wished}
    for endpoint in state.endpoints_of(container):
        cells[state.networks[endpoint.network_id].name] = {
            "ip": _plain(endpoint, 4),
            "ip6": _plain(endpoint, 6),
            "mac": endpoint.mac,
            "interface": endpoint.interface,
        }
    return cells


def _mode_text(state: State, container: Container) -> str:
    peer = state.containers.get(container.peer_id or "")
    return f"container:{peer.name}" if peer else container.mode


def port_rows(state: State, container: Container) -> list[dict[str, Any]]:
    """Return the published ports of a container."""
    return [
        {
            "container_port": port.container_port,
            "protocol": port.protocol,
            "host_ip": port.host_ip,
            "host_port": port.host_port,
        }
        for endpoint in state.endpoints_of(container)
        for port in endpoint.ports
    ]


def container_object(state: State, container: Container) -> dict[str, Any]:
    """Return a container with the fields that scripts read from ``docker inspect``."""
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Created": container.created,
        "Path": container.command[0] if container.command else "",
        "Args": list(container.command[1:]),
        "State": {
            "Status": container.state,
            "Running": container.state == "running",
            "Pid": container.pid,
            "ExitCode": container.exit_code or 0,
            "StartedAt": container.started,
            "FinishedAt": container.finished,
        },
        "Managed": container.managed,
        "Config": {
            "Hostname": container.hostname or container.id[:12],
            "Env": [f"{name}={value}" for name, value in _environment(state, container).items()],
            "Cmd": list(container.command),
            "ExposedPorts": {str(port): {} for port in wiring.exposed_ports(container)},
            "Tty": container.tty,
            "OpenStdin": container.stdin,
        },
        "HostConfig": {
            "NetworkMode": _mode_text(state, container),
            "Dns": list(container.dns),
            "DnsSearch": list(container.dns_search),
            "Links": _link_texts(state, container),
            "PublishAllPorts": container.publish_all,
            "AutoRemove": container.auto_remove,
        },
        "NetworkSettings": _network_settings(state, container),
    }


def _environment(state: State, container: Container) -> dict[str, str]:
    """Return the variables that a command in the container is given; what it was given by name goes first."""
    return links.environment(state, container) | container.env


def _link_texts(state: State, container: Container) -> list[str]:
    return [
        f"/{state.containers[link.target_id].name}:/{container.name}/{link.alias}"
        for link in container.links
        if link.target_id in state.containers
    ]


def _network_settings(state: State, container: Container) -> dict[str, Any]:
    owner = state.containers.get(container.peer_id or container.id, container)
    endpoints = state.endpoints_of(owner)
    first = next((endpoint for endpoint in endpoints if endpoint.gateway), endpoints[0] if endpoints else None)
    namespace = wiring.namespace_of(state, container)
    networks = {
        state.networks[endpoint.network_id].name: _endpoint_settings(state, endpoint) for endpoint in endpoints
    }
    return {
        "SandboxID": container.id if namespace else "",
        "SandboxKey": namespace.path if namespace else "",
        "Ports": _ports_object(state, container),
        **(_addresses(first) if first else _addresses(None)),
        "Networks": networks,
    }


def _endpoint_settings(state: State, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.id,
        "Aliases": [state.containers[endpoint.container_id].name, *endpoint.aliases],
        "Interface": endpoint.interface,
        **_addresses(endpoint),
    }


def _addresses(endpoint: Endpoint | None) -> dict[str, Any]:
    four = endpoint.address(4) if endpoint else None
    six = endpoint.address(6) if endpoint else None
    return {
        "Gateway": (four.gateway or "") if four else "",
        "IPAddress": four.address if four else "",
        "IPPrefixLen": four.prefixlen if four else 0,
        "IPv6Gateway": (six.gateway or "") if six else "",
        "GlobalIPv6Address": six.address if six else "",
        "GlobalIPv6PrefixLen": six.prefixlen if six else 0,
        "MacAddress": endpoint.mac if endpoint else "",
    }


def _ports_object(state: State, container: Container) -> dict[str, Any]:
    """Return exposed and published ports as Docker maps them: null for a port that is only exposed."""
    ports: dict[str, Any] = {str(port): None for port in wiring.exposed_ports(container)}
    for row in port_rows(state, container):
        key = f"{row['container_port']}/{row['protocol']}"
        ports[key] = [*(ports.get(key) or []), {"HostIp": row["host_ip"], "HostPort": str(row["host_port"])}]
    return ports


def _plain(endpoint: Endpoint, version: int) -> str:
    address = endpoint.address(version)
    return address.address if address else ""


def _cidr(endpoint: Endpoint, version: int) -> str:
    address = endpoint.address(version)
    return address.cidr if address else ""
