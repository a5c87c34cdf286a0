"""Names of a network exist for those who are on it, and for nobody else."""

from __future__ import annotations

import socket

import pytest

from . import dnsclient
from .dnsclient import AAAA, NOERROR, NXDOMAIN, PTR
from .lab import OTHER_UPSTREAM, UPSTREAM, Lab, eventually


def test_names_of_another_network_do_not_exist(lab: Lab) -> None:
    red, blue = lab.network("redish", "10.91.1", "fd91:1"), lab.network("bluish", "10.91.2", "fd91:2")
    lab.answer(red, blue)
    lab.container("web", (red, 10))
    stranger = lab.container("stranger", (blue, 10))
    for name in ("web", "web.redish"):
        assert stranger.ask(name).values == []
        assert stranger.ask(name, AAAA).values == []
    assert stranger.ask("web").rcode == NXDOMAIN
    assert stranger.ask("10.1.91.10.in-addr.arpa", PTR).values == []


def test_one_name_in_two_networks_is_two_containers(lab: Lab) -> None:
    red, blue = lab.network("redish", "10.91.1"), lab.network("bluish", "10.91.2")
    lab.answer(red, blue)
    ours, theirs = lab.container("db1", (red, 10)), lab.container("db2", (blue, 10))
    ours.alias("db")
    theirs.alias("db")
    assert ours.ask("db") == (NOERROR, ["10.91.1.10"])
    assert theirs.ask("db") == (NOERROR, ["10.91.2.10"])


def test_a_container_on_two_networks_sees_the_names_of_both_at_either_gateway(lab: Lab) -> None:
    red, blue = lab.network("redish", "10.91.1", "fd91:1"), lab.network("bluish", "10.91.2", "fd91:2")
    lab.answer(red, blue)
    lab.firewall()
    lab.container("left", (red, 10))
    lab.container("right", (blue, 10))
    both = lab.container("both", (red, 20), (blue, 20))
    assert both.use_own_view() == 5301
    for gateway in ("10.91.1.1", "10.91.2.1", "fd91:1::1", "fd91:2::1"):
        for name, address in (("left", "10.91.1.10"), ("right.bluish", "10.91.2.10")):
            assert both.node.ask(gateway, name) == (NOERROR, [address])
            tcp = both.node.call(lambda gateway=gateway, name=name: dnsclient.ask_tcp(gateway, name))
            assert tcp == (NOERROR, [address])
    assert both.ask("both") == (NOERROR, ["10.91.1.20", "10.91.2.20"])


def test_the_port_of_a_view_is_closed_to_those_who_do_not_have_it(lab: Lab) -> None:
    red, blue = lab.network("redish", "10.91.1"), lab.network("bluish", "10.91.2")
    lab.answer(red, blue)
    lab.firewall()
    lab.container("right", (blue, 10))
    both = lab.container("both", (red, 20), (blue, 20))
    port = both.use_own_view()
    nosy = lab.container("nosy", (red, 30))
    assert nosy.ask("right").rcode == NXDOMAIN
    with pytest.raises(socket.timeout):
        nosy.node.call(lambda: dnsclient.ask_udp("10.91.1.1", "right", timeout=0.3, port=port))
    assert both.ask("right") == (NOERROR, ["10.91.2.10"])


def test_networks_with_a_name_of_the_public_dns_leave_it_its_other_names(lab: Lab) -> None:
    """A network called 'example' here plays one called 'dev': real names below it are asked of the upstream still."""
    upstream = lab.upstream(says="203.0.113.10")
    lab.supervisor.follow_host([upstream.address])
    network = lab.network("my.example", "10.91.1")
    lab.answer(network)
    web = lab.container("web", (network, 10))
    web.alias("api.shop.example")
    for name in ("web.my.example", "api.shop.example"):
        assert web.ask(name) == (NOERROR, ["10.91.1.10"])
        assert eventually(lambda name=name: web.ask(name, AAAA) == (NOERROR, []))
    before = upstream.packets()
    for kind in (AAAA, dnsclient.MX, 65):
        web.ask("api.shop.example", kind)
    assert upstream.packets() == before
    for name in ("other.my.example", "shop.example", "below.api.shop.example"):
        assert web.ask(name) == (NOERROR, ["203.0.113.10"])
    web.alias()
    assert eventually(lambda: web.ask("api.shop.example") == (NOERROR, ["203.0.113.10"]))


def test_own_servers_are_asked_instead_of_the_hosts(lab: Lab) -> None:
    host, own = lab.upstream(UPSTREAM, "203.0.113.1"), lab.upstream(OTHER_UPSTREAM, "203.0.113.2")
    lab.supervisor.follow_host([host.address])
    network = lab.network("shop_net", "10.91.1")
    lab.answer(network)
    lab.firewall()
    usual = lab.container("usual", (network, 10))
    special = lab.container("special", (network, 11), dns=(own.address,))
    special.use_own_view()
    assert usual.ask("www.example") == (NOERROR, ["203.0.113.1"])
    assert special.ask("www.example") == (NOERROR, ["203.0.113.2"])
    assert special.ask("usual") == (NOERROR, ["10.91.1.10"])
    assert host.asked() == own.asked() == ["www.example"]


def test_servers_of_the_network_are_asked_instead_of_the_hosts(lab: Lab) -> None:
    host, own = lab.upstream(UPSTREAM, "203.0.113.1"), lab.upstream(OTHER_UPSTREAM, "203.0.113.2")
    lab.supervisor.follow_host([host.address])
    network = lab.network("shop_net", "10.91.1", dns=(own.address,))
    lab.answer(network)
    assert lab.container("web", (network, 10)).ask("www.example") == (NOERROR, ["203.0.113.2"])
    assert host.asked() == []


def test_local_questions_are_never_asked_of_others(lab: Lab) -> None:
    upstream = lab.upstream()
    lab.supervisor.follow_host([upstream.address])
    network = lab.network("shop_net", "10.91.1", "fd91:1")
    lab.answer(network)
    web = lab.container("web", (network, 10))
    before = upstream.packets()
    reverse = ("10.1.91.10.in-addr.arpa", "99.1.91.10.in-addr.arpa")
    for name in ("web", "nobody", "web.shop_net", "nobody.shop_net", *reverse):
        for kind in (dnsclient.A, AAAA, PTR, dnsclient.MX, 65, 33, 16):
            web.ask(name, kind)
    assert upstream.packets() == before
    assert upstream.asked() == []
