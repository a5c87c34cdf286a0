"""What commands print."""

from __future__ import annotations

import json

import pytest

from tests.api.recording import (
    CONTAINER,
    DOCTOR,
    EVENT,
    INSPECTED,
    MODE,
    NETWORK,
    PORTS,
    SHOW,
    STATUS,
    RecordingAgent,
)
from tests.cli.conftest import Type
from weft.model.errors import ContainerNotFound, NetworkNotFound, WeftError

TABLES = {
    "network ls": [NETWORK, MODE],
    "ps": [CONTAINER],
    "port web": PORTS,
    "show": SHOW,
    "status": STATUS,
    "doctor": DOCTOR,
}


@pytest.mark.parametrize("words", TABLES)
def test_json_is_what_the_agent_answered(words: str, weft: Type) -> None:
    """Every table can be had as JSON, whole."""
    assert json.loads(weft(*words.split(), "--format", "json").out) == TABLES[words]


def test_networks(weft: Type) -> None:
    """The networks, and the modes beside them."""
    assert weft("network", "ls").out == (
        "NETWORK ID     NAME   DRIVER   SUBNETS         BRIDGE            CONTAINERS   REACHES\n"
        "aaaaaaaaaaaa   app    bridge   172.20.0.0/16   weft-aaaaaaaaaa   1            "
        "each other, the host and outside\n"
        "-              none   none     -               -                 1            nobody\n"
    )
    assert weft("network", "ls", "-q").out == "aaaaaaaaaaaa\n"


def test_containers(weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """How each is, on which networks, and what it publishes."""
    ended = CONTAINER | {"state": "exited", "exit_code": 3, "networks": {}, "ports": [], "name": "old", "mode": "none"}
    long = CONTAINER | {"state": "created", "command": ["sh", "-c", "echo one; echo two; echo three"]}
    monkeypatch.setattr(agent, "list_containers", lambda everything: [CONTAINER, ended, long])
    lines = weft("ps", "-a").out.splitlines()
    assert lines[0].split("   ")[0] == "CONTAINER ID"
    assert "Up " in lines[1] and "app 172.20.0.2" in lines[1] and lines[1].endswith("0.0.0.0:8080->80/tcp")
    assert "Exited (3)" in lines[2] and lines[2].split()[-2:] == ["none", "-"]
    assert "sh -c 'echo one; echo t…" in lines[3] and "Created" in lines[3]
    assert weft("ps", "-q").out == "cccccccccccc\n" * 3


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (60, "1 min"), (7199, "1 h"), (7200, "2 h"), (90000, "1 d")])
def test_how_long_a_container_runs(seconds: int, text: str) -> None:
    """In the largest unit."""
    from datetime import UTC, datetime, timedelta

    from weft.cli.commands.ps import _since

    started = datetime.now(UTC) - timedelta(seconds=seconds)
    assert _since(started.isoformat().replace("+00:00", "Z")) == text


def test_ports(weft: Type) -> None:
    """As Docker prints them; one port by its number, tcp unless it says else."""
    assert weft("port", "web").out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n53/udp -> 127.0.0.1:49000\n"
    assert weft("port", "web", "80").out == "0.0.0.0:8080\n[::]:8080\n"
    assert weft("port", "web", "53/udp").out == "127.0.0.1:49000\n"
    said = weft("port", "web", "53")
    assert (said.code, said.err.splitlines()[0]) == (1, "weft: 'web' publishes no port 53/tcp")


def test_inspect_prints_a_list_as_docker_does(weft: Type, agent: RecordingAgent) -> None:
    """Of all that were named."""
    assert json.loads(weft("inspect", "web", "web").out) == [INSPECTED, INSPECTED]
    assert json.loads(weft("network", "inspect", "app").out) == [{"Name": "app"}]


