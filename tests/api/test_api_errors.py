"""Errors keep their class, code, cause and hint from the agent to the one who asked."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.api.recording import RecordingAgent, serving
from weft.api import routes, server
from weft.api.client import Client
from weft.api.problem import by_code, descendants
from weft.model import errors


def _raw(socket_path: Path, method: str, path: str) -> tuple[http.client.HTTPResponse, Any]:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    connection.sock.connect(str(socket_path))
    connection.request(method, path)
    response = connection.getresponse()
    return response, json.loads(response.read())


@pytest.mark.parametrize("kind", list(by_code().values()), ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_the_class_that_was_raised(
    kind: type[errors.WeftError], client: Client, agent: RecordingAgent
) -> None:
    """Class, cause, hint and evidence survive the way."""
    agent.failure = kind("the cause", "the hint", address="10.0.0.1", errno=17)
    with pytest.raises(errors.WeftError) as caught:
        client.request("GET", "/v1/networks")
    assert type(caught.value) is kind
    assert (caught.value.cause, caught.value.hint) == ("the cause", "the hint")
    assert caught.value.evidence == {"address": "10.0.0.1", "errno": 17}


def test_codes_are_unique() -> None:
    """A script that matches on a code meets one error, not two."""
    kinds = [kind for kind in descendants(errors.WeftError) if kind.__module__ == errors.__name__]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(by_code()[kind.code] is kind for kind in kinds)


def test_a_problem_document_is_as_rfc_9457_has_it(client: Client, agent: RecordingAgent, socket_path: Path) -> None:
    """Media type, status and the standard members are there for clients that are not ours."""
    agent.failure = errors.PortInUse("port 80 is in use", pid=1)
    response, problem = _raw(socket_path, "GET", "/v1/networks")
    assert response.status == 409
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem == {
        "type": "urn:weft:error:port-in-use",
        "title": "The host port is published already or a process is bound to it",
        "status": 409,
        "detail": "port 80 is in use",
        "code": "port-in-use",
        "hint": "",
        "evidence": {"pid": 1},
    }


def test_evidence_that_json_has_no_form_for_is_sent_as_text(client: Client, agent: RecordingAgent) -> None:
    """An error about an error must not be one."""
    agent.failure = errors.Conflict("taken", where=Path("/x"))
    with pytest.raises(errors.Conflict) as caught:
        client.request("GET", "/v1/networks")
    assert caught.value.evidence == {"where": "/x"}


def test_a_defect_is_logged_and_not_told(
    client: Client, agent: RecordingAgent, socket_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The trace is for the log; the caller learns that there is one."""
    agent.failure = ZeroDivisionError("secret detail")
    with caplog.at_level(logging.ERROR, "weft.api"):
        response, problem = _raw(socket_path, "GET", "/v1/networks")
    assert response.status == 500 and problem["code"] == "internal"
    assert "secret" not in json.dumps(problem)
    assert "secret detail" in caplog.text


def test_a_path_that_is_none_is_a_problem_too(client: Client, socket_path: Path) -> None:
    """404 and 405 have the form of all errors; 405 says what would be allowed."""
    response, problem = _raw(socket_path, "GET", "/v1/nothing")
    assert (response.status, problem["code"]) == (404, "not-found")
    response, problem = _raw(socket_path, "PUT", "/v1/networks/app/connect")
    assert (response.status, problem["code"], response.headers["Allow"]) == (405, "invalid-input", "POST")


def test_a_late_answer_is_told_to_be_late(
    agent: RecordingAgent, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that hangs does not hang its caller."""
    import threading

    hurried = tuple(replace(route, timeout=0.2) for route in routes.ROUTES)
    monkeypatch.setattr(server, "ROUTES", hurried)
    agent.hold = threading.Event()
    with serving(agent, socket_path) as client:
        begun = time.monotonic()
        with pytest.raises(errors.TimedOut):
            client.request("GET", "/v1/networks")
        assert time.monotonic() - begun < 5
