"""Docker's chains, ufw and firewalld on a host: the real programs, each as its package leaves it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tests.scenarios.waiting import eventually
from weft.testing.hosts import Host


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

    def rules(self) -> list[str]:
        """Return every line of the host's nftables that is not in weft's own tables."""
        return list(_foreign_tables(self.host.run("nft", "--stateless", "list", "ruleset").stdout))

    def holds(self) -> list[str]:
        """Return the same, and what it holds beside them."""
        return [*self.rules(), *self.files().splitlines()]

    def start_agent(self) -> None:
        """Start the host's agent where it sees the files of this firewall, and its bus."""
        wrapper = self.host.directory / "python"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.prefix)} {sys.executable} "$@"\n')
        wrapper.chmod(0o755)
        self.host.start_agent(python=str(wrapper))


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
        for how in ((), ("--permanent",)):
            self.run("firewall-cmd", *how, "--zone=public", "--add-interface=eth0")
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
