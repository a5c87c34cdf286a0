"""CLEAN: what differs on a host between two moments.

    before = Snapshot.take(host)
    …
    assert difference(before, Snapshot.take(host)) == []

or ``assert_clean(before, host)``, which gives the kernel and the agent a moment for what they do afterwards.

A snapshot is a set of lines, each with its category first, so that a difference can be read.  It holds what is there,
not how often it was used: no counters, handles, lifetimes or learned entries.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

from weft.testing import sweep
from weft.testing.hosts import Host
from weft.testing.spaces import Space

#: Fields that change by use or with the order of creation.
_VOLATILE = frozenset(
    {
        "handle", "index", "ifindex", "link_index", "link_netnsid", "operstate", "txqlen", "valid_life_time",
        "preferred_life_time", "tentative", "hello_timer", "tcn_timer", "topology_change_timer", "gc_timer",
        "forward_delay_timer", "hold_timer", "message_age_timer", "promiscuity", "allmulti", "expires", "used",
        "metainfo",
    }
)  # fmt: skip
#: Flags of a link that follow from what it is plugged into.
_VOLATILE_FLAGS = frozenset({"LOWER_UP", "NO-CARRIER", "M-DOWN", "linkdown"})
#: Sysctls that count, or are drawn at first use, instead of setting anything.
_COUNTERS = frozenset({"net/netfilter/nf_conntrack_count", "net/ipv4/tcp_fastopen_key"})
#: State of SQLite's own, beside the rows, which are compared for themselves.
_STORE_FILES = (".db", ".db-wal", ".db-shm", ".db-journal")


class Snapshot(frozenset[str]):
    """Everything on a host that weft could leave behind, as lines; two equal lines are told apart by a number."""

    @classmethod
    def take(cls, host: Host, networks: Sequence[str] = ()) -> Self:
        """Look at ``host``.  Tracked connections are looked at when they have an address in one of ``networks``."""
        return cls(_numbered([*_kernel(host), *_connections(host, networks), *_agent(host), *_processes(host)]))


def difference(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """Return what is in one and not in the other, as lines that begin with '-' (is gone) or '+' (has come)."""
    return [*(f"- {line}" for line in sorted(before - after)), *(f"+ {line}" for line in sorted(after - before))]


def assert_clean(before: Snapshot, host: Host, networks: Sequence[str] = (), within: float = 2.0) -> None:
    """Assert that ``host`` becomes as it was ``before``, in ``within`` seconds at most."""
    deadline = time.monotonic() + within
    while left := _lasting(difference(before, Snapshot.take(host, networks))):
        if time.monotonic() > deadline:
            raise AssertionError("left behind:\n" + "\n".join(left))
        time.sleep(0.05)


def _lasting(lines: list[str]) -> list[str]:
    """Return the differences but for descriptors that are gone: the agent may have been looking ``before``."""
    return [line for line in lines if not line.startswith("- descriptor ")]


def _numbered(lines: Iterable[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for line in lines:
        seen[line] += 1
        yield line if seen[line] == 1 else f"{line} (#{seen[line]})"


# --- the kernel ---------------------------------------------------------------------------------------------------


def _kernel(space: Space) -> Iterator[str]:
    yield from _listed(space, "link", "ip", "-d", "-j", "link", "show")
    yield from _addresses(space)
    for family in ("-4", "-6"):
        yield from _listed(space, "route", "ip", family, "-j", "route", "show", "table", "all")
        yield from _listed(space, "rule", "ip", family, "-j", "rule", "show")
    yield from _listed(space, "neighbour", "ip", "-j", "neighbour", "show", "nud", "permanent")
    yield from _listed(space, "proxy", "ip", "-j", "neighbour", "show", "proxy")
    for entry in space.run_json("bridge", "-j", "fdb", "show"):
        if entry["state"] in ("permanent", "static"):  # the others are learned
            yield _line("fdb", entry)
    yield from ruleset(space)
    yield from space.call(lambda: list(_sysctls()))


def _listed(space: Space, category: str, *command: str) -> Iterator[str]:
    for entry in space.run_json(*command):
        yield _line(category, entry)


def _addresses(space: Space) -> Iterator[str]:
    for link in space.run_json("ip", "-j", "address", "show"):
        for address in link["addr_info"]:
            yield _line("address", {"dev": link["ifname"], **address})


def ruleset(space: Space) -> Iterator[str]:
    """Yield tables, sets, their elements and chains; rules with their place in the chain, which matters."""
    places: Counter[tuple[str, str, str]] = Counter()
    for entry in space.run_json("nft", "-j", "--stateless", "list", "ruleset").get("nftables", ()):
        ((kind, thing),) = entry.items()
        if kind == "rule":
            chain = (thing["family"], thing["table"], thing["chain"])
            thing["place"] = places[chain]
            places[chain] += 1
        elements = thing.pop("elem", ()) if kind in ("set", "map") else ()
        if kind != "metainfo":
            yield _line(f"nft {kind}", thing)
        for element in elements:
            yield _line(f"nft element of {thing['family']} {thing['table']} {thing['name']}", element)


def _sysctls() -> Iterator[str]:
    """Yield the settings below net; /proc/sys/net is that of the calling thread's namespace."""
    root = Path("/proc/sys")
    for directory, _, files in os.walk(root / "net"):
        for file in files:
            path = os.path.join(directory, file)
            name = os.path.relpath(path, root)
            if name not in _COUNTERS:
                with suppress(OSError):  # some can only be written; some go with their interface right now
                    yield f"sysctl {name}={Path(path).read_text().strip()}"


