"""Each container has a host name, a hosts file and a resolv.conf of its own, which follow what they depend on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.names import dnsclient
from tests.scenarios.refusals import refusal
from tests.scenarios.waiting import eventually
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.probes import Server

GATEWAYS = ("172.30.0.1", "fd00:30::1")


@pytest.fixture(scope="module", autouse=True)
def network(host: Host) -> None:
    host.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "app")


@pytest.fixture
def resolv_conf(host: Host) -> Iterator[None]:
    """What the host's says is put back after the test."""
    before = host.resolv_conf.read_text()
    yield
    host.resolv_conf.write_text(before)


def run(host: Host, name: str, *options: str) -> str:
    host.weft("run", "-d", "--name", name, "--net", "app", *options, "--", "sleep", "1000")
    return name


def shell(host: Host, name: str, script: str) -> str:
    return host.weft("exec", name, "sh", "-ec", script).stdout


def words(host: Host, name: str, file: str, first: str) -> list[str]:
    """Return the words of the line of a file that begins with ``first``; none if there is no such line."""
    lines = shell(host, name, f"cat /etc/{file}").splitlines()
    return next((line.split()[1:] for line in lines if line.split()[:1] == [first]), [])


# --- hostname and hosts -------------------------------------------------------------------------------------------


def test_a_container_has_the_host_name_that_it_was_given(host: Host) -> None:
    name = run(host, "named", "-h", "www.example.org")
    assert shell(host, name, "hostname; hostname -f; cat /etc/hostname").split() == ["www.example.org"] * 3
    for address in host.inside(name).addresses():
        assert words(host, name, "hosts", address) == ["www.example.org", "www", "named"]


def test_otherwise_its_name_is_the_beginning_of_its_id(host: Host) -> None:
    name = run(host, "plain")
    identifier = host.weft_json("inspect", name)[0]["Id"]
    assert shell(host, name, "hostname; cat /etc/hostname").split() == [identifier[:12]] * 2
    assert words(host, name, "hosts", "127.0.0.1") == ["localhost"]
    assert words(host, name, "hosts", "::1")[0] == "localhost"


def test_the_files_are_its_own(host: Host) -> None:
    """Other containers and the host have others; the host's do not change."""
    files = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
    before = [host.run("cat", file).stdout for file in files]
    for name in ("one", "two"):
        run(host, name)
        shell(host, name, "for f in hosts resolv.conf hostname; do echo '# mine' >> /etc/$f; done")
    contents = [host.weft("exec", name, "cat", *files).stdout for name in ("one", "two")]
    assert contents[0] != contents[1]
    assert [host.run("cat", file).stdout for file in files] == before


def test_hosts_follows_the_networks_of_the_container(host: Host) -> None:
    name = run(host, "mover", "-h", "mover.example")
    host.weft("network", "create", "--subnet", "172.31.0.0/24", "second")
    host.weft("network", "connect", "--ip", "172.31.0.9", "second", name)
    assert words(host, name, "hosts", "172.31.0.9") == ["mover.example", "mover"]
    host.weft("network", "disconnect", "second", name)
    assert words(host, name, "hosts", "172.31.0.9") == []


# --- resolv.conf --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(hosts: Hosts, lan: Lan) -> Server:
    """The server that the host's resolv.conf names."""
    return hosts.internet.serve_udp(53, address=lan.gateway)


@pytest.fixture(scope="module")
def other(eve: Outside) -> Server:
    """Another one, eve's."""
    return eve.serve_udp(53, address=eve.address)


def arrives(host: Host, name: str, server: Server, question: str) -> bool:
    """Ask what the container's resolv.conf says for a name; return whether ``server`` has been asked for it."""
    for address in words(host, name, "resolv.conf", "nameserver"):
        host.inside(name).send_udp(address, 53, dnsclient.query(question), timeout=0.05)
    return any(label.encode() in query for query in server.received for label in question.split(".")[:1])


