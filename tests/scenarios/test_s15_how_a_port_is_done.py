"""Somebody looks at how published ports are done, and whose they are."""

from __future__ import annotations

import pytest

from weft.testing.hosts import Host, Outside

from .waiting import eventually


@pytest.fixture(scope="module")
def translations(host: Host) -> dict[str, str]:
    """What is expected, element by map, of two containers that publish in all the ways in which a port can be bound."""
    host.weft("network", "create", "app", "--subnet", "10.15.0.0/24", "--subnet", "fd00:15::/64")
    for number, name, ports in (
        (8, "web", ["8080:80"]),
        (9, "db", [f"{host.address}:8053:53/udp", f"[{host.address6}]:8054:54", "127.0.0.1:8055:55"]),
    ):
        box = host.container(name)
        host.weft(
            "attach", "--netns", box.path, "--name", name, "--net", "app", "--ip", f"10.15.0.{number}",
            "--ip6", f"fd00:15::{number}", *(word for port in ports for word in ("-p", port)),
        )  # fmt: skip
    return {
        'tcp . 8080 comment "web 8080->80/tcp" : 10.15.0.8 . 80': "publish_any4",
        'tcp . 8080 comment "web 8080->80/tcp" : fd00:15::8 . 80': "publish_any6",
        f'udp . {host.address} . 8053 comment "db 8053->53/udp" : 10.15.0.9 . 53': "publish4",
        f'tcp . {host.address6} . 8054 comment "db 8054->54/tcp" : fd00:15::9 . 54': "publish6",
        'tcp . 127.0.0.1 . 8055 comment "db 8055->55/tcp" : 10.15.0.9 . 55': "publish_loopback4",
    }


def _listed(host: Host) -> str:
    return host.run("nft", "list", "table", "inet", "weft").stdout


def test_the_plan_shows_them_as_commands(host: Host, translations: dict[str, str]) -> None:
    plans = {name: host.weft("plan", name).stdout.splitlines() for name in ("web", "db")}
    whole = host.weft("plan").stdout.splitlines()
    for element, table in translations.items():
        command = f"nft add element inet weft {table} '{{ {element} }}'"
        owner = "web" if '"web' in element else "db"
        assert command in plans[owner] and command in whole
        assert command not in plans["db" if owner == "web" else "web"]


def test_a_dry_run_shows_them_beforehand(host: Host) -> None:
    shown = host.weft("run", "--dry-run", "--name", "next", "--net", "app", "-p", "8090:90", "--", "true").stdout
    assert 'nft add element inet weft publish_any4 \'{ tcp . 8090 comment "next 8090->90/tcp" : 10.15.0.' in shown
    assert "8090" not in _listed(host)


def test_the_kernel_shows_them_with_their_owners(host: Host, translations: dict[str, str]) -> None:
    for element, table in translations.items():
        assert element in host.run("nft", "list", "map", "inet", "weft", table).stdout
        assert element in _listed(host)


def test_the_kernel_shows_what_uses_them(host: Host, translations: dict[str, str]) -> None:
    lines = [line for line in _listed(host).splitlines() if "dnat" in line and "map @publish" in line]
    assert {line.split("map @")[1].split()[0] for line in lines} == set(translations.values())
    assert all('comment "published on ' in line for line in lines)


def test_inspect_shows_them(host: Host, translations: dict[str, str]) -> None:
    web, db = (host.weft_json("inspect", name)[0]["NetworkSettings"]["Ports"] for name in ("web", "db"))
    assert web == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]}
    assert db == {
        "53/udp": [{"HostIp": host.address, "HostPort": "8053"}],
        "54/tcp": [{"HostIp": host.address6, "HostPort": "8054"}],
        "55/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8055"}],
    }


def test_what_is_shown_is_what_happens(host: Host, eve: Outside, translations: dict[str, str]) -> None:
    """Taking one element away by hand closes that port; weft puts it back."""
    host.inside("web").serve_tcp(80, b"web")
    assert eve.connect(host.address, 8080).data == b"web"
    host.run("nft", "delete", "element", "inet", "weft", "publish_any4", "{ tcp . 8080 }")
    eventually(lambda: eve.connect(host.address, 8080).data == b"web")
    assert 'comment "web 8080->80/tcp" : 10.15.0.8 . 80' in _listed(host)


def test_nothing_is_shown_of_what_is_gone(host: Host, translations: dict[str, str]) -> None:
    host.weft("detach", "web")
    shown = _listed(host)
    assert "web" not in shown and "10.15.0.8" not in shown and "fd00:15::8 " not in shown
    assert '"db 8053->53/udp"' in shown
