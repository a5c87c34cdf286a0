"""Containers have names, each its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from weft.testing.hosts import Host

from .refusals import refusal

RUN = ("run", "-d", "--name")
SLEEP = ("--", "sleep", "1000")


@pytest.fixture(scope="module")
def host(host: Host) -> Host:
    host.weft("network", "create", "app")
    return host


@pytest.fixture
def web(host: Host) -> Iterator[str]:
    """A container 'web'; the value is its id."""
    yield host.weft(*RUN, "web", "--net", "app", *SLEEP).stdout.strip()
    host.weft("rm", "-f", "web", check=False)


def _ids(host: Host) -> list[str]:
    return host.weft("ps", "-aq").stdout.split()


def test_a_clash_says_who_has_the_name(host: Host, web: str) -> None:
    box = host.container("box")
    for command in (
        (*RUN, "web", *SLEEP),
        (*RUN, "web", "--net", "none", *SLEEP),
        ("attach", "--netns", box.path, "--name", "web", "--net", "app"),
    ):
        said = refusal(host, *command)
        assert "'web'" in said and web[:12] in said
    assert box.interfaces() == ["lo"]
    assert _ids(host) == [web[:12]]


def test_a_name_is_taken_until_its_container_is_removed(host: Host, web: str) -> None:
    host.weft("stop", "web")
    assert web[:12] in refusal(host, *RUN, "web", *SLEEP)
    host.weft("rm", "web")
    again = host.weft(*RUN, "web", "--net", "app", *SLEEP).stdout.strip()
    assert again != web
    assert host.weft_json("inspect", "web")[0]["Id"] == again


def test_an_attached_namespace_gives_its_name_back(host: Host) -> None:
    first, second = host.container("first"), host.container("second")
    host.weft("attach", "--netns", first.path, "--name", "blue", "--net", "app")
    (identifier,) = _ids(host)
    said = refusal(host, "attach", "--netns", second.path, "--name", "blue", "--net", "app")
    assert "'blue'" in said and identifier in said
    host.weft("detach", "blue")
    host.weft("attach", "--netns", second.path, "--name", "blue", "--net", "app")
    assert second.addresses() and not first.addresses()
    host.weft("detach", "blue")


def test_a_refused_start_gives_its_name_back(host: Host) -> None:
    refusal(host, *RUN, "web", "--net", "app", "--ip", "203.0.113.1", *SLEEP)
    refusal(host, *RUN, "web", "--net", "app", "--", "/no/such/program")
    host.weft(*RUN, "web", *SLEEP)
    host.weft("rm", "-f", "web")


def test_of_many_at_once_one_gets_the_name(host: Host) -> None:
    boxes = [host.container(f"many{number}") for number in range(8)]
    with ThreadPoolExecutor(len(boxes)) as pool:
        codes = list(
            pool.map(
                lambda box: (
                    host.weft("attach", "--netns", box.path, "--name", "one", "--net", "app", check=False).returncode
                ),
                boxes,
            )
        )
    assert sorted(codes) == [0] + [1] * 7
    assert [bool(box.addresses()) for box in boxes] == [code == 0 for code in codes]
    host.weft("detach", "one")


def test_names_survive_the_agent(host: Host, web: str) -> None:
    host.restart_agent(kill=True)
    assert web[:12] in refusal(host, *RUN, "web", *SLEEP)


def test_without_a_name_one_is_made_up(host: Host) -> None:
    identifiers = [host.weft("run", "-d", *SLEEP).stdout.strip() for _ in range(2)]
    names = [row["name"] for row in host.weft_json("ps", "--format", "json")]
    assert sorted(names) == sorted(identifier[:12] for identifier in identifiers)
    host.weft("rm", "-f", *names)


def test_a_container_is_found_by_name_by_id_and_by_the_beginning_of_its_id(host: Host, web: str) -> None:
    for word in ("web", web, web[:12], web[:4]):
        assert host.weft_json("inspect", word)[0]["Id"] == web
    host.weft(*RUN, web[:12] + "x", "--net", "none", *SLEEP)  # a name is looked for before an id
    assert host.weft_json("inspect", web[:12] + "x")[0]["Id"] != web
    host.weft("rm", "-f", web[:12] + "x")
    assert "no container 'we'" in host.weft("inspect", "we", check=False).stderr


def test_the_name_leads_to_the_new_container_when_it_is_reused(host: Host, web: str) -> None:
    client = host.container("client")
    host.weft("attach", "--netns", client.path, "--name", "client", "--net", "app")
    asked = (
        "dig",
        "+short",
        f"@{host.weft_json('network', 'inspect', 'app')[0]['IPAM']['Config'][0]['Gateway']}",
        "web",
    )
    before = host.inside("web").addresses()
    assert client.run(*asked).stdout.split() == before
    host.weft("rm", "-f", "web")
    host.weft(*RUN, "web", "--net", "app", "--ip", re.sub(r"\d+$", "77", before[0]), *SLEEP)
    assert client.run(*asked).stdout.split() == host.inside("web").addresses() != before
    host.weft("detach", "client")


@pytest.mark.parametrize(
    "name",
    ["", "-x", "_", ".", "..", "../x", "a/b", "a b", "a;b", "a\nb", "$(id)", 'a"b', "a}b", "ä", "x" * 64, "*"],
)
def test_what_cannot_be_a_name_is_refused(host: Host, name: str) -> None:
    done = host.weft("run", "-d", f"--name={name}", *SLEEP, check=False)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("weft: ") and "Names start with a letter or digit" in done.stderr
    assert _ids(host) == []


@pytest.mark.parametrize("name", ["a", "7", "web-1", "web_1", "web.example.org", "x" * 63, "UPPER"])
def test_what_can_be_a_name_is_taken(host: Host, name: str) -> None:
    host.weft(*RUN, name, "--net", "none", *SLEEP)
    assert host.weft_json("ps", "--format", "json")[0]["name"] == name
    host.weft("rm", "-f", name)
