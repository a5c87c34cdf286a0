"""The shapes of what the API answers.

They describe the answers of ``AgentFacade`` for the OpenAPI document and for tests; nothing is converted to them on
the way, the agent's dictionaries are sent as they are.
"""

from __future__ import annotations

from typing import Any, Generic, NotRequired, TypedDict, TypeVar

Result = TypeVar("Result")


class Changed(TypedDict, Generic[Result]):
    """Answer to a change; after a dry run ``result`` is null and ``operations`` is what would be done."""

    result: Result | None
    #: Commands that a person would type to do the same.
    operations: list[str]


class Named(TypedDict):
    """An object that was changed."""

    id: str
    name: str
    exit_code: NotRequired[int | None]


# --- networks


class SubnetRow(TypedDict):
    """One address family of a network."""

    cidr: str
    gateway: str
    ip_range: str | None


class NetworkRow(TypedDict):
    """A network; the modes host, none and container:NAME are rows too, without an id."""

    id: str
    name: str
    driver: str
    subnets: list[SubnetRow]
    bridge: str
    internal: bool
    icc: bool
    masquerade: bool
    mtu: int | None
    containers: int
    labels: dict[str, str]
    created: str
    mode: str
    #: Whom a container reaches there, in words.
    reach: str


class Cable(TypedDict):
    """A cable that was plugged; beside ``network`` there is the address of either end under the container's name."""

    network: str


# --- containers


class Attachment(TypedDict):
    """A container's place on one network."""

    ip: str
    ip6: str
    mac: str
    interface: str


class ContainerRow(TypedDict):
    """A container."""

    id: str
    name: str
    command: list[str]
    state: str
    mode: str
    networks: dict[str, Attachment]
    #: As '0.0.0.0:8080->80/tcp'.
    ports: list[str]
    created: str
    started: str
    exit_code: int | None
    pid: int
    #: Where its log and its console are; in the answer to a change only.
    directory: NotRequired[str]
    console: NotRequired[str]


class PortRow(TypedDict):
    """A published port."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


class Exit(TypedDict):
    """``exit_code`` is 128 + n for signal n, and null if the container still runs."""

    exit_code: int | None


# --- seeing


class Plug(TypedDict):
    """An interface of a container: the host's end of it and the container's."""

    port: str
    container: str
    interface: str
    ip: list[str]
    mac: str


class BridgeRow(TypedDict):
    """A bridge and what is plugged into it."""

    name: str
    network: str
    address: list[str]
    mtu: int
    ports: list[Plug]


class CableRow(TypedDict):
    """A cable and its ends."""

    network: str
    ends: list[Plug]


class Show(TypedDict):
    """What is plugged in where."""

    bridges: list[BridgeRow]
    cables: list[CableRow]


class Plan(TypedDict):
    """What the kernel should hold: ``objects`` each with its ``type``, and the commands that make them."""

    objects: list[dict[str, Any]]
    commands: list[str]


class AgentRow(TypedDict):
    """The agent itself; ``uptime`` in seconds."""

    version: str
    pid: int
    uptime: float
    state_dir: str
    run_dir: str


class Complaint(TypedDict):
    """Something that is wrong."""

    what: str
    hint: str


class Status(TypedDict):
    """How the agent is, and the number of things it keeps."""

    agent: AgentRow
    networks: int
    containers: int
    running: int
    endpoints: int
    problems: list[Complaint]
    last_repair: Any


class Check(TypedDict):
    """One thing that weft needs of the host."""

    name: str
    ok: bool
    detail: str
    hint: str


class Doctor(TypedDict):
    """What the host has of what weft needs."""

    checks: list[Check]


class Event(TypedDict):
    """Something that happened; an empty line in the stream only keeps it alive."""

    time: str
    type: str
    action: str
    id: str
    name: str


class Version(TypedDict):
    """Which agent this is."""

    version: str
    api: str
    pid: int


class Problem(TypedDict):
    """An error (RFC 9457): match on ``code``, show ``detail`` and ``hint``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    evidence: dict[str, Any]
