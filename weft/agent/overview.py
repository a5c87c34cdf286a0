"""What is plugged in where, what the kernel should hold, and how the agent is: show, plan, status."""

from __future__ import annotations

import os
import time
from typing import Any

import weft
from weft.agent import wiring
from weft.agent.core import Core
from weft.agent.networks import DEFAULT, differences
from weft.agent.reconcile import Reconciler
from weft.model.base import to_builtins
from weft.model.container import Container, Endpoint
from weft.model.errors import NotFound
from weft.model.network import Network
from weft.plan.objects import Objects
from weft.plan.operations import additions, describe


class Overview:
    """Answers questions about the whole; callers need not hold the lock."""

    def __init__(self, core: Core, reconciler: Reconciler, problems: list[tuple[str, str]]) -> None:
        self._core = core
        self._reconciler = reconciler
        self._problems = problems
        self._started = time.monotonic()

    def show(self) -> dict[str, Any]:
        """Return every bridge of weft's with its addresses and ports, and whose each port is."""
        with self._core.lock:
            networks = list(self._core.state.networks.values())
            return {
                "bridges": [self._bridge(network) for network in networks if network.bridge],
                "cables": [self._cable(network) for network in networks if network.driver == "ptp"],
            }

    def plan(self, name: str | None) -> dict[str, Any]:
        """Return what the kernel should hold for a network, a container or (None) the whole host, with its commands."""
        with self._core.lock:
            objects = self._planned(name)
        return {"objects": to_builtins(objects), "commands": describe(additions(objects))}

    def status(self) -> dict[str, Any]:
        """Return the agent's own state, the number of things it keeps, and what is wrong."""
        core = self._core
        with core.lock:
            containers = list(core.state.containers.values())
            problems = [*self._problems, *self._reconciler.problems]
            problems += [*_forwarding_problems(core), *_default_problems(core)]
            return {
                "agent": {
                    "version": weft.__version__,
                    "pid": os.getpid(),
                    "uptime": round(time.monotonic() - self._started, 1),
                    "state_dir": str(core.state_dir),
                    "run_dir": str(core.run_dir),
                },
                "networks": len(core.state.networks),
                "containers": len(containers),
                "running": sum(container.state == "running" for container in containers),
                "endpoints": len(core.state.endpoints),
                "problems": [{"what": what, "hint": hint} for what, hint in problems],
                "last_repair": self._reconciler.last_repair,
            }

    def _bridge(self, network: Network) -> dict[str, Any]:
        state = self._core.state
        return {
            "name": network.bridge,
            "network": network.name,
            "address": [subnet.gateway_cidr for subnet in network.subnets],
            "mtu": network.mtu or self._core.host.facts.mtu,
            "ports": [self._port(endpoint, state.containers) for endpoint in state.endpoints_on(network)],
        }

    def _cable(self, network: Network) -> dict[str, Any]:
        state = self._core.state
        return {
            "network": network.name,
            "ends": [self._port(endpoint, state.containers) for endpoint in state.endpoints_on(network)],
        }

    def _port(self, endpoint: Endpoint, containers: dict[str, Container]) -> dict[str, Any]:
        return {
            "port": endpoint.port,
            "container": containers[endpoint.container_id].name,
            "interface": endpoint.interface,
            "ip": [address.cidr for address in endpoint.addresses],
            "mac": endpoint.mac,
        }

    def _planned(self, name: str | None) -> Objects:
        state, host = self._core.state, self._core.host
        if name is None:
            return self._core.desired()
        try:
            return wiring.network_objects(state, host, state.find_network(name))
        except NotFound:
            return wiring.container_objects(state, host, (state.find_container(name),), self._core.port_of_view)


def _forwarding_problems(core: Core) -> list[tuple[str, str]]:
    """Say so where the host does not forward and weft was told not to change that."""
    stuck = [n for n in core.state.networks.values() if n.bridge and not n.internal and n.ip_forward is None]
    if core.settings.ip_forward or not stuck:
        return []
    closed = sorted(core.host.facts.uplinks - core.host.facts.forwarding4)
    if not closed:
        return []
    return [
        (
            f"forwarding is off on {', '.join(closed)}: containers cannot reach outside, nor be reached",
            "Set ip_forward = true in weft.toml, or turn it on: sysctl -w net.ipv4.ip_forward=1",
        )
    ]


def _default_problems(core: Core) -> list[tuple[str, str]]:
    """Say so where the default network, in use when weft.toml was changed, is still as it was."""
    default = core.state.network_named(DEFAULT)
    changed = differences(default, core.settings) if default else []
    if not changed:
        return []
    hint = "Disconnect or remove the containers that are on it, and restart the agent."
    return [(f"the default network is in use and keeps another {', '.join(changed)} than weft.toml says", hint)]
