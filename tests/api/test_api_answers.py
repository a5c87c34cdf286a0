"""What a real agent answers has the shapes that the API's description promises."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from weft.api.client import Client
from weft.api.routes import ROUTES
from weft.model.errors import AgentRunning
from weft.testing.hosts import Host

TYPES = {route.operation: route.answer for route in ROUTES}


def _fits(answer: Any, operation: str) -> Any:
    msgspec.convert(answer, TYPES[operation])
    return answer


def test_the_answers_of_an_agent_fit_their_types(host: Host) -> None:
    """From making a network to removing the last container."""
    api: Client = host.api
    _fits(api.request("POST", "/v1/networks", {"name": "app", "ipv6": True}), "create_network")
    run = {"name": "web", "networks": ["app"], "publish": ["8080:80"], "command": ["sleep", "600"]}
    _fits(api.request("POST", "/v1/containers", run, {"dry_run": True}), "run")
    _fits(api.request("POST", "/v1/containers", run), "run")
    _fits(api.request("POST", "/v1/containers", {"name": "db", "command": ["sleep", "600"]}), "run")
    bare = host.container("bare")
    attach = {"name": "bare", "netns": str(bare.path), "networks": ["app"]}
    _fits(api.request("POST", "/v1/attachments", attach), "attach")
    _fits(api.request("POST", "/v1/cables", {"left": "web", "right": "db"}), "cable")
    _fits(api.request("POST", "/v1/networks/bridge/connect", {"container": "web"}), "connect")
    for operation in ("list_networks", "list_containers", "show", "plan", "status", "doctor", "version"):
        route = next(route for route in ROUTES if route.operation == operation)
        _fits(api.request("GET", route.path), operation)
    assert _fits(api.request("GET", "/v1/containers/web/ports"), "ports")[0]["host_port"] == 8080
    _fits(api.request("GET", "/v1/containers/web"), "inspect")
    _fits(api.request("GET", "/v1/networks/app"), "inspect_network")
    assert _fits(api.request("POST", "/v1/containers/web/wait", query={"timeout": 0.1}), "wait") == {"exit_code": None}
    _fits(api.request("POST", "/v1/networks/bridge/disconnect", {"container": "web"}), "disconnect")
    _fits(api.request("DELETE", "/v1/attachments/bare"), "detach")
    _fits(api.request("POST", "/v1/containers/web/stop", query={"timeout": 0.5}), "stop")
    _fits(api.request("POST", "/v1/containers/web/start"), "start")
    _fits(api.request("DELETE", "/v1/containers/web", query={"force": True}), "remove")
    _fits(api.request("DELETE", "/v1/networks/app", query={"dry_run": True}), "remove_network")
    _fits(api.request("POST", "/v1/networks/prune"), "prune_networks")
    _fits(api.request("POST", "/v1/reset"), "reset")


def test_a_second_agent_on_a_run_directory_is_refused_and_harms_nothing(host: Host) -> None:
    """It says who is there; the first one and its containers go on."""
    host.weft("run", "-d", "--name", "web", "--", "sleep", "600")
    second = host.run(
        sys.executable, "-m", "weft", "--run-dir", host.run_dir, "agent", "--state-dir", host.directory / "other",
        check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"hint: {AgentRunning.default_hint}" in second.stderr
    assert [row["name"] for row in host.api.request("GET", "/v1/containers")] == ["web"]
    assert "weft0" in host.run("ip", "-o", "link").stdout


def test_events_of_an_agent_fit_their_type(host: Host) -> None:
    """From the moment that they were asked for, nothing is missed."""
    lines = host.api.lines("/v1/events")
    host.api.request("POST", "/v1/networks", {"name": "app"})
    event = json.loads(next(line for line in lines if line.strip()))
    assert _fits(event, "events")["name"] == "app"
