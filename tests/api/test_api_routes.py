"""Every route reaches the agent with what was asked, and its answer has the shape that is documented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.api.recording import OPERATIONS, RecordingAgent
from weft.api.client import Client
from weft.api.route import Route
from weft.api.routes import ROUTES
from weft.model import requests
from weft.model.errors import InvalidInput

#: operation → (name in the path, query, body, what the agent must have been asked).
SAMPLES: dict[str, tuple[str, dict[str, Any], Any, Sequence[Any]]] = {
    "list_networks": ("", {}, None, ()),
    "create_network": ("", {}, {"name": "app", "mtu": 1400}, (requests.CreateNetwork(name="app", mtu=1400), False)),
    "prune_networks": ("", {}, None, (False,)),
    "inspect_network": ("app", {}, None, ("app",)),
    "remove_network": ("app", {}, None, ("app", False)),
    "connect": ("app", {}, {"container": "web"}, ("app", requests.Connect(container="web"), False)),
    "disconnect": ("app", {}, {"container": "web"}, ("app", requests.Disconnect(container="web"), False)),
    "list_containers": ("", {"all": True}, None, (True,)),
    "run": ("", {}, {"command": ["true"]}, (requests.Run(command=("true",)), False)),
    "inspect": ("web", {}, None, ("web",)),
    "remove": ("web", {"force": True}, None, ("web", True, False)),
    "start": ("web", {}, None, ("web", False)),
    "stop": ("web", {"timeout": 2.5}, None, ("web", 2.5, False)),
    "ports": ("web", {}, None, ("web",)),
    "attach": ("", {}, {"pid": 7}, (requests.Attach(pid=7), False)),
    "detach": ("web", {"network": "app"}, None, ("web", "app", False)),
    "cable": ("", {}, {"left": "a", "right": "b"}, (requests.Cable(left="a", right="b"), False)),
    "reset": ("", {}, None, (False,)),
    "show": ("", {}, None, ()),
    "plan": ("", {"name": "app"}, None, ("app",)),
    "status": ("", {}, None, ()),
    "doctor": ("", {}, None, ()),
}
#: Routes that ask the agent nothing, wait, or stream; other tests have them.
ELSEWHERE = {"wait", "logs", "events", "version", "openapi"}


def test_every_route_has_a_sample() -> None:
    """No route is without a test."""
    assert SAMPLES.keys() | ELSEWHERE == {route.operation for route in ROUTES}


def _routes(chosen: set[str]) -> list[Any]:
    return [pytest.param(route, id=route.operation) for route in ROUTES if route.operation in chosen]


@pytest.mark.parametrize("route", _routes(set(SAMPLES)))
def test_the_agent_is_asked_what_was_sent(route: Route, client: Client, agent: RecordingAgent) -> None:
    """Path, query and body arrive as the arguments of one method; the answer fits its documented type."""
    name, query, body, asked = SAMPLES[route.operation]
    answer = client.request(route.method, route.path.replace("{name}", name), body, query)
    assert agent.calls == [(route.operation, *asked)]
    msgspec.convert(answer, route.answer)


@pytest.mark.parametrize("route", _routes({r.operation for r in ROUTES if any(q.name == "dry_run" for q in r.query)}))
def test_a_dry_run_reaches_the_agent_as_one(route: Route, client: Client, agent: RecordingAgent) -> None:
    """Every route that changes something takes dry_run, and passes it on."""
    name, _, body, _ = SAMPLES[route.operation]
    answer = client.request(route.method, route.path.replace("{name}", name), body, {"dry_run": True})
    assert agent.calls[0][-1] is True
    assert answer == {"result": None, "operations": list(OPERATIONS)}


def test_every_change_can_be_rehearsed() -> None:
    """Whatever is not a GET changes something (but for waiting), and so takes dry_run."""
    changing = {route.operation for route in ROUTES if route.method != "GET"} - {"wait"}
    assert changing == {r.operation for r in ROUTES if any(q.name == "dry_run" for q in r.query)}


def test_absent_parameters_take_their_defaults(client: Client, agent: RecordingAgent) -> None:
    """What is not given is what the documentation says."""
    client.request("GET", "/v1/containers")
    client.request("POST", "/v1/containers/web/stop")
    client.request("DELETE", "/v1/attachments/web")
    client.request("GET", "/v1/plan")
    assert agent.calls == [
        ("list_containers", False),
        ("stop", "web", 10.0, False),
        ("detach", "web", None, False),
        ("plan", None),
    ]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("DELETE", "/v1/networks/app?dryrun=true", "dryrun"),
        ("DELETE", "/v1/networks/app?dry_run=yes", "dry_run"),
        ("DELETE", "/v1/networks/app?dry_run=false&dry_run=true", "twice"),
        ("POST", "/v1/containers/web/stop?timeout=soon", "timeout"),
        ("POST", "/v1/containers/web/stop?timeout=-1", "timeout"),
        ("POST", "/v1/containers/web/stop?timeout=nan", "timeout"),
        ("POST", "/v1/containers/web/stop?timeout=1e99", "timeout"),
    ],
)
def test_a_parameter_that_cannot_be_meant_changes_nothing(
    method: str, path: str, said: str, client: Client, agent: RecordingAgent
) -> None:
    """A misspelt dry_run must not be overlooked: the agent is not asked at all."""
    with pytest.raises(InvalidInput, match=said):
        client.request(method, path)
    assert agent.calls == []


def test_a_name_is_one_segment_whatever_is_in_it(client: Client, agent: RecordingAgent) -> None:
    """A slash or a dot in a name leads nowhere else: the agent sees the name as it was typed."""
    from weft.api.client import segment

    names = ["../networks", "a/b", "..", "%2e", "a b", "ü", ";reboot", "$(x)", "x\n", "--force", 'q"}']
    for name in names:
        client.request("GET", f"/v1/containers/{segment(name)}")
    assert agent.calls == [("inspect", name) for name in names]


def test_a_name_that_is_not_text_is_refused(client: Client, agent: RecordingAgent) -> None:
    """Bytes that are no UTF-8 are an error of the caller's."""
    with pytest.raises(InvalidInput):
        client.request("GET", "/v1/containers/%ff")
    assert agent.calls == []


def test_version_is_that_of_the_process_that_serves(client: Client) -> None:
    """'weft down' relies on the pid."""
    import os

    assert client.request("GET", "/v1/version")["pid"] == os.getpid()


def test_waiting_ends_with_the_container_or_with_its_time(client: Client, agent: RecordingAgent) -> None:
    """Null while it runs; its exit code once it has ended."""
    assert client.request("POST", "/v1/containers/web/wait", query={"timeout": 0.05}) == {"exit_code": None}
    agent.finish(3)
    assert client.request("POST", "/v1/containers/web/wait", query={"timeout": 60.0}) == {"exit_code": 3}
