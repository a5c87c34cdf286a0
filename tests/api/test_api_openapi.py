"""The description that the agent serves is valid and complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from weft.api import openapi
from weft.api.client import Client
from weft.api.routes import ROUTES
from weft.model.errors import WeftError


@pytest.fixture(scope="module")
def document() -> Any:
    return openapi.document(ROUTES)


def test_the_served_document_is_this_one(client: Client, document: Any) -> None:
    """What is tested below is what clients get."""
    assert client.request("GET", "/v1/openapi.json") == json.loads(json.dumps(document))


def test_the_document_is_valid(document: Any) -> None:
    """By the schema of OpenAPI 3.1."""
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_route_is_described(document: Any) -> None:
    """And nothing that does not exist."""
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert len(described) == len(ROUTES)


def test_every_error_is_described_under_its_status(document: Any) -> None:
    """A client can know which codes to expect where."""
    for route in ROUTES:
        responses = document["paths"][route.path][route.method.lower()]["responses"]
        expected: tuple[type[WeftError], ...] = (*openapi.COMMON, *route.errors)
        for error in expected:
            assert f"{error.code}: " in responses[str(error.status)]["description"]


def test_requests_refuse_unknown_fields_in_the_schema_too(document: Any) -> None:
    """The agent does, so the description says so."""
    body = document["paths"]["/v1/networks"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_the_generated_pages_are_up_to_date() -> None:
    """docs/api.md and docs/errors.md are what tools.make_docs writes from the table and the tree."""
    from tools.make_docs import PAGES

    root = Path(__file__).parents[2]
    for name, write in PAGES.items():
        assert (root / "docs" / name).read_text() == write(), f"run: python -m tools.make_docs  (docs/{name})"
