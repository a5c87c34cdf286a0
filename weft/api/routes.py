"""The API, route by route: the one table from which the handlers and all descriptions are made."""

from __future__ import annotations

import os
from typing import Any

import weft
from weft.agent.facade import AgentFacade
from weft.api import answers, openapi, streams
from weft.api.answers import Changed
from weft.api.route import Call, Query, Route
from weft.model import errors as e
from weft.model import requests

#: Every path begins with it; a change that would break a client gets another.
VERSION = "v1"

_DRY_RUN = Query("dry_run", bool, False, "Change nothing; answer with the operations.")
_CHANGE = (_DRY_RUN,)
_CONNECTING = (
    e.InvalidName,
    e.InvalidAddress,
    e.InvalidOption,
    e.NetworkNotFound,
    e.AddressTaken,
    e.AddressesExhausted,
    e.InterfaceTaken,
    e.RouteTaken,
    e.KernelRefused,
)
_PUBLISHING = (e.InvalidPort, e.PortInUse, e.PortsExhausted)


def version(agent: AgentFacade, call: Call) -> dict[str, Any]:
    """Return which agent this is; it runs in this very process."""
    return {"version": weft.__version__, "api": VERSION, "pid": os.getpid()}


ROUTES: tuple[Route, ...] = (
    # --- networks
    Route(
        "GET", "/v1/networks", "list_networks", "List the networks and the modes",
        lambda agent, call: agent.list_networks(), list[answers.NetworkRow],
    ),
    Route(
        "POST", "/v1/networks", "create_network", "Create a network",
        lambda agent, call: agent.create_network(call.body, call.dry_run), Changed[answers.NetworkRow],
        body=requests.CreateNetwork, query=_CHANGE,
        errors=(
            e.InvalidName, e.InvalidAddress, e.InvalidOption, e.NameTaken, e.SubnetTaken, e.InterfaceTaken,
            e.PoolsExhausted, e.KernelRefused,
        ),
    ),
    Route(
        "POST", "/v1/networks/prune", "prune_networks", "Remove the networks that no container is on",
        lambda agent, call: agent.prune_networks(call.dry_run), Changed[list[str]],
        query=_CHANGE,
    ),
    Route(
        "GET", "/v1/networks/{name}", "inspect_network", "Show a network as 'docker network inspect' does",
        lambda agent, call: agent.inspect_network(call.name), dict[str, Any],
        errors=(e.NetworkNotFound,),
    ),
    Route(
        "DELETE", "/v1/networks/{name}", "remove_network", "Remove a network",
        lambda agent, call: agent.remove_network(call.name, call.dry_run), Changed[answers.Named],
        query=_CHANGE, errors=(e.NetworkNotFound, e.NetworkInUse),
    ),
    Route(
        "POST", "/v1/networks/{name}/connect", "connect", "Bring a container onto a network",
        lambda agent, call: agent.connect(call.name, call.body, call.dry_run), Changed[answers.ContainerRow],
        body=requests.Connect, query=_CHANGE,
        errors=(*_CONNECTING, e.ContainerNotFound, e.AlreadyConnected, e.NamespaceNotFound, e.Unsupported),
    ),
    Route(
        "POST", "/v1/networks/{name}/disconnect", "disconnect", "Take a container off a network",
        lambda agent, call: agent.disconnect(call.name, call.body, call.dry_run), Changed[answers.Named],
        body=requests.Disconnect, query=_CHANGE,
        errors=(e.NetworkNotFound, e.ContainerNotFound, e.EndpointNotFound),
    ),
    # --- containers
    Route(
        "GET", "/v1/containers", "list_containers", "List the containers",
        lambda agent, call: agent.list_containers(call.query["all"]), list[answers.ContainerRow],
        query=(Query("all", bool, False, "Also those that do not run."),),
    ),
    Route(
        "POST", "/v1/containers", "run", "Start a process in a container of its own",
        lambda agent, call: agent.run(call.body, call.dry_run), Changed[answers.ContainerRow],
        body=requests.Run, query=_CHANGE, timeout=60.0,
        errors=(*_CONNECTING, *_PUBLISHING, e.ContainerNotFound, e.ContainerNotRunning, e.NameTaken, e.Unsupported),
    ),
    Route(
        "GET", "/v1/containers/{name}", "inspect", "Show a container as 'docker inspect' does",
        lambda agent, call: agent.inspect(call.name), dict[str, Any],
        errors=(e.ContainerNotFound,),
    ),
    Route(
        "DELETE", "/v1/containers/{name}", "remove", "Remove a container",
        lambda agent, call: agent.remove(call.name, call.query["force"], call.dry_run), Changed[answers.Named],
        query=(Query("force", bool, False, "Kill it first if it runs."), _DRY_RUN),
        errors=(e.ContainerNotFound, e.ContainerRunning),
    ),
    Route(
        "POST", "/v1/containers/{name}/start", "start", "Start a container that has ended",
        lambda agent, call: agent.start(call.name, call.dry_run), Changed[answers.ContainerRow],
        query=_CHANGE, timeout=60.0,
        errors=(e.ContainerNotFound, e.ContainerRunning, e.AddressTaken, e.PortInUse, e.KernelRefused),
    ),
    Route(
        "POST", "/v1/containers/{name}/stop", "stop", "End a container's process: SIGTERM, then SIGKILL",
        lambda agent, call: agent.stop(call.name, call.query["timeout"], call.dry_run), Changed[answers.Named],
        query=(Query("timeout", float, 10.0, "Seconds from SIGTERM to SIGKILL.", maximum=600.0), _DRY_RUN),
        errors=(e.ContainerNotFound, e.ContainerNotRunning), patient=True, timeout=640.0,
    ),
    Route(
        "POST", "/v1/containers/{name}/wait", "wait", "Wait for the end of a container",
        streams.wait, answers.Exit,
        query=(Query("timeout", float, 30.0, "Seconds after which the answer is null.", maximum=60.0),),
        errors=(e.ContainerNotFound,), patient=True, timeout=90.0,
    ),
    Route(
        "GET", "/v1/containers/{name}/ports", "ports", "List the published ports of a container",
        lambda agent, call: agent.ports(call.name), list[answers.PortRow],
        errors=(e.ContainerNotFound,),
    ),
    Route(
        "GET", "/v1/containers/{name}/logs", "logs", "Read what a container has written",
        streams.log, str,
        query=(Query("follow", bool, False, "Go on until the container has ended."),),
        errors=(e.ContainerNotFound, e.NotFound), stream="text/plain",
    ),
    # --- namespaces that others made, cables
    Route(
        "POST", "/v1/attachments", "attach", "Put a namespace that somebody else made on a network",
        lambda agent, call: agent.attach(call.body, call.dry_run), Changed[answers.ContainerRow],
        body=requests.Attach, query=_CHANGE,
        errors=(*_CONNECTING, *_PUBLISHING, e.NamespaceNotFound, e.NameTaken, e.AlreadyConnected, e.Unsupported),
    ),
    Route(
        "DELETE", "/v1/attachments/{name}", "detach", "Take it off its networks again",
        lambda agent, call: agent.detach(call.name, call.query["network"], call.dry_run), Changed[answers.Named],
        query=(Query("network", str, None, "The network to leave; without it, all of them."), _DRY_RUN),
        errors=(e.ContainerNotFound, e.NetworkNotFound, e.EndpointNotFound),
    ),
    Route(
        "POST", "/v1/cables", "cable", "Join two containers by a cable of their own",
        lambda agent, call: agent.cable(call.body, call.dry_run), Changed[answers.Cable],
        body=requests.Cable, query=_CHANGE,
        errors=(e.InvalidAddress, e.ContainerNotFound, e.ContainerNotRunning, e.AddressTaken, e.PoolsExhausted),
    ),
    # --- all of it
    Route(
        "POST", "/v1/reset", "reset", "Remove every container, every network and all of weft's from the kernel",
        lambda agent, call: agent.reset(call.dry_run), Changed[None],
        query=_CHANGE, patient=True, timeout=300.0,
    ),
    # --- seeing
    Route(
        "GET", "/v1/show", "show", "Show what is plugged in where",
        lambda agent, call: agent.show(), answers.Show,
    ),
    Route(
        "GET", "/v1/plan", "plan", "Show what the kernel should hold, as objects and as commands",
        lambda agent, call: agent.plan(call.query["name"]), answers.Plan,
        query=(Query("name", str, None, "A network or a container; without it, the whole host."),),
        errors=(e.NetworkNotFound, e.ContainerNotFound),
    ),
    Route(
        "GET", "/v1/status", "status", "Show how the agent is",
        lambda agent, call: agent.status(), answers.Status,
    ),
    Route(
        "GET", "/v1/doctor", "doctor", "Examine the host for what weft needs",
        lambda agent, call: agent.doctor(), answers.Doctor,
    ),
    Route(
        "GET", "/v1/events", "events", "Listen to what happens, from now on",
        streams.events, answers.Event, stream="application/x-ndjson",
    ),
    Route("GET", "/v1/version", "version", "Tell which agent this is", version, answers.Version),
    Route(
        "GET", "/v1/openapi.json", "openapi", "Describe this API",
        lambda agent, call: openapi.document(ROUTES), dict[str, Any],
    ),
)  # fmt: skip
