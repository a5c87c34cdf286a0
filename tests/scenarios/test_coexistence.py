"""Beside Docker's rules, ufw and firewalld, each as it comes, with forwarding closed: containers work all the same.

weft asks each by the hook that it documents, for its own bridges only; not a byte else of theirs changes, and what was
asked for is taken back.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from tests.names import dnsclient
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

SUBNETS = {4: "10.66.0.0/24", 6: "fd00:66::/64"}
GATEWAYS = ("10.66.0.1", "fd00:66::1")
BRIDGES = ("weft0", "br-app")
QUICK = 0.3


class Firewall:
    """Another firewall on a host: how it comes, and all that it holds."""

    name: str

    def __init__(self, host: Host) -> None:
        self.host = host
        #: What comes before each command, so that it sees the files of this firewall.
        self.prefix: tuple[str, ...] = ()
        #: The containers on this host, and what ``holds`` said before weft came.
        self.boxes = [host.container(name) for name in ("box", "mate")]
        self.before: list[str] = []

    def begin(self) -> None:
        """Do what its own administrator does to switch it on."""
        raise NotImplementedError

    def asked(self, bridge: str) -> list[str]:
        """Return the commands by which it is asked to let a bridge pass."""
        raise NotImplementedError

    def files(self) -> str:
        """Return what it holds beside nftables: on disk, in its memory, in iptables."""
        raise NotImplementedError

    def close(self, bridge: str) -> None:
        """Take back what lets a bridge pass, behind weft's back."""
        raise NotImplementedError

    def run(self, *words: object) -> str:
        return self.host.run(*self.prefix, *words).stdout

    def holds(self) -> list[str]:
        """Return every line of the host's rules that is not in weft's own tables, and what it holds beside them."""
        return [*_foreign_tables(self.run("nft", "--stateless", "list", "ruleset")), *self.files().splitlines()]


