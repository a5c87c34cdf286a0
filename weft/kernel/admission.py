"""Other firewall managers on the host: which are active, and asking them to let weft's bridges pass.

A drop in any table wins over every accept of weft's, so each manager is asked through the hook that it documents:
Docker's chain DOCKER-USER (docs.docker.com, 'Packet filtering and firewalls'), firewalld's zone 'trusted'
(firewall-cmd(1)), ufw's rules (ufw(8)).  Their own programs are run, with argument lists and never a shell;
nothing else in this room starts a process.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from weft.kernel.nftables import Nft, NftError
from weft.model.errors import KernelRefused, Unsupported
from weft.model.identity import BRIDGE_PREFIX
from weft.plan import commands, ufw
from weft.plan.objects import Admission, Manager

#: How long another firewall's program may take, in seconds.  iptables waits for its lock for half of that.
_TIMEOUT_S = 10
_WAIT = ("-w", "5")

#: Chains in which a manager's rules for weft's bridges are seen, for IPv4 and for IPv6; it is known by the first.
_CHAINS: dict[Manager, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "docker": (("DOCKER-USER",), ("DOCKER-USER",)),
    "ufw": (("ufw-user-forward", "ufw-user-input"), ("ufw6-user-forward", "ufw6-user-input")),
}
#: The table of firewalld's nftables backend.
_FIREWALLD = "firewalld"
_ZONE = "--zone=trusted"
_IN_OR_OUT = re.compile(r" -[io] (\S+)")


def managers(nft: Nft) -> tuple[Manager, ...]:
    """Return the firewall managers that are active in the namespace of ``nft`` and of the calling thread."""
    try:
        chains = [found["chain"] for found in nft.run([{"list": {"chains": {}}}]) if "chain" in found]
    except NftError:
        chains = []
    names = {chain["name"] for chain in chains if (chain["family"], chain["table"]) == ("ip", "filter")}
    names |= _legacy_chains()
    found: list[Manager] = [manager for manager, (chains, _) in _CHAINS.items() if chains[0] in names]
    if any(chain["table"] == _FIREWALLD for chain in chains):
        found.append("firewalld")
    return tuple(sorted(found))


def _legacy_chains() -> set[str]:
    """Return the chains of the filter table of iptables-legacy, which nftables does not show."""
    try:
        with open("/proc/thread-self/net/ip_tables_names", encoding="ascii") as names:
            if "filter" not in names.read().split():
                return set()
    except OSError:
        return set()
    return {line.split()[1] for line in _lines("iptables-legacy", *_WAIT, "-S") if line.startswith("-N ")}


# --- doing ----------------------------------------------------------------------------------------------------------


def add(thing: Admission) -> None:
    """Let the interface pass; one that may pass already is no error.  Raises KernelRefused, Unsupported."""
    match thing.manager:
        case "docker":
            for program in _docker_programs():
                for rule in _docker_rules(thing.interface):
                    if not _succeeds(program, *_WAIT, "-C", *rule):
                        _run(thing, program, *_WAIT, "-I", *rule)
        case "firewalld":
            # Starting it takes a quarter of a second, so it is not asked first: being there already is no error to it.
            _run(thing, "firewall-cmd", _ZONE, f"--add-interface={thing.interface}")
        case "ufw":
            for words in ufw.allow(thing.interface):
                _run(thing, "ufw", *words)


def remove(thing: Admission) -> None:
    """Undo ``add``; what is not there, or a manager that is not there any more, is no error."""
    with suppress(Unsupported):
        match thing.manager:
            case "docker":
                for program in _docker_programs():
                    for rule in _docker_rules(thing.interface):
                        while _succeeds(program, *_WAIT, "-C", *rule):
                            _run(thing, program, *_WAIT, "-D", *rule)
            case "firewalld":
                if _succeeds("firewall-cmd", _ZONE, f"--query-interface={thing.interface}"):
                    _run(thing, "firewall-cmd", _ZONE, f"--remove-interface={thing.interface}")
            case "ufw":
                for words in ufw.delete(thing.interface):
                    _run(thing, "ufw", *words)


def _docker_rules(interface: str) -> Iterator[tuple[str, ...]]:
    for side in ("-i", "-o"):
        yield ("DOCKER-USER", side, interface, "-j", "ACCEPT")


def _docker_programs() -> list[str]:
    """Return the iptables program for each IP version that Docker has a chain for; IPv6 may have none."""
    found = [_holder(family, "DOCKER-USER") for family in ("iptables", "ip6tables")]
    if found[0] is None:
        raise Unsupported("Docker's chain DOCKER-USER is not there", "Is Docker running?")
    return [program for program in found if program]


def _holder(family: str, chain: str) -> str | None:
    """Return the program, of the two kinds of iptables, that knows ``chain``."""
    candidates = (family, f"{family}-nft", f"{family}-legacy")
    return next((program for program in candidates if _succeeds(program, *_WAIT, "-n", "-L", chain)), None)


# --- seeing ---------------------------------------------------------------------------------------------------------


def observe(active: Collection[Manager], own: Collection[str], desired: Collection[Admission]) -> Iterator[Admission]:
    """Yield the admissions of weft's interfaces: those named in ``own`` or ``desired``, or as weft names bridges.

    One that is desired but only half there is left out, so that it is made whole.
    """
    names = {*own, *(thing.interface for thing in desired)}
    for manager in active:
        for interface, complete in _admitted(manager).items():
            thing = Admission(manager=manager, interface=interface)
            ours = interface in names or interface.startswith(BRIDGE_PREFIX)
            if ours and (complete or thing not in desired):
                yield thing


def _admitted(manager: Manager) -> dict[str, bool]:
    """Return the interfaces that a manager lets pass, and whether it does so in every direction and IP version."""
    if manager == "firewalld":
        return {name: True for line in _lines("firewall-cmd", _ZONE, "--list-interfaces") for name in line.split()}
    found: dict[str, list[bool]] = {}
    held = 0
    for family, chains in zip(("iptables", "ip6tables"), _CHAINS[manager], strict=True):
        program = _holder(family, chains[0])
        if program is None:
            continue
        held += 1
        lines = {line for chain in chains for line in _lines(program, *_WAIT, "-S", chain)}
        for name in {word for line in lines for word in _IN_OR_OUT.findall(line)}:
            expected = _as_listed(manager, name, chains)
            if expected & lines:
                found.setdefault(name, []).append(expected <= lines)
    return {name: wholes == [True] * held for name, wholes in found.items()}


def _as_listed(manager: Manager, interface: str, chains: tuple[str, ...]) -> set[str]:
    """Return the rules for an interface as 'iptables -S' lists them."""
    rules = {f"-A {chains[0]} {side} {interface} -j ACCEPT" for side in ("-i", "-o")}
    if manager == "ufw":
        rules |= {
            f"-A {chains[1]} -i {interface} -p {protocol} -m multiport --dports {ufw.NAME_PORTS} -j ACCEPT"
            for protocol in ("udp", "tcp")
        }
    return rules


# --- running --------------------------------------------------------------------------------------------------------


def _run(thing: Admission, *argv: str) -> None:
    result = _start(argv)
    if result.returncode != 0:
        complaint = (result.stderr or result.stdout).strip()
        raise KernelRefused(
            f"{thing.manager} does not let {thing.interface} pass: {complaint}",
            errno="EPERM",
            command="; ".join(commands.add(thing)),
            status=result.returncode,
        )


def _succeeds(*argv: str) -> bool:
    try:
        return _start(argv).returncode == 0
    except Unsupported:
        return False


def _lines(*argv: str) -> list[str]:
    try:
        result = _start(argv)
    except (Unsupported, KernelRefused):
        return []
    return result.stdout.splitlines() if result.returncode == 0 else []


def _start(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise Unsupported(f"the program {argv[0]} is missing") from None
    except subprocess.TimeoutExpired:
        cause = f"{argv[0]} gave no answer in {_TIMEOUT_S} s"
        raise KernelRefused(cause, errno="ETIMEDOUT", command=shlex.join(argv)) from None
