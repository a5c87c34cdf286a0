"""The real ufw and firewalld are reloaded and restarted: weft's networks stay apart, reachable, and admitted.

What weft asked them for is asked for again where a reload has lost it; all else of theirs is as it was.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.scenarios.foreign_firewalls import Docker, Firewall, Firewalld, Ufw
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing.attackers import Safe
from weft.testing.hosts import INTERNET, INTERNET6, Hosts, Lan, Outside
from weft.testing.spaces import Space

NETWORKS = ("10.68.0.0/24", "fd00:68::/64")
# Most of it goes to the other firewall's own program, which is started for each bridge and takes tenths of a second
# each time.  What weft does itself is back much sooner; other tests of this pitfall hold it to its second.
ALLOWED = 20
QUICK = 0.25
RETURN = "-A DOCKER-USER -j RETURN"

_DOCKER_USER = [(program, verb) for program in ("iptables", "ip6tables") for verb in ("-F DOCKER-USER", RETURN)]
#: What an administrator types to have the rules loaded anew, one command after the other.
RELOADS: dict[type[Firewall], list[list[str]]] = {
    Firewalld: [["firewall-cmd --reload"], ["firewall-cmd --complete-reload"]],
    Ufw: [["ufw reload"], ["ufw disable", "ufw --force enable"]],
    Docker: [[f"{program} -w {verb}" for program, verb in _DOCKER_USER]],
}


@pytest.fixture(scope="module", params=RELOADS, ids=lambda kind: kind.__name__)
def firewall(request: pytest.FixtureRequest, hosts: Hosts, lan: Lan) -> Firewall:
    """A host with the firewall and weft, and two containers on one network."""
    kind: type[Firewall] = request.param
    firewall = kind(hosts.host(kind.__name__.lower(), lan))
    firewall.begin()
    firewall.start_agent()
    host = firewall.host
    words = [word for network in NETWORKS for word in ("--subnet", network)]
    host.weft("network", "create", "app", "--bridge", "br-app", *words)
    host.weft("network", "create", "other", "--bridge", "br-other")
    box, mate = firewall.boxes
    host.weft("attach", "--netns", box.path, "--name", "box", "--net", "app", "-p", "8080:80")
    host.weft("attach", "--netns", mate.path, "--name", "mate", "--net", "other")
    box.serve_tcp(80, b"inside")
    firewall.before = firewall.holds()
    return firewall


def check_isolation(firewall: Firewall, eve: Outside) -> None:
    """What must not pass does not, and what should does."""
    host, (box, mate) = firewall.host, firewall.boxes

    def is_open(space: Space, address: str) -> bool:
        return space.connect(address, 80, timeout=QUICK).outcome == "reply"

    with Safe(host, NETWORKS, [box], eve, mate) as safe:
        assert all(box.ping(address) for address in (INTERNET, INTERNET6))
        assert {eve.connect(address, 8080).data for address in (host.address, host.address6)} == {b"inside"}
        attempts = [(space, address) for space in (eve, mate) for address in box.addresses()]
        assert not any(together(*(lambda pair=pair: is_open(*pair) for pair in attempts)))
    assert safe.violations == []


def test_everything_is_as_it_was_soon_after(firewall: Firewall, eve: Outside) -> None:
    before, own = Counter(firewall.before), own_tables(firewall)
    for commands in RELOADS[type(firewall)]:
        rules = Counter(firewall.rules())
        for command in commands:
            firewall.run(*command.split())
        assert own_tables(firewall) == own  # nothing of weft's went with it
        eventually(lambda: Counter(firewall.rules()) == rules, within=ALLOWED)  # noqa: B023
        check_isolation(firewall, eve)
        eventually(lambda: Counter(firewall.holds()) == before, within=20)


def test_what_is_taken_away_is_asked_for_again(firewall: Firewall, eve: Outside) -> None:
    """As fast as its programs are: starting one takes longer than everything that weft does itself."""
    firewall.close("br-app")
    eventually(lambda: Counter(firewall.holds()) == Counter(firewall.before), within=20)
    check_isolation(firewall, eve)


def own_tables(firewall: Firewall) -> list[str]:
    """Return the lines of weft's own tables; elements are in no order."""
    listed = [firewall.host.run("nft", "list", "table", family, "weft").stdout for family in ("inet", "bridge")]
    return sorted(part for text in listed for line in text.splitlines() for part in line.split(", "))
