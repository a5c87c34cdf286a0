"""Somebody flushes the rules, reloads his own, deletes or edits one of weft's: within a second all is as it was.

And what is not weft's is not touched, to the byte.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.scenarios.together import together
from weft.testing import oracles
from weft.testing.attackers import Safe
from weft.testing.hosts import INTERNET, INTERNET6, Host, Outside
from weft.testing.spaces import Space

#: Seconds that a repair may take.
ALLOWED = 1.0
QUICK = 0.25

#: What somebody else holds on this host.
FOREIGN = """
table inet mine {
    set friends { type ipv4_addr; elements = { 192.0.2.100, 192.0.2.101 } }
    chain input { type filter hook input priority 5; ip saddr @friends accept; }
}
table ip weft_but_not_quite {
    chain forward { type filter hook forward priority 5; }
}
"""
NETWORKS: dict[str, list[str]] = {"app": [], "other": [], "strange": ["--no-icc"], "vault": ["--internal"]}
CONTAINERS = {
    "web": ["app", "-p", "8080:80", "-p", "127.0.0.1:8081:80"],
    "peer": ["app"],
    "sibling": ["other"],
    "stranger1": ["strange"],
    "stranger2": ["strange"],
    "vault1": ["vault"],
}
FOREIGN_TABLES = ("inet mine", "ip weft_but_not_quite")


@dataclass
class World:
    """A host with containers on four networks, and who should not get at them."""

    host: Host
    eve: Outside
    clean: oracles.Snapshot
    web: Space
    peer: Space
    sibling: Space
    stranger1: Space
    stranger2: Space
    vault1: Space

    def holds(self) -> frozenset[str]:
        """Return every table, chain, rule, set and element on the host."""
        return frozenset(oracles.ruleset(self.host))

    def foreign(self) -> list[str]:
        return [self.host.run("nft", "--stateless", "list", "table", *name.split()).stdout for name in FOREIGN_TABLES]


@pytest.fixture(scope="module")
def world(host: Host, eve: Outside) -> World:
    host.run("nft", "-f", "-", input=FOREIGN)
    boxes = {name: host.container(name) for name in CONTAINERS}
    clean = oracles.Snapshot.take(host, ["10.4.0.0/16"])
    for number, (network, options) in enumerate(NETWORKS.items()):
        subnets = ("--subnet", f"10.4.{number}.0/24", "--subnet", f"fd00:4:{number}::/64")
        host.weft("network", "create", network, *subnets, *options)
    for name, (network, *options) in CONTAINERS.items():
        host.weft("attach", "--netns", boxes[name].path, "--name", name, "--net", network, *options)
    boxes["web"].serve_tcp(80, b"web")
    return World(host, eve, clean, **boxes)


def check_isolation(world: World) -> None:
    """What must not pass does not, and what should does."""
    host, eve, web = world.host, world.eve, world.web
    four, six = web.addresses()
    with Safe(host, ["10.4.0.0/24", "fd00:4:0::/64"], [web], eve, world.sibling, world.peer) as safe:
        for address in (host.address, host.address6):
            assert eve.connect(address, 8080).data == b"web"
        for address in (INTERNET, INTERNET6):
            assert web.ping(address)
        for address in (four, six):
            assert world.peer.connect(address, 80).data == b"web"
        assert eve.connect(host.address, 8081).outcome == "refused"
        passed = together(
            *(lambda a=a: world.sibling.connect(a, 80, timeout=QUICK).outcome == "reply" for a in (four, six)),
            *(lambda a=a: eve.connect(a, 80, timeout=QUICK).outcome == "reply" for a in (four, six)),
            *(lambda a=a: world.stranger1.ping(a, QUICK) for a in world.stranger2.addresses()),
            *(lambda a=a: world.vault1.ping(a, QUICK) for a in (INTERNET, INTERNET6, host.address, four, six)),
        )
    assert not any(passed), passed
    assert safe.violations == []


def rule(world: World, table: str, comment: str) -> str:
    """Return the address (table, chain, handle) of the first rule with a comment, as nft takes it."""
    chain = ""
    for line in world.host.run("nft", "--handle", "list", "table", *table.split()).stdout.splitlines():
        chain = line.split()[1] if line.startswith("\tchain") else chain
        found = re.search(rf'comment "{re.escape(comment)}.*# handle (\d+)', line)
        if found:
            return f"{table} {chain} handle {found[1]}"
    raise AssertionError(f"no rule {comment!r}")


def flushed(world: World) -> str:
    """The administrator's firewall script runs again: everything goes, and his own comes back at once."""
    return f"flush ruleset\n{FOREIGN}"


