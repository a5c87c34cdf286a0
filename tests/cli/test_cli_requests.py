"""Every command and every option, as typed, reaches the agent as what it means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.recording import OPERATIONS, RecordingAgent
from tests.cli.conftest import Type
from weft.cli.registry import COMMANDS, NETWORK_COMMANDS
from weft.model.requests import Attach, Cable, Connect, CreateNetwork, Disconnect, Run


def _words(line: str) -> list[str]:
    return line.split()


CREATED = CreateNetwork(
    name="app",
    driver="ptp",
    subnets=("172.30.0.0/16", "fd00::/64"),
    gateways=("172.30.0.1", "fd00::1"),
    ip_ranges=("172.30.5.0/24",),
    ipv6=True,
    internal=True,
    icc=False,
    masquerade=False,
    ip_forward=True,
    filter=False,
    mtu=1400,
    bridge="br0",
    dns=("9.9.9.9", "1.1.1.1"),
    dns_search=("a.example",),
    bind="127.0.0.1",
    options={"a": "1", "b": "x=y"},
    labels={"c": ""},
)
PLACE: dict[str, Any] = {
    "ip": "10.0.0.5", "ip6": "fd00::5", "aliases": ("one", "two"), "interface": "back0", "mac": "02:42:0a:00:00:05",
}  # fmt: skip
PLACE_WORDS = _words(
    "--ip 10.0.0.5 --ip6 fd00::5 --alias one --alias two --interface back0 --mac-address 02:42:0a:00:00:05"
)

#: (what is typed, what the agent must have been asked)
CASES: list[tuple[list[str], tuple[Any, ...]]] = [
    (["network", "create", "app"], ("create_network", CreateNetwork(name="app"), False)),
    (
        _words(
            "network create --driver ptp --subnet 172.30.0.0/16 --subnet fd00::/64 --gateway 172.30.0.1 "
            "--gateway fd00::1 --ip-range 172.30.5.0/24 --ipv6 --internal --no-icc --no-masquerade --ip-forward "
            "--no-filter --mtu 1400 --bridge br0 --dns 9.9.9.9 --dns 1.1.1.1 --dns-search a.example --bind 127.0.0.1 "
            "--opt a=1 --opt b=x=y --label c= app"
        ),
        ("create_network", CREATED, False),
    ),
    (["network", "ls"], ("list_networks",)),
    (["network", "inspect", "app"], ("inspect_network", "app")),
    (["network", "rm", "app"], ("remove_network", "app", False)),
    (["network", "prune"], ("prune_networks", False)),
    (["network", "connect", "app", "web"], ("connect", "app", Connect(container="web"), False)),
    (
        ["network", "connect", *PLACE_WORDS, "app", "web"],
        ("connect", "app", Connect(container="web", **PLACE), False),
    ),
    (["network", "disconnect", "app", "web"], ("disconnect", "app", Disconnect(container="web"), False)),
    (["run", "-d", "true"], ("run", Run(command=("true",)), False)),
    (["run", "-d", "--", "sh", "-c", "echo -d"], ("run", Run(command=("sh", "-c", "echo -d")), False)),
    (
        _words("run -d ls -d --name x -- y"),
        ("run", Run(command=("ls", "-d", "--name", "x", "--", "y")), False),
    ),
    (
        [
            *_words("run -d --name web --net app --network back -p 80 -p 8080:80/udp -p [::1]:80:80"),
            *_words("--publish 7000-7010:7000-7010 -P --expose 90 --expose 53/udp --link db --link cache:c"),
            *_words("--dns 9.9.9.9 --dns-search example.org -h box -e A=1 -e B=x=y -e C -e MISSING --rm"),
            *PLACE_WORDS,
            *_words("-- serve --port 80"),
        ],
        (
            "run",
            Run(
                name="web",
                networks=("app", "back"),
                publish=("80", "8080:80/udp", "[::1]:80:80", "7000-7010:7000-7010"),
                publish_all=True,
                expose=("90", "53/udp"),
                links=("db", "cache:c"),
                dns=("9.9.9.9",),
                dns_search=("example.org",),
                hostname="box",
                env={"A": "1", "B": "x=y", "C": "from here"},
                auto_remove=True,
                command=("serve", "--port", "80"),
                **PLACE,
            ),
            False,
        ),
    ),
    (["ps"], ("list_containers", False)),
    (["ps", "-a"], ("list_containers", True)),
    (["ps", "--all"], ("list_containers", True)),
    (["stop", "web"], ("stop", "web", 10.0, False)),
    (["stop", "-t", "2.5", "web"], ("stop", "web", 2.5, False)),
    (["start", "web"], ("start", "web", False)),
    (["rm", "web"], ("remove", "web", False, False)),
    (["rm", "-f", "web"], ("remove", "web", True, False)),
    (["rm", "--force", "web"], ("remove", "web", True, False)),
    (["port", "web"], ("ports", "web")),
    (["port", "web", "80/tcp"], ("ports", "web")),
    (["attach", "--pid", "7", "--name", "job"], ("attach", Attach(pid=7, name="job"), False)),
    (
        ["attach", "--netns", "blue", "--name", "job", "--net", "app", "-p", "80", *PLACE_WORDS],
        ("attach", Attach(netns="blue", name="job", networks=("app",), publish=("80",), **PLACE), False),
    ),
    (
        ["attach", "--netns", "/run/netns/blue", "--name", "j"],
        ("attach", Attach(netns="/run/netns/blue", name="j"), False),
    ),
    (["detach", "web"], ("detach", "web", None, False)),
    (["detach", "web", "app"], ("detach", "web", "app", False)),
    (["cable", "a", "b"], ("cable", Cable(left="a", right="b"), False)),
    (
        ["cable", "a:10.9.0.1", "b:fd00::2"],
        ("cable", Cable(left="a", right="b", left_ip="10.9.0.1", right_ip="fd00::2"), False),
    ),
    (["inspect", "web"], ("inspect", "web")),
    (["show"], ("show",)),
    (["plan"], ("plan", None)),
    (["plan", "app"], ("plan", "app")),
    (["status"], ("status",)),
    (["doctor"], ("doctor",)),
    (["logs", "web"], ("log_file", "web")),
    (["logs", "-f", "web"], ("log_file", "web")),
    (["events"], ("events",)),
    (["down", "--all", "--dry-run"], ("reset", True)),
]
#: Commands that ask the agent nothing that would be noted; other tests have them.
ELSEWHERE = {"exec", "up", "agent", "completion", "version"}


def _label(words: list[str]) -> str:
    return " ".join(words)[:60]


@pytest.mark.parametrize(("words", "asked"), CASES, ids=[_label(words) for words, _ in CASES])
def test_what_is_typed_is_what_the_agent_is_asked(
    words: list[str], asked: tuple[Any, ...], weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option arrives in the field that it stands for; what is not typed has its default."""
    monkeypatch.setenv("C", "from here")
    monkeypatch.delenv("MISSING", raising=False)
    agent.finish(0)
    agent.mailbox.put(None)
    said = weft(*words)
    assert said.err == ""
    assert agent.calls == [asked]


