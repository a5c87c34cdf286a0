"""``weft inspect``: the fields that people's scripts read from an engine's inspect."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from weft.testing.hosts import Host


@pytest.fixture(scope="module")
def inspected(host: Host) -> dict[str, Any]:
    host.weft("network", "create", "app", "--subnet", "10.47.0.0/24", "--subnet", "fd00:47::/64")
    host.weft("network", "create", "back", "--subnet", "10.48.0.0/24")
    host.weft(
        "run", "-d", "--name", "web", "--net", "app", "--net", "back", "--ip", "10.47.0.10", "--ip6", "fd00:47::10",
        "-p", "127.0.0.1:8080:80", "--expose", "9000/udp", "-e", "COLOUR=red", "-h", "www", "--", "sleep", "1000",
    )  # fmt: skip
    (found,) = host.weft_json("inspect", "web")
    assert isinstance(found, dict)
    return found


def test_addresses(inspected: dict[str, Any]) -> None:
    settings = inspected["NetworkSettings"]
    assert settings["IPAddress"] == "10.47.0.10" and settings["IPPrefixLen"] == 24
    assert settings["Gateway"] == "10.47.0.1"
    assert settings["GlobalIPv6Address"] == "fd00:47::10" and settings["GlobalIPv6PrefixLen"] == 64
    assert settings["IPv6Gateway"] == "fd00:47::1"
    assert settings["MacAddress"] == "02:42:0a:2f:00:0a"


def test_each_network(host: Host, inspected: dict[str, Any]) -> None:
    networks = inspected["NetworkSettings"]["Networks"]
    assert list(networks) == ["app", "back"]
    assert networks["app"]["IPAddress"] == "10.47.0.10"
    assert networks["back"]["IPAddress"].startswith("10.48.0.") and networks["back"]["IPPrefixLen"] == 24
    for name, entry in networks.items():
        (network,) = host.weft_json("network", "inspect", name)
        assert entry["NetworkID"] == network["Id"]
        member = network["Containers"][inspected["Id"]]
        assert member["MacAddress"] == entry["MacAddress"] and member["EndpointID"] == entry["EndpointID"]
        assert member["IPv4Address"] == f"{entry['IPAddress']}/24"


def test_ports(inspected: dict[str, Any]) -> None:
    assert inspected["NetworkSettings"]["Ports"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "9000/udp": None,
    }


def test_the_sandbox_key_leads_into_the_namespace(host: Host, inspected: dict[str, Any]) -> None:
    key = inspected["NetworkSettings"]["SandboxKey"]
    shown = host.run("nsenter", f"--net={key}", "ip", "-br", "address", "show", "eth0").stdout
    assert shown.split()[2] == "10.47.0.10/24"
    assert os.stat(key).st_ino == os.stat(f"/proc/{inspected['State']['Pid']}/ns/net").st_ino


def test_configuration(inspected: dict[str, Any]) -> None:
    assert inspected["Name"] == "/web"
    assert inspected["State"]["Running"] is True and inspected["State"]["Status"] == "running"
    assert inspected["Config"]["Hostname"] == "www"
    assert "COLOUR=red" in inspected["Config"]["Env"]
    assert inspected["Config"]["Cmd"] == ["sleep", "1000"]


def test_several_by_name_and_by_id(host: Host, inspected: dict[str, Any]) -> None:
    found = host.weft_json("inspect", "web", inspected["Id"][:12], inspected["Id"])
    assert [entry["Id"] for entry in found] == [inspected["Id"]] * 3


def test_an_unknown_one_is_refused(host: Host) -> None:
    done = host.weft("inspect", "nobody", check=False)
    assert done.returncode == 1 and json.loads(done.stdout) == []  # as the engines print it
    assert "no container 'nobody'" in done.stderr


def test_after_its_end_nothing_is_claimed(host: Host, inspected: dict[str, Any]) -> None:
    host.weft("stop", "web")
    (found,) = host.weft_json("inspect", "web")
    settings = found["NetworkSettings"]
    assert (settings["IPAddress"], settings["SandboxKey"], settings["Networks"]) == ("", "", {})
    assert found["State"]["Running"] is False and found["State"]["ExitCode"] == 143