def table_deleted(world: World) -> str:
    return "delete table inet weft"


def guard_deleted(world: World) -> str:
    return "delete table bridge weft"


def chain_emptied(world: World) -> str:
    return "flush chain inet weft forward"


def rule_deleted(world: World) -> str:
    return f"delete rule {rule(world, 'inet weft', 'not a published port')}"


def guards_rule_deleted(world: World) -> str:
    return f"delete rule {rule(world, 'bridge weft', 'forged MAC')}"


def rule_edited(world: World) -> str:
    return f"replace rule {rule(world, 'inet weft', 'networks do not reach')} accept"


def comment_kept_verdict_edited(world: World) -> str:
    return f'replace rule {rule(world, "bridge weft", "forged IPv4 sender")} accept comment "forged IPv4 sender"'


def rule_inserted(world: World) -> str:
    return "insert rule inet weft to_container accept"


def policy_edited(world: World) -> str:
    return "add chain inet weft forward { policy drop; }"


def element_deleted(world: World) -> str:
    return "flush set inet weft internal; flush set bridge weft ports"


def element_added(world: World) -> str:
    return "add element inet weft publish_any4 { tcp . 9999 : 10.4.2.2 . 22 }"


DISTURBANCES = (
    flushed, table_deleted, guard_deleted, chain_emptied, rule_deleted, guards_rule_deleted, rule_edited,
    comment_kept_verdict_edited, rule_inserted, policy_edited, element_deleted, element_added,
)  # fmt: skip


def repair_time(world: World, expected: frozenset[str]) -> float:
    """Return after how many seconds the host holds what is ``expected``, and no more."""
    begin = time.monotonic()
    while held := oracles.difference(expected, world.holds()):
        assert time.monotonic() < begin + 5, f"{held[:5]}\n{world.host.log}"
    return time.monotonic() - begin


@pytest.mark.parametrize("disturbance", DISTURBANCES, ids=lambda disturbance: disturbance.__name__)
def test_everything_is_as_it_was_within_a_second(world: World, disturbance: Callable[[World], str]) -> None:
    expected, foreign = world.holds(), world.foreign()
    world.host.run("nft", "-f", "-", input=disturbance(world))
    assert repair_time(world, expected) < ALLOWED
    assert world.foreign() == foreign
    check_isolation(world)


def test_a_flush_without_reload_brings_nothing_back_that_is_not_wefts(world: World) -> None:
    mine = [line for line in world.holds() if " weft" in line or '"weft"' in line]
    world.host.run("nft", "flush", "ruleset")
    try:
        own = frozenset(line for line in mine if "weft_but_not_quite" not in line)
        assert repair_time(world, own) < ALLOWED
    finally:
        world.host.run("nft", "-f", "-", input=FOREIGN)
    check_isolation(world)


def test_one_blow_after_another(world: World) -> None:
    """Also while the agent rests from the last repair."""
    expected, slowest = world.holds(), 0.0
    for _ in range(5):
        world.host.run("nft", "flush chain inet weft forward")
        slowest = max(slowest, repair_time(world, expected))
    assert slowest < ALLOWED


def test_while_containers_come_and_go(world: World) -> None:
    """weft's own changes do not distract it."""
    expected = world.holds()
    for _ in range(4):
        world.host.weft("network", "connect", "other", "web")
        world.host.run("nft", "delete", "rule", *rule(world, "inet weft", "not a published port").split())
        world.host.weft("network", "disconnect", "other", "web")
        assert repair_time(world, expected) < ALLOWED


def test_the_repair_is_told(world: World) -> None:
    assert "repair (change noticed): nft" in world.host.log


def test_nothing_stays(world: World) -> None:
    """After all of it the containers and networks go as if nothing had been."""
    for name in CONTAINERS:
        world.host.weft("detach", name)
    world.host.weft("network", "rm", *NETWORKS)
    oracles.assert_clean(world.clean, world.host, ["10.4.0.0/16"])