class Docker(Firewall):
    """The chains that Docker makes, by one of the two kinds of iptables."""

    name = "docker"
    kind = "nft"

    def asked(self, bridge: str) -> list[str]:
        return [f"{family} -I DOCKER-USER -i {bridge} -j ACCEPT" for family in ("iptables", "ip6tables")]

    def begin(self) -> None:
        for family in ("iptables", "ip6tables"):
            for rule in (
                "-P FORWARD DROP",
                "-N DOCKER-USER",
                "-A DOCKER-USER -j RETURN",
                "-N DOCKER-FORWARD",
                "-A FORWARD -j DOCKER-USER",
                "-A FORWARD -j DOCKER-FORWARD",
                "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
                "-t nat -N DOCKER",
                "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            ):
                self.run(f"{family}-{self.kind}", "-w", *rule.split())

    def files(self) -> str:
        programs = [f"{family}-{self.kind}" for family in ("iptables", "ip6tables")]
        return "".join(
            self.run(program, "-w", "-t", table, "-S") for program, table in product(programs, ("filter", "nat"))
        )

    def close(self, bridge: str) -> None:
        for family, side in product(("iptables", "ip6tables"), ("-i", "-o")):
            self.run(f"{family}-{self.kind}", "-w", "-D", "DOCKER-USER", side, bridge, "-j", "ACCEPT")


class DockerLegacy(Docker):
    """The same by iptables-legacy, whose rules nftables does not show."""

    kind = "legacy"


class Ufw(Firewall):
    """ufw as its package leaves it, switched on.  Its files are a copy that only those see who have the prefix."""

    name = "ufw"

    def asked(self, bridge: str) -> list[str]:
        return [f"ufw route allow {side} on {bridge}" for side in ("in", "out")]

    def begin(self) -> None:
        copy = self.host.directory / "ufw"
        shutil.copytree("/etc/ufw", copy)
        keeper = self.host.popen(
            "unshare", "--mount", "sh", "-c", f"mount --bind {copy} /etc/ufw && touch {copy}.mounted && exec sleep 1000"
        )
        eventually(Path(f"{copy}.mounted").exists)
        self.prefix = ("nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt")
        self.run("ufw", "--force", "enable")
        # It completes a chain of IPv6 with the first rule that is given.
        for verb in ((), ("delete",)):
            self.run("ufw", "route", *verb, "allow", "in", "on", "eth9")

    def files(self) -> str:
        copy = self.host.directory / "ufw"
        return "".join(path.read_text() for path in sorted(copy.rglob("*")) if path.is_file())

    def close(self, bridge: str) -> None:
        for side in ("in", "out"):
            self.run("ufw", "route", "delete", "allow", side, "on", bridge)


class Firewalld(Firewall):
    """firewalld as its package leaves it, with a bus of its own."""

    name = "firewalld"

    def asked(self, bridge: str) -> list[str]:
        return [f"firewall-cmd --zone=trusted --add-interface={bridge}"]

    def begin(self) -> None:
        directory = self.host.directory
        bus = directory / "bus"
        self.host.popen("dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}", stderr=subprocess.DEVNULL)
        eventually(bus.exists)
        self.prefix = ("env", f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={bus}")
        (directory / "firewalld").mkdir()
        self.host.popen(
            *self.prefix, "firewalld", "--nofork", "--nopid", "--system-config", directory / "firewalld",
            "--log-target", "file", "--log-file", directory / "firewalld.log",
        )  # fmt: skip
        eventually(lambda: self.host.run(*self.prefix, "firewall-cmd", "--state", check=False).returncode == 0, 20)
        self.run("firewall-cmd", "--zone=public", "--add-interface=eth0")
        # It makes the chains of a zone when that is first used, and keeps them.
        for verb in ("add", "remove"):
            self.run("firewall-cmd", "--zone=trusted", f"--{verb}-interface=eth9")

    def files(self) -> str:
        # A zone's interfaces are in one line, and the zone is called active while it has any.
        zones = self.run("firewall-cmd", "--list-all-zones").replace(" (active)", "")
        return re.sub(r"^  interfaces:.*$", lambda found: "\n".join(found[0].split()), zones, flags=re.MULTILINE)

    def close(self, bridge: str) -> None:
        self.run("firewall-cmd", "--zone=trusted", f"--remove-interface={bridge}")


def _foreign_tables(ruleset: str) -> Iterator[str]:
    own = False
    for line in ruleset.splitlines():
        if line.startswith("table "):
            own = line.split()[2] == "weft"
        if not own:
            yield line


@pytest.fixture(scope="module", params=[Docker, DockerLegacy, Ufw, Firewalld], ids=lambda kind: kind.__name__)
def firewall(request: pytest.FixtureRequest, hosts: Hosts, lan: Lan) -> Firewall:
    """A host with another firewall, and two containers that will be attached."""
    kind: type[Firewall] = request.param
    host = hosts.host(kind.__name__.lower(), lan)
    firewall = kind(host)
    firewall.begin()
    firewall.before = firewall.holds()
    return firewall


@pytest.fixture(scope="module")
def eve(hosts: Hosts, lan: Lan) -> Outside:
    eve = hosts.outside("eve", lan)
    eve.serve_tcp(7000)
    return eve


@pytest.fixture(scope="module")
def host(firewall: Firewall) -> Host:
    """The same host with weft: a container that publishes a port, and one on two networks."""
    host = firewall.host
    start_agent(firewall)
    host.weft("network", "create", "app", "--bridge", "br-app", "--subnet", SUBNETS[4], "--subnet", SUBNETS[6])
    box, mate = firewall.boxes
    host.weft("attach", "--netns", box.path, "--name", "box", "--net", "app", "-p", "8080:80")
    host.weft("attach", "--netns", mate.path, "--name", "mate", "--net", "app")
    host.weft("network", "connect", "bridge", "mate")
    box.serve_tcp(80, b"hello")
    host.serve_tcp(99, b"host")
    return host


def start_agent(firewall: Firewall) -> None:
    """Start the agent where it sees the files of the other firewall, and its bus."""
    wrapper = firewall.host.directory / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(firewall.prefix)} {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    firewall.host.start_agent(python=str(wrapper))


def reaches_outside(box: Space, eve: Outside) -> bool:
    return box.connect(eve.address, 7000, timeout=QUICK).outcome == "reply"


def test_containers_reach_outside_as_the_host(host: Host, firewall: Firewall, eve: Outside) -> None:
    for box in firewall.boxes:
        assert box.connect(eve.address, 7000).text == host.address
    assert firewall.boxes[0].connect(eve.address6, 7000).text == host.address6


def test_published_ports_are_reached(host: Host, eve: Outside) -> None:
    for space, address in product((eve, host), (host.address, host.address6)):
        assert space.connect(address, 8080).data == b"hello"


def test_names_are_answered(host: Host, firewall: Firewall) -> None:
    """Also to a container on two networks, whose name server listens at a port of its own."""
    for box, gateway in product(firewall.boxes, GATEWAYS):
        assert knows_names(box, gateway), (box.name, gateway)


def knows_names(box: Space, gateway: str = GATEWAYS[0]) -> bool:
    answer = box.send_udp(gateway, 53, dnsclient.query("box"), timeout=QUICK)
    return bool(answer.data) and dnsclient.parse(answer.data).values == ["10.66.0.2"]


def test_containers_reach_each_other(host: Host, firewall: Firewall) -> None:
    box, mate = firewall.boxes
    assert {mate.connect(address, 80).data for address in box.addresses()} == {b"hello"}


def test_what_is_not_published_stays_closed(host: Host, firewall: Firewall, eve: Outside) -> None:
    """The hooks let pass whatever is the bridges'; weft's own filters still decide."""
    box = firewall.boxes[0]
    for version, gateway in ((4, host.address), (6, host.address6)):
        eve.run("ip", "route", "replace", SUBNETS[version], "via", gateway)
    answers = together(*(partial(eve.connect, address, 80, timeout=QUICK) for address in box.addresses()))
    assert {answer.outcome for answer in answers} == {"timeout"}


def test_what_it_closes_stays_closed(host: Host, firewall: Firewall, eve: Outside) -> None:
    """Of a port of the host itself, which weft leaves to others; firewalld's zone 'trusted' may reach it."""
    reached = {space.name for space in (eve, firewall.boxes[0]) if space.connect(host.address, 99, timeout=QUICK).data}
    assert reached == {"docker": {"eve", "box"}, "firewalld": {"box"}, "ufw": set()}[firewall.name]


def test_nothing_of_it_changed_but_the_hook(host: Host, firewall: Firewall) -> None:
    now, before = Counter(firewall.holds()), Counter(firewall.before)
    assert before - now == Counter()
    added = now - before
    assert [line for line in added if line.strip() and not any(bridge in line for bridge in BRIDGES)] == []
    assert len(added) >= len(BRIDGES)


def test_weft_says_what_it_asked_for(host: Host, firewall: Firewall) -> None:
    plan = host.weft("plan").stdout
    assert [line for bridge in BRIDGES for line in firewall.asked(bridge) if line not in plan] == []
    assert f"{firewall.name}: weft's bridges are admitted by their own hooks" in host.weft("doctor").stdout


def test_without_the_hook_it_is_closed_and_weft_asks_again(host: Host, firewall: Firewall, eve: Outside) -> None:
    host.kill_agent()
    asked = firewall.holds()
    firewall.close("br-app")
    box = firewall.boxes[0]
    assert not (reaches_outside(box, eve) and knows_names(box))
    start_agent(firewall)
    assert reaches_outside(box, eve) and knows_names(box)
    assert Counter(firewall.holds()) == Counter(asked)


def test_with_a_network_its_bridge_is_taken_back(host: Host, firewall: Firewall) -> None:
    host.weft("network", "create", "short", "--bridge", "br-short")
    assert [line for line in firewall.holds() if "br-short" in line]
    host.weft("network", "rm", "short")
    assert [line for line in firewall.holds() if "br-short" in line] == []


def test_in_the_end_everything_is_taken_back(host: Host, firewall: Firewall) -> None:
    host.weft("down", "--all")
    host.agent.wait(10)
    host.kill_agent()
    assert firewall.holds() == firewall.before


def test_one_that_comes_after_weft_is_asked_as_well(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    late = Docker(hosts.host("late", lan))
    late.host.start_agent()
    box = late.boxes[0]
    late.host.weft("attach", "--netns", box.path, "--name", "box", "--net", "bridge")
    late.begin()
    eventually(lambda: reaches_outside(box, eve))
