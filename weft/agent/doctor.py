"""``weft doctor``: what this host has of what weft needs, and what would give the rest."""

from __future__ import annotations

import ctypes.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from weft.agent.core import Core

_Check = tuple[str, bool, str, str]


class Doctor:
    """Examines the host without changing anything."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def examine(self) -> dict[str, Any]:
        """Return {'checks': [{'name', 'ok', 'detail', 'hint'}]}."""
        checks: list[Callable[[], _Check]] = [
            self._nftables,
            self._resolver,
            self._nsenter,
            self._forwarding4,
            self._firewalls,
            self._bridge_netfilter,
            self._drift,
        ]
        rows = (check() for check in checks)
        return {"checks": [{"name": n, "ok": ok, "detail": detail, "hint": hint} for n, ok, detail, hint in rows]}

    def _nftables(self) -> _Check:
        library = ctypes.util.find_library("nftables")
        return ("nftables", library is not None, library or "libnftables is missing", "apt install libnftables1")

    def _resolver(self) -> _Check:
        program = shutil.which("dnsmasq")
        return ("names", program is not None, program or "dnsmasq is missing", "apt install dnsmasq-base")

    def _nsenter(self) -> _Check:
        program = shutil.which("nsenter")
        return ("exec", program is not None, program or "nsenter is missing", "apt install util-linux")

    def _forwarding4(self) -> _Check:
        facts = self._core.host.facts
        closed = sorted(facts.uplinks - facts.forwarding4)
        if not closed:
            return ("forwarding", True, "on", "")
        if self._core.settings.ip_forward:
            return ("forwarding", True, f"off on {', '.join(closed)} without weft, which turns it on as needed", "")
        return ("forwarding", False, f"off on {', '.join(closed)}", "Set ip_forward = true in weft.toml.")

    def _firewalls(self) -> _Check:
        found = self._core.host.facts.firewalls
        if not found:
            return ("other firewalls", True, "none", "")
        return ("other firewalls", True, f"{', '.join(found)}: weft's bridges are admitted by their own hooks", "")

    def _bridge_netfilter(self) -> _Check:
        path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
        state = "bridged frames pass the IP hooks too" if path.exists() and path.read_text().strip() == "1" else "off"
        return ("bridge netfilter", True, f"{state} (weft works either way)", "")

    def _drift(self) -> _Check:
        core = self._core
        with core.lock:
            unused = [n.name for n in core.state.networks.values() if not core.state.endpoints_on(n)]
        detail = f"{len(core.state.networks)} networks, {len(unused)} of them without containers"
        return ("networks", True, detail, "")
