"""``--link db:database``: the receiver knows the other container by alias, name and id, in files and variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.refusals import refusal
from weft.testing.hosts import Host


@pytest.fixture(scope="module")
def db(host: Host) -> dict[str, Any]:
    """A container that serves on two ports, on a network with IPv4 and IPv6."""
    host.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "app")
    ports = ("--expose", "5432", "--expose", "5353/udp")
    host.weft("run", "-d", "--name", "db", "--net", "app", *ports, "-e", "USER=joe", "--", "sleep", "1000")
    return inspected(host, "db")


@pytest.fixture(scope="module")
def web(host: Host, db: dict[str, Any]) -> str:
    """The receiver."""
    host.weft("run", "-d", "--name", "web", "--net", "app", "--link", "db:data-base", "--", "sleep", "1000")
    return "web"


def inspected(host: Host, name: str) -> dict[str, Any]:
    (found,) = host.weft_json("inspect", name)
    return {"id": found["Id"], "env": found["Config"]["Env"], **found["NetworkSettings"]}


def hosts_file(host: Host, name: str) -> dict[str, list[str]]:
    """Return what a container's /etc/hosts says, as address → names."""
    lines = host.weft("exec", name, "cat", "/etc/hosts").stdout.splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines)}


def variables(host: Host, name: str, prefix: str) -> dict[str, str]:
    lines = host.weft("exec", name, "env").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith(prefix))


#: PORT is the one with the lowest number.
EXPECTED = {
    "DATA_BASE_NAME": "/web/data-base",
    "DATA_BASE_PORT": "udp://172.30.0.2:5353",
    "DATA_BASE_PORT_5432_TCP": "tcp://172.30.0.2:5432",
    "DATA_BASE_PORT_5432_TCP_ADDR": "172.30.0.2",
    "DATA_BASE_PORT_5432_TCP_PORT": "5432",
    "DATA_BASE_PORT_5432_TCP_PROTO": "tcp",
    "DATA_BASE_PORT_5353_UDP": "udp://172.30.0.2:5353",
    "DATA_BASE_PORT_5353_UDP_ADDR": "172.30.0.2",
    "DATA_BASE_PORT_5353_UDP_PORT": "5353",
    "DATA_BASE_PORT_5353_UDP_PROTO": "udp",
    "DATA_BASE_ENV_USER": "joe",
}


def test_hosts_has_alias_name_and_id(host: Host, db: dict[str, Any], web: str) -> None:
    found = hosts_file(host, web)
    assert found[db["IPAddress"]] == found[db["GlobalIPv6Address"]] == ["data-base", "db", db["id"][:12]]


@pytest.mark.parametrize("name", ["data-base", "db"])
def test_the_names_lead_to_the_container(host: Host, web: str, name: str) -> None:
    port = host.inside("db").serve_tcp(payload=b"data").port
    told = host.weft("exec", web, "bash", "-c", f"cat < /dev/tcp/{name}/{port}").stdout
    assert told == "data"


def test_the_environment_is_that_of_docker(host: Host, web: str) -> None:
    """In the container's own command (whose environment is that of process 2 inside), in further ones, in inspect."""
    own = host.weft("exec", web, "cat", "/proc/2/environ").stdout.split("\0")
    assert {line for line in own if line.startswith("DATA_BASE_")} == {f"{k}={v}" for k, v in EXPECTED.items()}
    assert variables(host, web, "DATA_BASE_") == EXPECTED
    assert {f"{name}={value}" for name, value in EXPECTED.items()} <= set(inspected(host, web)["env"])


def test_a_namespace_of_others_gets_the_environment_in_exec(host: Host, db: dict[str, Any]) -> None:
    box = host.container("box")
    request = {"netns": box.path, "name": "box", "networks": ["app"], "links": ["db"]}
    host.api.request("POST", "/v1/attachments", request)
    found = variables(host, "box", "DB_")
    assert (found["DB_NAME"], found["DB_PORT_5432_TCP_ADDR"], found["DB_ENV_USER"]) == ("/box/db", "172.30.0.2", "joe")


def test_where_there_is_no_ipv4_the_variables_have_the_ipv6_address(host: Host) -> None:
    host.weft("network", "create", "--subnet", "fd00:6::/64", "six")
    host.weft("run", "-d", "--name", "db6", "--net", "six", "--expose", "80", "--", "sleep", "1000")
    host.weft("run", "-d", "--name", "web6", "--net", "six", "--link", "db6:d", "--", "sleep", "1000")
    assert variables(host, "web6", "D_PORT_80_TCP") == {
        "D_PORT_80_TCP": "tcp://[fd00:6::2]:80",
        "D_PORT_80_TCP_ADDR": "fd00:6::2",
        "D_PORT_80_TCP_PORT": "80",
        "D_PORT_80_TCP_PROTO": "tcp",
    }
    assert hosts_file(host, "web6")["fd00:6::2"][0] == "d"


def test_no_host_port_is_published(host: Host, web: str) -> None:
    assert host.weft("port", "db").stdout == host.weft("port", web).stdout == ""
    assert inspected(host, "db")["Ports"] == {"5432/tcp": None, "5353/udp": None}
    host.inside("db").serve_tcp(5432)
    for address in (host.address, host.address6, "127.0.0.1"):
        assert host.connect(address, 5432, timeout=0.3).outcome == "refused"


def test_hosts_follows_when_the_other_restarts_with_another_address(host: Host, db: dict[str, Any], web: str) -> None:
    """At once: when 'start' has answered, the file says it; and it is the same file, seen by what runs already."""
    host.weft("stop", "-t", "0", "db")
    assert not any("data-base" in names for names in hosts_file(host, web).values())
    host.weft("run", "-d", "--name", "squatter", "--net", "app", "--ip", "172.30.0.2", "--ip6", "fd00:30::2",
              "--", "sleep", "1000")  # fmt: skip
    host.weft("start", "db")
    now = inspected(host, "db")
    assert (now["IPAddress"], now["GlobalIPv6Address"]) != (db["IPAddress"], db["GlobalIPv6Address"])
    found = hosts_file(host, web)
    assert found[now["IPAddress"]] == found[now["GlobalIPv6Address"]] == ["data-base", "db", db["id"][:12]]
    assert db["IPAddress"] not in found and db["GlobalIPv6Address"] not in found
    assert variables(host, web, "DATA_BASE_PORT_5432_TCP_ADDR").popitem()[1] == now["IPAddress"]


def test_links_that_cannot_be_are_refused(host: Host, web: str) -> None:
    host.weft("network", "create", "other")
    run = ("run", "-d", "--name", "x", "--net")
    assert "no container 'nobody'" in refusal(host, *run, "app", "--link", "nobody:n", "--", "true")
    assert "no common network" in refusal(host, *run, "other", "--link", "db", "--", "true")
    assert "no common network" in refusal(host, *run, "host", "--link", "db", "--", "true")
    assert "empty alias" in refusal(host, *run, "app", "--link", "db:", "--", "true")
    assert "not allowed" in refusal(host, *run, "app", "--link", "db:a b", "--", "true")