def test_every_command_is_tested_here_or_elsewhere() -> None:
    """No command is without a test."""
    here = {words[0] for words, _ in CASES}
    assert here | ELSEWHERE == {command.name for command in COMMANDS}
    assert {words[1] for words, _ in CASES if words[0] == "network"} == {command.name for command in NETWORK_COMMANDS}


DRY = [
    ["network", "create", "--dry-run", "app"],
    ["network", "rm", "--dry-run", "app"],
    ["network", "prune", "--dry-run"],
    ["network", "connect", "--dry-run", "app", "web"],
    ["network", "disconnect", "--dry-run", "app", "web"],
    ["run", "--dry-run", "true"],
    ["run", "--dry-run", "-d", "true"],
    ["run", "--dry-run", "-it", "true"],
    ["stop", "--dry-run", "web"],
    ["start", "--dry-run", "web"],
    ["rm", "--dry-run", "web"],
    ["attach", "--dry-run", "--pid", "7", "--name", "x"],
    ["detach", "--dry-run", "web"],
    ["cable", "--dry-run", "a", "b"],
]


@pytest.mark.parametrize("words", DRY, ids=_label)
def test_a_dry_run_prints_the_operations_as_commands(words: list[str], weft: Type, agent: RecordingAgent) -> None:
    """A line for each and nothing else; the agent is asked to change nothing."""
    said = weft(*words)
    assert (said.code, said.err) == (0, "")
    assert said.out == "".join(f"{operation}\n" for operation in OPERATIONS)
    assert len(agent.calls) == 1 and agent.calls[0][-1] is True


def test_the_run_directory_may_stand_anywhere_or_in_the_environment(
    weft: Type, agent: RecordingAgent, run_dir: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the command, after it, after its last word, or as WEFT_RUN_DIR; what is typed wins."""
    monkeypatch.setenv("WEFT_RUN_DIR", "/nowhere")
    assert weft("ps").code == 1
    assert weft("--run-dir", str(run_dir), "ps").code == 0
    assert weft("ps", "--run-dir", str(run_dir)).code == 0
    assert weft("network", "ls", f"--run-dir={run_dir}").code == 0
    assert weft("network", "--run-dir", str(run_dir), "ls").code == 0
    monkeypatch.setenv("WEFT_RUN_DIR", str(run_dir))
    assert weft("ps").code == 0
    assert weft("--run-dir", "/nowhere", "ps").code == 1


def test_the_run_directory_is_run_weft_by_default(weft: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without option and environment."""
    from weft.cli.context import Context

    monkeypatch.delenv("WEFT_RUN_DIR")
    assert str(Context(None).run_dir) == "/run/weft"


def test_hostile_names_reach_the_agent_as_they_are(weft: Type, agent: RecordingAgent) -> None:
    """No shell and no path is made of them."""
    names = ["; reboot", "$(reboot)", "../../etc", "a\nb", '"', "}", "%2f", "ü"]
    assert weft("rm", "--", *names, "--force").code == 0
    assert [call[1] for call in agent.calls] == [*names, "--force"]
