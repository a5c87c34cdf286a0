"""A host with an agent for each file, as in the scenarios."""

from __future__ import annotations

from tests.scenarios.conftest import eve, host, hosts, lan

__all__ = ["eve", "host", "hosts", "lan"]
