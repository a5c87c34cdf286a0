"""The host's resolv.conf is read as the C library reads it, and followed while it changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.agent.names.hostresolv import HostResolver
from weft.plan.resolvconf import ResolvConf, parse, without_stub

from .lab import OTHER_UPSTREAM, Lab, eventually


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolvConf()),
        ("# nameserver 1.1.1.1\n; nameserver 2.2.2.2\n", ResolvConf()),
        ("nameserver 1.1.1.1\nnameserver  fd00::1 # trailing\n", ResolvConf(servers=("1.1.1.1", "fd00::1"))),
        ("nameserver fe80::1%eth0\n", ResolvConf(servers=("fe80::1%eth0",))),
        ("nameserver\nnameserver name.example\nnameserver 999.1.1.1\n", ResolvConf()),
        ("search a\nsearch b c\n", ResolvConf(search=("b", "c"))),
        ("domain a\nsearch b\ndomain c\n", ResolvConf(search=("c",))),
        ("options edns0\noptions trust-ad edns0\n", ResolvConf(options=("edns0", "trust-ad"))),
        ("sortlist 1.2.3.4\n\0\nnonsense", ResolvConf()),
    ],
)
def test_parsing(text: str, expected: ResolvConf) -> None:
    assert parse(text) == expected


def test_the_stub_of_systemd_resolved_is_replaced_by_what_is_behind_it() -> None:
    stub = ResolvConf(servers=("127.0.0.53",), options=("trust-ad",))
    behind = ResolvConf(servers=("192.0.2.1", "192.0.2.2"))
    assert without_stub(stub, behind) == ResolvConf(servers=("192.0.2.1", "192.0.2.2"), options=("trust-ad",))
    assert without_stub(stub, ResolvConf()) == stub
    local = ResolvConf(servers=("127.0.0.1", "127.0.0.53", "192.0.2.1"))
    assert without_stub(local, behind).servers == ("127.0.0.1", "192.0.2.1", "192.0.2.2")


@pytest.fixture
def seen() -> list[ResolvConf]:
    return []


@pytest.fixture
def watched(tmp_path: Path, seen: list[ResolvConf]) -> Iterator[HostResolver]:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "real.conf").write_text("nameserver 192.0.2.1\n")
    (tmp_path / "resolv.conf").symlink_to("run/real.conf")
    resolver = HostResolver(tmp_path / "resolv.conf", tmp_path / "behind.conf", interval=0.05)
    resolver.watch(seen.append)
    yield resolver
    resolver.close()


def test_every_way_of_changing_the_file_is_noticed(
    watched: HostResolver, seen: list[ResolvConf], tmp_path: Path
) -> None:
    assert watched.conf.servers == ("192.0.2.1",)
    real, link = tmp_path / "run" / "real.conf", tmp_path / "resolv.conf"

    real.write_text("nameserver 192.0.2.2\n")  # in place
    assert eventually(lambda: watched.conf.servers == ("192.0.2.2",))
    (tmp_path / "new").write_text("nameserver 192.0.2.3\n")
    os.rename(tmp_path / "new", real)  # a new file behind the link
    assert eventually(lambda: watched.conf.servers == ("192.0.2.3",))
    (tmp_path / "other.conf").write_text("nameserver 127.0.0.53\n")
    link.unlink()
    link.symlink_to("other.conf")  # a new link
    assert eventually(lambda: watched.conf.servers == ("127.0.0.53",))
    (tmp_path / "behind.conf").write_text("nameserver 192.0.2.4\n")  # what is behind the stub
    assert eventually(lambda: watched.conf.servers == ("192.0.2.4",))
    link.unlink()  # none at all
    assert eventually(lambda: watched.conf == ResolvConf())
    assert seen[-1] == ResolvConf()


def test_a_change_that_means_nothing_is_not_reported(
    watched: HostResolver, seen: list[ResolvConf], tmp_path: Path
) -> None:
    real = tmp_path / "run" / "real.conf"
    real.write_text("# a comment\nnameserver 192.0.2.1\n")
    real.write_text("# a comment\nnameserver 192.0.2.1\nsearch corp\n")
    assert eventually(lambda: bool(seen))
    assert seen[-1] == ResolvConf(servers=("192.0.2.1",), search=("corp",))
    assert all(conf.search == ("corp",) for conf in seen)


def test_a_fifo_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "resolv.conf")
    assert HostResolver(tmp_path / "resolv.conf", tmp_path / "none").conf == ResolvConf()


def test_containers_ask_the_hosts_new_servers_within_a_second(lab: Lab, tmp_path: Path) -> None:
    first, second = lab.upstream(says="203.0.113.1"), lab.upstream(OTHER_UPSTREAM, "203.0.113.2")
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {first.address}\n")
    host = HostResolver(path, tmp_path / "none")
    lab.supervisor.follow_host(host.conf.servers)
    host.watch(lambda conf: lab.supervisor.follow_host(conf.servers))
    try:
        network = lab.network("shop_net", "10.91.1")
        lab.answer(network)
        web = lab.container("web", (network, 10))
        assert web.ask("one.example").values == ["203.0.113.1"]
        path.write_text(f"nameserver {second.address}\n")
        counter = iter(range(1000))
        assert eventually(lambda: web.ask(f"n{next(counter)}.example").values == ["203.0.113.2"], seconds=1.0)
    finally:
        host.close()


def test_a_server_on_the_hosts_own_loopback_can_be_asked(lab: Lab) -> None:
    """It cannot be reached from a container; weft's server, being on the host, asks it in the container's stead."""
    directory = lab.run_dir / "loopback"
    directory.mkdir()
    lab.host.sh(
        "dnsmasq --conf-file=/dev/null --no-hosts --no-resolv --user=root --address=/example/203.0.113.9"
        f" --listen-address=127.0.0.1 --bind-interfaces --pid-file={directory}/pid"
    )
    try:
        lab.supervisor.follow_host(["127.0.0.1"])
        network = lab.network("shop_net", "10.91.1")
        lab.answer(network)
        web = lab.container("web", (network, 10))
        assert eventually(lambda: web.ask("www.example").values == ["203.0.113.9"])
    finally:
        os.kill(int((directory / "pid").read_text()), 9)
