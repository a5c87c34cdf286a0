"""Containers find each other by name, alias and NAME.network, in both address families and in both directions."""

from __future__ import annotations

import pytest

from . import dnsclient
from .dnsclient import AAAA, MX, NOERROR, NXDOMAIN, PTR, A
from .lab import Lab, Member

WEB4, WEB6 = "10.91.1.10", "fd91:1::a"


@pytest.fixture
def pair(lab: Lab) -> tuple[Member, Member]:
    """'web', with an alias and a host name, and 'client', on the network 'shop_net'."""
    network = lab.network("shop_net", "10.91.1", "fd91:1")
    lab.answer(network)
    web = lab.container("web", (network, 10), hostname="www-1")
    web.alias("front", "under_score")
    return web, lab.container("client", (network, 11))


@pytest.mark.parametrize("name", ["web", "WEB", "front", "www-1", "under_score"])
@pytest.mark.parametrize("suffix", ["", ".shop_net"])
def test_a_name_leads_to_both_addresses(pair: tuple[Member, Member], name: str, suffix: str) -> None:
    _, client = pair
    assert client.ask(name + suffix) == (NOERROR, [WEB4])
    assert client.ask(name + suffix, AAAA) == (NOERROR, [WEB6])


def test_the_beginning_of_the_id_is_a_name(pair: tuple[Member, Member]) -> None:
    web, client = pair
    assert client.ask(web.container.id[:12]) == (NOERROR, [WEB4])


def test_addresses_lead_back_to_the_name_in_the_network(pair: tuple[Member, Member]) -> None:
    _, client = pair
    assert client.ask("10.1.91.10.in-addr.arpa", PTR) == (NOERROR, ["web.shop_net"])
    nibbles = ".".join(reversed("fd910001000000000000000000" + "00000a"))
    assert client.ask(f"{nibbles}.ip6.arpa", PTR) == (NOERROR, ["web.shop_net"])


def test_the_server_answers_at_the_gateway_of_either_family_and_over_tcp(pair: tuple[Member, Member]) -> None:
    _, client = pair
    for gateway in ("10.91.1.1", "fd91:1::1"):
        assert client.node.ask(gateway, "web") == (NOERROR, [WEB4])
        assert client.node.call(lambda gateway=gateway: dnsclient.ask_tcp(gateway, "web")) == (NOERROR, [WEB4])


def test_a_family_that_a_name_has_not_is_an_empty_answer(lab: Lab) -> None:
    """A resolver that is told 'no such name' for AAAA may give up on A as well."""
    lab.supervisor.follow_host([lab.upstream().address])
    network = lab.network("four", "10.91.2")
    lab.answer(network)
    web = lab.container("web", (network, 10))
    assert web.ask("web", AAAA) == (NOERROR, [])
    assert web.ask("web.four", AAAA) == (NOERROR, [])
    assert web.ask("web", MX) == (NOERROR, [])


def test_two_containers_with_one_alias_are_both_answered(lab: Lab) -> None:
    network = lab.network("pool", "10.91.1")
    lab.answer(network)
    first, second = lab.container("one", (network, 10)), lab.container("two", (network, 11))
    first.alias("worker")
    second.alias("worker")
    assert first.ask("worker") == (NOERROR, ["10.91.1.10", "10.91.1.11"])
    second.withdraw()
    assert first.ask("worker") == (NOERROR, ["10.91.1.10"])


def test_a_change_is_seen_by_the_next_query(pair: tuple[Member, Member]) -> None:
    """No sleep anywhere: publishing and withdrawing count from the moment they return."""
    web, client = pair
    for number in range(50):
        web.alias(f"turn{number}")
        assert client.ask(f"turn{number}") == (NOERROR, [WEB4])
        assert client.ask(f"turn{number - 1}").rcode == NXDOMAIN
    web.withdraw()
    assert client.ask("web") == (NXDOMAIN, [])
    web.publish()
    assert client.ask("web") == (NOERROR, [WEB4])


def test_localhost_cannot_be_taken(lab: Lab) -> None:
    network = lab.network("evil", "10.91.1")
    lab.answer(network)
    bad = lab.container("localhost", (network, 10))
    bad.alias("sub.localhost", "fine")
    assert bad.ask("localhost", A).values == []
    assert bad.ask("sub.localhost", A).values == []
    assert bad.ask("fine") == (NOERROR, ["10.91.1.10"])
