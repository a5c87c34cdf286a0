"""Host-wide defaults in weft.toml, and the same for one network: each changes what is observed."""

from __future__ import annotations

from functools import partial

import pytest

from tests.names import dnsclient
from tests.scenarios.refusals import refusal
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan, Outside
from weft.testing.probes import Server
from weft.testing.spaces import Space

QUICK = 0.3


@pytest.fixture(scope="module")
def resolver(eve: Outside) -> Server:
    """A name server of eve's that no resolv.conf names."""
    return eve.serve_udp(53, address=eve.address)


@pytest.fixture(scope="module")
def strict(hosts: Hosts, lan: Lan, eve: Outside) -> Host:
    """A host whose weft.toml changes every default that goes with filters and forwarding."""
    host = hosts.host("strict", lan)
    host.start_agent(f"""
        icc = false
        masquerade = false
        mtu = 1400
        dns = ["{eve.address}"]
        dns_search = ["corp.example"]
        bridge = {{ name = "br-default", address = "172.17.51.1/24", address6 = "fd00:51::1/64" }}
        ports = {{ bind = "{host.address}" }}
    """)
    return host


def attached(host: Host, name: str, *options: str) -> Space:
    box = host.container(name)
    host.weft("attach", "--netns", box.path, "--name", name, *options)
    box.serve_tcp(80, name.encode())
    return box


def reach_each_other(one: Space, two: Space) -> bool:
    return all(together(*(partial(one.ping, address, QUICK) for address in two.addresses())))


def mtu(space: Space, interface: str) -> int:
    return int(space.run_json("ip", "-j", "link", "show", "dev", interface)[0]["mtu"])


def asked(host: Host, name: str, gateway: str, server: Server) -> bool:
    """Ask the gateway for a name of its own; return whether ``server`` has been asked for it."""
    host.inside(name).send_udp(gateway, 53, dnsclient.query(f"by-{name}.example"), timeout=0.05)
    return any(f"by-{name}".encode() in query for query in server.received)


# --- weft.toml ----------------------------------------------------------------------------------------------------


def test_bridge_name_and_address(strict: Host) -> None:
    assert strict.addresses("br-default") == ["172.17.51.1", "fd00:51::1"]
    assert "weft0" not in strict.interfaces()


def test_icc_and_mtu_and_masquerading(strict: Host, eve: Outside) -> None:
    one, two = attached(strict, "one"), attached(strict, "two")
    assert not reach_each_other(one, two)
    assert [mtu(one, "eth0"), mtu(strict, "br-default")] == [1400, 1400]
    eve.run("ip", "route", "add", "172.17.51.0/24", "via", strict.address)
    assert one.connect(eve.address, eve.serve_tcp().port).text == one.addresses(version=4)[0]


def test_dns_and_dns_search(strict: Host, resolver: Server) -> None:
    strict.weft("run", "-d", "--name", "named", "--", "sleep", "1000")
    eventually(lambda: asked(strict, "named", "172.17.51.1", resolver))
    assert "search corp.example" in strict.weft("exec", "named", "cat", "/etc/resolv.conf").stdout


def test_the_address_that_ports_are_bound_to(strict: Host, eve: Outside) -> None:
    attached(strict, "bound", "-p", "8080:80")
    assert strict.weft("port", "bound").stdout == f"80/tcp -> {strict.address}:8080\n"
    assert eve.connect(strict.address, 8080).data == b"bound"
    assert eve.connect(strict.address6, 8080).outcome == strict.connect("127.0.0.1", 8080).outcome == "refused"


def test_a_network_can_say_otherwise(strict: Host, eve: Outside) -> None:
    """Switches are turned on again by their names without 'no-'."""
    strict.weft("network", "create", "--icc", "--masquerade", "--mtu", "1300", "--bind", "127.0.0.1",
                "--dns-search", "other.example", "--ipv6", "relaxed")  # fmt: skip
    three, four = (attached(strict, name, "--net", "relaxed") for name in ("three", "four"))
    assert reach_each_other(three, four)
    assert mtu(three, "eth0") == 1300
    assert three.connect(eve.address, eve.serve_tcp().port).text == strict.address
    attached(strict, "five", "--net", "relaxed", "-p", "8181:80")
    assert strict.connect("127.0.0.1", 8181).data == b"five"
    assert eve.connect(strict.address, 8181).outcome == "refused"


def test_forwarding_is_not_turned_on(hosts: Hosts, lan: Lan) -> None:
    host = hosts.host("idle", lan)
    host.start_agent("ip_forward = false")
    box = attached(host, "box")
    assert host.sysctl("net/ipv4/conf/eth0/forwarding") == "0" and not box.ping(INTERNET, QUICK)
    host.weft("network", "create", "--ip-forward", "--ipv6", "routed")
    routed = attached(host, "routed", "--net", "routed")
    assert routed.ping(INTERNET) and routed.ping(INTERNET6)
    assert not box.ping(INTERNET, QUICK)


def test_packet_filtering_is_off(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    """No table, no translation, no isolation and no published ports."""
    host = hosts.host("open", lan)
    host.start_agent("filter = false")
    host.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "app")
    one, two = attached(host, "one"), attached(host, "two", "--net", "app")
    assert host.run("nft", "list", "ruleset").stdout == ""
    assert one.ping(two.addresses(version=4)[0])
    eve.run("ip", "route", "add", "172.30.0.0/24", "via", host.address)
    assert two.connect(eve.address, eve.serve_tcp().port).text == two.addresses(version=4)[0]
    assert "filtering is off" in refusal(host, "run", "-d", "-p", "80", "--", "true")
    assert "no filters" in refusal(host, "network", "create", "--filter", "x")


# --- one network --------------------------------------------------------------------------------------------------


