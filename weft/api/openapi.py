"""The description of the API as an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

import weft
from weft.api.answers import Problem
from weft.api.problem import MEDIA_TYPE, title
from weft.api.route import Query, Route
from weft.model import errors

#: What any route can answer: the request is malformed, the agent has a defect, is short of something, or is late.
COMMON = (errors.InvalidInput, errors.Internal, errors.StoreFailed, errors.StoreFull, errors.TimedOut)

_TYPES = {bool: "boolean", float: "number", str: "string"}

Json = dict[str, Any]


def document(routes: Sequence[Route]) -> Json:
    """Return the OpenAPI document of ``routes``."""
    schemas, components = _schemas(routes)
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    description = {
        "openapi": "3.1.0",
        "info": {
            "title": "weft",
            "version": weft.__version__,
            "summary": "Networks for containers: what the agent answers on its unix socket",
            "license": {"name": "GPL-2.0-or-later", "identifier": "GPL-2.0-or-later"},
        },
        "servers": [{"url": "/", "description": "The socket weft.sock in the agent's run directory"}],
        "paths": paths,
        "components": {"schemas": components},
    }
    return cast(Json, msgspec.json.decode(msgspec.json.encode(description)))  # defaults that are tuples become arrays


def _schemas(routes: Sequence[Route]) -> tuple[dict[Any, Json], Json]:
    """Return the schema of each type that a route takes or answers, and the components that they refer to."""
    types = list(dict.fromkeys([*_types(routes), Problem]))
    found, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(zip(types, found, strict=True)), components


def _types(routes: Iterable[Route]) -> Iterable[Any]:
    for route in routes:
        yield route.answer
        if route.body is not None:
            yield route.body


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": route.operation,
        "summary": route.summary,
        "responses": {
            "200": {
                "description": route.summary,
                "content": {route.stream or "application/json": {"schema": schemas[route.answer]}},
            },
            **_problems(route, schemas[Problem]),
        },
    }
    parameters = [*_path_parameters(route), *map(_query_parameter, route.query)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[route.body]}},
        }
    return operation


def _path_parameters(route: Route) -> list[Json]:
    if "{name}" not in route.path:
        return []
    description = "A name, an id, or the beginning of an id (3 characters at least)"
    return [{"name": "name", "in": "path", "required": True, "description": description, "schema": {"type": "string"}}]


def _query_parameter(query: Query) -> Json:
    schema: Json = {"type": _TYPES[query.kind]}
    if query.default is not None:
        schema["default"] = query.default
    if query.maximum is not None:
        schema |= {"minimum": 0, "maximum": query.maximum}
    return {"name": query.name, "in": "query", "description": query.summary, "schema": schema}


def _problems(route: Route, schema: Json) -> Json:
    """Return the responses that are problems, by status."""
    body = () if route.body is None else (errors.RequestTooLarge, errors.RequestTooSlow)
    kinds: tuple[type[errors.WeftError], ...] = (*COMMON, *body, *route.errors)
    by_status: dict[int, list[type[errors.WeftError]]] = {}
    for error in dict.fromkeys(kinds):
        by_status.setdefault(error.status, []).append(error)
    return {
        str(status): {
            "description": "; ".join(f"{error.code}: {title(error)}" for error in found),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status, found in sorted(by_status.items())
    }