def test_inspect_takes_networks_too(weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no container's may be a network's; one that is nobody's is said to be no container's."""

    def no_container(name: str) -> None:
        raise ContainerNotFound(f"no container {name!r}")

    monkeypatch.setattr(agent, "inspect", no_container)
    assert json.loads(weft("inspect", "app").out) == [{"Name": "app"}]

    def no_network(name: str) -> None:
        raise NetworkNotFound(f"no network {name!r}")

    monkeypatch.setattr(agent, "inspect_network", no_network)
    said = weft("inspect", "x")
    assert (said.code, said.out) == (1, "[]\n")
    assert said.err.startswith("weft: no container 'x'\n  hint: ")


def test_show(weft: Type) -> None:
    """Each bridge once, its ports beneath one another, whose each is; cables last."""
    rows = [line.split() for line in weft("show").out.splitlines()]
    assert rows[1][:6] == ["weft-aaaaaaaaaa", "app", "172.20.0.1/16", "1500", "wvcccccccccccc", "web"]
    assert rows[2] == ["wvcccccccccccc", "db", "eth0", "172.20.0.2/16", "02:42:ac:14:00:02"]
    assert rows[3] == ["weft0", "bridge", "172.17.0.1/16", "1500", "-", "-", "-", "-", "-"]
    assert rows[4][:6] == ["-", "cable-1", "-", "-", "-", "web"]


def test_plan(weft: Type) -> None:
    """Commands that can be pasted; objects as JSON."""
    assert weft("plan").out == "ip link add weft0 type bridge\nip link set weft0 up\n"
    assert json.loads(weft("plan", "--format", "json").out)["objects"] == [{"type": "Bridge", "name": "weft0"}]


def test_status(weft: Type) -> None:
    """The agent, its numbers, and what is wrong with the hint."""
    out = weft("status").out
    assert "weft 0.1.0, pid 1, up 12 s" in out
    assert "3, 1 running, 1 endpoints" in out
    assert "1 operations (start)" in out
    assert "  forwarding is off\n    hint: Turn it on.\n" in out


def test_doctor_fails_when_something_is_missing(
    weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the hint for what is missing only; and passes when nothing is."""
    said = weft("doctor")
    assert said.code == 1
    assert "apt install dnsmasq-base" in said.out and "unneeded" not in said.out
    monkeypatch.setattr(agent, "doctor", lambda: {"checks": DOCTOR["checks"][:1]})
    assert weft("doctor").code == 0


def test_events(weft: Type, agent: RecordingAgent) -> None:
    """A line for each; as JSON just as they came."""
    agent.mailbox.put(EVENT | {"exit_code": 0, "reason": "\x1b[2J"})
    agent.mailbox.put(None)
    assert (
        weft("events").out == "2026-01-02T03:04:05.000Z container start web cccccccccccc (exit_code=0, reason=?[2J)\n"
    )
    agent.mailbox.put(EVENT)
    agent.mailbox.put(None)
    assert json.loads(weft("events", "--format", "json").out) == EVENT


def test_what_was_made_or_changed_is_printed_by_name_or_id(weft: Type) -> None:
    """So that scripts can go on with it."""
    assert weft("network", "create", "app").out == "a" * 64 + "\n"
    assert weft("run", "-d", "true").out == "c" * 64 + "\n"
    assert weft("attach", "--pid", "7", "--name", "x").out == "c" * 64 + "\n"
    assert weft("network", "rm", "a", "b").out == "a\nb\n"
    assert weft("network", "prune").out == "old\nolder\n"
    for command in ("start", "stop", "rm"):
        assert weft(command, "a", "b").out == "a\nb\n"
    assert weft("cable", "l", "r").out == "l 10.255.0.0\nr 10.255.0.1\n"


def test_characters_that_would_move_the_cursor_are_not_printed(
    weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line in 'ps' or a cause in an error cannot play with the terminal."""
    monkeypatch.setattr(agent, "list_containers", lambda _: [CONTAINER | {"command": ["\x1b[31mred\n"]}])
    assert "\x1b" not in weft("ps").out
    agent.failure = WeftError("bad \x1b[31m name", "hint\nline")
    assert weft("status").err == "weft: bad ?[31m name\n  hint: hint?line\n"


def test_version(weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the command and, if one answers, of the agent."""
    import os

    assert weft("version").out == f"weft   0.1.0\nagent  0.1.0, pid {os.getpid()}\n"
    assert weft("--version").out == "weft 0.1.0\n"
    monkeypatch.setenv("WEFT_RUN_DIR", "/nowhere")
    assert weft("version").out == "weft   0.1.0\nagent  none answers\n"
    assert json.loads(weft("version", "--format", "json").out) == {"version": "0.1.0", "agent": None}


def test_logs_are_passed_on_byte_for_byte(weft: Type, agent: RecordingAgent) -> None:
    """What a container wrote is not ours to change."""
    agent.log.write_text("one\ntwo \N{SNOWMAN}\n")
    assert weft("logs", "web").out == "one\ntwo \N{SNOWMAN}\n"