def test_bridge_name_and_address_of_a_network(host: Host) -> None:
    host.weft(
        "network", "create", "--bridge", "br-one", "--subnet", "172.40.0.0/24", "--gateway", "172.40.0.254", "one"
    )
    assert host.addresses("br-one") == ["172.40.0.254"]
    assert "br-one" in refusal(host, "network", "create", "--bridge", "br-one", "two")


def test_icc_mtu_and_masquerading_of_a_network(host: Host, eve: Outside) -> None:
    host.weft("network", "create", "--no-icc", "--no-masquerade", "--mtu", "1400", "--subnet", "172.41.0.0/24", "own")
    one, two = (attached(host, f"own-{name}", "--net", "own") for name in ("one", "two"))
    assert not reach_each_other(one, two) and mtu(one, "eth0") == 1400
    eve.run("ip", "route", "add", "172.41.0.0/24", "via", host.address)
    assert one.connect(eve.address, eve.serve_tcp().port).text == one.addresses()[0]


def test_dns_and_search_domains_of_a_network(host: Host, eve: Outside, resolver: Server) -> None:
    host.weft(
        "network", "create", "--subnet", "172.42.0.0/24", "--dns", eve.address, "--dns-search", "n.example", "dns"
    )
    host.weft("run", "-d", "--name", "asker", "--net", "dns", "--", "sleep", "1000")
    host.weft("run", "-d", "--name", "other", "--", "sleep", "1000")
    eventually(lambda: asked(host, "asker", "172.42.0.1", resolver))
    assert "search n.example" in host.weft("exec", "asker", "cat", "/etc/resolv.conf").stdout
    assert "search" not in host.weft("exec", "other", "cat", "/etc/resolv.conf").stdout


def test_the_address_that_ports_of_a_network_are_bound_to(host: Host, eve: Outside) -> None:
    host.weft("network", "create", "--bind", "127.0.0.1", "local")
    attached(host, "local", "--net", "local", "-p", "8080:80")
    assert host.connect("127.0.0.1", 8080).data == b"local"
    assert eve.connect(host.address, 8080).outcome == "refused"


def test_forwarding_of_a_network(host: Host) -> None:
    """Its containers reach the host and each other; others are not concerned."""
    host.weft("network", "create", "--no-ip-forward", "--ipv6", "still")
    one, two, other = (
        attached(host, "s1", "--net", "still"),
        attached(host, "s2", "--net", "still"),
        attached(host, "s3"),
    )
    assert reach_each_other(one, two) and one.ping(host.address) and other.ping(INTERNET)
    assert not one.ping(INTERNET, QUICK) and not one.ping(INTERNET6, QUICK)


def test_packet_filtering_of_a_network(host: Host, eve: Outside) -> None:
    """Nothing of it is in the tables, and it is no way into the networks that are filtered."""
    host.weft("network", "create", "--no-filter", "--bridge", "br-bare", "--subnet", "172.43.0.0/24", "bare")
    bare, filtered = attached(host, "bare", "--net", "bare"), attached(host, "filtered")
    assert "br-bare" not in host.run("nft", "list", "ruleset").stdout
    eve.run("ip", "route", "add", "172.43.0.0/24", "via", host.address)
    assert bare.connect(eve.address, eve.serve_tcp().port).text == bare.addresses()[0]
    assert bare.connect(filtered.addresses()[0], 80, timeout=QUICK).outcome == "timeout"
    assert "--no-filter" in refusal(host, "run", "-d", "--net", "bare", "-p", "80", "--", "true")
    assert "--no-icc" in refusal(host, "network", "create", "--no-filter", "--no-icc", "x")


# --- changed afterwards -------------------------------------------------------------------------------------------


def test_the_default_network_follows_weft_toml(hosts: Hosts, lan: Lan) -> None:
    """At the next start of the agent; while containers are on it, it stays and status says so."""
    host = hosts.host("changing", lan)
    host.start_agent('bridge.address = "172.17.51.1/24"')
    host.restart_agent(config='mtu = 1400\nbridge.address6 = "fd00:52::1/64"')
    host.restart_agent(config='mtu = 1400\nbridge = { name = "br0", address = "172.17.52.1/24" }')
    assert host.addresses("br0", 4) == ["172.17.52.1"] and "weft0" not in host.interfaces()
    box = attached(host, "box")
    host.restart_agent(config="icc = false")
    assert "keeps another bridge name, icc, mtu than weft.toml says" in host.weft("status").stdout
    assert box.ping("172.17.52.1") and host.addresses("br0", 4) == ["172.17.52.1"]
    host.weft("detach", "box")
    host.restart_agent()
    assert "weft0" in host.interfaces() and "br0" not in host.interfaces()
    assert "problems     none" in host.weft("status").stdout


BAD = {
    "icc = 1": "icc",
    "ipforward = true": "ipforward",
    "mtu = 10": "mtu 10",
    "dns = ['nowhere']": "nowhere",
    "dns_search = ['a b']": "a b",
    "ports.bind = 'x'": "'x'",
    "bridge.name = 'a b'": "bridge.name",
    "bridge.address = '1.2.3.4.5'": "1.2.3.4.5",
    "= 3": "weft.toml",
}


def test_bad_settings_are_refused_by_name(hosts: Hosts, lan: Lan) -> None:
    """The agent does not start, and leaves nothing of the default network."""
    host = hosts.host("bad", lan)
    for line, what in BAD.items():
        host.start_agent(line, wait=False)
        assert host.agent is not None and host.agent.wait(10) == 1, line
        host.kill_agent()
        said = host.log.splitlines()
        host.log_file.unlink()
        assert said[0].startswith("weft: ") and what in said[0], (line, said)
    assert host.interfaces() == ["lo", "eth0"]
