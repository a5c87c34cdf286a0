"""No query of a container on internal networks goes upstream, whatever happens to agent, name server and resolv.conf.

Elsewhere the embedded resolver forwarded them from the host's own namespace, where nothing was internal any more
(CVE-2024-29018).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import product

import pytest

from tests.names import dnsclient
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing import sweep
from weft.testing.capture import Capture
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

#: Gateways of the two internal networks, IPv4 and IPv6.
VAULT, SAFE = ("172.30.0.1", "fd00:30::1"), ("172.31.0.1", "fd00:31::1")
KINDS = (dnsclient.A, dnsclient.AAAA, dnsclient.PTR, dnsclient.MX, 16, 65, 255)
QUICK = 0.3


@pytest.fixture(scope="module")
def upstream(hosts: Hosts, lan: Lan) -> Outside:
    """The host's name server."""
    upstream = hosts.outside("upstream", lan)
    upstream.serve_udp(53, b"answered")
    upstream.serve_tcp(53, b"answered")
    return upstream


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan, upstream: Outside) -> Host:
    host = hosts.host("h1", lan)
    host.resolv_conf.write_text(f"search corp.example\nnameserver {upstream.address}\nnameserver {upstream.address6}\n")
    host.start_agent()
    for name, (v4, v6) in {"vault": VAULT, "safe": SAFE}.items():
        subnets = ("--subnet", f"{v4[:-1]}0/24", "--subnet", f"{v6[:-1]}/64")
        host.weft("network", "create", "--internal", *subnets, name)
    host.weft("network", "create", "--subnet", "172.32.0.0/24", "open")
    return host


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    """A container on an internal network, with a default route that it made itself."""
    box = run(host, "box", "--net", "vault")
    for gateway in VAULT:
        box.run("ip", "route", "add", "default", "via", gateway)
    return box


@pytest.fixture(scope="module")
def free(host: Host) -> Space:
    """A container whose queries do go upstream."""
    return run(host, "free", "--net", "open")


def run(host: Host, name: str, *options: str) -> Space:
    host.weft("run", "-d", "--name", name, *options, "--", "sleep", "1000")
    return host.inside(name)


@pytest.fixture
def silence(host: Host, upstream: Outside, free: Space) -> Iterator[None]:
    """No query with a 'secret' in it left the host meanwhile; a later one of another container is the witness."""
    with Capture(upstream, lambda packet: b"secret" in packet.frame or b"witness" in packet.frame) as capture:
        yield
        eventually(lambda: ask(free, "172.32.0.1", "witness.example") or seen(capture, b"witness"))
        assert not seen(capture, b"secret")


def seen(capture: Capture, what: bytes) -> bool:
    return any(what in packet.frame for packet in capture.seen)


def ask(box: Space, server: str, name: str, kind: int = dnsclient.A) -> dnsclient.Answer | None:
    """Ask by UDP; None if nothing that is an answer comes back."""
    data = box.send_udp(server, 53, dnsclient.query(name, kind), timeout=QUICK).data
    return dnsclient.parse(data) if len(data) > 12 else None


def is_refused(box: Space, gateway: str = VAULT[0], name: str = "secret.example", kind: int = dnsclient.A) -> bool:
    """Whether the gateway answers at once that there is no such name."""
    answer = ask(box, gateway, name, kind)
    return answer is not None and answer.rcode == dnsclient.NXDOMAIN


def test_every_kind_of_query_is_answered_by_the_host_alone(silence: None, box: Space) -> None:
    names = ("secret.example", "secret", "secret.corp.example", "secret." + "x" * 60 + ".example", "secret.vault")
    for gateway, name, kind in product(VAULT, names, KINDS):
        assert is_refused(box, gateway, name, kind), (gateway, name, kind)
    for gateway in VAULT:
        answer = box.call(partial(dnsclient.ask_tcp, gateway, "secret.example"))
        assert answer.rcode == dnsclient.NXDOMAIN
        assert ask(box, gateway, "box.vault") == (dnsclient.NOERROR, box.addresses(version=4))


def test_programs_inside_get_no_further(silence: None, host: Host, box: Space) -> None:
    for name in ("secret.example", "secret"):
        assert host.weft("exec", "box", "--", "getent", "ahosts", name, check=False).returncode != 0
    assert host.weft("exec", "box", "--", "getent", "ahosts", "box").stdout.startswith(tuple(box.addresses()))


def test_no_other_server_is_reached(silence: None, host: Host, upstream: Outside, box: Space, free: Space) -> None:
    """Neither the upstream itself, nor the servers of other networks at their addresses or ports."""
    servers = [upstream.address, upstream.address6, host.address, host.address6, "172.32.0.1", *SAFE]
    query = dnsclient.query("secret.example")
    by_udp = [partial(box.send_udp, server, 53, query, timeout=QUICK) for server in servers]
    by_udp += [partial(box.send_udp, VAULT[0], port, query, timeout=QUICK) for port in (5301, 5302, 853)]
    by_tcp = [partial(box.connect, server, 53, timeout=QUICK) for server in servers]
    assert [answer.data for answer in together(*by_udp, *by_tcp) if answer.data] == []


def test_servers_of_its_own_do_not_count(silence: None, host: Host, upstream: Outside) -> None:
    both = run(
        host, "both", "--net", "vault", "--net", "safe", "--dns", upstream.address, "--dns-search", "secret.example"
    )
    for gateway in (*VAULT, *SAFE):
        assert is_refused(both, gateway)
        assert ask(both, gateway, "both.safe") == (dnsclient.NOERROR, both.addresses("eth1", 4))
    host.weft("rm", "-f", "both")


def test_after_a_network_that_is_open_it_is_silent_again(
    host: Host, upstream: Outside, box: Space, silence: None
) -> None:
    with Capture(upstream, lambda packet: b"harmless" in packet.frame) as capture:
        host.weft("network", "connect", "open", "box")
        ask(box, VAULT[0], "harmless.example")
        eventually(lambda: seen(capture, b"harmless"))
    host.weft("network", "disconnect", "open", "box")
    assert is_refused(box)


def test_it_stays_silent_while_the_agent_is_away_and_after(
    silence: None, host: Host, upstream: Outside, box: Space
) -> None:
    host.kill_agent()
    assert is_refused(box)
    host.resolv_conf.write_text(f"nameserver {upstream.address6}\n")
    host.start_agent()
    assert is_refused(box)
    host.resolv_conf.write_text(f"nameserver {upstream.address}\n")
    for _ in range(20):
        assert is_refused(box)


def test_it_stays_silent_when_name_servers_die(silence: None, host: Host, box: Space) -> None:
    for pid, command in sweep.inside([host.inode]).items():
        if "dnsmasq" in command:
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_refused(box))
