"""What one route of the API is made of.

A route is data: the server turns it into a handler, ``openapi.py`` into its description, ``pages.py`` into the
page that people read.  Whatever is said of a route is said once, in ``routes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.agent.facade import AgentFacade
from weft.model.base import Record
from weft.model.errors import WeftError

#: Seconds that a handler has, unless its route says otherwise.
TIMEOUT = 30.0


@dataclass(frozen=True)
class Query:
    """A query parameter; ``default`` holds when it is absent, and None means that absence means something."""

    name: str
    kind: type[bool | float | str]
    default: bool | float | str | None
    summary: str
    #: Largest value of a number.
    maximum: float | None = None


@dataclass(frozen=True)
class Call:
    """A request after it was checked: what a route's ``call`` is given beside the agent."""

    name: str = ""
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    #: Becomes true when nobody waits for the answer any more, because the server is stopping.
    stopping: Callable[[], bool] = lambda: False

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dry_run"))


@dataclass(frozen=True)
class Route:
    """One method on one path.

    ``call`` returns the answer, of type ``answer``; for a route that streams (``stream`` is then the media type) it
    returns a generator of bytes.  A ``patient`` route may wait for something to happen: it gets a thread from
    another pool, so that those who wait never keep others from being served.
    """

    method: str
    path: str
    operation: str
    summary: str
    call: Callable[[AgentFacade, Call], Any]
    answer: Any
    body: type[Record] | None = None
    query: tuple[Query, ...] = ()
    errors: tuple[type[WeftError], ...] = ()
    stream: str | None = None
    patient: bool = False
    #: Seconds after which the caller is told that the answer is late.
    timeout: float = TIMEOUT
