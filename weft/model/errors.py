"""The one error tree of weft.

Every error has a stable ``code`` (what a script matches on), a ``cause`` (one sentence about this case)
and a ``hint`` (what to do next).  The API sends them as RFC 9457 ``application/problem+json``, the command
line prints ``weft: cause`` and the hint.  ``docs/errors.md`` lists every class below.

    WeftError
    ├── InvalidInput            what was typed or sent cannot be meant
    │   ├── InvalidName
    │   ├── InvalidAddress
    │   ├── InvalidPort
    │   ├── InvalidOption
    │   ├── RequestTooLarge
    │   └── RequestTooSlow
    ├── NotFound
    │   ├── NetworkNotFound
    │   ├── ContainerNotFound
    │   ├── EndpointNotFound
    │   └── NamespaceNotFound
    ├── Conflict                it is fine in itself, but not beside what exists
    │   ├── NameTaken
    │   ├── AddressTaken
    │   ├── SubnetTaken
    │   ├── PortInUse
    │   ├── InterfaceTaken
    │   ├── RouteTaken
    │   ├── AlreadyConnected
    │   ├── NetworkInUse
    │   ├── ContainerRunning
    │   ├── ContainerNotRunning
    │   ├── AgentRunning
    │   └── RevisionConflict
    ├── Exhausted
    │   ├── AddressesExhausted
    │   ├── PoolsExhausted
    │   └── PortsExhausted
    ├── Unsupported             this kernel, host or mode cannot do it
    ├── KernelRefused           the kernel (or nftables) answered with an error
    ├── StoreFailed
    │   ├── StoreCorrupt
    │   ├── StoreFull
    │   ├── StoreInUse
    │   └── Compacted
    ├── ResolverFailed          the name server could not be started
    ├── AgentUnreachable
    ├── TimedOut
    ├── NeedsRoot
    └── Internal                a defect in weft
"""

from __future__ import annotations

from typing import ClassVar


