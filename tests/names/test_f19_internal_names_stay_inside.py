"""Containers of internal networks resolve each other, and not one packet of theirs goes upstream (CVE-2024-29018)."""

from __future__ import annotations

from . import dnsclient
from .dnsclient import AAAA, MX, NOERROR, NXDOMAIN, PTR, A
from .lab import Lab, Member, Upstream


def _ask_everything(member: Member) -> None:
    secret = "exfil." * 20 + "example"
    for name in ("www.example", "example", "a.b.c.example", "", "1.113.0.203.in-addr.arpa", "web2", secret):
        for kind in (A, AAAA, PTR, MX, 65, 16, 255):
            assert member.ask(name, kind).rcode == NXDOMAIN, (name, kind)
    gateway = member.networks()[0].subnets[0].gateway
    assert member.node.call(lambda: dnsclient.ask_tcp(gateway, "www.example")).rcode == NXDOMAIN


def _is_silent(upstream: Upstream, member: Member) -> None:
    before = upstream.packets()
    _ask_everything(member)
    assert upstream.packets() == before
    assert upstream.asked() == []


def test_no_packet_of_an_internal_network_goes_upstream(lab: Lab) -> None:
    upstream = lab.upstream()
    lab.supervisor.follow_host([upstream.address])
    inside, outside = lab.network("vault", "10.91.1", internal=True), lab.network("open_net", "10.91.2")
    lab.answer(inside, outside)
    web = lab.container("web", (inside, 10))
    assert web.ask("web") == (NOERROR, ["10.91.1.10"])
    assert web.ask("web.vault", AAAA) == (NOERROR, [])
    assert web.ask("10.1.91.10.in-addr.arpa", PTR) == (NOERROR, ["web.vault"])
    _is_silent(upstream, web)
    # The witness sees what there is to see: the same question from elsewhere does arrive.
    assert lab.container("free", (outside, 10)).ask("www.example").values
    assert upstream.asked() == ["www.example"]


def test_own_servers_do_not_count_on_internal_networks_only(lab: Lab) -> None:
    upstream = lab.upstream()
    first, second = lab.network("vault", "10.91.1", internal=True), lab.network("safe_net", "10.91.2", internal=True)
    lab.answer(first, second)
    lab.firewall()
    both = lab.container("both", (first, 10), (second, 10), dns=(upstream.address,))
    both.use_own_view()
    assert both.ask("both.safe_net") == (NOERROR, ["10.91.2.10"])
    _is_silent(upstream, both)


def test_it_stays_so_after_a_restart_and_when_the_hosts_servers_change(lab: Lab) -> None:
    upstream = lab.upstream()
    inside = lab.network("vault", "10.91.1", internal=True)
    lab.answer(inside)
    web = lab.container("web", (inside, 10))
    lab.restart()
    lab.supervisor.follow_host([upstream.address])
    _is_silent(upstream, web)