def _line(category: str, entry: Any) -> str:
    return f"{category} {json.dumps(_steady(entry), sort_keys=True)}"


def _steady(entry: Any) -> Any:
    """Return ``entry`` without what changes by itself."""
    if isinstance(entry, dict):
        return {
            key: _steady([flag for flag in value if flag not in _VOLATILE_FLAGS] if key == "flags" else value)
            for key, value in entry.items()
            if key not in _VOLATILE
        }
    return [_steady(item) for item in entry] if isinstance(entry, list) else entry


def _connections(space: Space, networks: Sequence[str]) -> Iterator[str]:
    """Yield tracked connections that have an address in ``networks``, without their timers and states."""
    parsed = [ip_network(network) for network in networks]
    if not parsed:
        return
    for family in ("ipv4", "ipv6"):
        for line in space.run("conntrack", "-L", "-f", family, check=False).stdout.splitlines():
            words = [word for word in line.split() if word.partition("=")[0] in ("src", "dst", "sport", "dport")]
            addresses = [ip_address(word[4:]) for word in words if word.startswith(("src=", "dst="))]
            if any(address.is_multicast for address in addresses):
                continue  # the kernel's own reports of group membership
            if any(address in network for address in addresses for network in parsed):
                yield f"connection {line.split()[0]} {' '.join(words)}"


# --- the agent ----------------------------------------------------------------------------------------------------


def _agent(host: Host) -> Iterator[str]:
    yield from _rows(host.state_dir / "state.db")
    for directory in (host.state_dir, host.run_dir):
        for path in sorted(directory.rglob("*")):
            if not path.name.endswith(_STORE_FILES):
                yield f"file {path.relative_to(host.directory)}"
        for bound in sweep.bound_below(directory):
            yield f"bound namespace {bound}"
    if host.agent is not None:
        yield from _descriptors(host.agent.pid)


def _rows(database: Path) -> Iterator[str]:
    """Yield the entries of the store.  The agent holds the file locked, so a copy is read."""
    if not database.exists():
        return
    with tempfile.TemporaryDirectory() as directory:
        for file in (database, database.with_name(database.name + "-wal")):
            if file.exists():
                shutil.copy(file, directory)
        with closing(sqlite3.connect(Path(directory, database.name))) as db:
            for key, value in db.execute("SELECT key, value FROM entries"):
                yield f"store {key.decode()} {value.decode()}"


def _descriptors(pid: int) -> Iterator[str]:
    """Yield the open descriptors of a process by what they lead to; sockets and the like by kind."""
    directory = f"/proc/{pid}/fd"
    for number in os.listdir(directory):
        with suppress(FileNotFoundError):
            target = os.readlink(f"{directory}/{number}")
            yield "descriptor " + re.sub(r"^(socket|pipe|net|mnt):\[\d+\]$", r"\1", target)


def _processes(host: Host) -> Iterator[str]:
    """Yield what runs on the host and in its containers, except for what the test itself started there."""
    spaces = {host.inode, *sweep.bound_below(host.directory).values()}
    for pid, command in sweep.inside(spaces).items():
        if pid not in host.started:
            yield f"process {command}"