class WeftError(Exception):
    """Base of all errors that weft raises on purpose.

    ``cause`` says what is wrong with this very request; ``hint`` says what would help and may be empty.
    ``status`` is the HTTP status that the API answers with.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    default_hint: ClassVar[str] = ""

    def __init__(self, cause: str, hint: str | None = None, **evidence: object) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = self.default_hint if hint is None else hint
        #: What the error was concluded from: names, addresses, errno values.  Must be JSON-encodable.
        self.evidence = evidence


# --- what was typed or sent cannot be meant -----------------------------------------------------------------


class InvalidInput(WeftError):
    """A value has the wrong form, or options contradict each other."""

    code = "invalid-input"
    status = 400


class InvalidName(InvalidInput):
    """A name of a network, container, alias, host or interface has characters or a length it may not have."""

    code = "invalid-name"
    default_hint = "Names start with a letter or digit and hold letters, digits, '_', '.' and '-', 63 at most."


class InvalidAddress(InvalidInput):
    """An address, prefix, gateway or MAC is malformed or lies where it may not."""

    code = "invalid-address"


class InvalidPort(InvalidInput):
    """A port specification is malformed."""

    code = "invalid-port"
    default_hint = (
        "Forms: 80, 8080:80, 127.0.0.1:8080:80, 127.0.0.1::80, [::1]:80:80, 7000-7010:7000-7010, "
        "each with /udp or /sctp."
    )


class InvalidOption(InvalidInput):
    """An option is unknown, or cannot be combined with the others."""

    code = "invalid-option"


class RequestTooLarge(InvalidInput):
    """The request has more bytes than the agent reads."""

    code = "request-too-large"
    status = 413


class RequestTooSlow(InvalidInput):
    """The request did not arrive whole in time."""

    code = "request-too-slow"
    status = 408


# --- not found ------------------------------------------------------------------------------------------------


class NotFound(WeftError):
    """Something named in the request does not exist."""

    code = "not-found"
    status = 404


class NetworkNotFound(NotFound):
    """No network has this name or id."""

    code = "network-not-found"
    default_hint = "'weft network ls' lists the networks."


class ContainerNotFound(NotFound):
    """No container has this name or id."""

    code = "container-not-found"
    default_hint = "'weft ps -a' lists the containers."


class EndpointNotFound(NotFound):
    """The container is not connected to the network."""

    code = "endpoint-not-found"


class NamespaceNotFound(NotFound):
    """The process or path that was to be attached has no network namespace (any more)."""

    code = "namespace-not-found"


# --- conflicts ------------------------------------------------------------------------------------------------


class Conflict(WeftError):
    """The request is sound in itself but collides with something that exists."""

    code = "conflict"
    status = 409


class NameTaken(Conflict):
    """The name belongs to another object; the cause says to which."""

    code = "name-taken"


class AddressTaken(Conflict):
    """The address or MAC belongs to a live endpoint of the network."""

    code = "address-taken"


class SubnetTaken(Conflict):
    """The subnet overlaps a network, an interface or a route of the host."""

    code = "subnet-taken"


class PortInUse(Conflict):
    """The host port is published already or a process is bound to it."""

    code = "port-in-use"


class InterfaceTaken(Conflict):
    """An interface of that name exists there already."""

    code = "interface-taken"


class RouteTaken(Conflict):
    """A route to the same destination exists there already, and weft did not add it."""

    code = "route-taken"


class AlreadyConnected(Conflict):
    """The container is on that network already."""

    code = "already-connected"


class NetworkInUse(Conflict):
    """The network still has endpoints, or is the default network."""

    code = "network-in-use"


class ContainerRunning(Conflict):
    """The operation needs the container to be stopped."""

    code = "container-running"


class ContainerNotRunning(Conflict):
    """The operation needs the container to run."""

    code = "container-not-running"


class AgentRunning(Conflict):
    """Another agent serves this run directory."""

    code = "agent-running"
    default_hint = "Stop it with 'weft down', or give this one a --run-dir of its own."


class RevisionConflict(Conflict):
    """Somebody else changed the stored record in between."""

    code = "revision-conflict"


# --- exhausted ------------------------------------------------------------------------------------------------


class Exhausted(WeftError):
    """A bounded resource has nothing left to give."""

    code = "exhausted"
    status = 507


class AddressesExhausted(Exhausted):
    """The subnet or its range has no free address."""

    code = "addresses-exhausted"
    default_hint = "Remove containers that are no longer used, or create the network with a larger --subnet."


class PoolsExhausted(Exhausted):
    """No pool has a subnet that is free on this host; the cause names the pools."""

    code = "pools-exhausted"
    default_hint = "Give --subnet, or add pools to weft.toml."


class PortsExhausted(Exhausted):
    """The range for dynamic host ports has no free port."""

    code = "ports-exhausted"
    default_hint = "Widen ports.range in weft.toml."


# --- the machine ----------------------------------------------------------------------------------------------


class Unsupported(WeftError):
    """The mode, the kernel or the host cannot do what was asked."""

    code = "unsupported"
    status = 422


class KernelRefused(WeftError):
    """The kernel or nftables refused an operation; evidence has ``errno`` and the command it stands for."""

    code = "kernel-refused"
    status = 500


class StoreFailed(WeftError):
    """The state store cannot be read or written; what runs goes on running."""

    code = "store-failed"
    status = 503


class StoreCorrupt(StoreFailed):
    """The state file is damaged."""

    code = "store-corrupt"


class StoreFull(StoreFailed):
    """The state file cannot grow: disk full or read-only."""

    code = "store-full"


class StoreInUse(StoreFailed):
    """Another process has the state file open; the cause says which."""

    code = "store-in-use"
    default_hint = "Stop the other agent, or give this one a --state-dir of its own."


class Compacted(StoreFailed):
    """A watch asks for changes from before the store's history begins: list the entries and watch from there."""

    code = "compacted"
    status = 410


class ResolverFailed(WeftError):
    """The name server of a network cannot be started; what it said is in the cause."""

    code = "resolver-failed"
    status = 503
    default_hint = "'weft doctor' says what is missing."


class AgentUnreachable(WeftError):
    """No agent answers on the socket."""

    code = "agent-unreachable"
    status = 503
    default_hint = "Start it with 'weft up', or name its run directory with --run-dir or WEFT_RUN_DIR."


class TimedOut(WeftError):
    """An answer did not come in time; what was asked for may still happen."""

    code = "timed-out"
    status = 504
    default_hint = "'weft events' and 'weft status' show what the agent is doing."


class NeedsRoot(WeftError):
    """The command changes the machine's network and must run as root."""

    code = "needs-root"
    status = 403
    default_hint = "Run it with sudo."


class Internal(WeftError):
    """A defect in weft; the agent's log has the trace."""

    code = "internal"
    status = 500
