"""Names with shell, nft and path characters in them, through every door: refused, or kept as they are and harmless.

The doors are every field of every request of the API, every option that the command line has for one, and weft.toml.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from tests.scenarios.waiting import wait_for_log
from weft.api.client import segment
from weft.model.errors import InvalidInput, NotFound
from weft.testing.hosts import Host, Hosts, Lan
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

#: What a shell, nft, a path, a hosts file, a terminal or a person could misread.  CANARY is a file that must not come.
HOSTILE = [
    "; touch CANARY", "$(touch CANARY)", "`touch CANARY`", "| touch CANARY", "a b", "a'b", "a\\b", "#a", "%s", "{name}",
    'a"b', '" drop; }', "a}b", "}; flush ruleset; {", "@publish_any4", "a,b", "--help", "-",
    "../x", "../../etc/passwd", "/", ".", "..", "",
    "a\nb", "a\n10.77.0.9 bank.example", "a\rb", "a\tb", "a\0b", "\x1b[2J", "a\u202eb", "\u0430pp", "\ud800",
]  # fmt: skip
#: The command line takes no NUL and no half of a surrogate pair: the kernel and Python see to it.
TYPED = [text for text in HOSTILE if text and "\0" not in text and text.isascii()]
#: Words of nft's language, and of ip's, that are fine as names.
KEYWORDS = ["drop", "accept", "jump", "10", "0x10", "any", "dev", "table", "comment", "ip", "eth0.5", "_"]

NETWORK = {"name": "made", "bridge": "br-made", "subnets": ["10.78.0.0/24", "fd00:78::/64"]}


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    host = hosts.host("h1", lan)
    host.start_agent()
    host.weft("network", "create", "app", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", "--no-icc")
    host.weft("network", "create", "spare", "--subnet", "10.79.0.0/24")
    host.weft("attach", "--netns", host.container("db").path, "--name", "db", "--net", "app")
    return host


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    return host.container("box")


@pytest.fixture(autouse=True)
def nothing_was_run(host: Host) -> Iterator[None]:
    """No command that was hidden in a name has been carried out, and weft has met no defect of its own."""
    yield
    assert not (host.directory / "canary").exists()
    assert "Traceback" not in host.log and "defect" not in host.log


def hostile(host: Host, texts: list[str]) -> list[str]:
    return [text.replace("CANARY", str(host.directory / "canary")) for text in texts]


def rules(host: Host) -> list[str]:
    """Return the rules and the elements of the sets, in an order that does not hang on names."""
    listed = host.run("nft", "--stateless", "list", "ruleset").stdout
    # The link-local address of a bridge follows from its MAC, which is random.
    pieces = re.split(r"[,{}\n]", re.sub(r"fe80::[0-9a-f:]+", "fe80::", listed))
    return sorted(piece.strip().removeprefix("elements = ") for piece in pieces if piece.strip())


# --- what is refused ----------------------------------------------------------------------------------------------


def network(field: str, wrap: Callable[[str], Any] = str) -> tuple[str, Callable[[str, Space], Any]]:
    return "/v1/networks", lambda text, box: NETWORK | {field: wrap(text)}


def attach(field: str, wrap: Callable[[str], Any] = str) -> tuple[str, Callable[[str, Space], Any]]:
    whole = {"name": "box", "networks": ["app"]}
    return "/v1/attachments", lambda text, box: whole | {"netns": box.path} | {field: wrap(text)}


def run(field: str, wrap: Callable[[str], Any] = str) -> tuple[str, Callable[[str, Space], Any]]:
    whole = {"name": "job", "networks": ["app"], "command": ["sleep", "1000"]}
    return "/v1/containers", lambda text, box: whole | {field: wrap(text)}


def connect(field: str, wrap: Callable[[str], Any] = str) -> tuple[str, Callable[[str, Space], Any]]:
    return "/v1/networks/spare/connect", lambda text, box: {"container": "db"} | {field: wrap(text)}


def one(text: str) -> list[str]:
    return [text]


#: Every field that names something, and the request that it is in.
REFUSING = {
    "network name": network("name"),
    "driver": network("driver"),
    "bridge": network("bridge"),
    "subnet": network("subnets", one),
    "gateway": network("gateways", one),
    "range": network("ip_ranges", one),
    "network dns": network("dns", one),
    "bind": network("bind"),
    "attached name": attach("name"),
    "attached to": attach("networks", one),
    "namespace": attach("netns"),
    "interface": attach("interface"),
    "alias": attach("aliases", one),
    "ip": attach("ip"),
    "ip6": attach("ip6"),
    "mac": attach("mac"),
    "published": attach("publish", one),
    "published at": attach("publish", lambda text: [f"{text}:8080:80"]),
    "published protocol": attach("publish", lambda text: [f"8080:80/{text}"]),
    "container name": run("name"),
    "host name": run("hostname"),
    "shared namespace": run("networks", lambda text: [f"container:{text}"]),
    "exposed": run("expose", one),
    "link": run("links", one),
    "link alias": run("links", lambda text: [f"db:{text}"]),
    "dns": run("dns", one),
    "search domain": run("dns_search", one),
    "variable": run("env", lambda text: {text: "x"}),
    "connected container": connect("container"),
    "connected interface": connect("interface"),
    "connected alias": connect("aliases", one),
    "connected mac": connect("mac"),
    "disconnected": ("/v1/networks/app/disconnect", lambda text, box: {"container": text}),
    "cable": ("/v1/cables", lambda text, box: {"left": text, "right": "db"}),
    "cable address": ("/v1/cables", lambda text, box: {"left": "db", "right": "db", "left_ip": text, "right_ip": text}),
}  # fmt: skip
#: Texts of the list that mean something in some field: no name, host name or id given; no search domain at all.
MEANT = {("container name", ""), ("host name", ""), ("search domain", ".")}
#: Over the longest that a name can be; shorter for interfaces.
LONGEST = {"interface": 15, "bridge": 15, "connected interface": 15, "search domain": 253, "host name": 63}


@pytest.mark.parametrize("door", REFUSING)
def test_every_field_refuses_them(host: Host, box: Space, door: str) -> None:
    path, body = REFUSING[door]
    before = Snapshot.take(host)
    for text in [*hostile(host, HOSTILE), "a" * (LONGEST.get(door, 63) + 1), "a" * 200_000]:
        if (door, text) in MEANT or (door, len(text)) == ("variable", 64):
            continue
        with pytest.raises((InvalidInput, NotFound)) as refused:
            host.api.request("POST", path, body(text, box))
        assert len(refused.value.cause) < 1000 or len(text) > 1000
    assert_clean(before, host)


@pytest.mark.parametrize(
    "method, path, sub",
    [
        ("GET", "/v1/networks/", ""), ("DELETE", "/v1/networks/", ""), ("POST", "/v1/networks/", "/connect"),
        ("GET", "/v1/containers/", ""), ("DELETE", "/v1/containers/", ""), ("GET", "/v1/containers/", "/logs"),
        ("GET", "/v1/containers/", "/ports"), ("POST", "/v1/containers/", "/start"), ("DELETE", "/v1/attachments/", ""),
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(host: Host, method: str, path: str, sub: str) -> None:
    before = rules(host)
    for text in filter(None, hostile(host, HOSTILE)):
        with pytest.raises((InvalidInput, NotFound)):
            name = text if text in (".", "..") else segment(text.encode(errors="replace").decode())
            host.api.request(method, f"{path}{name}{sub}", {"container": "db"} if sub == "/connect" else None)
    assert rules(host) == before


#: Each option is given every so-manieth text, beginning with another one each time; all are given to the API.
SHARE = 8
CREATE = ("network", "create", "made", "--subnet", "10.78.0.0/24")
RUN = ("run", "-d", "--net", "app")
COMMANDS = {
    "network create NAME": lambda text, box: (*CREATE[:2], "--", text),
    "--bridge": lambda text, box: (*CREATE, f"--bridge={text}"),
    "--subnet": lambda text, box: ("network", "create", "made", f"--subnet={text}"),
    "--bind": lambda text, box: (*CREATE, f"--bind={text}"),
    "attach --name": lambda text, box: ("attach", "--netns", box.path, f"--name={text}", "--net", "app"),
    "--interface": lambda text, box: ("attach", "--netns", box.path, "--name", "box", f"--interface={text}"),
    "--alias": lambda text, box: ("attach", "--netns", box.path, "--name", "box", f"--alias={text}"),
    "-p": lambda text, box: ("attach", "--netns", box.path, "--name", "box", f"--publish={text}"),
    "run --name": lambda text, box: (*RUN, f"--name={text}", "sleep", "9"),
    "--hostname": lambda text, box: (*RUN, f"--hostname={text}", "sleep", "9"),
    "--dns-search": lambda text, box: (*RUN, f"--dns-search={text}x", "sleep", "9"),
    "--link": lambda text, box: (*RUN, f"--link=db:{text}", "sleep", "9"),
    "-e": lambda text, box: (*RUN, f"--env={text}=x", "sleep", "9"),
    "logs": lambda text, box: ("logs", "--", text),
    "inspect": lambda text, box: ("inspect", "--", text),
    "disconnect": lambda text, box: ("network", "disconnect", "app", "--", text),
}  # fmt: skip


@pytest.mark.parametrize("option", COMMANDS)
def test_every_option_refuses_them(host: Host, box: Space, option: str) -> None:
    before = Snapshot.take(host)
    offset = list(COMMANDS).index(option) % SHARE
    texts = hostile(host, TYPED)[offset::SHARE]
    with ThreadPoolExecutor(4) as pool:
        for done in pool.map(lambda text: host.weft(*COMMANDS[option](text, box), check=False), texts):
            assert done.returncode == 1 and done.stdout in ("", "[]\n")
            assert done.stderr.startswith("weft: ")
            # What is said of it cannot play with the terminal either.
            assert all(character.isprintable() or character == "\n" for character in done.stderr)
    assert_clean(before, host)


@pytest.mark.parametrize(
    "line", ["bridge.name = {}", "bridge.address = {}", "ports.bind = {}", "dns = [{}]", "dns_search = [{}]"]
)
def test_the_settings_refuse_them(hosts: Hosts, lan: Lan, line: str) -> None:
    """The agent does not start with them, and says which it is."""
    for number, text in enumerate(('x"; }', "a\nnameserver 203.0.113.9")):
        host = hosts.host(f"settings-{line.split()[0]}-{number}", lan)
        host.start_agent(line.format(json.dumps(text)), wait=False)
        assert host.agent.wait(10) == 1
        host.kill_agent()
        assert host.log.startswith("weft: ") and repr(text) in host.log
        assert str(host.config) in host.log
        assert rules(host) == []


# --- what is taken ------------------------------------------------------------------------------------------------


def printable(host: Host) -> list[str]:
    return [text for text in hostile(host, HOSTILE) if text.isprintable()]


def test_labels_and_options_are_kept_as_they_are(host: Host) -> None:
    """They stand in the record and nowhere in the kernel."""
    host.api.request("POST", "/v1/networks", NETWORK)
    plain = rules(host)
    host.api.request("DELETE", "/v1/networks/made")
    texts = {text or "empty": text for text in printable(host)}
    host.api.request("POST", "/v1/networks", NETWORK | {"labels": texts, "options": texts})
    assert rules(host) == plain
    shown = host.weft_json("network", "inspect", "made")[0]
    assert (shown["Labels"], shown["Options"]) == (texts, texts)
    host.api.request("DELETE", "/v1/networks/made")


def test_labels_with_control_characters_are_refused(host: Host) -> None:
    for field, text in product(("labels", "options"), ("a\nb", "a\0b", "\x1b[2J", "a\u202eb")):
        for pair in ({text: "x"}, {"x": text}):
            with pytest.raises(InvalidInput):
                host.api.request("POST", "/v1/networks", NETWORK | {field: pair})


def test_variables_and_arguments_reach_the_process_as_they_are(host: Host) -> None:
    """Newlines too; only a NUL cannot be in them."""
    texts = [text for text in hostile(host, HOSTILE) if "\0" not in text and text != "\ud800"]
    program = "import os, sys; print(ascii([os.environ['HOSTILE'], *sys.argv[1:]]))"
    host.weft("run", "-d", "--name", "job", f"--env=HOSTILE={texts[0]}", "--", sys.executable, "-c", program, *texts)
    wait_for_log(host, "job", ascii([texts[0], *texts]))
    host.weft("rm", "-f", "job")
    for body in ({"env": {"A": "a\0b"}}, {"command": ["a\0b"]}, {"env": {"A" * 200_000: ""}}):
        with pytest.raises(InvalidInput):
            host.api.request("POST", "/v1/containers", {"command": ["true"]} | body)


def test_words_of_nft_are_names_like_others(host: Host, box: Space) -> None:
    """The rules differ from those of an ordinary name by the name alone."""

    def rules_with(bridge: str, owner: str) -> list[str]:
        host.api.request("POST", "/v1/networks", NETWORK | {"name": owner, "bridge": bridge})
        body = {"name": owner, "networks": [owner], "netns": box.path, "publish": ["8080:80"], "aliases": [owner]}
        host.api.request("POST", "/v1/attachments", body | {"interface": bridge})
        port = host.api.request("GET", f"/v1/containers/{owner}")["NetworkSettings"]["Networks"][owner]["EndpointID"]
        found = "\n".join(rules(host)).replace(f"wv{port[:12]}", "PORT")
        assert box.ping("10.78.0.1") and box.ping("fd00:78::1")
        assert box.interfaces() == ["lo", bridge]
        host.api.request("DELETE", f"/v1/attachments/{owner}")
        host.api.request("DELETE", f"/v1/networks/{owner}")
        found = re.sub(rf'comment "(network )?{re.escape(owner)}(?=[" ])', r"comment \1OWNER", found)
        return sorted(found.replace(f'"{bridge}"', "BRIDGE").splitlines())

    clean = rules(host)
    plain = rules_with("br-plain", "plain")
    for word in KEYWORDS:
        owner = word if word[0].isalnum() else f"x{word}"
        assert rules_with(word, owner) == plain, word
    assert rules(host) == clean


def test_the_longest_names_fit_everywhere(host: Host) -> None:
    """A comment of nftables has 127 characters, and two names make more than that."""
    names = ["a" * 63, "b" * 63]
    for name, link in zip(names, ([], ["--link", names[0]]), strict=True):
        host.weft("run", "-d", "--name", name, "--net", "app", "--expose", "80", *link, "--", "sleep", "1000")
    host.inside(names[0]).serve_tcp(80, b"linked")
    target = host.api.request("GET", f"/v1/containers/{names[0]}")["NetworkSettings"]["Networks"]["app"]
    for address in (target["IPAddress"], target["GlobalIPv6Address"]):
        assert host.inside(names[1]).connect(address, 80).data == b"linked"
    assert f'comment "link {names[1]} to {names[0]}'[:100] in " ".join(rules(host))
    host.weft("rm", "-f", *names)
