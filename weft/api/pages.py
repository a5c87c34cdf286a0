"""The pages of the documentation that follow from code: the routes and the errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from weft.api.problem import by_code, title
from weft.api.route import Query, Route
from weft.model import errors

_API = """\
# The API

The agent answers HTTP/1.1 on the unix socket `weft.sock` in its run directory (`/run/weft`), and nowhere else.  Who may
open the socket may use the API: root, and members of the group `weft` if there is one.  Requests and answers are JSON;
`GET /v1/openapi.json` is this page for programs (OpenAPI 3.1).

    curl --unix-socket /run/weft/weft.sock http://localhost/v1/networks

- A change takes `?dry_run=true`: nothing is changed and the answer holds the commands that stand for what would be.
- A container or network is named by name, by id, or by the beginning of its id (3 characters at least).
- An unknown field or parameter is an error, so that a misspelt one is never overlooked.
- An error is a problem document (RFC 9457, `application/problem+json`) with one of the codes in [errors.md](errors.md).
- A request may have 1 MiB and 10 s to arrive; every answer comes, or is declared late, within the time of its route.

| route | | takes | answers |
|---|---|---|---|
"""

_ERRORS = """\
# Errors

Every error of weft has a *code* that never changes, a *cause* (one sentence about this very case) and mostly a *hint*
(what to do next).  They are the same everywhere:

- On the command line: `weft: cause` and `  hint: …` on standard error, exit code 1.  (2 is a command line that makes no
  sense, 130 is Ctrl-C, 141 a reader that has gone.)
- In the API: a problem document (RFC 9457) whose `code`, `detail` and `hint` are these, with the HTTP status below.
  `evidence` holds what the error was concluded from.
- In Python: the class, from `weft.model.errors`.

A class that others are indented under stands for all of them, so catching `not-found` catches `network-not-found`.

| code | status | when | hint |
|---|---|---|---|
"""


def api_page(routes: Sequence[Route]) -> str:
    """Return docs/api.md."""
    return _API + "".join(f"{line}\n" for line in map(_route_row, routes))


def errors_page() -> str:
    """Return docs/errors.md."""
    return _ERRORS + "".join(_error_rows())


def _route_row(route: Route) -> str:
    takes = ", ".join([*([f"`{route.body.__name__}`"] if route.body else []), *map(_query_text, route.query)])
    answers = f"`{_type_text(route.answer)}`" + (f" as `{route.stream}`" if route.stream else "")
    return f"| `{route.method} {route.path}` | {route.summary} | {takes} | {answers} |"


def _query_text(query: Query) -> str:
    default = "" if query.default is None else f"={str(query.default).lower()}"
    return f"`?{query.name}{default}`"


def _type_text(kind: Any) -> str:
    if get_origin(kind) is None:
        return "null" if kind in (None, type(None)) else str(kind.__name__)
    return f"{get_origin(kind).__name__}[{', '.join(map(_type_text, get_args(kind)))}]"


def _error_rows() -> Iterator[str]:
    for kind in by_code().values():
        if kind is errors.WeftError:
            continue
        indent = "&emsp;" * (len(kind.__mro__) - len(errors.WeftError.__mro__) - 1)
        hint = kind.default_hint or "depends on the case"
        yield f"| {indent}`{kind.code}` | {kind.status} | {title(kind)} | {hint} |\n"