def test_without_an_option_the_hosts_servers_are_used(host: Host, upstream: Server) -> None:
    """By way of the gateway, over IPv4 and IPv6."""
    name = run(host, "client")
    lines = shell(host, name, "cat /etc/resolv.conf").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("nameserver")] == list(GATEWAYS)
    for number, gateway in enumerate(GATEWAYS):
        host.inside(name).send_udp(gateway, 53, dnsclient.query(f"question{number}.example"), timeout=0.05)
        eventually(lambda number=number: any(b"question%d" % number in query for query in upstream.received))


@pytest.mark.usefixtures("resolv_conf")
def test_containers_follow_the_hosts_resolv_conf(host: Host, eve: Outside, other: Server) -> None:
    """Live: search domains and options in the file, servers in what is asked."""
    name = run(host, "follower")
    host.resolv_conf.write_text(f"nameserver {eve.address}\nsearch corp.example\noptions timeout:3\n")
    eventually(lambda: words(host, name, "resolv.conf", "search") == ["corp.example"])
    assert "timeout:3" in words(host, name, "resolv.conf", "options")
    eventually(lambda: arrives(host, name, other, "followed.example"))
    assert words(host, run(host, "newcomer"), "resolv.conf", "search") == ["corp.example"]


@pytest.mark.usefixtures("resolv_conf")
def test_a_container_that_set_its_own_keeps_them(host: Host, eve: Outside, upstream: Server, other: Server) -> None:
    name = run(host, "own", "--dns", eve.address, "--dns-search", "mine.example")
    witness = run(host, "witness")
    eventually(lambda: arrives(host, name, other, "mine-before.example"))
    before = shell(host, name, "cat /etc/resolv.conf")
    assert words(host, name, "resolv.conf", "search") == ["mine.example"]
    host.resolv_conf.write_text(host.resolv_conf.read_text() + "search corp.example\n")
    eventually(lambda: words(host, witness, "resolv.conf", "search") == ["corp.example"])
    assert shell(host, name, "cat /etc/resolv.conf") == before
    eventually(lambda: arrives(host, name, other, "mine-after.example"))
    assert not any(b"mine-" in query for query in upstream.received)


def test_no_search_domain_at_all_can_be_asked_for(host: Host) -> None:
    assert words(host, run(host, "searchless", "--dns-search", "."), "resolv.conf", "search") == []


@pytest.mark.usefixtures("resolv_conf")
def test_a_stub_on_the_hosts_loopback_is_reached_by_way_of_the_gateway(host: Host) -> None:
    """127.0.0.53 inside would be the container itself."""
    stub = host.serve_udp(53, address="127.0.0.53")
    name = run(host, "stubbed")
    host.resolv_conf.write_text("nameserver 127.0.0.53\n")
    eventually(lambda: arrives(host, name, stub, "stubbed.example"))
    for container in (name, run(host, "stubbed-later")):
        assert "127.0.0." not in shell(host, container, "cat /etc/resolv.conf")


def test_containers_of_others_are_left_their_files(host: Host) -> None:
    """weft attaches to the network alone; whoever made the namespace sees to its files."""
    box = host.container("box")
    host.weft("attach", "--netns", box.path, "--name", "box", "--net", "app")
    assert host.weft("exec", "box", "cat", "/etc/hosts").stdout == host.run("cat", "/etc/hosts").stdout


def test_what_cannot_be_is_refused(host: Host) -> None:
    for option, value in (
        ("-h", "a b"),
        ("-h", "-x"),
        ("--dns", "nowhere"),
        ("--dns-search", "a b"),
        ("--dns", "1.2.3"),
    ):
        said = refusal(
            host,
            "run",
            "-d",
            "--net",
            "app",
            f"{option}={value}" if option[1] == "-" else f"{option}{value}",
            "--",
            "true",
        )
        assert value in said
